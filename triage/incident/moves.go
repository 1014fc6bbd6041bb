// What a transition does: the incident's row, its timeline, the messages and
// the run that follow, all in the caller's transaction.

package incident

import (
	"context"
	"fmt"
	"time"

	"triagebot/triage"
	"triagebot/triage/store"
)

// open makes a new incident.
func (c *Correlator) open(ctx context.Context, tx *store.Tx, inc *triage.Incident, note triage.Notification, key string, changes []change, alerts []triage.Alert) error {
	lead := leadOf(alerts)
	inc.Key, inc.Alertname, inc.GroupLabels = key, lead.Name(), note.GroupLabels
	inc.OpenedAt = note.ReceivedAt
	inc.Playbook, _ = c.Playbook(lead.Labels)
	t, err := next(none, fired)
	if err != nil {
		return err
	}
	inc.State = t.to
	if err := tx.OpenIncident(ctx, inc); err != nil {
		return err
	}
	if err := c.saveAlerts(ctx, tx, inc.ID, changes); err != nil {
		return err
	}
	opened := fmt.Sprintf("opened for %s by a notification for receiver %s, playbook %s", inc.Key, note.Receiver, inc.Playbook)
	if err := c.log(ctx, tx, inc.ID, note.ReceivedAt, "opened", "triagebot", opened); err != nil {
		return err
	}
	if err := c.logAlerts(ctx, tx, inc.ID, changes, note.ReceivedAt); err != nil {
		return err
	}
	if err := c.startRun(ctx, tx, *inc, lead, note.ReceivedAt); err != nil {
		return err
	}
	c.metrics.transitions.WithLabelValues(string(t.effect)).Inc()
	post := c.Parent.Post(*inc, nil, nil, nil)
	for _, dest := range c.Destinations(inc.Labels) {
		if err := tx.OweParent(ctx, inc.ID, dest, post, parentPriority(*inc), note.ReceivedAt); err != nil {
			return err
		}
	}
	return nil
}

// move takes an incident through the transition on ev and does what follows.
// lead is the alert that a new run would be about. Call it under LockIncident.
func (c *Correlator) move(ctx context.Context, tx *store.Tx, inc *triage.Incident, ev event, lead triage.Alert, at time.Time) error {
	t, err := next(inc.State, ev)
	if err != nil {
		return fmt.Errorf("incident %d: %w", inc.ID, err)
	}
	inc.State, inc.UpdatedAt = t.to, at
	urgent := t.effect != nothing
	switch t.effect {
	case settles:
		inc.ResolvedAt, inc.Resolution = at, ev.resolution()
		err = c.log(ctx, tx, inc.ID, at, "resolved", actorOf(ev), resolvedText(*inc))
	case reopens:
		err = c.reopen(ctx, tx, inc, lead, at)
	case closes:
		inc.ClosedAt = at
		err = c.log(ctx, tx, inc.ID, at, "closed", "triagebot", "closed; the next firing opens another incident")
	case opens, nothing:
	}
	if err != nil {
		return err
	}
	if t.effect == settles || t.effect == closes {
		if err := tx.EnqueuePublish(ctx, inc.ID); err != nil {
			return err
		}
	}
	c.metrics.transitions.WithLabelValues(string(t.effect)).Inc()
	return c.update(ctx, tx, *inc, urgent)
}

// reopen brings a resolved incident back in its own thread.
func (c *Correlator) reopen(ctx context.Context, tx *store.Tx, inc *triage.Incident, lead triage.Alert, at time.Time) error {
	quiet := at.Sub(inc.ResolvedAt).Round(time.Second)
	inc.Reopened++
	inc.ResolvedAt, inc.Resolution = time.Time{}, ""
	inc.AckedBy, inc.AckedByKey, inc.AckedAt = "", "", time.Time{} // who had it has not seen this
	text := fmt.Sprintf("Fires again, %s after it resolved (%s time).", quiet, ordinal(inc.Reopened+1))
	if err := c.log(ctx, tx, inc.ID, at, "reopened", "alertmanager", text); err != nil {
		return err
	}
	note := triage.Post{Note: &triage.NotePost{IncidentID: inc.ID, Text: text}}
	if err := OweReplies(ctx, tx, inc.ID, fmt.Sprintf("reopened/%d", inc.Reopened), note, triage.PriorityState); err != nil {
		return err
	}
	runs, err := tx.RunsOf(ctx, inc.ID)
	if err != nil {
		return err
	}
	if n := len(runs); n > 0 && at.Sub(runs[n-1].CreatedAt) < c.Settings().RerunAfter {
		return nil // flapping: what the last run found still stands
	}
	// The configuration may have changed since it was opened, and a run of a
	// playbook that is gone would check nothing.
	if playbook, _ := c.Playbook(lead.Labels); playbook != inc.Playbook {
		text := fmt.Sprintf("playbook is now %s; it was %s", playbook, inc.Playbook)
		if err := c.log(ctx, tx, inc.ID, at, "playbook", "triagebot", text); err != nil {
			return err
		}
		inc.Playbook = playbook
	}
	return c.startRun(ctx, tx, *inc, lead, at)
}

