// Package storetest gives tests fresh databases of both kinds, so that one
// suite holds on SQLite and on PostgreSQL.
package storetest

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"

	"triagebot/triage/store"
)

// Each runs test once on each kind of database. where names a database of the
// test's own without rows; complete the other options and give it to Open.
//
// PostgreSQL is the server at TRIAGEBOT_TEST_POSTGRES_URL (whose user may
// create databases), or one that is started for this test binary. With -short
// there is only SQLite.
func Each(t *testing.T, test func(t *testing.T, where store.Options)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		test(t, store.Options{SQLitePath: filepath.Join(t.TempDir(), "triagebot.db")})
	})
	t.Run("postgres", func(t *testing.T) {
		if testing.Short() {
			t.Skip("-short: SQLite only")
		}
		test(t, store.Options{PostgresURL: createDatabase(t, postgresServer)})
	})
}

// Open opens a database and closes it when the test ends.
func Open(t testing.TB, opts store.Options) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), opts)
	if err != nil {
		t.Fatalf("open the database: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close the database: %v", err)
		}
	})
	return db
}

// Durable is an empty database of a PostgreSQL server that syncs at every
// commit, which those of Each need not; for measurements.
func Durable(t testing.TB) store.Options {
	t.Helper()
	return store.Options{PostgresURL: createDatabase(t, durableServer)}
}

// createDatabase makes a PostgreSQL database without rows that is dropped when the
// test ends.
func createDatabase(t testing.TB, on func() (server, error)) string {
	t.Helper()
	server, err := on()
	if err != nil {
		t.Fatal(err)
	}
	name := "triagebot_test_" + strings.ToLower(rand.Text())
	create := "CREATE DATABASE " + name
	if server.template != "" {
		create += " TEMPLATE " + server.template
	}
	if err := server.do(create); err != nil {
		t.Fatalf("create a database for the test: %v", err)
	}
	t.Cleanup(func() {
		if err := server.do("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return server.database(name)
}
