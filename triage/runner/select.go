// Which playbook a run executes. In a rolling reload the replica that takes a
// run up may not have its playbook yet, and a playbook may be renamed while its
// incidents are open.

package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"triagebot/triage"
	"triagebot/triage/incident"
	"triagebot/triage/playbook"
	"triagebot/triage/store"
)

const (
	// playbookWait is the age up to which a run waits for a replica that has
	// its playbook. A reload of all replicas takes seconds; an incident without
	// findings for longer than this is worse than one with the fallback's.
	playbookWait = time.Minute
	// playbookPause is how long such a run stays in the queue before a replica
	// looks again.
	playbookPause = 2 * time.Second
)

var errNoPlaybook = errors.New("neither the playbook nor the fallback is loaded; nothing was checked")

// playbook finds what a run executes: its playbook or, once the run has waited
// for one that nobody has, the fallback, which is then the run's playbook for
// good. The error is a store.Later while the run should wait.
func (r *Runner) playbook(ctx context.Context, run *triage.Run, log logrus.FieldLogger) (*playbook.Playbook, error) {
	pb := r.Playbook(run.Playbook)
	if pb != nil {
		return pb, nil
	}
	if r.Now().Sub(run.CreatedAt) < playbookWait {
		log.Info("this replica does not have the run's playbook; another may")
		return nil, &store.Later{After: playbookPause, Why: fmt.Sprintf("playbook %q is not loaded here", run.Playbook)}
	}
	if pb = r.Playbook(playbook.FallbackName); pb == nil {
		return nil, errNoPlaybook
	}
	log.Warn("nobody has the run's playbook; the fallback runs in its place")
	return pb, r.fallBack(ctx, run)
}

// fallBack makes the fallback the run's playbook, and says so in the thread.
func (r *Runner) fallBack(ctx context.Context, run *triage.Run) error {
	missing := run.Playbook
	run.Playbook = playbook.FallbackName
	err := r.Store.Tx(ctx, func(tx *store.Tx) error {
		inc, err := tx.LockIncident(ctx, run.IncidentID)
		if err != nil {
			return err
		}
		replaced, err := tx.ReplacePlaybook(ctx, run.ID, missing, playbook.FallbackName)
		if err != nil || !replaced {
			return err
		}
		inc.Playbook = playbook.FallbackName // the parent names what ran
		if err := tx.SaveIncident(ctx, inc); err != nil {
			return err
		}
		return r.say(ctx, tx, *run, "fallback", fmt.Sprintf("playbook %s is no longer loaded; the fallback ran", missing))
	})
	if err != nil {
		return fmt.Errorf("run %d: take the fallback: %w", run.ID, err)
	}
	return nil
}

// say puts a word about a run as a whole into the timeline and the thread.
func (r *Runner) say(ctx context.Context, tx *store.Tx, run triage.Run, what, text string) error {
	entry := triage.TimelineEntry{IncidentID: run.IncidentID, At: r.Now(), Kind: "run", Actor: "triagebot", Text: text}
	if err := tx.AppendTimeline(ctx, entry); err != nil {
		return err
	}
	note := triage.Post{Note: &triage.NotePost{IncidentID: run.IncidentID, Text: sentence(text)}}
	return incident.OweReplies(ctx, tx, run.IncidentID, fmt.Sprintf("run/%d/%s", run.ID, what), note, triage.PriorityFinding)
}

// fail ends a run that could not be executed at all, and says so in the thread.
func (r *Runner) fail(ctx context.Context, run triage.Run, cause string) error {
	return r.Store.Tx(ctx, func(tx *store.Tx) error {
		inc, err := tx.LockIncident(ctx, run.IncidentID)
		if err != nil {
			return err
		}
		ended, err := tx.EndRun(ctx, run.ID, triage.RunFailed, cause, r.Now())
		if err != nil || !ended {
			return err
		}
		r.metrics.runs.WithLabelValues("failed").Inc()
		if err := r.say(ctx, tx, run, "failed", "run not possible: "+cause); err != nil {
			return err
		}
		return incident.OweParents(ctx, tx, r.Parent, inc, r.Now())
	})
}
