package backend

import (
	"slices"
	"testing"
	"time"

	"triagebot/triage/tracelog"
)

// Whatever the hint, the windows leave no instant of the look-back out and look
// at none twice.
func TestWindowsTileTheLookBack(t *testing.T) {
	const lookBack = 24 * time.Hour
	tests := map[string]struct {
		at   time.Time
		near int
	}{
		"no hint":               {time.Time{}, 0},
		"in the middle":         {noon.Add(-5 * time.Hour), 1},
		"now":                   {noon, 1},
		"across the beginning":  {noon.Add(-lookBack), 1},
		"before the beginning":  {noon.Add(-90 * 24 * time.Hour), 1},
		"in the future":         {noon.Add(time.Hour), 1},
		"near the end of ahead": {noon.Add(ahead), 1},
	}
	for name, test := range tests {
		for _, longest := range []time.Duration{time.Hour, 7 * time.Hour, 366 * 24 * time.Hour} {
			all, near := windows(tracelog.Query{At: test.at, Slack: 10 * time.Minute}, noon, lookBack, longest)
			if near != test.near {
				t.Errorf("%s: %d windows near the hint", name, near)
			}
			for i := near + 1; i < len(all); i++ {
				if all[i].from.After(all[i-1].from) {
					t.Errorf("%s: window %d is newer than the one before", name, i)
				}
			}
			byTime := slices.Clone(all)
			slices.SortFunc(byTime, func(a, b window) int { return a.from.Compare(b.from) })
			var total time.Duration
			for i, w := range byTime {
				if !w.from.Before(w.to) || w.to.Sub(w.from) > longest {
					t.Errorf("%s: window %v", name, w)
				}
				if i > 0 && w.from.Before(byTime[i-1].to) {
					t.Errorf("%s: %v is searched twice", name, w)
				}
				from, to := later(w.from, noon.Add(-lookBack)), earlier(w.to, noon.Add(ahead))
				total += max(to.Sub(from), 0)
			}
			if total != lookBack+ahead {
				t.Errorf("%s: %s of the look-back are searched", name, total)
			}
		}
	}
}
