// A real Prometheus with a past: 15 days of the signals that the shipped
// playbooks read, of enough app servers to make 5,000 series of them.

package bench

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"golang.org/x/sync/errgroup"

	"triagebot/cmd/internal/program"
)

// The history's shape. Prometheus's own scrape interval would be 15 s; with a
// minute it is built in a minute or so.
const (
	historyDays   = 15
	historyStep   = time.Minute
	historySeries = 5000
	// ahead is how far the history reaches into the future, so that a run
	// whenever it comes finds its last five minutes.
	ahead = 20 * time.Minute
	// faulty is for how long all has been bad when the history is built.
	faulty = 15 * time.Minute
)

// signal is one series and how it goes.
type signal struct {
	labels labels.Labels
	value  func(at time.Time, bad float64) float64 // bad is how many seconds the fault lasts by then
}

// latencyBounds are the buckets of codex_http_latency_ms.
var latencyBounds = []float64{5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, math.Inf(1)}

// signals are the series of as many app servers as it takes.
func signals() (all []signal) {
	for name, bad := range map[string]float64{"p95_5m": 1800, "p95_baseline": 180} {
		all = append(all, series("route:codex_http_latency_ms:"+name, "0", steady(180, bad), "route", "/v1/chat/completions", "method", "POST", "status_family", "2xx"))
	}
	for instance := 0; len(all) < historySeries; instance++ {
		all = append(all, appSignals(strconv.Itoa(instance))...)
	}
	return all[:historySeries]
}

// appSignals are the series of one app server.
func appSignals(instance string) (all []signal) {
	add := func(name string, value func(time.Time, float64) float64, pairs ...string) {
		all = append(all, series(name, instance, value, pairs...))
	}
	const chat, models = "/v1/chat/completions", "/v1/models"
	for _, r := range []struct {
		route, method, family string
		rate, worse           float64 // requests a second, and how many times as many while all is bad
	}{{chat, "POST", "2xx", 4, 0.8}, {chat, "POST", "5xx", 0.01, 80}, {models, "GET", "2xx", 0.5, 1}} {
		pairs := []string{"route", r.route, "method", r.method, "status_family", r.family}
		add("codex_http_requests_total", counter(r.rate, r.worse), pairs...)
		add("codex_http_latency_ms_count", counter(r.rate, r.worse), pairs...)
		add("codex_http_latency_ms_sum", counter(r.rate*150, r.worse*6), pairs...)
		for i, bound := range latencyBounds {
			usual, slow := 1-math.Exp(-bound/60), 1-math.Exp(-bound/600)
			if i == len(latencyBounds)-1 {
				usual, slow = 1, 1
			}
			add("codex_http_latency_ms_bucket", counter(r.rate*usual, r.worse*slow/usual), append(pairs[:6:6], "le", strconv.FormatFloat(bound, 'f', -1, 64))...)
		}
	}
	for _, reason := range []string{"backend", "maintenance", "no_worker", "overload"} {
		add("codex_http_request_errors_total", counter(0.0025, 80), "route", chat, "reason", reason)
	}
	for worker := range 4 {
		name := "w" + strconv.Itoa(worker+1)
		add("codex_worker_restarts_total", counter(1e-6, 5000), "worker", name)
		add("codex_worker_backoff_ms", steady(0, 4000), "worker", name)
	}
	for _, name := range []string{"codex_maintenance_mode", "codex_tool_buffer_anomaly", "codex_queue_depth"} {
		add(name, steady(0, 0))
	}
	add("codex_tool_buffer_started_total", counter(0.4, 1))
	add("codex_tool_buffer_aborted_total", counter(0.001, 1))
	add("codex_build_info", steady(1, 1), "version", "0.9.4", "revision", "a1b2c3d")
	add("codex_feature_flag", steady(0, 0), "flag", "maintenance")
	add("codex_feature_flag", steady(1, 1), "flag", "tool_block_cap")
	add("up", steady(1, 1))
	return all
}

