// The program as a process: started, watched, killed.

package crashtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// child is one process of the program.
type child struct {
	t       *testing.T
	address string
	started time.Time
	ready   chan struct{} // closed when it says that it is ready
	ended   chan struct{} // closed after its end; then err is set
	err     error
	cmd     *exec.Cmd

	mu     sync.Mutex
	log    []string // its last lines
	stopMe sync.Once
}

// start runs the program, listening at the address, until the test ends at the latest.
func (w *world) start(address string) *child {
	w.t.Helper()
	config := w.write("triagebot-"+strings.ReplaceAll(address, ":", "-")+".yaml", w.config.file(address))
	c := &child{t: w.t, address: address, ready: make(chan struct{}), ended: make(chan struct{})}
	c.cmd = exec.Command(program, "serve", "--config.file", config)
	c.cmd.Dir = w.dir
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	c.started = time.Now()
	if err := c.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(c.ended)
		c.follow(stderr)
		c.err = c.cmd.Wait()
	}()
	w.t.Cleanup(func() {
		c.kill()
		if w.t.Failed() {
			w.t.Logf("the last words of the triagebot at %s:\n%s", address, c.lastWords())
		}
	})
	return c
}

const keptLines = 60

// follow reads what the program logs.
func (c *child) follow(stderr io.Reader) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "ready for notifications") {
			close(c.ready)
		}
		c.mu.Lock()
		c.log = append(c.log[max(0, len(c.log)-keptLines+1):], lines.Text())
		c.mu.Unlock()
	}
}

func (c *child) lastWords() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.log, "\n")
}

// awaitReady returns once the program listens.
func (c *child) awaitReady(ctx context.Context) {
	c.t.Helper()
	select {
	case <-c.ready:
	case <-c.ended:
		c.t.Fatalf("triagebot ended before it was ready: %v\n%s", c.err, c.lastWords())
	case <-ctx.Done():
		c.t.Fatalf("triagebot did not become ready: %v\n%s", context.Cause(ctx), c.lastWords())
	}
}

// kill ends the process as a power cut would, and returns when it is gone.
func (c *child) kill() {
	c.stopMe.Do(func() { _ = c.cmd.Process.Kill() }) // it may have ended by itself
	<-c.ended
}

// stop ends the process as a service manager would, and wants it to end well.
func (c *child) stop() {
	c.t.Helper()
	c.stopMe.Do(func() {
		if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			c.t.Errorf("stop triagebot: %v", err)
		}
	})
	<-c.ended
	if c.err != nil {
		c.t.Errorf("triagebot did not stop cleanly: %v\n%s", c.err, c.lastWords())
	}
}

// peakMemory is the most memory the process has had, in bytes.
func (c *child) peakMemory() int64 {
	c.t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(c.cmd.Process.Pid), "status"))
	if err != nil {
		c.t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	var kib int64
	if _, err := fmt.Sscanf(string(rest), "%d kB", &kib); err != nil {
		c.t.Fatalf("VmHWM in /proc/PID/status: %v", err)
	}
	return kib << 10
}

// owed is what the program still has to do, as /metrics tells it.
type owed struct {
	notifications, runs, running, deliveries float64 // of the whole database
	queries                                  float64 // that this process waits for
}

// owed reads /metrics.
func (c *child) owed(ctx context.Context) (o owed, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.address+"/metrics", nil)
	if err != nil {
		return o, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return o, err
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		return o, err
	}
	sum := func(name string, states ...string) (total float64) {
		for _, m := range families[name].GetMetric() {
			if len(states) == 0 || slices.Contains(states, m.GetLabel()[0].GetValue()) {
				total += m.GetGauge().GetValue()
			}
		}
		return total
	}
	if sum("triagebot_database_up") != 1 || families["triagebot_deliveries"] == nil {
		return o, errors.New("the database was not read for /metrics")
	}
	return owed{
		notifications: sum("triagebot_backlog_notifications"),
		runs:          sum("triagebot_runs", "pending", "running"),
		running:       sum("triagebot_runs", "running"),
		deliveries:    sum("triagebot_deliveries", "pending", "sending"),
		queries:       sum("triagebot_datasource_queries_in_flight"),
	}, nil
}

// await returns once what is owed is as wanted.
func (c *child) await(ctx context.Context, what string, wanted func(owed) bool) {
	c.t.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		now, err := c.owed(ctx)
		if err == nil && wanted(now) {
			return
		}
		select {
		case <-again.C:
		case <-c.ended:
			c.t.Fatalf("triagebot ended: %v\n%s", c.err, c.lastWords())
		case <-ctx.Done():
			c.t.Fatalf("not in time: %s; owed is %+v (%v)\n%s", what, now, err, c.lastWords())
		}
	}
}

// quietFor is longer than the program keeps a count of deliveries for /metrics.
const quietFor = 6 * time.Second

// awaitDone returns when all that was accepted is worked and shown: nothing is
// owed for a while, for the counts of one look are of several instants.
func (c *child) awaitDone(ctx context.Context) {
	c.t.Helper()
	quiet := time.Now()
	c.await(ctx, "all worked and shown", func(o owed) bool {
		if o != (owed{}) {
			quiet = time.Now()
		}
		return time.Since(quiet) >= quietFor
	})
}
