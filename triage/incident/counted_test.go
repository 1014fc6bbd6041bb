package incident_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"triagebot/triage/incident"
)

// Each alert of a notification is counted by what came of it, so that one that
// is dropped does not vanish behind what the others change.
func TestWhatComesOfEachAlertIsCounted(t *testing.T) {
	each(t, func(w *world) {
		registry := prometheus.NewRegistry()
		opts := w.c.Options
		opts.Registerer = registry
		w.c = incident.New(opts)
		counted := map[string]int{"fired": 0, "ended": 0, "changed": 0, "duplicate": 0, "late": 0, "unseen": 0}
		want := func(what string, more ...string) {
			t.Helper()
			for _, result := range more {
				counted[result]++
			}
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]int{}
			for _, f := range families {
				if f.GetName() != "triagebot_alerts_folded_total" {
					continue
				}
				for _, m := range f.GetMetric() {
					got[m.GetLabel()[0].GetValue()] = int(m.GetCounter().GetValue())
				}
			}
			if diff := cmp.Diff(counted, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		want("before anything")
		w.notify(1, 0, alert("Slow", "a", 0, 2))
		want("the end of what nobody saw firing", "unseen")
		w.notify(3, 0, alert("Slow", "b", 3, 0), alert("Slow", "c", 3, 0))
		want("two fire", "fired", "fired")
		w.notify(5, 0, alert("Slow", "b", 3, 5), alert("Slow", "c", 3, 0))
		want("one ends, the other goes on", "ended", "duplicate")
		w.notify(5.5, 0, alert("Slow", "b", 3, 0), alert("Slow", "d", 5, 0))
		want("the late word of a peer beside a new alert", "late", "fired")
		if inc := w.only(); inc.Firing != 2 {
			t.Errorf("%d alerts fire, want the two that did not end", inc.Firing)
		}
		w.notify(8, 0, alert("Slow", "c", 7, 0))
		want("a new firing whose resolve was lost", "ended", "fired")
	})
}
