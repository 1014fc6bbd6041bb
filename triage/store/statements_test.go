package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
)

func TestKeptStatements(t *testing.T) {
	pool, err := openKeeping("file:" + filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	conn, err := pool.Conn(t.Context()) // one and the same
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	kept := func() (n int) {
		err := conn.Raw(func(c any) error { n = len(c.(*keepingConn).kept); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := conn.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE TABLE t (n INTEGER PRIMARY KEY); CREATE TABLE other (n INTEGER)`)

	t.Run("one statement, other values", func(t *testing.T) {
		before := kept()
		for n := range 3 {
			exec(`INSERT INTO t (n) VALUES (?1)`, n)
		}
		if kept()-before != 1 {
			t.Errorf("%d statements are kept for one", kept()-before)
		}
	})
	t.Run("a failure does not spoil it", func(t *testing.T) {
		if _, err := conn.ExecContext(t.Context(), `INSERT INTO t (n) VALUES (?1)`, 1); err == nil {
			t.Fatal("a duplicate key was taken")
		}
		exec(`INSERT INTO t (n) VALUES (?1)`, 3)
	})
	t.Run("the same query within its own rows", func(t *testing.T) {
		const query = `SELECT n FROM t ORDER BY n`
		outer, err := conn.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer outer.Close()
		for want := range 4 {
			var inner, got int
			if !outer.Next() {
				t.Fatalf("the rows end before %d: %v", want, outer.Err())
			}
			if err := errors.Join(outer.Scan(&got), conn.QueryRowContext(t.Context(), query).Scan(&inner)); err != nil {
				t.Fatal(err)
			}
			if got != want || inner != 0 {
				t.Errorf("outer %d, inner %d, want %d and 0", got, inner, want)
			}
		}
	})
	t.Run("the schema changes under it", func(t *testing.T) {
		exec(`ALTER TABLE t ADD COLUMN more TEXT`)
		exec(`INSERT INTO t (n) VALUES (?1)`, 4)
	})
	t.Run("no more than the bound", func(t *testing.T) {
		for n := range maxStatements + 10 {
			exec(fmt.Sprintf(`UPDATE t SET n = n WHERE n = %d`, n))
		}
		if kept() != maxStatements {
			t.Errorf("%d statements are kept, want %d", kept(), maxStatements)
		}
	})
}
