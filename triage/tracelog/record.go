// One line, read: whether it belongs to an id, when it was, what else it names.

package tracelog

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// compare orders records by time, then source, file and offset; those without
// a time come last.
func (r *Record) compare(o *Record) int {
	return cmp.Or(
		cmp.Compare(zeroLast(r.Time), zeroLast(o.Time)),
		r.Time.Compare(o.Time),
		cmp.Compare(r.Source, o.Source),
		cmp.Compare(r.File, o.File),
		cmp.Compare(r.Offset, o.Offset),
	)
}

func zeroLast(t time.Time) int {
	if t.IsZero() {
		return 1
	}
	return 0
}

// ParseObject reads a line as one JSON object. As JSON.parse does, it takes
// the last of a key that stands twice. NUL bytes around the object, as a crash
// leaves them in a preallocated file, are no part of it.
func ParseObject(line []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(bytes.Trim(line, "\x00 \t\r\n")))
	dec.UseNumber()
	var fields map[string]any
	if err := dec.Decode(&fields); err != nil {
		return nil, err
	}
	if fields == nil {
		return nil, errors.New("null is no object")
	}
	// More is not asked: it takes a closing brace for the end.
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	return fields, nil
}

// fieldTime reads a field as an instant.
func fieldTime(fields map[string]any, name string) (time.Time, bool) {
	v, ok := Field(fields, name)
	if !ok {
		return time.Time{}, false
	}
	t, err := ParseTime(text(v))
	return t, err == nil
}

// timeLayouts are the ways in which logs write an instant, the likeliest first.
// Those without a zone are UTC.
var timeLayouts = []string{
	time.RFC3339Nano,
	"2006-01-02T15:04:05.999999999Z0700",
	"2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999 Z0700",
	"2006-01-02 15:04:05.999999999",
	"02/Jan/2006:15:04:05 -0700",
}

// ParseTime reads an instant as logs write it: RFC 3339 and its usual
// relatives, or the time since 1970 in seconds, milliseconds, microseconds or
// nanoseconds, told apart by their size.
func ParseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, errors.New("no time")
	}
	if t, ok := parseEpoch(s); ok {
		return t, nil
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is no time; write one like 2026-01-02T15:04:05Z", s)
}

// Numbers below are seconds until the year 5138, and so on.
const (
	mostSeconds = 1e11
	mostMillis  = 1e14
	mostMicros  = 1e17
)

func parseEpoch(s string) (time.Time, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		switch {
		case n < 0:
			return time.Time{}, false
		case n < mostSeconds:
			return time.Unix(n, 0).UTC(), true
		case n < mostMillis:
			return time.UnixMilli(n).UTC(), true
		case n < mostMicros:
			return time.UnixMicro(n).UTC(), true
		default:
			return time.Unix(0, n).UTC(), true
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || !(f >= 0 && f < mostMicros):
		return time.Time{}, false
	case f < mostSeconds:
		return time.UnixMicro(int64(f * 1e6)).UTC(), true
	case f < mostMillis:
		return time.UnixMicro(int64(f * 1e3)).UTC(), true
	default:
		return time.UnixMicro(int64(f)).UTC(), true
	}
}
