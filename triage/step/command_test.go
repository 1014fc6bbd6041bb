package step

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/playbook"
)

// starter answers in place of programs.
type starter struct {
	ran   []Process
	ended Ended
	err   error
}

func (s *starter) Run(ctx context.Context, p Process) (Ended, error) {
	s.ran = append(s.ran, p)
	if s.err == nil {
		s.err = ctx.Err()
	}
	return s.ended, s.err
}

func commandDeps(s Starter) Deps {
	return Deps{
		Commands: map[string]AllowedCommand{"/opt/drain-check": {Timeout: time.Minute, MaxOutput: 1 << 10, Env: []string{"HOME", "TOKEN", "UNSET"}}},
		Starter:  s,
		LookupEnv: func(name string) (string, bool) {
			value, set := map[string]string{"HOME": "/home/triagebot", "TOKEN": "s3cret", "PATH": "/bin"}[name]
			return value, set
		},
		Now: clockOf(12 * time.Millisecond),
	}
}

func TestCommand(t *testing.T) {
	program := &starter{ended: Ended{ExitCode: 3, Stdout: []byte("\n{\"worker\": \"w3\",\n \"drained\": false, \"zero\": \"\\u0000\"}\n"), Stderr: []byte("not drained\xff\n")}}
	s := mustLoad(t, commandDeps(program), `command:
  program: /opt/drain-check
  args: [--worker, '{{ .Labels.worker }}', '-n={{ .Labels.n }}', '']
  env: [HOME, UNSET]
  timeout: 5s
  max_output: 512B
abnormal: 'exit_code == 3 && !json.drained && json.worker == "w3" && output.contains("drained") && !cut'
finding: '{{ .ExitCode }}'`)
	e := newExecution(triage.Labels{"worker": `w3; rm -rf / $(id) "'`, "n": "-1"})
	out, err := e.run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	want := []Process{{
		Program: "/opt/drain-check", Args: []string{"--worker", `w3; rm -rf / $(id) "'`, "-n=-1", ""},
		Env: []string{"HOME=/home/triagebot"}, MaxOutput: 512,
	}}
	if diff := cmp.Diff(want, program.ran); diff != "" {
		t.Error(diff)
	}
	if verdict, err := s.Judge(out.Rows[0], e.env.Data); err != nil || verdict != triage.VerdictAbnormal {
		t.Errorf("%s, %v", verdict, err)
	}
	if out.Rows[0].Value != "exit code 3" || out.Headline != `drain-check ended with 3 after 12ms: {"worker": "w3",.` {
		t.Errorf("%s / %s", out.Rows[0].Value, out.Headline)
	}
	if got := out.Rows[0].Vars["json"].(map[string]any)["zero"]; got != "\uFFFD" {
		t.Errorf("a NUL of JSON is kept: %q", got)
	}
	for name := range out.Rows[0].Vars {
		if s.Action.Vars()[name] == nil {
			t.Errorf("%s is not declared", name)
		}
	}
	file := out.Artifacts[0]
	wantFile := `/opt/drain-check
  "--worker"
  "w3; rm -rf / $(id) \"'"
  "-n=-1"
  ""
started at ` + stamp(at) + `, ended with 3 after 12ms

output:

{"worker": "w3",
 "drained": false, "zero": "\u0000"}

error output:
not drained` + "\uFFFD\n"
	if diff := cmp.Diff(wantFile, string(file.Data)); diff != "" {
		t.Error(diff)
	}
	if file.Name != "p95.txt" || file.MediaType != "text/plain" || file.Source != "/opt/drain-check" {
		t.Errorf("%+v", file)
	}
}

