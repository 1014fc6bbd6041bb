package codexsim

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// direct carries requests to a handler without a socket, so that an app can
// live in a synctest bubble.
type direct struct{ handler http.Handler }

func (d *direct) RoundTrip(req *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	d.handler.ServeHTTP(rec, req)
	return rec.Result(), nil
}

// simulation is an app on a fake clock.
type simulation struct {
	*testing.T
	*App
	dir string
}

// simulate runs story on an app whose clock is the bubble's.
func simulate(t *testing.T, opts Options, story func(s *simulation)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		logs, err := openLogs(dir, cmp.Or(opts.LogBytes, DefaultLogBytes))
		if err != nil {
			t.Fatal(err)
		}
		transport := &direct{}
		opts.Transport, opts.Rate, opts.Log = transport, DefaultRate, quiet()
		app := assemble(opts, nil, logs)
		transport.handler = app.Handler()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); app.live(ctx) }()
		story(&simulation{T: t, App: app, dir: dir})
		cancel()
		<-done
		if err := logs.Close(); err != nil {
			t.Error(err)
		}
	})
}

// pass lets the fake clock run.
func (s *simulation) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (s *simulation) fault(f Fault, on bool) {
	s.Helper()
	if err := s.Fault(string(f), on); err != nil {
		s.Fatal(err)
	}
}

// value adds up the samples of a family whose labels hold all of want
// ("worker", "w1"); for a histogram it is the count.
func (s *simulation) value(family string, want ...string) float64 {
	s.Helper()
	return sum(s.T, s.metrics.registry, family, want...)
}

func sum(t *testing.T, from prometheus.Gatherer, family string, want ...string) float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == family {
			return sumOf(f, want)
		}
	}
	t.Fatalf("no metric %s", family)
	return 0
}

func sumOf(f *dto.MetricFamily, want []string) (total float64) {
	for _, m := range f.GetMetric() {
		matched := 0
		for _, l := range m.GetLabel() {
			for i := 0; i < len(want); i += 2 {
				if l.GetName() == want[i] && l.GetValue() == want[i+1] {
					matched++
				}
			}
		}
		if matched*2 == len(want) {
			total += m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return total
}

// slower counts the chat completions that went well and took longer than bound.
func (s *simulation) slower(bound float64) float64 {
	families, err := s.metrics.registry.Gather()
	if err != nil {
		s.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "codex_http_latency_ms" {
			continue
		}
		for _, m := range f.GetMetric() {
			if labelOf(m, "route") != routeChat || labelOf(m, "status_family") != "2xx" {
				continue
			}
			for _, b := range m.GetHistogram().GetBucket() {
				if b.GetUpperBound() == bound {
					return float64(m.GetHistogram().GetSampleCount() - b.GetCumulativeCount())
				}
			}
		}
	}
	s.Fatalf("no bucket %g", bound)
	return 0
}

func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

func (s *simulation) readyz() (int, Readiness) {
	s.Helper()
	rec := httptest.NewRecorder()
	s.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	var r Readiness
	if err := json.Unmarshal(rec.Body.Bytes(), &r); err != nil {
		s.Fatalf("/readyz: %v in %q", err, rec.Body)
	}
	return rec.Code, r
}

// lines returns the lines of a log, each decoded.
func (s *simulation) lines(name string) []map[string]any {
	s.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.Fatal(err)
	}
	var out []map[string]any
	for scanner := bufio.NewScanner(bytes.NewReader(data)); scanner.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			s.Fatalf("%s: %v in %q", name, err, scanner.Text())
		}
		out = append(out, line)
	}
	return out
}

func TestUsualTrafficIsQuiet(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		s.pass(30 * time.Second)

		requests := s.value("codex_http_requests_total")
		if requests < 1100 || requests > 1200 {
			t.Errorf("%g requests in 30 s at %d a second", requests, DefaultRate)
		}
		if ratio := s.value("codex_http_request_errors_total") / requests; ratio >= 0.01 {
			t.Errorf("error ratio %g without a fault", ratio)
		}
		if slow := s.slower(250) / requests; slow > 0.02 {
			t.Errorf("%g of the requests over 250 ms without a fault", slow)
		}
		for _, name := range []string{"codex_worker_restarts_total", "codex_worker_backoff_ms", "codex_tool_buffer_anomaly", "codex_maintenance_mode", "codex_queue_depth"} {
			if v := s.value(name); v != 0 {
				t.Errorf("%s = %g without a fault", name, v)
			}
		}
		if v := s.value("codex_build_info", "version", version); v != 1 {
			t.Errorf("codex_build_info = %g", v)
		}
		code, ready := s.readyz()
		if code != 200 || ready != (Readiness{Status: "ok", Version: version, Workers: 4, WorkersUp: 4}) {
			t.Errorf("/readyz = %d %+v", code, ready)
		}
	})
}

