package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"triagebot/cmd/config"
	"triagebot/playbooks"
	"triagebot/triage"
	"triagebot/triage/playbook"
	"triagebot/triage/promapi/promtest"
	"triagebot/triage/step"
)

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// blocks are a page's YAML blocks that begin so.
func blocks(text, beginning string) (found []string) {
	for _, m := range yamlBlock.FindAllStringSubmatch(text, -1) {
		if strings.HasPrefix(m[1], beginning) {
			found = append(found, m[1])
		}
	}
	return found
}

// deps are what examples are checked against: shipped dashboards, no services.
func deps() step.Deps {
	return step.Deps{
		Dashboards: func(path string) ([]byte, error) { return playbooks.ReadDashboard(path, step.ReadDashboard) },
		Commands:   map[string]step.AllowedCommand{"/usr/local/bin/drain-check": {Timeout: time.Minute, MaxOutput: 1 << 20}},
	}
}

func load(t *testing.T, text string, d step.Deps) *playbook.Playbook {
	t.Helper()
	set, err := playbook.Load([]playbook.File{{Name: "playbooks/high-latency.yaml", Data: []byte(text)}}, playbook.LoadOptions{Kinds: step.Kinds(d)})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return set.All()[0]
}

// stepExamples are the steps that a kind's page shows.
func stepExamples(t *testing.T, kind string) []string {
	return blocks(read(t, "docs/steps/"+kind+".md"), "- id:")
}

// loadSteps loads an example's steps, with those beside them that examples refer to.
func loadSteps(t *testing.T, example string) *playbook.Playbook {
	t.Helper()
	text := "name: example\nmatch: ['alertname=\"Example\"']\ninputs: {route: /}\nsteps:\n" + example
	for _, id := range []string{"backoff", "restarts"} {
		if !strings.Contains(example, "- id: "+id+"\n") {
			text += fmt.Sprintf("- {id: %s, query: {expr: up}}\n", id)
		}
	}
	return load(t, text, deps())
}

func TestTheExamplesOfThePagesLoad(t *testing.T) {
	for name, text := range pages(t) {
		for _, example := range blocks(text, "- id:") {
			t.Run(name, func(t *testing.T) { loadSteps(t, example) })
		}
		for _, example := range blocks(text, "name:") {
			t.Run(name, func(t *testing.T) { load(t, example, deps()) })
		}
	}
}

// The page's configuration is whole beside the worked example.
func TestTheConfigurationOnThePageIsFine(t *testing.T) {
	found := blocks(read(t, page), "prometheus:")
	if len(found) != 1 {
		t.Fatalf("%s has %d configurations", page, len(found))
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "playbooks"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "playbooks", "high-latency.yaml"), []byte(worked(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.LoadBytes(filepath.Join(dir, "triagebot.yaml"), []byte(found[0]))
	if err != nil {
		t.Fatal(err)
	}
	if _, named := cfg.Services["shop"]; !named {
		t.Error("it lacks the service that the example captures")
	}
}

var conditionLine = regexp.MustCompile(`^(\S.*?)(  +.*)?$`)

// The conditions that the page shows, each in a step of the kind that has its
// variables.
func TestTheConditionsOnThePageLoad(t *testing.T) {
	_, list, found := strings.Cut(read(t, page), "```text\n")
	list, _, ends := strings.Cut(list, "```\n")
	if !found || !ends {
		t.Fatal("the page has no list of conditions")
	}
	for line := range strings.Lines(list) {
		condition := conditionLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))[1]
		t.Run(condition, func(t *testing.T) {
			kind := "query: {expr: up, baseline: {offset: 1d}}"
			if strings.HasPrefix(condition, "status") {
				kind = "capture: {url: 'http://localhost/'}"
			}
			load(t, fmt.Sprintf(`
name: conditions
match: [alertname="HighLatency"]
steps:
  - {id: p95, query: {expr: up}}
  - {id: ready, capture: {url: 'http://localhost/'}}
  - id: shown
    abnormal: '%s'
    %s
`, condition, kind), deps())
		})
	}
}

// worked is the page's worked example.
func worked(t *testing.T) string {
	t.Helper()
	found := blocks(read(t, page), "name: high-latency")
	if len(found) != 1 {
		t.Fatalf("%s has %d worked examples", page, len(found))
	}
	return found[0]
}

