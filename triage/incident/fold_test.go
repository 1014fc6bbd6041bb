package incident

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
)

var t0 = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

// at is an instant some minutes into the story.
func at(minutes float64) time.Time { return t0.Add(time.Duration(minutes * float64(time.Minute))) }

func firing(fingerprint string, start float64) triage.Alert {
	return triage.Alert{Fingerprint: fingerprint, Status: triage.AlertFiring, StartsAt: at(start), Labels: triage.Labels{"alertname": "Slow", "pod": fingerprint}}
}

func resolved(fingerprint string, start, end float64) triage.Alert {
	a := firing(fingerprint, start)
	a.Status, a.EndsAt = triage.AlertResolved, at(end)
	return a
}

// presumed is an alert that counts as over though no end was reported.
func presumed(fingerprint string, start float64) triage.Alert {
	a := firing(fingerprint, start)
	a.Status = triage.AlertResolved
	return a
}

func alerts(as ...triage.Alert) []triage.Alert { return as }

func TestFold(t *testing.T) {
	for _, tc := range []struct {
		name            string
		known, incoming []triage.Alert
		at              float64
		after           []triage.Alert
		fires, ends     int
	}{
		{
			name:     "the first firing",
			incoming: alerts(firing("a", 0)), at: 1,
			after: alerts(firing("a", 0)), fires: 1,
		},
		{
			name:  "the same again changes nothing",
			known: alerts(firing("a", 0)), incoming: alerts(firing("a", 0)), at: 5,
			after: alerts(firing("a", 0)),
		},
		{
			name:  "a partial resolve leaves the other firing",
			known: alerts(firing("a", 0), firing("b", 1)), incoming: alerts(resolved("a", 0, 4), firing("b", 1)), at: 5,
			after: alerts(resolved("a", 0, 4), firing("b", 1)), ends: 1,
		},
		{
			name:  "startsAt moves earlier: still the same alert",
			known: alerts(firing("a", 2)), incoming: alerts(firing("a", 1)), at: 5,
			after: alerts(firing("a", 1)),
		},
		{
			name:  "a resolve whose startsAt moved earlier resolves it",
			known: alerts(firing("a", 2)), incoming: alerts(resolved("a", 1, 5)), at: 5,
			after: alerts(resolved("a", 1, 5)), ends: 1,
		},
		{
			name:  "the resolve in between was lost: one ends, one fires",
			known: alerts(firing("a", 0)), incoming: alerts(firing("a", 9)), at: 10,
			after: alerts(resolved("a", 0, 9), firing("a", 9)), fires: 1, ends: 1,
		},
		{
			name:  "the late resolve of an earlier firing does not end the one that fires now",
			known: alerts(firing("a", 9)), incoming: alerts(resolved("a", 0, 4)), at: 10,
			after: alerts(firing("a", 9), resolved("a", 0, 4)),
		},
		{
			name:  "a slower HA peer still says firing, seconds after the resolve",
			known: alerts(resolved("a", 0, 4)), incoming: alerts(firing("a", 0)), at: 4.25,
			after: alerts(resolved("a", 0, 4)),
		},
		{
			name:  "the same firing long after its end is a new one: Prometheus was away",
			known: alerts(resolved("a", 0, 4)), incoming: alerts(firing("a", 0)), at: 9,
			after: alerts(firing("a", 0)), fires: 1,
		},
		{
			name:  "the same firing seconds after an end that was only presumed",
			known: alerts(presumed("a", 0)), incoming: alerts(firing("a", 0)), at: 4.25,
			after: alerts(firing("a", 0)), fires: 1,
		},
		{
			name:  "an end that was presumed is reported after all",
			known: alerts(presumed("a", 0)), incoming: alerts(resolved("a", 0, 4)), at: 5,
			after: alerts(resolved("a", 0, 4)),
		},
		{
			name:     "a resolve of what never fired here is kept, and fires nothing",
			incoming: alerts(resolved("a", 0, 4)), at: 5,
			after: alerts(resolved("a", 0, 4)),
		},
		{
			name:     "one notification with both firings of a flapping alert",
			incoming: alerts(resolved("a", 0, 2), firing("a", 3)), at: 4,
			after: alerts(resolved("a", 0, 2), firing("a", 3)), fires: 1,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			changes, after := fold(tc.known, tc.incoming, at(tc.at))
			if diff := cmp.Diff(tc.after, after); diff != "" {
				t.Errorf("alerts afterwards (-want +got):\n%s", diff)
			}
			if fires, ends := count(changes); fires != tc.fires || ends != tc.ends {
				t.Errorf("%d fire and %d end, want %d and %d", fires, ends, tc.fires, tc.ends)
			}
			again, still := fold(after, tc.incoming, at(tc.at))
			if diff := cmp.Diff(after, still); diff != "" {
				t.Errorf("the same notification a second time changed the alerts (-first +second):\n%s", diff)
			}
			if fires, ends := count(again); fires != 0 || ends != 0 {
				t.Errorf("the same notification a second time: %d fire and %d end", fires, ends)
			}
		})
	}
}

