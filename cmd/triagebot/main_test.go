package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	good := smallConfig(t, dir, "")
	bad := write(t, dir, "bad.yaml", "server: {listne: x, max_body: many}\nslack: {token: xoxb-1}\n")
	broken := t.TempDir()
	smallConfig(t, broken, "")
	write(t, broken, "playbooks/slow.yaml", strings.Replace(smallPlaybook, "value > 5", "valeu > 5", 1))
	both := smallConfig(t, t.TempDir(), "log: {level: loud}\n")
	write(t, filepath.Dir(both), "playbooks/slow.yaml", strings.Replace(smallPlaybook, "value > 5", "valeu > 5", 1))
	bucket := smallConfig(t, t.TempDir(), "")
	write(t, filepath.Dir(bucket), "playbooks/slow.yaml", strings.Replace(smallPlaybook, "value > 5", "valeu > 5", 1))
	write(t, filepath.Dir(bucket), "triagebot.yaml", strings.Replace(readText(t, bucket), "evidence: {dir: evidence}", `evidence: {bucket_url: "s3://triage-evidence?region=x"}`, 1))
	careless := smallConfig(t, t.TempDir(), "datasources: {longterm: {url: \"http://127.0.0.1:9\", tiemout: 5s, max_concurrent: 5000}}\n")
	write(t, filepath.Dir(careless), "triagebot.yaml", strings.Replace(readText(t, careless), `["playbooks/*.yaml"]`, `["playbooks/*.yaml", nowhere.yaml]`, 1))
	write(t, filepath.Dir(careless), "playbooks/slow.yaml", strings.Replace(smallPlaybook, "{expr: 'up{job=\"{{ .Labels.job }}\"}'}, abnormal: 'value > 5'",
		"{expr: 'up{', exprr: up, datasource: shortterm, range: soon}, abnormal: 'valeu > 5', finding: '{{ .Valeu }}'", 1))
	for _, tc := range []struct {
		name   string
		args   []string
		status int
		out    []string // parts of what is printed, on either stream
	}{
		{"help", []string{"--help"}, 0, []string{"serve", "check config", "evidence verify", "demo"}},
		{"version", []string{"--version"}, 0, []string{"triagebot, version"}},
		{"help of a command", []string{"serve", "--help"}, 0, []string{"--config.file"}},
		{"no such command", []string{"sevre"}, 2, []string{`expected command but got "sevre"`, "try --help"}},
		{"no command", nil, 0, []string{"usage: triagebot", "serve"}},
		{"a good configuration", []string{"check", "config", good}, 0, []string{"is fine: 1 playbooks, 1 routes"}},
		{"printed", []string{"check", "config", good, "--print"}, 0, []string{"reopen_within: 15m", "listen: 127.0.0.1:0"}},
		{"every problem at once", []string{"check", "config", bad}, 1, []string{
			`bad.yaml:1: server.listne: unknown key; did you mean "listen"?`, "bad.yaml:1: server.max_body:", "bad.yaml:2: slack.token:", "token_file",
		}},
		{"a playbook's problem", []string{"check", "config", filepath.Join(broken, "triagebot.yaml")}, 1, []string{"slow.yaml:6:", "valeu", `did you mean "value"?`}},
		{"a problem here and one in a playbook", []string{"check", "config", both}, 1, []string{"log.level", "slow.yaml:6:", "valeu"}},
		{"an unknown key hides nothing beside it", []string{"check", "config", careless}, 1, []string{
			"datasources.longterm.tiemout: unknown key", "datasources.longterm.max_concurrent", "nowhere.yaml",
			"steps[0].query.exprr: unknown key", "steps[0].query.expr: not PromQL", `unknown datasource "shortterm"; did you mean "longterm"?`,
			`steps[0].query.range: "soon" is no duration`, "steps[0].abnormal: unknown variable valeu", "steps[0].finding: unknown field .Valeu",
		}},
		{"a bucket that this build cannot open", []string{"check", "config", bucket}, 1, []string{"triagebot.yaml:4: evidence.bucket_url: ", "s3://triage-evidence", "-tags s3", "slow.yaml:6:", "valeu"}},
		{"no such configuration", []string{"serve", "--config.file", filepath.Join(dir, "none.yaml")}, 1, []string{"--config.file", "none.yaml", "does not exist"}},
		{"a folder that is no bundle", []string{"evidence", "verify", dir}, 2, []string{"give a bundle's own folder"}},
		{"no such bundle", []string{"evidence", "verify", filepath.Join(dir, "none")}, 2, []string{"error"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, stdout, stderr := run(t, tc.args...)
			if status != tc.status {
				t.Errorf("exit status %d, want %d", status, tc.status)
			}
			for _, part := range tc.out {
				if !strings.Contains(stdout+stderr, part) {
					t.Errorf("%q is not in the output:\n%s%s", part, stdout, stderr)
				}
			}
		})
	}
}

