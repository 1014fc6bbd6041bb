package incident_test

import (
	"fmt"
	"testing"
	"time"

	"triagebot/triage"
	"triagebot/triage/incident"
)

const day = 24 * time.Hour

// keep has the sweep forget closed incidents and failed notifications.
func (w *world) keep(incidents, failed time.Duration) {
	settings := w.c.Settings()
	settings.KeepIncidents, settings.KeepFailed = incidents, failed
	w.c.Settings = func() incident.Settings { return settings }
}

func (w *world) sweep(minute float64) {
	w.t.Helper()
	w.now = at(minute)
	if err := w.c.Sweep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// close opens an incident and takes it to its end, with all that it owes done.
func (w *world) close() {
	w.t.Helper()
	w.notify(1, 0, alert("Slow", "a", 0, 0))
	w.notify(2, 0, alert("Slow", "a", 0, 2))
	w.endRuns()
	w.sweep(20)
	if inc := w.only(); inc.State != triage.IncidentClosed {
		w.t.Fatalf("the incident is %s, want it closed", inc.State)
	}
	w.exec(
		`INSERT INTO evidence (incident_id, seq, entry_json) SELECT id, 1, '{}' FROM incidents`,
		`INSERT INTO bundles (incident_id, publisher, ticket, lease_until, head) SELECT id, 'test', 1, 0, 'ab' FROM incidents`,
		`INSERT INTO findings (run_id, step_id, incident_id, verdict, finding_json, created_at) SELECT id, 'p95', incident_id, 'normal', '{}', 0 FROM runs`,
		`UPDATE runs SET state = 'finished'`,
		`UPDATE deliveries SET state = 'sent'`,
		`DELETE FROM river_job`,
	)
}

func TestAClosedIncidentIsForgottenWithAllItsRows(t *testing.T) {
	each(t, func(w *world) {
		w.close()
		w.keep(30*day, 0)
		w.sweep(20 + 30*24*60)
		w.only() // not a moment too early
		w.sweep(21 + 30*24*60)
		for _, table := range []string{"incidents", "alerts", "runs", "findings", "evidence", "bundles", "timeline", "deliveries"} {
			if n := w.count(table); n != 0 {
				t.Errorf("%d rows are left in %s", n, table)
			}
		}
	})
}

func TestIncidentsThatCannotBeForgottenDoNotStarveTheOthers(t *testing.T) {
	const stuck = 50 // as many as one sweep tries
	each(t, func(w *world) {
		for n := range stuck + 1 {
			name := fmt.Sprintf("Slow%d", n)
			w.notify(1, 0, alert(name, "a", 0, 0))
			w.notify(2, 0, alert(name, "a", 0, 2))
		}
		w.endRuns()
		w.sweep(20)
		w.exec(
			`UPDATE deliveries SET state = 'sent'`,
			`DELETE FROM river_job`,
			`CREATE TABLE pins (pinned BIGINT NOT NULL REFERENCES incidents (id))`,
			fmt.Sprintf(`INSERT INTO pins (pinned) SELECT id FROM incidents ORDER BY id LIMIT %d`, stuck),
		)
		w.keep(day, 0)
		w.now = at(100 * 24 * 60)
		if err := w.c.Sweep(t.Context()); err == nil {
			t.Error("what kept the first was not reported")
		}
		w.sweep(100 * 24 * 60)
		if n := w.count("incidents"); n != stuck {
			t.Errorf("%d incidents are left, want the %d that cannot be forgotten", n, stuck)
		}
		w.exec(`DELETE FROM pins`)
		w.sweep(100 * 24 * 60)
		if n := w.count("incidents"); n != 0 {
			t.Errorf("%d incidents are left when nothing keeps them any more", n)
		}
	})
}

func TestWhatIsNotOverIsNeverForgotten(t *testing.T) {
	for _, tc := range []struct {
		name  string
		state []string // statements that make it so
	}{
		{"it fires", []string{`UPDATE incidents SET state = 'firing'`}},
		{"it is resolved", []string{`UPDATE incidents SET state = 'resolved', resolved_at = closed_at + 86400000000 * 365`}},
		{"a run is pending", []string{`UPDATE runs SET state = 'pending'`}},
		{"a run is under way", []string{`UPDATE runs SET state = 'running'`}},
		{"a message is owed", []string{`UPDATE deliveries SET state = 'pending'`}},
		{"a message is being sent", []string{`UPDATE deliveries SET state = 'sending'`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			each(t, func(w *world) {
				w.close()
				w.exec(tc.state...)
				w.keep(day, day)
				settings := w.c.Settings()
				settings.AlertTTL = 1000 * day // the state is what the test is about
				w.c.Settings = func() incident.Settings { return settings }
				before := w.count("timeline") + w.count("deliveries") + w.count("runs") + w.count("alerts")
				w.sweep(100 * 24 * 60)
				w.only()
				if after := w.count("timeline") + w.count("deliveries") + w.count("runs") + w.count("alerts"); after != before {
					t.Errorf("%d rows of %d are left", after, before)
				}
			})
		})
	}
	t.Run("its bundle is not sealed", func(t *testing.T) {
		each(t, func(w *world) {
			w.notify(1, 0, alert("Slow", "a", 0, 0))
			w.notify(2, 0, alert("Slow", "a", 0, 2))
			w.endRuns()
			w.sweep(20)
			w.exec(`UPDATE deliveries SET state = 'sent'`)
			w.keep(day, day)
			w.sweep(100 * 24 * 60)
			w.only()
			w.exec(`UPDATE river_job SET state = 'completed', finalized_at = CURRENT_TIMESTAMP`)
			w.sweep(100 * 24 * 60)
			if n := w.count("incidents"); n != 0 {
				t.Errorf("%d incidents are left after the bundle was sealed", n)
			}
		})
	})
}

func TestRetentionOfZeroKeepsForGood(t *testing.T) {
	each(t, func(w *world) {
		w.close()
		w.commit([]byte(`{"version":"4"}`))
		if err := w.c.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.sweep(10_000 * 24 * 60)
		w.only()
		w.wantNotifications(map[string]int{"failed": 1})
		w.keep(0, 30*day)
		w.sweep(10_000 * 24 * 60)
		w.wantNotifications(map[string]int{})
		w.only()
	})
}
