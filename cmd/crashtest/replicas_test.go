// Two replicas on one PostgreSQL, of which one is killed with runs under way.

package crashtest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"triagebot/cmd/internal/program"
	"triagebot/triage"
	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

// takenOverWithin is what is promised of a replica that outlives another.
const takenOverWithin = 2 * time.Minute

func TestTwoReplicasOnePostgres(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, where store.Options) {
		if where.PostgresURL == "" {
			t.Skip("replicas share a PostgreSQL; a SQLite file admits one process")
		}
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		w := newWorld(t, where, setting{channels: 8})
		addresses := []string{program.FreeAddress(t), program.FreeAddress(t)}
		first := w.start(addresses[0])
		first.AwaitReady(ctx) // it makes the tables
		second := w.start(addresses[1])
		second.AwaitReady(ctx)

		const before, after = 16, 8
		want := expectation{accepted: before + after, states: map[string]triage.IncidentState{}}
		send := func(from, to int) {
			var posting sync.WaitGroup
			for n := from; n < to; n++ {
				a := firing(fmt.Sprintf("Plain%d", n), triage.Labels{"channel": w.channels[n%len(w.channels)]})
				want.states[a.Name()] = triage.IncidentFiring
				data := program.Notification(t, "http://am.example", triage.Labels{"alertname": a.Name()}, a)
				posting.Go(func() {
					// As a load balancer does it: the other replica where one does not answer.
					if !post(ctx, data, addresses[n%2], addresses[1-n%2]) {
						t.Errorf("notification %d was not accepted: %v", n, context.Cause(ctx))
					}
				})
			}
			posting.Wait()
		}

		open := w.prom.hold()
		send(0, before)
		second.await(ctx, "all runs under way", func(o owed) bool { return o.running == before })
		victim, survivor := first, second
		if o, err := first.owed(ctx); err != nil || o.queries == 0 {
			victim, survivor = second, first // all runs are the second one's
		}
		lost, err := victim.owed(ctx)
		if err != nil {
			t.Fatal(err)
		}
		victim.Kill()
		killed := time.Now()
		open()
		send(before, before+after)
		survivor.await(ctx, "all runs finished", func(o owed) bool { return o.notifications == 0 && o.runs == 0 })
		t.Logf("killed while it waited for %.0f queries; all %d runs were finished %s after the kill",
			lost.queries, before+after, time.Since(killed).Round(100*time.Millisecond))
		if lost.queries == 0 {
			t.Error("the killed replica had no run under way")
		}
		survivor.awaitDone(ctx)
		took := time.Since(killed) - quietFor
		t.Logf("all their messages were shown %s after the kill", took.Round(100*time.Millisecond))
		if took > takenOverWithin {
			t.Errorf("the takeover took %s, want it within %s", took, takenOverWithin)
		}
		survivor.Stop()
		w.check(want)
	})
}
