// What is written: the artifacts first, then one transaction with the finding,
// its evidence and every message that follows from it.

package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"triagebot/triage"
	"triagebot/triage/evidence"
	"triagebot/triage/incident"
	"triagebot/triage/playbook"
	"triagebot/triage/store"
)

// stage stores a step's artifacts. One that cannot be stored costs itself and
// is said in the finding; the finding stands.
func (x *execution) stage(ctx context.Context, s *playbook.Step, f *triage.Finding, artifacts []playbook.Artifact) []evidence.Staged {
	var staged []evidence.Staged
	// When this look fails, commit decides.
	if inc, err := x.Store.Incident(ctx, x.run.IncidentID); err == nil && isSealed(inc) && len(artifacts) > 0 {
		x.refuseEvidence(f)
		return nil
	}
	for _, a := range artifacts {
		one, ref, err := x.stageOne(ctx, s, f.Verdict, a)
		var undrawn *drawError
		switch {
		case errors.As(err, &undrawn):
			f.Debug = append(f.Debug, err.Error())
		case err != nil:
			x.log.WithError(err).WithField("step", s.ID).Error("evidence not stored; the finding goes out without it")
			f.Debug = append(f.Debug, fmt.Sprintf("evidence %s is not kept: %v", a.Name, err))
			f.NextStep = strings.TrimSpace(f.NextStep + " The evidence of this finding could not be stored.")
		default:
			staged = append(staged, one)
			f.Evidence = append(f.Evidence, ref)
		}
	}
	return staged
}

// stageOne draws an artifact, where that is to be done, and stores it. The error
// is a *drawError when it is the picture that failed.
func (x *execution) stageOne(ctx context.Context, s *playbook.Step, verdict triage.Verdict, a playbook.Artifact) (evidence.Staged, triage.EvidenceRef, error) {
	data, alt := a.Data, ""
	if a.Draw != nil {
		var err error
		if data, alt, err = draw(ctx, a, verdict); err != nil {
			return evidence.Staged{}, triage.EvidenceRef{}, &drawError{a.Name, err}
		}
	}
	one, err := x.Bundles.Stage(ctx, x.run.IncidentID, x.run.ID, s.ID, evidence.Artifact{Name: a.Name, MediaType: a.MediaType, Source: a.Source, Data: data})
	return one, triage.EvidenceRef{
		Name: one.Name, Title: a.Title, MediaType: a.MediaType, Alt: alt, URL: x.EvidenceURL(x.run.IncidentID, one.Name),
	}, err
}

// drawError is a picture that could not be made.
type drawError struct {
	name string
	err  error
}

func (e *drawError) Error() string { return fmt.Sprintf("drawing %s failed: %v", e.name, e.err) }

func (e *drawError) Unwrap() error { return e.err }

// isSealed says that an incident's bundle takes nothing more: its head is, or
// soon will be, in the thread.
func isSealed(inc triage.Incident) bool { return inc.State == triage.IncidentClosed }

// refuseEvidence takes its evidence from a finding that comes after the bundle
// was sealed, and has it say so.
func (x *execution) refuseEvidence(f *triage.Finding) {
	x.log.WithField("step", f.StepID).Warn("the incident is closed and its bundle sealed; the finding goes out without its evidence")
	f.Evidence = nil
	f.NextStep = strings.TrimSpace(f.NextStep + " The evidence of this finding is not kept: its incident was closed, and the bundle sealed, before.")
}

// draw keeps a defect in drawing from costing more than its picture.
func draw(ctx context.Context, a playbook.Artifact, verdict triage.Verdict) (data []byte, alt string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a defect in triagebot: %v", p)
		}
	}()
	return a.Draw(ctx, verdict)
}

// redact masks secrets in all of a finding that does not come from the
// playbook's file or from triagebot itself: it is stored and posted.
func (x *execution) redact(f *triage.Finding) {
	f.Headline, f.NextStep, f.Skipped = x.Redact.Text(f.Headline), x.Redact.Text(f.NextStep), x.Redact.Text(f.Skipped)
	for i, row := range f.Rows {
		field := row.Name
		if strings.Contains(field, " ") {
			field = "" // no field's name: accepted → first_token is a time between two
		}
		f.Rows[i].Name, f.Rows[i].Value, f.Rows[i].Baseline = x.Redact.Text(row.Name), x.Redact.Value(field, row.Value), x.Redact.Value(field, row.Baseline)
	}
	for i, l := range f.Links {
		f.Links[i] = triage.Link{Title: x.Redact.Text(l.Title), URL: x.Redact.URL(l.URL)}
	}
	for i, e := range f.Evidence { // its URL is signed, which is to stay
		f.Evidence[i].Title, f.Evidence[i].Alt = x.Redact.Text(e.Title), x.Redact.Text(e.Alt)
	}
	for i := range f.Debug {
		f.Debug[i] = x.Redact.Text(f.Debug[i])
	}
	f.Vars = finite(f.Vars)
}

