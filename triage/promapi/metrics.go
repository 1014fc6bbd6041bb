// The client's metrics. Clients made one after another, as a reload does, go
// on with the same series.

package promapi

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	duration *prometheus.HistogramVec // by datasource and result
	inFlight prometheus.Gauge
	shared   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, datasource string) (metrics, error) {
	duration, err1 := register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "triagebot_datasource_query_duration_seconds",
		Help:    "Time from sending a query to its decoded answer, by result: ok or why it failed.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	}, []string{"datasource", "result"}))
	inFlight, err2 := register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "triagebot_datasource_queries_in_flight",
		Help: "Queries sent and not yet answered.",
	}, []string{"datasource"}))
	shared, err3 := register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "triagebot_datasource_queries_shared_total",
		Help: "Queries not sent because an identical one was in flight.",
	}, []string{"datasource"}))
	if err := errors.Join(err1, err2, err3); err != nil {
		return metrics{}, err
	}
	return metrics{
		duration: duration,
		inFlight: inFlight.WithLabelValues(datasource),
		shared:   shared.WithLabelValues(datasource),
	}, nil
}

// register registers c, or returns the collector that stands in its place.
func register[C prometheus.Collector](reg prometheus.Registerer, c C) (C, error) {
	if reg == nil {
		return c, nil
	}
	err := reg.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if existing, ok := already.ExistingCollector.(C); ok {
			return existing, nil
		}
	}
	return c, err
}
