// The program as a process, with a Prometheus and a Slack around it.

package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"triagebot/notifiers/slack/slacklocal"
)

// programDir is where the program is built; TestMain makes and removes it.
var programDir string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if programDir, err = os.MkdirTemp("", "triagebot-bench"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(programDir)
	return m.Run()
}

// program is the path of the binary, which is built on first need.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(programDir, "triagebot")
	if out, err := exec.Command("go", "build", "-o", path, "triagebot/cmd/triagebot").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build triagebot: %w\n%s", err, out)
	}
	return path, nil
})

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
	w := &world{b: b, dir: b.TempDir(), shown: make(chan struct{}, 1)}
	for i := range channels {
		w.channels = append(w.channels, fmt.Sprintf("incidents-%d", i))
	}
	var err error
	if w.slack, err = slacklocal.New(slacklocal.Options{Channels: w.channels}); err != nil {
		b.Fatal(err)
	}
	api := w.slack.Handler()
	slack := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		api.ServeHTTP(rw, r)
		select {
		case w.shown <- struct{}{}:
		default:
		}
	}))
	prometheus := httptest.NewServer(answering(answerAfter))
	b.Cleanup(func() {
		if err := w.slack.Close(); err != nil {
			b.Error(err)
		}
		slack.Close()
		prometheus.Close()
	})
	w.address = freeAddress(b)
	w.write("slack-token", slacklocal.DefaultToken)
	w.write("plain.yaml", playbook)
	w.write("triagebot.yaml", w.config(slack.URL, prometheus.URL))
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
	var c strings.Builder
	fmt.Fprintf(&c, `server: {listen: %q}
storage:
  sqlite: {path: triagebot.db}
evidence: {dir: evidence}
prometheus: {url: %s}
playbooks: {files: [plain.yaml]}
slack: {api_url: %s/api/, token_file: slack-token}
routes:
`, w.address, prometheusURL, slackURL)
	for _, channel := range w.channels[1:] {
		fmt.Fprintf(&c, "  - {match: ['channel=%q'], notifier: slack, channel: %q}\n", channel, "#"+channel)
	}
	fmt.Fprintf(&c, "  - {notifier: slack, channel: %q}\n", "#"+w.channels[0])
	return c.String()
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

// freeAddress is one on loopback that nobody listens on.
func freeAddress(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// process is one run of the program.
type process struct {
	b       *testing.B
	address string
	started time.Time
	ready   chan struct{} // closed when it says that it is ready
	cmd     *exec.Cmd
	kill    func() // as a power cut would; returns when it is gone
}

func (w *world) start() *process {
	w.b.Helper()
	path, err := program()
	if err != nil {
		w.b.Fatal(err)
	}
	p := &process{b: w.b, address: w.address, ready: make(chan struct{})}
	p.cmd = exec.Command(path, "serve", "--config.file", filepath.Join(w.dir, "triagebot.yaml"))
	p.cmd.Dir = w.dir
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		w.b.Fatal(err)
	}
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		w.b.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.follow(stderr)
		_ = p.cmd.Wait() // it is killed
	}()
	p.kill = sync.OnceFunc(func() {
		_ = p.cmd.Process.Kill() // it may have ended by itself
		<-ended
	})
	w.b.Cleanup(p.kill)
	return p
}

// follow reads the log to its end, so that the program never waits for it.
func (p *process) follow(stderr io.Reader) {
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "ready for notifications") {
			close(p.ready)
		}
	}
	_, _ = io.Copy(io.Discard, stderr)
}

func (p *process) awaitReady() {
	p.b.Helper()
	select {
	case <-p.ready:
	case <-time.After(30 * time.Second):
		p.b.Fatal("triagebot did not become ready")
	}
}

// memory is one of the kernel's figures about the process, in MB: VmRSS is
// what it has now, VmHWM the most that it has had.
func (p *process) memory(field string) float64 {
	p.b.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "status"))
	if err != nil {
		p.b.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte(field+":"))
	var kib int64
	if _, err := fmt.Sscanf(string(rest), "%d kB", &kib); err != nil {
		p.b.Fatalf("%s in /proc/PID/status: %v", field, err)
	}
	return float64(kib<<10) / 1e6
}

// busy says whether notifications wait or runs are under way, as /metrics has it.
func (p *process) busy() bool {
	p.b.Helper()
	resp, err := http.Get("http://" + p.address + "/metrics")
	if err != nil {
		p.b.Fatal(err)
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
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
func (p *process) post(body []byte) bool {
	resp, err := http.Post("http://"+p.address+"/api/v1/alerts", "application/json", bytes.NewReader(body))
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode/100 == 2
}
