// Grafana Loki: log lines by stream selector, line filter and JSON fields.
//
// Held to docs/sources/reference/loki-http-api.md ("Query logs within a range
// of time") and docs/sources/query/log_queries of v3.7.8, and run against that
// server by `make e2e-backends`.

package backend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"triagebot/triage/tracelog"
)

// Bounds of Loki's own, as its limits_config has them by default.
const (
	// lokiLongest is under max_query_length (721h).
	lokiLongest = 30 * 24 * time.Hour
	// DefaultLokiPage is how many lines are asked for at a time;
	// max_entries_limit_per_query (5000) is the most that Loki takes.
	DefaultLokiPage = 1000
	maxLokiPage     = 5000
)

// LokiOptions configure a Loki.
type LokiOptions struct {
	Options
	// Selector selects the streams, as {app="codex"}.
	Selector string
	// Page is how many lines are asked for at a time, up to 5000; 0 means
	// DefaultLokiPage.
	Page int
}

// Loki is a home of log lines.
type Loki struct {
	*base
	selector string
	pageSize int
}

// NewLoki makes a home of a Loki. It sends nothing.
func NewLoki(o LokiOptions) (*Loki, error) {
	b, err := newBase("Loki", o.Options)
	if err != nil {
		return nil, err
	}
	selector := strings.TrimSpace(o.Selector)
	if !strings.HasPrefix(selector, "{") || !strings.HasSuffix(selector, "}") {
		return nil, fmt.Errorf(`trace source %s (Loki): its selector is no stream selector; write it like {app="codex"}`, o.Name)
	}
	return &Loki{base: b, selector: selector, pageSize: min(positive(o.Page, DefaultLokiPage), maxLokiPage)}, nil
}

// Find gives the lines whose fields hold the id.
func (l *Loki) Find(ctx context.Context, q tracelog.Query) (*tracelog.Found, error) {
	if err := checkID(q.ID); err != nil {
		return nil, fmt.Errorf("ask Loki %s: %w", l.name, err)
	}
	query := l.findQuery(q.ID)
	return l.gather(q).find(ctx, lokiLongest, func(ctx context.Context, w window, g *gathering) error {
		return l.pages(ctx, w, query, g, func(e *lokiLine) bool {
			return g.addLine([]byte(e.line), e.received, e.labels)
		})
	})
}

// Pick gives requests worth looking at.
func (l *Loki) Pick(ctx context.Context, p tracelog.Pick) (*tracelog.Picked, error) {
	return l.pickLines(ctx, p, picking{longest: lokiLongest, latest: true, ask: func(ctx context.Context, w window, c condition, g *gathering) (sample, error) {
		entries, err := l.queryRange(ctx, lokiQuery{l.pickQuery(c), w, c.candidates, backward}, g)
		s := sample{cut: len(entries) >= c.candidates}
		for _, e := range entries {
			if c, ok := g.candidateLine([]byte(e.line), p.By, e.received); ok {
				s.candidates = append(s.candidates, c)
			}
		}
		return s, err
	}})
}

// extracted is how the labels begin that a query makes of a line's fields: they
// must not be taken for the stream's own, which Loki would rather look at.
const extracted = "triagebot_"

// extraction names fields of the lines for use in label filters.
type extraction struct{ stages []string }

// field makes labels of a field: of the record itself, and along the name's
// dots. They are what tracelog.Field tries, first and last.
func (x *extraction) field(name string) (labels []string) {
	paths := []string{`["` + name + `"]`}
	if strings.Contains(name, ".") {
		paths = append(paths, `["`+strings.ReplaceAll(name, ".", `"]["`)+`"]`)
	}
	for _, path := range paths {
		label := extracted + strconv.Itoa(len(x.stages))
		x.stages = append(x.stages, label+"="+quote(path))
		labels = append(labels, label)
	}
	return labels
}

