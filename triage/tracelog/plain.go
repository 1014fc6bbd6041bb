// Plain-text logs: lines that begin with when they were written, and those that
// belong to the line before them, such as a stack trace's.

package tracelog

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Format is how a source's lines are written.
type Format string

// The formats.
const (
	FormatNDJSON Format = "ndjson" // one JSON object a line; also what "" means
	FormatPlain  Format = "plain"  // text that begins with its time
)

// PlainMessage is the one field of a plain line: what stands after its time.
const PlainMessage = "message"

// mostStamped is how many bytes of a line may be its time.
const mostStamped = 64

// plainLayouts are the ways in which a line of text begins, besides a time since
// 1970. Parsing takes a fraction, after a dot or a comma, behind every second.
var plainLayouts = append(timeLayouts[:len(timeLayouts):len(timeLayouts)], "2006/01/02 15:04:05")

// CheckTimeLayout says why a layout of Go's package time cannot tell when a line
// was written: it must give the instant to the second.
func CheckTimeLayout(layout string) error {
	instant := time.Date(2026, time.November, 24, 13, 14, 15, 0, time.UTC)
	read, err := time.Parse(layout, instant.Format(layout))
	if err != nil || !read.Equal(instant) {
		return errors.New("it must hold a year, month, day, hour, minute and second, as in 2006-01-02 15:04:05")
	}
	if len(layout) > mostStamped {
		return fmt.Errorf("it has %d bytes; at most %d of a line are read as its time", len(layout), mostStamped)
	}
	return nil
}

// plainTime reads the time that a line begins with, perhaps in brackets, and
// gives what follows it. An empty layout stands for the usual ones.
func plainTime(line []byte, layout string) (t time.Time, rest []byte, ok bool) {
	line = bytes.TrimLeft(line, " \t\x00")
	bracketed := layout == "" && len(line) > 0 && line[0] == '['
	if bracketed {
		line = line[1:]
	}
	head := string(line[:min(len(line), mostStamped)])
	n := 0
	if layout != "" {
		t, n = leadingTime(head, layout)
	} else {
		t, n = leadingUsualTime(head)
	}
	if n == 0 {
		return time.Time{}, nil, false
	}
	rest = line[n:]
	if bracketed {
		rest = bytes.TrimPrefix(rest, []byte("]"))
	}
	return t.UTC(), bytes.TrimSpace(rest), true
}

func leadingUsualTime(head string) (time.Time, int) {
	if len(head) == 0 || head[0] < '0' || head[0] > '9' {
		return time.Time{}, 0
	}
	for _, layout := range plainLayouts {
		if t, n := leadingTime(head, layout); n > 0 {
			return t, n
		}
	}
	// Fewer digits are a count and no time since 1970.
	const leastDigits = 10
	word := head[:len(head)-len(strings.TrimLeft(head, "0123456789."))]
	if len(word) < leastDigits || !ends(head[len(word):]) {
		return time.Time{}, 0
	}
	t, _ := parseEpoch(word)
	if t.IsZero() {
		return time.Time{}, 0
	}
	return t, len(word)
}

// leadingTime reads the time at the beginning of a text, and says how many bytes
// it has; 0 where there is none.
func leadingTime(head, layout string) (time.Time, int) {
	t, err := time.Parse(layout, head)
	if err == nil {
		return t, len(head)
	}
	var wrong *time.ParseError
	if !errors.As(err, &wrong) || !strings.HasPrefix(wrong.Message, ": extra text: ") {
		return time.Time{}, 0
	}
	n := len(head) - len(wrong.ValueElem)
	if n <= 0 || !ends(head[n:]) {
		return time.Time{}, 0
	}
	if t, err = time.Parse(layout, head[:n]); err != nil {
		return time.Time{}, 0
	}
	return t, n
}

// ends says whether what follows a time leaves it whole.
func ends(rest string) bool {
	return rest == "" || strings.ContainsRune(" \t],;:|-", rune(rest[0]))
}

// timeOf is when a line was written.
func (s *Source) timeOf(line []byte) (time.Time, bool) {
	if s.Format == FormatPlain {
		t, _, ok := plainTime(line, s.TimeLayout)
		return t, ok && !t.IsZero()
	}
	fields, err := s.parse(line)
	if err != nil {
		return time.Time{}, false
	}
	t, ok := fieldTime(fields, s.Roles.Time)
	return t, ok && !t.IsZero()
}

// ReadAny makes a record of a line, whatever it is about. What has no time of
// its own has none here; isText says that it is no JSON object and has no
// fields. The record keeps the line.
func (s *Source) ReadAny(line []byte) (r Record, isText bool) {
	r = Record{Source: s.Name, Raw: line, Roles: &s.Roles}
	if s.Format == FormatPlain {
		t, rest, ok := plainTime(line, s.TimeLayout)
		if ok {
			r.Time, r.Fields = t, map[string]any{PlainMessage: string(rest)}
		}
		return r, false
	}
	fields, err := s.parse(line)
	if err != nil {
		return r, true
	}
	r.ID, r.Fields = s.own(fields), fields
	r.Time, _ = fieldTime(fields, s.Roles.Time)
	return r, false
}
