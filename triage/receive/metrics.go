package receive

// What this package counts of itself.

import (
	"io"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/sirupsen/logrus"
)

// result is how a request to the webhook ended, a value of the label of
// triagebot_notifications_total.
type result string

const (
	resultAccepted     result = "accepted"
	resultInvalid      result = "invalid"             // the body is no notification
	resultUnreadable   result = "unreadable"          // the body did not arrive whole
	resultTooLarge     result = "too_large"           // over MaxBody
	resultTooManyNames result = "too_many_alertnames" // over MaxAlertnames
	resultEncoded      result = "encoded"             // Content-Encoding
	resultMethod       result = "method"              // not a POST
	resultUnauthorized result = "unauthorized"        // no credentials, or wrong ones
	resultOverloaded   result = "overloaded"          // over MaxConcurrent
	resultBacklogFull  result = "backlog_full"        // ErrBacklogFull
	resultStorageError result = "storage_error"       // any other error of Ingest
	resultClientGone   result = "client_gone"         // the sender left before it was written
	resultPanic        result = "panic"
)

// results are all of them, so that each counter stands at 0 from the start.
func results() []result {
	return []result{
		resultAccepted, resultInvalid, resultUnreadable, resultTooLarge, resultTooManyNames, resultEncoded, resultMethod,
		resultUnauthorized, resultOverloaded, resultBacklogFull, resultStorageError, resultClientGone, resultPanic,
	}
}

type handlerMetrics struct {
	notifications *prometheus.CounterVec
	ackSeconds    prometheus.Histogram
	inFlight      prometheus.Gauge
	bodyBytes     prometheus.Histogram
}

func newHandlerMetrics(reg prometheus.Registerer) handlerMetrics {
	f := promauto.With(reg)
	m := handlerMetrics{
		notifications: f.NewCounterVec(prometheus.CounterOpts{
			Name: "triagebot_notifications_total",
			Help: "Requests to the Alertmanager webhook, by how they ended.",
		}, []string{"result"}),
		ackSeconds: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "triagebot_notification_ack_seconds",
			Help:    "Time from a notification's request to its 2xx, which is when it is on disk.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		inFlight: f.NewGauge(prometheus.GaugeOpts{
			Name: "triagebot_notifications_in_flight",
			Help: "Notifications that are being received now.",
		}),
		bodyBytes: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "triagebot_notification_body_bytes",
			Help:    "Sizes of the bodies of accepted notifications.",
			Buckets: prometheus.ExponentialBuckets(1024, 4, 7),
		}),
	}
	for _, r := range results() {
		m.notifications.WithLabelValues(string(r))
	}
	return m
}

type groupMetrics struct {
	batchSize     prometheus.Histogram
	commitSeconds prometheus.Histogram
}

func newGroupMetrics(reg prometheus.Registerer, queued func() float64) groupMetrics {
	f := promauto.With(reg)
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "triagebot_notifications_uncommitted",
		Help: "Notifications that wait to be written or are being written now.",
	}, queued)
	return groupMetrics{
		batchSize: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "triagebot_notification_batch_size",
			Help:    "Notifications that shared one transaction.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}),
		commitSeconds: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "triagebot_notification_commit_seconds",
			Help:    "Time of one transaction that writes notifications.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
	}
}

// setDefault gives an option that was left out its default.
func setDefault[T comparable](option *T, value T) {
	var zero T
	if *option == zero {
		*option = value
	}
}

// orSilent is log, or a logger that says nothing.
func orSilent(log logrus.FieldLogger) logrus.FieldLogger {
	if log != nil {
		return log
	}
	silent := logrus.New()
	silent.SetOutput(io.Discard)
	return silent
}
