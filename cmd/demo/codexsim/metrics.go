// What /metrics shows. Every series exists from the start, so that a rate over
// a counter's first increment is seen.

package codexsim

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The routes that are measured. /metrics and /readyz are not: probes would
// hide what users feel.
const (
	routeChat   = "/v1/chat/completions"
	routeModels = "/v1/models"
)

// Reasons of codex_http_request_errors_total.
const (
	reasonBackend     = "backend"
	reasonMaintenance = "maintenance"
	reasonNoWorker    = "no_worker"
	reasonOverload    = "overload" // the queue is full
)

type metrics struct {
	registry *prometheus.Registry

	latency     *prometheus.HistogramVec
	requests    *prometheus.CounterVec
	errors      *prometheus.CounterVec
	restarts    *prometheus.CounterVec
	backoff     *prometheus.GaugeVec
	maintenance prometheus.Gauge
	started     prometheus.Counter
	aborted     prometheus.Counter
	anomaly     prometheus.Gauge
	queued      prometheus.Gauge
	build       *prometheus.GaugeVec
	flags       *prometheus.GaugeVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "codex_http_latency_ms",
			Help:    "Time from a request's first byte to its answer's last, in milliseconds.",
			Buckets: []float64{5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000},
		}, []string{"route", "method", "status_family"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "codex_http_requests_total",
			Help: "Requests answered.",
		}, []string{"route", "method", "status_family"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "codex_http_request_errors_total",
			Help: "Requests answered with a 5xx status, by reason: backend, maintenance, no_worker, overload.",
		}, []string{"route", "reason"}),
		restarts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "codex_worker_restarts_total",
			Help: "Times a worker process exited and was started again.",
		}, []string{"worker"}),
		backoff: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "codex_worker_backoff_ms",
			Help: "How long a worker waits at the moment before its next attempt, in milliseconds; 0 when it works.",
		}, []string{"worker"}),
		maintenance: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "codex_maintenance_mode",
			Help: "1 while the maintenance flag is on.",
		}),
		started: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "codex_tool_buffer_started_total",
			Help: "Buffers begun for a textual <use_tool> block.",
		}),
		aborted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "codex_tool_buffer_aborted_total",
			Help: "Tool-call buffers given up before their block was whole.",
		}),
		anomaly: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "codex_tool_buffer_anomaly",
			Help: "How many of the last 20 tool-call buffers were aborted, their text lost, doubled or mixed up.",
		}),
		queued: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "codex_queue_depth",
			Help: "Chat completions that wait at the moment to be given to a worker.",
		}),
		build: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "codex_build_info",
			Help: "Always 1; its labels say what runs.",
		}, []string{"version", "revision"}),
		flags: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "codex_feature_flag",
			Help: "1 while the flag is on, else 0.",
		}, []string{"flag"}),
	}
	m.registry.MustRegister(m.latency, m.requests, m.errors, m.restarts, m.backoff,
		m.maintenance, m.started, m.aborted, m.anomaly, m.queued, m.build, m.flags)

	for _, family := range []string{"2xx", "5xx"} {
		m.latency.WithLabelValues(routeChat, "POST", family)
		m.requests.WithLabelValues(routeChat, "POST", family)
	}
	m.latency.WithLabelValues(routeModels, "GET", "2xx")
	m.requests.WithLabelValues(routeModels, "GET", "2xx")
	for _, reason := range []string{reasonBackend, reasonMaintenance, reasonNoWorker, reasonOverload} {
		m.errors.WithLabelValues(routeChat, reason)
	}
	m.build.With(usualRelease().labels()).Set(1)
	m.flags.WithLabelValues(flagMaintenance).Set(0)
	m.flags.WithLabelValues(flagToolBlockCap).Set(1)
	for i := range workerCount {
		m.restarts.WithLabelValues(workerName(i))
		m.backoff.WithLabelValues(workerName(i))
	}
	return m
}

// observe counts one answered request.
func (m *metrics) observe(route, method string, status int, took time.Duration) {
	family := statusFamily(status)
	m.latency.WithLabelValues(route, method, family).Observe(float64(took) / float64(time.Millisecond))
	m.requests.WithLabelValues(route, method, family).Inc()
}

func statusFamily(status int) string { return strconv.Itoa(status/100) + "xx" }
