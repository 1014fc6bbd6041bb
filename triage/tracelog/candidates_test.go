package tracelog

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheBestOfSeveralHomes(t *testing.T) {
	candidates := []Candidate{
		{ID: "late", Time: pickAt, Duration: time.Second},
		{ID: "again", Time: pickAt.Add(-2 * time.Minute), Duration: 3 * time.Second, Status: 500},
		{ID: "b", Time: pickAt.Add(-time.Minute), Duration: 2 * time.Second, Error: "boom"},
		{ID: "a", Time: pickAt.Add(-time.Minute).In(time.FixedZone("", 3600)), Duration: 2 * time.Second, Error: "boom"},
		{ID: "again", Time: pickAt.Add(time.Minute), Duration: time.Millisecond, Status: 499},
		{ID: "timeless", Duration: 2 * time.Second, Status: 503},
	}
	for by, want := range map[PickBy]string{
		PickSlowest:  "again/500 a/0 b/0 timeless/503 late/0",
		PickToolCall: "a/0 b/0 again/500 timeless/503 late/0",
		PickFailing:  "again/499 late/0 a/0 b/0 timeless/503", // that they failed is not asked here
	} {
		for range 3 {
			var got []string
			for _, c := range by.Best(candidates) {
				got = append(got, c.ID+"/"+map[int]string{0: "0", 499: "499", 500: "500", 503: "503"}[c.Status])
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s: %v, want %s", by, got, want)
			}
			slices.Reverse(candidates) // whoever answers first
		}
	}
}
