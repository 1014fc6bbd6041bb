// The index of all bundles: what it says of each, who writes it now, and
// whether it is behind.

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"triagebot/triage"
)

// IndexBundle sets an incident's line in the index of all bundles and, soon
// after the commit, has the index written anew. Call it with what the bundle
// was published from, in the transaction of ReleaseBundle.
func (tx *Tx) IndexBundle(ctx context.Context, sum triage.BundleSummary) error {
	n, err := tx.execCount(ctx, `UPDATE bundles SET summary_json = $2 WHERE incident_id = $1`, sum.IncidentID, toJSON(sum))
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("index the bundle of incident %d: %w", sum.IncidentID, ErrNotFound)
	}
	if err := tx.exec(ctx, `UPDATE bundle_index SET changed = changed + 1`); err != nil {
		return err
	}
	return tx.enqueue(ctx, indexArgs{})
}

// IndexClaim is the right to write the index of all bundles.
type IndexClaim struct {
	ticket  int64
	changed int64 // the changes that were committed when it was claimed
}

// ErrUpToDate says that the index of all bundles has every change.
var ErrUpToDate = errors.New("the index of all bundles is up to date")

// ClaimIndex makes the caller the only one, of all replicas, that writes the
// index of all bundles, until ReleaseIndex, the end of lease, or the death of
// this replica. Read what is to be written after it. The error is ErrUpToDate
// when nothing changed since it was written, and ErrPublishing while another
// writes it.
func (db *DB) ClaimIndex(ctx context.Context, lease time.Duration) (c IndexClaim, err error) {
	if db.jobs == nil {
		return c, errors.New("claim the index of all bundles: the job engine is not set up")
	}
	err = db.Tx(ctx, func(tx *Tx) error {
		now, err := tx.sharedNow(ctx)
		if err != nil {
			return err
		}
		c, err = one(ctx, tx, scanIndexClaim, `
			UPDATE bundle_index SET publisher = $1, ticket = ticket + 1, lease_until = $2
			WHERE lease_until <= $3 AND written < changed RETURNING ticket, changed`,
			db.jobs.id, micros(now.Add(lease)), micros(now))
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		behind, err := one(ctx, tx, scanOf[int64], `SELECT changed - written FROM bundle_index`)
		switch {
		case err != nil:
			return err
		case behind == 0:
			return ErrUpToDate
		default:
			return ErrPublishing
		}
	})
	return c, err
}

func scanIndexClaim(s scanner) (c IndexClaim, err error) {
	err = s.Scan(&c.ticket, &c.changed)
	return c, err
}

// HoldsIndex says whether a claim stands: nil, or ErrPublishing when its lease
// is over or another has the index by now.
func (db *DB) HoldsIndex(ctx context.Context, c IndexClaim) error {
	return db.Tx(ctx, func(tx *Tx) error {
		now, err := tx.sharedNow(ctx)
		if err != nil {
			return err
		}
		_, err = one(ctx, tx, scanOf[int64], `SELECT ticket FROM bundle_index WHERE ticket = $1 AND lease_until > $2`, c.ticket, micros(now))
		if errors.Is(err, ErrNotFound) {
			err = ErrPublishing
		}
		return err
	})
}

// ReleaseIndex ends a claim whose index was written. What changed meanwhile has
// jobs of its own. The error is ErrPublishing when the claim was lost in between.
func (db *DB) ReleaseIndex(ctx context.Context, c IndexClaim) error {
	return db.Tx(ctx, func(tx *Tx) error {
		n, err := tx.execCount(ctx, `UPDATE bundle_index SET lease_until = 0, written = $2 WHERE ticket = $1`, c.ticket, c.changed)
		if err == nil && n == 0 {
			err = ErrPublishing
		}
		return err
	})
}

// Bundles reads the lines of the latest published bundles, up to limit, the
// newest first, and how many there are.
func (db *DB) Bundles(ctx context.Context, limit int) (latest []triage.BundleSummary, total int, err error) {
	total, err = one(ctx, db, scanOf[int], `SELECT COUNT(*) FROM bundles WHERE summary_json <> ''`)
	if err != nil {
		return nil, 0, err
	}
	latest, err = all(ctx, db, func(s scanner) (sum triage.BundleSummary, err error) {
		var text string
		if err := s.Scan(&text); err != nil {
			return sum, err
		}
		return sum, fromJSON(text, &sum)
	}, `SELECT summary_json FROM bundles WHERE summary_json <> '' ORDER BY incident_id DESC LIMIT $1`, limit)
	return latest, total, err
}
