// VictoriaLogs: log entries by field.
//
// Held to https://docs.victoriametrics.com/victorialogs/querying/ ("Querying
// logs") and https://docs.victoriametrics.com/victorialogs/logsql/ (exact, any
// value and comparison filters, sort pipe). Not run against a real server.

package backend

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"triagebot/triage/tracelog"
)

// victoriaLongest is as good as no bound: VictoriaLogs has none but its
// -search.maxQueryDuration.
const victoriaLongest = 366 * 24 * time.Hour

// VictoriaLogsOptions configure a VictoriaLogs.
type VictoriaLogsOptions struct {
	Options
	// Filter is a LogsQL filter for what is searched, as {app="codex"}; "" for
	// everything.
	Filter string
}

// VictoriaLogs is a home of log entries. Their fields are flat, with dots where
// what was sent was nested, and their values are strings.
type VictoriaLogs struct {
	*base
	filter string
}

// NewVictoriaLogs makes a home of a VictoriaLogs. It sends nothing.
func NewVictoriaLogs(o VictoriaLogsOptions) (*VictoriaLogs, error) {
	b, err := newBase("VictoriaLogs", o.Options)
	if err != nil {
		return nil, err
	}
	filter := strings.TrimSpace(o.Filter)
	if filter == "" {
		filter = "*"
	}
	return &VictoriaLogs{base: b, filter: filter}, nil
}

// Find gives the entries whose fields hold the id.
func (v *VictoriaLogs) Find(ctx context.Context, q tracelog.Query) (*tracelog.Found, error) {
	if err := checkID(q.ID); err != nil {
		return nil, fmt.Errorf("ask VictoriaLogs %s: %w", v.name, err)
	}
	query := v.findQuery(q.ID)
	return v.gather(q).find(ctx, victoriaLongest, func(ctx context.Context, w window, g *gathering) error {
		// With a limit, the latest are given. One more than there is room for
		// tells whether there are more.
		limit := g.room() + 1
		err := v.entries(ctx, w, query, limit, g, func(line []byte) {
			g.addLine(line, entryTime, nil)
		})
		if because(err, ReasonTooLarge) {
			g.short("%v", err)
			return nil
		}
		return err
	})
}

// Pick gives requests worth looking at.
func (v *VictoriaLogs) Pick(ctx context.Context, p tracelog.Pick) (*tracelog.Picked, error) {
	return v.pickLines(ctx, p, picking{longest: victoriaLongest, sorts: true, latest: true, ask: func(ctx context.Context, w window, c condition, g *gathering) (sample, error) {
		s := sample{}
		lines := 0
		err := v.entries(ctx, w, v.pickQuery(c), 0, g, func(line []byte) {
			lines++
			if c, ok := g.candidateLine(line, p.By, entryTime); ok {
				s.candidates = append(s.candidates, c)
			}
		})
		s.cut = lines >= c.candidates
		return s, err
	}})
}

// victoriaPage is how many entries are asked for at a time.
const victoriaPage = 5000

// Between gives all entries of a window.
func (v *VictoriaLogs) Between(ctx context.Context, q tracelog.LineQuery, each func(*tracelog.Record) bool) (*tracelog.Lines, error) {
	return v.between(ctx, q, each, reading{
		longest: victoriaLongest,
		pages:   v.pages,
		any: func(ctx context.Context, w window, g *gathering) (found bool, err error) {
			err = v.entries(ctx, w, v.filter, 1, g, func([]byte) { found = true })
			return found, err
		},
	})
}

// LineSources implements tracelog.Liner.
func (v *VictoriaLogs) LineSources() []string { return []string{v.name} }

