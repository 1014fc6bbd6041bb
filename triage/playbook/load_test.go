package playbook

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/strictyaml"
)

var update = flag.Bool("update", false, "rewrite the expected messages in testdata/invalid")

// wantMark begins the comments at the end of a fixture that hold the messages
// expected of it.
const wantMark = "# error: "

// Each file of testdata/invalid shows one message, as a person sees it.
func TestEachMistakeIsExplained(t *testing.T) {
	paths, err := filepath.Glob("testdata/invalid/*.yaml")
	if err != nil || len(paths) < 50 {
		t.Fatalf("found %d fixtures, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			source, want := splitFixture(string(data))
			_, err = Load([]File{{Name: filepath.Base(path), Data: []byte(source)}}, fakeOptions())
			var problems strictyaml.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("Load gave %v; want problems", err)
			}
			var got strings.Builder
			for _, p := range problems {
				fmt.Fprintf(&got, "%s%s\n", wantMark, p.Error())
			}
			if *update {
				if err := os.WriteFile(path, []byte(source+got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got.String()); diff != "" {
				t.Errorf("messages differ (-want +got):\n%s", diff)
			}
		})
	}
}

func splitFixture(text string) (source, want string) {
	if strings.HasPrefix(text, wantMark) {
		return "", text
	}
	i := strings.Index(text, "\n"+wantMark)
	if i < 0 {
		return text, ""
	}
	return text[:i+1], text[i+1:]
}

func loadValid(t testing.TB, yaml string) *Playbook {
	t.Helper()
	set, err := Load([]File{{Name: "test.yaml", Data: []byte(yaml)}}, fakeOptions())
	if err != nil {
		t.Fatal(err)
	}
	return set.All()[0]
}

