package runner_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"triagebot/triage"
	"triagebot/triage/evidence"
	"triagebot/triage/playbook"
)

const secretive = `
name: latency
title: Latency
match: ['alertname="Slow"']
timeout: 30s
steps:
  - {id: first, title: First, probe: {}, abnormal: 'value > 5'}
  - {id: never, title: Never, when: 'steps.first.normal', skip_reason: 'not for https://admin:hunter2sup3r@db.internal/', probe: {}}
`

// Whatever part of a finding a secret is in, neither the database nor the
// thread has it; and what is no secret stays, the signature of an evidence
// link above all.
func TestSecretsInNoPartOfAFindingAreKept(t *testing.T) {
	each(t, secretive, func(w *world) {
		redactor := evidence.NewRedactor()
		w.r.Redact = func(text string) string {
			masked, _ := redactor.RedactString(text)
			return masked
		}
		w.r.EvidenceURL = func(int64, string) string { return "http://bot.example/evidence/1?expires=9&sig=c2lnbmVk" }
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) {
			out := value(9, playbook.Artifact{
				Name: "chart.png", Title: "up{instance=\"https://admin:hunter2sup3r@db.internal/\"}", MediaType: "image/png",
				Draw: func(context.Context, triage.Verdict) ([]byte, string, error) {
					return []byte("png"), "of https://admin:hunter2sup3r@db.internal/", nil
				},
			})
			out.Links = []triage.Link{{Title: "https://admin:hunter2sup3r@db.internal/", URL: "http://prometheus.example/graph?g0.expr=up%7Binstance%3D%22https%3A%2F%2Fadmin%3Ahunter2sup3r%40db.internal%2F%22%7D&g0.tab=1"}}
			out.Details = []triage.Row{{Name: "db_password", Value: "hunter2plain", Baseline: "hunter2before"}, {Name: "accepted → first_token", Value: "1.2s"}}
			out.Rows[0].Vars["secret"] = "hunter2top"
			out.Rows[0].Vars["list"] = []map[string]string{{"password": "hunter2deep"}}
			return out, nil
		}
		run := w.open()
		w.execute(run)
		timeline, err := w.db.Timeline(t.Context(), w.inc.ID)
		if err != nil {
			t.Fatal(err)
		}
		parent, others := w.deliveries()
		kept := w.findings(run)
		data, err := yaml.Marshal([]any{kept, timeline, parent, others})
		if err != nil {
			t.Fatal(err)
		}
		if text := string(data); strings.Contains(text, "hunter2") || strings.Contains(text, "sup3r") {
			t.Errorf("a secret is kept:\n%s", text)
		}
		f := kept["first"]
		if want := "http://prometheus.example/graph?g0.expr=up%7Binstance%3D%22https%3A%2F%2Fadmin%3A%3Credacted:url-password%3E%40db.internal%2F%22%7D&g0.tab=1"; len(f.Links) != 1 || f.Links[0].URL != want {
			t.Errorf("links %+v, want one to\n%s", f.Links, want)
		}
		if len(f.Evidence) != 1 || !strings.HasSuffix(f.Evidence[0].URL, "&sig=c2lnbmVk") {
			t.Errorf("evidence %+v, want its link as it was signed", f.Evidence)
		}
		wantRows := []triage.Row{{Name: "db_password", Value: "<redacted:password>", Baseline: "<redacted:password>"}, {Name: "accepted → first_token", Value: "1.2s"}}
		if diff := cmp.Diff(wantRows, f.Rows); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
		if got, want := fmt.Sprint(f.Vars["list"]), "[map[password:<redacted:password>]]"; got != want {
			t.Errorf("list %s, want %s", got, want)
		}
	})
}
