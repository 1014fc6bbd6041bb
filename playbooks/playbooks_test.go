package playbooks_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"triagebot/playbooks"
	"triagebot/triage"
	"triagebot/triage/playbook"
	"triagebot/triage/step"
)

// load loads the shipped playbooks with the real step kinds.
func load(t *testing.T) *playbook.Set {
	t.Helper()
	files, err := playbooks.All()
	if err != nil {
		t.Fatal(err)
	}
	set, err := playbook.Load(files, playbook.LoadOptions{Kinds: step.Kinds(step.Deps{}), Services: []string{"app"}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// alertRules are the alerting rules of the shipped rules file.
func alertRules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	data, err := playbooks.Files.ReadFile(playbooks.AlertRules)
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(data, false, model.LegacyValidation, parser.NewParser(parser.Options{}), promslog.NewNopLogger())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var alerts []rulefmt.Rule
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				alerts = append(alerts, r)
			}
		}
	}
	return alerts
}

func TestEveryAlertHasItsPlaybook(t *testing.T) {
	set := load(t)
	chosen := map[string]string{}
	for _, rule := range alertRules(t) {
		labels := triage.Labels{"alertname": rule.Alert}
		for k, v := range rule.Labels {
			labels[k] = v
		}
		p := set.Match(labels)
		if p == nil {
			t.Errorf("no playbook matches %s", rule.Alert)
			continue
		}
		if other, twice := chosen[p.Name]; twice {
			t.Errorf("%s and %s have one playbook, %s", other, rule.Alert, p.Name)
		}
		chosen[p.Name] = rule.Alert
		if p.Runbook != rule.Annotations["runbook_url"] {
			t.Errorf("%s: the alert's runbook is %s, the playbook's %s", rule.Alert, rule.Annotations["runbook_url"], p.Runbook)
		}
	}
	for _, p := range set.All() {
		if _, used := chosen[p.Name]; !used {
			t.Errorf("%s is for no alert of the rules", p.Name)
		}
	}
}

// TestEveryPlaybookGathersTheMinimumSet: the runbook asks for the same evidence
// of every incident, whatever its signal.
func TestEveryPlaybookGathersTheMinimumSet(t *testing.T) {
	for _, p := range load(t).All() {
		got := map[string]bool{}
		for _, s := range p.Steps {
			switch s.Kind {
			case "capture":
				got["/"+s.ID] = true
			default:
				got[s.Kind] = true
			}
		}
		for _, part := range []string{"panel", "trace", "/readyz", "/metrics"} {
			if !got[part] {
				t.Errorf("%s has no step for the %s of its incident", p.Name, part)
			}
		}
	}
}

// TestEveryAlertSaysHowLongItWaits: a rule without for is one whose author did
// not think of it.
func TestEveryAlertSaysHowLongItWaits(t *testing.T) {
	data, err := playbooks.Files.ReadFile(playbooks.AlertRules)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct{ Rules []map[string]any }
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if rule["alert"] == nil {
				continue
			}
			seen++
			if rule["for"] == nil {
				t.Errorf("%s has no for", rule["alert"])
			}
		}
	}
	if want := len(alertRules(t)); seen != want {
		t.Errorf("%d alerts; want %d", seen, want)
	}
}

func TestAlertsCarryWhatTriageNeeds(t *testing.T) {
	for _, rule := range alertRules(t) {
		if rule.Labels["owner"] != "sre" || rule.Labels["page_service"] != "codex-app" {
			t.Errorf("%s: labels %v", rule.Alert, rule.Labels)
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, rule.Labels["severity"]) {
			t.Errorf("%s: severity %q", rule.Alert, rule.Labels["severity"])
		}
		for name, pattern := range map[string]string{
			"summary": `.`, "description": `.`,
			"runbook_url":   `^https://.*#[a-z-]+$`,
			"dashboard_url": `^https://grafana\.example\.com/d/codex-app/codex-app-observability\?viewPanel=[0-9]+$`,
		} {
			if got := rule.Annotations[name]; !regexp.MustCompile(pattern).MatchString(got) {
				t.Errorf("%s: annotation %s is %q; want %s", rule.Alert, name, got, pattern)
			}
		}
	}
}
