package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	promconfig "github.com/prometheus/common/config"
	"go.yaml.in/yaml/v3"

	"triagebot/triage/strictyaml"
)

func exampleText(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTheExampleLoads(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "playbooks", "one.yaml"), "name: one\n")
	writeFile(t, filepath.Join(dir, "config.yaml"), exampleText(t))
	if _, err := Load(filepath.Join(dir, "config.yaml")); err != nil {
		t.Error(err)
	}
}

// commentedOption is a line of the example that is an option once its # is gone.
var commentedOption = regexp.MustCompile(`(?m)^( *)#([a-z_]+:)`)

func TestTheExampleHasEveryKey(t *testing.T) {
	text := commentedOption.ReplaceAllString(exampleText(t), "$1$2")
	root, problems := strictyaml.Parse("config.example.yaml", []byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var decoded Config
	if problems := strictyaml.Decode("config.example.yaml", "", root, &decoded); len(problems) > 0 {
		t.Fatal("an option that is commented out is wrong: ", problems)
	}
	k := checker{root: root}
	inExample := map[string]bool{}
	index := regexp.MustCompile(`\[\d+\]`)
	for i := 0; i+1 < len(root.Content); i += 2 {
		top := root.Content[i].Value
		inExample[top] = true
		k.walk(top, func(path, _ string, _ *yaml.Node) {
			path = index.ReplaceAllString(path, "")
			// The names within maps are the user's.
			for _, m := range []string{"datasources.longterm", "services.app", "escalation.oncall"} {
				path = strings.Replace(path, m, m[:strings.IndexByte(m, '.')]+".NAME", 1)
			}
			inExample[path] = true
		})
	}
	keys := yamlKeys(reflect.TypeFor[Config](), "")
	if len(keys) < 60 {
		t.Fatalf("only %d keys were found in Config; the test is blind", len(keys))
	}
	for _, key := range keys {
		if strings.HasPrefix(key, "traces.backends.fields.") {
			continue // shown once, at the logs
		}
		if !inExample[key] {
			t.Errorf("%s is missing from config.example.yaml", key)
		}
	}
}

// The values that the example shows of what has a default are the defaults.
func TestTheExampleShowsTheDefaults(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "playbooks", "one.yaml"), "name: one\n")
	path := filepath.Join(dir, "config.yaml")
	example, err := LoadBytes(path, []byte(exampleText(t)))
	if err != nil {
		t.Fatal(err)
	}
	least, err := LoadBytes(path, []byte(`
prometheus: {url: "http://127.0.0.1:9090"}
datasources: {longterm: {url: "http://127.0.0.1:9009/prometheus"}}
services: {app: {url: "http://127.0.0.1:8080"}}
grafana: {url: "http://127.0.0.1:3000"}
alertmanagers: [{name: main, url: "http://127.0.0.1:9093"}]
webhooks: [{name: ticketing, url: "http://127.0.0.1:8081/hooks/triagebot"}]
escalation: {oncall: [{notifier: slack, channel: "#oncall", mention: "<!here>"}, {notifier: ticketing}]}
commands: [{program: /usr/local/bin/drain-check, env: [HOME]}]
access: {look: {users: ["*"]}, respond: {groups: [S0123456]}, maintain: {users: [U0123456], groups: [S0123456]}, override: {users: [U0123456]}}
maintenance:
  service: app
  channel: "#incidents"
  mention: <!here>
  toggle: {url: "http://127.0.0.1:8080/admin/maintenance", body_on: '{"enabled":true}', body_off: '{"enabled":false}'}
  metric: max(codex_maintenance_mode)
  ready_url: http://127.0.0.1:8080/readyz
traces:
  logs:
  - name: access
    files: [/var/log/codex/access.ndjson*]
    links: [retry_of]
    fields: {duration: latency_ms, unit: ms, status: status, error: error, route: route, event: method, detail: detail, direction: direction,
      worker: worker, seq: seq, text: text, tool_call: tool_call, retry_of: retry_of}
  backends: [{name: tempo, type: tempo, url: "http://127.0.0.1:3200"}]
routes: [{notifier: slack, channel: "#incidents"}]
`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(least, example, cmpopts.IgnoreFields(Config{}, "Routes", "Playbooks"), cmpopts.IgnoreUnexported(promconfig.ProxyConfig{})); diff != "" {
		t.Errorf("a file that leaves all out differs from the example: %s", diff)
	}
}

// yamlKeys are the dotted paths of all keys below a struct, without indexes;
// NAME stands for the keys of maps. http_config is Prometheus's own.
func yamlKeys(t reflect.Type, at string) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t == reflect.TypeFor[promconfig.HTTPClientConfig]() {
		return nil
	}
	switch t.Kind() {
	case reflect.Map:
		return yamlKeys(t.Elem(), at+".NAME")
	case reflect.Struct:
		var keys []string
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			if name == "-" || name == "" {
				continue
			}
			full := strictyaml.Join(at, name)
			keys = append(keys, full)
			keys = append(keys, yamlKeys(t.Field(i).Type, full)...)
		}
		slices.Sort(keys)
		return keys
	}
	return nil
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
