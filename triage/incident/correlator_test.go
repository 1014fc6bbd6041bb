package incident_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/sirupsen/logrus"
	logrustest "github.com/sirupsen/logrus/hooks/test"

	"triagebot/triage"
	"triagebot/triage/incident"
	"triagebot/triage/receive"
	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

var t0 = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

func at(minutes float64) time.Time { return t0.Add(time.Duration(minutes * float64(time.Minute))) }

// world is a correlator on a database of its own, with a clock that the test moves.
type world struct {
	t     *testing.T
	where store.Options
	db    *store.DB
	c     *incident.Correlator
	now   time.Time
	log   *logrustest.Hook
}

func each(t *testing.T, test func(w *world)) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		w := &world{t: t, now: t0}
		where.Now = func() time.Time { return w.now }
		w.where, w.db = where, storetest.Open(t, where)
		w.c, w.log = correlator(t, w.db, where.Now)
		test(w)
	})
}

func correlator(t *testing.T, db *store.DB, now func() time.Time) (*incident.Correlator, *logrustest.Hook) {
	log, hook := logrustest.NewNullLogger()
	never := func(context.Context, int64) error { return nil }
	if _, err := db.NewJobs(store.JobsOptions{ReplicaID: "test", Run: never, Publish: never, Log: log}); err != nil {
		t.Fatal(err)
	}
	return incident.New(incident.Options{
		Store: db,
		Settings: func() incident.Settings {
			return incident.Settings{ReopenWithin: 15 * time.Minute, AlertTTL: 24 * time.Hour, RerunAfter: 5 * time.Minute, EditEvery: 5 * time.Second, VanishedAfter: 5 * time.Minute}
		},
		Playbook: func(l triage.Labels) (string, bool) { return "latency", l["alertname"] == "Slow" },
		Destinations: func(triage.Labels) []triage.Destination {
			return []triage.Destination{{Notifier: "slack", Channel: "#inc"}}
		},
		Parent: incident.Parent{Fallback: "fallback"},
		Now:    now,
		Log:    log,
	}), hook
}

func fingerprint(name, pod string) string {
	return model.LabelSet{"alertname": model.LabelValue(name), "pod": model.LabelValue(pod)}.Fingerprint().String()
}

// alert is one alert of a notification in Alertmanager's JSON.
func alert(name, pod string, start, end float64) map[string]any {
	a := map[string]any{
		"status": "firing", "labels": map[string]string{"alertname": name, "pod": pod, "severity": "critical"},
		"annotations": map[string]string{"summary": name + " is bad"},
		"startsAt":    at(start), "endsAt": time.Time{}, "generatorURL": "http://prometheus.example/graph?g0.expr=up",
		"fingerprint": fingerprint(name, pod),
	}
	if end > 0 {
		a["status"], a["endsAt"] = "resolved", at(end)
	}
	return a
}

// notify commits a notification received at the minute, and folds it.
func (w *world) notify(minute float64, truncated int, alerts ...map[string]any) {
	w.t.Helper()
	w.receive(minute, body(w.t, truncated, alerts...))
}

// notifyFrom is notify of the Alertmanager that has the external URL.
func (w *world) notifyFrom(minute float64, externalURL string, alerts ...map[string]any) {
	w.t.Helper()
	w.receive(minute, bytes.ReplaceAll(body(w.t, 0, alerts...), []byte("http://am.example"), []byte(externalURL)))
}

