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
)

// version is what codex_build_info and the logs say.
const version = "0.9.4-sim"

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
			Help: "Requests answered with a 5xx status, by reason: backend, maintenance, no_worker.",
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
			Help: "How many of the last 20 tool-call buffers lost or doubled a chunk.",
		}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "codex_build_info",
		Help:        "Always 1; its labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "revision": "simulated"},
	})
	info.Set(1)
	m.registry.MustRegister(m.latency, m.requests, m.errors, m.restarts, m.backoff,
		m.maintenance, m.started, m.aborted, m.anomaly, info)

	for _, family := range []string{"2xx", "5xx"} {
		m.latency.WithLabelValues(routeChat, "POST", family)
		m.requests.WithLabelValues(routeChat, "POST", family)
	}
	m.latency.WithLabelValues(routeModels, "GET", "2xx")
	m.requests.WithLabelValues(routeModels, "GET", "2xx")
	for _, reason := range []string{reasonBackend, reasonMaintenance, reasonNoWorker} {
		m.errors.WithLabelValues(routeChat, reason)
	}
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
