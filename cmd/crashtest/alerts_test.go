// Notifications, posted as Alertmanager posts them: again and again until a
// 2xx answers.

package crashtest

import (
	"context"
	"maps"
	"time"

	"triagebot/cmd/internal/program"
	"triagebot/triage"
)

// firing is an alert of that name that fires now.
func firing(name string, labels triage.Labels) triage.Alert {
	named := triage.Labels{"alertname": name}
	maps.Copy(named, labels)
	return program.Firing(named)
}

// resolved is the same alert, over.
func resolved(a triage.Alert) triage.Alert {
	a.Status, a.EndsAt = triage.AlertResolved, time.Now().UTC().Truncate(time.Millisecond)
	return a
}

// retryEvery is quicker than Alertmanager's, to see the restart when it is.
const retryEvery = 10 * time.Millisecond

// post sends a notification to the addresses in turn until one answers 2xx, or
// ctx ends. It says whether it was accepted.
func post(ctx context.Context, notification []byte, addresses ...string) (accepted bool) {
	again := time.NewTicker(retryEvery)
	defer again.Stop()
	for n := 0; ; n++ {
		if program.Post(ctx, addresses[n%len(addresses)], notification) {
			return true
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return false
		}
	}
}
