//go:build e2e

package main

import (
	"strings"
	"testing"
	"time"
)

// TestDemoOnce is what a newcomer runs first.
func TestDemoOnce(t *testing.T) {
	started := time.Now()
	status, stdout, stderr := run(t, "demo", "--once", "--dir", t.TempDir())
	t.Logf("took %s", time.Since(started).Round(time.Millisecond))
	if status != 0 {
		t.Fatalf("exit status %d\n%s%s", status, stdout, stderr)
	}
	for _, part := range []string{"CodexLatencySLOBreach", "is resolved", "Worker backoff", "picked as the slowest request", "[chart]", "WHOLE"} {
		if !strings.Contains(stdout, part) {
			t.Errorf("%q is not in the output:\n%s", part, stdout)
		}
	}
}
