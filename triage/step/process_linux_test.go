package step

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"triagebot/triage/playbook"
)

// script writes a shell script, and keeps the folders of programs within the
// test's own.
func script(t *testing.T, text string) Process {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return Process{Program: path, MaxOutput: 1 << 10}
}

func mustRun(t *testing.T, p Process) Ended {
	t.Helper()
	ended, err := Programs{}.Run(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 || ended.Left != nil {
		t.Errorf("its folder is left: %v, %v, %v", left, err, ended.Left)
	}
	return ended
}

func TestAProgramGetsItsArgumentsAndNothingElse(t *testing.T) {
	t.Setenv("TRIAGEBOT_TEST_SECRET", "hunter2")
	p := script(t, `for a in "$@"; do printf '<%s>\n' "$a"; done
tr '\0' '\n' </proc/$$/environ
ls -A
wc -c
readlink /proc/$$/fd/0
echo kept >&2
exit 7`)
	p.Args = []string{"$HOME `id`", "", "a\nb"}
	p.Env = []string{"GIVEN=x y"}
	ended := mustRun(t, p)
	if want := "<$HOME `id`>\n<>\n<a\nb>\nGIVEN=x y\n0\n/dev/null\n"; string(ended.Stdout) != want || string(ended.Stderr) != "kept\n" || ended.ExitCode != 7 {
		t.Errorf("%d %q %q", ended.ExitCode, ended.Stdout, ended.Stderr)
	}

	t.Run("and without any environment has none", func(t *testing.T) {
		if ended := mustRun(t, script(t, `wc -c </proc/$$/environ`)); strings.TrimSpace(string(ended.Stdout)) != "0" {
			t.Errorf("%q", ended.Stdout)
		}
	})
}

func TestOutputIsBoundedHoweverMuchThereIs(t *testing.T) {
	ended := mustRun(t, script(t, "echo first; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo last; echo error >&2"))
	if out := string(ended.Stdout); len(out) > 1100 || !strings.HasPrefix(out, "first\n[") || !strings.HasSuffix(out, "bytes left out]\nlast\n") || ended.CutStdout < 3000000 {
		t.Errorf("%d bytes: %.40q…, %d left out", len(out), out, ended.CutStdout)
	}
	if string(ended.Stderr) != "error\n" || ended.CutStderr != 0 {
		t.Errorf("%q", ended.Stderr)
	}
}

func TestASignalsEndIsAnExitCode(t *testing.T) {
	if ended := mustRun(t, script(t, "echo before; kill -TERM $$")); ended.ExitCode != 128+15 || string(ended.Stdout) != "before\n" {
		t.Errorf("%+v", ended)
	}
}

func TestAProgramThatCannotBeStarted(t *testing.T) {
	plain := script(t, "")
	if err := os.Chmod(plain.Program, 0o600); err != nil {
		t.Fatal(err)
	}
	lost := script(t, "")
	if err := os.WriteFile(lost.Program, []byte("#!/no/such/interpreter\n"), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		program string
		want    error
	}{
		"absent":                     {"/no/such/program", syscall.ENOENT},
		"not a program":              {plain.Program, syscall.EACCES},
		"a folder":                   {filepath.Dir(plain.Program), syscall.EACCES},
		"without its interpreter":    {lost.Program, syscall.ENOENT},
		"a NUL in its path":          {"/bin/true\x00", syscall.EINVAL},
		"a name, which is not found": {"true-that-is-nowhere", nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Programs{}.Run(t.Context(), Process{Program: tt.program, MaxOutput: 10})
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.HasPrefix(err.Error(), "start "+tt.program) {
				t.Errorf("%v", err)
			}
			if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
				t.Errorf("its folder is left: %v", left)
			}
		})
	}
}

// subreaper has processes that lose their parent become this one's children, as
// they do in a container whose first process triagebot is.
func subreaper(t *testing.T) {
	t.Helper()
	set := func(on uintptr) {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, on, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	set(1)
	t.Cleanup(func() { set(0) })
}

// noChildren fails when this process has children, zombies among them.
func noChildren(t *testing.T) {
	t.Helper()
	if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); !errors.Is(err, unix.ECHILD) {
		t.Errorf("a child is left: %d, %v", pid, err)
	}
}

