// Silences that people asked for.

package store

import (
	"context"
	"time"

	"triagebot/triage"
)

// SilenceState is where a silence is.
type SilenceState string

// A silence's states.
const (
	SilenceWanted SilenceState = "wanted" // not yet known to stand in the Alertmanager
	SilenceActive SilenceState = "active"
	SilenceEnded  SilenceState = "ended"  // its time is over, or somebody ended it
	SilenceFailed SilenceState = "failed" // it could not be made
)

// Silence is one that a person asked for.
type Silence struct {
	ID           int64
	IncidentID   int64
	State        SilenceState
	Alertmanager string // its name in the configuration
	RemoteID     string // "" before it stands there
	Matchers     triage.Labels
	Author       string
	Comment      string
	CreatedAt    time.Time
	EndsAt       time.Time
	LastError    string
}

const silenceColumns = `id, incident_id, state, alertmanager, remote_id, matchers_json, author, comment, created_at, ends_at, last_error`

func scanSilence(s scanner) (Silence, error) {
	var out Silence
	var matchers string
	var created, ends int64
	err := s.Scan(&out.ID, &out.IncidentID, &out.State, &out.Alertmanager, &out.RemoteID, &matchers, &out.Author, &out.Comment, &created, &ends, &out.LastError)
	if err != nil {
		return out, err
	}
	out.CreatedAt, out.EndsAt = fromMicros(created), fromMicros(ends)
	return out, fromJSON(matchers, &out.Matchers)
}

// WantSilence inserts a silence, gives it its number, and enqueues the job that
// makes it and watches over it.
func (tx *Tx) WantSilence(ctx context.Context, s *Silence) error {
	s.State = SilenceWanted
	id, err := one(ctx, tx, scanOf[int64], `
		INSERT INTO silences (incident_id, state, alertmanager, matchers_json, author, comment, created_at, ends_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`,
		s.IncidentID, s.State, s.Alertmanager, toJSON(s.Matchers), s.Author, s.Comment, micros(s.CreatedAt), micros(s.EndsAt))
	if err != nil {
		return err
	}
	s.ID = id
	return tx.enqueue(ctx, silenceArgs{SilenceID: id})
}

// Silence reads one silence.
func (db *DB) Silence(ctx context.Context, id int64) (Silence, error) {
	return one(ctx, db, scanSilence, `SELECT `+silenceColumns+` FROM silences WHERE id = $1`, id)
}

// SilencesOf reads an incident's silences, the oldest first.
func (tx *Tx) SilencesOf(ctx context.Context, incidentID int64) ([]Silence, error) {
	return all(ctx, tx, scanSilence, `SELECT `+silenceColumns+` FROM silences WHERE incident_id = $1 ORDER BY id`, incidentID)
}

// MoveSilence takes a silence from one state to another; false when it was not
// in that state any more. Call it under LockIncident.
func (tx *Tx) MoveSilence(ctx context.Context, s Silence, from SilenceState) (bool, error) {
	n, err := tx.execCount(ctx, `UPDATE silences SET state = $3, remote_id = $4, last_error = $5 WHERE id = $1 AND state = $2`,
		s.ID, from, s.State, s.RemoteID, s.LastError)
	return n == 1, err
}