func (w *world) receive(minute float64, body []byte) {
	w.t.Helper()
	w.now = at(minute)
	raw := receive.Raw{Body: body, ReceivedAt: w.now}
	if err := w.db.CommitNotifications(w.t.Context(), []receive.Raw{raw}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.c.Drain(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func body(t *testing.T, truncated int, alerts ...map[string]any) []byte {
	data, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": `{}:{service="api"}`, "truncatedAlerts": truncated, "receiver": `triage\.bot`,
		"status": alerts[0]["status"], "alerts": alerts, "groupLabels": map[string]string{"service": "api"},
		"commonLabels": map[string]string{}, "commonAnnotations": map[string]string{}, "externalURL": "http://am.example",
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (w *world) incidents() []triage.Incident {
	w.t.Helper()
	list, err := w.db.Incidents(w.t.Context(), 100)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// only is the one incident that there must be.
func (w *world) only() triage.Incident {
	w.t.Helper()
	list := w.incidents()
	if len(list) != 1 {
		w.t.Fatalf("%d incidents, want one: %+v", len(list), list)
	}
	return list[0]
}

func (w *world) runs(id int64) int {
	w.t.Helper()
	runs, err := w.db.RunsOf(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(runs)
}

func (w *world) deliveries(id int64) (parents, others []triage.Delivery) {
	w.t.Helper()
	all, err := w.db.DeliveriesOf(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range all {
		if d.Kind == triage.DeliveryParent {
			parents = append(parents, d)
		} else {
			others = append(others, d)
		}
	}
	return parents, others
}

func (w *world) timeline(id int64) (kinds []string) {
	w.t.Helper()
	entries, err := w.db.Timeline(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	for i, e := range entries {
		if e.Seq != int64(i+1) {
			w.t.Errorf("timeline entry %d has seq %d", i+1, e.Seq)
		}
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func TestAFiringOpensOneIncidentWithItsRunAndParent(t *testing.T) {
	each(t, func(w *world) {
		w.notify(1, 0, alert("Slow", "a", 0, 0), alert("Slow", "b", 0.5, 0))
		inc := w.only()
		if inc.State != triage.IncidentFiring || inc.Firing != 2 || inc.Severity != "critical" || inc.Playbook != "latency" {
			t.Errorf("incident %+v", inc)
		}
		if inc.Key != `Slow{service="api"}` || !inc.StartedAt.Equal(at(0)) || !inc.OpenedAt.Equal(at(1)) {
			t.Errorf("key %s, started %s, opened %s", inc.Key, inc.StartedAt, inc.OpenedAt)
		}
		if n := w.runs(inc.ID); n != 1 {
			t.Errorf("%d runs, want 1", n)
		}
		jobs, err := w.db.JobStates(t.Context())
		if err != nil || jobs["available"] != 1 {
			t.Errorf("jobs %v (%v), want the run's", jobs, err)
		}
		parents, others := w.deliveries(inc.ID)
		if len(parents) != 1 || len(others) != 0 {
			t.Fatalf("%d parents, %d other deliveries; want 1 and none", len(parents), len(others))
		}
		if p := parents[0]; p.Priority != triage.PriorityCriticalParent || p.Body.Parent.Impact != "Slow is bad" || p.Nonce == "" {
			t.Errorf("parent %+v", p)
		}
		if diff := cmp.Diff([]string{"opened", "fired", "fired"}, w.timeline(inc.ID)); diff != "" {
			t.Errorf("timeline (-want +got):\n%s", diff)
		}
	})
}

func TestRepeatsChangeNothing(t *testing.T) {
	each(t, func(w *world) {
		w.notify(1, 0, alert("Slow", "a", 0, 0))
		before, timeline := w.only(), w.timeline(w.only().ID)
		for minute := 2.0; minute < 6; minute++ {
			w.notify(minute, 0, alert("Slow", "a", 0, 0))
		}
		after := w.only()
		after.Version = before.Version
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("the incident changed (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(timeline, w.timeline(after.ID)); diff != "" {
			t.Errorf("the timeline changed (-before +after):\n%s", diff)
		}
		if n := w.runs(after.ID); n != 1 {
			t.Errorf("%d runs, want 1", n)
		}
	})
}

func TestAlertnamesOfOneGroupAreIncidentsOfTheirOwn(t *testing.T) {
	each(t, func(w *world) {
		w.notify(1, 0, alert("Slow", "a", 0, 0), alert("Errors", "a", 0, 0))
		list := w.incidents()
		if len(list) != 2 || list[0].Alertname == list[1].Alertname {
			t.Fatalf("incidents %+v, want Slow and Errors", list)
		}
		w.notify(2, 0, alert("Slow", "a", 0, 2), alert("Errors", "a", 0, 0))
		states := map[string]triage.IncidentState{}
		for _, inc := range w.incidents() {
			states[inc.Alertname] = inc.State
		}
		want := map[string]triage.IncidentState{"Slow": triage.IncidentResolved, "Errors": triage.IncidentFiring}
		if diff := cmp.Diff(want, states); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
	})
}

func TestResolveNeedsAllAlertsAndAWholeMessage(t *testing.T) {
	each(t, func(w *world) {
		w.notify(1, 0, alert("Slow", "a", 0, 0), alert("Slow", "b", 0, 0))
		w.notify(2, 0, alert("Slow", "a", 0, 2), alert("Slow", "b", 0, 0))
		if inc := w.only(); inc.State != triage.IncidentFiring || inc.Firing != 1 {
			t.Errorf("after a partial resolve: %s with %d firing", inc.State, inc.Firing)
		}
		// max_alerts cut the firing ones off; the message as a whole says resolved.
		w.notify(3, 4, alert("Slow", "b", 0, 3))
		if inc := w.only(); inc.State != triage.IncidentFiring || inc.Truncated != 4 {
			t.Errorf("after a truncated resolve: %s, %d truncated; a truncated message closes nothing", inc.State, inc.Truncated)
		}
		w.notify(4, 0, alert("Slow", "a", 0, 2), alert("Slow", "b", 0, 3), alert("Slow", "c", 3, 3.5))
		// Every alert has ended by now, but this notification ended none: c was never seen firing.
		if inc := w.only(); inc.State != triage.IncidentResolved {
			t.Errorf("after the whole resolve: %s", inc.State)
		}
	})
}

func TestRefireWithinReopenWithinIsTheSameThread(t *testing.T) {
	each(t, func(w *world) {
		w.notify(1, 0, alert("Slow", "a", 0, 0))
		w.notify(3, 0, alert("Slow", "a", 0, 3))
		w.notify(4, 0, alert("Slow", "a", 4, 0)) // flapping: the last run is 3 minutes old
		inc := w.only()
		if inc.State != triage.IncidentFiring || inc.Reopened != 1 || !inc.ResolvedAt.IsZero() {
			t.Errorf("incident %+v, want it reopened once", inc)
		}
		if n := w.runs(inc.ID); n != 1 {
			t.Errorf("%d runs after a quick re-fire, want still 1", n)
		}
		w.notify(6, 0, alert("Slow", "a", 4, 6))
		w.notify(20, 0, alert("Slow", "a", 19, 0)) // 14 minutes later
		inc = w.only()
		if inc.Reopened != 2 {
			t.Errorf("reopened %d times, want 2", inc.Reopened)
		}
		if n := w.runs(inc.ID); n != 2 {
			t.Errorf("%d runs, want a second one", n)
		}
		parents, others := w.deliveries(inc.ID)
		if len(parents) != 1 {
			t.Errorf("%d parents, want the one", len(parents))
		}
		if len(others) != 2 || !strings.Contains(others[1].Body.Note.Text, "14m0s after it resolved (3rd time)") {
			t.Errorf("replies %+v, want a note for each reopening", others)
		}
	})
}

func TestAReopenedIncidentRunsThePlaybookThatMatchesNow(t *testing.T) {
	each(t, func(w *world) {
		w.notify(1, 0, alert("Slow", "a", 0, 0))
		w.notify(8, 0, alert("Slow", "a", 0, 8))
		w.c.Playbook = func(triage.Labels) (string, bool) { return "latency-renamed", true }
		w.notify(9, 0, alert("Slow", "a", 9, 0))
		inc := w.only()
		runs, err := w.db.RunsOf(t.Context(), inc.ID)
		if err != nil || len(runs) != 2 {
			t.Fatalf("runs %+v (%v), want a second one", runs, err)
		}
		if got := runs[1].Playbook; inc.Playbook != "latency-renamed" || got != "latency-renamed" {
			t.Errorf("the incident has playbook %s and its second run %s", inc.Playbook, got)
		}
	})
}

func TestRefireAfterReopenWithinIsAnotherIncident(t *testing.T) {
	each(t, func(w *world) {
		w.notify(1, 0, alert("Slow", "a", 0, 0))
		w.endRuns()
		w.notify(3, 0, alert("Slow", "a", 0, 3))
		w.notify(19, 0, alert("Slow", "a", 19, 0)) // before any sweep has closed the first
		list := w.incidents()
		if len(list) != 2 || list[0].State != triage.IncidentFiring || list[1].State != triage.IncidentClosed {
			t.Fatalf("incidents %+v, want the first closed and a second", list)
		}
		if diff := cmp.Diff([]string{"opened", "fired", "ended", "resolved", "closed"}, w.timeline(list[1].ID)); diff != "" {
			t.Errorf("timeline of the first (-want +got):\n%s", diff)
		}
	})
}

func TestSweepClosesWhatStaysResolvedAndExpiresWhatIsNeverHeardOf(t *testing.T) {
	each(t, func(w *world) {
		w.notify(1, 0, alert("Slow", "a", 0, 0), alert("Errors", "a", 0, 0))
		w.endRuns()
		w.notify(2, 0, alert("Slow", "a", 0, 2), alert("Errors", "a", 0, 0))
		sweep := func(minute float64) map[string]triage.IncidentState {
			w.now = at(minute)
			if err := w.c.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			states := map[string]triage.IncidentState{}
			for _, inc := range w.incidents() {
				states[inc.Alertname] = inc.State
			}
			return states
		}
		if got := sweep(16); got["Slow"] != triage.IncidentResolved {
			t.Errorf("14 minutes after its resolve Slow is %s", got["Slow"])
		}
		if got := sweep(17); got["Slow"] != triage.IncidentClosed || got["Errors"] != triage.IncidentFiring {
			t.Errorf("15 minutes after Slow's resolve: %v", got)
		}
		if got := sweep(24*60 + 3); got["Errors"] != triage.IncidentResolved {
			t.Errorf("a day after its last notification Errors is %s", got["Errors"])
		}
		for _, inc := range w.incidents() {
			if inc.Alertname == "Errors" && (inc.Resolution != triage.ResolvedByTTL || inc.Firing != 0) {
				t.Errorf("Errors resolved by %s with %d firing", inc.Resolution, inc.Firing)
			}
		}
	})
}

func TestANotificationThatCannotBeFoldedIsSetAside(t *testing.T) {
	each(t, func(w *world) {
		// Only a defect can bring it here: receive refuses such a body.
		batch := []receive.Raw{{Body: []byte(`{"version":"4"}`), ReceivedAt: w.now}, {Body: body(t, 0, alert("Slow", "a", 0, 0)), ReceivedAt: w.now}}
		if err := w.db.CommitNotifications(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if err := w.c.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.only()
		states, err := w.db.NotificationStates(t.Context())
		if diff := cmp.Diff(map[string]int{"failed": 1, "done": 1}, states); diff != "" || err != nil {
			t.Errorf("notifications (-want +got, %v):\n%s", err, diff)
		}
		if e := w.log.LastEntry(); e == nil || e.Level > logrus.InfoLevel {
			t.Errorf("log %v", e)
		}
	})
}

func TestAHundredTimesAtOnceAndAnInterleavedHAPairIsOneIncident(t *testing.T) {
	each(t, func(w *world) {
		other, _ := correlator(t, w.db, func() time.Time { return w.now })
		var wg sync.WaitGroup
		for i := range 100 {
			c, peer := w.c, "http://am-0.example"
			if i%2 == 1 {
				c, peer = other, "http://am-1.example"
			}
			wg.Go(func() {
				data := []byte(strings.Replace(string(body(t, 0, alert("Slow", "a", 0, 0))), "http://am.example", peer, 1))
				if err := w.db.CommitNotifications(t.Context(), []receive.Raw{{Body: data, ReceivedAt: t0}}); err != nil {
					t.Error(err)
				}
				if err := c.Drain(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		inc := w.only()
		parents, others := w.deliveries(inc.ID)
		if n := w.runs(inc.ID); n != 1 || len(parents) != 1 || len(others) != 0 {
			t.Errorf("%d runs, %d parents, %d others; want 1, 1, 0", n, len(parents), len(others))
		}
		states, err := w.db.NotificationStates(t.Context())
		if err != nil || states["done"] != 100 {
			t.Errorf("notifications %v (%v), want 100 done", states, err)
		}
	})
}

func TestLabelsThatAreAlikeAreAllRead(t *testing.T) {
	each(t, func(w *world) {
		same := triage.Labels{"alertname": "Slow"}
		inc := triage.Incident{Key: "Slow{}", Alertname: "Slow", State: triage.IncidentFiring, GroupLabels: same, Labels: same, Annotations: same}
		if err := w.db.Tx(t.Context(), func(tx *store.Tx) error { return tx.OpenIncident(t.Context(), &inc) }); err != nil {
			t.Fatal(err)
		}
		got := w.only()
		if diff := cmp.Diff([]triage.Labels{same, same, same}, []triage.Labels{got.GroupLabels, got.Labels, got.Annotations}); diff != "" {
			t.Errorf("labels (-want +got):\n%s", diff)
		}
	})
}

func TestBacklogIsBounded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		where.MaxBacklog = 10
		db := storetest.Open(t, where)
		raw := receive.Raw{Body: []byte("{}"), ReceivedAt: t0}
		for i := range 10 {
			if err := db.CommitNotifications(t.Context(), []receive.Raw{raw}); err != nil {
				t.Fatalf("notification %d of 10: %v", i+1, err)
			}
		}
		if err := db.CommitNotifications(t.Context(), []receive.Raw{raw}); err == nil {
			t.Error("the 11th was accepted over a bound of 10")
		}
	})
}
