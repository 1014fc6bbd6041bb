package store_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"triagebot/triage/store"
)

func TestWhichErrorsArePermanent(t *testing.T) {
	postgres := func(code string) error { return &pgconn.PgError{Code: code} }
	for _, tc := range []struct {
		name string
		err  error
		want bool
	}{
		{"none", nil, false},
		{"a value that does not scan", errors.New(`sql: Scan error on column index 3: converting "-1" to a uint64`), true},
		{"invalid bytes", postgres("22021"), true},
		{"a number out of range", postgres("22003"), true},
		{"a violated constraint", postgres("23505"), true},
		{"an index entry that is too long", postgres("54000"), true},
		{"a serialization failure", postgres("40001"), false},
		{"a deadlock", postgres("40P01"), false},
		{"a full disk", postgres("53100"), false},
		{"too many connections", postgres("53300"), false},
		{"a lock that is not to be had", postgres("55P03"), false},
		{"a shutdown", postgres("57P01"), false},
		{"a cancelled statement", postgres("57014"), false},
		{"a read-only server", postgres("25006"), false},
		{"a table that is missing", postgres("42P01"), false},
		{"no privilege", postgres("42501"), false},
		{"a stop", context.Canceled, false},
		{"a deadline", context.DeadlineExceeded, false},
		{"a bad connection", driver.ErrBadConn, false},
		{"a server that went away", io.ErrUnexpectedEOF, false},
		{"a refused connection", &net.OpError{Op: "dial", Err: errors.New("refused")}, false},
		{"a failed connection", &pgconn.ConnectError{Config: &pgconn.Config{}}, false},
	} {
		err := tc.err
		if err != nil {
			err = fmt.Errorf("notification 7: %w", err)
		}
		if got := store.IsPermanent(err); got != tc.want {
			t.Errorf("%s: permanent is %t, want %t", tc.name, got, tc.want)
		}
	}
}

func TestWhichErrorsOfSQLiteArePermanent(t *testing.T) {
	open := func(pragma string) *sql.DB {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "x.db")+"?_pragma="+pragma)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		db.SetMaxOpenConns(1)
		if _, err := db.Exec(`CREATE TABLE x (n INTEGER PRIMARY KEY CHECK (n > 0), b BLOB)`); err != nil {
			t.Fatal(err)
		}
		return db
	}
	full, readOnly := open("max_page_count(3)"), open("busy_timeout(1)")
	if _, err := readOnly.Exec(`PRAGMA query_only = 1`); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name      string
		db        *sql.DB
		statement string
		want      bool
	}{
		{"a violated constraint", open("busy_timeout(1)"), `INSERT INTO x VALUES (-1, '')`, true},
		{"a number where none fits", open("busy_timeout(1)"), `INSERT INTO x VALUES ('text', '')`, true},
		{"a value that is too big", open("busy_timeout(1)"), `INSERT INTO x VALUES (1, zeroblob(2147483000))`, true},
		{"a full disk", full, `INSERT INTO x VALUES (1, zeroblob(100000))`, false},
		{"a read-only database", readOnly, `INSERT INTO x VALUES (1, '')`, false},
		{"a table that is missing", full, `INSERT INTO y VALUES (1)`, false},
	} {
		_, err := tc.db.Exec(tc.statement)
		if err == nil {
			t.Errorf("%s: no error", tc.name)
		}
		if got := store.IsPermanent(err); got != tc.want {
			t.Errorf("%s: %v: permanent is %t, want %t", tc.name, err, got, tc.want)
		}
	}
}
