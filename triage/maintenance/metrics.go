package maintenance

import (
	"errors"
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"triagebot/triage"
)

type metrics struct {
	mode        prometheus.Gauge
	overdue     prometheus.Gauge
	looks       *prometheus.CounterVec
	calls       *prometheus.CounterVec
	transitions *prometheus.CounterVec
}

// What a look came to.
const (
	lookOn      = "on"
	lookOff     = "off"
	lookUnknown = "unknown"
)

// What a call came to.
const (
	callDone   = "answered"
	callFailed = "failed"
	callStale  = "stale" // not made, for its worker was held up for too long
)

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		mode: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "triagebot_maintenance_mode",
			Help: "What the maintenance metric said when this replica last looked: 1 on, 0 off, NaN unknown.",
		}),
		overdue: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "triagebot_maintenance_overdue_seconds",
			Help: "For how long maintenance has been on beyond its announced end; 0 when it is not.",
		}),
		looks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "triagebot_maintenance_looks_total",
			Help: "Looks at the maintenance metric, by what it said: on, off, unknown.",
		}, []string{"result"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "triagebot_maintenance_calls_total",
			Help: "Calls of the maintenance toggle by what for (on, off) and result: answered, failed, stale (not made, for the worker was held up for too long).",
		}, []string{"to", "result"}),
		transitions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "triagebot_maintenance_transitions_total",
			Help: "Transitions of maintenance windows, by the state that they came into.",
		}, []string{"state"}),
	}
	m.mode.Set(math.NaN())
	for _, result := range []string{lookOn, lookOff, lookUnknown} { // or the first would be no increase
		m.looks.WithLabelValues(result)
	}
	for _, to := range []bool{true, false} {
		for _, result := range []string{callDone, callFailed, callStale} {
			m.calls.WithLabelValues(flag(to), result)
		}
	}
	for _, t := range transitions() {
		m.transitions.WithLabelValues(string(t.to))
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.mode, m.overdue, m.looks, m.calls, m.transitions} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) looked(on bool, err error) {
	switch {
	case err != nil:
		m.mode.Set(math.NaN())
		m.looks.WithLabelValues(lookUnknown).Inc()
	case on:
		m.mode.Set(1)
		m.looks.WithLabelValues(lookOn).Inc()
	default:
		m.mode.Set(0)
		m.looks.WithLabelValues(lookOff).Inc()
	}
}

func (m *metrics) called(on bool, result string) { m.calls.WithLabelValues(flag(on), result).Inc() }

func (m *metrics) moved(to triage.WindowState) { m.transitions.WithLabelValues(string(to)).Inc() }

// flag is the flag's value in a word.
func flag(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
