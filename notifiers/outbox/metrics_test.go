package outbox

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"triagebot/notifiers"
	"triagebot/triage"
)

func TestMetricsSayWhatIsOwedAndWhatBecameOfIt(t *testing.T) {
	eachDatabase(t, func(w *world) {
		reg := prometheus.NewPedanticRegistry()
		w.channel.script(failing(1, fails(notifiers.Permanent), isReply))
		stop := w.work("a", func(o *Options) { o.Registerer = reg })
		incident := w.open("ops", triage.PriorityParent)
		w.reply(incident, "p95", triage.PriorityFinding)
		elapse(time.Minute)
		w.channel.script(failing(1, &notifiers.Error{Reason: notifiers.RateLimited, Scope: "chat.postMessage"}, isReply))
		w.reply(incident, "backoff", triage.PriorityFinding)
		elapse(10 * time.Second)
		stop()

		if err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP triagebot_deliveries Deliveries that are not shown, by state.
# TYPE triagebot_deliveries gauge
triagebot_deliveries{state="parked"} 1
triagebot_deliveries{state="pending"} 1
triagebot_deliveries{state="sending"} 0
# HELP triagebot_deliveries_total Attempts at deliveries, by what became of them.
# TYPE triagebot_deliveries_total counter
triagebot_deliveries_total{kind="parent",notifier="chat",result="shown"} 1
triagebot_deliveries_total{kind="reply",notifier="chat",result="parked"} 1
triagebot_deliveries_total{kind="reply",notifier="chat",result="rate_limited"} 1
# HELP triagebot_outbox_oldest_seconds For how long the delivery that waits longest could have been shown; 0 when none waits.
# TYPE triagebot_outbox_oldest_seconds gauge
triagebot_outbox_oldest_seconds 10
# HELP triagebot_rate_limited_total Rate limits met; scope is the notifier's method, empty when only the channel is limited.
# TYPE triagebot_rate_limited_total counter
triagebot_rate_limited_total{notifier="chat",scope="chat.postMessage"} 1
`), "triagebot_deliveries", "triagebot_deliveries_total", "triagebot_outbox_oldest_seconds", "triagebot_rate_limited_total"); err != nil {
			w.t.Error(err)
		}
		if n := testutil.CollectAndCount(reg, "triagebot_delivery_seconds"); n != 1 {
			w.t.Errorf("triagebot_delivery_seconds has %d series; want 1", n)
		}
	})
}

func TestTwoOutboxesCannotRegisterTheSameMetrics(t *testing.T) {
	eachDatabase(t, func(w *world) {
		reg := prometheus.NewRegistry()
		opts := Options{Store: w.db, Notifiers: map[string]notifiers.Notifier{"chat": w.channel}, Owner: "a", Registerer: reg}
		if _, err := New(opts); err != nil {
			w.t.Fatal(err)
		}
		if _, err := New(opts); err == nil {
			w.t.Error("a second outbox registered its metrics over the first's")
		}
	})
}

func TestNewNamesWhatIsNeeded(t *testing.T) {
	if _, err := New(Options{Owner: "a"}); err == nil || !strings.Contains(err.Error(), "a store, an owner and at least one notifier") {
		t.Errorf("New without a store: %v", err)
	}
}
