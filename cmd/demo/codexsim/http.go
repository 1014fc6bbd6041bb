// The HTTP side: the app's routes, the probe, the metrics and the fault switch.

package codexsim

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	maxBody         = 64 << 10
	maxRequestID    = 64
	headerRequestID = "X-Request-Id"
	headerRetryOf   = "X-Retry-Of" // the id of the request that this one repeats

	statusClientGone = 499 // as nginx logs it; nobody sees the answer
)

// Handler serves all of the app's routes.
func (a *App) Handler() http.Handler {
	r := mux.NewRouter()
	r.Handle("/metrics", promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{})).Methods(http.MethodGet)
	r.HandleFunc("/readyz", a.readyz).Methods(http.MethodGet)
	r.HandleFunc("/settings", a.settings).Methods(http.MethodGet)
	r.HandleFunc(routeChat, a.chat).Methods(http.MethodPost)
	r.HandleFunc(routeModels, a.models).Methods(http.MethodGet)
	r.HandleFunc(routeMaintenance, a.setMaintenance).Methods(http.MethodPost)
	r.HandleFunc("/faults", loopbackOnly(a.listFaults)).Methods(http.MethodGet)
	r.HandleFunc("/faults/{name}", loopbackOnly(a.switchFault)).Methods(http.MethodPost, http.MethodDelete)
	return r
}

// Readiness is what /readyz answers: 200 while at least half of the workers
// are up, 503 otherwise. Maintenance does not make it unready: the runbook
// asks for a 200 here before maintenance is cleared.
type Readiness struct {
	Status        string `json:"status"` // ok, degraded or unready
	Version       string `json:"version"`
	Workers       int    `json:"workers"`
	WorkersUp     int    `json:"workers_up"`
	RestartStreak int    `json:"restart_streak"` // the longest of all workers
	BackoffMS     int64  `json:"backoff_ms"`     // likewise
	Maintenance   bool   `json:"maintenance"`
}

func (a *App) readyz(w http.ResponseWriter, _ *http.Request) {
	s := a.pool.state()
	answer := Readiness{
		Status: "ok", Version: a.release().version, Workers: s.Total, WorkersUp: s.Up,
		RestartStreak: s.Streak, BackoffMS: s.Backoff.Milliseconds(), Maintenance: a.faults.is(Maintenance),
	}
	status := http.StatusOK
	switch {
	case s.Up*2 < s.Total:
		answer.Status, status = "unready", http.StatusServiceUnavailable
	case s.Up < s.Total:
		answer.Status = "degraded"
	}
	writeJSON(w, status, answer)
}

// chat answers a chat completion, as the faults that are on let it.
func (a *App) chat(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	id := a.requestID(r)
	n := a.served.Add(1)
	w.Header().Set(headerRequestID, id)
	_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBody)) // what is asked does not matter

	call := exchange{id: id, number: n}
	status, body := a.complete(r.Context(), &call)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "60")
	}
	writeJSON(w, status, body)

	took := time.Since(began)
	a.metrics.observe(routeChat, r.Method, status, took)
	if status == http.StatusOK {
		a.logs.usage.write(usageLine{
			ReqID: id, Model: "codex-sim", PromptTokens: 200 + int(n%300), CompletionTokens: 40 + int(n%90),
			LatencyMS: milliseconds(took),
		})
	}
	a.logs.access.write(accessLine{ // last, as in a server that logs when all is done
		ReqID: id, Method: r.Method, Route: routeChat, Status: status, LatencyMS: milliseconds(took),
		Worker: call.worker, QueueMS: milliseconds(call.queued), Error: call.failure, ToolCall: call.tool, RetryOf: retryOf(r),
	})
}

func (a *App) models(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	id := a.requestID(r)
	w.Header().Set(headerRequestID, id)
	if !wait(r.Context(), modelsLatency) {
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": []any{map[string]any{"id": "codex-sim", "object": "model"}}})
	took := time.Since(began)
	a.metrics.observe(routeModels, r.Method, http.StatusOK, took)
	a.logs.access.write(accessLine{ReqID: id, Method: r.Method, Route: routeModels, Status: http.StatusOK, LatencyMS: milliseconds(took)})
}

func (a *App) listFaults(w http.ResponseWriter, _ *http.Request) {
	list := map[string]bool{}
	for _, f := range Faults() {
		list[string(f)] = a.faults.is(f)
	}
	writeJSON(w, http.StatusOK, list)
}

func (a *App) switchFault(w http.ResponseWriter, r *http.Request) {
	if err := a.Fault(mux.Vars(r)["name"], r.Method == http.MethodPost); err != nil {
		writeJSON(w, http.StatusNotFound, map[string]string{"error": err.Error()})
		return
	}
	a.listFaults(w, r)
}

// loopbackOnly refuses callers from elsewhere, and pages that reached loopback
// through a name of their own (DNS rebinding).
func loopbackOnly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from, _, errFrom := net.SplitHostPort(r.RemoteAddr)
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if errFrom != nil || !isLoopback(from) || !isLoopback(host) {
			writeJSON(w, http.StatusForbidden, map[string]string{"error": "faults can be switched from loopback only"})
			return
		}
		next(w, r)
	}
}

// requestID is the caller's own id where it is a plain one, else a new one.
func (a *App) requestID(r *http.Request) string {
	if id := r.Header.Get(headerRequestID); plainID(id) {
		return id
	}
	return fmt.Sprintf("req-%08x", a.serial.Add(1))
}

// retryOf is the id of the request that this one repeats, where it names one.
func retryOf(r *http.Request) string {
	if id := r.Header.Get(headerRetryOf); plainID(id) {
		return id
	}
	return ""
}

func plainID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller went away
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
