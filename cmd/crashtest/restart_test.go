// The start after a kill -9 does not wait for what was left over.

package crashtest

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"triagebot/cmd/internal/program"
	"triagebot/triage"
	"triagebot/triage/receive"
	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

// leftBacklog is more than is folded between the start of a process and its
// first answers: by far, for folding takes most of a millisecond each.
const leftBacklog = 2_500

// A program that was killed with a backlog and with runs under way says that it
// is ready, and takes the next notification, while both are still there: how
// soon it works again does not depend on how much it has to do.
func TestARestartWorksBeforeWhatWasLeftIsDone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		ctx, cancel := context.WithTimeout(t.Context(), killDeadline)
		defer cancel()
		w := newWorld(t, where, setting{channels: 30})
		open := sync.OnceFunc(w.prom.hold())
		t.Cleanup(open) // or the Prometheus could not be closed
		address := program.FreeAddress(t)
		want := expectation{states: map[string]triage.IncidentState{}}
		next := func() []byte {
			n := len(want.states)
			alert := firing(fmt.Sprintf("Plain%d", n), triage.Labels{"channel": w.channels[n%len(w.channels)], "severity": "warning"})
			want.states[alert.Name()] = triage.IncidentFiring
			want.accepted++
			return program.Notification(t, "http://am.example", triage.Labels{"alertname": alert.Name()}, alert)
		}

		killed := w.start(address)
		killed.AwaitReady(ctx)
		var repeated []byte
		for range 8 {
			repeated = next()
			if !post(ctx, repeated, address) {
				t.Fatalf("a notification was not accepted\n%s", killed.LastWords())
			}
		}
		killed.await(ctx, "runs under way", func(o owed) bool { return o.running > 0 && o.queries > 0 })
		killed.Kill()
		w.leave(repeated, leftBacklog)
		want.accepted += leftBacklog

		c := w.start(address)
		c.AwaitReady(ctx)
		ready := c.status(ctx, "/-/ready")
		tookOne := post(ctx, next(), address)
		took := time.Since(c.Started)
		left, err := c.owed(ctx)
		if ready != http.StatusOK || !tookOne || err != nil {
			t.Fatalf("/-/ready answers %d, a notification was accepted: %v, what is owed is %+v (%v)\n%s", ready, tookOne, left, err, c.LastWords())
		}
		if left.runs == 0 || left.notifications == 0 {
			t.Errorf("the first notification was taken when %.0f runs and %.0f notifications of the backlog were left; the start waits for the work", left.runs, left.notifications)
		}
		t.Logf("from the start of the process to its first 2xx, with %.0f notifications and %.0f runs left from before: %s",
			left.notifications, left.runs, took.Round(time.Millisecond))

		open()
		c.awaitDone(ctx)
		c.Stop()
		w.check(want)
	})
}

// leave puts notifications into the database of which no process is left, as
// one that was killed before it folded them would have.
func (w *world) leave(body []byte, n int) {
	w.t.Helper()
	db := storetest.Open(w.t, w.where)
	batch := make([]receive.Raw, n)
	for i := range batch {
		batch[i] = receive.Raw{ReceivedAt: time.Now(), Body: body}
	}
	if err := db.CommitNotifications(w.t.Context(), batch); err != nil {
		w.t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// status is what the program answers a GET with.
func (c *child) status(ctx context.Context, path string) int {
	c.w.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Address+path, nil)
	if err != nil {
		c.w.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.w.t.Fatalf("GET %s: %v\n%s", path, err, c.LastWords())
	}
	_ = resp.Body.Close() // only its status was wanted
	return resp.StatusCode
}
