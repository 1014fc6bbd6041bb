package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/template"

	"triagebot/cmd/config"
	"triagebot/cmd/demo/codexsim"
	"triagebot/playbooks"
	"triagebot/triage"
	"triagebot/triage/playbook"
	"triagebot/triage/promapi"
	"triagebot/triage/step"
	"triagebot/triage/tracelog"
)

// kinds are the real step kinds, asking a Prometheus over HTTP and homes of traces.
func kinds(t *testing.T, prometheusURL string, homes ...tracelog.Home) []playbook.Kind {
	t.Helper()
	client, err := promapi.New(promapi.Options{Name: "demo", URL: prometheusURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return step.Kinds(step.Deps{
		Prometheus:        map[string]step.Datasource{"demo": {Querier: client}},
		DefaultDatasource: "demo",
		Traces:            homes,
		Dashboards:        func(path string) ([]byte, error) { return playbooks.ReadDashboard(path, step.ReadDashboard) },
	})
}

// traces are the app's logs, as the demo's configuration names them.
func traces(t *testing.T, lab *Lab) tracelog.Home {
	t.Helper()
	dir, logs := filepath.Split(lab.LogDir())
	cfg, err := config.LoadBytes(filepath.Join(dir, "triagebot.yaml"), fmt.Appendf(nil, `
prometheus: {url: %s}
routes: [{notifier: slack, channel: "#incidents"}]
%s`, lab.PrometheusURL(), codexsim.TracesConfig(logs)))
	if err != nil {
		t.Fatal(err)
	}
	return tracelog.NewFiles(tracelog.FilesOptions{Name: "logs", Sources: cfg.Traces.Sources()})
}

// shipped are the shipped playbooks, loaded with kinds.
func shipped(t *testing.T, kinds []playbook.Kind) *playbook.Set {
	t.Helper()
	files, err := playbooks.All()
	if err != nil {
		t.Fatal(err)
	}
	set, err := playbook.Load(files, playbook.LoadOptions{Kinds: kinds, Services: []string{"app"}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// verdicts runs the playbook of the notification's alert as the runner would,
// one step after the other, and returns each step's verdict, "skipped" for a
// skipped one, and the conclusion.
func verdicts(ctx context.Context, t *testing.T, lab *Lab, firing template.Data) (map[string]string, triage.Conclusion) {
	t.Helper()
	alert := firing.Alerts[0]
	p := shipped(t, kinds(t, lab.PrometheusURL(), traces(t, lab))).Match(triage.Labels(alert.Labels))
	if p == nil {
		t.Fatalf("no playbook for %v", alert.Labels)
	}
	at := time.Now()
	data := &playbook.Data{
		Labels: triage.Labels(alert.Labels), Annotations: triage.Labels(alert.Annotations),
		Alert:    triage.Alert{Labels: triage.Labels(alert.Labels), StartsAt: alert.StartsAt},
		Services: map[string]string{"app": lab.AppURL()}, Steps: map[string]playbook.StepData{}, At: at,
	}
	var err error
	if data.Inputs, err = p.Inputs(data); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	has := func(id string) bool { return out[id] != "" }
	for len(out) < len(p.Steps) {
		for _, s := range p.Ready(has, has) {
			out[s.ID] = runStep(ctx, t, s, data)
		}
	}
	c := p.Conclude(data)
	t.Log(c.Sentence())
	return out, c
}

func runStep(ctx context.Context, t *testing.T, s *playbook.Step, data *playbook.Data) string {
	t.Helper()
	if s.When != nil {
		if run, err := s.When.Eval(nil, data); err != nil || !run {
			data.Steps[s.ID] = playbook.StepData{Skipped: true}
			t.Logf("%s: skipped: %s (%v)", s.ID, s.SkipReason(data), err)
			return "skipped"
		}
	}
	outcome, err := s.Action.Run(ctx, &playbook.Env{Step: s.ID, Title: s.Title, Data: data, At: data.At, Debugf: func(string, ...any) {}})
	if err != nil {
		t.Errorf("%s: %v", s.ID, err)
		return string(triage.VerdictUnknown)
	}
	verdict, row := triage.VerdictNormal, playbook.OutcomeRow{}
	for i, r := range outcome.Rows {
		v, err := s.Judge(r, data)
		if err != nil {
			t.Logf("%s: %v", s.ID, err)
		}
		if i == 0 || v == triage.VerdictAbnormal && verdict != triage.VerdictAbnormal {
			verdict, row = v, r
		}
	}
	headline := outcome.NoData
	switch {
	case len(outcome.Rows) == 0:
		verdict = outcome.NoDataVerdict
	case outcome.Partial && verdict != triage.VerdictAbnormal:
		verdict, headline = triage.VerdictUnknown, outcome.Headline
	case s.Finding == nil:
		headline = outcome.Headline
	default:
		headline, err = s.Finding.RenderRow(data, row.Vars)
	}
	if err != nil {
		t.Errorf("%s: its finding: %v", s.ID, err)
	}
	data.Steps[s.ID] = playbook.StepData{Verdict: verdict, Headline: headline, Vars: row.Vars}
	t.Logf("%s: %s: %s", s.ID, verdict, headline)
	return string(verdict)
}
