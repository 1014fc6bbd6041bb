// Reading: what a record says by the roles of its fields.

package tracelog

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

func (r *Record) role(name string) string { return TextOf(r.Fields, name) }

func (r *Record) worker() string { return r.role(r.Roles.Worker) }
func (r *Record) event() string  { return r.role(r.Roles.Event) }
func (r *Record) route() string  { return r.Roles.RouteOf(r.Fields) }
func (r *Record) repeats() string {
	return r.role(r.Roles.Retry)
}

// sends and receives are the ways of a message.
func (r *Record) sends() bool    { return strings.EqualFold(r.role(r.Roles.Way), "send") }
func (r *Record) receives() bool { return strings.EqualFold(r.role(r.Roles.Way), "recv") }

// took is the duration that the record reports, 0 where it reports none.
func (r *Record) took() time.Duration {
	took, _ := r.Roles.DurationOf(r.Fields)
	return took
}

// span is from when what the record reports began to when it was written.
func (r *Record) span() span {
	if r.Time.IsZero() {
		return span{}
	}
	return span{r.Time.Add(-r.took()), r.Time}
}

// status is the HTTP status that the record reports, 0 where it reports none.
func (r *Record) status() int { return r.Roles.StatusOf(r.Fields) }

// failure is why it failed, "" where the record does not say that it did.
func (r *Record) failure() string { return r.Roles.ErrorOf(r.Fields) }

// seq is the number of the chunk that the record is.
func (r *Record) seq() (int64, bool) {
	n, err := strconv.ParseInt(r.role(r.Roles.Seq), 10, 64)
	return n, err == nil && n >= 0
}

// content is the text of the chunk that the record is; false where it has none.
func (r *Record) content() (string, bool) {
	v, has := Field(r.Fields, r.Roles.Text)
	content, is := v.(string)
	return content, has && is
}

// callsTool says whether the record reports a tool call.
func (r *Record) callsTool() bool { return r.Roles.CallsTool(r.Fields) }

// moment is what an event says of the thing that it is about.
type moment string

const (
	opens   moment = "opens"
	closes  moment = "closes"
	aborts  moment = "aborts"
	another moment = ""
)

// moments are the last words of events, as in tool_buffer/started.
var moments = map[string]moment{
	"open": opens, "opened": opens, "start": opens, "started": opens, "begin": opens, "began": opens, "begun": opens,
	"close": closes, "closed": closes, "complete": closes, "completed": closes, "done": closes,
	"end": closes, "ended": closes, "finish": closes, "finished": closes, "stop": closes, "stopped": closes,
	"abort": aborts, "aborted": aborts, "cancel": aborts, "canceled": aborts, "cancelled": aborts,
	"fail": aborts, "failed": aborts, "truncated": aborts, "error": aborts,
}

// splitEvent divides an event into the thing and what became of it: tool_buffer/started
// is a tool_buffer that opens.
func splitEvent(event string) (thing string, m moment) {
	i := strings.LastIndexAny(event, "/_.:- ")
	m = moments[strings.ToLower(event[i+1:])]
	if m == another {
		return event, another
	}
	return strings.Trim(event[:max(i, 0)], "/_.:- "), m
}

// chunk says whether the record is a chunk of a stream, and not the mark at its
// beginning or end, which may be numbered like one.
func (r *Record) chunk() bool {
	if _, ok := r.seq(); !ok {
		return false
	}
	_, m := splitEvent(r.event())
	return m == another
}

// name is what the record is called in a sentence: "proto send (turn/start)",
// "the usage line".
func (r *Record) name() string {
	source, way, event := shown(r.Source), shown(r.role(r.Roles.Way)), shown(r.event())
	switch {
	case way != "" && event != "":
		return source + " " + way + " (" + event + ")"
	case way != "" || event != "":
		return source + " " + cmp.Or(way, event)
	default:
		return "the " + source + " line"
	}
}