// A mistake in one place hides none in another.
func TestEveryPlaybookIsCheckedWhateverElseIsWrong(t *testing.T) {
	dir := t.TempDir()
	file := smallConfig(t, dir, `datasources: {longterm: {url: "http://127.0.0.1:9", max_concurrent: many}}`)
	write(t, dir, "triagebot.yaml", strings.Replace(readText(t, file), `["playbooks/*.yaml"]`, `["none/*.yml", "playbooks/*.yaml", "empty"]`, 1))
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o750); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "playbooks/slow.yaml", `
name: slow
match: ['alertname="Slow"']
steps:
  - {id: a, query: {expr: up}}
  - {id: b, query: {expr: up, datasource: longterm}}
  - {id: c, query: {expr: up, datasource: longtrem}}
`)
	write(t, dir, "playbooks/wrong.yaml", strings.Replace(smallPlaybook, "value > 5", "valeu > 5", 1))
	status, stdout, stderr := run(t, "check", "config", file)
	if status != 1 {
		t.Errorf("exit status %d\n%s", status, stdout)
	}
	for _, want := range []string{
		"datasources.longterm.max_concurrent", "no file matches " + filepath.Join(dir, "none/*.yml"), "empty: the folder has no",
		`slow.yaml:7: steps[2].query.datasource: unknown datasource "longtrem"; did you mean "longterm"?`, "wrong.yaml:6:",
	} {
		if n := strings.Count(stderr, want); n != 1 {
			t.Errorf("%q is said %d times in:\n%s", want, n, stderr)
		}
	}
	for _, line := range []string{"slow.yaml:5:", "slow.yaml:6:", "there is no such file"} {
		if strings.Contains(stderr, line) {
			t.Errorf("%s is complained of without need in:\n%s", line, stderr)
		}
	}
}

// A playbook runs only what the configuration lists.
func TestAPlaybookThatNamesAnotherProgramDoesNotLoad(t *testing.T) {
	dir := t.TempDir()
	listed := smallConfig(t, dir, "commands: [{program: /opt/drain-check, env: [HOME]}]\n")
	none := smallConfig(t, t.TempDir(), "")
	for _, file := range []string{listed, none} {
		write(t, filepath.Dir(file), "playbooks/drain.yaml", `
name: drain
match: ['alertname="Drain"']
steps:
  - {id: drain, command: {program: /opt/drain-check, args: ['{{ .Labels.worker }}']}, abnormal: 'exit_code != 0'}
`)
	}
	if status, stdout, stderr := run(t, "check", "config", listed); status != 0 || !strings.Contains(stdout, "2 playbooks") {
		t.Errorf("exit status %d: %s%s", status, stdout, stderr)
	}
	want := `drain.yaml:5: steps[0].command.program: "/opt/drain-check" is not allowed: the configuration lists no commands`
	if status, _, stderr := run(t, "check", "config", none); status != 1 || !strings.Contains(stderr, want) {
		t.Errorf("exit status %d: %s", status, stderr)
	}
	if status, _, stderr := run(t, "serve", "--config.file", none); status != 1 || !strings.Contains(stderr, want) {
		t.Errorf("serve: exit status %d: %s", status, stderr)
	}
	write(t, dir, "playbooks/drain.yaml", strings.Replace(readText(t, filepath.Join(dir, "playbooks/drain.yaml")), "drain-check", "drain-chek", 1))
	if status, _, stderr := run(t, "check", "config", listed); status != 1 || !strings.Contains(stderr, `"/opt/drain-chek" is not allowed by the configuration's commands; did you mean "/opt/drain-check"?`) {
		t.Errorf("exit status %d: %s", status, stderr)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "slack", "xoxb-very-secret\n")
	write(t, dir, "bearer", "hunter2-hunter2\n")
	file := smallConfig(t, dir, "")
	changed := strings.Replace(readText(t, file), `slack: {`, `slack: {token_file: slack, `, 1)
	changed = strings.Replace(changed, `server: {`, `server: {auth: {bearer_token_file: bearer}, `, 1)
	write(t, dir, "triagebot.yaml", changed)
	status, stdout, stderr := run(t, "check", "config", file, "--print")
	if status != 0 || strings.Contains(stdout+stderr, "very-secret") || strings.Contains(stdout+stderr, "hunter2") || !strings.Contains(stdout, "<secret>") {
		t.Errorf("exit status %d:\n%s%s", status, stdout, stderr)
	}
}