// Compare the time of one alert: it must not depend on how many there are.
func BenchmarkFold(b *testing.B) {
	for _, n := range []int{1000, 30_000} {
		known, again, flapping := make([]triage.Alert, n), make([]triage.Alert, n), make([]triage.Alert, n)
		for i := range n {
			known[i] = firing(strconv.Itoa(i), 0)
			again[i] = known[i]
			if i%2 == 1 {
				again[i] = resolved(strconv.Itoa(i), 0, 4)
			}
			flapping[i] = firing("a", float64(i))
		}
		for _, bc := range []struct {
			name            string
			known, incoming []triage.Alert
		}{{"new", nil, known}, {"known", known, again}, {"flapping", nil, flapping}} {
			b.Run(fmt.Sprintf("%s/alerts=%d", bc.name, n), func(b *testing.B) {
				for b.Loop() {
					fold(bc.known, bc.incoming, at(5))
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/alert")
			})
		}
	}
}

func TestFoldLeavesKnownAlone(t *testing.T) {
	known := alerts(firing("a", 0))
	fold(known, alerts(resolved("a", 0, 3)), at(4))
	if known[0].Status != triage.AlertFiring {
		t.Error("fold changed the slice it was given")
	}
}

func TestSummarize(t *testing.T) {
	critical, warning := firing("c", 3), firing("w", 1)
	critical.Labels["severity"], warning.Labels["severity"] = "critical", "warning"
	critical.Annotations = triage.Labels{"summary": "all is lost"}

	var inc triage.Incident
	summarize(&inc, alerts(warning, critical))
	if inc.Severity != "critical" || inc.Firing != 2 || !inc.StartedAt.Equal(at(1)) {
		t.Errorf("severity %q, %d firing since %s", inc.Severity, inc.Firing, inc.StartedAt)
	}
	if inc.Annotations["summary"] != "all is lost" {
		t.Errorf("annotations %v, want those of the worst alert", inc.Annotations)
	}
	if diff := cmp.Diff(triage.Labels{"alertname": "Slow"}, inc.Labels); diff != "" {
		t.Errorf("common labels (-want +got):\n%s", diff)
	}

	over := critical
	over.Status, over.EndsAt = triage.AlertResolved, at(6)
	summarize(&inc, alerts(warning, over))
	if inc.Severity != "warning" {
		t.Errorf("severity %q after the critical alert ended, want that of what still fires", inc.Severity)
	}
	done := warning
	done.Status, done.EndsAt = triage.AlertResolved, at(7)
	summarize(&inc, alerts(done, over))
	if inc.Severity != "warning" || inc.Firing != 0 {
		t.Errorf("severity %q with %d firing, want the last one kept", inc.Severity, inc.Firing)
	}
}
