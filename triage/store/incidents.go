// Incidents, their timelines and their evidence's index.

package store

import (
	"context"
	"strings"
	"time"

	"triagebot/triage"
)

const incidentColumns = `id, key, alertname, group_labels_json, state, severity, labels_json, annotations_json,
	playbook, generator_url, external_url, firing, alerts, truncated, reopened, resolution,
	started_at, opened_at, updated_at, resolved_at, closed_at, acked_by, acked_by_key, acked_at, silenced_until, requested_by, version`

func scanIncident(s scanner) (triage.Incident, error) {
	var inc triage.Incident
	var group, labels, annotations string
	var started, opened, updated, resolved, closed, acked, silenced int64
	err := s.Scan(&inc.ID, &inc.Key, &inc.Alertname, &group, &inc.State, &inc.Severity, &labels, &annotations,
		&inc.Playbook, &inc.GeneratorURL, &inc.ExternalURL, &inc.Firing, &inc.Alerts, &inc.Truncated, &inc.Reopened, &inc.Resolution,
		&started, &opened, &updated, &resolved, &closed, &inc.AckedBy, &inc.AckedByKey, &acked, &silenced, &inc.RequestedBy, &inc.Version)
	if err != nil {
		return inc, err
	}
	for _, column := range []struct {
		text string
		into *triage.Labels
	}{{group, &inc.GroupLabels}, {labels, &inc.Labels}, {annotations, &inc.Annotations}} {
		if err := fromJSON(column.text, column.into); err != nil {
			return inc, err
		}
	}
	inc.StartedAt, inc.OpenedAt, inc.UpdatedAt = fromMicros(started), fromMicros(opened), fromMicros(updated)
	inc.ResolvedAt, inc.ClosedAt = fromMicros(resolved), fromMicros(closed)
	inc.AckedAt, inc.SilencedUntil = fromMicros(acked), fromMicros(silenced)
	return inc, nil
}

// OpenIncident inserts an incident and gives it its number. It fails when one
// with the same key is not yet closed. Call it under LockCorrelation.
func (tx *Tx) OpenIncident(ctx context.Context, inc *triage.Incident) error {
	id, err := one(ctx, tx, scanOf[int64], `
		INSERT INTO incidents (key, alertname, group_labels_json, state, severity, labels_json, annotations_json,
			playbook, generator_url, external_url, firing, alerts, truncated, started_at, opened_at, updated_at, heard_at,
			resolved_at, requested_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16, $17, $18) RETURNING id`,
		inc.Key, inc.Alertname, toJSON(inc.GroupLabels), inc.State, inc.Severity, toJSON(inc.Labels), toJSON(inc.Annotations),
		inc.Playbook, inc.GeneratorURL, inc.ExternalURL, inc.Firing, inc.Alerts, int64(inc.Truncated),
		micros(inc.StartedAt), micros(inc.OpenedAt), micros(inc.UpdatedAt), micros(inc.ResolvedAt), inc.RequestedBy)
	inc.ID, inc.Version = id, 1
	return err
}

// OpenIncidentByKey finds the incident of a key that is not closed.
func (tx *Tx) OpenIncidentByKey(ctx context.Context, key string) (triage.Incident, error) {
	return one(ctx, tx, scanIncident, `SELECT `+incidentColumns+` FROM incidents WHERE key = $1 AND state <> 'closed'`, key)
}

// LockIncident keeps every other transaction off the incident, its timeline
// and its evidence until this one ends. Take it before any row of theirs or a
// delivery's, so that no two transactions wait for each other.
func (tx *Tx) LockIncident(ctx context.Context, id int64) (triage.Incident, error) {
	return one(ctx, tx, scanIncident, `UPDATE incidents SET version = version + 1 WHERE id = $1 RETURNING `+incidentColumns, id)
}

// SaveIncident writes what changes over an incident's life.
func (tx *Tx) SaveIncident(ctx context.Context, inc triage.Incident) error {
	return tx.exec(ctx, `
		UPDATE incidents SET state = $2, severity = $3, labels_json = $4, annotations_json = $5, playbook = $6,
			generator_url = $7, external_url = $8, firing = $9, alerts = $10, truncated = $11, reopened = $12,
			resolution = $13, started_at = $14, updated_at = $15, resolved_at = $16, closed_at = $17,
			acked_by = $18, acked_by_key = $19, acked_at = $20, silenced_until = $21
		WHERE id = $1`,
		inc.ID, inc.State, inc.Severity, toJSON(inc.Labels), toJSON(inc.Annotations), inc.Playbook,
		inc.GeneratorURL, inc.ExternalURL, inc.Firing, inc.Alerts, int64(inc.Truncated), inc.Reopened,
		inc.Resolution, micros(inc.StartedAt), micros(inc.UpdatedAt), micros(inc.ResolvedAt), micros(inc.ClosedAt),
		inc.AckedBy, inc.AckedByKey, micros(inc.AckedAt), micros(inc.SilencedUntil))
}

