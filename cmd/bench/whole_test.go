// How long a whole run of a shipped playbook takes, against a Prometheus with a
// past, and how much of that its queries are.

package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"triagebot/cmd/demo/codexsim"
	"triagebot/cmd/internal/program"
	"triagebot/notifiers/slack/slacklocal"
	"triagebot/playbooks"
	"triagebot/triage"
)

// BenchmarkWholeRun runs shipped playbooks whole, one incident after another,
// each in a channel of its own. The history is built once.
func BenchmarkWholeRun(b *testing.B) {
	w := newHistoryWorld(b)
	for _, alertname := range []string{"CodexLatencySLOBreach", "CodexErrorRateHigh"} {
		b.Run(alertname, func(b *testing.B) { w.wholeRun(b, alertname) })
	}
}

// historyWorld is the program with a Prometheus that has a past, a simulated
// app for captures and traces, and a Slack without rate limits.
type historyWorld struct {
	world
	recorder *recorder
	bot      *process
	used     int // channels
}

func newHistoryWorld(b *testing.B) *historyWorld {
	b.Helper()
	w := &historyWorld{world: world{b: b, dir: b.TempDir(), shown: make(chan struct{}, 1), channels: program.Channels(100)}}
	blocks := filepath.Join(w.dir, "blocks")
	began := time.Now()
	samples, err := buildHistory(b.Context(), blocks, began)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("built %d days of %d series at a sample a minute (%d million samples) in %s",
		historyDays, historySeries, samples/1e6, time.Since(began).Round(time.Second))
	w.recorder = newRecorder(b, startPrometheus(b, blocks))
	logs := filepath.Join(w.dir, "logs")
	app := startApp(b, logs)
	var slackURL string
	w.slack, slackURL = program.Slack(b, slacklocal.Options{Channels: w.channels}, func() {
		select {
		case w.shown <- struct{}{}:
		default:
		}
	})
	w.address = program.FreeAddress(b)
	w.write("slack-token", slacklocal.DefaultToken)
	shipped, err := playbooks.All()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range shipped {
		w.write("shipped-"+f.Name, string(f.Data))
	}
	w.write("triagebot.yaml", fmt.Sprintf(`server: {listen: %q}
storage:
  sqlite: {path: triagebot.db}
evidence: {dir: evidence}
prometheus: {url: %s}
services:
  app: {url: %s}
playbooks: {files: ["shipped-*.yaml"]}
slack: {api_url: %s/api/, token_file: slack-token}
%s%s`, w.address, w.recorder.url, app.URL(), slackURL, program.Routes(w.channels), codexsim.TracesConfig(logs)))
	w.bot = w.start()
	w.bot.awaitReady()
	return w
}

// startApp is a simulated app whose faults are on, and which has logged some of
// what came of them.
func startApp(b *testing.B, logs string) *codexsim.App {
	b.Helper()
	app, err := codexsim.New(codexsim.Options{LogDir: logs, Rate: 10})
	if err != nil {
		b.Fatal(err)
	}
	stop := inBackground(app.Run)
	b.Cleanup(func() {
		if err := stop(); err != nil {
			b.Error(err)
		}
	})
	for _, fault := range []codexsim.Fault{codexsim.Slow, codexsim.Errors} {
		if err := app.Fault(string(fault), true); err != nil {
			b.Fatal(err)
		}
	}
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for lines := 0; lines < 100; <-again.C {
		text, err := os.ReadFile(filepath.Join(logs, "access.ndjson"))
		if err != nil {
			b.Fatal(err)
		}
		lines = bytes.Count(text, []byte("\n"))
	}
	return app
}

