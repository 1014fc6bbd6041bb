package playbooks_test

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"triagebot/playbooks"
	"triagebot/triage/step"
	"triagebot/triage/step/dashboard"
)

func board(t *testing.T) *dashboard.Dashboard {
	t.Helper()
	data, err := playbooks.Files.ReadFile(playbooks.Dashboard)
	if err != nil {
		t.Fatal(err)
	}
	d, err := dashboard.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// documented are the metrics of docs/codex-signals.md, the recorded ones among
// them, without what a histogram adds.
func documented(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../docs/codex-signals.md")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range regexp.MustCompile("`((?:codex_|route:codex_)[a-z0-9_:]+)`").FindAllStringSubmatch(string(text), -1) {
		names[m[1]] = true
	}
	return names
}

func TestTheDashboardAsksOnlyWhatIsDocumented(t *testing.T) {
	d := board(t)
	now := time.Now()
	scope := d.NewScope(nil, dashboard.Range{From: now.Add(-time.Hour), To: now, Step: 15 * time.Second})
	known := documented(t)
	if len(known) < 10 {
		t.Fatalf("only %d documented metrics were found; the test is blind", len(known))
	}
	for _, p := range d.Panels {
		if p.Unsupported != "" || len(p.Transforms) > 0 {
			t.Errorf("%s: %s %v", p.Title, p.Unsupported, p.Transforms)
		}
		for _, target := range p.Targets {
			expr, err := scope.PromQL(target.Expr)
			if err != nil {
				t.Errorf("%s %s: %v", p.Title, target.RefID, err)
				continue
			}
			for _, selectors := range parser.ExtractSelectors(parse(t, expr)) {
				for _, m := range selectors {
					if m.Name == "__name__" && !known[strings.TrimSuffix(m.Value, "_bucket")] {
						t.Errorf("%s: %s is not documented", p.Title, m.Value)
					}
				}
			}
			field := p.FieldOf(target.RefID, "")
			if _, unit := field.Measure(); !unit {
				t.Errorf("%s: the unit %s is not known", p.Title, field.Unit)
			}
		}
	}
}

func parse(t *testing.T, expr string) parser.Expr {
	t.Helper()
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// The runbook names these.
func TestTheDashboardHasTheRunbooksPanels(t *testing.T) {
	d := board(t)
	if d.UID != "codex-app" || d.Version < 36 { // what Grafana 10 writes
		t.Errorf("uid %s, schema %d", d.UID, d.Version)
	}
	ids := map[int64]string{}
	for _, p := range d.Panels {
		if other, twice := ids[p.ID]; twice || p.ID == 0 {
			t.Errorf("%s and %s have the id %d", p.Title, other, p.ID)
		}
		ids[p.ID] = p.Title
	}
	for _, title := range []string{"Latency p95/p99", "Error Ratio", "Errors by reason", "Worker Restarts and Backoff", "Tool Buffer", "Latency heatmap", "Maintenance flag", "Workers up"} {
		if _, err := d.Panel(title); err != nil {
			t.Error(err)
		}
	}
}

func TestEveryAlertLeadsToItsPanel(t *testing.T) {
	d := board(t)
	want := map[string]string{
		"CodexLatencySLOBreach": "Latency p95/p99", "CodexErrorRateHigh": "Error Ratio", "CodexWorkerRestarts": "Worker Restarts and Backoff",
		"CodexToolBufferAnomaly": "Tool Buffer", "CodexMaintenanceEnabled": "Maintenance flag",
	}
	for _, rule := range alertRules(t) {
		link, err := url.Parse(rule.Annotations["dashboard_url"])
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(link.Path, "/d/"+d.UID+"/") {
			t.Errorf("%s leads to %s", rule.Alert, link)
		}
		p, err := d.Panel(link.Query().Get("viewPanel"))
		if err != nil || p.Title != want[rule.Alert] {
			t.Errorf("%s: %+v, %v", rule.Alert, p, err)
		}
	}
}

func TestAPlaybookFindsItsDashboardBesideItOrTheShippedOne(t *testing.T) {
	dir := t.TempDir()
	shipped, err := playbooks.ReadDashboard(dir+"/"+playbooks.Dashboard, step.ReadDashboard)
	if err != nil || !strings.Contains(string(shipped), `"uid": "codex-app"`) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(dir+"/"+playbooks.Dashboard, []byte("own"), 0o600); err != nil {
		t.Fatal(err)
	}
	if own, err := playbooks.ReadDashboard(dir+"/"+playbooks.Dashboard, step.ReadDashboard); err != nil || string(own) != "own" {
		t.Errorf("%s, %v", own, err)
	}
	if _, err := playbooks.ReadDashboard(dir+"/nowhere.json", step.ReadDashboard); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
