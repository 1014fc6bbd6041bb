package incident

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	folded      *prometheus.CounterVec
	transitions *prometheus.CounterVec
	polls       *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		folded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "triagebot_notifications_folded_total",
			Help: "Notifications folded into incidents, by what they did: changed, duplicate, failed.",
		}, []string{"result"}),
		transitions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "triagebot_incident_transitions_total",
			Help: "Transitions of incidents by effect: opens, reopens, settles, closes; empty for none.",
		}, []string{"effect"}),
		polls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "triagebot_alertmanager_polls_total",
			Help: "Times that an Alertmanager was asked which alerts it has, by result: ok, failed.",
		}, []string{"result"}),
	}
	for _, result := range []string{"ok", "failed"} { // or the first failure would be no increase
		m.polls.WithLabelValues(result)
	}
	if r != nil {
		r.MustRegister(m.folded, m.transitions, m.polls)
	}
	return m
}
