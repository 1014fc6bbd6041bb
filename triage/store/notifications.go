// Notifications: the inbox. A row here is what a 2xx promises.

package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"triagebot/triage/receive"
)

// ErrBacklogFull says that too many notifications wait to be folded. It is
// receive's, so that the webhook answers 503 and Alertmanager keeps them.
var ErrBacklogFull = receive.ErrBacklogFull

// backlog bounds the pending notifications. It counts them afresh now and
// then rather than at every commit.
type backlog struct {
	mu      sync.Mutex
	limit   int
	pending int
	counted time.Time
}

// backlogFresh is how long a count is trusted.
const backlogFresh = 200 * time.Millisecond

// CommitNotifications writes a batch in one transaction; when it returns nil
// every one of them is on disk.
func (db *DB) CommitNotifications(ctx context.Context, batch []receive.Raw) error {
	if err := db.admit(ctx, len(batch)); err != nil {
		return err
	}
	return db.Tx(ctx, func(tx *Tx) error {
		tx.signals[NotificationsWaiting] = true
		// Few values a statement keeps it far from either database's bound.
		const perStatement = 100
		for len(batch) > 0 {
			n := min(perStatement, len(batch))
			if err := tx.insertNotifications(ctx, batch[:n]); err != nil {
				return err
			}
			batch = batch[n:]
		}
		return nil
	})
}

func (tx *Tx) insertNotifications(ctx context.Context, batch []receive.Raw) error {
	var q strings.Builder
	q.WriteString(`INSERT INTO notifications (received_at, body) VALUES `)
	args := make([]any, 0, 2*len(batch))
	for i, raw := range batch {
		if i > 0 {
			q.WriteString(", ")
		}
		fmt.Fprintf(&q, "($%d, $%d)", 2*i+1, 2*i+2)
		args = append(args, micros(raw.ReceivedAt), raw.Body)
	}
	return tx.exec(ctx, q.String(), args...)
}

// admit refuses a batch that would take the backlog over its bound.
func (db *DB) admit(ctx context.Context, n int) error {
	b := &db.backlog
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := db.now(); now.Sub(b.counted) > backlogFresh || b.pending+n > b.limit {
		pending, err := one(ctx, db, scanOf[int], `SELECT COUNT(*) FROM notifications WHERE state = 'pending'`)
		if err != nil {
			return err
		}
		b.pending, b.counted = pending, now
	}
	if b.pending+n > b.limit {
		return ErrBacklogFull
	}
	b.pending += n
	return nil
}

// PendingNotification is one that waits to be folded into incidents.
type PendingNotification struct {
	ID         int64
	ReceivedAt time.Time
	Folded     int // alerts of it that are folded
	Body       []byte
}

// PendingNotifications reads the oldest that wait, up to limit of them or
// maxBytes of bodies, whichever comes first; at least one. Call it under
// LockCorrelation.
func (tx *Tx) PendingNotifications(ctx context.Context, limit int, maxBytes int64) ([]PendingNotification, error) {
	scan := func(s scanner) (p PendingNotification, err error) {
		var at int64
		err = s.Scan(&p.ID, &at, &p.Folded, &p.Body)
		p.ReceivedAt = fromMicros(at)
		return p, err
	}
	// Both databases sum the sizes without reading the bodies into this process.
	return all(ctx, tx, scan, `
		SELECT id, received_at, folded, body FROM notifications
		WHERE id IN (
			SELECT id FROM (
				SELECT id, SUM(LENGTH(body)) OVER (ORDER BY id) - LENGTH(body) AS before FROM (
					SELECT id, body FROM notifications WHERE state = 'pending' ORDER BY id LIMIT $1
				) AS oldest
			) AS sized WHERE before < $2
		) ORDER BY id`, limit, maxBytes)
}

// FoldedPart notes how many alerts of one that goes on waiting are folded.
func (tx *Tx) FoldedPart(ctx context.Context, id int64, folded int) error {
	return tx.exec(ctx, `UPDATE notifications SET folded = $2 WHERE id = $1`, id, folded)
}

// FoldedNotification marks one as folded. Its body is let go: what it said
// stands in alerts and in the incident's evidence.
func (tx *Tx) FoldedNotification(ctx context.Context, id int64) error {
	return tx.exec(ctx, `UPDATE notifications SET state = 'done', body = $2 WHERE id = $1`, id, []byte{})
}

// FailedNotification sets one aside that waits and cannot be folded; its body
// is kept for whoever looks into it.
func (tx *Tx) FailedNotification(ctx context.Context, id int64, cause error) error {
	// Another replica, maybe of another version, may have folded it by now.
	return tx.exec(ctx, `UPDATE notifications SET state = 'failed', error = $2 WHERE id = $1 AND state = 'pending'`, id, errorText(cause))
}

// PruneNotifications forgets the ones folded before the instant, at most limit at a time.
func (tx *Tx) PruneNotifications(ctx context.Context, before time.Time, limit int) (int64, error) {
	return tx.pruneNotifications(ctx, "done", before, limit)
}

// PruneFailedNotifications forgets the ones received before the instant that
// were set aside, at most limit at a time.
func (tx *Tx) PruneFailedNotifications(ctx context.Context, before time.Time, limit int) (int64, error) {
	return tx.pruneNotifications(ctx, "failed", before, limit)
}

func (tx *Tx) pruneNotifications(ctx context.Context, state string, before time.Time, limit int) (int64, error) {
	return tx.execCount(ctx, `DELETE FROM notifications WHERE id IN (
		SELECT id FROM notifications WHERE state = $3 AND received_at < $1 LIMIT $2)`, micros(before), limit, state)
}

// Backlog is how many notifications wait, and since when the oldest does
// (zero time when none waits).
func (db *DB) Backlog(ctx context.Context) (n int, oldest time.Time, err error) {
	type row struct {
		n  int
		at int64
	}
	r, err := one(ctx, db, func(s scanner) (r row, err error) {
		err = s.Scan(&r.n, &r.at)
		return r, err
	}, `SELECT COUNT(*), COALESCE(MIN(received_at), 0) FROM notifications WHERE state = 'pending'`)
	return r.n, fromMicros(r.at), err
}

// NotificationStates counts the notifications kept, by state.
func (db *DB) NotificationStates(ctx context.Context) (map[string]int, error) {
	return db.countBy(ctx, `SELECT state, COUNT(*) FROM notifications GROUP BY state`)
}

func (db *DB) countBy(ctx context.Context, query string) (map[string]int, error) {
	counts := map[string]int{}
	_, err := all(ctx, db, func(s scanner) (struct{}, error) {
		var name string
		var n int
		err := s.Scan(&name, &n)
		counts[name] = n
		return struct{}{}, err
	}, query)
	return counts, err
}

// Setting reads a value kept for the installation, making it with create the
// first time. Replicas that start together get the same one.
func (db *DB) Setting(ctx context.Context, name string, create func() (string, error)) (string, error) {
	value, err := one(ctx, db, scanOf[string], `SELECT value FROM settings WHERE name = $1`, name)
	if !errors.Is(err, ErrNotFound) {
		return value, err
	}
	fresh, err := create()
	if err != nil {
		return "", err
	}
	err = db.Tx(ctx, func(tx *Tx) error {
		return tx.exec(ctx, `INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, name, fresh)
	})
	if err != nil {
		return "", err
	}
	return one(ctx, db, scanOf[string], `SELECT value FROM settings WHERE name = $1`, name)
}
