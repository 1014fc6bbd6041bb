package incident_test

// A notification that cannot be folded, among good ones; and a database that
// cannot be written, which is no notification's fault.

import (
	"crypto/rand"
	"database/sql"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/receive"
)

// beside is a connection of the test's own, for what no part of the program does.
func (w *world) beside() *sql.DB {
	w.t.Helper()
	driver, source := "sqlite", "file:"+w.where.SQLitePath+"?_pragma=busy_timeout(10000)"
	if w.where.PostgresURL != "" {
		driver, source = "pgx", w.where.PostgresURL
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		w.t.Fatal(err)
	}
	return db
}

func (w *world) exec(statements ...string) {
	w.t.Helper()
	db := w.beside()
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.ExecContext(w.t.Context(), statement); err != nil {
			w.t.Fatalf("%s: %v", statement, err)
		}
	}
}

// count counts a table's rows.
func (w *world) count(table string) (n int) {
	w.t.Helper()
	db := w.beside()
	defer db.Close()
	if err := db.QueryRowContext(w.t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// commit writes notifications down without folding them.
func (w *world) commit(bodies ...[]byte) {
	w.t.Helper()
	batch := make([]receive.Raw, len(bodies))
	for i, body := range bodies {
		batch[i] = receive.Raw{Body: body, ReceivedAt: w.now}
	}
	if err := w.db.CommitNotifications(w.t.Context(), batch); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) wantNotifications(want map[string]int) {
	w.t.Helper()
	states, err := w.db.NotificationStates(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if diff := cmp.Diff(want, states); diff != "" {
		w.t.Errorf("notifications by state (-want +got):\n%s", diff)
	}
}

func TestANotificationThatTheDatabaseRefusesDoesNotHoldUpTheOthers(t *testing.T) {
	each(t, func(w *world) {
		if w.where.SQLitePath != "" {
			w.exec(`CREATE TRIGGER refuse BEFORE INSERT ON alerts WHEN NEW.labels_json LIKE '%"Poison"%'
				BEGIN SELECT RAISE(ABORT, 'refused'); END`)
		} else {
			// PostgreSQL refuses an index entry of more than a third of a page.
			w.c.Destinations = func(l triage.Labels) []triage.Destination {
				channel := "#inc"
				if l["alertname"] == "Poison" {
					for len(channel) < 10_000 { // text that does not compress
						channel += rand.Text()
					}
				}
				return []triage.Destination{{Notifier: "slack", Channel: channel}}
			}
		}
		w.commit(
			body(t, 0, alert("First", "a", 0, 0)), body(t, 0, alert("Poison", "a", 0, 0)),
			body(t, 0, alert("Second", "a", 0, 0)), body(t, 0, alert("Third", "a", 0, 0)),
			body(t, 0, alert("Poison", "b", 0, 0)), body(t, 0, alert("Poison", "c", 0, 0)),
			body(t, 0, alert("First", "b", 0, 0)),
		)
		if err := w.c.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantNotifications(map[string]int{"done": 4, "failed": 3})
		firing := map[string]int{}
		for _, inc := range w.incidents() {
			firing[inc.Alertname] = inc.Firing
		}
		if diff := cmp.Diff(map[string]int{"First": 2, "Second": 1, "Third": 1}, firing); diff != "" {
			t.Errorf("alerts that fire, by incident (-want +got):\n%s", diff)
		}
	})
}

func TestTroubleOfTheDatabaseSetsNothingAside(t *testing.T) {
	each(t, func(w *world) {
		w.commit(body(t, 0, alert("First", "a", 0, 0)), body(t, 0, alert("Second", "a", 0, 0)))
		w.exec(`ALTER TABLE timeline RENAME TO elsewhere`)
		if err := w.c.Drain(t.Context()); err == nil || !strings.Contains(err.Error(), "timeline") {
			t.Errorf("folding without a timeline: %v", err)
		}
		w.wantNotifications(map[string]int{"pending": 2})
		w.exec(`ALTER TABLE elsewhere RENAME TO timeline`)
		if err := w.c.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantNotifications(map[string]int{"done": 2})
	})
}

func TestACountThatNoColumnHoldsIsCutToTheLargest(t *testing.T) {
	each(t, func(w *world) {
		data := []byte(strings.Replace(string(body(t, 7, alert("Slow", "a", 0, 0))), `"truncatedAlerts":7`, `"truncatedAlerts":18446744073709551615`, 1))
		w.commit(data, data)
		if err := w.c.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantNotifications(map[string]int{"done": 2})
		if inc := w.only(); inc.Truncated != math.MaxInt64 {
			t.Errorf("%d truncated", inc.Truncated)
		}
	})
}