// HeardOf notes when Alertmanager last spoke of the incident as one that fires
// or ends, in a notification or when it was asked.
func (tx *Tx) HeardOf(ctx context.Context, id int64, at time.Time) error {
	return tx.exec(ctx, `UPDATE incidents SET heard_at = $2 WHERE id = $1 AND heard_at < $2`, id, micros(at))
}

// Incident reads one incident.
func (tx *Tx) Incident(ctx context.Context, id int64) (triage.Incident, error) {
	return one(ctx, tx, scanIncident, `SELECT `+incidentColumns+` FROM incidents WHERE id = $1`, id)
}

// Incident reads one incident.
func (db *DB) Incident(ctx context.Context, id int64) (triage.Incident, error) {
	return one(ctx, db, scanIncident, `SELECT `+incidentColumns+` FROM incidents WHERE id = $1`, id)
}

// Incidents reads the latest incidents, the newest first.
func (db *DB) Incidents(ctx context.Context, limit int) ([]triage.Incident, error) {
	return all(ctx, db, scanIncident, `SELECT `+incidentColumns+` FROM incidents ORDER BY id DESC LIMIT $1`, limit)
}

// IncidentFilter says which incidents are meant; "" and 0 mean any.
type IncidentFilter struct {
	State    triage.IncidentState
	Severity string
	Playbook string
	Text     string // within the alertname or the labels, whatever its case
	Before   int64  // only those with a lower number
	Limit    int
}

// FindIncidents reads the latest incidents that fit, the newest first.
func (db *DB) FindIncidents(ctx context.Context, f IncidentFilter) ([]triage.Incident, error) {
	pattern := "%" + strings.NewReplacer(`!`, `!!`, `%`, `!%`, `_`, `!_`).Replace(strings.ToLower(f.Text)) + "%"
	return all(ctx, db, scanIncident, `SELECT `+incidentColumns+` FROM incidents
		WHERE ($1 = '' OR state = $1) AND ($2 = '' OR severity = $2) AND ($3 = '' OR playbook = $3)
			AND ($4 = '%%' OR LOWER(alertname) LIKE $4 ESCAPE '!' OR LOWER(labels_json) LIKE $4 ESCAPE '!')
			AND ($5 = 0 OR id < $5)
		ORDER BY id DESC LIMIT $6`, string(f.State), f.Severity, f.Playbook, pattern, f.Before, f.Limit)
}

// FiringIncidents reads every incident that fires, the oldest first.
func (db *DB) FiringIncidents(ctx context.Context) ([]triage.Incident, error) {
	return all(ctx, db, scanIncident, `SELECT `+incidentColumns+` FROM incidents WHERE state = 'firing' ORDER BY id`)
}

// SilentIncidents are those that fire and of which nothing was heard since the
// instant.
func (tx *Tx) SilentIncidents(ctx context.Context, since time.Time) ([]triage.Incident, error) {
	return all(ctx, tx, scanIncident, `SELECT `+incidentColumns+` FROM incidents WHERE state = 'firing' AND heard_at < $1 ORDER BY id`, micros(since))
}

// ResolvedIncidents are those that have been resolved since before the instant.
func (tx *Tx) ResolvedIncidents(ctx context.Context, before time.Time) ([]triage.Incident, error) {
	return all(ctx, tx, scanIncident, `SELECT `+incidentColumns+` FROM incidents WHERE state = 'resolved' AND resolved_at <= $1 ORDER BY id`, micros(before))
}

// IncidentStates counts all incidents by state.
func (db *DB) IncidentStates(ctx context.Context) (map[string]int, error) {
	return db.countBy(ctx, `SELECT state, COUNT(*) FROM incidents GROUP BY state`)
}

// AppendTimeline adds a line to the incident's log. Call it under LockIncident.
func (tx *Tx) AppendTimeline(ctx context.Context, e triage.TimelineEntry) error {
	return tx.exec(ctx, `
		INSERT INTO timeline (incident_id, seq, at, kind, actor, text)
		SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4, $5 FROM timeline WHERE incident_id = $1`,
		e.IncidentID, micros(e.At), e.Kind, e.Actor, e.Text)
}

// Timeline reads an incident's log in order.
func (db *DB) Timeline(ctx context.Context, incidentID int64) ([]triage.TimelineEntry, error) {
	return all(ctx, db, func(s scanner) (e triage.TimelineEntry, err error) {
		var at int64
		err = s.Scan(&e.IncidentID, &e.Seq, &at, &e.Kind, &e.Actor, &e.Text)
		e.At = fromMicros(at)
		return e, err
	}, `SELECT incident_id, seq, at, kind, actor, text FROM timeline WHERE incident_id = $1 ORDER BY seq`, incidentID)
}
