// Candidates: what a record says of the request that it is about, and which of
// several are the slowest, the latest, the ones that failed.

package backend

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"triagebot/triage/tracelog"
)

// candidate reads a record for a pick. It returns false when the record names
// no request.
func (b *base) candidate(fields map[string]any, at time.Time) (tracelog.Candidate, bool) {
	roles := &b.source.Roles
	c := tracelog.Candidate{
		Source:   b.name,
		Time:     at,
		Duration: took(fields, roles),
		Error:    failure(fields, roles.Error),
		Route:    value(fields, roles.Route),
	}
	c.Status, _ = strconv.Atoi(value(fields, roles.Status)) // 0 where it is none
	for _, key := range b.source.Keys {
		if c.ID = value(fields, key); c.ID != "" {
			return c, checkID(c.ID) == nil
		}
	}
	return c, false
}

func value(fields map[string]any, name string) string {
	v, _ := tracelog.Field(fields, name)
	return tracelog.Text(v)
}

// took is the duration that a record reports, 0 where it reports none.
func took(fields map[string]any, roles *tracelog.Roles) time.Duration {
	f, err := strconv.ParseFloat(value(fields, roles.Duration), 64)
	if f *= float64(unit(roles)); err != nil || !(f > 0 && f < math.MaxInt64/4) {
		return 0
	}
	return time.Duration(f)
}

// unit is that of durations.
func unit(roles *tracelog.Roles) time.Duration {
	switch roles.Unit {
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

// failure is why it failed, "" where the record does not say that it did.
func failure(fields map[string]any, name string) string {
	switch v, _ := tracelog.Field(fields, name); v := v.(type) {
	case bool:
		if v {
			return "error"
		}
		return ""
	case map[string]any:
		if len(v) == 0 {
			return ""
		}
		return cmp.Or(tracelog.Text(v["message"]), "error")
	default:
		if text := tracelog.Text(v); text != "false" && text != "0" {
			return text
		}
		return ""
	}
}

func failed(c tracelog.Candidate) bool { return c.Status >= 500 || c.Error != "" }

// longestFirst and latestFirst order candidates.
func longestFirst(a, b tracelog.Candidate) int {
	return cmp.Or(cmp.Compare(b.Duration, a.Duration), latestFirst(a, b))
}

func latestFirst(a, b tracelog.Candidate) int {
	return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.ID, b.ID))
}

// failingFirst puts those that failed before the rest.
func failingFirst(a, b tracelog.Candidate) int {
	if f, g := failed(a), failed(b); f != g {
		if f {
			return -1
		}
		return 1
	}
	return latestFirst(a, b)
}

// rank orders candidates and keeps the best of each request.
func rank(candidates []tracelog.Candidate, order func(a, b tracelog.Candidate) int) []tracelog.Candidate {
	candidates = slices.Clone(candidates)
	slices.SortStableFunc(candidates, order)
	seen := map[string]bool{}
	return slices.DeleteFunc(candidates, func(c tracelog.Candidate) bool {
		again := seen[c.ID]
		seen[c.ID] = true
		return again
	})
}

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
			return sample{candidates: rank(all, longestFirst), cut: true}, err
		}
		all = append(all, s.candidates...)
		enough := len(rank(s.candidates, longestFirst)) >= n
		switch {
		case !s.cut && (enough || rung == 0):
			return sample{candidates: rank(all, longestFirst)}, nil
		case s.cut:
			low = rung
		default:
			high = rung
		}
		switch {
		case rung == 0: // nothing slow, and too much of what is left
			return sample{candidates: rank(all, longestFirst), cut: true}, nil
		case high == 0:
			rung *= 8
		case low == 0 && rung <= lowestRung:
			rung = 0
		case low == 0:
			rung /= 8
		default:
			rung = low + (high-low)/2
			if high-low < high/50 {
				return sample{candidates: rank(all, longestFirst), cut: true}, nil
			}
		}
	}
	return sample{candidates: rank(all, longestFirst), cut: true}, nil
}

// first keeps the best n.
func first(candidates []tracelog.Candidate, n int) []tracelog.Candidate {
	return candidates[:min(max(n, 0), len(candidates))]
}
