//go:build !unix

package step

import (
	"context"
	"errors"
)

// Programs runs no programs here: this system has no process groups to end one
// with all that it started.
type Programs struct{}

// Run implements [Starter].
func (Programs) Run(context.Context, Process) (Ended, error) {
	return Ended{}, errors.New("commands run on Unix only")
}