// said is a filter for a field that has a value and does not say no. The empty
// value has a condition of its own: a regular expression with an empty branch
// does not match it, as of v3.7.8.
func (x *extraction) said(name string) string {
	var some []string
	for _, label := range x.field(name) {
		some = append(some, fmt.Sprintf(`(%[1]s!="" and %[1]s!~"0|false|null|[{][}]")`, label))
	}
	return strings.Join(some, " or ")
}

// either is a filter that holds when one of the fields meets the condition.
func (x *extraction) either(names []string, condition string) string {
	var some []string
	for _, name := range names {
		for _, label := range x.field(name) {
			some = append(some, label+condition)
		}
	}
	return strings.Join(some, " or ")
}

// findQuery is the LogQL for the lines of an id. An id that may stand escaped
// in a line is looked for by its fields alone, which is slower.
func (l *Loki) findQuery(id string) string {
	query := l.selector
	if plainID(id) {
		query += " |= " + quote(id)
	}
	var x extraction
	is := x.either(l.idFields, "="+quote(id))
	return query + " | json " + strings.Join(x.stages, ", ") + " | " + is
}

// pickQuery is the LogQL for lines that meet a condition.
func (l *Loki) pickQuery(c condition) string {
	roles := &l.source.Roles
	var x extraction
	filters := []string{x.either(l.source.Keys, `!=""`)}
	if c.atLeast > 0 {
		least := strconv.FormatFloat(float64(c.atLeast)/float64(roles.DurationUnit()), 'f', -1, 64)
		// What is no number passes a numeric filter, with an error.
		filters = append(filters, x.either([]string{roles.Duration}, ">="+least), `__error__=""`)
	}
	if c.failing {
		var some []string
		if roles.Status != "" {
			some = append(some, x.either([]string{roles.Status}, `=~"[5-9][0-9][0-9]"`))
		}
		if roles.Error != "" {
			some = append(some, x.said(roles.Error))
		}
		filters = append(filters, strings.Join(some, " or "))
	}
	if c.toolCall {
		filters = append(filters, x.said(roles.ToolCall))
	}
	if c.route != "" {
		filters = append(filters, x.either([]string{roles.Route}, "="+quote(c.route)))
	}
	return l.selector + " | json " + strings.Join(x.stages, ", ") + " | " + strings.Join(filters, " | ")
}

// Between gives all lines of a window.
func (l *Loki) Between(ctx context.Context, q tracelog.LineQuery, each func(*tracelog.Record) bool) (*tracelog.Lines, error) {
	return l.between(ctx, q, each, reading{
		longest: lokiLongest,
		pages: func(ctx context.Context, w window, g *gathering, take takeLine) error {
			return l.pages(ctx, w, l.selector, g, func(e *lokiLine) bool { return take([]byte(e.line), e.received, e.labels) })
		},
		any: func(ctx context.Context, w window, g *gathering) (bool, error) {
			lines, err := l.queryRange(ctx, lokiQuery{l.selector, w, 1, backward}, g)
			return len(lines) > 0, err
		},
	})
}

// LineSources implements tracelog.Liner.
func (l *Loki) LineSources() []string { return []string{l.name} }

// pages takes the lines of a window, page after page from its beginning, until
// take returns false.
func (l *Loki) pages(ctx context.Context, w window, query string, g *gathering, take func(*lokiLine) bool) error {
	limit := l.pageSize
	var edge map[lokiEntry]bool // those at w.from that are known
	for w.from.Before(w.to) {
		entries, err := l.queryRange(ctx, lokiQuery{query, w, limit, forward}, g)
		if because(err, ReasonTooLarge) && limit > 1 {
			limit = max(1, limit/8)
			continue
		}
		if err != nil {
			return err
		}
		fresh := false
		for i := range entries {
			if edge[entries[i].lokiEntry] {
				continue
			}
			fresh = true
			if !take(&entries[i]) {
				return nil
			}
		}
		if len(entries) < limit {
			return nil
		}
		// The page is full. The next begins at its last instant, which may have
		// more lines than were on it.
		last := entries[len(entries)-1].at
		if last.Equal(w.from) && !fresh {
			if limit < maxLokiPage {
				limit = min(limit*8, maxLokiPage)
				continue
			}
			g.short("more than %d lines at %s; not all of them were taken", limit, last.UTC().Format(time.RFC3339Nano))
			w.from, edge = last.Add(time.Nanosecond), nil
			continue
		}
		if !last.Equal(w.from) || edge == nil {
			edge = map[lokiEntry]bool{}
		}
		for _, e := range entries {
			if e.at.Equal(last) {
				edge[e.lokiEntry] = true
			}
		}
		w.from = last
		g.tell()
	}
	return nil
}