func (c *Correlator) startRun(ctx context.Context, tx *store.Tx, inc triage.Incident, lead triage.Alert, at time.Time) error {
	run := triage.Run{IncidentID: inc.ID, Playbook: inc.Playbook, Trigger: triage.TriggerAlert, At: at, CreatedAt: at, Alert: lead}
	return tx.StartRun(ctx, &run)
}

// update saves the incident and has its parent messages say how it is now.
func (c *Correlator) update(ctx context.Context, tx *store.Tx, inc triage.Incident, urgent bool) error {
	if err := tx.SaveIncident(ctx, inc); err != nil {
		return err
	}
	notBefore := c.Now()
	if !urgent {
		notBefore = notBefore.Add(c.Settings().EditEvery)
	}
	return OweParents(ctx, tx, c.Parent, inc, notBefore)
}

// OweParents has the parent messages of an incident say how it is now, in
// every destination where it has one. Call it under LockIncident, with the
// incident and its findings saved.
func OweParents(ctx context.Context, tx *store.Tx, parent Parent, inc triage.Incident, notBefore time.Time) error {
	runs, err := tx.RunsOf(ctx, inc.ID)
	if err != nil {
		return err
	}
	var steps []triage.StepMark
	var findings []triage.Finding
	var last *triage.Conclusion
	if len(runs) > 0 {
		latest := runs[len(runs)-1].ID
		last = runs[len(runs)-1].Conclusion
		if steps, err = tx.StepsOf(ctx, latest); err != nil {
			return err
		}
		if findings, err = tx.Findings(ctx, latest); err != nil {
			return err
		}
	}
	post := parent.Post(inc, steps, findings, last)
	destinations, err := tx.Destinations(ctx, inc.ID)
	if err != nil {
		return err
	}
	for _, dest := range destinations {
		if err := tx.OweParent(ctx, inc.ID, dest, post, parentPriority(inc), notBefore); err != nil {
			return err
		}
	}
	return nil
}

// OweReplies puts a reply into the incident's thread in every destination where
// it has one. what tells the reply from the incident's others; owing the same
// again changes nothing.
func OweReplies(ctx context.Context, tx *store.Tx, incidentID int64, what string, post triage.Post, priority int) error {
	destinations, err := tx.Destinations(ctx, incidentID)
	if err != nil {
		return err
	}
	for _, dest := range destinations {
		key := fmt.Sprintf("incident/%d/%s", incidentID, what)
		if err := tx.OweReply(ctx, incidentID, dest, key, post, priority); err != nil {
			return err
		}
	}
	return nil
}

func parentPriority(inc triage.Incident) int {
	if triage.IsCritical(inc.Severity) {
		return triage.PriorityCriticalParent
	}
	return triage.PriorityParent
}

func (c *Correlator) log(ctx context.Context, tx *store.Tx, incidentID int64, at time.Time, kind, actor, text string) error {
	text = c.Parent.Redact.Text(text)
	c.Log.WithField("incident", incidentID).Info(text)
	return tx.AppendTimeline(ctx, triage.TimelineEntry{IncidentID: incidentID, At: at, Kind: kind, Actor: actor, Text: text})
}

func actorOf(ev event) string {
	if ev == cleared {
		return "alertmanager"
	}
	return "triagebot"
}

func resolvedText(inc triage.Incident) string {
	took := inc.ResolvedAt.Sub(inc.StartedAt).Round(time.Second)
	switch inc.Resolution {
	case triage.ResolvedByPoll:
		return fmt.Sprintf("resolved after %s: Alertmanager no longer lists its alerts, though no resolve arrived", took)
	case triage.ResolvedByTTL:
		return fmt.Sprintf("counts as resolved after %s: nothing was heard of it for longer than alert_ttl", took)
	default:
		return fmt.Sprintf("resolved after %s", took)
	}
}

func ordinal(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprintf("%d%s", n, suffix)
}