// pages takes the entries of a window, page after page from its beginning,
// until take returns false.
func (v *VictoriaLogs) pages(ctx context.Context, w window, g *gathering, take takeLine) error {
	query := fmt.Sprintf("(%s) | sort by (_time) limit %d", v.filter, victoriaPage)
	var edge map[string]bool // entries at w.from that are known
	for w.from.Before(w.to) {
		var last time.Time
		at := map[string]bool{} // the entries at last
		lines, fresh, more := 0, false, true
		err := v.entries(ctx, w, query, 0, g, func(line []byte) {
			lines++
			var written time.Time
			if fields, err := tracelog.ParseObject(line); err == nil {
				written = entryTime(fields)
			}
			if !written.Equal(last) {
				last, at = written, map[string]bool{}
			}
			at[string(line)] = true
			if !more || edge[string(line)] {
				return
			}
			fresh = true
			more = take(bytes.Clone(line), entryTime, nil)
		})
		if err != nil || !more || lines < victoriaPage || last.IsZero() {
			return err
		}
		if !fresh {
			g.short("more than %d entries at %s; not all of them were taken", victoriaPage, last.UTC().Format(time.RFC3339Nano))
			w.from, edge = last.Add(time.Nanosecond), nil
			continue
		}
		if last.Equal(w.from) {
			for line := range edge {
				at[line] = true
			}
		}
		w.from, edge = last, at
	}
	return nil
}

// anyOf is a filter that holds when one of the fields meets the condition. A
// quoted name is a field's whatever it holds.
func anyOf(names []string, condition string) string {
	some := make([]string, len(names))
	for i, name := range names {
		some[i] = quote(name) + ":" + condition
	}
	return "(" + strings.Join(some, " or ") + ")"
}

// findQuery is the LogsQL for the entries of an id.
func (v *VictoriaLogs) findQuery(id string) string {
	return "(" + v.filter + ") " + anyOf(v.idFields, "="+quote(id))
}

// pickQuery is the LogsQL for entries that meet a condition, the best first.
func (v *VictoriaLogs) pickQuery(c condition) string {
	roles := &v.source.Roles
	filters := []string{"(" + v.filter + ")", anyOf(v.source.Keys, "*")}
	if c.failing {
		var some []string
		if roles.Status != "" {
			some = append(some, quote(roles.Status)+":>=500")
		}
		if roles.Error != "" {
			some = append(some, said(roles.Error))
		}
		filters = append(filters, "("+strings.Join(some, " or ")+")")
	}
	if c.toolCall {
		filters = append(filters, said(roles.ToolCall))
	}
	if c.route != "" {
		filters = append(filters, quote(roles.Route)+":="+quote(c.route))
	}
	order := "_time"
	if c.mostFirst {
		filters = append(filters, quote(roles.Duration)+":>=0")
		order = quote(roles.Duration)
	}
	return fmt.Sprintf("%s | sort by (%s desc) limit %d", strings.Join(filters, " "), order, c.candidates)
}

// said is a filter for a field that has a value and does not say no.
func said(name string) string {
	name = quote(name)
	return fmt.Sprintf(`(%[1]s:* !%[1]s:in("0","false","null","{}"))`, name)
}

// timeFormat is read by VictoriaLogs to the nanosecond.
const timeFormat = "2006-01-02T15:04:05.000000000Z"

// entries asks for entries and hands on the lines of the answer, one JSON
// object each, also those before a failure. limit 0 means that the query has one.
func (v *VictoriaLogs) entries(ctx context.Context, w window, query string, limit int, g *gathering, each func(line []byte)) error {
	params := url.Values{
		"query":   {query},
		"start":   {w.from.UTC().Format(timeFormat)},
		"end":     {w.to.UTC().Format(timeFormat)}, // not included
		"timeout": {v.timeout.String()},
	}
	if limit > 0 {
		params.Set("limit", strconv.Itoa(limit))
	}
	body, err := v.post(ctx, "/select/logsql/query", params)
	g.received(body)
	for len(body) > 0 {
		line, rest, ended := bytes.Cut(body, []byte("\n"))
		if !ended && err != nil {
			break // the failure cut it
		}
		body = rest
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if line[0] != '{' {
			return v.unreadable(fmt.Errorf("a line is no JSON object: %.100q", line))
		}
		if _, malformed := tracelog.ParseObject(line); !ended && malformed != nil {
			return v.errorf(ReasonUnavailable, malformed, "broke its answer off in the middle of an entry; it may have reached its -search.maxQueryDuration")
		}
		each(line)
	}
	return err
}

// entryTime is when VictoriaLogs says that an entry was written, the zero time
// where it does not.
func entryTime(fields map[string]any) time.Time {
	t, _ := tracelog.ParseTime(tracelog.TextOf(fields, "_time"))
	return t
}
