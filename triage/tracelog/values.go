// Values: what the value of a JSON field says, as a duration, a status, an
// error, a yes or no. Records, picks from files and picks from backends read
// by it, so that they agree. A string says what it would without its quotes,
// for some logs and backends quote everything.

package tracelog

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// Field is the value of a named field: of the record itself, or else along the
// name's dots.
func Field(fields map[string]any, name string) (any, bool) {
	if name == "" {
		return nil, false
	}
	if v, ok := fields[name]; ok {
		return v, true
	}
	for i := range len(name) {
		if name[i] != '.' {
			continue
		}
		if inner, ok := fields[name[:i]].(map[string]any); ok {
			if v, ok := Field(inner, name[i+1:]); ok {
				return v, true
			}
		}
	}
	return nil, false
}

// text is a string or a number as text; "" for anything else.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	default:
		return ""
	}
}

// TextOf is a named field as text: a string or a number; "" for anything else.
func TextOf(fields map[string]any, name string) string {
	v, _ := Field(fields, name)
	return text(v)
}

// Says tells a value that says yes, or something, from one that is there to
// say no, or nothing, as serializers without omitempty write it: null, false,
// 0, and what is empty.
func Says(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		switch v {
		case "", "null", "false", "{}", "[]":
			return false
		}
		return !isZero(v)
	case json.Number:
		return !isZero(v.String())
	case map[string]any:
		return len(v) > 0
	case []any:
		return len(v) > 0
	default:
		return true
	}
}

// isZero says whether a text is the number 0, in any of the ways to write it.
func isZero(s string) bool {
	if s == "" || !isDigit(s[0]) && !strings.ContainsRune("+-.", rune(s[0])) {
		return false // spares most texts the attempt
	}
	f, err := strconv.ParseFloat(s, 64)
	return err == nil && f == 0
}

// errorText is why something failed, "" where the value does not say that it
// did. An object says so in its message, or else, like a list, as a whole.
func errorText(v any) string {
	if !Says(v) {
		return ""
	}
	if v == true || v == "true" {
		return "error"
	}
	if s := text(v); s != "" {
		return s
	}
	if object, ok := v.(map[string]any); ok {
		if message := text(object["message"]); message != "" {
			return strings.TrimPrefix(text(object["type"])+": "+message, ": ")
		}
	}
	data, err := json.Marshal(v)
	if err != nil {
		return "error"
	}
	return string(data)
}

// leastFailing is the least HTTP status that counts as failing.
const leastFailing = 500

// readStatus reads an HTTP status, which has three digits; 0 where it is none.
func readStatus(text string) int {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f >= 100 && f < 1000) {
		return 0
	}
	return int(f)
}

// readDuration reads a number of units. What is negative or longer than a
// time.Duration can be, 292 years, is no duration, nor is one that names a unit
// of its own.
func readDuration(text string, unit time.Duration) (time.Duration, bool) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, false
	}
	f *= float64(unit)
	if !(f >= 0 && f < math.MaxInt64) {
		return 0, false
	}
	return time.Duration(f), true
}

// DurationUnit is what a number in the Duration field counts.
func (r *Roles) DurationUnit() time.Duration {
	switch r.Unit {
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

// DurationOf is the duration that the fields of a record report; false where
// they report none.
func (r *Roles) DurationOf(fields map[string]any) (time.Duration, bool) {
	return readDuration(TextOf(fields, r.Duration), r.DurationUnit())
}

// StatusOf is the HTTP status that they report, from 100 to 999; 0 where they
// report none.
func (r *Roles) StatusOf(fields map[string]any) int { return readStatus(TextOf(fields, r.Status)) }

// ErrorOf is why it failed; "" where they do not say that it did.
func (r *Roles) ErrorOf(fields map[string]any) string {
	v, _ := Field(fields, r.Error)
	return errorText(v)
}

// RouteOf is what was asked for.
func (r *Roles) RouteOf(fields map[string]any) string { return TextOf(fields, r.Route) }

// CallsTool says whether they are about a tool call.
func (r *Roles) CallsTool(fields map[string]any) bool {
	v, _ := Field(fields, r.ToolCall)
	return Says(v)
}
