// Grafana Tempo: traces by id, and by the attributes of their spans.
//
// Held to https://grafana.com/docs/tempo/latest/api_docs/ ("Query V2", "Query",
// "Search") and https://grafana.com/docs/tempo/latest/traceql/. Not run against
// a real server.

package backend

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"triagebot/triage/tracelog"
)

const (
	// tempoLongest is under query_frontend.search.max_duration, 168h by default.
	tempoLongest = 167 * time.Hour
	// DefaultMaxTraces is how many traces of one id are read.
	DefaultMaxTraces = 20
)

// TempoOptions configure a Tempo.
type TempoOptions struct {
	Options
	// MaxTraces bounds the traces read for an id that is no trace id; 0 means
	// DefaultMaxTraces.
	MaxTraces int
}

// Tempo is a home of traces.
type Tempo struct {
	*base
	roles     *tracelog.Roles
	maxTraces int
}

// NewTempo makes a home of a Tempo. It sends nothing.
func NewTempo(o TempoOptions) (*Tempo, error) {
	b, err := newBase("Tempo", o.Options)
	if err != nil {
		return nil, err
	}
	return &Tempo{base: b, roles: spanRoles(), maxTraces: positive(o.MaxTraces, DefaultMaxTraces)}, nil
}

// Find gives the spans of the trace with the id, or of the traces in which a
// span names it.
func (t *Tempo) Find(ctx context.Context, q tracelog.Query) (*tracelog.Found, error) {
	if err := checkID(q.ID); err != nil {
		return nil, fmt.Errorf("ask Tempo %s: %w", t.name, err)
	}
	g := t.gather(q)
	if traceID(q.ID) {
		spans, err := t.trace(ctx, q.ID, g)
		if err != nil {
			return nil, err
		}
		if g.addTrace(spans, t.roles) {
			return g.found(true), nil
		}
	}
	known := map[string]bool{}
	query := t.findQuery(q.ID)
	return g.find(ctx, tempoLongest, func(ctx context.Context, w window, g *gathering) error {
		hits, err := t.search(ctx, w, query, t.maxTraces+1, g)
		if err != nil {
			return err
		}
		for _, hit := range hits {
			switch {
			case known[hit.TraceID]:
				continue
			case len(known) >= t.maxTraces:
				g.short("more than %d traces name the id; the rest was not read", t.maxTraces)
				return nil
			case !traceID(padded(hit.TraceID)):
				return t.unreadable(errors.New("a search found a trace whose id is none"))
			}
			known[hit.TraceID] = true
			spans, err := t.trace(ctx, padded(hit.TraceID), g)
			if err != nil {
				return err
			}
			if len(spans) == 0 {
				g.short("trace %s was found and is not there to be read", hit.TraceID)
			}
			g.addTrace(spans, t.roles)
		}
		return nil
	})
}

// padded is a trace id of 32 digits: a search leaves leading zeros out.
func padded(id string) string { return strings.Repeat("0", max(0, 32-len(id))) + id }

// attribute writes the name of an attribute in TraceQL, of any scope.
func traceQLAttribute(name string) string {
	plain := !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_.-/", r)
	})
	if plain {
		return "." + name
	}
	return `."` + name + `"` // without quotes and backslashes, as newBase sees to
}

// findQuery is the TraceQL for spans that name an id. TraceQL compares by type,
// so an id of digits is looked for as a number too.
func (t *Tempo) findQuery(id string) string {
	var some []string
	_, notANumber := strconv.ParseInt(id, 10, 64)
	for _, name := range t.idFields {
		some = append(some, traceQLAttribute(name)+" = "+quote(id))
		if notANumber == nil && id[0] != '-' && id[0] != '+' {
			some = append(some, traceQLAttribute(name)+" = "+strings.TrimLeft(id[:len(id)-1], "0")+id[len(id)-1:])
		}
	}
	return "{ " + strings.Join(some, " || ") + " }"
}

// Pick gives requests worth looking at.
func (t *Tempo) Pick(ctx context.Context, p tracelog.Pick) (*tracelog.Picked, error) {
	return t.pick(ctx, p, picking{longest: tempoLongest, tellsFail: true, ask: func(ctx context.Context, w window, c condition, g *gathering) (sample, error) {
		hits, err := t.search(ctx, w, t.pickQuery(c), c.candidates, g)
		s := sample{cut: len(hits) >= c.candidates}
		for _, hit := range hits {
			candidate, ok := t.spanCandidate(hit.spans())
			if !ok {
				continue
			}
			// The hit has a few spans only, and says how long the trace took.
			candidate.Time = hit.start().Add(hit.took())
			candidate.Duration = hit.took()
			if c.failing && !candidate.Failing() {
				candidate.Error = "error" // of a span that is not shown
			}
			s.candidates = append(s.candidates, candidate)
		}
		return s, err
	}})
}

