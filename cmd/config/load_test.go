package config

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"triagebot/triage"
	"triagebot/triage/tracelog"
)

var update = flag.Bool("update", false, "rewrite testdata")

const least = `
prometheus: {url: "http://127.0.0.1:9090"}
routes: [{notifier: slack, channel: "#incidents"}]
`

// Each file of testdata/wrong is wrong in one way; the .txt beside it is what
// people are told.
func TestEachMistakeIsExplained(t *testing.T) {
	files, err := filepath.Glob("testdata/wrong/*.yaml")
	if err != nil || len(files) < 25 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			_, err := Load(file)
			if err == nil {
				t.Fatal("nothing was found to be wrong")
			}
			got := strings.ReplaceAll(err.Error(), "testdata/wrong/", "") + "\n"
			if strings.Contains(got, "hunter2") {
				t.Errorf("a secret is printed: %s", got)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLogsAreSourcesOfTraces(t *testing.T) {
	c, err := LoadBytes("/etc/triagebot/config.yaml", []byte(least+`
traces:
  logs:
    - {name: access, files: ["logs/access.ndjson*", /var/log/access.ndjson], keys: [id, ctx.id], links: [retry_of], fields: {time: at, status: code, event: op}, max_line: 64KiB}
    - {name: usage, files: [usage.ndjson]}
    - {name: engine, files: [engine.ndjson], keys: []}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []tracelog.Source{
		{
			Name: "access", Files: []string{"/etc/triagebot/logs/access.ndjson*", "/var/log/access.ndjson"}, Keys: []string{"id", "ctx.id"}, Links: []string{"retry_of"},
			Roles: tracelog.Roles{Time: "at", Status: "code", Event: "op"}, Format: tracelog.FormatNDJSON, MaxLine: 64 << 10,
		},
		{Name: "usage", Files: []string{"/etc/triagebot/usage.ndjson"}, Keys: []string{"req_id"}, Roles: tracelog.Roles{Time: "ts"}, Format: tracelog.FormatNDJSON, MaxLine: tracelog.DefaultMaxLine},
		{Name: "engine", Files: []string{"/etc/triagebot/engine.ndjson"}, Keys: []string{}, Roles: tracelog.Roles{Time: "ts"}, Format: tracelog.FormatNDJSON, MaxLine: tracelog.DefaultMaxLine},
	}
	if diff := cmp.Diff(want, c.Traces.Sources()); diff != "" {
		t.Error(diff)
	}
}

func TestAMissingFileIsNamed(t *testing.T) {
	_, err := Load("nowhere/config.yaml")
	if want := "nowhere/config.yaml: the file nowhere/config.yaml does not exist"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestSecretsAreReadFromFilesAndTheEnvironmentAndTrimmed(t *testing.T) {
	t.Setenv("TRIAGEBOT_TEST_TOKEN", " xoxb-hunter2\n")
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "secrets", "bearer"), "hunter2-bearer\r\n")
	writeFile(t, filepath.Join(dir, "secrets", "password"), "hunter2-password")
	writeFile(t, filepath.Join(dir, "secrets", "postgres"), "postgres://u:hunter2@h:5432/d\n")
	writeFile(t, filepath.Join(dir, "secrets", "hook"), "https://hooks.example.org/hunter2\n")
	c, err := LoadBytes(filepath.Join(dir, "config.yaml"), []byte(least+`
server: {auth: {bearer_token_file: secrets/bearer, basic: {username: am, password_file: secrets/password}}}
storage: {postgres: {url_file: secrets/postgres}}
slack: {token_env: TRIAGEBOT_TEST_TOKEN}
webhooks: [{name: a, url_file: secrets/hook}, {name: b, url: "https://b.example.org/hooks/hunter2?key=hunter2"}]
`))
	if err != nil {
		t.Fatal(err)
	}
	got := []string{
		string(c.Server.Auth.BearerToken), string(c.Server.Auth.Basic.Password), string(c.Storage.Postgres.URL),
		string(c.Slack.Token), string(c.Webhooks[0].URL),
	}
	want := []string{"hunter2-bearer", "hunter2-password", "postgres://u:hunter2@h:5432/d", "xoxb-hunter2", "https://hooks.example.org/hunter2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	t.Run("and never shown", func(t *testing.T) {
		var printed strings.Builder
		if err := c.Print(&printed); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(printed.String(), "<secret>"); n != 6 {
			t.Errorf("<secret> stands %d times, want 6:\n%s", n, printed.String())
		}
		for _, text := range []string{
			printed.String(),
			fmt.Sprintf("%v %+v %#v %s", c.Slack, c.Slack, c.Slack, c.Slack.Token),
			fmt.Sprintf("%v %+v %#v %s", c.Webhooks, c.Webhooks, c.Webhooks, c.Webhooks[1].URL),
			fmt.Sprintf("%+v %#v", c.Server.Auth, *c.Server.Auth.Basic),
		} {
			if strings.Contains(text, "hunter2") {
				t.Errorf("a secret is shown: %s", text)
			}
		}
	})
}

func TestWhatIsPrintedLoadsAgain(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "token"), "x")
	path := filepath.Join(dir, "config.yaml")
	if _, err := LoadBytes(path, []byte(least+"webhooks: [{name: a, url_file: token}]")); err == nil {
		t.Fatal("a webhook's file without a URL was accepted")
	}
	writeFile(t, filepath.Join(dir, "hook"), "http://127.0.0.1/x")
	c, err := LoadBytes(path, []byte(least+"slack: {token_file: token}\nwebhooks: [{name: a, url_file: hook}]\nserver: {max_body: 512KiB}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var first, second strings.Builder
	if err := c.Print(&first); err != nil {
		t.Fatal(err)
	}
	again, err := LoadBytes(path, []byte(first.String()))
	if err != nil {
		t.Fatalf("%v\n%s", err, first.String())
	}
	if err := again.Print(&second); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.String(), second.String()); diff != "" {
		t.Error(diff)
	}
}

func TestClientsSettingsThatAreNoSecretsAreAccepted(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "secret"), "hunter2")
	c, err := LoadBytes(filepath.Join(dir, "config.yaml"), []byte(`
prometheus:
  url: http://127.0.0.1:9090/prometheus
  http_config:
    proxy_url: http://proxy.example.org:3128
    no_proxy: 127.0.0.1,.example.org
    proxy_connect_header: {Proxy-Authorization: ["Basic aHVudGVyMg=="]}
    http_headers: {X-Scope-OrgID: {values: [team-a, team-b]}, X-Api-Key: {files: [secret]}}
    tls_config: {server_name: prometheus.example.org, insecure_skip_verify: true, min_version: TLS12}
    oauth2:
      client_id: 3f2504e0-4f89-11d3-9a0c-0305e82c3301
      client_secret_file: secret
      grant_type: client_credentials
      scopes: [https://graph.example.org/.default, openid]
      token_url: https://login.example.org/3f2504e0-4f89-11d3-9a0c-0305e82c3301/oauth2/v2.0/token?api-version=1.0
      endpoint_params: {audience: "https://prometheus.example.org", resource: metrics, client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
alertmanagers: [{name: main, url: "http://127.0.0.1:9093", http_config: {basic_auth: {username: triagebot, password_file: secret}}}]
services: {app: {url: "http://127.0.0.1:8080", http_config: {authorization: {type: Bearer, credentials_file: secret}}}}
routes: [{notifier: slack, channel: "#incidents"}]
`))
	if err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	if err := c.Print(&printed); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(printed.String(), "aHVudGVyMg") {
		t.Errorf("a proxy's password is shown:\n%s", printed.String())
	}
}

func TestPathsCountFromTheFilesFolder(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "ca.pem"), "x")
	c, err := LoadBytes(filepath.Join(dir, "config.yaml"), []byte(`
prometheus: {url: "http://127.0.0.1:9090/", http_config: {tls_config: {ca_file: ca.pem}}}
storage: {sqlite: {path: x.db}}
evidence: {dir: /elsewhere}
routes: [{notifier: slack, channel: "#incidents"}]
`))
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.Storage.SQLite.Path, c.Evidence.Dir, c.Prometheus.HTTPConfig.TLSConfig.CAFile, c.Prometheus.URL}
	want := []string{filepath.Join(dir, "x.db"), "/elsewhere", filepath.Join(dir, "ca.pem"), "http://127.0.0.1:9090"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPollingCanBeTurnedOff(t *testing.T) {
	c, err := LoadBytes("config.yaml", []byte(least+`
alertmanagers: [{name: a, url: "http://a", poll_interval: 0s}, {name: b, url: "http://b"}]
`))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := c.Alertmanagers[0].PollInterval, c.Alertmanagers[1].PollInterval; a != 0 || b != model.Duration(time.Minute) {
		t.Errorf("polls every %s and %s, want never and every minute", a, b)
	}
}

// What was given is kept apart from what is taken for it: an external_url that
// is the url says that the Alertmanager can be told from others.
func TestAnExternalURLThatWasNotGivenStaysEmpty(t *testing.T) {
	c, err := LoadBytes("config.yaml", []byte(least+`
alertmanagers: [{name: a, url: "http://a/"}, {name: b, url: "http://b", external_url: "http://b/"}]
`))
	if err != nil {
		t.Fatal(err)
	}
	a, b := &c.Alertmanagers[0], &c.Alertmanagers[1]
	if a.ExternalURL != "" || b.ExternalURL != "http://b" {
		t.Errorf("the external URLs are %q and %q, want none and the one given", a.ExternalURL, b.ExternalURL)
	}
	if !a.Sends("http://a/") || !b.Sends("http://b") || a.Sends("http://b") || b.Sends("") {
		t.Error("an Alertmanager is not known by its URL")
	}
}

func TestTheExternalURLFollowsTheListenAddress(t *testing.T) {
	for listen, want := range map[string]string{
		":80": "http://localhost:80", "0.0.0.0:81": "http://localhost:81", "[::]:82": "http://localhost:82",
		"[::1]:83": "http://[::1]:83", "10.0.0.1:84": "http://10.0.0.1:84",
	} {
		c, err := LoadBytes("config.yaml", fmt.Appendf(nil, "%s\nserver: {listen: %q}", least, listen))
		if err != nil {
			t.Fatal(err)
		}
		if c.Server.ExternalURL != want {
			t.Errorf("%s is reached at %s, want %s", listen, c.Server.ExternalURL, want)
		}
	}
}

func TestTheFirstRouteThatMatchesWins(t *testing.T) {
	c, err := LoadBytes("config.yaml", []byte(`
prometheus: {url: "http://127.0.0.1:9090"}
incidents: {replies: abnormal}
routes:
- {match: ['severity="critical"', 'team=~"a|b"'], notifier: slack, channel: "#critical", replies: all}
- {match: ['{team="a",env!="test"}'], notifier: slack, channel: "#a"}
- {notifier: slack, channel: "#rest"}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		labels  triage.Labels
		channel string
		replies string
	}{
		{triage.Labels{"severity": "critical", "team": "b"}, "#critical", RepliesAll},
		{triage.Labels{"severity": "critical", "team": "bb"}, "#rest", RepliesAbnormal},
		{triage.Labels{"severity": "warning", "team": "a"}, "#a", RepliesAbnormal},
		{triage.Labels{"team": "a", "env": "test"}, "#rest", RepliesAbnormal},
		{nil, "#rest", RepliesAbnormal},
	} {
		if r := c.RouteFor(test.labels); r.Channel != test.channel || r.Replies != test.replies {
			t.Errorf("%v goes to %s with replies %s, want %s with %s", test.labels, r.Channel, r.Replies, test.channel, test.replies)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{"0B": 0, "1B": 1, "512KiB": 512 << 10, "3MiB": 3 << 20, "1 GiB": 1 << 30, "1536B": 1536} {
		got, err := ParseSize(text)
		if err != nil || got != want {
			t.Errorf("%s is %d (%v), want %d", text, got, err, want)
		}
		if again, err := ParseSize(got.String()); err != nil || again != got {
			t.Errorf("%s is written as %s, which is %d (%v)", text, got, again, err)
		}
	}
	for _, text := range []string{"", "3", "3MB", "-1MiB", "1.5MiB", "9999999999GiB", "MiB", "99999999999999999999B"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(least))
	for _, pattern := range []string{"testdata/wrong/*.yaml", "../../config.example.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatal(pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := LoadBytes(filepath.Join("testdata", "wrong", "fuzz.yaml"), data)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error that says nothing")
			}
			return
		}
		// What is accepted can be used and shown.
		if r := c.RouteFor(triage.Labels{"severity": "critical"}); r.Notifier == "" || r.Replies == "" {
			t.Fatalf("incidents have nowhere to go: %+v", r)
		}
		if c.Prometheus.HTTPConfig == nil || (c.Storage.SQLite == nil) == (c.Storage.Postgres == nil) {
			t.Fatalf("not filled in: %+v", c)
		}
		var printed strings.Builder
		if err := c.Print(&printed); err != nil {
			t.Fatal(err)
		}
	})
}