// finite drops the numbers that JSON has no word for; a condition on one says
// that it is missing.
func finite(vars map[string]any) map[string]any {
	maps.DeleteFunc(vars, func(_ string, v any) bool {
		number, is := v.(float64)
		return is && (math.IsNaN(number) || math.IsInf(number, 0))
	})
	return vars
}

// redactVars masks secrets in a step's variables, however deep: the sentences
// of its finding, later steps and the database see what is left. One that
// cannot be masked is dropped.
func redactVars(vars map[string]any, redact triage.Redact) map[string]any {
	const maxText = 64 << 10
	out := make(map[string]any, len(vars))
	for name, v := range vars {
		switch v := v.(type) {
		case nil, bool, float64, int64:
			out[name] = v
		case string:
			if len(v) > maxText {
				v = strings.ToValidUTF8(v[:maxText], "")
			}
			out[name] = redact.Value(name, v)
		case map[string]string:
			if kept := (map[string]string)(nil); redact.JSON(v, &kept) {
				out[name] = kept
			}
		default:
			if kept := any(nil); redact.JSON(v, &kept) {
				out[name] = kept
			}
		}
	}
	return out
}

var errStands = errors.New("an earlier attempt's finding stands")

// commit writes a finding with all that follows from it, once: when an earlier
// attempt already did, nothing is written and its finding is returned.
func (x *execution) commit(ctx context.Context, f triage.Finding, staged []evidence.Staged, act *playbook.Act) (triage.Finding, error) {
	first := false
	err := x.Store.Tx(ctx, func(tx *store.Tx) error {
		inc, err := tx.LockIncident(ctx, x.run.IncidentID)
		if err != nil {
			return err
		}
		if isSealed(inc) && len(staged) > 0 {
			x.refuseEvidence(&f)
			staged = nil
		}
		added, err := tx.AddFinding(ctx, x.run, f)
		if err != nil {
			return err
		}
		if !added {
			return errStands
		}
		if err := appendEvidence(ctx, tx, x.run.IncidentID, staged); err != nil {
			return err
		}
		entry := triage.TimelineEntry{IncidentID: x.run.IncidentID, At: x.Now(), Kind: "step", Actor: "triagebot", Text: timelineText(f)}
		if err := tx.AppendTimeline(ctx, entry); err != nil {
			return err
		}
		if err := x.oweFinding(ctx, tx, f); err != nil {
			return err
		}
		if err := x.perform(ctx, tx, inc, f, act); err != nil {
			return err
		}
		findings, err := tx.Findings(ctx, x.run.ID)
		if err != nil {
			return err
		}
		first = len(findings) == 1
		return x.oweProgress(ctx, tx, inc)
	})
	if errors.Is(err, errStands) {
		findings, err := x.Store.Findings(ctx, x.run.ID)
		for _, stands := range findings {
			if stands.StepID == f.StepID {
				return stands, err
			}
		}
		return f, errors.Join(err, fmt.Errorf("finding of step %s: %w", f.StepID, store.ErrNotFound))
	}
	if err != nil {
		return f, err
	}
	x.metrics.finding(f, first, x.Now().Sub(x.run.CreatedAt))
	return f, nil
}

func appendEvidence(ctx context.Context, tx *store.Tx, incidentID int64, staged []evidence.Staged) error {
	prev, err := tx.LastEvidence(ctx, incidentID)
	for _, s := range staged {
		if err != nil {
			return err
		}
		prev = evidence.Chain(prev, s)
		err = tx.AppendEvidence(ctx, prev)
	}
	return err
}

func timelineText(f triage.Finding) string {
	if f.Skipped != "" {
		return fmt.Sprintf("%s: skipped, %s", f.StepID, f.Skipped)
	}
	return fmt.Sprintf("%s: %s: %s", f.StepID, f.Verdict, f.Headline)
}

// oweFinding puts a finding and its pictures into the thread.
func (x *execution) oweFinding(ctx context.Context, tx *store.Tx, f triage.Finding) error {
	if !x.speaks(f) {
		return nil
	}
	post := f
	post.Vars, post.Debug = nil, nil // for conditions and for people who look closer
	what := fmt.Sprintf("run/%d/step/%s", x.run.ID, f.StepID)
	err := incident.OweReplies(ctx, tx, x.run.IncidentID, what, triage.Post{
		Finding: &triage.FindingPost{IncidentID: x.run.IncidentID, RunID: x.run.ID, Finding: post},
	}, triage.PriorityFinding)
	if err != nil {
		return err
	}
	return x.owePictures(ctx, tx, f, f.Evidence)
}

