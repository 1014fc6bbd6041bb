// Deliveries: what is owed to the notifiers. A row is one message and says
// what that message should say now; lanes.go is how the outbox pays.

package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"time"

	"triagebot/triage"
)

const (
	// never is the not_before of a row that owes nothing, so that "the earlier
	// of the two" is right for every row whose body changes.
	never = math.MaxInt64

	// deletedInChannel is the last_error of a message that a person deleted:
	// it owes nothing any more, whatever becomes of its body.
	deletedInChannel = "deleted in its channel"

	// lostParent is the last_error of a reply that was parked because its
	// parent was; it is owed again should the parent be shown after all.
	lostParent = "its thread's parent message could not be shown"
)

// subject is what a thread is about: an incident or a maintenance window, by
// its number; of the two one is set, or neither.
type subject struct{ incident, window int64 }

func (s subject) noun() string {
	if s.window != 0 {
		return "window"
	}
	return "incident"
}

func (s subject) number() string { return strconv.FormatInt(s.window+s.incident, 10) }

func (s subject) String() string { return s.noun() + " " + s.number() }

// parentKey is the key of the thread's parent message, one per notifier.
func (s subject) parentKey() string { return s.noun() + "/" + s.number() + "/parent" }

// OweParent has the incident's parent message say post: shown as soon as its
// turn comes the first time, edited later, not before notBefore. An edit that
// is already owed keeps its earlier time, so edits coalesce and an urgent one
// (notBefore is the current time) takes the others along. The same body again
// owes nothing.
//
// The message stays in the channel it was first owed to, whatever dest says
// later. One that was parked is owed again when its body changes, for the
// cause may be in the body or mended by now; one that a person deleted is not.
// Call it under LockIncident.
func (tx *Tx) OweParent(ctx context.Context, incidentID int64, dest triage.Destination, post triage.ParentPost, priority int, notBefore time.Time) error {
	return tx.oweParent(ctx, subject{incident: incidentID}, dest, triage.Post{Parent: &post}, priority, notBefore)
}

// OweWindow is OweParent of a maintenance window's one message. Call it under
// LockMaintenance.
func (tx *Tx) OweWindow(ctx context.Context, windowID int64, dest triage.Destination, post triage.WindowPost, priority int) error {
	return tx.oweParent(ctx, subject{window: windowID}, dest, triage.Post{Window: &post}, priority, tx.db.now())
}

func (tx *Tx) oweParent(ctx context.Context, about subject, dest triage.Destination, post triage.Post, priority int, notBefore time.Time) error {
	// The first worker to see version > what it sent sends again, so a row in
	// 'sending' stays there. A priority is raised while something is owed and
	// set afresh once nothing is.
	n, err := tx.execCount(ctx, `
		INSERT INTO deliveries (key, nonce, notifier, channel, incident_id, window_id, kind, priority, body_json, not_before, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (notifier, key) DO UPDATE SET
			body_json = excluded.body_json,
			version = deliveries.version + 1,
			sent_version = CASE WHEN deliveries.last_error = $12 THEN deliveries.version + 1 ELSE deliveries.sent_version END,
			state = CASE WHEN deliveries.last_error = $12 OR deliveries.state = 'sending' THEN deliveries.state ELSE 'pending' END,
			priority = CASE
				WHEN deliveries.state <> 'sent' AND deliveries.priority < excluded.priority THEN deliveries.priority
				ELSE excluded.priority END,
			not_before = CASE WHEN deliveries.not_before < excluded.not_before THEN deliveries.not_before ELSE excluded.not_before END
		WHERE deliveries.body_json <> excluded.body_json`,
		about.parentKey(), newNonce(), dest.Notifier, dest.Channel, about.incident, about.window, triage.DeliveryParent, priority,
		toJSON(post), micros(notBefore), micros(tx.db.now()), deletedInChannel)
	if err != nil {
		return fmt.Errorf("owe the parent of %s to %s: %w", about, dest.Notifier, err)
	}
	if n > 0 {
		tx.signals[DeliveriesWaiting] = true
	}
	return nil
}

// OweReply owes one message into the incident's thread, once: a key that is
// owed or was shown already changes nothing. The parent must have been owed to
// the same notifier before, and the reply goes where the parent went. Call it
// under LockIncident.
func (tx *Tx) OweReply(ctx context.Context, incidentID int64, dest triage.Destination, key string, post triage.Post, priority int) error {
	return tx.oweReply(ctx, subject{incident: incidentID}, dest, key, post, priority)
}

// OweWindowReply is OweReply into a maintenance window's thread. Call it under
// LockMaintenance.
func (tx *Tx) OweWindowReply(ctx context.Context, windowID int64, dest triage.Destination, key string, post triage.Post, priority int) error {
	return tx.oweReply(ctx, subject{window: windowID}, dest, key, post, priority)
}

func (tx *Tx) oweReply(ctx context.Context, about subject, dest triage.Destination, key string, post triage.Post, priority int) error {
	kind := triage.DeliveryReply
	if post.File != nil {
		kind = triage.DeliveryFile
	}
	type parent struct {
		id      int64
		channel string
	}
	p, err := one(ctx, tx, func(s scanner) (parent, error) {
		var p parent
		err := s.Scan(&p.id, &p.channel)
		return p, err
	}, `SELECT id, channel FROM deliveries WHERE notifier = $1 AND key = $2`, dest.Notifier, about.parentKey())
	if err != nil {
		return fmt.Errorf("owe %s to %s: the parent message of %s: %w", key, dest.Notifier, about, err)
	}
	return tx.oweOnce(ctx, p.id, &triage.Delivery{
		Key: key, Notifier: dest.Notifier, Channel: p.channel, IncidentID: about.incident, WindowID: about.window,
		Kind: kind, Priority: priority, Body: post,
	})
}