// Each waits for ever, so that the test ends only if they are ended.
func TestWhatAProgramStartedEndsWithIt(t *testing.T) {
	for name, text := range map[string]string{
		"left behind, and holding the output":      "sleep 100000 & echo done",
		"several generations":                      "(sh -c 'sleep 100000 & sleep 100000 & wait' & wait) & echo done",
		"deaf to signals":                          "trap '' TERM HUP INT; (trap '' TERM HUP INT; while :; do sleep 100000; done) & echo done",
		"stopped":                                  "sleep 100000 & kill -STOP $!; echo done",
		"left behind, with the output closed":      "sleep 100000 >/dev/null 2>&1 & echo done",
		"left behind by a parent that ended first": "(sleep 100000 & sleep 100000 &) ; echo done",
	} {
		t.Run(name, func(t *testing.T) {
			subreaper(t)
			if ended := mustRun(t, script(t, text)); string(ended.Stdout) != "done\n" || ended.ExitCode != 0 {
				t.Errorf("%+v", ended)
			}
			noChildren(t)
		})
	}
}

func TestAProgramIsKilledWithAllOfItsGroupWhenItsTimeIsOver(t *testing.T) {
	for name, text := range map[string]string{
		"it waits":                    "echo >started; sleep 100000",
		"it and what it started wait": "sleep 100000 & sh -c 'sleep 100000 & wait' & echo >started; wait",
		"it is deaf":                  "trap '' TERM INT HUP; echo >started; while :; do sleep 100000; done",
		"it is stopped":               "echo >started; kill -STOP $$",
		"it is loud":                  "echo >started; exec cat /dev/zero",
	} {
		t.Run(name, func(t *testing.T) {
			subreaper(t)
			fifo := filepath.Join(t.TempDir(), "started")
			if err := unix.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			over := errors.New("its time is over")
			go func() {
				_, _ = os.ReadFile(fifo) // returns once the program wrote to it
				cancel(over)
			}()
			_, err := Programs{}.Run(ctx, script(t, strings.ReplaceAll(text, ">started", ">"+fifo)))
			if !errors.Is(err, over) {
				t.Errorf("%v", err)
			}
			noChildren(t)
			if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
				t.Errorf("its folder is left: %v, %v", left, err)
			}
		})
	}
}

func TestAProgramIsNotStartedAfterItsTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	started := filepath.Join(t.TempDir(), "started")
	if _, err := (Programs{}).Run(ctx, script(t, "echo >"+started)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := os.Stat(started); err == nil {
		t.Error("it ran")
	}
}

// A process that leaves the group is not known any more; but it must not keep
// the finding, though it holds the pipe.
func TestWhatLeftTheGroupDelaysNothing(t *testing.T) {
	subreaper(t)
	file := filepath.Join(t.TempDir(), "pid")
	ended := mustRun(t, script(t, "setsid sh -c 'echo $$ >"+file+".new; mv "+file+".new "+file+"; exec sleep 100000' & while ! [ -e "+file+" ]; do :; done; echo done"))
	if string(ended.Stdout) != "done\n" {
		t.Errorf("%+v", ended)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil { // it is there still
		t.Error(err)
	}
	if _, err := unix.Wait4(pid, nil, 0, nil); err != nil {
		t.Error(err)
	}
	noChildren(t)
}

func TestAFolderThatAProgramFillsIsRemoved(t *testing.T) {
	if ended := mustRun(t, script(t, "mkdir -p a/b; echo x >a/b/c; ln -s / root; pwd")); !strings.Contains(string(ended.Stdout), "triagebot-command-") {
		t.Errorf("%q", ended.Stdout)
	}
}

// The whole way, through the kind.
func TestCommandsAreRunAndStopped(t *testing.T) {
	p := script(t, `[ "$1" = wait ] && sleep 100000; echo "{\"worker\": \"$1\"}"`)
	d := Deps{Commands: map[string]AllowedCommand{p.Program: {}}}
	out, err := newExecution(nil).run(t.Context(), mustLoad(t, d, "command: {program: "+p.Program+", args: [w3]}"))
	if err != nil || out.Rows[0].Vars["json"].(map[string]any)["worker"] != "w3" {
		t.Fatalf("%+v, %v", out, err)
	}
	_, err = newExecution(nil).run(t.Context(), mustLoad(t, d, "command: {program: "+p.Program+", args: [wait], timeout: 100ms}"))
	var asked *playbook.StepError
	if !errors.As(err, &asked) || err.Error() != p.Program+" did not end within 100ms and was killed, with what it had started" {
		t.Errorf("%v", err)
	}
}
