// What people do to an incident: take it, have it looked at again, escalate it,
// and have a playbook run without any alert. Each is called in the transaction
// of the request that asks for it, under LockIncident.

package incident

import (
	"context"
	"fmt"
	"time"

	"triagebot/triage"
	"triagebot/triage/store"
)

// Acknowledge notes that a person has the incident, and tells its thread.
func (c *Correlator) Acknowledge(ctx context.Context, tx *store.Tx, inc triage.Incident, who triage.Actor, at time.Time) error {
	inc.AckedBy, inc.AckedByKey, inc.AckedAt, inc.UpdatedAt = who.Label(), who.Key(), at, at
	return c.did(ctx, tx, inc, deed{kind: "acked", who: who, at: at, text: "Acknowledged by " + who.Label() + ".", key: fmt.Sprintf("acked/%d", at.UnixMicro())})
}

// Rerun runs the incident's playbook again, about the alert that it last ran
// for, and tells its thread.
func (c *Correlator) Rerun(ctx context.Context, tx *store.Tx, inc triage.Incident, who triage.Actor, about, at time.Time) error {
	runs, err := tx.RunsOf(ctx, inc.ID)
	if err != nil {
		return err
	}
	lead := triage.Alert{Status: triage.AlertFiring, Labels: inc.Labels, Annotations: inc.Annotations, StartsAt: inc.StartedAt, GeneratorURL: inc.GeneratorURL}
	if n := len(runs); n > 0 {
		lead = runs[n-1].Alert
	}
	run := triage.Run{IncidentID: inc.ID, Playbook: inc.Playbook, Trigger: triage.TriggerCommand, At: about, CreatedAt: at, Alert: lead}
	if err := tx.StartRun(ctx, &run); err != nil {
		return err
	}
	text := fmt.Sprintf("Playbook %s runs again, asked for by %s", inc.Playbook, who.Label())
	if !about.Equal(at) {
		text += ", as of " + about.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	inc.UpdatedAt = at
	return c.did(ctx, tx, inc, deed{kind: "rerun", who: who, at: at, text: text + ".", key: fmt.Sprintf("rerun/%d", run.ID)})
}

// Escalation is whom an incident is escalated to, by a name of the
// configuration, and why.
type Escalation struct {
	To       string
	Contacts []triage.Contact
	Reason   string
	Links    []triage.Link
}

// Escalate tells the contacts, and the thread that they were told.
func (c *Correlator) Escalate(ctx context.Context, tx *store.Tx, inc triage.Incident, who triage.Actor, e Escalation, at time.Time) error {
	what := fmt.Sprintf("escalated/%d", at.UnixMicro())
	reason := c.Parent.Redact.Text(e.Reason)
	post := triage.EscalationPost{
		IncidentID: inc.ID, Alertname: c.Parent.Redact.Text(inc.Alertname), Severity: c.Parent.Redact.Text(inc.Severity),
		To: e.To, Reason: reason, Links: e.Links,
	}
	for i, contact := range e.Contacts {
		post := post
		post.Mention = contact.Mention
		key := fmt.Sprintf("incident/%d/%s/%d", inc.ID, what, i)
		if err := tx.OweNotice(ctx, inc.ID, contact.Destination, key, triage.Post{Escalation: &post}, triage.PriorityEscalation); err != nil {
			return err
		}
	}
	inc.UpdatedAt = at
	text := fmt.Sprintf("Escalated to %s by %s: %s", e.To, who.Label(), reason)
	return c.did(ctx, tx, inc, deed{kind: "escalated", who: who, at: at, text: text, key: what})
}

// Silenced notes what became of a silence, tells the thread, and has the parent
// say until when the incident is silenced; zero for not at all. Of one that is
// closed, whose evidence is sealed and whose thread is over, the channel is told.
func (c *Correlator) Silenced(ctx context.Context, tx *store.Tx, inc triage.Incident, until time.Time, key, text string, links []triage.Link, at time.Time) error {
	if inc.State == triage.IncidentClosed {
		text = fmt.Sprintf("Of incident %d, %s, which is closed: %s", inc.ID, inc.Alertname, text)
		return c.oweNotices(ctx, tx, inc.ID, key, triage.NotePost{IncidentID: inc.ID, Text: c.Parent.Redact.Text(text), Links: links})
	}
	inc.SilencedUntil, inc.UpdatedAt = until, at
	return c.did(ctx, tx, inc, deed{kind: "silence", at: at, text: text, links: links, key: key})
}

// oweNotices tells every channel that shows an incident something, outside of its
// thread.
func (c *Correlator) oweNotices(ctx context.Context, tx *store.Tx, incidentID int64, what string, note triage.NotePost) error {
	destinations, err := tx.Destinations(ctx, incidentID)
	if err != nil {
		return err
	}
	for _, dest := range destinations {
		key := fmt.Sprintf("incident/%d/%s", incidentID, what)
		if err := tx.OweNotice(ctx, incidentID, dest, key, triage.Post{Note: &note}, triage.PriorityState); err != nil {
			return err
		}
	}
	return nil
}

// ByHand opens an incident that no alert opened, for a person who wants a
// playbook run on something. It is over from the beginning, so that it closes by
// itself, and it is never that of an alert of the same name.
func (c *Correlator) ByHand(ctx context.Context, tx *store.Tx, labels triage.Labels, who triage.Actor, request string, about, at time.Time) (triage.Incident, error) {
	alert := triage.Alert{Status: triage.AlertResolved, Labels: labels, StartsAt: about, EndsAt: at}
	inc := triage.Incident{
		Key: triage.IncidentKey("by hand: "+request, nil), Alertname: alert.Name(), GroupLabels: labels, Labels: labels,
		State: triage.IncidentResolved, Severity: labels["severity"], StartedAt: about, OpenedAt: at, UpdatedAt: at, ResolvedAt: at,
		RequestedBy: who.Label(),
	}
	inc.Playbook, _ = c.Playbook(labels)
	if err := tx.OpenIncident(ctx, &inc); err != nil {
		return inc, err
	}
	text := fmt.Sprintf("playbook %s runs by hand for %s, asked for by %s", inc.Playbook, alert.Labels, who.Label())
	if err := c.log(ctx, tx, inc.ID, at, "opened", who.String(), text); err != nil {
		return inc, err
	}
	run := triage.Run{IncidentID: inc.ID, Playbook: inc.Playbook, Trigger: triage.TriggerCommand, At: about, CreatedAt: at, Alert: alert}
	if err := tx.StartRun(ctx, &run); err != nil {
		return inc, err
	}
	post := c.Parent.Post(inc, nil, nil, nil)
	for _, dest := range c.Destinations(labels) {
		if err := tx.OweParent(ctx, inc.ID, dest, post, triage.PriorityAnswer, at); err != nil {
			return inc, err
		}
	}
	return inc, nil
}

// deed is what was done, for the timeline and the thread.
type deed struct {
	kind  string
	who   triage.Actor // the zero Actor is triagebot itself
	at    time.Time
	text  string
	links []triage.Link
	key   string // unique within the incident
}

// did saves the incident, and tells timeline, thread and parent of a deed.
func (c *Correlator) did(ctx context.Context, tx *store.Tx, inc triage.Incident, d deed) error {
	actor := "triagebot"
	if d.who != (triage.Actor{}) {
		actor = d.who.String()
	}
	if err := c.log(ctx, tx, inc.ID, d.at, d.kind, actor, d.text); err != nil {
		return err
	}
	note := triage.Post{Note: &triage.NotePost{IncidentID: inc.ID, Text: c.Parent.Redact.Text(d.text), Links: d.links}}
	if err := OweReplies(ctx, tx, inc.ID, d.key, note, triage.PriorityAnswer); err != nil {
		return err
	}
	return c.update(ctx, tx, inc, true)
}
