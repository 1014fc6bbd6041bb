package incident_test

// Notifications that no single transaction folds.

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
)

func TestAKillBetweenThePartsOfANotificationLosesAndDoublesNothing(t *testing.T) {
	each(t, func(w *world) {
		const names = 250
		var alerts []map[string]any
		for i := range names {
			alerts = append(alerts, alert(fmt.Sprintf("N%03d", i), "a", 0, 0))
		}
		w.commit(body(t, 0, alerts...))
		destinations := w.c.Destinations
		ctx, kill := context.WithCancel(t.Context())
		opened := 0
		w.c.Destinations = func(l triage.Labels) []triage.Destination {
			if opened++; opened == names-10 { // within the last part
				kill()
			}
			return destinations(l)
		}
		if err := w.c.Drain(ctx); err == nil {
			t.Fatal("the kill made no difference")
		}
		w.wantNotifications(map[string]int{"pending": 1})
		if n := w.count("incidents"); n == 0 || n >= names-10 {
			t.Errorf("%d incidents after the kill, want those of the first part", n)
		}
		again, _ := correlator(t, w.db, w.where.Now)
		if err := again.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantNotifications(map[string]int{"done": 1})
		got := map[string]int{}
		for _, what := range []string{"incidents", "runs", "deliveries", "alerts", "alerts WHERE seen = 1"} {
			got[what] = w.count(what)
		}
		want := map[string]int{"incidents": names, "runs": names, "deliveries": names, "alerts": names, "alerts WHERE seen = 1": names}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
	})
}

// While it is folded in parts, an incident is never seen to resolve that does
// not: here all that fired has ended, and the last alert of the body fires.
func TestAnIncidentThatIsFoldedInPartsResolvesOnlyAtItsEnd(t *testing.T) {
	each(t, func(w *world) {
		const pods = 2 * 3980 // two whole parts
		group := func(end float64, more ...map[string]any) []byte {
			var alerts []map[string]any
			for i := range pods {
				a := alert("Slow", fmt.Sprint(i), 0, end)
				a["annotations"] = map[string]string{}
				alerts = append(alerts, a)
			}
			return body(t, 0, append(alerts, more...)...)
		}
		w.receive(1, group(0))
		if inc := w.only(); inc.Firing != pods || inc.Alerts != pods || w.runs(inc.ID) != 1 {
			t.Errorf("%d fire of %d, %d runs", inc.Firing, inc.Alerts, w.runs(inc.ID))
		}
		w.receive(3, group(2, alert("Slow", "late", 2, 0)))
		inc := w.only()
		if inc.State != triage.IncidentFiring || inc.Firing != 1 || inc.Alerts != pods+1 {
			t.Errorf("%s, %d fire of %d", inc.State, inc.Firing, inc.Alerts)
		}
		if kinds := w.timeline(inc.ID); slices.Contains(kinds, "resolved") || slices.Contains(kinds, "reopened") {
			t.Errorf("the timeline says %v", kinds)
		}
		w.receive(5, body(t, 0, alert("Slow", "late", 2, 4)))
		if inc := w.only(); inc.State != triage.IncidentResolved {
			t.Errorf("after all has ended it is %s", inc.State)
		}
	})
}