func TestSlowFault(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		s.fault(Slow, true)
		s.pass(10 * time.Second)
		if slow := s.slower(250); slow < 200 {
			t.Errorf("only %g completions over 250 ms after 10 s", slow)
		}
		if v := s.value("codex_worker_backoff_ms", "worker", "w0"); v != 5000 {
			t.Errorf("backoff of w0 after 10 s = %g ms", v)
		}
		if v := s.value("codex_worker_restarts_total"); v != 0 {
			t.Errorf("%g restarts; slowness is no crash", v)
		}
		if code, ready := s.readyz(); code != 200 || ready.Status != "degraded" || ready.BackoffMS != 5000 {
			t.Errorf("/readyz = %d %+v", code, ready)
		}

		s.fault(Slow, false)
		s.pass(3 * time.Second)
		before := s.slower(500)
		s.pass(5 * time.Second)
		if after := s.slower(500); after != before {
			t.Errorf("still %g slow completions after the fault is over", after-before)
		}
		if v := s.value("codex_worker_backoff_ms"); v != 0 {
			t.Errorf("backoff %g ms after the fault is over", v)
		}
	})
}

func TestErrorsFault(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		s.fault(Errors, true)
		s.pass(10 * time.Second)
		ratio := s.value("codex_http_request_errors_total", "reason", "backend") / s.value("codex_http_requests_total", "route", routeChat)
		if ratio < 0.15 || ratio > 0.25 {
			t.Errorf("error ratio %g, want about one in five", ratio)
		}
		if got := s.value("codex_http_requests_total", "status_family", "5xx"); got != s.value("codex_http_request_errors_total") {
			t.Errorf("%g answers 5xx, but %g errors", got, s.value("codex_http_request_errors_total"))
		}

		// A failing request's id leads from the access log to the backend's error.
		access := s.lines("access.ndjson")
		i := slices.IndexFunc(access, func(l map[string]any) bool { return l["error"] == "backend" })
		if i < 0 {
			t.Fatal("no failed request in access.ndjson")
		}
		id := access[i]["req_id"]
		if !slices.ContainsFunc(s.lines("proto.ndjson"), func(l map[string]any) bool { return l["req_id"] == id && l["method"] == "error" }) {
			t.Errorf("proto.ndjson has no error of %v", id)
		}
		if slices.ContainsFunc(s.lines("usage.ndjson"), func(l map[string]any) bool { return l["req_id"] == id }) {
			t.Errorf("usage.ndjson charges the failed %v", id)
		}
	})
}

func TestRestartsFault(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		s.fault(Restarts, true)
		s.pass(20 * time.Second)
		if v := s.value("codex_worker_restarts_total", "worker", "w1"); v < 4 {
			t.Errorf("w1 restarted %g times in 20 s", v)
		}
		if v := s.value("codex_worker_restarts_total", "worker", "w0"); v != 0 {
			t.Errorf("w0, which is spared, restarted %g times", v)
		}
		if code, ready := s.readyz(); code != 503 || ready.Status != "unready" || ready.WorkersUp != 1 || ready.RestartStreak < 4 || ready.BackoffMS != 5000 {
			t.Errorf("/readyz = %d %+v", code, ready)
		}
		var waits []float64
		for _, l := range s.lines("engine.ndjson") {
			if l["event"] == "worker_exited" && l["worker"] == "w1" {
				waits = append(waits, l["backoff_ms"].(float64))
			}
		}
		if want := []float64{250, 500, 1000, 2000, 4000, 5000}; !slices.Equal(waits[:min(len(waits), 6)], want) {
			t.Errorf("engine log shows the waits %v, want %v", waits, want)
		}

		s.fault(Restarts, false)
		s.pass(9 * time.Second)
		if code, ready := s.readyz(); code != 200 || ready.Status != "ok" || ready.RestartStreak != 0 {
			t.Errorf("/readyz after the fault = %d %+v", code, ready)
		}
	})
}

func TestToolBufferFault(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		s.pass(5 * time.Second)
		if v := s.value("codex_tool_buffer_aborted_total"); v != 0 {
			t.Errorf("%g buffers aborted without a fault", v)
		}
		s.fault(ToolBuffer, true)
		s.pass(5 * time.Second)
		if v := s.value("codex_tool_buffer_anomaly"); v < 8 || v > 12 {
			t.Errorf("anomaly gauge = %g, want about half of %d", v, anomalyWindow)
		}
		if a, b := s.value("codex_tool_buffer_aborted_total"), s.value("codex_tool_buffer_started_total"); a == 0 || a >= b {
			t.Errorf("%g of %g buffers aborted", a, b)
		}
		s.fault(ToolBuffer, false)
		s.pass(5 * time.Second)
		if v := s.value("codex_tool_buffer_anomaly"); v != 0 {
			t.Errorf("anomaly gauge = %g after the fault", v)
		}
	})
}

