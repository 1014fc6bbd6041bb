// What the tests share: the program run in this process, what is asked of it,
// and what it is configured with.

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"triagebot/cmd/config"
	"triagebot/cmd/internal/program"
	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage/receive"
)

// run executes the program with arguments.
func run(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = execute(t.Context(), append([]string{"triagebot"}, args...), &out, &errs)
	return status, out.String(), errs.String()
}

// write puts a file into a folder of the test's own.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

const smallPlaybook = `
name: slow
title: Slow
match: ['alertname="Slow"']
steps:
  - {id: p95, title: p95, query: {expr: 'up{job="{{ .Labels.job }}"}'}, abnormal: 'value > 5'}
`

func smallConfig(t *testing.T, dir, extra string) string {
	t.Helper()
	write(t, dir, "playbooks/slow.yaml", smallPlaybook)
	return write(t, dir, "triagebot.yaml", fmt.Sprintf(`
server: {listen: "127.0.0.1:0"}
storage: {sqlite: {path: t.db}}
evidence: {dir: evidence}
prometheus: {url: "http://127.0.0.1:9"}
playbooks: {files: ["playbooks/*.yaml"]}
incidents: {edit_every: 100ms}
slack: {local: {listen: "127.0.0.1:0"}}
routes: [{notifier: slack, channel: "#incidents"}]
%s`, extra))
}

// startApp runs the program in this process until the test ends.
func startApp(t *testing.T, file string) *app {
	t.Helper()
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	log := logrus.New()
	log.SetOutput(io.Discard)
	a, err := newApp(t.Context(), file, cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- a.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the program ended with %v", err)
		}
		if err := a.close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return a
}

// person is who there is in a workspace that names nobody.
const person = "U0PERSON1"

// behindSlack is an app behind a workspace of the test's own, with the secret
// that is named; "" for none.
func behindSlack(t *testing.T, opts slacklocal.Options, secret, value string) (*app, *slacklocal.Workspace) {
	t.Helper()
	opts.Token, opts.Channels = "xoxb-ways", []string{"incidents"}
	workspace, url := program.Slack(t, opts, nil)
	dir := t.TempDir()
	write(t, dir, "token", opts.Token)
	if secret != "" {
		write(t, dir, "secret", value)
		secret += ": secret, "
	}
	file := smallConfig(t, dir, `access: {look: {users: ["*"]}, respond: {users: [`+person+`]}, maintain: {users: [`+person+`]}, override: {users: [`+person+"]}}\n")
	write(t, dir, "triagebot.yaml", strings.Replace(readText(t, file), `slack: {local: {listen: "127.0.0.1:0"}}`,
		"slack: {token_file: token, "+secret+"api_url: "+url+"/api/}", 1))
	return startApp(t, file), workspace
}

// request asks with a JSON body, "" for none.
func request(t *testing.T, method, url, body string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	return answer(t, req)
}

// answer is what a request is answered.
func answer(t *testing.T, req *http.Request) (status int, text string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// eventually asks until yes, for at most half a minute.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(30 * time.Second)
	for !yes() {
		select {
		case <-ticker.C:
		case <-limit:
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// firing is a notification of an alert called NAME.
const firing = `{"version":"4","groupKey":"{}:{}","receiver":"triagebot","status":"firing","externalURL":"http://am.example",
"groupLabels":{"alertname":"NAME"},"commonLabels":{},"commonAnnotations":{},"alerts":[{"status":"firing","fingerprint":"0123456789abcdef",
"labels":{"alertname":"NAME","job":"a\"} or vector(1)","severity":"critical"},"annotations":{"summary":"<!channel> it is slow"},
"startsAt":"2026-03-01T03:00:00Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://p.example/graph?g0.expr=up"}]}`

// notify has the program told that the alert of a name fires, and wants it accepted.
func notify(t *testing.T, a *app, alertname string) {
	t.Helper()
	if status, text := request(t, http.MethodPost, a.url()+receive.Path, strings.ReplaceAll(firing, "NAME", alertname)); status != http.StatusOK {
		t.Fatalf("the webhook answers %d: %s", status, text)
	}
}
