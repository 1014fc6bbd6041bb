package incident

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	folded      *prometheus.CounterVec
	alerts      *prometheus.CounterVec
	transitions *prometheus.CounterVec
	polls       *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		folded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "triagebot_notifications_folded_total",
			Help: "Notifications folded into incidents, by what they did: changed, duplicate, failed.",
		}, []string{"result"}),
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "triagebot_alerts_folded_total",
			Help: "Alerts of folded notifications, by what came of them: fired, ended (both for one whose resolve was lost), changed, duplicate, late (a firing soon after its end, dropped), unseen (the end of one that nobody saw firing, dropped).",
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
	for _, result := range []string{alertFired, alertEnded, alertChanged, alertDuplicate, alertLate, alertUnseen} {
		m.alerts.WithLabelValues(result)
	}
	if r != nil {
		r.MustRegister(m.folded, m.alerts, m.transitions, m.polls)
	}
	return m
}
