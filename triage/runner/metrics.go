package runner

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"triagebot/triage"
)

type metrics struct {
	runs         *prometheus.CounterVec
	steps        *prometheus.HistogramVec
	firstFinding prometheus.Histogram
	lastFinding  prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) *metrics {
	seconds := []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	m := &metrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "triagebot_runs_total",
			Help: "Runs that are over, by result: finished, failed.",
		}, []string{"result"}),
		steps: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "triagebot_step_duration_seconds",
			Help:    "Time a step took, retries included, by step kind and the state it ended in.",
			Buckets: seconds,
		}, []string{"kind", "state"}),
		firstFinding: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "triagebot_first_finding_seconds",
			Help:    "Time from a notification's arrival to the first finding of the run it started, committed and owed to the channel.",
			Buckets: seconds,
		}),
		lastFinding: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "triagebot_last_finding_seconds",
			Help:    "Time from a notification's arrival to the end of the run it started.",
			Buckets: seconds,
		}),
	}
	if r != nil {
		r.MustRegister(m.runs, m.steps, m.firstFinding, m.lastFinding)
	}
	return m
}

func (m *metrics) finding(f triage.Finding, first bool, since time.Duration) {
	m.steps.WithLabelValues(f.Kind, string(f.State())).Observe(f.Took.Seconds())
	if first {
		m.firstFinding.Observe(since.Seconds())
	}
}
