// Maintenance windows and their logs. One lock keeps their transactions apart,
// for they are few and each may be the last thing between a person and an
// outage.

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"triagebot/triage"
)

const windowColumns = `id, service, state, reason, wanted, by_json, confirmed_json, ender_json, incident_id,
	created_at, changed_at, since, until, ended, override, attempt, verify_until, reminded_at, shouted_at`

// notOver holds for a window that is under way; it is that of the index
// windows_open.
const notOver = `state NOT IN ('cancelled', 'off', 'failed')`

func scanWindow(s scanner) (triage.Window, error) {
	var w triage.Window
	var by, confirmed, ender string
	var wanted, created, changed, since, until, ended, override, verify, reminded, shouted int64
	err := s.Scan(&w.ID, &w.Service, &w.State, &w.Reason, &wanted, &by, &confirmed, &ender, &w.IncidentID,
		&created, &changed, &since, &until, &ended, &override, &w.Attempt, &verify, &reminded, &shouted)
	if err != nil {
		return w, err
	}
	for _, column := range []struct {
		text string
		into *triage.Actor
	}{{by, &w.By}, {confirmed, &w.Confirmed}, {ender, &w.Ender}} {
		if err := fromJSON(column.text, column.into); err != nil {
			return w, fmt.Errorf("a person of window %d: %w", w.ID, err)
		}
	}
	w.For, w.Override = time.Duration(wanted)*time.Microsecond, override != 0
	w.CreatedAt, w.ChangedAt = fromMicros(created), fromMicros(changed)
	w.Since, w.Until, w.Ended = fromMicros(since), fromMicros(until), fromMicros(ended)
	w.VerifyUntil, w.RemindedAt, w.ShoutedAt = fromMicros(verify), fromMicros(reminded), fromMicros(shouted)
	return w, nil
}

// LockMaintenance makes this transaction the only one, of all replicas, that
// changes maintenance windows until it ends. Take it after LockCorrelation and
// before LockIncident.
func (tx *Tx) LockMaintenance(ctx context.Context) error {
	return tx.exec(ctx, `UPDATE locks SET taken_at = $1 WHERE name = 'maintenance'`, micros(tx.db.now()))
}

// OpenWindow inserts a window and gives it its number. It fails when the
// service has another that is not over. Call it under LockMaintenance.
func (tx *Tx) OpenWindow(ctx context.Context, w *triage.Window) (err error) {
	w.ID, err = one(ctx, tx, scanOf[int64], `
		INSERT INTO windows (service, state, reason, wanted, by_json, incident_id, created_at, changed_at, since, shouted_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id`,
		w.Service, w.State, w.Reason, w.For.Microseconds(), toJSON(w.By), w.IncidentID,
		micros(w.CreatedAt), micros(w.ChangedAt), micros(w.Since), micros(w.ShoutedAt))
	return err
}

// SaveWindow writes what changes over a window's life. Call it under
// LockMaintenance.
func (tx *Tx) SaveWindow(ctx context.Context, w triage.Window) error {
	override := 0
	if w.Override {
		override = 1
	}
	return tx.exec(ctx, `
		UPDATE windows SET state = $2, reason = $3, wanted = $4, by_json = $5, confirmed_json = $6, ender_json = $7,
			changed_at = $8, since = $9, until = $10, ended = $11, override = $12, attempt = $13, verify_until = $14,
			reminded_at = $15, shouted_at = $16, version = version + 1
		WHERE id = $1`,
		w.ID, w.State, w.Reason, w.For.Microseconds(), toJSON(w.By), toJSON(w.Confirmed), toJSON(w.Ender),
		micros(w.ChangedAt), micros(w.Since), micros(w.Until), micros(w.Ended), override, w.Attempt, micros(w.VerifyUntil),
		micros(w.RemindedAt), micros(w.ShoutedAt))
}

// LockWindow keeps every other transaction off the window's log until this one
// ends.
func (tx *Tx) LockWindow(ctx context.Context, id int64) (triage.Window, error) {
	return one(ctx, tx, scanWindow, `UPDATE windows SET version = version + 1 WHERE id = $1 RETURNING `+windowColumns, id)
}

