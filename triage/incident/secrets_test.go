package incident_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/evidence"
)

// masking has the correlator mask what the program would.
func (w *world) masking() {
	redactor := evidence.NewRedactor()
	w.c.Parent.Redact = func(text string) string {
		masked, _ := redactor.RedactString(text)
		return masked
	}
}

// shown is all that the channel and the timeline have of an incident, as JSON,
// and its parent message.
func (w *world) shown(id int64) (string, triage.ParentPost) {
	w.t.Helper()
	timeline, err := w.db.Timeline(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	parents, others := w.deliveries(id)
	if len(parents) != 1 {
		w.t.Fatalf("%d parents, want one", len(parents))
	}
	data, err := json.Marshal([]any{timeline, parents, others})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data), *parents[0].Body.Parent
}

// What alerts say is shown and kept for people with its secrets masked.
func TestSecretsOfAlertsReachNeitherChannelNorTimeline(t *testing.T) {
	each(t, func(w *world) {
		w.masking()
		a := alert("Slow", "a", 0, 0)
		a["labels"].(map[string]string)["db"] = "postgres://u:hunter2secret@db/x"
		a["annotations"] = map[string]string{
			"summary":     "Authorization: Bearer hunter2secret.abcdefgh and https://u:hunter2secret@host/",
			"runbook_url": "https://u:hunter2secret@wiki.example/runbook",
		}
		w.notify(1, 0, a)
		inc := w.only()
		shown, parent := w.shown(inc.ID)
		if strings.Contains(shown, "hunter2secret") {
			t.Errorf("a secret is shown: %s", shown)
		}
		if !strings.Contains(shown, "redacted:") || parent.Fields == nil {
			t.Errorf("the masked texts are missing: %s", shown)
		}
		if inc.State != triage.IncidentFiring {
			t.Errorf("it is %s", inc.State)
		}
	})
}

// By itself the value of such a label looks like any other.
func TestAValueIsMaskedByTheNameOfItsLabel(t *testing.T) {
	each(t, func(w *world) {
		w.masking()
		a := alert("Slow", "a", 0, 0)
		labels := a["labels"].(map[string]string)
		labels["db_password"], labels["api_key"] = "hunter2plain", "keyzzz999plain"
		w.notify(1, 0, a)
		shown, parent := w.shown(w.only().ID)
		if strings.Contains(shown, "hunter2plain") || strings.Contains(shown, "keyzzz999plain") {
			t.Errorf("a secret is shown: %s", shown)
		}
		want := []triage.Field{
			{Name: "service", Value: "api"},
			{Name: "api_key", Value: "<redacted:api-key>"},
			{Name: "db_password", Value: "<redacted:password>"},
			{Name: "pod", Value: "a"},
		}
		if diff := cmp.Diff(want, parent.Fields); diff != "" {
			t.Errorf("fields (-want +got):\n%s", diff)
		}
	})
}

// An ordinary blackbox target with its password, in the places where
// Alertmanager and Prometheus write it.
func TestAPasswordInAnEncodedLinkIsMaskedAndTheLinkStaysOne(t *testing.T) {
	each(t, func(w *world) {
		w.masking()
		const target = "https://admin:hunter2sup3r@db.internal/health"
		a := alert("Slow", "a", 0, 0)
		a["labels"].(map[string]string)["instance"] = target
		a["generatorURL"] = "http://prometheus.example/graph?g0.expr=" + url.QueryEscape(`probe_success{instance="`+target+`"} == 0`) + "&g0.tab=1"
		w.receive(1, bytes.ReplaceAll(body(t, 0, a), []byte(`{"service":"api"}`), []byte(`{"instance":"`+target+`"}`)))
		shown, parent := w.shown(w.only().ID)
		if strings.Contains(shown, "hunter2") {
			t.Errorf("the password is shown: %s", shown)
		}
		links := map[string]string{}
		for _, l := range parent.Links {
			u, err := url.Parse(l.URL)
			if err != nil || strings.ContainsAny(l.URL, "<> ") {
				t.Errorf("link %s is none any more: %v", l.URL, err)
				continue
			}
			query := u.Query()
			if _, after, found := strings.Cut(u.Fragment, "?"); found {
				query, _ = url.ParseQuery(after)
			}
			links[l.Title] = query.Get("g0.expr") + query.Get("g0.tab") + query.Get("filter")
		}
		want := map[string]string{
			"Prometheus": `probe_success{instance="https://admin:<redacted:url-password>@db.internal/health"} == 01`,
			"Silence":    `{alertname="Slow",instance="https://admin:<redacted:url-password>@db.internal/health"}`,
		}
		if diff := cmp.Diff(want, links); diff != "" {
			t.Errorf("what the links ask for (-want +got):\n%s", diff)
		}
	})
}
