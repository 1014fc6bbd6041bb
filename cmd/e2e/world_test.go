//go:build e2e

// The world around triagebot: the simulated app, Prometheus, Alertmanager and
// a Slack workspace.

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"triagebot/cmd/demo/codexsim"
	"triagebot/cmd/demo/promlab"
	"triagebot/cmd/internal/program"
	"triagebot/notifiers/slack/slacklocal"
	"triagebot/playbooks"
	"triagebot/triage/receive"
	"triagebot/triage/store"
)

// faster is by how much the alert rules' minutes are shortened.
const faster = 60

const (
	webhookToken = "e2e-webhook-token"
	slackToken   = "xoxb-e2e-workspace"
	ctlToken     = "e2e-token-of-the-command-line"
	channelName  = "incidents"
)

// world is everything that a test runs on.
type world struct {
	dir   string
	where store.Options // the database that triagebot uses
	app   *codexsim.App
	slack *slacklocal.Workspace

	slackURL, promURL, alertmanagerURL string
	botAddress                         string
}

// newWorld starts everything but triagebot.
func newWorld(t *testing.T, where store.Options) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), where: where, botAddress: program.FreeAddress(t)}
	w.slack, w.slackURL = program.Slack(t, slacklocal.Options{Channels: []string{channelName}, Token: slackToken, Limits: slacklocal.SlackLimits()}, nil)
	w.startApp(t)
	alertmanager := w.startAlertmanager(t)
	prometheus := w.startPrometheus(t)
	alertmanager.answers(t, w.alertmanagerURL+"/-/ready")
	prometheus.answers(t, w.promURL+"/-/ready")
	until(t, "Prometheus has scraped the app", func() error {
		return w.holds(`count_over_time(up{job="codex-app"}[1m]) >= 4`)
	})
	return w
}

func (w *world) startApp(t *testing.T) {
	t.Helper()
	var err error
	if w.app, err = codexsim.New(codexsim.Options{LogDir: filepath.Join(w.dir, "codex-logs")}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.app.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

const alertmanagerConfig = `
route:
  receiver: triagebot
  group_by: [alertname, page_service]
  group_wait: 1s
  group_interval: 2s
receivers:
  - name: triagebot
    webhook_configs:
      - url: http://%s
        send_resolved: true
        http_config:
          authorization: {type: Bearer, credentials_file: webhook-token}
`

func (w *world) startAlertmanager(t *testing.T) *process {
	t.Helper()
	dir, address := filepath.Join(w.dir, "alertmanager"), program.FreeAddress(t)
	w.alertmanagerURL = "http://" + address
	writeFile(t, dir, "webhook-token", webhookToken)
	config := writeFile(t, dir, "alertmanager.yml", fmt.Sprintf(alertmanagerConfig, w.botAddress+receive.Path))
	return start(t, dir, "alertmanager", "prometheus-alertmanager", "--config.file="+config,
		"--storage.path="+filepath.Join(dir, "data"), "--web.listen-address="+address,
		"--web.external-url="+w.alertmanagerURL, "--cluster.listen-address=")
}

const prometheusConfig = `
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yaml]
alerting:
  alertmanagers:
    - static_configs: [{targets: ['%s']}]
scrape_configs:
  - job_name: codex-app
    static_configs: [{targets: ['%s']}]
`

func (w *world) startPrometheus(t *testing.T) *process {
	t.Helper()
	dir, address := filepath.Join(w.dir, "prometheus"), program.FreeAddress(t)
	w.promURL = "http://" + address
	written, err := playbooks.Files.ReadFile(playbooks.AlertRules)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := promlab.ScaleRules(written, faster)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "rules.yaml", string(rules))
	host := func(u string) string { return strings.TrimPrefix(u, "http://") }
	config := writeFile(t, dir, "prometheus.yml", fmt.Sprintf(prometheusConfig, host(w.alertmanagerURL), host(w.app.URL())))
	return start(t, dir, "prometheus", "prometheus", "--config.file="+config,
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--web.external-url="+w.promURL)
}

// fault switches a fault of the app.
func (w *world) fault(t *testing.T, fault codexsim.Fault, on bool) {
	t.Helper()
	if err := w.app.Fault(string(fault), on); err != nil {
		t.Fatal(err)
	}
}

// holds asks Prometheus whether an expression has a result.
func (w *world) holds(expr string) error {
	body, err := get(w.promURL + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return err
	}
	var answer struct {
		Data struct{ Result []any }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	if len(answer.Data.Result) == 0 {
		return fmt.Errorf("%s has no result", expr)
	}
	return nil
}

// alertState is what Alertmanager says of an alert: active, suppressed, or ""
// when it does not list it.
func (w *world) alertState(alertname string) (string, error) {
	body, err := get(w.alertmanagerURL + "/api/v2/alerts?filter=" + url.QueryEscape(`alertname="`+alertname+`"`))
	if err != nil {
		return "", err
	}
	var alerts []struct {
		Status struct{ State string }
	}
	if err := json.Unmarshal(body, &alerts); err != nil || len(alerts) == 0 {
		return "", err
	}
	return alerts[0].Status.State, nil
}

// failedNotifications says whether Alertmanager has tried in vain.
func (w *world) failedNotifications() error {
	body, err := get(w.alertmanagerURL + "/metrics")
	if err != nil {
		return err
	}
	const counter = `alertmanager_notification_requests_failed_total{integration="webhook"} `
	for line := range strings.Lines(string(body)) {
		if failed, ok := strings.CutPrefix(strings.TrimSpace(line), counter); ok && failed != "0" {
			return nil
		}
	}
	return fmt.Errorf("%s is 0 or missing", counter)
}
