// Runs and findings.

package store

import (
	"context"
	"errors"
	"time"

	"triagebot/triage"
)

const runColumns = `id, incident_id, playbook, playbook_hash, trigger_kind, state, at, alert_json, created_at, started_at, finished_at, error, conclusion_json`

func scanRun(s scanner) (triage.Run, error) {
	var r triage.Run
	var at, created, started, finished int64
	var alert, conclusion string
	err := s.Scan(&r.ID, &r.IncidentID, &r.Playbook, &r.PlaybookHash, &r.Trigger, &r.State, &at, &alert, &created, &started, &finished, &r.Error, &conclusion)
	if err != nil {
		return r, err
	}
	r.At, r.CreatedAt, r.StartedAt, r.FinishedAt = fromMicros(at), fromMicros(created), fromMicros(started), fromMicros(finished)
	return r, errors.Join(fromJSON(alert, &r.Alert), fromJSON(conclusion, &r.Conclusion))
}

// StartRun inserts a pending run, gives it its number, and enqueues the job
// that will execute it, all in this transaction.
func (tx *Tx) StartRun(ctx context.Context, r *triage.Run) error {
	r.State = triage.RunPending
	id, err := one(ctx, tx, scanOf[int64], `
		INSERT INTO runs (incident_id, playbook, playbook_hash, trigger_kind, state, at, alert_json, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`,
		r.IncidentID, r.Playbook, r.PlaybookHash, r.Trigger, r.State, micros(r.At), toJSON(r.Alert), micros(r.CreatedAt))
	if err != nil {
		return err
	}
	r.ID = id
	return tx.enqueueRun(ctx, id)
}

// Run reads one run.
func (db *DB) Run(ctx context.Context, id int64) (triage.Run, error) {
	return one(ctx, db, scanRun, `SELECT `+runColumns+` FROM runs WHERE id = $1`, id)
}

// RunsOf reads an incident's runs, the oldest first.
func (db *DB) RunsOf(ctx context.Context, incidentID int64) ([]triage.Run, error) {
	return runsOf(ctx, db, incidentID)
}

// RunsOf reads an incident's runs, the oldest first.
func (tx *Tx) RunsOf(ctx context.Context, incidentID int64) ([]triage.Run, error) {
	return runsOf(ctx, tx, incidentID)
}

func runsOf(ctx context.Context, q queryer, incidentID int64) ([]triage.Run, error) {
	return all(ctx, q, scanRun, `SELECT `+runColumns+` FROM runs WHERE incident_id = $1 ORDER BY id`, incidentID)
}

// RunUnderWay says whether the incident has a run that is not over and was
// created after the instant.
func (tx *Tx) RunUnderWay(ctx context.Context, incidentID int64, since time.Time) (bool, error) {
	n, err := one(ctx, tx, scanOf[int64], `
		SELECT COUNT(*) FROM runs WHERE incident_id = $1 AND state IN ('pending', 'running') AND created_at > $2`, incidentID, micros(since))
	return n > 0, err
}

// BeginRun marks a run as running and keeps the steps it will take, so that
// the parent message can show them. Only the first attempt sets the time; it
// says false when the run is over already.
func (tx *Tx) BeginRun(ctx context.Context, id int64, playbookHash string, steps []triage.StepMark, at time.Time) (bool, error) {
	n, err := tx.execCount(ctx, `
		UPDATE runs SET state = 'running', playbook_hash = $2, steps_json = $3,
			started_at = CASE WHEN started_at = 0 THEN $4 ELSE started_at END
		WHERE id = $1 AND state IN ('pending', 'running')`, id, playbookHash, toJSON(steps), micros(at))
	return n == 1, err
}

// ReplacePlaybook gives a run that is not over another playbook than the one it
// was started with; false when that was done before.
func (tx *Tx) ReplacePlaybook(ctx context.Context, id int64, was, is string) (bool, error) {
	n, err := tx.execCount(ctx, `UPDATE runs SET playbook = $3 WHERE id = $1 AND playbook = $2 AND state IN ('pending', 'running')`, id, was, is)
	return n == 1, err
}

// EndRun marks a run as over; false when it was over already.
func (tx *Tx) EndRun(ctx context.Context, id int64, state triage.RunState, cause string, at time.Time) (bool, error) {
	n, err := tx.execCount(ctx, `UPDATE runs SET state = $2, error = $3, finished_at = $4 WHERE id = $1 AND state IN ('pending', 'running')`,
		id, state, cause, micros(at))
	return n == 1, err
}

// Conclude keeps a run's last word.
func (tx *Tx) Conclude(ctx context.Context, id int64, c *triage.Conclusion) error {
	_, err := tx.execCount(ctx, `UPDATE runs SET conclusion_json = $2 WHERE id = $1`, id, toJSON(c))
	return err
}

// StepsOf reads the steps that a run takes; none before it began.
func (tx *Tx) StepsOf(ctx context.Context, runID int64) ([]triage.StepMark, error) {
	return stepsOf(ctx, tx, runID)
}

// StepsOf reads the steps that a run takes; none before it began.
func (db *DB) StepsOf(ctx context.Context, runID int64) ([]triage.StepMark, error) {
	return stepsOf(ctx, db, runID)
}

func stepsOf(ctx context.Context, q queryer, runID int64) ([]triage.StepMark, error) {
	text, err := one(ctx, q, scanOf[string], `SELECT steps_json FROM runs WHERE id = $1`, runID)
	if err != nil {
		return nil, err
	}
	var steps []triage.StepMark
	return steps, fromJSON(text, &steps)
}

// AddFinding commits a step's finding; false when an earlier attempt already
// did, whose finding then stands: roll back and use that one.
func (tx *Tx) AddFinding(ctx context.Context, run triage.Run, f triage.Finding) (bool, error) {
	n, err := tx.execCount(ctx, `
		INSERT INTO findings (run_id, step_id, incident_id, verdict, finding_json, created_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (run_id, step_id) DO NOTHING`,
		run.ID, f.StepID, run.IncidentID, f.Verdict, toJSON(f), micros(tx.db.now()))
	return n == 1, err
}

// ReplaceFinding writes what a committed finding says anew. Call it under
// LockIncident.
func (tx *Tx) ReplaceFinding(ctx context.Context, runID int64, f triage.Finding) error {
	return tx.exec(ctx, `UPDATE findings SET finding_json = $1 WHERE run_id = $2 AND step_id = $3`, toJSON(f), runID, f.StepID)
}

// Findings reads what a run has found so far, in the order in which it was found.
func (db *DB) Findings(ctx context.Context, runID int64) ([]triage.Finding, error) {
	return findings(ctx, db, runID)
}

// Findings reads what a run has found so far, in the order in which it was found.
func (tx *Tx) Findings(ctx context.Context, runID int64) ([]triage.Finding, error) {
	return findings(ctx, tx, runID)
}

func findings(ctx context.Context, q queryer, runID int64) ([]triage.Finding, error) {
	return all(ctx, q, func(s scanner) (f triage.Finding, err error) {
		var text string
		if err := s.Scan(&text); err != nil {
			return f, err
		}
		return f, fromJSON(text, &f)
	}, `SELECT finding_json FROM findings WHERE run_id = $1 ORDER BY created_at, step_id`, runID)
}

// RunStates counts all runs by state.
func (db *DB) RunStates(ctx context.Context) (map[string]int, error) {
	return db.countBy(ctx, `SELECT state, COUNT(*) FROM runs GROUP BY state`)
}
