package backend

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"triagebot/triage/tracelog"
)

// A server that gives any requests that match, in no order and no more than
// its limit, still tells which are the slowest.
func TestClimbFindsTheSlowest(t *testing.T) {
	const limit, n = 20, 5
	spreads := map[string]func(i int) time.Duration{
		"alike within microseconds": func(i int) time.Duration { return 100*time.Millisecond + time.Duration(i)*time.Microsecond },
		"all fast":                  func(i int) time.Duration { return time.Duration(i) * time.Microsecond },
		"all slow":                  func(i int) time.Duration { return time.Duration(i+1) * time.Minute },
		"a long tail":               func(i int) time.Duration { return time.Duration(i*i*i) * time.Millisecond },
		"few of them":               func(i int) time.Duration { return time.Duration(i/997) * time.Hour },
	}
	for name, spread := range spreads {
		t.Run(name, func(t *testing.T) {
			var requests []tracelog.Candidate
			for i := range 1000 {
				requests = append(requests, tracelog.Candidate{ID: fmt.Sprint(i), Duration: spread(i)})
			}
			rng := rand.New(rand.NewPCG(1, 2))
			asked := 0
			got, err := climb(context.Background(), n, func(_ context.Context, atLeast time.Duration) (sample, error) {
				asked++
				var s sample
				for _, i := range rng.Perm(len(requests)) {
					if requests[i].Duration < atLeast {
						continue
					}
					if len(s.candidates) == limit {
						s.cut = true
						break
					}
					s.candidates = append(s.candidates, requests[i])
				}
				return s, nil
			})
			if err != nil || asked > mostRungs {
				t.Fatalf("asked %d times: %v", asked, err)
			}
			best := got.candidates[:min(n, len(got.candidates))]
			for i, c := range best {
				if want := requests[len(requests)-1-i].Duration; c.Duration != want && !got.cut {
					t.Errorf("place %d took %s, not %s, and it is not said that it may be another", i, c.Duration, want)
				}
			}
			if name == "a long tail" && (got.cut || len(best) != n) {
				t.Errorf("got %d, cut %v", len(best), got.cut)
			}
		})
	}
}
