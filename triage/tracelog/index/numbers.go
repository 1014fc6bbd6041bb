// Numbers and times as logs write them, read fast where they are plain.

package index

import (
	"math"
	"strconv"
	"time"
)

var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// decimal reads a number. What has up to 15 digits and no exponent is exact by
// one division.
func decimal(text []byte) (float64, bool) {
	var mantissa uint64
	point := -1
	for i, c := range text {
		switch {
		case isDigit(c):
			mantissa = mantissa*10 + uint64(c-'0')
		case c == '.' && point < 0 && i > 0 && i < len(text)-1:
			point = i
		default:
			return slowDecimal(text)
		}
	}
	switch {
	case len(text) == 0 || len(text) > 15:
		return slowDecimal(text)
	case point < 0:
		return float64(mantissa), true
	default:
		return float64(mantissa) / powers[len(text)-1-point], true
	}
}

func slowDecimal(text []byte) (float64, bool) {
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
	prefix := len(c.minute)
	if len(text) > prefix+2 && text[len(text)-1] == 'Z' {
		if !c.known || [len(c.minute)]byte(text) != c.minute {
			c.turn(text)
		}
		if c.known {
			if sub, ok := seconds(text[prefix : len(text)-1]); ok {
				return c.base + sub, timeRead
			}
		}
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

// seconds reads "05" and "05.123456789", with one to nine digits after the
// point, as nanoseconds.
func seconds(text []byte) (int64, bool) {
	if !isDigit(text[0]) || text[0] > '5' || !isDigit(text[1]) {
		return 0, false
	}
	whole := int64(text[0]-'0')*10 + int64(text[1]-'0')
	if len(text) == 2 {
		return whole * int64(time.Second), true
	}
	fraction := text[3:]
	if text[2] != '.' || len(fraction) == 0 || len(fraction) > 9 {
		return 0, false
	}
	unit := int64(time.Second)
	nanos := whole * unit
	for _, d := range fraction {
		if !isDigit(d) {
			return 0, false
		}
		unit /= 10
		nanos += int64(d-'0') * unit
	}
	return nanos, true
}
