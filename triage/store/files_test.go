package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

func TestASQLiteDatabaseIsForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	check := func(what string) {
		t.Helper()
		for _, name := range []string{path, path + "-wal", path + "-shm", path + ".lock"} {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if mode := info.Mode().Perm(); mode != 0o600 {
				t.Errorf("%s: %s has the permissions %o, want 600", what, filepath.Base(name), mode)
			}
		}
	}
	db := storetest.Open(t, store.Options{SQLitePath: path})
	check("a new one")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	for _, name := range []string{path, path + ".lock"} {
		if err := os.Chmod(name, 0o664); err != nil {
			t.Fatal(err)
		}
	}
	// What a kill leaves beside it.
	for _, name := range []string{path + "-wal", path + "-shm"} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	storetest.Open(t, store.Options{SQLitePath: path})
	check("one that others could read")
}

func TestADatabaseIsTheFileThatIsNamed(t *testing.T) {
	for _, name := range []string{"a#b.db", "a?b=c.db", "50%25.db", "with space.db", "ü.db", "file:x.db"} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		storetest.Open(t, store.Options{SQLitePath: path})
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			entries, _ := os.ReadDir(dir)
			t.Errorf("%s was not opened (%v); the folder has %v", name, err, entries)
		}
	}
}
