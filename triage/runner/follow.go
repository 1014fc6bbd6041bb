// Pictures that follow their finding: drawn once the text is committed, and
// committed by themselves. One that fails is a line in the thread.

package runner

import (
	"context"
	"fmt"
	"slices"
	"time"

	"triagebot/triage"
	"triagebot/triage/evidence"
	"triagebot/triage/incident"
	"triagebot/triage/playbook"
	"triagebot/triage/store"
)

// divide parts the artifacts that are committed with their finding from those
// that follow it.
func divide(artifacts []playbook.Artifact) (with, following []playbook.Artifact) {
	for _, a := range artifacts {
		if a.Follows && a.Draw != nil {
			following = append(following, a)
		} else {
			with = append(with, a)
		}
	}
	return with, following
}

// catchUp makes the pictures that an earlier attempt, which was stopped, still
// owed. What they show is asked for again; the finding stands.
func (x *execution) catchUp(ctx context.Context, s *playbook.Step, f triage.Finding, limit time.Time) error {
	again, artifacts, _ := x.attempt(ctx, s, limit) // what it did stands
	if err := ctx.Err(); err != nil {
		return err
	}
	_, following := divide(artifacts)
	if len(following) == 0 {
		return x.commitFollowing(ctx, f, nil, nil, []string{"picture failed: " + again.Headline})
	}
	return x.follow(ctx, s, f, following)
}

// follow draws a committed finding's pictures and puts them into the bundle and
// the thread.
func (x *execution) follow(ctx context.Context, s *playbook.Step, f triage.Finding, following []playbook.Artifact) error {
	if len(f.Following) == 0 || len(following) == 0 {
		return nil // none, or another attempt was faster
	}
	var staged []evidence.Staged
	var refs []triage.EvidenceRef
	var failed []string
	// When this look fails, commitFollowing decides.
	if inc, err := x.Store.Incident(ctx, x.run.IncidentID); err == nil && isSealed(inc) {
		return x.commitFollowing(ctx, f, nil, nil, []string{pictureRefused})
	}
	for _, a := range following {
		one, ref, err := x.stageWithin(ctx, s, f.Verdict, a)
		if ctx.Err() != nil {
			return ctx.Err() // stopped, not failed: the next attempt makes them
		}
		if err != nil {
			x.log.WithError(err).WithField("step", s.ID).Warn("a picture failed; its finding stands without it")
			failed = append(failed, fmt.Sprintf("picture failed: %v", err))
			continue
		}
		staged, refs = append(staged, one), append(refs, ref)
	}
	return x.commitFollowing(ctx, f, staged, refs, failed)
}

// stageWithin gives a picture the time that its step has.
func (x *execution) stageWithin(ctx context.Context, s *playbook.Step, verdict triage.Verdict, a playbook.Artifact) (evidence.Staged, triage.EvidenceRef, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	return x.stageOne(ctx, s, verdict, a)
}

// pictureRefused is said of a picture that comes after the bundle was sealed.
const pictureRefused = "picture not kept: the incident was closed, and its bundle sealed, before"

// commitFollowing adds to a finding what followed it, once: when another attempt
// already did, nothing is written.
func (x *execution) commitFollowing(ctx context.Context, f triage.Finding, staged []evidence.Staged, refs []triage.EvidenceRef, failed []string) error {
	err := x.Store.Tx(ctx, func(tx *store.Tx) error {
		inc, err := tx.LockIncident(ctx, x.run.IncidentID)
		if err != nil {
			return err
		}
		findings, err := tx.Findings(ctx, x.run.ID)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(findings, func(stands triage.Finding) bool { return stands.StepID == f.StepID })
		if i < 0 || len(findings[i].Following) == 0 {
			return nil
		}
		f := findings[i]
		f.Following = nil
		if isSealed(inc) && len(staged) > 0 {
			staged, refs = nil, nil
			failed = append(failed, pictureRefused)
		}
		for i := range failed {
			failed[i] = x.Redact(failed[i])
		}
		f.Evidence = append(f.Evidence, refs...)
		f.Debug = append(f.Debug, failed...)
		if err := tx.ReplaceFinding(ctx, x.run.ID, f); err != nil {
			return err
		}
		if err := appendEvidence(ctx, tx, x.run.IncidentID, staged); err != nil {
			return err
		}
		if !x.speaks(f) {
			return nil
		}
		if err := x.owePictures(ctx, tx, f, refs); err != nil {
			return err
		}
		for i, line := range failed {
			note := triage.Post{Note: &triage.NotePost{IncidentID: x.run.IncidentID, Text: f.Title + ": " + line}}
			what := fmt.Sprintf("run/%d/step/%s/failed/%d", x.run.ID, f.StepID, i)
			if err := incident.OweReplies(ctx, tx, x.run.IncidentID, what, note, triage.PriorityFinding); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("pictures of step %s: %w", f.StepID, err)
	}
	return nil
}
