package inbound

// What is counted of the requests of people in Slack.

import "github.com/prometheus/client_golang/prometheus"

// result is what became of something that came in, a value of the label of
// triagebot_slack_requests_total; an outcome of a reply is one as well.
type result string

const (
	resultBusy      result = "busy"      // no worker was free in time; told to try again
	resultDuplicate result = "duplicate" // came before
	resultIgnored   result = "ignored"   // nothing that is asked of triagebot
	resultForeign   result = "foreign"   // from another workspace
	resultOpened    result = "opened"    // a dialog
	resultInvalid   result = "invalid"   // not what Slack sends
	resultUnsigned  result = "unsigned"  // no signature, or a wrong one
	resultStale     result = "stale"     // signed more than five minutes ago
	resultReplayed  result = "replayed"  // the same signed request came before
)

// via is a way in.
type via string

const (
	viaHTTP   via = "http"
	viaSocket via = "socket"
)

type metrics struct {
	requests  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	connected prometheus.Gauge
	lost      prometheus.Counter
}

// newMetrics registers what is counted; the connection only where there is one.
func newMetrics(r prometheus.Registerer, socket bool) (metrics, error) {
	m := metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "triagebot_slack_requests_total",
			Help: "What came in from Slack, by way (http, socket), kind (command, click, dialog, mention, other, unknown) and what became of it.",
		}, []string{"via", "kind", "result"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "triagebot_slack_request_seconds",
			Help:    "Time from a request's arrival to its reply.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"via", "kind"}),
		connected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "triagebot_slack_socket_connected",
			Help: "1 while Socket Mode is connected.",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "triagebot_slack_answers_lost_total",
			Help: "Replies that could not be shown to whoever asked.",
		}),
	}
	if r == nil {
		return m, nil
	}
	collectors := []prometheus.Collector{m.requests, m.seconds, m.lost}
	if socket {
		collectors = append(collectors, m.connected)
	}
	for _, c := range collectors {
		if err := r.Register(c); err != nil {
			return metrics{}, err
		}
	}
	return m, nil
}

func (m *metrics) count(v via, k kind, r result) {
	m.requests.WithLabelValues(string(v), string(k), string(r)).Inc()
}
