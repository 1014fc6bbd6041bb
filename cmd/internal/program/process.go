// One run of the program: started, watched, killed.

package program

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Process is a running triagebot.
type Process struct {
	Address string
	Started time.Time
	Ready   <-chan struct{} // closed when it says that it is ready
	Ended   <-chan struct{} // closed after its end; then Err says how
	Err     error

	tb  testing.TB
	cmd *exec.Cmd
	end sync.Once

	mu  sync.Mutex
	log []string // its last lines
}

// Serve runs the program, whose configuration has it listen at the address,
// until the test ends at the latest. A failed test shows its last words.
func (b *Binary) Serve(tb testing.TB, config, address string) *Process {
	tb.Helper()
	path, err := b.Path()
	if err != nil {
		tb.Fatal(err)
	}
	ready, ended := make(chan struct{}), make(chan struct{})
	p := &Process{tb: tb, Address: address, Ready: ready, Ended: ended}
	p.cmd = exec.Command(path, "serve", "--config.file", config)
	p.cmd.Dir = filepath.Dir(config)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	p.Started = time.Now()
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		defer close(ended)
		p.follow(stderr, sync.OnceFunc(func() { close(ready) }))
		p.Err = p.cmd.Wait()
	}()
	tb.Cleanup(func() {
		p.Kill()
		if tb.Failed() {
			tb.Logf("the last words of the triagebot at %s:\n%s", address, p.LastWords())
		}
	})
	return p
}

const keptLines = 60

// follow reads the log to its end, so that the program never waits for it.
func (p *Process) follow(stderr io.Reader, ready func()) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "ready for notifications") {
			ready()
		}
		p.mu.Lock()
		p.log = append(p.log[max(0, len(p.log)-keptLines+1):], lines.Text())
		p.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, stderr) // a line was too long
}

// LastWords are the last lines of its log.
func (p *Process) LastWords() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "\n")
}

// AwaitReady returns once the program listens.
func (p *Process) AwaitReady(ctx context.Context) {
	p.tb.Helper()
	select {
	case <-p.Ready:
	case <-p.Ended:
		p.tb.Fatalf("triagebot ended before it was ready: %v\n%s", p.Err, p.LastWords())
	case <-ctx.Done():
		p.tb.Fatalf("triagebot did not become ready: %v\n%s", context.Cause(ctx), p.LastWords())
	}
}

// Kill ends the process as a power cut would, and returns when it is gone.
func (p *Process) Kill() {
	p.end.Do(func() { _ = p.cmd.Process.Kill() }) // it may have ended by itself
	<-p.Ended
}

// Stop ends the process as a service manager would, and wants it to end well.
func (p *Process) Stop() {
	p.tb.Helper()
	p.end.Do(func() {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			p.tb.Errorf("stop triagebot: %v", err)
		}
	})
	<-p.Ended
	if p.Err != nil {
		p.tb.Errorf("triagebot did not stop cleanly: %v\n%s", p.Err, p.LastWords())
	}
}

// Memory is one of the kernel's figures about the process, in bytes: VmRSS is
// what it has now, VmHWM the most that it has had.
func (p *Process) Memory(field string) int64 {
	p.tb.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "status"))
	if err != nil {
		p.tb.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte(field+":"))
	var kib int64
	if _, err := fmt.Sscanf(string(rest), "%d kB", &kib); err != nil {
		p.tb.Fatalf("%s in /proc/PID/status: %v", field, err)
	}
	return kib << 10
}

// Metrics reads its /metrics, by name.
func (p *Process) Metrics(ctx context.Context) (map[string]*dto.MetricFamily, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Address+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(resp.Body)
}
