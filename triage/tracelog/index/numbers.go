// Numbers and times as logs write them, read fast where they are plain.

package index

import (
	"math"
	"strconv"
	"time"
)

var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// plainDecimal reads the number that text begins with, if it has up to 15
// characters, all of them digits but for a point: it is exact by one division.
// The text must have a newline.
func plainDecimal(text []byte) (float64, bool) {
	var mantissa uint64
	point := -1
	i := 0
	for ; i <= 15; i++ {
		if c := text[i]; isDigit(c) {
			mantissa = mantissa*10 + uint64(c-'0')
			continue
		}
		if text[i] != '.' || point >= 0 {
			break
		}
		point = i
	}
	switch c := text[i]; {
	case i == 0 || i > 15 || i == point+1 || c == '.' || c == '-' || c == '+' || c|' ' == 'e' || isDigit(c):
		return 0, false
	case point < 0:
		return float64(mantissa), true
	default:
		return float64(mantissa) / powers[i-1-point], true
	}
}

// decimal reads any number.
func decimal(text []byte) (float64, bool) {
	f, err := strconv.ParseFloat(string(text), 64)
	return f, err == nil && !math.IsNaN(f)
}

// ParseTime reads an instant as a log writes it.
type ParseTime func(text string) (time.Time, error)

// clock reads instants. Those of one minute in the usual form are read without
// a calendar.
type clock struct {
	parse  ParseTime
	minute [len("2006-01-02T15:04:")]byte
	base   int64 // of minute, in nanoseconds since 1970
	known  bool
}

// timeAnswer is how the reading of an instant ended.
type timeAnswer int

const (
	noTime timeAnswer = iota
	timeRead
	timeOutOfRange // an instant that has no nanoseconds since 1970
)

func (c *clock) read(text []byte) (nanos int64, answer timeAnswer) {
	if len(text) > len(c.minute) && text[len(text)-1] == 'Z' {
		c.turn(text)
	}
	t, err := c.parse(string(text))
	switch {
	case err != nil:
		return 0, noTime
	case t.Before(earliest) || t.After(latest):
		return 0, timeOutOfRange
	default:
		return t.UnixNano(), timeRead
	}
}

// again reads an instant of the same minute as the last one, in the usual form
// and within quotes, the first of which text begins with.
func (c *clock) again(text []byte) (nanos int64, ok bool) {
	prefix := len(c.minute)
	if !c.known || len(text) < 1+prefix+2 || text[0] != '"' {
		return 0, false
	}
	if text = text[1:]; [len(c.minute)]byte(text) != c.minute {
		return 0, false
	}
	tens, ones := text[prefix]-'0', text[prefix+1]-'0'
	if tens > 5 || ones > 9 {
		return 0, false
	}
	unit := int64(time.Second)
	nanos = c.base + int64(tens*10+ones)*unit
	text = text[prefix+2:]
	if len(text) > 0 && text[0] == '.' {
		digits := 1
		for ; digits < len(text) && digits <= 9 && isDigit(text[digits]); digits++ {
			unit /= 10
			nanos += int64(text[digits]-'0') * unit
		}
		if digits == 1 {
			return 0, false
		}
		text = text[digits:]
	}
	return nanos, len(text) > 1 && text[0] == 'Z' && text[1] == '"'
}

// turn goes to the minute of an instant, if it is of the usual form.
func (c *clock) turn(text []byte) {
	c.minute = [len(c.minute)]byte(text)
	t, err := time.Parse(time.RFC3339, string(text[:len(c.minute)])+"00Z")
	c.known = err == nil && t.After(earliest.Add(time.Minute)) && t.Before(latest.Add(-time.Minute))
	if c.known {
		c.base = t.UnixNano()
	}
}

var (
	earliest = time.Unix(0, math.MinInt64)
	latest   = time.Unix(0, math.MaxInt64)
)
