// Climbing: finding the slowest where a backend cannot sort.

package backend

import (
	"context"
	"time"

	"triagebot/triage/tracelog"
)

// sample is some of the requests that a backend has; cut says that there are
// more of the kind.
type sample struct {
	candidates []tracelog.Candidate
	cut        bool
}

// The bounds of a climb.
const (
	firstRung  = time.Second
	lowestRung = time.Millisecond
	mostRungs  = 16
)

// climb finds the n slowest where a backend filters by duration and cannot
// sort: it asks for what took at least so long, and raises or lowers that until
// the answer is whole and holds n. A backend gives any of those that match,
// so only an answer that is not cut says which are the slowest. ask's bound is
// 0 where every request is meant.
func climb(ctx context.Context, n int, ask func(ctx context.Context, atLeast time.Duration) (sample, error)) (sample, error) {
	var all []tracelog.Candidate
	var low, high time.Duration // cut at low, too few at high; 0 where not known
	rung := firstRung
	for range mostRungs {
		s, err := ask(ctx, rung)
		if err != nil {
			return sample{candidates: tracelog.PickSlowest.Best(all), cut: true}, err
		}
		all = append(all, s.candidates...)
		enough := len(tracelog.PickSlowest.Best(s.candidates)) >= n
		switch {
		case !s.cut && (enough || rung == 0):
			return sample{candidates: tracelog.PickSlowest.Best(all)}, nil
		case s.cut:
			low = rung
		default:
			high = rung
		}
		switch {
		case rung == 0: // nothing slow, and too much of what is left
			return sample{candidates: tracelog.PickSlowest.Best(all), cut: true}, nil
		case high == 0:
			rung *= 8
		case low == 0 && rung <= lowestRung:
			rung = 0
		case low == 0:
			rung /= 8
		default:
			rung = low + (high-low)/2
			if high-low < high/50 {
				return sample{candidates: tracelog.PickSlowest.Best(all), cut: true}, nil
			}
		}
	}
	return sample{candidates: tracelog.PickSlowest.Best(all), cut: true}, nil
}
