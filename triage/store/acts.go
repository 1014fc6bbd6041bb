// Acts: what people asked for, and what came of it.

package store

import (
	"context"
	"errors"
	"time"

	"triagebot/triage"
)

// Act is a row of the audit log.
type Act struct {
	ID         int64          `json:"id"`
	Request    string         `json:"request"` // unique: the way in and the request's id
	At         time.Time      `json:"at"`
	Actor      triage.Actor   `json:"actor"`
	Text       string         `json:"text"`
	IncidentID int64          `json:"incident_id,omitempty"`
	Outcome    triage.Outcome `json:"outcome"` // "" while it is under way
	Reply      triage.Reply   `json:"reply"`
}

const actColumns = `id, request, at, actor_json, text, incident_id, outcome, reply_json`

func scanAct(s scanner) (Act, error) {
	var a Act
	var at int64
	var actor, reply string
	if err := s.Scan(&a.ID, &a.Request, &at, &actor, &a.Text, &a.IncidentID, &a.Outcome, &reply); err != nil {
		return a, err
	}
	a.At = fromMicros(at)
	return a, errors.Join(fromJSON(actor, &a.Actor), fromJSON(reply, &a.Reply))
}

// BeginAct takes the request up, and gives the act its number. Where one of the
// same id was taken up before, it returns that one's row and false: nothing is
// then to be done, for it was.
func (tx *Tx) BeginAct(ctx context.Context, a *Act) (first bool, err error) {
	id, err := one(ctx, tx, scanOf[int64], `
		INSERT INTO acts (request, at, actor_json, text) VALUES ($1, $2, $3, $4)
		ON CONFLICT (request) DO NOTHING RETURNING id`, a.Request, micros(a.At), toJSON(a.Actor), a.Text)
	switch {
	case err == nil:
		a.ID = id
		return true, nil
	case !errors.Is(err, ErrNotFound):
		return false, err
	}
	*a, err = one(ctx, tx, scanAct, `SELECT `+actColumns+` FROM acts WHERE request = $1`, a.Request)
	return false, err
}

// EndAct notes what came of a request, in the transaction that did it.
func (tx *Tx) EndAct(ctx context.Context, a Act) error {
	return tx.exec(ctx, `UPDATE acts SET incident_id = $2, outcome = $3, reply_json = $4 WHERE id = $1`,
		a.ID, a.IncidentID, a.Outcome, toJSON(a.Reply))
}

// SameAct finds the latest act besides the one given that was done since an
// instant, in the same words about the same incident; ErrNotFound where there
// is none. Call it under a lock that keeps such acts apart.
func (tx *Tx) SameAct(ctx context.Context, a Act, since time.Time) (Act, error) {
	return one(ctx, tx, scanAct, `SELECT `+actColumns+` FROM acts
		WHERE at >= $1 AND text = $2 AND incident_id = $3 AND outcome = $4 AND id <> $5 ORDER BY id DESC LIMIT 1`,
		micros(since), a.Text, a.IncidentID, triage.OutcomeDone, a.ID)
}

// ActFilter says which acts are meant; 0 means any.
type ActFilter struct {
	IncidentID int64
	Before     int64 // only those with a lower number
	Limit      int
}

// Acts reads the audit log, the newest first.
func (db *DB) Acts(ctx context.Context, f ActFilter) ([]Act, error) {
	return all(ctx, db, scanAct, `SELECT `+actColumns+` FROM acts
		WHERE ($1 = 0 OR incident_id = $1) AND ($2 = 0 OR id < $2) ORDER BY id DESC LIMIT $3`, f.IncidentID, f.Before, f.Limit)
}

// PruneActs forgets acts from before the instant, up to limit of them.
func (tx *Tx) PruneActs(ctx context.Context, before time.Time, limit int) (int64, error) {
	return tx.execCount(ctx, `DELETE FROM acts WHERE id IN (SELECT id FROM acts WHERE at < $1 ORDER BY id LIMIT $2)`, micros(before), limit)
}

// IncidentAt finds the incident whose parent message stands at a place.
func (tx *Tx) IncidentAt(ctx context.Context, place triage.RemoteRef) (int64, error) {
	return incidentAt(ctx, tx, place)
}

// IncidentAt is that of a transaction, outside of one.
func (db *DB) IncidentAt(ctx context.Context, place triage.RemoteRef) (int64, error) {
	return incidentAt(ctx, db, place)
}

func incidentAt(ctx context.Context, q queryer, place triage.RemoteRef) (int64, error) {
	return one(ctx, q, scanOf[int64], `
		SELECT incident_id FROM deliveries WHERE kind = 'parent' AND remote_channel = $1 AND remote_id = $2 AND incident_id <> 0`,
		place.Channel, place.ID)
}

// OpenIncidentsIn reads the incidents that fire and are shown in a channel, by
// the id that the notifier gave it, the newest first; of every channel for "".
func (tx *Tx) OpenIncidentsIn(ctx context.Context, channel string, limit int) ([]triage.Incident, error) {
	return openIncidentsIn(ctx, tx, channel, limit)
}

// OpenIncidentsIn is that of a transaction, outside of one.
func (db *DB) OpenIncidentsIn(ctx context.Context, channel string, limit int) ([]triage.Incident, error) {
	return openIncidentsIn(ctx, db, channel, limit)
}

func openIncidentsIn(ctx context.Context, q queryer, channel string, limit int) ([]triage.Incident, error) {
	return all(ctx, q, scanIncident, `SELECT `+incidentColumns+` FROM incidents
		WHERE state = 'firing' AND ($1 = '' OR id IN (SELECT incident_id FROM deliveries WHERE kind = 'parent' AND remote_channel = $1))
		ORDER BY id DESC LIMIT $2`, channel, limit)
}
