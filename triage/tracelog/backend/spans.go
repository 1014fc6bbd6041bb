// Spans: what Tempo and Jaeger have in common, which keep traces.

package backend

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"triagebot/triage/tracelog"
)

// span is a piece of work of a trace, or, with a parent and no id, an event
// within one.
type span struct {
	traceID, id, parent string // lower-case hex
	name, service, kind string
	start, end          time.Time
	failed              bool
	message             string // why it failed
	attributes          map[string]any
	resource            map[string]any // of the service
}

// attribute is the value of a span's attribute, or else of its service's.
func (s *span) attribute(name string) string {
	return cmp.Or(tracelog.TextOf(s.attributes, name), tracelog.TextOf(s.resource, name))
}

// says is the value of an attribute that says something, the span's before its
// service's; nil where neither does.
func (s *span) says(name string) any {
	for _, attributes := range []map[string]any{s.attributes, s.resource} {
		if v, _ := tracelog.Field(attributes, name); tracelog.Says(v) {
			return v
		}
	}
	return nil
}

// anyAttribute is the first attribute that has a value.
func (s *span) anyAttribute(names ...string) string {
	for _, name := range names {
		if v := s.attribute(name); v != "" {
			return v
		}
	}
	return ""
}

// The attributes that say something to the stitcher, newer names first.
// See https://opentelemetry.io/docs/specs/semconv/http/http-spans/.
func statusAttributes() []string {
	return []string{"http.response.status_code", "http.status_code"}
}

func routeAttributes() []string { return []string{"http.route", "url.path", "http.target"} }

func errorAttributes() []string { return []string{"exception.message", "error.message", "error.type"} }

// spanRoles are those of a record made of a span. A span's record is written
// at its end, and its duration ended then.
func spanRoles() *tracelog.Roles {
	return &tracelog.Roles{
		Time:     "end",
		Duration: "duration",
		Unit:     "ns",
		Status:   "status",
		Error:    "error",
		Route:    "route",
		Event:    "name",
		Way:      "direction",
		Worker:   "worker",
		Seq:      "seq",
		ToolCall: "tool_call",
		Retry:    "retry_of",
	}
}

// fields are the record of a span.
func (b *base) fields(s *span) map[string]any {
	roles := &b.source.Roles
	fields := map[string]any{"name": s.name, "trace_id": s.traceID}
	set := func(name, v string) {
		if v != "" {
			fields[name] = v
		}
	}
	number := func(name, v string) {
		if _, err := strconv.ParseFloat(v, 64); err == nil && json.Valid([]byte(v)) {
			fields[name] = json.Number(v)
		} else {
			set(name, v)
		}
	}
	set("service", s.service)
	set("kind", s.kind)
	set("span_id", s.id)
	set("parent_id", s.parent)
	if !s.end.IsZero() {
		set("end", s.end.Format(time.RFC3339Nano))
	}
	if s.id != "" && !s.start.IsZero() {
		set("start", s.start.Format(time.RFC3339Nano))
		fields["duration"] = json.Number(strconv.FormatInt(max(s.end.Sub(s.start), 0).Nanoseconds(), 10))
	}
	number("status", s.anyAttribute(prefer(roles.Status, statusAttributes())...))
	set("route", s.anyAttribute(prefer(roles.Route, routeAttributes())...))
	why := s.says(roles.Error)
	if why == true || why == "true" || why == nil && s.failed {
		why = cmp.Or(s.message, s.anyAttribute(errorAttributes()...), "error")
	}
	if why != nil {
		fields["error"] = why
	}
	set("direction", s.attribute(roles.Way))
	set("worker", s.attribute(roles.Worker))
	number("seq", s.attribute(roles.Seq))
	set("retry_of", s.attribute(roles.Retry))
	if v, ok := tracelog.Field(s.attributes, roles.ToolCall); ok {
		fields["tool_call"] = v
	}
	if len(s.attributes) > 0 {
		fields["attributes"] = s.attributes
	}
	if len(s.resource) > 0 {
		fields["resource"] = s.resource
	}
	return fields
}

// prefer puts the configured name before the usual ones.
func prefer(configured string, usual []string) []string {
	if configured == "" {
		return usual
	}
	return append([]string{configured}, usual...)
}

// names says whether a span names the id.
func (b *base) names(s *span, id string) bool {
	return slices.ContainsFunc(b.idFields, func(name string) bool { return s.attribute(name) == id })
}

// addTrace takes all spans of a trace that is about the id: its own trace, or
// one with a span that names it. It returns false for any other.
func (g *gathering) addTrace(spans []span, roles *tracelog.Roles) bool {
	b, id := g.base, g.query.ID
	if !slices.ContainsFunc(spans, func(s span) bool { return sameTrace(s.traceID, id) || b.names(&s, id) }) {
		return false
	}
	for i := range spans {
		s := &spans[i]
		r := tracelog.Record{Source: b.name, Time: s.end, Fields: b.fields(s), Roles: roles}
		for _, name := range b.source.Keys {
			if r.ID = s.attribute(name); r.ID != "" {
				break
			}
		}
		for _, name := range b.idFields {
			r.Links = link(r.Links, s.attribute(name), id)
		}
		if !sameTrace(s.traceID, id) {
			r.Links = link(r.Links, s.traceID, id)
		}
		raw, err := json.Marshal(r.Fields)
		if err != nil {
			g.short("a span cannot be written as JSON: %v", err)
			continue
		}
		r.Raw = raw
		if !g.add(r) {
			break
		}
	}
	return true
}

func link(links []string, to, from string) []string {
	if to == "" || to == from || slices.Contains(links, to) {
		return links
	}
	return append(links, to)
}

// traceID says whether an id can be that of a trace: 8 or 16 bytes in hex.
func traceID(id string) bool {
	return (len(id) == 16 || len(id) == 32) && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'f') && (r < 'A' || r > 'F')
	})
}

// sameTrace compares trace ids, which some write without leading zeros.
func sameTrace(a, b string) bool {
	return traceID(b) && strings.EqualFold(strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0"))
}

// spanCandidate is the request of a trace, as a pick shows it: the id that one
// of its spans names, or else the trace's own.
func (b *base) spanCandidate(spans []span) (tracelog.Candidate, bool) {
	roles := spanRoles()
	c := tracelog.Candidate{Source: b.name}
	var begin, end time.Time
	for i := range spans {
		s := &spans[i]
		if s.id == "" {
			continue
		}
		if c.ID == "" || c.ID == s.traceID {
			c.ID = cmp.Or(s.anyAttribute(b.source.Keys...), s.traceID)
		}
		if begin.IsZero() || s.start.Before(begin) {
			begin = s.start
		}
		end = later(end, s.end)
		fields := b.fields(s)
		c.Route = cmp.Or(c.Route, roles.RouteOf(fields))
		c.Status = max(c.Status, roles.StatusOf(fields))
		c.Error = cmp.Or(c.Error, roles.ErrorOf(fields))
	}
	c.Time, c.Duration = end, max(end.Sub(begin), 0)
	return c, checkID(c.ID) == nil
}