func series(name, instance string, value func(time.Time, float64) float64, pairs ...string) signal {
	set := append([]string{model.MetricNameLabel, name, "job", "codex-app", "instance", "app-" + instance + ":8080"}, pairs...)
	return signal{labels: labels.FromStrings(set...), value: value}
}

// counter grows by so much a second, with a swing over the day, and worse times
// as fast while all is bad.
func counter(rate, worse float64) func(time.Time, float64) float64 {
	return func(at time.Time, bad float64) float64 {
		s := float64(at.Unix()-historyEpoch) - bad
		day := s / (24 * 3600) * 2 * math.Pi
		return math.Floor(rate * (s - 0.3*24*3600/(2*math.Pi)*math.Cos(day) + bad*worse))
	}
}

// historyEpoch is when the counters began, in Unix seconds.
const historyEpoch = 1_700_000_000

// steady is one value, and another while all is bad.
func steady(usual, then float64) func(time.Time, float64) float64 {
	return func(_ time.Time, bad float64) float64 {
		if bad > 0 {
			return then
		}
		return usual
	}
}

// buildHistory writes one block a day into dir, and says how many samples.
func buildHistory(ctx context.Context, dir string, now time.Time) (samples int, err error) {
	all := signals()
	start := now.Add(-historyDays * 24 * time.Hour).Truncate(historyStep)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for day := range historyDays {
		from, to := start.Add(time.Duration(day)*24*time.Hour), start.Add(time.Duration(day+1)*24*time.Hour)
		if day == historyDays-1 {
			to = now.Add(ahead)
		}
		samples += len(all) * int((to.Sub(from)+historyStep-1)/historyStep)
		group.Go(func() error { return writeBlock(ctx, dir, all, from, to, now.Add(-faulty)) })
	}
	return samples, group.Wait()
}

// writeBlock writes the samples from one instant until before another.
func writeBlock(ctx context.Context, dir string, all []signal, from, to, fault time.Time) (err error) {
	w, err := tsdb.NewBlockWriter(slog.New(slog.NewTextHandler(io.Discard, nil)), dir, (48 * time.Hour).Milliseconds())
	if err != nil {
		return err
	}
	defer func() {
		if closed := w.Close(); err == nil {
			err = closed
		}
	}()
	refs := make([]storage.SeriesRef, len(all))
	for at := from; at.Before(to); at = at.Add(historyStep) {
		app := w.Appender(ctx)
		bad := max(0, at.Sub(fault).Seconds())
		for i, s := range all {
			if refs[i], err = app.Append(refs[i], s.labels, at.UnixMilli(), s.value(at, bad)); err != nil {
				return fmt.Errorf("append %s: %w", s.labels, err)
			}
		}
		if err := app.Commit(); err != nil {
			return err
		}
	}
	_, err = w.Flush(ctx)
	return err
}

// startPrometheus serves the blocks in dir by Debian's prometheus, which
// scrapes nothing, until the benchmark ends.
func startPrometheus(b *testing.B, dir string) (url string) {
	b.Helper()
	config := filepath.Join(b.TempDir(), "prometheus.yml")
	if err := os.WriteFile(config, []byte("global: {}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	log, err := os.Create(filepath.Join(b.TempDir(), "prometheus.log"))
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // the program has its own
	address := program.FreeAddress(b)
	// No block is larger than a day, so that none is compacted meanwhile.
	cmd := exec.Command("prometheus", "--config.file="+config, "--storage.tsdb.path="+dir, "--storage.tsdb.retention.time=60d",
		"--storage.tsdb.max-block-duration=24h", "--web.listen-address="+address)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.Fatalf("start Prometheus, which `.ci/need prometheus` installs: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	b.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		<-ended
	})
	url = "http://" + address
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	late := time.After(time.Minute)
	for !answers(url + "/-/ready") {
		select {
		case <-again.C:
		case err := <-ended:
			ended <- err // for the cleanup
			text, _ := os.ReadFile(log.Name())
			b.Fatalf("Prometheus ended: %v\n%s", err, text)
		case <-late:
			b.Fatal("Prometheus is not ready within a minute")
		}
	}
	return url
}

func answers(url string) bool {
	resp, err := http.Get(url)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
