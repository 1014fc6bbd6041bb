// Package program builds the real triagebot and runs it as a process, for the
// tests and benchmarks that look at it from outside.
package program

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Binary is triagebot, built once for all tests of a package. Its zero value
// is ready; TestMain calls Run.
type Binary struct {
	once      sync.Once
	dir, path string
	err       error
}

// Run runs the tests, and removes what was built for them.
func (b *Binary) Run(m *testing.M) (code int) {
	defer func() { _ = os.RemoveAll(b.dir) }() // "" is nothing
	return m.Run()
}

// Path is where the binary is. The first call builds it.
func (b *Binary) Path() (string, error) {
	b.once.Do(func() {
		if b.dir, b.err = os.MkdirTemp("", "triagebot-program"); b.err != nil {
			return
		}
		b.path = filepath.Join(b.dir, "triagebot")
		if out, err := exec.Command("go", "build", "-o", b.path, "triagebot/cmd/triagebot").CombinedOutput(); err != nil {
			b.err = fmt.Errorf("build triagebot: %w\n%s", err, out)
		}
	})
	return b.path, b.err
}

// FreeAddress is one on loopback that nobody listens on.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }() // it was only asked for its address
	return l.Addr().String()
}
