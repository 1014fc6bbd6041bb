// Evidence bundles: the chain of what is in them, who publishes one now, and
// which are sealed.

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"triagebot/triage"
)

var (
	// ErrSealed says that nothing is added to a bundle any more: its incident
	// is closed.
	ErrSealed = errors.New("the bundle is sealed")
	// ErrPublishing says that somebody else publishes the bundle now.
	ErrPublishing = errors.New("the bundle is being published")
)

// ClaimBundle makes the caller the only one, of all replicas, that publishes
// the incident's bundle, until ReleaseBundle, the end of lease, or the death of
// this replica. Read what is to be published after it. The error is
// ErrPublishing while another has it, and ErrSealed once a head was recorded.
func (db *DB) ClaimBundle(ctx context.Context, incidentID int64, lease time.Duration) (ticket int64, err error) {
	if db.jobs == nil {
		return 0, errors.New("claim a bundle: the job engine is not set up")
	}
	err = db.Tx(ctx, func(tx *Tx) error {
		now, err := tx.sharedNow(ctx) // replicas judge each other's leases by it
		if err != nil {
			return err
		}
		ticket, err = one(ctx, tx, scanOf[int64], `
			INSERT INTO bundles (incident_id, publisher, ticket, lease_until) VALUES ($1, $2, 1, $3)
			ON CONFLICT (incident_id) DO UPDATE SET publisher = $2, ticket = bundles.ticket + 1, lease_until = $3
				WHERE bundles.lease_until <= $4 AND bundles.head = ''
			RETURNING ticket`, incidentID, db.jobs.id, micros(now.Add(lease)), micros(now))
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		head, err := one(ctx, tx, scanOf[string], `SELECT head FROM bundles WHERE incident_id = $1`, incidentID)
		switch {
		case err != nil:
			return err
		case head != "":
			return ErrSealed
		default:
			return ErrPublishing
		}
	})
	return ticket, err
}

// HoldsBundle says whether a claim stands: nil, or ErrPublishing when its lease
// is over or another has the bundle by now. Ask before each file that is
// written, for whoever was stalled does not know for how long.
func (db *DB) HoldsBundle(ctx context.Context, incidentID, ticket int64) error {
	return db.Tx(ctx, func(tx *Tx) error {
		now, err := tx.sharedNow(ctx)
		if err != nil {
			return err
		}
		_, err = one(ctx, tx, scanOf[int64], `SELECT ticket FROM bundles WHERE incident_id = $1 AND ticket = $2 AND lease_until > $3`,
			incidentID, ticket, micros(now))
		if errors.Is(err, ErrNotFound) {
			err = ErrPublishing
		}
		return err
	})
}

// ReleaseBundle ends a claim. head is that of the sealed manifest, "" for a
// bundle that is not sealed; with it the bundle is never published again. The
// error is ErrPublishing when the claim was lost in between.
func (tx *Tx) ReleaseBundle(ctx context.Context, incidentID, ticket int64, head string) error {
	n, err := tx.execCount(ctx, `UPDATE bundles SET lease_until = 0, head = $3 WHERE incident_id = $1 AND ticket = $2`, incidentID, ticket, head)
	if err == nil && n == 0 {
		err = ErrPublishing
	}
	return err
}

// freeBundles ends the claims of replicas that are gone, that on the index of
// all bundles too.
func (tx *Tx) freeBundles(ctx context.Context) error {
	err := tx.exec(ctx, `UPDATE bundle_index SET lease_until = 0 WHERE lease_until <> 0 AND publisher NOT IN (SELECT id FROM replicas)`)
	if err != nil {
		return err
	}
	return tx.exec(ctx, `UPDATE bundles SET lease_until = 0 WHERE lease_until <> 0 AND publisher NOT IN (SELECT id FROM replicas)`)
}

// LastEvidence reads the newest entry of an incident's evidence chain; the
// zero entry when it has none. Call it under LockIncident.
func (tx *Tx) LastEvidence(ctx context.Context, incidentID int64) (triage.Evidence, error) {
	entries, err := all(ctx, tx, scanEvidence, `SELECT entry_json FROM evidence WHERE incident_id = $1 ORDER BY seq DESC LIMIT 1`, incidentID)
	if err != nil || len(entries) == 0 {
		return triage.Evidence{}, err
	}
	return entries[0], nil
}

// AppendEvidence adds an entry to the chain. Its file must be on disk by now.
// Call it under LockIncident. The error is ErrSealed when the incident is
// closed.
func (tx *Tx) AppendEvidence(ctx context.Context, e triage.Evidence) error {
	n, err := tx.execCount(ctx, `
		INSERT INTO evidence (incident_id, seq, entry_json)
		SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT 1 FROM incidents WHERE id = $1 AND state = 'closed')`,
		e.IncidentID, e.Seq, toJSON(e))
	if err == nil && n == 0 {
		err = fmt.Errorf("evidence %s of incident %d: %w", e.Name, e.IncidentID, ErrSealed)
	}
	return err
}

// Evidence reads an incident's evidence chain in order.
func (db *DB) Evidence(ctx context.Context, incidentID int64) ([]triage.Evidence, error) {
	return all(ctx, db, scanEvidence, `SELECT entry_json FROM evidence WHERE incident_id = $1 ORDER BY seq`, incidentID)
}

// SealedHead is the head of an incident's sealed bundle, "" for one that is not.
func (db *DB) SealedHead(ctx context.Context, incidentID int64) (string, error) {
	head, err := one(ctx, db, scanOf[string], `SELECT head FROM bundles WHERE incident_id = $1`, incidentID)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	return head, err
}

func scanEvidence(s scanner) (e triage.Evidence, err error) {
	var text string
	if err := s.Scan(&text); err != nil {
		return e, err
	}
	if err := fromJSON(text, &e); err != nil {
		return e, fmt.Errorf("evidence entry: %w", err)
	}
	return e, nil
}
