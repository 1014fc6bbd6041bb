//go:build e2e

// Programs that the tests start: each with its log in a file, and ended with
// its test even when the test binary is killed.

package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// How long things may take on a busy machine. Conditions are looked at until
// they hold; nothing waits for these to pass.
const (
	patience  = 90 * time.Second
	lookAgain = 200 * time.Millisecond
)

// logTail is how much of a program's log a failed test shows, in bytes.
const logTail = 8 << 10

// process is a running program.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// start runs a program until the test ends. What it says is added to
// dir/name.log, the tail of which a failed test shows.
func start(t *testing.T, dir, name, binary string, args ...string) *process {
	t.Helper()
	path := filepath.Join(dir, name+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // the program has its own
	p := &process{name: name, cmd: exec.Command(binary, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = log, log, dir
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // how it ended stands in cmd.ProcessState
	}()
	t.Cleanup(func() {
		p.kill()
		if text, err := os.ReadFile(path); t.Failed() && err == nil {
			t.Logf("the end of %s's log:\n%s", name, text[max(0, len(text)-logTail):])
		}
	})
	return p
}

// kill ends the program at once, as a crash would, and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails when it has ended already
	<-p.done
}

// died says how the program ended, nil while it runs.
func (p *process) died() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended: %s", p.name, p.cmd.ProcessState)
	default:
		return nil
	}
}

// until looks again and again until look finds nothing wrong any more.
func until(t *testing.T, what string, look func() error) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		err := look()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline.C:
			t.Fatalf("%s: not after %s: %v", what, patience, err)
		}
	}
}

// answers waits until the program answers 200 at a URL.
func (p *process) answers(t *testing.T, url string) {
	t.Helper()
	until(t, p.name+" becomes ready", func() error {
		if err := p.died(); err != nil {
			t.Fatal(err)
		}
		_, err := get(url)
		return err
	})
}

// get returns what a URL answers, which must be 200.
func get(url string) ([]byte, error) {
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	var body bytes.Buffer
	if _, err := body.ReadFrom(http.MaxBytesReader(nil, resp.Body, 16<<20)); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s answers %s: %.300s", url, resp.Status, body.String())
	}
	return body.Bytes(), nil
}

func writeFile(t *testing.T, dir, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