func TestTheDesignsPlaybookLoads(t *testing.T) {
	files, err := ReadFiles([]string{"testdata/valid"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	set, err := Load(files, fakeOptions())
	if err != nil {
		t.Fatal(err)
	}
	p := set.ByName("latency-slo-breach")
	if p == nil || p.Title != "Latency SLO breach" || p.Owner != "sre" || len(p.Hash) != 12 {
		t.Fatalf("loaded %+v", p)
	}
	d := dataWith("api")
	if d.Inputs, err = p.Inputs(d); err != nil {
		t.Fatal(err)
	}
	if got := d.Inputs["route"]; got != "/v1/chat/completions" {
		t.Errorf("input route = %q; want its default", got)
	}
	headline, err := p.Step("p95").Finding.RenderRow(d, map[string]any{"value": 1834.0, "baseline": 212.4})
	if want := "p95 on /v1/chat/completions is 1.834s (212.4ms a day ago)"; err != nil || headline != want {
		t.Errorf("headline = %q, %v; want %q", headline, err, want)
	}
	headline, err = p.Step("p95").Finding.RenderRow(d, map[string]any{"value": 1834.0})
	if want := "p95 on /v1/chat/completions is 1.834s (no data a day ago)"; err != nil || headline != want {
		t.Errorf("headline without a baseline = %q, %v; want %q", headline, err, want)
	}
}

func TestAStepWaitsForWhatItRefersTo(t *testing.T) {
	p := loadValid(t, `
name: order
match: ['a="b"']
steps:
  - id: last
    query: {expr: 'up > {{ .Steps.by_template.Vars.value }}'}
    finding: 'after {{ .Steps.by_finding.Headline }}'
    abnormal: 'value > steps.by_condition.value'
  - id: by-template
    query: {expr: up}
  - id: by-finding
    when: 'steps.by_condition.abnormal || steps.by_template.skipped'
    query: {expr: up}
  - id: by-condition
    query: {expr: up}
`)
	if diff := cmp.Diff([]string{"by-template", "by-finding", "by-condition"}, p.Step("last").DependsOn); diff != "" {
		t.Errorf("last depends on (-want +got):\n%s", diff)
	}
	finished := map[string]bool{}
	var order [][]string
	for {
		var ids []string
		is := func(id string) bool { return finished[id] }
		for _, s := range p.Ready(is, is) {
			ids = append(ids, s.ID)
		}
		if ids == nil {
			break
		}
		order = append(order, ids)
		for _, id := range ids {
			finished[id] = true
		}
	}
	if diff := cmp.Diff([][]string{{"by-template", "by-condition"}, {"by-finding"}, {"last"}}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestTheFirstMatchingPlaybookWins(t *testing.T) {
	file := func(name, match string) File {
		return File{Name: name + ".yaml", Data: []byte("name: " + name + "\nmatch: " + match + "\nsteps: [{id: up, query: {expr: up}}]\n")}
	}
	set, err := Load([]File{
		file("narrow", `['alertname="Slow"', 'team=~"a|b"']`),
		file("wide", `['alertname="Slow", severity!="info"']`),
		file("absent", `['alertname="Odd"', 'team=""']`),
	}, fakeOptions())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		labels triage.Labels
		want   string
	}{
		{triage.Labels{"alertname": "Slow", "team": "a"}, "narrow"},
		{triage.Labels{"alertname": "Slow", "team": "ab"}, "wide"},
		{triage.Labels{"alertname": "Slow", "severity": "info"}, ""},
		{triage.Labels{"alertname": "Odd"}, "absent"},
		{triage.Labels{"alertname": "Odd", "team": "a"}, ""},
		{nil, ""},
	} {
		got := ""
		if p := set.Match(tt.labels); p != nil {
			got = p.Name
		}
		if got != tt.want {
			t.Errorf("Match(%v) = %q; want %q", tt.labels, got, tt.want)
		}
	}
}

func TestANameIsTakenOnceOverAllFiles(t *testing.T) {
	data := []byte("name: twin\nmatch: ['a=\"b\"']\nsteps: [{id: up, query: {expr: up}}]\n")
	_, err := Load([]File{{"a.yaml", data}, {"b.yaml", data}}, fakeOptions())
	if want := `b.yaml:1: name: "twin" is the name of a.yaml; choose another`; err == nil || err.Error() != want {
		t.Errorf("Load gave %v; want %s", err, want)
	}
}

func TestOversizedFilesAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huge.yaml")
	if err := os.WriteFile(path, bytes.Repeat([]byte("#\n"), maxFileSize), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := ReadFiles([]string{path}, nil)
	if err != nil || len(files[0].Data) != maxFileSize+1 {
		t.Fatalf("ReadFiles read %d bytes, %v", len(files[0].Data), err)
	}
	if _, err := Load(files, fakeOptions()); err == nil || !strings.Contains(err.Error(), "a playbook has at most") {
		t.Errorf("Load gave %v", err)
	}
}

func TestReadFilesNamesWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.yml", "a.yaml", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := ReadFiles([]string{filepath.Join(dir, "b*"), dir}, nil)
	if err != nil || len(files) != 2 || filepath.Base(files[0].Name) != "b.yml" || filepath.Base(files[1].Name) != "a.yaml" {
		t.Errorf("ReadFiles = %v, %v; want b.yml, then a.yaml", files, err)
	}
	_, err = ReadFiles([]string{filepath.Join(dir, "none*.yaml"), t.TempDir()}, nil)
	if err == nil || !strings.Contains(err.Error(), "there is no such file") || !strings.Contains(err.Error(), "the folder has no *.yaml") {
		t.Errorf("ReadFiles gave %v", err)
	}
}

func TestAlertRulesBesidePlaybooksArePassedOver(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.yaml":         "name: a\nsteps: []\n",
		"alerts.yaml":    "groups:\n  - name: codex\n    rules: []\n",
		"broken.yaml":    "groups: [\n",
		"confused.yaml":  "name: confused\ngroups: []\n", // a playbook with a mistake that Load must name
		"empty.yaml":     "",
		"not-groups.yml": "group: []\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"a.yaml", "broken.yaml", "confused.yaml", "empty.yaml", "not-groups.yml"}
	for _, pattern := range []string{dir, filepath.Join(dir, "*.y*ml")} {
		var notes strings.Builder
		files, err := ReadFiles([]string{pattern}, func(format string, args ...any) { fmt.Fprintf(&notes, format, args...) })
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range files {
			got = append(got, filepath.Base(f.Name))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", pattern, diff)
		}
		if want := "playbooks: " + filepath.Join(dir, "alerts.yaml") + " has Prometheus rules and is passed over"; notes.String() != want {
			t.Errorf("%s: noted %q", pattern, notes.String())
		}
	}

	named := filepath.Join(dir, "alerts.yaml")
	files, err := ReadFiles([]string{named}, nil)
	if err != nil || len(files) != 1 {
		t.Fatalf("ReadFiles = %v, %v; what is named outright is read", files, err)
	}
	if _, err := Load(files, fakeOptions()); err == nil || !strings.Contains(err.Error(), "alerts.yaml:2: groups: these are Prometheus rules, not a playbook") {
		t.Errorf("Load gave %v", err)
	}
}

func TestTheFallbackShowsTheAlertsOwnExpression(t *testing.T) {
	p, err := Fallback(fakeOptions().Kinds)
	if err != nil {
		t.Fatal(err)
	}
	d := dataWith("api")
	d.Alert = triage.Alert{Labels: d.Labels}
	s := p.Steps[0]
	if run, err := s.When.Eval(nil, d); run || err != nil {
		t.Errorf("without an expression the step runs: %v, %v", run, err)
	}
	if got := s.SkipReason(d); got != "the alert's generatorURL holds no expression to evaluate" {
		t.Errorf("skipped because %q", got)
	}
	d.AlertExpr, _ = ExprFromGeneratorURL("http://prometheus:9090/graph?g0.expr=sum%28rate%28errors%7Bjob%3D%22api%22%7D%5B5m%5D%29%29+%3E+5&g0.tab=1")
	if run, err := s.When.Eval(nil, d); !run || err != nil {
		t.Errorf("with an expression the step does not run: %v, %v", run, err)
	}
	if got, err := s.Action.(*fakeAction).template.Render(d); err != nil || got != `sum(rate(errors{job="api"}[5m])) > 5` {
		t.Errorf("the query is %q, %v", got, err)
	}
	headline, err := s.Finding.RenderRow(d, map[string]any{"value": 1234.5, "baseline": 3.0})
	if want := "No playbook matches HighLatency. Its expression is 1.234k now (3 an hour ago)"; err != nil || headline != want {
		t.Errorf("headline = %q, %v; want %q", headline, err, want)
	}
}

func TestExprFromGeneratorURL(t *testing.T) {
	for _, tt := range []struct {
		url, want string
	}{
		{"http://p/graph?g0.expr=up+%3D%3D+0&g0.tab=1", "up == 0"},
		{"http://p/graph?g0.expr=a%3B%22%7B", `a;"{`},
		{"https://grafana/alerting/grafana/x/view", ""},
		{"http://p/graph?g0.expr=", ""},
		{"", ""},
		{"::not a url", ""},
	} {
		if got, ok := ExprFromGeneratorURL(tt.url); got != tt.want || ok != (tt.want != "") {
			t.Errorf("ExprFromGeneratorURL(%q) = %q, %v; want %q", tt.url, got, ok, tt.want)
		}
	}
}

func BenchmarkLoad500Playbooks(b *testing.B) {
	data, err := os.ReadFile("testdata/valid/latency-slo-breach.yaml")
	if err != nil {
		b.Fatal(err)
	}
	files := make([]File, 500)
	for i := range files {
		name := fmt.Sprintf("playbook-%d", i)
		files[i] = File{Name: name, Data: bytes.Replace(data, []byte("latency-slo-breach"), []byte(name), 1)}
	}
	for b.Loop() {
		if _, err := Load(files, fakeOptions()); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/invalid/*.yaml", "testdata/valid/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := Load([]File{{Name: "fuzz.yaml", Data: data}}, fakeOptions())
		if err != nil {
			var problems strictyaml.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("%T is no list of problems: %v", err, err)
			}
			return
		}
		// What loads can be used: nothing panics, whatever it yields.
		p := set.All()[0]
		set.Match(triage.Labels{"alertname": "x"})
		d := dataWith(`"} or vector(1)`)
		d.Inputs, _ = p.Inputs(d)
		for _, s := range p.Steps {
			if s.When != nil {
				_, _ = s.When.Eval(nil, d)
			}
			_, _ = s.Judge(OutcomeRow{Vars: map[string]any{"value": 1.0, "status": int64(200)}}, d)
			if s.Finding != nil {
				_, _ = s.Finding.RenderRow(d, map[string]any{"value": 1.0})
			}
			_, _ = s.Action.(*fakeAction).template.Render(d)
		}
	})
}
