package incident_test

import (
	"encoding/json"
	"strings"
	"testing"

	"triagebot/triage"
	"triagebot/triage/evidence"
)

// What alerts say is shown and kept for people with its secrets masked.
func TestSecretsOfAlertsReachNeitherChannelNorTimeline(t *testing.T) {
	each(t, func(w *world) {
		redactor := evidence.NewRedactor()
		w.c.Parent.Redact = func(text string) string {
			masked, _ := redactor.RedactString(text)
			return masked
		}
		a := alert("Slow", "a", 0, 0)
		a["labels"].(map[string]string)["db"] = "postgres://u:hunter2secret@db/x"
		a["annotations"] = map[string]string{
			"summary":     "Authorization: Bearer hunter2secret.abcdefgh and https://u:hunter2secret@host/",
			"runbook_url": "https://u:hunter2secret@wiki.example/runbook",
		}
		w.notify(1, 0, a)
		inc := w.only()
		timeline, err := w.db.Timeline(t.Context(), inc.ID)
		if err != nil {
			t.Fatal(err)
		}
		deliveries, err := w.db.DeliveriesOf(t.Context(), inc.ID)
		if err != nil {
			t.Fatal(err)
		}
		shown, err := json.Marshal([]any{timeline, deliveries})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(shown), "hunter2secret") {
			t.Errorf("a secret is shown: %s", shown)
		}
		if !strings.Contains(string(shown), "redacted:") || len(deliveries) == 0 || deliveries[0].Body.Parent.Fields == nil {
			t.Errorf("the masked texts are missing: %s", shown)
		}
		if inc.State != triage.IncidentFiring {
			t.Errorf("it is %s", inc.State)
		}
	})
}
