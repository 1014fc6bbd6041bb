// Windows: which stretches of time are searched, and in which order.

package backend

import (
	"time"

	"triagebot/triage/tracelog"
)

// window is a stretch of time without its end.
type window struct{ from, to time.Time }

// ahead is how far past now is searched, for clocks differ.
const ahead = time.Minute

// windows are what to search: around the hinted time, where there is one, then
// the rest of the look-back, the newest first, in pieces no longer than a
// backend takes. near is how many of them are near the hint.
func windows(q tracelog.Query, now time.Time, lookBack, longest time.Duration) (all []window, near int) {
	whole := window{now.Add(-lookBack), now.Add(ahead)}
	if q.At.IsZero() {
		return pieces(whole, longest), 0
	}
	slack := min(positive(q.Slack, tracelog.DefaultSlack), lookBack)
	hinted := window{q.At.Add(-slack), q.At.Add(slack)}
	all = pieces(hinted, longest)
	near = len(all)
	all = append(all, pieces(window{later(whole.from, hinted.to), whole.to}, longest)...)
	return append(all, pieces(window{whole.from, earlier(whole.to, hinted.from)}, longest)...), near
}

// pieces cuts a window, the newest piece first.
func pieces(w window, longest time.Duration) []window {
	var cut []window
	for w.from.Before(w.to) {
		piece := window{later(w.from, w.to.Add(-longest)), w.to}
		cut = append(cut, piece)
		w.to = piece.from
	}
	return cut
}

// pickWindow is what a pick is from; cut says that it is shorter than asked for.
func pickWindow(p tracelog.Pick, lookBack, longest time.Duration) (w window, cut bool) {
	within := p.Within
	if within <= 0 {
		within = lookBack
	}
	// The end is part of the window of a pick.
	return window{p.At.Add(-min(within, longest)), p.At.Add(time.Nanosecond)}, within > longest
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
