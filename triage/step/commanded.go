// What a command comes to: its exit code, a sentence, and what it printed as a
// file.

package step

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"triagebot/triage/playbook"
	"triagebot/triage/step/unit"
	"triagebot/triage/tracelog"
)

// failure says why there is no exit code. ctx is the step's own, bounded that
// of the program.
func (a *commandAction) failure(ctx, bounded context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", a.program, ctx.Err())
	case bounded.Err() != nil:
		return &playbook.StepError{
			Err:      fmt.Errorf("%s did not end within %s and was killed, with all that it had started", a.program, a.timeout),
			NextStep: "Run it by hand to see what it waits for; raise the command's timeout if it is slow by nature.",
		}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return &playbook.StepError{Err: err, NextStep: "Check that the program is there and may be executed by triagebot's user."}
	}
	return &playbook.StepError{Err: err, NextStep: "Run it by hand; the error is all that is known."}
}

func (a *commandAction) outcome(env *playbook.Env, p Process, ended Ended, started time.Time, took time.Duration) *playbook.Outcome {
	output := safeText(string(ended.Stdout))
	decoded := any(map[string]any{})
	if a.json {
		if value, err := wholeJSON(ended.Stdout, ended.Cut > 0); err != nil {
			env.Debugf("the output is not read as JSON: %v", err)
		} else {
			decoded = value
		}
	}
	name := filepath.Base(a.program)
	took = took.Round(time.Millisecond)
	said := ""
	if first := firstLine(ended.Stdout, ended.Stderr); first != "" {
		said = ": " + first
	}
	return &playbook.Outcome{
		Rows: []playbook.OutcomeRow{{
			Value: fmt.Sprintf("exit code %d", ended.ExitCode),
			Vars: map[string]any{
				"exit_code": int64(ended.ExitCode), "output": output, "cut": ended.Cut > 0, "json": decoded,
			},
		}},
		Headline: fmt.Sprintf("%s ended with %d after %s%s.", name, ended.ExitCode, unit.Millis.Format(float64(took.Milliseconds())), strings.TrimSuffix(said, ".")),
		Artifacts: []playbook.Artifact{{
			Name: stem(env, "command") + ".txt", Title: "Output of " + name, MediaType: "text/plain",
			Source: a.program, Data: commandFile(p, ended, started, took),
		}},
	}
}

// firstLine is the first line of what it printed that is not empty.
func firstLine(streams ...[]byte) string {
	for _, s := range streams {
		for line := range bytes.Lines(s) {
			if text := strings.TrimSpace(tracelog.Harmless(string(line))); text != "" {
				return text
			}
		}
	}
	return ""
}

// commandFile is the run as people read it. Values of the environment are not
// in it.
func commandFile(p Process, ended Ended, started time.Time, took time.Duration) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n", p.Program)
	for _, arg := range p.Args {
		fmt.Fprintf(&b, "  %q\n", safeText(arg))
	}
	fmt.Fprintf(&b, "started at %s, ended with %d after %s\n", stamp(started), ended.ExitCode, took)
	for _, s := range []struct {
		name string
		data []byte
	}{{"output", ended.Stdout}, {"error output", ended.Stderr}} {
		if len(s.data) > 0 {
			fmt.Fprintf(&b, "\n%s:\n%s\n", s.name, strings.TrimSuffix(safeText(string(s.data)), "\n"))
		}
	}
	return b.Bytes()
}

// headTail keeps the beginning and the end of what is written, whole up to max
// bytes.
type headTail struct {
	max     int
	head    []byte
	tail    []byte // a ring once it is full
	next    int
	written int64
}

func (h *headTail) Write(p []byte) (int, error) {
	n := len(p)
	h.written += int64(n)
	half := (h.max + 1) / 2
	if room := half - len(h.head); room > 0 {
		kept := p[:min(room, len(p))]
		h.head = append(h.head, kept...)
		p = p[len(kept):]
	}
	room := h.max - half
	if len(p) > room {
		p = p[len(p)-room:]
	}
	for _, c := range p {
		if len(h.tail) < room {
			h.tail = append(h.tail, c)
			continue
		}
		h.tail[h.next] = c
		h.next = (h.next + 1) % room
	}
	return n, nil
}

// bytes are what was kept, with a line that says what was not.
func (h *headTail) bytes() (kept []byte, cut int64) {
	cut = h.written - int64(len(h.head)+len(h.tail))
	kept = bytes.Clone(h.head)
	if cut > 0 {
		kept = fmt.Appendf(kept, "\n[%d bytes left out]\n", cut)
	}
	kept = append(kept, h.tail[h.next:]...)
	return append(kept, h.tail[:h.next]...), cut
}
