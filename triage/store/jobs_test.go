package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logrustest "github.com/sirupsen/logrus/hooks/test"

	"triagebot/triage"
	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

// raw is a connection beside the store's own, to do what a crash does.
func raw(t *testing.T, where store.Options) *sql.DB {
	t.Helper()
	driver, source := "sqlite", "file:"+where.SQLitePath+"?_pragma=busy_timeout(10000)"
	if where.PostgresURL != "" {
		driver, source = "pgx", where.PostgresURL
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// jobsOf sets the engine up and returns a way to run it that ends with the test.
func jobsOf(t *testing.T, db *store.DB, run func(context.Context, int64) error) (start func()) {
	t.Helper()
	log, _ := logrustest.NewNullLogger()
	jobs, err := db.NewJobs(store.JobsOptions{ReplicaID: "me", Run: run, Publish: run, Index: func(ctx context.Context) error { return run(ctx, 0) }, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- jobs.Run(ctx, 5*time.Second) }()
		t.Cleanup(func() {
			stop()
			if err := <-done; err != nil {
				t.Errorf("the engine stopped with %v", err)
			}
		})
	}
}

// startRun makes an incident with a pending run.
func startRun(t *testing.T, db *store.DB) (run triage.Run) {
	t.Helper()
	err := db.Tx(t.Context(), func(tx *store.Tx) error {
		inc := triage.Incident{Key: "Slow{}", Alertname: "Slow", State: triage.IncidentFiring}
		if err := tx.OpenIncident(t.Context(), &inc); err != nil {
			return err
		}
		run = triage.Run{IncidentID: inc.ID, Playbook: "p", Trigger: triage.TriggerAlert}
		return tx.StartRun(t.Context(), &run)
	})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func receiveWithin(t *testing.T, what string, ch <-chan int64) int64 {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(30 * time.Second):
		t.Fatalf("%s did not happen within 30 s", what)
		return 0
	}
}

func TestARunIsWorkedOnceItsTransactionCommitted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		db := storetest.Open(t, where)
		ran := make(chan int64, 10)
		start := jobsOf(t, db, func(_ context.Context, id int64) error { ran <- id; return nil })
		start()
		abandoned := errors.New("abandoned")
		err := db.Tx(t.Context(), func(tx *store.Tx) error {
			inc := triage.Incident{Key: "Rolled back{}", Alertname: "Rolled back", State: triage.IncidentFiring}
			if err := tx.OpenIncident(t.Context(), &inc); err != nil {
				return err
			}
			run := triage.Run{IncidentID: inc.ID, Playbook: "p", Trigger: triage.TriggerAlert}
			if err := tx.StartRun(t.Context(), &run); err != nil {
				return err
			}
			return abandoned
		})
		if !errors.Is(err, abandoned) {
			t.Fatal(err)
		}
		run := startRun(t, db)
		if got := receiveWithin(t, "the run", ran); got != run.ID {
			t.Errorf("run %d was worked, want %d", got, run.ID)
		}
		if len(ran) != 0 {
			t.Errorf("run %d was worked too; its transaction was rolled back", <-ran)
		}
	})
}

func TestARunThatFailsIsWorkedAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		db := storetest.Open(t, where)
		ran := make(chan int64, 10)
		var tries atomic.Int64
		start := jobsOf(t, db, func(context.Context, int64) error {
			n := tries.Add(1)
			ran <- n
			if n == 1 {
				return errors.New("the database refused")
			}
			return nil
		})
		start()
		startRun(t, db)
		receiveWithin(t, "the first try", ran)
		receiveWithin(t, "the second try", ran)
	})
}

// A run that waits for a replica with its playbook must neither use up its
// attempts nor keep a worker busy.
func TestARunThatIsPutBackIsWorkedAfterItsPauseAndLosesNoAttempt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		db := storetest.Open(t, where)
		const pause = time.Second
		ran := make(chan int64, 10)
		var times []time.Time // ran orders them
		start := jobsOf(t, db, func(context.Context, int64) error {
			times = append(times, time.Now())
			defer func() { ran <- int64(len(times)) }()
			if len(times) < 3 {
				return fmt.Errorf("run: %w", &store.Later{After: pause, Why: "not here"})
			}
			return nil
		})
		start()
		startRun(t, db)
		for range 3 {
			receiveWithin(t, "another try", ran)
		}
		for i := range 2 {
			if waited := times[i+1].Sub(times[i]); waited < pause/2 { // River keeps milliseconds
				t.Errorf("try %d came after %s, want a pause of %s", i+2, waited, pause)
			}
		}
		var attempt, errs int
		query := `SELECT attempt, COALESCE(json_array_length(errors), 0) FROM river_job`
		if where.PostgresURL != "" {
			query = `SELECT attempt, COALESCE(array_length(errors, 1), 0) FROM river_job`
		}
		if err := raw(t, where).QueryRowContext(t.Context(), query).Scan(&attempt, &errs); err != nil {
			t.Fatal(err)
		}
		if attempt != 1 || errs != 0 {
			t.Errorf("%d attempts and %d errors are counted, want the one that ended it and none", attempt, errs)
		}
	})
}

func TestTheRunOfADeadReplicaIsTakenOver(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		db := storetest.Open(t, where)
		ran := make(chan int64, 10)
		start := jobsOf(t, db, func(_ context.Context, id int64) error { ran <- id; return nil })
		run := startRun(t, db)
		by := `jsonb('["me-before","dead"]')`
		if where.PostgresURL != "" {
			by = `ARRAY['me-before','dead']`
		}
		if _, err := raw(t, where).ExecContext(t.Context(), `UPDATE river_job SET state = 'running', attempt = 2, attempted_by = `+by); err != nil {
			t.Fatal(err)
		}
		start()
		if got := receiveWithin(t, "the run that was left running", ran); got != run.ID {
			t.Errorf("run %d was worked, want %d", got, run.ID)
		}
	})
}

func TestASecondProcessOnOneSQLiteFileIsRefused(t *testing.T) {
	where := store.Options{SQLitePath: t.TempDir() + "/triagebot.db", Log: logrus.New()}
	storetest.Open(t, where)
	if _, err := store.Open(t.Context(), where); err == nil {
		t.Error("the file was opened twice")
	}
}

func TestANewerSchemaIsRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		db, err := store.Open(t.Context(), where)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := raw(t, where).ExecContext(t.Context(), `INSERT INTO schema_version (version) VALUES (1000)`); err != nil {
			t.Fatal(err)
		}
		if db, err := store.Open(t.Context(), where); err == nil {
			db.Close()
			t.Error("a database of a newer triagebot was opened")
		}
	})
}

func TestASettingIsMadeOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		db := storetest.Open(t, where)
		n := 0
		create := func() (string, error) { n++; return "made", nil }
		for range 2 {
			if got, err := db.Setting(t.Context(), "key", create); err != nil || got != "made" {
				t.Errorf("setting %q (%v)", got, err)
			}
		}
		if n != 1 {
			t.Errorf("made %d times, want once", n)
		}
	})
}