// owePictures puts those of a finding's artifacts that are pictures into the
// thread.
func (x *execution) owePictures(ctx context.Context, tx *store.Tx, f triage.Finding, evidence []triage.EvidenceRef) error {
	for _, e := range evidence {
		if !e.IsPicture() {
			continue
		}
		file := triage.Post{File: &triage.FilePost{IncidentID: x.run.IncidentID, Artifact: e, Comment: f.Title}}
		what := fmt.Sprintf("run/%d/step/%s/%s", x.run.ID, f.StepID, e.Name)
		if err := incident.OweReplies(ctx, tx, x.run.IncidentID, what, file, triage.PriorityFile); err != nil {
			return err
		}
	}
	return nil
}

// speaks says whether a finding gets a reply of its own.
func (x *execution) speaks(f triage.Finding) bool {
	switch {
	case f.Skipped != "":
		return false // shown in the parent only
	case announces(f):
		return false // the announcement says it
	case x.Replies(x.inc.Labels) == RepliesAbnormal:
		return f.Verdict != triage.VerdictNormal
	default:
		return true
	}
}

// oweProgress has the parent show how far the run is.
func (x *execution) oweProgress(ctx context.Context, tx *store.Tx, inc triage.Incident) error {
	return incident.OweParents(ctx, tx, x.Parent, inc, x.Now().Add(x.EditEvery()))
}

// end closes the run: the last word in the thread, the parent's conclusion,
// and the bundle.
func (x *execution) end(ctx context.Context) error {
	err := x.Store.Tx(ctx, func(tx *store.Tx) error {
		inc, err := tx.LockIncident(ctx, x.run.IncidentID)
		if err != nil {
			return err
		}
		ended, err := tx.EndRun(ctx, x.run.ID, triage.RunFinished, "", x.Now())
		if err != nil || !ended {
			return err
		}
		findings, err := tx.Findings(ctx, x.run.ID)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("run of %s finished in %s", x.run.Playbook, x.Now().Sub(x.run.CreatedAt).Round(time.Millisecond))
		entry := triage.TimelineEntry{IncidentID: x.run.IncidentID, At: x.Now(), Kind: "run", Actor: "triagebot", Text: text}
		if err := tx.AppendTimeline(ctx, entry); err != nil {
			return err
		}
		if folded := x.folded(findings); folded != "" {
			note := triage.Post{Note: &triage.NotePost{IncidentID: x.run.IncidentID, Text: folded}}
			if err := incident.OweReplies(ctx, tx, x.run.IncidentID, fmt.Sprintf("run/%d/normal", x.run.ID), note, triage.PriorityFinding); err != nil {
				return err
			}
		}
		if x.pb.Concludes() {
			if err := x.conclude(ctx, tx); err != nil {
				return err
			}
		}
		if err := tx.EnqueuePublish(ctx, x.run.IncidentID); err != nil {
			return err
		}
		x.metrics.runs.WithLabelValues("finished").Inc()
		x.metrics.lastFinding.Observe(x.lastFinding(findings).Sub(x.run.CreatedAt).Seconds())
		return incident.OweParents(ctx, tx, x.Parent, inc, x.Now())
	})
	if err != nil {
		return fmt.Errorf("end run %d: %w", x.run.ID, err)
	}
	return nil
}

// lastFinding is when the last of a run's findings stood. Pictures may have
// followed it.
func (x *execution) lastFinding(findings []triage.Finding) time.Time {
	last := x.run.CreatedAt
	for _, f := range findings {
		if at := f.StartedAt.Add(f.Took); at.After(last) {
			last = at
		}
	}
	return last
}

// folded is the closing line for the normal findings that had no reply, in the
// playbook's order.
func (x *execution) folded(findings []triage.Finding) string {
	var lines []string
	for _, s := range x.pb.Steps {
		i := slices.IndexFunc(findings, func(f triage.Finding) bool { return f.StepID == s.ID })
		if i < 0 || findings[i].Skipped != "" || announces(findings[i]) || x.speaks(findings[i]) {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s (%s)", findings[i].Title, strings.TrimSuffix(findings[i].Headline, ".")))
	}
	if len(lines) == 0 {
		return ""
	}
	return "Normal: " + strings.Join(lines, "; ") + "."
}
