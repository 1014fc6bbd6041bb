// Writing the bundle's readable side: timeline, report and manifest; then the
// index of all bundles.

package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"triagebot/triage"
	"triagebot/triage/evidence"
	"triagebot/triage/incident"
	"triagebot/triage/store"
)

const (
	// publishLease is how long a publish keeps every other off the bundle, and
	// publishTimeout when it gives up: well before another may begin, so that
	// what it wrote last is there by then.
	publishLease   = 30 * time.Second
	publishTimeout = 20 * time.Second
	// publishPause is when a publish that another keeps off looks again.
	publishPause = time.Second
)

// Publish writes the incident's timeline, report and manifest as the database
// has them now. It may be called at any time and any number of times: one at a
// time publishes, the others get a store.Later, and a sealed bundle stays as it
// is. One that fails keeps the others off until its lease is over, for what it
// sent may still arrive.
func (r *Runner) Publish(ctx context.Context, incidentID int64) error {
	ticket, err := r.Store.ClaimBundle(ctx, incidentID, publishLease)
	switch {
	case errors.Is(err, store.ErrSealed):
		return nil
	case errors.Is(err, store.ErrPublishing):
		return &store.Later{After: publishPause, Why: err.Error()}
	case err == nil:
		err = r.publish(ctx, incidentID, ticket)
	}
	if err != nil {
		return fmt.Errorf("publish evidence of incident %d: %w", incidentID, err)
	}
	return nil
}

func (r *Runner) publish(ctx context.Context, incidentID, ticket int64) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	v, err := r.view(ctx, incidentID)
	if err != nil {
		return err
	}
	head, err := r.Bundles.Publish(ctx, v, func(ctx context.Context) error { return r.Store.HoldsBundle(ctx, incidentID, ticket) })
	if err != nil {
		return err
	}
	return r.Store.Tx(ctx, func(tx *store.Tx) error {
		if _, err := tx.LockIncident(ctx, incidentID); err != nil {
			return err
		}
		sealedBy := ""
		if v.Sealed {
			sealedBy = head
		}
		if err := tx.ReleaseBundle(ctx, incidentID, ticket, sealedBy); err != nil {
			return err
		}
		if v.Sealed {
			if err := announceSeal(ctx, tx, v, head); err != nil {
				return err
			}
		}
		return tx.IndexBundle(ctx, v.Summary()) // last: all publishes meet at its row
	})
}

// PublishIndex writes the index of all bundles as the database has them now,
// unless it has every change. As with Publish, one at a time writes, and the
// others get a store.Later: whoever writes may have read before their change.
func (r *Runner) PublishIndex(ctx context.Context) error {
	claim, err := r.Store.ClaimIndex(ctx, publishLease)
	switch {
	case errors.Is(err, store.ErrUpToDate):
		return nil
	case errors.Is(err, store.ErrPublishing):
		return &store.Later{After: publishPause, Why: err.Error()}
	case err == nil:
		err = r.publishIndex(ctx, claim)
	}
	if err != nil {
		return fmt.Errorf("publish the index of all bundles: %w", err)
	}
	return nil
}

func (r *Runner) publishIndex(ctx context.Context, claim store.IndexClaim) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	latest, total, err := r.Store.Bundles(ctx, evidence.MaxIndexed)
	if err != nil {
		return err
	}
	index := evidence.Index{Bundles: latest, Total: total}
	err = r.Bundles.PublishIndex(ctx, index, func(ctx context.Context) error { return r.Store.HoldsIndex(ctx, claim) })
	if errors.Is(err, evidence.ErrForeignIndex) { // trying again is no use; the next change does
		r.Log.WithError(err).Warn("the index of all bundles is not written")
		err = nil
	}
	if err != nil {
		return err
	}
	return r.Store.ReleaseIndex(ctx, claim)
}

// announceSeal posts the head of a sealed bundle. The thread is where whoever
// could rewrite the bundle as a whole cannot reach, so this is what
// `triagebot evidence verify --head` is given.
func announceSeal(ctx context.Context, tx *store.Tx, v evidence.View, head string) error {
	text := fmt.Sprintf("Closed. Evidence sealed: %d files, head %s", len(v.Evidence), head)
	post := triage.Post{Note: &triage.NotePost{IncidentID: v.Incident.ID, Text: text}}
	return incident.OweReplies(ctx, tx, v.Incident.ID, "sealed", post, triage.PriorityFile)
}

func (r *Runner) view(ctx context.Context, incidentID int64) (v evidence.View, err error) {
	if v.Incident, err = r.Store.Incident(ctx, incidentID); err != nil {
		return v, err
	}
	runs, err := r.Store.RunsOf(ctx, incidentID)
	if err != nil {
		return v, err
	}
	for _, run := range runs {
		findings, err := r.Store.Findings(ctx, run.ID)
		if err != nil {
			return v, err
		}
		steps, err := r.Store.StepsOf(ctx, run.ID)
		if err != nil {
			return v, err
		}
		v.Runs = append(v.Runs, evidence.RunView{Run: run, Findings: inOrder(findings, steps)})
	}
	if v.Alerts, err = r.Store.Alerts(ctx, incidentID, evidence.MaxAlerts); err != nil {
		return v, err
	}
	if v.Evidence, err = r.Store.Evidence(ctx, incidentID); err != nil {
		return v, err
	}
	v.Timeline, err = r.Store.Timeline(ctx, incidentID)
	v.Sealed = v.Incident.State == triage.IncidentClosed
	return v, err
}

// inOrder sorts findings as their playbook has the steps.
func inOrder(findings []triage.Finding, steps []triage.StepMark) []triage.Finding {
	place := make(map[string]int, len(steps))
	for i, s := range steps {
		place[s.ID] = i
	}
	slices.SortStableFunc(findings, func(a, b triage.Finding) int { return place[a.StepID] - place[b.StepID] })
	return findings
}