func TestMaintenanceFault(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		s.fault(Maintenance, true)
		s.pass(5 * time.Second)
		if v := s.value("codex_maintenance_mode"); v != 1 {
			t.Errorf("codex_maintenance_mode = %g", v)
		}
		if v := s.value("codex_http_request_errors_total", "reason", "maintenance"); v < 100 {
			t.Errorf("only %g requests refused in 5 s", v)
		}
		if code, ready := s.readyz(); code != 200 || !ready.Maintenance {
			t.Errorf("/readyz = %d %+v; the probe stays ready in maintenance", code, ready)
		}
		s.fault(Maintenance, false)
		if v := s.value("codex_maintenance_mode"); v != 0 {
			t.Errorf("codex_maintenance_mode = %g after the fault", v)
		}
	})
}

// logCount is how many logs an app writes.
const logCount = 6

func TestLogsAreBoundedAndInOrder(t *testing.T) {
	const limit = 8 << 10
	simulate(t, Options{LogBytes: limit}, func(s *simulation) {
		s.pass(time.Minute)
		entries, err := os.ReadDir(s.dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) > 2*logCount {
			t.Errorf("%d files, want at most two for each of %d logs", len(entries), logCount)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			if info.Size() > limit {
				t.Errorf("%s has %d bytes, over its limit of %d", e.Name(), info.Size(), limit)
			}
		}
		last := ""
		for _, name := range []string{"access.ndjson.1", "access.ndjson"} {
			for _, l := range s.lines(name) {
				if ts := l["ts"].(string); ts < last {
					t.Fatalf("%s: %s stands after %s", name, ts, last)
				} else {
					last = ts
				}
			}
		}
	})
}

func TestFaultSwitch(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		for _, c := range []struct {
			name, method, path, remote, host string
			code                             int
			body                             string
		}{
			{"on", "POST", "/faults/slow", "127.0.0.1:1", "127.0.0.1:80", 200, `"slow":true`},
			{"list", "GET", "/faults", "[::1]:1", "localhost", 200, `"slow":true`},
			{"off", "DELETE", "/faults/slow", "127.0.0.1:1", "127.0.0.1:80", 200, `"slow":false`},
			{"unknown", "POST", "/faults/slo", "127.0.0.1:1", "127.0.0.1:80", 404, "known are slow, errors"},
			{"from elsewhere", "POST", "/faults/slow", "192.0.2.1:1", "127.0.0.1:80", 403, "loopback"},
			{"through a rebound name", "POST", "/faults/slow", "127.0.0.1:1", "evil.example", 403, "loopback"},
		} {
			r := httptest.NewRequest(c.method, c.path, nil)
			r.RemoteAddr, r.Host = c.remote, c.host
			rec := httptest.NewRecorder()
			s.Handler().ServeHTTP(rec, r)
			if rec.Code != c.code || !strings.Contains(rec.Body.String(), c.body) {
				t.Errorf("%s: %d %s", c.name, rec.Code, rec.Body)
			}
		}
		if s.faults.is(Slow) {
			t.Error("a refused caller switched the fault on")
		}
	})
}

func TestHostileRequestIDsAreReplaced(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		for _, id := range []string{"", "a b", "x\"}", strings.Repeat("a", 65), "é"} {
			r := httptest.NewRequest(http.MethodPost, routeChat, strings.NewReader("{}"))
			r.Header.Set(headerRequestID, id)
			rec := httptest.NewRecorder()
			s.Handler().ServeHTTP(rec, r)
			if got := rec.Header().Get(headerRequestID); got == id || !plainID(got) {
				t.Errorf("id %q came back as %q", id, got)
			}
		}
	})
}

// TestOverLoopback runs the whole app on a real socket.
func TestOverLoopback(t *testing.T) {
	app, err := New(Options{LogDir: t.TempDir(), Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()

	resp, err := http.Get(app.URL() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("/readyz = %s", resp.Status)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestOnlyLoopback(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:80", "nonsense"} {
		if _, err := New(Options{Addr: addr, LogDir: t.TempDir()}); err == nil {
			t.Errorf("listens on %q", addr)
		}
	}
}

func TestHistoryLooksLikeUsualTraffic(t *testing.T) {
	to := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var steps int
	var last []*dto.MetricFamily
	err := History(HistoryOptions{From: to.Add(-time.Minute), To: to, Step: 2 * time.Second}, func(at time.Time, families []*dto.MetricFamily) error {
		if want := to.Add(-time.Minute).Add(time.Duration(steps) * 2 * time.Second); !at.Equal(want) {
			t.Errorf("step %d is at %s, want %s", steps, at, want)
		}
		steps++
		last = families
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if steps != 31 {
		t.Errorf("%d steps in a minute", steps)
	}
	gathered := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return last, nil })
	if got := sum(t, gathered, "codex_http_requests_total"); got != 31*2*DefaultRate {
		t.Errorf("%g requests", got)
	}
	if err := History(HistoryOptions{From: to, To: to.Add(-1), Step: time.Second}, nil); err == nil {
		t.Error("a history that ends before it starts was accepted")
	}
}
