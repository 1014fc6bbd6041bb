// The outbox's own metrics.

package outbox

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"triagebot/notifiers"
	"triagebot/triage"
	"triagebot/triage/store"
)

type metrics struct {
	results     *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	rateLimited *prometheus.CounterVec
}

func newMetrics(s Store, reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "triagebot_deliveries_total",
			Help: "Attempts at deliveries, by what became of them.",
		}, []string{"notifier", "kind", "result"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "triagebot_delivery_seconds",
			Help:    "Time from when a message was owed to when it was first shown.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900},
		}, []string{"notifier", "kind"}),
		rateLimited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "triagebot_rate_limited_total",
			Help: "Rate limits met; scope is the notifier's method, empty when only the channel is limited.",
		}, []string{"notifier", "scope"}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.results, m.seconds, m.rateLimited, newOwed(s)} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("outbox: register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) result(d *triage.Delivery, result string) {
	m.results.WithLabelValues(d.Notifier, string(d.Kind), result).Inc()
}

// shown counts a message or edit that went out at the instant.
func (m *metrics) shown(d *triage.Delivery, at time.Time) {
	m.result(d, resultShown)
	if d.SentVersion == 0 {
		m.seconds.WithLabelValues(d.Notifier, string(d.Kind)).Observe(at.Sub(d.CreatedAt).Seconds())
	}
}

// orphans counts replies that were parked because of their parent.
func (m *metrics) orphans(l store.Lane, n int64) {
	if n > 0 {
		m.results.WithLabelValues(l.Notifier, string(triage.DeliveryReply), resultOrphaned).Add(float64(n))
	}
}

func (m *metrics) limited(d *triage.Delivery, scope string) {
	m.rateLimited.WithLabelValues(d.Notifier, scope).Inc()
}

// metricName is a reason as a label value.
func metricName(r notifiers.Reason) string { return strings.ReplaceAll(r.String(), " ", "_") }

// owed is what the database says, asked at a scrape and kept for a moment so
// that scrapers together ask once. While the database does not answer, its
// metrics are absent and the others are not.
type owed struct {
	store       Store
	deliveries  *prometheus.Desc
	oldest      *prometheus.Desc
	mu          sync.Mutex
	asked       time.Time
	states      map[string]int
	oldestSince time.Time
	err         error
}

const (
	owedFresh   = 5 * time.Second
	owedTimeout = 2 * time.Second
)

func newOwed(s Store) *owed {
	return &owed{
		store:      s,
		deliveries: prometheus.NewDesc("triagebot_deliveries", "Deliveries that are not shown, by state.", []string{"state"}, nil),
		oldest: prometheus.NewDesc("triagebot_outbox_oldest_seconds",
			"For how long the delivery that waits longest could have been shown; 0 when none waits.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (o *owed) Describe(ch chan<- *prometheus.Desc) {
	ch <- o.deliveries
	ch <- o.oldest
}

// Collect implements prometheus.Collector.
func (o *owed) Collect(ch chan<- prometheus.Metric) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if now.Sub(o.asked) > owedFresh {
		o.ask(now)
	}
	if o.err != nil {
		return
	}
	for _, state := range []triage.DeliveryState{triage.DeliveryPending, triage.DeliverySending, triage.DeliveryParked} {
		ch <- prometheus.MustNewConstMetric(o.deliveries, prometheus.GaugeValue, float64(o.states[string(state)]), string(state))
	}
	var age time.Duration
	if !o.oldestSince.IsZero() {
		age = max(0, now.Sub(o.oldestSince))
	}
	ch <- prometheus.MustNewConstMetric(o.oldest, prometheus.GaugeValue, age.Seconds())
}

func (o *owed) ask(now time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), owedTimeout)
	defer cancel()
	o.asked = now
	if o.states, o.err = o.store.DeliveryStates(ctx); o.err == nil {
		o.oldestSince, o.err = o.store.OldestOwed(ctx)
	}
}
