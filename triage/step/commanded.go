// What a command comes to: its exit code, a sentence, and what it printed as a
// file.

package step

import (
	"bytes"
	"context"
	"fmt"
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
			Err:      fmt.Errorf("%s did not end within %s and was killed, with what it had started", a.program, a.timeout),
			NextStep: "Run it by hand to see what it waits for; raise the command's timeout if it is slow by nature.",
		}
	}
	return &playbook.StepError{
		Err:      err,
		NextStep: "Check that the program is there, with the interpreter that its first line names, and that triagebot's user may execute it and make folders for temporary files.",
	}
}

func (a *commandAction) outcome(env *playbook.Env, p Process, ended Ended, started time.Time, took time.Duration) *playbook.Outcome {
	decoded, err := a.decodeJSON(ended)
	if err != nil {
		env.Debugf("the output is not read as JSON: %v", err)
	}
	if ended.Left != nil {
		env.Debugf("its folder for temporary files is left behind: %v", ended.Left)
	}
	if ended.CutStdout > 0 {
		env.Debugf("%d bytes of the output are left out (max_output)", ended.CutStdout)
	}
	name := filepath.Base(a.program)
	said := ""
	if first := a.firstLine(ended.Stdout, ended.Stderr); first != "" {
		said = ": " + strings.TrimSuffix(first, ".")
	}
	return &playbook.Outcome{
		Rows: []playbook.OutcomeRow{{
			Value: fmt.Sprintf("exit code %d", ended.ExitCode),
			Vars: map[string]any{
				"exit_code": int64(ended.ExitCode),
				"output":    safeText(string(ended.Stdout)),
				"cut":       ended.CutStdout > 0,
				"json":      decoded,
			},
		}},
		Headline: fmt.Sprintf("%s ended with %d after %s%s.", name, ended.ExitCode, unit.Millis.Format(float64(took.Milliseconds())), said),
		Artifacts: []playbook.Artifact{{
			Name: stem(env, "command") + ".txt", Title: "Output of " + name, MediaType: "text/plain",
			Source: a.program, Data: commandFile(p, ended, started, took),
		}},
	}
}

// decodeJSON reads the output as JSON when the step says that it is, or it
// begins so. What is none gives an empty map, so that a condition on a field
// fails by the field's name.
func (a *commandAction) decodeJSON(ended Ended) (any, error) {
	begins := bytes.IndexAny(bytes.TrimSpace(ended.Stdout), "{[") == 0
	if a.json != nil && !*a.json || a.json == nil && !begins {
		return map[string]any{}, nil
	}
	value, err := wholeJSON(ended.Stdout, ended.CutStdout > 0)
	if err != nil {
		return map[string]any{}, err
	}
	return value, nil
}

// firstLine is the first line of what it printed that is not empty. Secrets are
// masked before it is cut: half of one is not known for one.
func (a *commandAction) firstLine(streams ...[]byte) string {
	for _, s := range streams {
		for line := range bytes.Lines(s) {
			if text := strings.TrimSpace(safeText(string(line))); text != "" {
				return tracelog.Harmless(a.deps.Redact.Text(text))
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
