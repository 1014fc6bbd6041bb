// A storm of alerts against a Slack that takes one message a second and channel.

package crashtest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"triagebot/cmd/internal/program"
	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage"
	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

const (
	maxMemory = 256 << 20   // bytes, at the most
	maxBurst  = time.Minute // in which the storm comes; one that takes longer is none
)

// TestStorm takes over two seconds for each group; TRIAGEBOT_STORM=full runs it
// in its full size, with 200 groups and 1,000 alerts.
func TestStorm(t *testing.T) {
	const alertsPerGroup = 5
	t.Parallel()
	groups := 40
	if os.Getenv("TRIAGEBOT_STORM") == "full" {
		groups = 200
	}
	if testing.Short() {
		groups = 8
	}
	storetest.Each(t, func(t *testing.T, where store.Options) {
		if where.PostgresURL != "" && groups <= 40 {
			t.Skip("the storm is about memory and Slack; TRIAGEBOT_STORM=full runs it on PostgreSQL too")
		}
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Duration(groups)*10*time.Second)
		defer cancel()
		w := newWorld(t, where, setting{channels: 1, replies: "abnormal", limits: slacklocal.SlackLimits()})
		w.prom.value = "0" // nothing is abnormal: a parent and one closing line for each group
		c := w.start(program.FreeAddress(t))
		c.AwaitReady(ctx)

		// Nothing can be shown before all is owed, so that what comes first was
		// chosen and did not merely arrive first.
		outage := make(chan struct{})
		w.slack.Fail("*", func(int) slacklocal.Fault { return slacklocal.Fault{Wait: outage} })
		want := expectation{accepted: groups, states: map[string]triage.IncidentState{}}
		began := time.Now()
		var posting sync.WaitGroup
		for n := range groups {
			name, severity := fmt.Sprintf("Plain%d", n), "warning"
			if n%4 == 3 {
				severity = "critical"
			}
			want.states[name] = triage.IncidentFiring
			var alerts []triage.Alert
			for i := range alertsPerGroup {
				alerts = append(alerts, firing(name, triage.Labels{"severity": severity, "pod": fmt.Sprintf("pod-%d", i)}))
			}
			data := program.Notification(t, "http://am.example", triage.Labels{"alertname": name}, alerts...)
			posting.Go(func() {
				if !post(ctx, data, c.Address) {
					t.Errorf("notification %d was not accepted: %v", n, context.Cause(ctx))
				}
			})
		}
		posting.Wait()
		burst := time.Since(began)
		t.Logf("%d alerts in %d groups were accepted within %s", groups*alertsPerGroup, groups, burst.Round(time.Millisecond))
		if burst > maxBurst {
			t.Errorf("the alerts were accepted within %s, want them within %s", burst, maxBurst)
		}
		c.await(ctx, "all folded", func(o owed) bool { return o.notifications == 0 })
		w.slack.Fail("*", nil)
		close(outage)
		c.awaitDone(ctx)
		memory := c.Memory("VmHWM")
		t.Logf("all was shown within %s; at most %d MB of memory", (time.Since(began) - quietFor).Round(time.Second), memory>>20)
		if memory >= maxMemory {
			t.Errorf("the program took %d MB of memory, want less than %d", memory>>20, maxMemory>>20)
		}
		c.Stop()
		w.check(want)
		w.checkCriticalFirst()
	})
}

// checkCriticalFirst wants the parents of critical incidents before all others
// but the one that was on its way when they came to be owed.
func (w *world) checkCriticalFirst() {
	w.t.Helper()
	others := 0
	for _, thread := range w.slack.Channel(w.channels[0]) {
		if !strings.HasPrefix(thread.Text, "CRITICAL") {
			others++
		} else if others > 1 {
			w.t.Errorf("%d others were shown before %q", others, thread.Text)
		}
	}
	if others == 0 {
		w.t.Error("no incident but critical ones was shown")
	}
}
