//go:build e2e

// Package e2e holds triagebot to the real world: Debian's Prometheus evaluates
// the shipped alert rules on the simulated app, Debian's Alertmanager notifies
// the real triagebot binary, and the tests look at what its Slack channel
// shows, on SQLite and on PostgreSQL. Everything listens on loopback, has its
// own folders, and ends with the test.
//
// The tests run with `make e2e`.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binaryEnv tells the tests where TestMain built triagebot.
const binaryEnv = "TRIAGEBOT_E2E_BINARY"

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run builds triagebot once for all tests.
func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "triagebot-e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // nothing depends on it
	binary := filepath.Join(dir, "triagebot")
	if out, err := exec.Command("go", "build", "-o", binary, "triagebot/cmd/triagebot").CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build triagebot: %w\n%s", err, out)
	}
	if err := os.Setenv(binaryEnv, binary); err != nil {
		return 0, err
	}
	return m.Run(), nil
}