// Window reads one window.
func (tx *Tx) Window(ctx context.Context, id int64) (triage.Window, error) {
	return one(ctx, tx, scanWindow, `SELECT `+windowColumns+` FROM windows WHERE id = $1`, id)
}

// Window reads one window.
func (db *DB) Window(ctx context.Context, id int64) (triage.Window, error) {
	return one(ctx, db, scanWindow, `SELECT `+windowColumns+` FROM windows WHERE id = $1`, id)
}

// LatestWindow reads the service's newest window: where one of its windows is
// not over, it is this one.
func (db *DB) LatestWindow(ctx context.Context, service string) (triage.Window, error) {
	return one(ctx, db, scanWindow, latestWindows, service, 1)
}

// LatestWindows reads the service's newest windows, the newest first.
func (tx *Tx) LatestWindows(ctx context.Context, service string, limit int) ([]triage.Window, error) {
	return all(ctx, tx, scanWindow, latestWindows, service, limit)
}

const latestWindows = `SELECT ` + windowColumns + ` FROM windows WHERE service = $1 ORDER BY id DESC LIMIT $2`

// AppendWindowLog adds a line to the window's log and says which it is. Call it
// under LockWindow.
func (tx *Tx) AppendWindowLog(ctx context.Context, e triage.WindowEntry) (seq int64, err error) {
	return one(ctx, tx, scanOf[int64], `
		INSERT INTO window_log (window_id, seq, at, kind, actor, text)
		SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4, $5 FROM window_log WHERE window_id = $1 RETURNING seq`,
		e.WindowID, micros(e.At), e.Kind, e.Actor, e.Text)
}

// WindowLog reads a window's log in order.
func (db *DB) WindowLog(ctx context.Context, windowID int64) ([]triage.WindowEntry, error) {
	return all(ctx, db, func(s scanner) (e triage.WindowEntry, err error) {
		var at int64
		err = s.Scan(&e.WindowID, &e.Seq, &at, &e.Kind, &e.Actor, &e.Text)
		e.At = fromMicros(at)
		return e, err
	}, `SELECT window_id, seq, at, kind, actor, text FROM window_log WHERE window_id = $1 ORDER BY seq`, windowID)
}

// WindowStates counts all windows by state.
func (db *DB) WindowStates(ctx context.Context) (map[string]int, error) {
	return db.countBy(ctx, `SELECT state, COUNT(*) FROM windows GROUP BY state`)
}

// PruneWindows forgets up to limit windows that were over before the instant,
// the oldest first, with their logs and messages. One with a message that is
// still owed is left for later.
func (db *DB) PruneWindows(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = db.Tx(ctx, func(tx *Tx) error {
		if err := tx.LockMaintenance(ctx); err != nil {
			return err
		}
		ids, err := all(ctx, tx, scanOf[int64], `SELECT id FROM windows WHERE NOT (`+notOver+`) AND changed_at < $1
			AND NOT EXISTS (SELECT 1 FROM deliveries WHERE window_id = windows.id AND window_id <> 0 AND state IN ('pending', 'sending'))
			ORDER BY id LIMIT $2`, micros(before), limit)
		if err != nil {
			return err
		}
		n = len(ids)
		for _, id := range ids {
			var errs []error
			for _, from := range []string{`window_log WHERE window_id`, `deliveries WHERE window_id`, `windows WHERE id`} {
				errs = append(errs, tx.exec(ctx, `DELETE FROM `+from+` = $1`, id))
			}
			if err := errors.Join(errs...); err != nil {
				return fmt.Errorf("forget window %d: %w", id, err)
			}
		}
		return nil
	})
	return n, err
}

// PruneNotices forgets up to limit messages about no incident and no window
// that were shown or given up before the instant.
func (db *DB) PruneNotices(ctx context.Context, before time.Time, limit int) error {
	return db.Tx(ctx, func(tx *Tx) error {
		return tx.exec(ctx, `DELETE FROM deliveries WHERE id IN (
			SELECT id FROM deliveries WHERE incident_id = 0 AND window_id = 0 AND state IN ('sent', 'parked') AND created_at < $1
			ORDER BY id LIMIT $2)`, micros(before), limit)
	})
}
