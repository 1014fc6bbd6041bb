// Programs on Linux: a process group of its own for each, so that it ends with
// whatever it started.

package step

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// outputWait is how long output is read on after a program and its group are
// gone. Nothing is read then but what was written already, unless a process that
// left the group holds the pipe.
const outputWait = time.Second

// Programs runs programs on this system, each as the leader of a process group
// of its own, in an empty folder that is removed afterwards, with nothing to
// read from. Whatever is in the group when the leader ends or is stopped is
// killed; a process that left it (setsid) is not.
type Programs struct{}

// Run implements [Starter].
func (Programs) Run(ctx context.Context, p Process) (Ended, error) {
	dir, err := os.MkdirTemp("", "triagebot-command-")
	if err != nil {
		return Ended{}, fmt.Errorf("make a folder for %s: %w", p.Program, err)
	}
	ended, err := runIn(ctx, dir, p)
	ended.Left = os.RemoveAll(dir)
	return ended, err
}

// runIn is Run in a folder.
func runIn(ctx context.Context, dir string, p Process) (Ended, error) {
	if err := ctx.Err(); err != nil {
		return Ended{}, fmt.Errorf("run %s: %w", p.Program, err)
	}
	stdout, err := newOutput(p.MaxOutput)
	if err != nil {
		return Ended{}, fmt.Errorf("run %s: %w", p.Program, err)
	}
	defer stdout.close()
	stderr, err := newOutput(p.MaxOutput)
	if err != nil {
		return Ended{}, fmt.Errorf("run %s: %w", p.Program, err)
	}
	defer stderr.close()

	// Pdeathsig fires when the thread that started the program ends, so that it
	// must be kept for as long.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(p.Program, p.Args...) // without Stdin: the null device
	cmd.Dir = dir
	cmd.Env = append([]string{}, p.Env...) // never nil, which means triagebot's own
	cmd.Stdout, cmd.Stderr = stdout.w, stderr.w
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return Ended{}, fmt.Errorf("start %s: %w", p.Program, err)
	}
	stdout.read()
	stderr.read()
	err = waitForGroup(ctx, cmd)
	ended := Ended{ExitCode: exitCode(cmd.ProcessState)}
	deadline := time.Now().Add(outputWait)
	ended.Stdout, ended.CutStdout = stdout.rest(deadline)
	ended.Stderr, ended.CutStderr = stderr.rest(deadline)
	if err != nil {
		return Ended{}, fmt.Errorf("run %s: %w", p.Program, err)
	}
	return ended, nil
}

// waitForGroup waits until the program ends, kills it when ctx does, and with
// it in any case what it leaves behind in its group. The error is that of ctx
// when that was first.
func waitForGroup(ctx context.Context, cmd *exec.Cmd) error {
	group := cmd.Process.Pid
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(killed)
		_ = unix.Kill(-group, unix.SIGKILL) // fails only for a group that is gone
	})
	// The leader's number is the group's. While the leader is not reaped, it
	// cannot become another's, whom the signal would reach.
	waited := waitUnreaped(group)
	var interrupted error
	if !stop() {
		<-killed
		interrupted = context.Cause(ctx)
	}
	_ = unix.Kill(-group, unix.SIGKILL)
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		waited = errors.Join(waited, err)
	}
	reapGroup(group)
	if interrupted != nil {
		return interrupted
	}
	return waited
}

// waitUnreaped waits until a child has ended, and leaves it to be reaped.
func waitUnreaped(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// reapGroup reaps what was killed with the leader, which is triagebot's own to
// do where it is the first process of a container. As a process ends, its
// children become children of the first before it can be waited for, so that
// none is passed over.
func reapGroup(group int) {
	for {
		if _, err := unix.Wait4(-group, nil, 0, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return // ECHILD: none is left, or they are another's
		}
	}
}

// exitCode is the program's own, or 128 and the signal's number, as shells have
// it.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// output is one stream of a program: a pipe, and what is kept of it.
type output struct {
	kept    headTail
	r, w    *os.File
	reading sync.WaitGroup
}

func newOutput(size int) (*output, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	return &output{kept: headTail{max: size}, r: r, w: w}, nil
}

// read begins to read, once the program has the pipe's other end.
func (o *output) read() {
	o.w.Close()
	o.reading.Go(func() {
		_, _ = io.Copy(&o.kept, o.r) // ends with the pipe, or by the deadline of rest
	})
}

// rest reads on until the pipe ends or the deadline passes, and gives what was
// kept.
func (o *output) rest(deadline time.Time) (kept []byte, cut int64) {
	if err := o.r.SetReadDeadline(deadline); err != nil {
		o.r.Close() // ends the reading at once
	}
	o.reading.Wait()
	return o.kept.bytes()
}

func (o *output) close() {
	o.r.Close()
	o.w.Close()
}
