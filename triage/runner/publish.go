// Writing the bundle's readable side: timeline, report and manifest.

package runner

import (
	"context"
	"fmt"
	"slices"

	"triagebot/triage"
	"triagebot/triage/evidence"
)

// Publish writes the incident's timeline, report and manifest as the database
// has them now. It may be called at any time and any number of times.
func (r *Runner) Publish(ctx context.Context, incidentID int64) error {
	v, err := r.view(ctx, incidentID)
	if err != nil {
		return fmt.Errorf("publish evidence of incident %d: %w", incidentID, err)
	}
	_, err = r.Bundles.Publish(ctx, v)
	return err
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
