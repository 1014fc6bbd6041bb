// What a line is worth to a pick, by parsing it.

package tracelog

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"triagebot/triage/tracelog/bytescan"
)

// judge parses a line. It returns false when the line is no candidate; torn
// says that this is because it is no JSON object.
func (p *picker) judge(s *Source, line []byte) (c ranked, torn, ok bool) {
	fields, err := parseObject(line)
	if err != nil {
		return ranked{}, true, false
	}
	roles := &s.Roles
	c.ID = idOf(fields, s.Keys)
	if c.ID == "" {
		return ranked{}, false, false
	}
	route, _ := field(fields, roles.Route)
	c.Route = clip(text(route))
	if p.pick.Route != "" && text(route) != p.pick.Route {
		return ranked{}, false, false
	}
	c.Time, _ = fieldTime(fields, roles.Time)
	if !p.inWindow(c.Time) {
		return ranked{}, false, false
	}
	c.Source = s.Name
	duration, _ := field(fields, roles.Duration)
	var timed bool
	c.Duration, timed = readDuration(text(duration), unitOf(roles.Unit))
	status, _ := field(fields, roles.Status)
	c.Status = readStatus(text(status))
	failure, _ := field(fields, roles.Error)
	c.Error = clip(errorText(failure))
	tool, _ := field(fields, roles.ToolCall)

	failing := c.Status >= leastFailing || says(failure)
	switch p.pick.By {
	case PickSlowest:
		ok = timed
	case PickFailing:
		ok = failing
	case PickToolCall:
		ok = says(tool)
	}
	c.rank = rank{duration: c.Duration, failing: failing, time: c.Time, source: s.Name}
	return c, false, ok
}

// The least HTTP status that counts as failing.
const leastFailing = 500

// inWindow says whether a line of this time, zero for none, may be picked. What
// has no time is in no window, but in "everything".
func (p *picker) inWindow(t time.Time) bool {
	if t.IsZero() {
		return p.pick.Within <= 0
	}
	return !t.After(p.pick.At) && (p.pick.Within <= 0 || !t.Before(p.pick.At.Add(-p.pick.Within)))
}

// idOf is the value of the first key that has one. An id too long to be looked
// up is none.
func idOf(fields map[string]any, keys []string) string {
	for _, name := range keys {
		v, _ := field(fields, name)
		if id := text(v); id != "" && len(id) <= bytescan.MaxLiteral {
			return id
		}
	}
	return ""
}

// says tells a field that says yes, or something, from one that is there to say
// nothing, as serializers without omitempty write it.
func says(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != "" && v != "false"
	case json.Number:
		f, err := v.Float64()
		return err != nil || f != 0
	case map[string]any:
		return len(v) > 0
	case []any:
		return len(v) > 0
	default:
		return true
	}
}

// errorText is an error as text: the field itself or, where it is an object or
// a list that says something, its JSON.
func errorText(v any) string {
	if !says(v) {
		return ""
	}
	if s := text(v); s != "" {
		return s
	}
	data, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(data)
}

// readStatus reads an HTTP status; 0 where it is none.
func readStatus(s string) int {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0 && f <= math.MaxInt32) {
		return 0
	}
	return int(f)
}

// unitOf is the unit of a source's durations.
func unitOf(name string) time.Duration {
	switch name {
	case "ns":
		return time.Nanosecond
	case "us":
		return time.Microsecond
	case "s":
		return time.Second
	default:
		return time.Millisecond
	}
}

// readDuration reads a number of units. What is negative or longer than a
// time.Duration can be, 292 years, is no duration.
func readDuration(s string, unit time.Duration) (time.Duration, bool) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, false
	}
	f *= float64(unit)
	if !(f >= 0 && f < math.MaxInt64) {
		return 0, false
	}
	return time.Duration(f), true
}

// The most of a text that a candidate shows, in bytes: enough to know the error
// by, and it bounds what candidates hold of lines of many megabytes.
const mostShown = 1 << 10

// clip shortens a text to mostShown.
func clip(s string) string {
	if len(s) <= mostShown {
		return s
	}
	end := mostShown
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.Clone(s[:end])
}