func (w *historyWorld) wholeRun(b *testing.B, alertname string) {
	var first, last, shown, alone time.Duration
	var queries, messages int
	for b.Loop() {
		channel := w.channels[w.used]
		w.used++
		group := triage.Labels{"alertname": alertname, "group": channel}
		alert := firing(group, triage.Labels{"channel": channel, "route": "/v1/chat/completions", "severity": "critical"})
		note := body(b, group, []triage.Alert{alert})
		w.recorder.take()
		firsts, lasts := w.findingSeconds()
		sent := time.Now()
		if !w.bot.post(note) {
			b.Fatal("the notification was not accepted")
		}
		shown += w.lastShown(channel).Sub(sent)
		if w.bot.busy() {
			b.Fatal("the run is not over")
		}
		w.wantNothingUnknown()
		messages += w.messages(channel)
		firstsNow, lastsNow := w.findingSeconds()
		first += firstsNow - firsts
		last += lastsNow - lasts
		asked := w.recorder.take()
		queries += len(asked)
		alone += w.recorder.again(b, asked)
	}
	n := time.Duration(b.N)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(queries)/float64(b.N), "queries")
	b.ReportMetric(float64(messages)/float64(b.N), "messages")
	b.ReportMetric(milliseconds(alone/n), "ms-queries-alone")
	b.ReportMetric(milliseconds(first/n), "ms-first-finding")
	b.ReportMetric(milliseconds(last/n), "ms-last-finding")
	b.ReportMetric(milliseconds(shown/n), "ms-last-shown")
	b.ReportMetric(float64(last)/float64(alone), "last-to-queries-ratio")
}

// findingSeconds are the program's own measurements so far: from notifications
// until the first and the last finding of their runs stood, added up.
func (w *historyWorld) findingSeconds() (first, last time.Duration) {
	w.b.Helper()
	families, err := w.bot.Metrics(w.b.Context())
	if err != nil {
		w.b.Fatal(err)
	}
	sum := func(family *dto.MetricFamily) (total time.Duration) {
		for _, m := range family.GetMetric() {
			total += time.Duration(m.GetHistogram().GetSampleSum() * float64(time.Second))
		}
		return total
	}
	return sum(families["triagebot_first_finding_seconds"]), sum(families["triagebot_last_finding_seconds"])
}

// wantNothingUnknown fails when a step found nothing or failed: it would have
// been quick.
func (w *historyWorld) wantNothingUnknown() {
	w.b.Helper()
	families, err := w.bot.Metrics(w.b.Context())
	if err != nil {
		w.b.Fatal(err)
	}
	steps := families["triagebot_step_duration_seconds"].GetMetric()
	if len(steps) == 0 {
		w.b.Fatal("no step is counted in /metrics")
	}
	for _, m := range steps {
		for _, l := range m.GetLabel() {
			if l.GetName() == "state" && l.GetValue() == string(triage.StepUnknown) {
				w.b.Fatalf("%d steps are unknown: %v", m.GetHistogram().GetSampleCount(), m.GetLabel())
			}
		}
	}
}

// silence is for how long a channel shows nothing new once its incident is
// told: messages come one a second.
const silence = 5 * time.Second

// lastShown returns when the channel's last message came.
func (w *historyWorld) lastShown(channel string) time.Time {
	before, last := w.messages(channel), time.Now()
	for {
		select {
		case <-w.shown:
			if n := w.messages(channel); n > before {
				before, last = n, time.Now()
			}
		case <-time.After(silence):
			return last
		}
	}
}

// recorder passes queries on to a Prometheus and keeps them.
type recorder struct {
	url    string
	target *url.URL

	mu    sync.Mutex
	asked []query
}

// query is one request of Prometheus's API.
type query struct{ method, uri, contentType, body string }

func newRecorder(b *testing.B, target string) *recorder {
	b.Helper()
	u, err := url.Parse(target)
	if err != nil {
		b.Fatal(err)
	}
	r := &recorder{target: u}
	proxy := httputil.NewSingleHostReverseProxy(u)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		text, err := io.ReadAll(req.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		req.Body = io.NopCloser(bytes.NewReader(text))
		r.mu.Lock()
		r.asked = append(r.asked, query{req.Method, req.URL.RequestURI(), req.Header.Get("Content-Type"), string(text)})
		r.mu.Unlock()
		proxy.ServeHTTP(w, req)
	}))
	b.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// take returns what was asked since it was called last.
func (r *recorder) take() []query {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked := r.asked
	r.asked = nil
	return asked
}

// again asks Prometheus the same, one after the other, and says how long that
// took in all.
func (r *recorder) again(b *testing.B, asked []query) (took time.Duration) {
	b.Helper()
	for _, q := range asked {
		began := time.Now()
		if err := r.ask(b.Context(), q); err != nil {
			b.Fatal(err)
		}
		took += time.Since(began)
	}
	return took
}

func (r *recorder) ask(ctx context.Context, q query) error {
	req, err := http.NewRequestWithContext(ctx, q.method, r.target.String()+q.uri, bytes.NewReader([]byte(q.body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", q.contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close() // it was only read
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s", q.uri, q.body, resp.Status)
	}
	return err
}
