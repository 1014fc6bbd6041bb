package store_test

import (
	"context"
	"testing"
	"time"

	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

func TestReplicasOpenOneDatabaseWhileAnotherHasItOpen(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		if where.PostgresURL == "" {
			t.Skip("a SQLite file admits one process")
		}
		storetest.Open(t, where)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		opened := make(chan error, 2)
		for range cap(opened) {
			go func() {
				db, err := store.Open(ctx, where)
				if err == nil {
					err = db.Close()
				}
				opened <- err
			}()
		}
		for range cap(opened) {
			if err := <-opened; err != nil {
				t.Error(err)
			}
		}
	})
}
