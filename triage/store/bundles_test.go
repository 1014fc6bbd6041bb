package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"triagebot/triage"
	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

func TestABundleIsPublishedByOneAtATimeUntilItIsSealed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		now := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
		where.SharedNow = func() time.Time { return now }
		where.Now = func() time.Time { return now.Add(time.Hour) } // a replica whose clock is fast is not trusted
		db := storetest.Open(t, where)
		jobsOf(t, db, func(context.Context, int64) error { return nil })
		id := startRun(t, db).IncidentID
		claim := func(want error) (ticket int64) {
			t.Helper()
			ticket, err := db.ClaimBundle(t.Context(), id, 30*time.Second)
			if !errors.Is(err, want) {
				t.Fatalf("claim: %v, want %v", err, want)
			}
			return ticket
		}
		release := func(ticket int64, head string, want error) {
			t.Helper()
			err := db.Tx(t.Context(), func(tx *store.Tx) error { return tx.ReleaseBundle(t.Context(), id, ticket, head) })
			if !errors.Is(err, want) {
				t.Errorf("release: %v, want %v", err, want)
			}
		}
		holds := func(ticket int64, want error) {
			t.Helper()
			if err := db.HoldsBundle(t.Context(), id, ticket); !errors.Is(err, want) {
				t.Errorf("ticket %d holds the bundle: %v, want %v", ticket, err, want)
			}
		}
		first := claim(nil)
		holds(first, nil)
		claim(store.ErrPublishing)
		release(first, "", nil)

		stalled := claim(nil)
		now = now.Add(30 * time.Second) // its lease is over
		last := claim(nil)
		release(stalled, "older", store.ErrPublishing)
		holds(stalled, store.ErrPublishing)
		holds(last, nil)
		now = now.Add(30 * time.Second)
		holds(last, store.ErrPublishing) // nobody has taken it, but somebody may
		release(last, "head", nil)
		holds(last, store.ErrPublishing)
		claim(store.ErrSealed)
	})
}

// A replica whose clock is fast must not take a lease for over, nor one whose
// clock is slow ask for a lease that has ended. Only PostgreSQL has several.
func TestABundlesLeaseGoesByPostgreSQLsClockWhateverTheReplicasThink(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		if where.PostgresURL == "" {
			return
		}
		skewed := func(by time.Duration) *store.DB {
			where.Now = func() time.Time { return time.Now().Add(by) }
			db := storetest.Open(t, where)
			jobsOf(t, db, func(context.Context, int64) error { return nil })
			return db
		}
		fast, slow := skewed(time.Hour), skewed(-time.Hour)
		for name, by := range map[string]struct{ first, second *store.DB }{
			"the fast one comes second": {slow, fast},
			"the slow one comes second": {fast, slow},
		} {
			id := startRun(t, by.first).IncidentID
			ticket, err := by.first.ClaimBundle(t.Context(), id, 30*time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := by.second.ClaimBundle(t.Context(), id, 30*time.Minute); !errors.Is(err, store.ErrPublishing) {
				t.Errorf("%s, and its claim ends with %v", name, err)
			}
			for _, db := range []*store.DB{by.first, by.second} {
				if err := db.HoldsBundle(t.Context(), id, ticket); err != nil {
					t.Errorf("%s, and the first claim: %v", name, err)
				}
			}
			// A lease that is over is over for both.
			mustExec(t, raw(t, where), "UPDATE bundles SET lease_until = lease_until - 31 * 60 * 1000000")
			if err := by.first.HoldsBundle(t.Context(), id, ticket); !errors.Is(err, store.ErrPublishing) {
				t.Errorf("%s, and the claim whose lease is over: %v", name, err)
			}
			if _, err := by.second.ClaimBundle(t.Context(), id, 30*time.Minute); err != nil {
				t.Errorf("%s, and its claim after the first ends with %v", name, err)
			}
			mustExec(t, raw(t, where), "UPDATE incidents SET state = 'closed'") // the next one has the same key
		}
	})
}

