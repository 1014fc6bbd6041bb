// Jaeger: traces by id, and by the tags of their spans.
//
// Held to the query service's JSON API, as https://www.jaegertracing.io/docs/latest/architecture/apis/
// names it and cmd/query/app/query_parser.go and model/json/model.go of
// jaegertracing/jaeger define it. Not run against a real server.

package backend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"triagebot/triage/tracelog"
)

const (
	// jaegerLongest is as good as no bound: Jaeger has none.
	jaegerLongest = 366 * 24 * time.Hour
	// maxServices is how many services are asked one after the other.
	maxServices = 50
)

// JaegerOptions configure a Jaeger.
type JaegerOptions struct {
	Options
	// Services are those whose traces are searched by tag: Jaeger searches one
	// service at a time. With none, all that Jaeger knows are asked, up to 50.
	Services []string
	// MaxTraces bounds the traces read for an id that is no trace id; 0 means
	// DefaultMaxTraces.
	MaxTraces int
}

// Jaeger is a home of traces.
type Jaeger struct {
	*base
	roles     *tracelog.Roles
	services  []string
	maxTraces int
}

// NewJaeger makes a home of a Jaeger. It sends nothing.
func NewJaeger(o JaegerOptions) (*Jaeger, error) {
	b, err := newBase("Jaeger", o.Options)
	if err != nil {
		return nil, err
	}
	return &Jaeger{base: b, roles: spanRoles(), services: slices.Clone(o.Services), maxTraces: positive(o.MaxTraces, DefaultMaxTraces)}, nil
}

