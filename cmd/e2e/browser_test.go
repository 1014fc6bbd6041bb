//go:build e2e

// A person in a browser, on the local channel of the whole program. Needs
// `npm ci` in slackclients.

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"triagebot/cmd/internal/program"
)

// TestTheDemoInABrowser goes from the alert to maintenance and back.
func TestTheDemoInABrowser(t *testing.T) {
	t.Parallel() // most of it is waiting for the alert and the metric
	path, err := binary.Path()
	if err != nil {
		t.Fatal(err)
	}
	dir, address := t.TempDir(), program.FreeAddress(t)
	demo := start(t, dir, "demo", path, "demo", "--verbose", "--dir", dir, "--channel-listen", address)
	demo.answers(t, "http://"+address+"/c/"+channelName)
	var incidents string
	until(t, "the demo says where its incidents are", func() error {
		said, err := os.ReadFile(filepath.Join(dir, "demo.log"))
		if err != nil {
			return err
		}
		found := regexp.MustCompile(`(?m)^incidents +(http\S+)$`).FindSubmatch(said)
		if found == nil {
			return fmt.Errorf("it says %q", said)
		}
		incidents = string(found[1])
		return nil
	})
	inBrowser(t, "demo.test.mjs", "http://"+address, "INCIDENTS_URL="+incidents)
}

// inBrowser runs a test file of the page of a local channel.
func inBrowser(t *testing.T, file, channelURL string, env ...string) {
	t.Helper()
	node(t, []string{"--test", file}, append(env, "SLACK_URL="+channelURL, "SCREENSHOTS="+screenshots(t))...)
}

const localConfig = `
server:
  listen: %[1]s
  external_url: http://%[1]s
  auth: {bearer_token_file: webhook-token}
storage: {sqlite: {path: triagebot.db}}
evidence: {dir: evidence}
alertmanagers:
  - {name: main, url: %[2]s}
prometheus: {url: http://127.0.0.1:9}
incidents: {edit_every: 500ms}
slack: {local: {listen: %[3]s}}
routes:
  - {notifier: slack, channel: "#%[4]s"}
`

// TestASilenceInABrowser has Debian's Alertmanager mute an alert for a person.
func TestASilenceInABrowser(t *testing.T) {
	t.Parallel()
	w, channel := &world{dir: t.TempDir(), botAddress: program.FreeAddress(t)}, program.FreeAddress(t)
	alertmanager := w.startAlertmanager(t)
	writeFile(t, w.botDir(), "webhook-token", webhookToken)
	writeFile(t, w.botDir(), "triagebot.yaml", fmt.Sprintf(localConfig, w.botAddress, w.alertmanagerURL, channel, channelName))
	w.startBot(t)
	alertmanager.answers(t, w.alertmanagerURL+"/-/ready")
	w.fire(t, restartsAlert)
	inBrowser(t, "silence.test.mjs", "http://"+channel)
	if state, err := w.alertState(restartsAlert); err != nil || state != "suppressed" {
		t.Errorf("Alertmanager says that the alert is %q (%v), want suppressed", state, err)
	}
}

// fire tells Alertmanager that an alert fires, as Prometheus does.
func (w *world) fire(t *testing.T, alertname string) {
	t.Helper()
	body := fmt.Sprintf(`[{"labels": {"alertname": %q, "severity": "critical"}, "annotations": {"summary": "worker w0 restarts"}}]`, alertname)
	resp, err := http.Post(w.alertmanagerURL+"/api/v2/alerts", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("Alertmanager takes the alert with %s", resp.Status)
	}
}