// OweNotice owes one message that stands on its own, once: a key that is owed or
// was shown already changes nothing. Call it under LockIncident, unless the
// message is about no incident: then incidentID is 0.
func (tx *Tx) OweNotice(ctx context.Context, incidentID int64, dest triage.Destination, key string, post triage.Post, priority int) error {
	return tx.oweOnce(ctx, 0, &triage.Delivery{
		Key: key, Notifier: dest.Notifier, Channel: dest.Channel, IncidentID: incidentID,
		Kind: triage.DeliveryNotice, Priority: priority, Body: post,
	})
}

// oweOnce owes a message under its parent, 0 for one that stands on its own.
func (tx *Tx) oweOnce(ctx context.Context, parentID int64, d *triage.Delivery) error {
	n, err := tx.execCount(ctx, `
		INSERT INTO deliveries (key, nonce, notifier, channel, incident_id, window_id, kind, parent_id, priority, body_json, not_before, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
		ON CONFLICT (notifier, key) DO NOTHING`,
		d.Key, newNonce(), d.Notifier, d.Channel, d.IncidentID, d.WindowID, d.Kind, parentID, d.Priority, toJSON(d.Body), micros(tx.db.now()))
	if err != nil {
		return fmt.Errorf("owe %s to %s: %w", d.Key, d.Notifier, err)
	}
	if n > 0 {
		tx.signals[DeliveriesWaiting] = true
	}
	return nil
}

// newNonce makes what a message is found again by: 128 random bits, in hex.
func newNonce() string {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // documented never to fail
	return hex.EncodeToString(b[:])
}

// Destinations reads where the incident's parent messages are owed.
func (tx *Tx) Destinations(ctx context.Context, incidentID int64) ([]triage.Destination, error) {
	return all(ctx, tx, func(s scanner) (d triage.Destination, err error) {
		err = s.Scan(&d.Notifier, &d.Channel)
		return d, err
	}, `SELECT notifier, channel FROM deliveries WHERE incident_id = $1 AND kind = 'parent' ORDER BY id`, incidentID)
}

// deliveryColumns go with deliveryTables: the parent tells where the thread is.
const (
	deliveryColumns = `d.id, d.key, d.nonce, d.notifier, d.channel, d.incident_id, d.window_id, d.kind, d.priority, d.body_json,
		d.version, d.sent_version, d.state, d.attempts, d.not_before, d.created_at, d.sent_at,
		d.remote_channel, d.remote_id, d.progress, d.last_error,
		d.tried_at, d.looks_absent, d.looks_failed, d.may_repeat, d.repeats, d.unread,
		COALESCE(p.remote_channel, ''), COALESCE(p.remote_id, '')`
	deliveryTables = `deliveries d LEFT JOIN deliveries p ON p.id = d.parent_id`
)

func scanDelivery(s scanner) (triage.Delivery, error) {
	var d triage.Delivery
	var body string
	var notBefore, created, sent, tried, mayRepeat int64
	err := s.Scan(&d.ID, &d.Key, &d.Nonce, &d.Notifier, &d.Channel, &d.IncidentID, &d.WindowID, &d.Kind, &d.Priority, &body,
		&d.Version, &d.SentVersion, &d.State, &d.Attempts, &notBefore, &created, &sent,
		&d.Remote.Channel, &d.Remote.ID, &d.Progress, &d.LastError,
		&tried, &d.Looks.Absent, &d.Looks.Failed, &mayRepeat, &d.Repeats, &d.Unread, &d.Thread.Channel, &d.Thread.ID)
	if err != nil {
		return d, err
	}
	if notBefore != never {
		d.NotBefore = fromMicros(notBefore)
	}
	d.CreatedAt, d.SentAt = fromMicros(created), fromMicros(sent)
	d.TriedAt, d.MayRepeat = fromMicros(tried), fromMicros(mayRepeat)
	if err := fromJSON(body, &d.Body); err != nil {
		return d, fmt.Errorf("body of delivery %d: %w", d.ID, err)
	}
	return d, nil
}

// DeliveriesOf reads an incident's deliveries in the order in which they came
// to be owed.
func (tx *Tx) DeliveriesOf(ctx context.Context, incidentID int64) ([]triage.Delivery, error) {
	return deliveriesOf(ctx, tx, incidentID)
}

// DeliveriesOfWindow reads a maintenance window's deliveries in the order in
// which they came to be owed.
func (db *DB) DeliveriesOfWindow(ctx context.Context, windowID int64) ([]triage.Delivery, error) {
	return all(ctx, db, scanDelivery, `SELECT `+deliveryColumns+` FROM `+deliveryTables+` WHERE d.window_id = $1 ORDER BY d.id`, windowID)
}

// DeliveriesOf reads an incident's deliveries in the order in which they came
// to be owed.
func (db *DB) DeliveriesOf(ctx context.Context, incidentID int64) ([]triage.Delivery, error) {
	return deliveriesOf(ctx, db, incidentID)
}

func deliveriesOf(ctx context.Context, q queryer, incidentID int64) ([]triage.Delivery, error) {
	return all(ctx, q, scanDelivery, `SELECT `+deliveryColumns+` FROM `+deliveryTables+` WHERE d.incident_id = $1 ORDER BY d.id`, incidentID)
}