func TestTheMistakeOnThePageIsSaidAsThePageHasIt(t *testing.T) {
	text := strings.Replace(worked(t), "when: 'steps.db_wait.abnormal", "when: 'steps.db_wiat.abnormal", 1)
	_, err := playbook.Load([]playbook.File{{Name: "playbooks/high-latency.yaml", Data: []byte(text)}}, playbook.LoadOptions{Kinds: step.Kinds(deps())})
	if err == nil || !strings.Contains(read(t, page), "    "+err.Error()+"\n") {
		t.Errorf("the page does not say\n    %v", err)
	}
}

// Two days of a shop: p95 is about 240 ms, and 950 ms from minute 2860 on.
const shop = `load 1m
  http_request_duration_seconds_bucket{service="shop",le="0.1"} 0+45x2860 128700+10x20
  http_request_duration_seconds_bucket{service="shop",le="0.25"} 0+58x2860 165880+20x20
  http_request_duration_seconds_bucket{service="shop",le="0.5"} 0+60x2860 171600+30x20
  http_request_duration_seconds_bucket{service="shop",le="1"} 0+60x2860 171600+60x20
  http_request_duration_seconds_bucket{service="shop",le="+Inf"} 0+60x2860 171600+60x20
`

const pool = `  db_pool_wait_seconds{service="shop",instance="shop-1"} 0.004x2880
  db_pool_wait_seconds{service="shop",instance="shop-2"} 0.004x2860 0.38x20
`

// The thread of the worked example, as the page quotes it, is what the playbook
// says on Prometheus's engine and a real answer.
func TestTheWorkedExampleSaysWhatThePageSays(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, "no connection within 300ms")
	}))
	defer server.Close()
	text := read(t, page)
	for _, tt := range []struct{ name, series string }{
		{"a slow database", shop + pool},
		{"a database that nobody scrapes", shop},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := deps()
			d.Prometheus, d.DefaultDatasource = map[string]step.Datasource{"prometheus": {Querier: promtest.New(t, tt.series)}}, "prometheus"
			d.HTTP = server.Client()
			thread := run(t, load(t, worked(t), d), server.URL)
			if !strings.Contains(text, thread) {
				t.Errorf("the page does not quote\n%s", thread)
			}
		})
	}
}

// run works a playbook as the runner does, one step after the other, and tells its
// thread as the page quotes it.
func run(t *testing.T, p *playbook.Playbook, service string) string {
	t.Helper()
	at := time.Unix(0, 0).UTC().Add(2875 * time.Minute)
	labels := triage.Labels{"alertname": "HighLatency", "service": "shop"}
	data := &playbook.Data{
		Labels: labels, Alert: triage.Alert{Labels: labels, StartsAt: at.Add(-3 * time.Minute)}, At: at,
		Services: map[string]string{"shop": service}, Steps: map[string]playbook.StepData{},
	}
	var err error
	if data.Inputs, err = p.Inputs(data); err != nil {
		t.Fatal(err)
	}
	var thread []string
	has := func(id string) bool { _, done := data.Steps[id]; return done }
	for ready := p.Ready(has, has); len(ready) > 0; ready = p.Ready(has, has) {
		s := ready[0]
		found := work(t, s, data)
		data.Steps[s.ID] = found
		if found.Skipped {
			thread = append(thread, fmt.Sprintf("skipped: %s (%s)", s.Title, s.SkipReason(data)))
		} else {
			thread = append(thread, fmt.Sprintf("%s: %s", found.Verdict, found.Headline))
		}
	}
	conclusion := p.Conclude(data)
	thread = append(thread, conclusion.Sentence())
	return "> " + strings.Join(thread, "\n>\n> ") + "\n"
}

// work runs one step and judges it.
func work(t *testing.T, s *playbook.Step, data *playbook.Data) playbook.StepData {
	t.Helper()
	if s.When != nil {
		if applies, err := s.When.Eval(nil, data); err != nil || !applies {
			return playbook.StepData{Skipped: err == nil, Verdict: triage.VerdictUnknown}
		}
	}
	out, err := s.Action.Run(t.Context(), &playbook.Env{Step: s.ID, Title: s.Title, Data: data, At: data.At, Debugf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Rows) == 0 {
		return playbook.StepData{Verdict: triage.VerdictUnknown, Headline: "No data: " + out.NoData + "."}
	}
	found := playbook.StepData{Verdict: triage.VerdictNormal, Vars: out.Rows[0].Vars}
	for _, row := range slices.Backward(out.Rows) { // the worst comes first
		verdict, err := s.Judge(row, data)
		if err != nil {
			t.Fatal(err)
		}
		if verdict == triage.VerdictAbnormal {
			found.Verdict, found.Vars = verdict, row.Vars
		}
	}
	if found.Headline, err = s.Finding.RenderRow(data, found.Vars); err != nil {
		t.Fatal(err)
	}
	return found
}