// Find gives the spans of the trace with the id, or of the traces in which a
// span names it.
func (j *Jaeger) Find(ctx context.Context, q tracelog.Query) (*tracelog.Found, error) {
	if err := checkID(q.ID); err != nil {
		return nil, fmt.Errorf("ask Jaeger %s: %w", j.name, err)
	}
	g := j.gather(q)
	if traceID(q.ID) {
		traces, err := j.traces(ctx, "/api/traces/"+strings.ToLower(q.ID), nil, g)
		if err != nil && !because(err, ReasonNotFound) {
			return nil, err
		}
		for _, t := range traces {
			if g.addTrace(t.all(), j.roles) {
				return g.found(true), nil
			}
		}
	}
	services, err := j.known(ctx, g)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	return g.find(ctx, jaegerLongest, func(ctx context.Context, w window, g *gathering) error {
		for _, service := range services {
			for _, tag := range j.idFields {
				if err := j.findByTag(ctx, jaegerSearch{service: service, window: w, limit: j.maxTraces, tags: map[string]string{tag: q.ID}}, known, g); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// findByTag adds the traces of a search that are not known yet.
func (j *Jaeger) findByTag(ctx context.Context, s jaegerSearch, known map[string]bool, g *gathering) error {
	traces, err := j.search(ctx, s, g)
	if err != nil {
		return err
	}
	if len(traces) >= s.limit {
		g.short("%d traces of service %s name the id, the most that are read; there may be more", len(traces), s.service)
	}
	for _, t := range traces {
		if !known[t.TraceID] {
			known[t.TraceID] = true
			g.addTrace(t.all(), j.roles)
		}
	}
	return nil
}

// Pick gives requests worth looking at.
func (j *Jaeger) Pick(ctx context.Context, p tracelog.Pick) (*tracelog.Picked, error) {
	var services []string
	return j.pick(ctx, p, picking{longest: jaegerLongest, tellsFail: true, ask: func(ctx context.Context, w window, c condition, g *gathering) (all sample, err error) {
		if services == nil {
			if services, err = j.known(ctx, g); err != nil {
				return all, err
			}
		}
		for _, service := range services {
			s := jaegerSearch{service: service, window: w, limit: c.candidates, atLeast: c.atLeast, tags: map[string]string{}}
			if c.failing {
				s.tags["error"] = "true"
			}
			if c.toolCall {
				s.tags[j.source.Roles.ToolCall] = "true"
			}
			if c.route != "" {
				s.tags[prefer(j.source.Roles.Route, routeAttributes())[0]] = c.route
			}
			traces, err := j.search(ctx, s, g)
			if err != nil {
				return all, err
			}
			all.cut = all.cut || len(traces) >= s.limit
			for _, t := range traces {
				if candidate, ok := j.spanCandidate(t.all()); ok {
					all.candidates = append(all.candidates, candidate)
				}
			}
		}
		return all, nil
	}})
}

// known are the services to ask.
func (j *Jaeger) known(ctx context.Context, g *gathering) ([]string, error) {
	if len(j.services) > 0 {
		return j.services, nil
	}
	body, err := j.get(ctx, "/api/services", nil)
	g.received(body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data []string `json:"data"`
	}
	if err := j.decode(body, &answer); err != nil {
		return nil, err
	}
	slices.Sort(answer.Data)
	if len(answer.Data) > maxServices {
		g.short("asked %d of %d services; name those that matter in its services", maxServices, len(answer.Data))
		return answer.Data[:maxServices], nil
	}
	return answer.Data, nil
}

// jaegerSearch is one request to /api/traces.
type jaegerSearch struct {
	service string
	window  window
	limit   int
	tags    map[string]string // all of which one span has
	atLeast time.Duration     // that a span took; 0 for any
}

func (j *Jaeger) search(ctx context.Context, s jaegerSearch, g *gathering) ([]jaegerTrace, error) {
	params := url.Values{
		"service": {s.service},
		"start":   {strconv.FormatInt(s.window.from.UnixMicro(), 10)},
		"end":     {strconv.FormatInt(s.window.to.UnixMicro(), 10)},
		"limit":   {strconv.Itoa(s.limit)},
	}
	if s.atLeast > 0 {
		params.Set("minDuration", strconv.FormatInt(s.atLeast.Microseconds(), 10)+"us")
	}
	if len(s.tags) > 0 {
		tags, err := json.Marshal(s.tags)
		if err != nil {
			return nil, fmt.Errorf("ask Jaeger %s: write its tags: %w", j.name, err)
		}
		params.Set("tags", string(tags))
	}
	return j.traces(ctx, "/api/traces", params, g)
}

// traces asks for traces.
func (j *Jaeger) traces(ctx context.Context, path string, params url.Values, g *gathering) ([]jaegerTrace, error) {
	body, err := j.get(ctx, path, params)
	g.received(body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data   []jaegerTrace `json:"data"`
		Errors []struct {
			Code    int    `json:"code"`
			Message string `json:"msg"`
			TraceID string `json:"traceID"`
		} `json:"errors"`
	}
	if err := j.decode(body, &answer); err != nil {
		return nil, err
	}
	for _, e := range answer.Errors {
		switch {
		case e.Code == http.StatusNotFound: // a trace that is gone
		case len(answer.Data) > 0:
			g.short("Jaeger could not read all: %s", clean(e.Message))
		default:
			return nil, j.errorf(ReasonUnavailable, errors.New(clean(e.Message)), "failed: %s", clean(e.Message))
		}
	}
	return answer.Data, nil
}

// jaegerTrace is a trace of the JSON API. Its times are microseconds.
type jaegerTrace struct {
	TraceID   string       `json:"traceID"`
	Spans     []jaegerSpan `json:"spans"`
	Processes map[string]struct {
		Service string      `json:"serviceName"`
		Tags    []jaegerTag `json:"tags"`
	} `json:"processes"`
}

type jaegerSpan struct {
	TraceID    string `json:"traceID"`
	SpanID     string `json:"spanID"`
	Parent     string `json:"parentSpanID"` // of old versions
	Name       string `json:"operationName"`
	References []struct {
		Type    string `json:"refType"`
		TraceID string `json:"traceID"`
		SpanID  string `json:"spanID"`
	} `json:"references"`
	Start    number      `json:"startTime"`
	Duration number      `json:"duration"`
	Tags     []jaegerTag `json:"tags"`
	Logs     []struct {
		Time   number      `json:"timestamp"`
		Fields []jaegerTag `json:"fields"`
	} `json:"logs"`
	Process string `json:"processID"`
}

type jaegerTag struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// jaegerTags are tags by their keys.
func jaegerTags(list []jaegerTag) map[string]any {
	tags := make(map[string]any, len(list))
	for _, tag := range list {
		// An object of the tag alone, so that a number keeps its digits.
		fields, err := tracelog.ParseObject(slices.Concat([]byte(`{"v":`), tag.Value, []byte("}")))
		if err == nil {
			tags[tag.Key] = fields["v"]
		}
	}
	return tags
}

// micros reads microseconds since 1970; what no nanoseconds can hold is no time.
func (n number) micros() time.Time {
	if n <= 0 || n > maxMicros {
		return time.Time{}
	}
	return time.UnixMicro(int64(n)).UTC()
}

// maxMicros is before the year 2262, where nanoseconds in 64 bits end.
const maxMicros = 9_000_000_000_000_000

// all are the trace's spans and their events.
func (t *jaegerTrace) all() []span {
	var spans []span
	for i := range t.Spans {
		s := &t.Spans[i]
		process := t.Processes[s.Process]
		resource, tags := jaegerTags(process.Tags), jaegerTags(s.Tags)
		start := s.Start.micros()
		one := span{
			traceID: strings.ToLower(s.TraceID), id: s.SpanID, parent: s.parent(),
			name: s.Name, service: process.Service, kind: tracelog.TextOf(tags, "span.kind"),
			start: start, failed: tracelog.Says(tags["error"]) || tracelog.TextOf(tags, "otel.status_code") == "ERROR",
			message: tracelog.TextOf(tags, "otel.status_description"), attributes: tags, resource: resource,
		}
		if !start.IsZero() {
			one.end = start.Add(time.Duration(min(max(s.Duration, 0), maxMicros/100)) * time.Microsecond)
		}
		spans = append(spans, one)
		for _, l := range s.Logs {
			fields := jaegerTags(l.Fields)
			name := tracelog.TextOf(fields, "event")
			at := l.Time.micros()
			spans = append(spans, span{
				traceID: one.traceID, parent: one.id, name: name, service: process.Service, kind: "event",
				start: at, end: at, failed: name == "error" || name == "exception",
				message: tracelog.TextOf(fields, "message"), attributes: fields, resource: resource,
			})
		}
	}
	return spans
}

// parent is the span that this one is a child of.
func (s *jaegerSpan) parent() string {
	for _, r := range s.References {
		if r.Type == "CHILD_OF" && r.TraceID == s.TraceID {
			return r.SpanID
		}
	}
	return s.Parent
}
