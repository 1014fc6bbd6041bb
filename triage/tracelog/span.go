// Stretches of time.

package tracelog

import "time"

// span is a stretch of time; the zero span is none.
type span struct{ from, to time.Time }

// with is the span stretched to an instant.
func (s span) with(t time.Time) span {
	switch {
	case t.IsZero():
	case s.from.IsZero():
		s = span{t, t}
	case t.Before(s.from):
		s.from = t
	case t.After(s.to):
		s.to = t
	}
	return s
}

// hull is the span over both.
func (s span) hull(o span) span { return s.with(o.from).with(o.to) }

// has says whether an instant lies within the span, its ends included.
func (s span) has(t time.Time) bool {
	return !t.IsZero() && !t.Before(s.from) && !t.After(s.to)
}

func (s span) length() time.Duration { return s.to.Sub(s.from) }
