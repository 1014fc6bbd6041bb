package slack

// What the notifier counts of its calls.

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	calls        *prometheus.CounterVec
	tokenValid   prometheus.Gauge
	fallbacks    *prometheus.CounterVec
	scopeMissing *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "triagebot_slack_calls_total",
			Help: "Calls of Slack's Web API by method and result (ok, ambiguous, transient, rate limited, permanent, gone).",
		}, []string{"method", "result"}),
		tokenValid: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "triagebot_slack_token_valid",
			Help: "1 unless Slack refused the bot token in its latest answer.",
		}),
		fallbacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "triagebot_slack_fallbacks_total",
			Help: "Messages shown otherwise than asked, by how (plain_text, channel).",
		}, []string{"how"}),
	}
	m.scopeMissing = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "triagebot_slack_scope_missing",
		Help: "1 for each scope that Slack says the bot token lacks.",
	}, []string{"scope"})
	m.tokenValid.Set(1)
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.calls, m.tokenValid, m.fallbacks, m.scopeMissing} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