// direction is the order in which Loki reads, and so which lines it leaves out.
type direction string

const (
	forward  direction = "forward"
	backward direction = "backward"
)

// lokiQuery is one request to query_range.
type lokiQuery struct {
	query     string
	window    window
	limit     int
	direction direction
}

// lokiEntry is a line. Loki keeps one of those that are alike in all of this.
type lokiEntry struct {
	at           time.Time
	line, stream string
}

func (e lokiEntry) received(map[string]any) time.Time { return e.at }

// lokiLine is a line with its labels.
type lokiLine struct {
	lokiEntry
	labels map[string]any
}

// lokiResponse is the documented answer of query_range for a log query.
type lokiResponse struct {
	Status string `json:"status"`
	Data   *struct {
		ResultType string `json:"resultType"`
		Result     []struct {
			Stream map[string]string `json:"stream"`
			Values [][]any           `json:"values"` // an instant, a line, and in some modes an object
		} `json:"result"`
	} `json:"data"`
}

// queryRange asks for lines and gives them by time, in the query's direction.
// Loki gives those of one instant in any order; here it is always the same.
func (l *Loki) queryRange(ctx context.Context, q lokiQuery, g *gathering) ([]lokiLine, error) {
	body, err := l.get(ctx, "/loki/api/v1/query_range", url.Values{
		"query":     {q.query},
		"start":     {strconv.FormatInt(q.window.from.UnixNano(), 10)},
		"end":       {strconv.FormatInt(q.window.to.UnixNano(), 10)},
		"limit":     {strconv.Itoa(q.limit)},
		"direction": {string(q.direction)},
	})
	g.received(body)
	if err != nil {
		return nil, err
	}
	lines, err := l.readLines(body)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(lines, func(a, b lokiLine) int {
		if q.direction == backward {
			a, b = b, a
		}
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.stream, b.stream), cmp.Compare(a.line, b.line))
	})
	return lines, nil
}

// readLines reads an answer of query_range.
func (l *Loki) readLines(body []byte) ([]lokiLine, error) {
	var answer lokiResponse
	if err := l.decode(body, &answer); err != nil {
		return nil, err
	}
	if answer.Status != "success" || answer.Data == nil || answer.Data.ResultType != "streams" {
		return nil, l.unreadable(errors.New("its answer has no streams"))
	}
	var lines []lokiLine
	for _, stream := range answer.Data.Result {
		labels := map[string]any{}
		for name, v := range stream.Stream {
			if !strings.HasPrefix(name, extracted) && !strings.HasPrefix(name, "__error") {
				labels[name] = v
			}
		}
		key := fmt.Sprint(stream.Stream) // maps are printed in the order of their keys
		for _, v := range stream.Values {
			if len(v) < 2 {
				return nil, l.unreadable(errors.New("a value has no instant and line"))
			}
			stamp, isText := v[0].(string)
			line, hasLine := v[1].(string)
			nanos, err := strconv.ParseInt(stamp, 10, 64)
			if !isText || !hasLine || err != nil {
				return nil, l.unreadable(errors.New("a value is no instant in nanoseconds and a line"))
			}
			lines = append(lines, lokiLine{lokiEntry{time.Unix(0, nanos).UTC(), line, key}, labels})
		}
	}
	return lines, nil
}
