// Forgetting: incidents that are long closed, with all their rows. The files of
// their evidence stay where they are.

package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// prunable holds for an incident that was closed before $1 and that owes
// nothing: no run is unfinished, no message is on its way, and its bundle is
// sealed. A parked message was given up on, and does not count.
const prunable = `state = 'closed' AND closed_at < $1
	AND NOT EXISTS (SELECT 1 FROM runs WHERE incident_id = incidents.id AND state IN ('pending', 'running'))
	AND NOT EXISTS (SELECT 1 FROM deliveries WHERE incident_id = incidents.id AND state IN ('pending', 'sending'))
	AND NOT EXISTS (SELECT 1 FROM river_job WHERE kind = 'publish' AND state NOT IN ('completed', 'cancelled', 'discarded')
		AND CAST(args ->> 'incident_id' AS BIGINT) = incidents.id)`

// PrunePlace is how far PruneIncidents has come among the incidents that are to
// be forgotten. The zero value is the beginning: the one closed longest ago.
type PrunePlace struct{ closedAt, id int64 }

// PruneIncidents forgets incidents that were closed before the instant, each in
// a transaction of its own. It tries up to limit of them, from a place on. One
// with an unfinished run, an undelivered message or an unsealed bundle is left
// for later. n counts those that were forgotten, and err joins what kept the
// others. Whoever goes on at next comes past those that cannot be forgotten,
// however many they are, and, after the last, to the beginning again.
func (db *DB) PruneIncidents(ctx context.Context, before time.Time, from PrunePlace, limit int) (n int, next PrunePlace, err error) {
	places, err := all(ctx, db, scanPrunePlace, `SELECT closed_at, id FROM incidents WHERE `+prunable+`
		AND (closed_at > $2 OR closed_at = $2 AND id > $3) ORDER BY closed_at, id LIMIT $4`, micros(before), from.closedAt, from.id, limit)
	if err != nil {
		return 0, from, err
	}
	for _, place := range places {
		pruned, failed := db.pruneIncident(ctx, place.id, before)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("forget incident %d: %w", place.id, failed))
		}
		if pruned {
			n++
		}
		if next = place; ctx.Err() != nil {
			return n, next, err
		}
	}
	if len(places) < limit {
		next = PrunePlace{}
	}
	return n, next, err
}

func scanPrunePlace(s scanner) (p PrunePlace, err error) {
	err = s.Scan(&p.closedAt, &p.id)
	return p, err
}

func (db *DB) pruneIncident(ctx context.Context, id int64, before time.Time) (pruned bool, err error) {
	err = db.Tx(ctx, func(tx *Tx) error {
		if _, err := tx.LockIncident(ctx, id); errors.Is(err, ErrNotFound) {
			return nil // another replica was quicker
		} else if err != nil {
			return err
		}
		// Something may have come to be owed since it was chosen.
		still, err := all(ctx, tx, scanOf[int64], `SELECT id FROM incidents WHERE `+prunable+` AND id = $2`, micros(before), id)
		if err != nil || len(still) == 0 {
			return err
		}
		for _, table := range []string{"findings", "runs", "alerts", "evidence", "bundles", "timeline", "deliveries", "silences"} {
			if err := tx.exec(ctx, `DELETE FROM `+table+` WHERE incident_id = $1`, id); err != nil {
				return err
			}
		}
		if err := tx.exec(ctx, `UPDATE windows SET incident_id = 0 WHERE incident_id = $1`, id); err != nil {
			return err // a window has a life of its own
		}
		pruned = true
		return tx.exec(ctx, `DELETE FROM incidents WHERE id = $1`, id)
	})
	return pruned && err == nil, err
}
