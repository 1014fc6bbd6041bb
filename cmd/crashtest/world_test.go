// The world around the program: a Slack workspace and a Prometheus that outlive
// it, and the configuration that tells it of them.

package crashtest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"triagebot/cmd/internal/program"
	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage/store"
)

// world is what a test's children share.
type world struct {
	t        *testing.T
	dir      string
	where    store.Options
	slack    *slacklocal.Workspace
	channels []string
	prom     *prometheus
	config   configuration
}

// setting says how a test's world differs from the usual one.
type setting struct {
	channels int // of Slack; the program keeps to one message a second in each
	limits   slacklocal.Limits
	replies  string // "all" when ""
}

func newWorld(t *testing.T, where store.Options, s setting) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), where: where, prom: newPrometheus(t), channels: program.Channels(s.channels)}
	var slackURL string
	w.slack, slackURL = program.Slack(t, slacklocal.Options{Channels: w.channels, Limits: s.limits}, nil)
	w.config = configuration{slackURL: slackURL + "/api/", promURL: w.prom.URL, where: where, channels: w.channels, replies: s.replies}
	w.write("slack-token", slacklocal.DefaultToken)
	w.write("postgres-url", where.PostgresURL)
	w.write("plain.yaml", plainPlaybook)
	w.write("charted.yaml", chartedPlaybook)
	return w
}

func (w *world) write(name, text string) (path string) {
	w.t.Helper()
	path = filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// configuration is what differs between the configuration files of the tests.
type configuration struct {
	slackURL, promURL string
	where             store.Options
	channels          []string
	replies           string
	more              string // sections of a test's own
}

func (c configuration) file(listen string) string {
	storage := "postgres: {url_file: postgres-url}"
	if c.where.SQLitePath != "" {
		storage = fmt.Sprintf("sqlite: {path: %q}", c.where.SQLitePath)
	}
	replies := c.replies
	if replies == "" {
		replies = "all"
	}
	return fmt.Sprintf(`server: {listen: %q}
storage:
  %s
evidence: {dir: evidence}
prometheus: {url: %s}
playbooks: {files: [plain.yaml, charted.yaml]}
incidents: {replies: %s}
slack: {api_url: %s, token_file: slack-token}
%s%s`, listen, storage, c.promURL, replies, c.slackURL, c.more, program.Routes(c.channels))
}

// The two playbooks. What the Prometheus usually answers is abnormal for the
// first step and the third, which runs for that.
const (
	plainPlaybook = `name: plain
title: Plain
match: ['alertname=~"Plain.*"']
timeout: 60s
steps:
` + steps
	chartedPlaybook = `name: charted
title: Charted
match: ['alertname=~"Charted.*"']
timeout: 60s
steps:
` + steps + `  - id: drawn
    title: Drawn
    query: {expr: 'vector(1)', chart: {range: 1h}}
    finding: 'stands at {{ .Value | fixed 0 }}'
`
	steps = `  - id: first
    title: First
    query: {expr: 'vector(42)'}
    abnormal: 'value > 1'
    finding: 'stands at {{ .Value | fixed 0 }}'
  - id: second
    title: Second
    query: {expr: 'vector(43) + 0'}
    abnormal: 'value > 1000'
    finding: 'stands at {{ .Value | fixed 0 }}'
  - id: third
    title: Third
    query: {expr: 'vector(44) * 1'}
    when: 'steps.first.abnormal'
    abnormal: 'value > 1'
    finding: 'stands at {{ .Value | fixed 0 }}'
`
)

// prometheus answers every query with one series; some answers take a little,
// and all wait at the gate while there is one.
type prometheus struct {
	*httptest.Server
	value   string // of the series; set before the first query
	queries atomic.Int64
	gate    atomic.Pointer[chan struct{}] // nil: open
}

func newPrometheus(t *testing.T) *prometheus {
	p := &prometheus{value: "42"}
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Close)
	return p
}

func (p *prometheus) serve(w http.ResponseWriter, r *http.Request) {
	n := p.queries.Add(1)
	if gate := p.gate.Load(); gate != nil {
		select {
		case <-*gate:
		case <-r.Context().Done():
			return
		}
	}
	if n%4 == 0 { // so that kills find steps under way
		select {
		case <-time.After(time.Duration(n%40) * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
	now := float64(time.Now().UnixMilli()) / 1000
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/api/v1/query":
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"job":"app"},"value":[%f,%q]}]}}`, now, p.value)
	case "/api/v1/query_range":
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"job":"app"},"values":[[%f,%q],[%f,%q]]}]}}`, now-60, p.value, now, p.value)
	default:
		http.NotFound(w, r)
	}
}

// hold has all answers wait until open is called.
func (p *prometheus) hold() (open func()) {
	gate := make(chan struct{})
	p.gate.Store(&gate)
	return func() { close(gate) }
}
