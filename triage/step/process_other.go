//go:build !linux

package step

import (
	"context"
	"fmt"
	"runtime"
)

// Programs runs no programs here: only on Linux does triagebot know how to end
// one with all that it started.
type Programs struct{}

// Run implements [Starter].
func (Programs) Run(_ context.Context, p Process) (Ended, error) {
	return Ended{}, fmt.Errorf("run %s: commands are supported on Linux only, not on %s", p.Program, runtime.GOOS)
}
