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
	"os"
	"testing"

	"triagebot/cmd/internal/program"
)

var binary program.Binary

func TestMain(m *testing.M) { os.Exit(binary.Run(m)) }
