package store_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

// column is one of a table's, as the database describes it.
type column struct{ name, kind string }

// tablesOfIncidents are the tables with a column incident_id, as the database
// has them, with their columns; runs first, for a finding belongs to one.
func tablesOfIncidents(t *testing.T, db *sql.DB, where store.Options) (names []string, columns map[string][]column) {
	t.Helper()
	query := `SELECT m.name, c.name, c.type FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'`
	if where.PostgresURL != "" {
		query = `SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = current_schema()`
	}
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns = map[string][]column{}
	for rows.Next() {
		var table string
		var c column
		if err := rows.Scan(&table, &c.name, &c.kind); err != nil {
			t.Fatal(err)
		}
		columns[table] = append(columns[table], c)
		if c.name == "incident_id" {
			names = append(names, table)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(names, func(a, b string) int {
		switch {
		case a == "runs":
			return -1
		case b == "runs":
			return 1
		default:
			return strings.Compare(a, b)
		}
	})
	return names, columns
}

// fill inserts a row whose numbers are all n, and whose texts go with it.
func fill(t *testing.T, db *sql.DB, table string, columns []column, n int64) {
	t.Helper()
	var names, values []string
	for _, c := range columns {
		value := fmt.Sprint(n)
		switch {
		case strings.HasSuffix(c.name, "_json"):
			value = "'{}'"
		case strings.EqualFold(c.kind, "text"):
			value = fmt.Sprintf("'x%d'", n)
		}
		names, values = append(names, c.name), append(values, value)
	}
	mustExec(t, db, "INSERT INTO "+table+" ("+strings.Join(names, ", ")+") VALUES ("+strings.Join(values, ", ")+")")
}

func mustExec(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// closed makes incidents that were closed one after the other, the first one
// microsecond after the epoch.
func closed(t *testing.T, db *sql.DB, columns []column, ids ...int64) {
	t.Helper()
	for _, id := range ids {
		fill(t, db, "incidents", columns, id)
		mustExec(t, db, fmt.Sprintf("UPDATE incidents SET state = 'closed' WHERE id = %d", id))
	}
}

// A table that is left out keeps every incident for good.
func TestForgettingAnIncidentClearsEveryTableThatSpeaksOfIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		db := storetest.Open(t, where)
		direct := raw(t, where)
		tables, columns := tablesOfIncidents(t, direct, where)
		// The audit log is kept for longer than what it speaks of, and a maintenance
		// window may outlive the incident in whose thread it was asked for.
		tables = slices.DeleteFunc(tables, func(table string) bool { return table == "acts" || table == "windows" })
		if len(tables) == 0 {
			t.Fatal("no table has an incident_id")
		}
		const kept, forgotten = 2, 1 // only one was closed long enough ago
		closed(t, direct, columns["incidents"], forgotten, kept)
		for _, table := range tables {
			fill(t, direct, table, columns[table], forgotten)
			fill(t, direct, table, columns[table], kept)
		}
		n, _, err := db.PruneIncidents(t.Context(), time.UnixMicro(kept), store.PrunePlace{}, 10)
		if err != nil || n != 1 {
			t.Fatalf("forgot %d incidents (%v), want 1", n, err)
		}
		for _, table := range tables {
			var left int64
			if err := direct.QueryRowContext(t.Context(), "SELECT SUM(incident_id) FROM "+table).Scan(&left); err != nil || left != kept {
				t.Errorf("of %s the incidents %d are left (%v), want %d alone", table, left, err, kept)
			}
		}
	})
}

func TestAnIncidentThatCannotBeForgottenDoesNotKeepTheOthers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		db := storetest.Open(t, where)
		direct := raw(t, where)
		_, columns := tablesOfIncidents(t, direct, where)
		closed(t, direct, columns["incidents"], 1, 2, 3)
		mustExec(t, direct, "CREATE TABLE pins (pinned BIGINT NOT NULL REFERENCES incidents (id))")
		mustExec(t, direct, "INSERT INTO pins (pinned) VALUES (1)")

		n, next, err := db.PruneIncidents(t.Context(), time.UnixMicro(10), store.PrunePlace{}, 10)
		if next != (store.PrunePlace{}) {
			t.Errorf("after the last it goes on at %+v, want the beginning", next)
		}
		if n != 2 || err == nil || !strings.Contains(err.Error(), "forget incident 1: ") {
			t.Errorf("forgot %d incidents (%v), want the 2 others, and to hear of the first", n, err)
		}
		var left int64
		if err := direct.QueryRowContext(t.Context(), "SELECT SUM(id) FROM incidents").Scan(&left); err != nil || left != 1 {
			t.Errorf("incidents %d are left (%v), want the first alone", left, err)
		}
	})
}

// Those that cannot be forgotten are as many as are tried at once, and more;
// some were closed at the same instant.
func TestWhoGoesOnComesPastAnyNumberOfThem(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		db := storetest.Open(t, where)
		direct := raw(t, where)
		_, columns := tablesOfIncidents(t, direct, where)
		closed(t, direct, columns["incidents"], 1, 2, 3, 4, 5, 6, 7)
		mustExec(t, direct, "UPDATE incidents SET closed_at = 3 WHERE id < 6")
		mustExec(t, direct, "CREATE TABLE pins (pinned BIGINT NOT NULL REFERENCES incidents (id))")
		mustExec(t, direct, "INSERT INTO pins (pinned) VALUES (1), (2), (3), (4), (6)")

		var place store.PrunePlace
		var forgotten []int
		for range 4 {
			n, next, err := db.PruneIncidents(t.Context(), time.UnixMicro(10), place, 2)
			if (err == nil) != (n == 1 && next == store.PrunePlace{}) {
				t.Errorf("forgot %d incidents (%v)", n, err)
			}
			forgotten, place = append(forgotten, n), next
		}
		if !slices.Equal(forgotten, []int{0, 0, 1, 1}) || place != (store.PrunePlace{}) {
			t.Errorf("forgot %v of two each, and goes on at %+v; want the fifth and the seventh, and then the beginning", forgotten, place)
		}
		mustExec(t, direct, "DELETE FROM pins")
		if n, _, err := db.PruneIncidents(t.Context(), time.UnixMicro(10), place, 10); n != 5 || err != nil {
			t.Errorf("forgot %d incidents (%v) when nothing kept them any more, want the 5", n, err)
		}
	})
}
