// The program as a process, with a Prometheus and a Slack around it.

package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"triagebot/cmd/internal/program"
	"triagebot/notifiers/slack/slacklocal"
)

var binary program.Binary

func TestMain(m *testing.M) { os.Exit(binary.Run(m)) }

// How long the Prometheus takes over the queries of the playbook.
const (
	quickQuery = 50 * time.Millisecond
	slowQuery  = 200 * time.Millisecond
)

// playbook has a step that waits for each of the two queries, and one that
// waits for the first step too.
const playbook = `name: plain
title: Plain
match: ['alertname="Plain"']
timeout: 60s
steps:
  - id: quick
    title: Quick
    query: {expr: 'vector(1)'}
    abnormal: 'value > 1'
    finding: 'stands at {{ .Value | fixed 0 }}'
  - id: after
    title: After
    query: {expr: 'vector(2)'}
    when: 'steps.quick.abnormal'
    abnormal: 'value > 1000'
    finding: 'stands at {{ .Value | fixed 0 }}'
  - id: slow
    title: Slow
    query: {expr: 'vector(3)'}
    abnormal: 'value > 1'
    finding: 'stands at {{ .Value | fixed 0 }}'
`

// signingSecret signs what people do in Slack.
const signingSecret = "0123456789abcdef0123456789abcdef"

// steps are the findings of a run of it.
const steps = 3

// world is what outlives the program: its folder, a Slack without rate limits
// and a Prometheus that takes its time.
type world struct {
	b        *testing.B
	dir      string
	slack    *slacklocal.Workspace
	channels []string
	address  string
	// shown receives after each message that the channels show; it holds one.
	shown chan struct{}
}

func newWorld(b *testing.B, channels int, answerAfter func(expr string) time.Duration) *world {
	b.Helper()
	w := &world{b: b, dir: b.TempDir(), shown: make(chan struct{}, 1), channels: program.Channels(channels)}
	var slackURL string
	w.slack, slackURL = program.Slack(b, slacklocal.Options{Channels: w.channels}, func() {
		select {
		case w.shown <- struct{}{}:
		default:
		}
	})
	prometheus := httptest.NewServer(answering(answerAfter))
	b.Cleanup(prometheus.Close)
	w.address = program.FreeAddress(b)
	w.write("slack-token", slacklocal.DefaultToken)
	w.write("signing-secret", signingSecret)
	w.write("plain.yaml", playbook)
	w.write("triagebot.yaml", w.config(slackURL, prometheus.URL))
	return w
}

func (w *world) write(name, text string) {
	w.b.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.b.Fatal(err)
	}
}

// config sends a group to the channel that its label names.
func (w *world) config(slackURL, prometheusURL string) string {
	return fmt.Sprintf(`server: {listen: %q}
storage:
  sqlite: {path: triagebot.db}
evidence: {dir: evidence}
prometheus: {url: %s}
playbooks: {files: [plain.yaml]}
slack: {api_url: %s/api/, token_file: slack-token, signing_secret_file: signing-secret}
access: {look: {users: ["*"]}, respond: {users: ["*"]}}
%s`, w.address, prometheusURL, slackURL, program.Routes(w.channels))
}

// answering is a Prometheus that answers every query with one series, when the
// time for its expression has passed.
func answering(after func(expr string) time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(after(r.FormValue("query"))):
		case <-r.Context().Done():
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"job":"app"},"value":[%d,"42"]}]}}`, time.Now().Unix())
	})
}

// process is one run of the program.
type process struct {
	*program.Process
	b *testing.B
}

func (w *world) start() *process {
	w.b.Helper()
	return &process{binary.Serve(w.b, filepath.Join(w.dir, "triagebot.yaml"), w.address), w.b}
}

func (p *process) awaitReady() {
	p.b.Helper()
	ctx, cancel := context.WithTimeout(p.b.Context(), 30*time.Second)
	defer cancel()
	p.AwaitReady(ctx)
}

// megabytes is Memory in MB.
func (p *process) megabytes(field string) float64 {
	p.b.Helper()
	return float64(p.Memory(field)) / 1e6
}

// busy says whether notifications wait or runs are under way, as /metrics has it.
func (p *process) busy() bool {
	p.b.Helper()
	families, err := p.Metrics(p.b.Context())
	if err != nil {
		p.b.Fatal(err)
	}
	if len(families["triagebot_runs"].GetMetric()) == 0 {
		return true // nothing has begun
	}
	for _, m := range families["triagebot_backlog_notifications"].GetMetric() {
		if m.GetGauge().GetValue() > 0 {
			return true
		}
	}
	for _, m := range families["triagebot_runs"].GetMetric() {
		if state := m.GetLabel()[0].GetValue(); state != "finished" && m.GetGauge().GetValue() > 0 {
			return true
		}
	}
	return false
}

// post sends one notification and says whether it got a 2xx.
func (p *process) post(notification []byte) bool {
	return program.Post(p.b.Context(), p.Address, notification)
}
