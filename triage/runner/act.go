// What a finding does besides being told: an escalation or an announcement. It
// is owed in the finding's own transaction, so that neither a crash nor a second
// worker of the run has it done twice.

package runner

import (
	"context"
	"fmt"

	"triagebot/triage"
	"triagebot/triage/incident"
	"triagebot/triage/playbook"
	"triagebot/triage/store"
)

// kindAnnounce is the step kind whose finding is said by what it announces.
const kindAnnounce = "announce"

func announces(f triage.Finding) bool {
	return f.Kind == kindAnnounce && f.Verdict == triage.VerdictNormal
}

// perform owes what a committed finding does; nil does nothing. In a run that no
// alert started an escalation does nothing, whatever the step says, and an
// announcement stays in the thread.
func (x *execution) perform(ctx context.Context, tx *store.Tx, inc triage.Incident, f triage.Finding, act *playbook.Act) error {
	if act == nil || act.Kind == playbook.ActEscalated && !x.run.Trigger.Pages() {
		return nil
	}
	entry := triage.TimelineEntry{IncidentID: inc.ID, At: x.Now(), Kind: string(act.Kind), Actor: "triagebot", Text: f.StepID + ": " + f.Headline}
	if err := tx.AppendTimeline(ctx, entry); err != nil {
		return err
	}
	what := fmt.Sprintf("run/%d/step/%s/%s", x.run.ID, f.StepID, act.Kind)
	text := x.Redact(act.Text)
	if act.Kind == playbook.ActAnnounced {
		note := triage.Post{Note: &triage.NotePost{IncidentID: inc.ID, Text: text, Broadcast: x.run.Trigger.Pages()}}
		return incident.OweReplies(ctx, tx, inc.ID, what, note, triage.PriorityState)
	}
	for i, contact := range act.Contacts {
		post := triage.EscalationPost{
			IncidentID: inc.ID, Alertname: x.Redact(inc.Alertname), Severity: x.Redact(inc.Severity),
			To: act.To, Reason: text, Mention: contact.Mention,
		}
		if x.pb.Runbook != "" {
			post.Links = []triage.Link{{Title: "Runbook", URL: x.pb.Runbook}}
		}
		key := fmt.Sprintf("incident/%d/%s/%d", inc.ID, what, i)
		if err := tx.OweNotice(ctx, inc.ID, contact.Destination, key, triage.Post{Escalation: &post}, triage.PriorityEscalation); err != nil {
			return err
		}
	}
	return nil
}
