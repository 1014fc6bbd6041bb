//go:build e2e

// triagebot itself, as a child process with a real configuration.

package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triagebot/cmd/demo/codexsim"
	"triagebot/playbooks"
)

const botConfig = `
server:
  listen: %[1]s
  external_url: http://%[1]s
  auth: {bearer_token_file: webhook-token}
storage:
  %[2]s
evidence: {dir: evidence}
alertmanagers:
  - {name: main, url: %[3]s, poll_interval: %[4]s}
prometheus: {url: %[5]s}
services:
  app: {url: %[6]s}
playbooks: {files: ["playbooks/*.yaml"]}
incidents: {edit_every: 500ms, reopen_within: 15m, vanished_after: 5s}
access: {ctl_token_file: ctl-token}
slack: {token_file: slack-token, api_url: %[7]s/api/}
routes:
  - {notifier: slack, channel: "#%[8]s"}
`

func (w *world) botDir() string { return filepath.Join(w.dir, "triagebot") }
func (w *world) botURL() string { return "http://" + w.botAddress }

// configure writes triagebot's configuration and has it checked. poll is how
// often it asks Alertmanager what still fires; 0 is never.
func (w *world) configure(t *testing.T, poll time.Duration) {
	t.Helper()
	dir := w.botDir()
	writeFile(t, dir, "webhook-token", webhookToken)
	writeFile(t, dir, "slack-token", slackToken)
	writeFile(t, dir, "ctl-token", ctlToken)
	storage := fmt.Sprintf("sqlite: {path: %q}", w.where.SQLitePath)
	if w.where.PostgresURL != "" {
		writeFile(t, dir, "postgres-url", w.where.PostgresURL)
		storage = "postgres: {url_file: postgres-url}"
	}
	shipped, err := playbooks.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range shipped {
		writeFile(t, filepath.Join(dir, "playbooks"), f.Name, string(f.Data))
	}
	file := writeFile(t, dir, "triagebot.yaml", fmt.Sprintf(botConfig, w.botAddress, storage,
		w.alertmanagerURL, poll, w.promURL, w.app.URL(), w.slackURL, channelName)+
		codexsim.TracesConfig(filepath.Join(w.dir, "codex-logs")))
	if out, err := w.triagebot("check", "config", file); err != nil {
		t.Fatalf("triagebot check config: %v\n%s", err, out)
	}
}

// startBot starts triagebot and waits until it takes notifications.
func (w *world) startBot(t *testing.T) *process {
	t.Helper()
	path, err := binary.Path()
	if err != nil {
		t.Fatal(err)
	}
	bot := start(t, w.botDir(), "triagebot", path, "serve", "--config.file=triagebot.yaml")
	bot.answers(t, w.botURL()+"/-/ready")
	return bot
}

// triagebot runs a subcommand to its end.
func (w *world) triagebot(args ...string) (string, error) {
	path, err := binary.Path()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = w.botDir()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// ctl asks the running triagebot as a person does on the command line; the
// answer has to have the words.
func (w *world) ctl(t *testing.T, words string, command ...string) {
	t.Helper()
	out, err := w.triagebot(append([]string{"ctl", "--url", w.botURL(), "--token-file", "ctl-token", "--as", "alice"}, command...)...)
	if err != nil || !strings.Contains(out, words) {
		t.Fatalf("triagebot ctl %s: %v\n%s", strings.Join(command, " "), err, out)
	}
}

// verify proves the bundle of each incident whole.
func (w *world) verify(t *testing.T, incidents int) {
	t.Helper()
	for id := range incidents {
		bundle := filepath.Join("evidence", fmt.Sprintf("incident-%06d", id+1))
		until(t, bundle+" is whole", func() error {
			out, err := w.triagebot("evidence", "verify", bundle)
			if err == nil && !strings.Contains(out, "WHOLE") {
				t.Fatalf("triagebot evidence verify exits with 0 and says %q", out)
			}
			if err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		})
	}
}