// pickQuery is the TraceQL for traces that meet a condition, with what a
// candidate shows of them.
func (t *Tempo) pickQuery(c condition) string {
	roles := &t.source.Roles
	attributes := func(names []string) (all []string) {
		for _, name := range names {
			all = append(all, traceQLAttribute(name))
		}
		return all
	}
	status := attributes(prefer(roles.Status, statusAttributes()))
	route := attributes(prefer(roles.Route, routeAttributes()[:1]))
	var filters []string
	if c.atLeast > 0 {
		filters = append(filters, fmt.Sprintf("traceDuration >= %dus", c.atLeast.Microseconds()))
	}
	if c.failing {
		filters = append(filters, "(status = error || "+strings.Join(status, " >= 500 || ")+" >= 500)")
	}
	if c.toolCall {
		tool := traceQLAttribute(roles.ToolCall)
		filters = append(filters, fmt.Sprintf(`(%[1]s = true || %[1]s = "true")`, tool))
	}
	if c.route != "" {
		is := " = " + quote(c.route)
		filters = append(filters, "("+strings.Join(route, is+" || ")+is+")")
	}
	if len(filters) == 0 {
		filters = append(filters, "true")
	}
	show := slices.Concat(attributes(t.source.Keys), status, route)
	return "{ " + strings.Join(filters, " && ") + " } | select(" + strings.Join(show, ", ") + ", status, statusMessage)"
}

// trace gives the spans of a trace, none when there is no such trace.
func (t *Tempo) trace(ctx context.Context, id string, g *gathering) ([]span, error) {
	// An older Tempo has no v2 and answers 404 there, as for a missing trace.
	for _, path := range []string{"/api/v2/traces/", "/api/traces/"} {
		body, err := t.get(ctx, path+strings.ToLower(id), nil)
		g.received(body)
		if because(err, ReasonNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		spans, partial, err := t.readTrace(body)
		if err != nil {
			return nil, err
		}
		if partial != "" {
			g.short("trace %s is not whole: %s", id, clean(partial))
		}
		if len(spans) > 0 {
			return spans, nil
		}
	}
	return nil, nil
}

// search finds traces by TraceQL. Both ends of the window are given, for
// without them Tempo looks at recent traces only.
func (t *Tempo) search(ctx context.Context, w window, query string, limit int, g *gathering) ([]tempoHit, error) {
	body, err := t.get(ctx, "/api/search", url.Values{
		"q":     {query},
		"limit": {strconv.Itoa(limit)},
		"start": {strconv.FormatInt(w.from.Unix(), 10)},
		"end":   {strconv.FormatInt(w.to.Unix()+1, 10)},
	})
	g.received(body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Traces []tempoHit `json:"traces"`
	}
	if err := t.decode(body, &answer); err != nil {
		return nil, err
	}
	return answer.Traces, nil
}

// tempoHit is a trace as a search shows it.
type tempoHit struct {
	TraceID         string         `json:"traceID"`
	RootServiceName string         `json:"rootServiceName"`
	RootTraceName   string         `json:"rootTraceName"`
	Start           number         `json:"startTimeUnixNano"`
	DurationMs      number         `json:"durationMs"`
	SpanSets        []tempoSpanSet `json:"spanSets"`
	SpanSet         *tempoSpanSet  `json:"spanSet"` // before there could be several
}

type tempoSpanSet struct {
	Spans []struct {
		SpanID     string          `json:"spanID"`
		Name       string          `json:"name"`
		Start      number          `json:"startTimeUnixNano"`
		Duration   number          `json:"durationNanos"`
		Attributes []otlpAttribute `json:"attributes"`
	} `json:"spans"`
}

func (h *tempoHit) start() time.Time { return h.Start.instant() }

// took is 0 where the hit has no duration, or one that cannot be.
func (h *tempoHit) took() time.Duration {
	if h.DurationMs < 0 || h.DurationMs > math.MaxInt64/number(time.Millisecond) {
		return 0
	}
	return time.Duration(h.DurationMs) * time.Millisecond
}

// spans are those that a hit shows. Their status is among their attributes.
func (h *tempoHit) spans() []span {
	sets := h.SpanSets
	if len(sets) == 0 && h.SpanSet != nil {
		sets = []tempoSpanSet{*h.SpanSet}
	}
	var spans []span
	for _, set := range sets {
		for _, s := range set.Spans {
			attributes := otlpAttributes(s.Attributes)
			start := s.Start.instant()
			spans = append(spans, span{
				traceID: h.TraceID, id: s.SpanID, name: s.Name, service: h.RootServiceName,
				start: start, end: start.Add(time.Duration(s.Duration)),
				failed: tracelog.TextOf(attributes, "status") == "error", message: tracelog.TextOf(attributes, "statusMessage"),
				attributes: attributes,
			})
		}
	}
	if len(spans) == 0 {
		spans = append(spans, span{traceID: h.TraceID, id: h.TraceID, name: h.RootTraceName, service: h.RootServiceName})
	}
	return spans
}