// There is no shell, but programs take what begins with - for an option.
func TestArgumentsThatTheAuthorDidNotWriteAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name, arg, label string
		want             string // of the error; "" when it is passed
	}{
		{"a value", "{{ .Labels.v }}", "w3", ""},
		{"an option by a value", "{{ .Labels.v }}", "--exec=rm", `argument 1, {{ .Labels.v }}, becomes "--exec=rm": a value must not begin with -`},
		{"an option by a value behind nothing", "{{ .Labels.none }}{{ .Labels.v }}", "-x", "a value must not begin with -"},
		{"an option of the author's", "--worker={{ .Labels.v }}", "-x", ""},
		{"a NUL", "{{ .Labels.v }}", "a\x00b", "holds a NUL and is refused"},
		{"a NUL behind the author's option", "--w={{ .Labels.v }}", "\x00", "holds a NUL and is refused"},
		{"a long one", "x{{ .Labels.v }}", strings.Repeat("y", maxArg), "has 8193 bytes; at most 8192 are passed"},
		{"a secret in one that is refused", "{{ .Labels.v }}", "-s3cret", `becomes "-<redacted>"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			program := &starter{}
			d := commandDeps(program)
			d.Redact = func(text string) string { return strings.ReplaceAll(text, "s3cret", "<redacted>") }
			s := mustLoad(t, d, "command: {program: /opt/drain-check, args: ['"+tt.arg+"']}")
			_, err := newExecution(triage.Labels{"v": tt.label}).run(t.Context(), s)
			if tt.want == "" {
				if err != nil || len(program.ran) != 1 {
					t.Fatal(program.ran, err)
				}
				return
			}
			var asked *playbook.StepError
			if !errors.As(err, &asked) || !strings.Contains(err.Error(), tt.want) || asked.NextStep == "" {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if len(program.ran) > 0 {
				t.Error("it ran")
			}
		})
	}
}

func TestCommandOutput(t *testing.T) {
	nothing := map[string]any{}
	for _, tt := range []struct {
		name, option string
		ended        Ended
		headline     string
		json         any
		cut          bool
		debug        string
	}{
		{name: "silent", headline: "drain-check ended with 0 after 12ms.", json: nothing},
		{name: "text", ended: Ended{Stdout: []byte(" \n w3 is drained.\nmore")}, headline: "drain-check ended with 0 after 12ms: w3 is drained.", json: nothing},
		{name: "errors only", ended: Ended{ExitCode: 1, Stderr: []byte("no such worker\n")}, headline: "drain-check ended with 1 after 12ms: no such worker.", json: nothing},
		{name: "ended by a signal", ended: Ended{ExitCode: 139}, headline: "drain-check ended with 139 after 12ms.", json: nothing},
		{name: "terminal codes", ended: Ended{Stdout: []byte("\x1b[31mred\x00\n")}, headline: `drain-check ended with 0 after 12ms: \x1b[31mred` + "\uFFFD.", json: nothing},
		{name: "a list", ended: Ended{Stdout: []byte(" [1]")}, headline: "drain-check ended with 0 after 12ms: [1].", json: []any{1.0}},
		{name: "a number that is text", ended: Ended{Stdout: []byte("5")}, headline: "drain-check ended with 0 after 12ms: 5.", json: nothing},
		{name: "a number that is JSON", option: ", json: true", ended: Ended{Stdout: []byte("5")}, headline: "drain-check ended with 0 after 12ms: 5.", json: 5.0},
		{name: "no JSON by the step", option: ", json: false", ended: Ended{Stdout: []byte("{}")}, headline: "drain-check ended with 0 after 12ms: {}.", json: nothing},
		{name: "broken JSON", ended: Ended{Stdout: []byte(`{"a"`)}, headline: `drain-check ended with 0 after 12ms: {"a".`, json: nothing, debug: "the output is not read as JSON: unexpected EOF"},
		{
			name: "cut JSON", ended: Ended{Stdout: []byte("{}"), CutStdout: 9}, headline: "drain-check ended with 0 after 12ms: {}.", json: nothing, cut: true,
			debug: "the output is not read as JSON: it is cut\n9 bytes of the output are left out (max_output)",
		},
		{name: "cut errors beside JSON", ended: Ended{Stdout: []byte(`{"a":1}`), CutStderr: 9}, headline: `drain-check ended with 0 after 12ms: {"a":1}.`, json: map[string]any{"a": 1.0}},
		{name: "a folder left", ended: Ended{Left: errors.New("it is busy")}, headline: "drain-check ended with 0 after 12ms.", json: nothing, debug: "its folder for temporary files is left behind: it is busy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := mustLoad(t, commandDeps(&starter{ended: tt.ended}), "command: {program: /opt/drain-check"+tt.option+"}")
			e := newExecution(nil)
			out, err := e.run(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if out.Headline != tt.headline {
				t.Errorf("headline: %s", out.Headline)
			}
			vars := out.Rows[0].Vars
			if diff := cmp.Diff(tt.json, vars["json"]); diff != "" || vars["cut"] != tt.cut || !utf8.ValidString(vars["output"].(string)) {
				t.Errorf("%v %s", vars, diff)
			}
			if e.debugLog() != tt.debug {
				t.Errorf("debug: %q", e.debugLog())
			}
		})
	}
}

// A headline is cut, and half of a secret is not known for one.
func TestASecretIsMaskedBeforeItIsCut(t *testing.T) {
	d := commandDeps(&starter{ended: Ended{Stdout: []byte(strings.Repeat("x", 197) + "s3cret")}})
	d.Redact = func(text string) string { return strings.ReplaceAll(text, "s3cret", "<redacted>") }
	out, err := newExecution(nil).run(t.Context(), mustLoad(t, d, "command: {program: /opt/drain-check}"))
	if err != nil || !strings.Contains(out.Headline, "xxx<") || strings.Contains(out.Headline, "s3c") {
		t.Errorf("%+v, %v", out, err)
	}
}

// Values that were passed on stay out of what is kept.
func TestTheEnvironmentIsNotShown(t *testing.T) {
	program := &starter{}
	s := mustLoad(t, commandDeps(program), "command: {program: /opt/drain-check, env: [TOKEN]}")
	out, err := newExecution(nil).run(t.Context(), s)
	if err != nil || program.ran[0].Env[0] != "TOKEN=s3cret" {
		t.Fatal(program.ran, err)
	}
	if strings.Contains(fmt.Sprintf("%+v %s", out, out.Artifacts[0].Data), "s3cret") {
		t.Errorf("%+v", out)
	}
}

func TestCommandFailures(t *testing.T) {
	s := func(err error) *playbook.Step {
		return mustLoad(t, commandDeps(&starter{err: err}), "command: {program: /opt/drain-check, timeout: 100ms}")
	}
	var asked *playbook.StepError
	_, err := newExecution(nil).run(t.Context(), s(errors.New("start /opt/drain-check: no such file or directory")))
	if !errors.As(err, &asked) || !strings.Contains(asked.NextStep, "Check that the program is there") {
		t.Errorf("%v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = newExecution(nil).run(ended, s(nil))
	if !errors.Is(err, context.Canceled) || errors.As(err, &asked) && asked.Err == nil {
		t.Errorf("the step's own end: %v", err)
	}
}

func TestCommandProblems(t *testing.T) {
	d := commandDeps(nil)
	for _, tt := range []struct {
		deps       Deps
		kind, want string
	}{
		{d, "command: {}", "command.program: is missing"},
		{d, "command: {program: /opt/drain-chek}", `command.program: "/opt/drain-chek" is not allowed by the configuration's commands; did you mean "/opt/drain-check"?`},
		{Deps{}, "command: {program: /bin/sh}", `command.program: "/bin/sh" is not allowed: the configuration lists no commands; add - program: /bin/sh under commands to allow it`},
		{d, "command: {program: '{{ .Labels.program }}'}", "is not allowed by the configuration's commands"},
		{d, "command: {program: /opt/../opt/drain-check}", "is not allowed by the configuration's commands"},
		{d, "command: {program: /opt/drain-check, arg: x}", "command.arg: unknown key"},
		{d, "command: {program: /opt/drain-check, args: ['{{ .Secret }}']}", "command.args[0]: "},
		{d, "command: {program: /opt/drain-check, args: [" + strings.Repeat("x,", maxArgs) + "x]}", "command.args: has 51 entries; at most 50 are passed"},
		{d, "command: {program: /opt/drain-check, env: [HOME, PATH]}", `command.env[1]: "PATH" is not allowed by the configuration's commands`},
		{d, "command: {program: /opt/drain-check, timeout: 2m}", "command.timeout: 2m is out of bounds; write a duration from 100ms to 1m"},
		{d, "command: {program: /opt/drain-check, timeout: soon}", `command.timeout: "soon" is no duration`},
		{d, "command: {program: /opt/drain-check, max_output: 2KiB}", "command.max_output: 2KiB is out of bounds; the configuration allows a size from 1B to 1024B"},
		{d, "command: {program: /opt/drain-check, max_output: much}", `command.max_output: "much" is no size`},
	} {
		if got := problemsOf(t, tt.deps, tt.kind); !strings.Contains(got, "test.yaml:6: steps[0]."+"command") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s", tt.kind, got)
		}
	}
}

func TestHeadAndTail(t *testing.T) {
	for _, tt := range []struct {
		name string
		max  int
		text string
		want string
		left int64
	}{
		{"nothing", 4, "", "", 0},
		{"at the bound", 4, "abcd", "abcd", 0},
		{"one over", 4, "abcde", "ab\n[1 bytes left out]\nde", 1},
		{"of an odd bound", 5, "abcdef", "abc\n[1 bytes left out]\nef", 1},
		{"of one byte", 1, "abc", "a\n[2 bytes left out]\n", 2},
		{"lines whole", 12, "a\nbb\nccc\ndddd\neeeee\n", "a\nbb\n[9 bytes left out]\neeeee\n", 9},
		{"one long line", 6, "abcdefgh\n", "abc\n[3 bytes left out]\ngh\n", 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for chunk := 1; chunk <= len(tt.text)+1; chunk++ {
				h := &headTail{max: tt.max}
				for rest := tt.text; rest != ""; {
					n := min(chunk, len(rest))
					if wrote, err := h.Write([]byte(rest[:n])); wrote != n || err != nil {
						t.Fatal(wrote, err)
					}
					rest = rest[n:]
				}
				if got, left := h.bytes(); string(got) != tt.want || left != tt.left {
					t.Errorf("in chunks of %d: %q, %d", chunk, got, left)
				}
				if len(h.tail) > 2*tt.max {
					t.Errorf("%d bytes are held", len(h.tail))
				}
			}
		})
	}
}
