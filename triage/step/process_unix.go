//go:build unix

package step

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// outputWait is how long output is read on after a program was killed or ended:
// what it left behind with the pipe open is killed by then.
const outputWait = time.Second

// Programs runs programs on this system, each as the leader of a process group
// of its own, in an empty folder that is removed afterwards.
type Programs struct{}

// Run implements [Starter].
func (Programs) Run(ctx context.Context, p Process) (Ended, error) {
	dir, err := os.MkdirTemp("", "triagebot-command-")
	if err != nil {
		return Ended{}, fmt.Errorf("make a folder for %s: %w", p.Program, err)
	}
	defer os.RemoveAll(dir)
	stdout, stderr := &headTail{max: p.MaxOutput}, &headTail{max: p.MaxOutput}
	cmd := exec.CommandContext(ctx, p.Program, p.Args...) //nolint:gosec // the configuration allows exactly this program
	cmd.Dir, cmd.Env = dir, append([]string{}, p.Env...)
	if len(cmd.Env) == 0 {
		cmd.Env = []string{} // nil would be the process's own
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr // no Stdin: the null device
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = outputWait
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	if err := cmd.Start(); err != nil {
		return Ended{}, fmt.Errorf("start %s: %w", p.Program, err)
	}
	err = cmd.Wait()
	// What it started and left behind is in its group still.
	if killed := killGroup(cmd.Process.Pid); killed != nil && !errors.Is(killed, os.ErrProcessDone) {
		err = errors.Join(err, killed)
	}
	if ctx.Err() != nil {
		return Ended{}, fmt.Errorf("run %s: %w", p.Program, ctx.Err())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return Ended{}, fmt.Errorf("run %s: %w", p.Program, err)
	}
	ended := Ended{ExitCode: exitCode(cmd.ProcessState)}
	var cutOut, cutErr int64
	ended.Stdout, cutOut = stdout.bytes()
	ended.Stderr, cutErr = stderr.bytes()
	ended.Cut = cutOut + cutErr
	return ended, nil
}

// exitCode is the program's own, or 128 and the signal's number, as shells have
// it.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// killGroup kills a process and all that it started in its group.
func killGroup(leader int) error {
	err := syscall.Kill(-leader, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}