// Half a bundle would stand until the lease of a killed process is over.
func TestTheBundleOfADeadReplicaIsFreedWithItsJobs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		db := storetest.Open(t, where)
		claimed := make(chan int64, 10)
		start := jobsOf(t, db, func(ctx context.Context, id int64) error {
			if _, err := db.ClaimBundle(ctx, id, time.Hour); err != nil {
				return err
			}
			claimed <- id
			return nil
		})
		var id int64
		err := db.Tx(t.Context(), func(tx *store.Tx) error {
			inc := triage.Incident{Key: "Slow{}", Alertname: "Slow", State: triage.IncidentFiring}
			if err := tx.OpenIncident(t.Context(), &inc); err != nil {
				return err
			}
			id = inc.ID
			return tx.EnqueuePublish(t.Context(), id)
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ClaimBundle(t.Context(), id, time.Hour); err != nil {
			t.Fatal(err)
		}
		if _, err := raw(t, where).ExecContext(t.Context(), `UPDATE bundles SET publisher = 'dead'`); err != nil {
			t.Fatal(err)
		}
		start()
		receiveWithin(t, "the publish that was left", claimed)
	})
}

// No incident's id is 0, which the engine of these tests works the index as.
const theIndex = 0

// The index would stay behind until the lease of a killed process is over.
func TestTheIndexOfADeadReplicaIsFreedWithItsJobs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		db := storetest.Open(t, where)
		written := make(chan int64, 10)
		start := jobsOf(t, db, func(ctx context.Context, id int64) error {
			if id != theIndex {
				return nil
			}
			claim, err := db.ClaimIndex(ctx, time.Hour)
			if err != nil {
				return err
			}
			written <- id
			return db.ReleaseIndex(ctx, claim)
		})
		id := startRun(t, db).IncidentID
		index := func() error {
			return db.Tx(t.Context(), func(tx *store.Tx) error {
				return tx.IndexBundle(t.Context(), triage.BundleSummary{IncidentID: id, Alertname: "Slow"})
			})
		}
		if err := index(); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a line without a bundle: %v, want %v", err, store.ErrNotFound)
		}
		if _, err := db.ClaimIndex(t.Context(), time.Hour); !errors.Is(err, store.ErrUpToDate) {
			t.Errorf("before anything was published: %v, want %v", err, store.ErrUpToDate)
		}
		if _, err := db.ClaimBundle(t.Context(), id, time.Hour); err != nil {
			t.Fatal(err)
		}
		if err := index(); err != nil {
			t.Fatal(err)
		}
		if _, err := db.ClaimIndex(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		mustExec(t, raw(t, where), `UPDATE bundle_index SET publisher = 'dead'`)
		start()
		receiveWithin(t, "the index that was left", written)
		if latest, total, err := db.Bundles(t.Context(), 10); err != nil || total != 1 || len(latest) != 1 || latest[0].Alertname != "Slow" {
			t.Errorf("bundles %+v of %d (%v)", latest, total, err)
		}
	})
}

func TestAClosedIncidentTakesNoEvidence(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		db := storetest.Open(t, where)
		jobsOf(t, db, func(context.Context, int64) error { return nil })
		id := startRun(t, db).IncidentID
		appended := func(seq int64) error {
			return db.Tx(t.Context(), func(tx *store.Tx) error {
				return tx.AppendEvidence(t.Context(), triage.Evidence{IncidentID: id, Seq: seq, Name: "runs/1/a.json"})
			})
		}
		if err := appended(1); err != nil {
			t.Fatal(err)
		}
		err := db.Tx(t.Context(), func(tx *store.Tx) error {
			inc, err := tx.LockIncident(t.Context(), id)
			if err != nil {
				return err
			}
			inc.State = triage.IncidentClosed
			return tx.SaveIncident(t.Context(), inc)
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := appended(2); !errors.Is(err, store.ErrSealed) {
			t.Errorf("evidence for a closed incident: %v, want %v", err, store.ErrSealed)
		}
		if chain, err := db.Evidence(t.Context(), id); err != nil || len(chain) != 1 {
			t.Errorf("evidence %+v (%v), want what was there before", chain, err)
		}
	})
}
