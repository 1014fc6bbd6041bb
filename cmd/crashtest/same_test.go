// The same notification, many times at once and from two Alertmanagers.

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

func TestSameNotificationHundredTimesAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, where store.Options) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		w := newWorld(t, where, setting{channels: 1})
		c := w.start(program.FreeAddress(t))
		c.AwaitReady(ctx)

		const times = 100
		alert := firing("Plain", triage.Labels{"severity": "critical"})
		begin := make(chan struct{})
		var posting sync.WaitGroup
		for n := range times {
			// An HA pair differs in nothing but the address it gives as its own.
			data := program.Notification(t, fmt.Sprintf("http://alertmanager-%d.example", n%2), triage.Labels{"alertname": "Plain"}, alert)
			posting.Go(func() {
				<-begin
				if !post(ctx, data, c.Address) {
					t.Errorf("notification %d was not accepted: %v", n, context.Cause(ctx))
				}
			})
		}
		close(begin)
		posting.Wait()
		c.awaitDone(ctx)
		c.Stop()
		w.check(expectation{accepted: times, states: map[string]triage.IncidentState{"Plain": triage.IncidentFiring}})
	})
}
