// The alerts of incidents. A flapping incident has many that ended, so nobody
// reads them all.

package store

import (
	"context"
	"time"

	"triagebot/triage"
)

const alertColumns = `fingerprint, starts_at, status, ends_at, labels_json, annotations_json, generator_url`

func scanAlert(s scanner) (triage.Alert, error) {
	var a triage.Alert
	var starts, ends int64
	var labels, annotations string
	if err := s.Scan(&a.Fingerprint, &starts, &a.Status, &ends, &labels, &annotations, &a.GeneratorURL); err != nil {
		return a, err
	}
	a.StartsAt, a.EndsAt = fromMicros(starts), fromMicros(ends)
	if err := fromJSON(labels, &a.Labels); err != nil {
		return a, err
	}
	return a, fromJSON(annotations, &a.Annotations)
}

// FiringAlerts reads an incident's alerts that fire, the earliest first.
func (tx *Tx) FiringAlerts(ctx context.Context, incidentID int64) ([]triage.Alert, error) {
	return all(ctx, tx, scanAlert, `SELECT `+alertColumns+` FROM alerts
		WHERE incident_id = $1 AND status = 'firing' ORDER BY starts_at, fingerprint`, incidentID)
}

// EndedAlerts reads an incident's alerts that count as over, up to limit of
// them, the latest start first.
func (tx *Tx) EndedAlerts(ctx context.Context, incidentID int64, limit int) ([]triage.Alert, error) {
	return all(ctx, tx, scanAlert, `SELECT `+alertColumns+` FROM alerts
		WHERE incident_id = $1 AND status = 'resolved' ORDER BY starts_at DESC, fingerprint LIMIT $2`, incidentID, limit)
}

// Alerts reads an incident's alerts, those that fire and then those that ended,
// up to limit, the latest start first.
func (db *DB) Alerts(ctx context.Context, incidentID int64, limit int) ([]triage.Alert, error) {
	return all(ctx, db, scanAlert, `SELECT `+alertColumns+` FROM alerts
		WHERE incident_id = $1 ORDER BY status, starts_at DESC, fingerprint LIMIT $2`, incidentID, limit)
}

// Alert reads one alert by its identity; ErrNotFound when it is unknown.
func (tx *Tx) Alert(ctx context.Context, incidentID int64, fingerprint string, startsAt time.Time) (triage.Alert, error) {
	return one(ctx, tx, scanAlert, `SELECT `+alertColumns+` FROM alerts
		WHERE incident_id = $1 AND fingerprint = $2 AND starts_at = $3`, incidentID, fingerprint, micros(startsAt))
}

// SaveAlert writes an alert as it is now and counts that it was seen.
// wasStartsAt is the instant under which it is known, for Alertmanager may
// move it earlier; the alert's own for a new one.
func (tx *Tx) SaveAlert(ctx context.Context, incidentID int64, a triage.Alert, wasStartsAt time.Time) error {
	return tx.exec(ctx, `
		INSERT INTO alerts (incident_id, fingerprint, starts_at, status, ends_at, labels_json, annotations_json, generator_url, changed_at)
		VALUES ($1, $2, $3, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (incident_id, fingerprint, starts_at) DO UPDATE SET starts_at = $4, status = $5, ends_at = $6,
			labels_json = $7, annotations_json = $8, generator_url = $9, changed_at = $10, seen = alerts.seen + 1`,
		incidentID, a.Fingerprint, micros(wasStartsAt), micros(a.StartsAt), a.Status, micros(a.EndsAt),
		toJSON(a.Labels), toJSON(a.Annotations), a.GeneratorURL, micros(tx.db.now()))
}

// SawAlert counts another sight of an alert that has not changed.
func (tx *Tx) SawAlert(ctx context.Context, incidentID int64, fingerprint string, startsAt time.Time) error {
	return tx.exec(ctx, `UPDATE alerts SET seen = seen + 1 WHERE incident_id = $1 AND fingerprint = $2 AND starts_at = $3`,
		incidentID, fingerprint, micros(startsAt))
}

// PruneAlerts forgets the alerts of an incident that ended before the instant,
// except the latest keep that ended.
func (tx *Tx) PruneAlerts(ctx context.Context, incidentID int64, before time.Time, keep int) error {
	return tx.exec(ctx, `
		DELETE FROM alerts WHERE incident_id = $1 AND status = 'resolved' AND changed_at < $2 AND changed_at < (
			SELECT changed_at FROM alerts WHERE incident_id = $1 AND status = 'resolved'
			ORDER BY changed_at DESC LIMIT 1 OFFSET $3)`, incidentID, micros(before), keep-1)
}
