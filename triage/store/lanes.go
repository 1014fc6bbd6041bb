// Lanes: how the outbox pays what is owed. A lane is one channel of one
// notifier; whoever holds its lease delivers in it, one message at a time.
// Replicas share leases, pacing and rate limits here. Leases go by PostgreSQL's
// clock; of the rest a difference between the replicas' clocks makes a message
// as much too early or too late.

package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"triagebot/triage"
)

// Lane names one channel of one notifier.
type Lane struct {
	Notifier string
	Channel  string // "" for a notifier without channels
}

func (l Lane) String() string {
	if l.Channel == "" {
		return l.Notifier
	}
	return l.Notifier + "/" + l.Channel
}

// Action is what a delivery asks of its notifier. Rate limits of a notifier's
// method are kept by it, for each is one method or one set of them.
type Action string

// The actions.
const (
	ActionPost Action = "post" // a message that is not shown yet
	ActionEdit Action = "edit" // one that is
	ActionFile Action = "file" // an upload
	ActionLook Action = "look" // for a message that an earlier attempt may have shown
)

// ActionOf is what sending d takes.
func ActionOf(d *triage.Delivery) Action {
	switch {
	case d.SentVersion > 0:
		return ActionEdit
	case d.Kind == triage.DeliveryFile:
		return ActionFile
	default:
		return ActionPost
	}
}

// Pace is how far apart a notifier's messages are kept.
type Pace struct {
	Post time.Duration // between two posts or uploads in one channel
	// Burst is how many of those may go at once after a channel was quiet for
	// as many times Post; 0 means 1.
	Burst int
	Edit  time.Duration // between two edits of the notifier, in all channels
}

// LaneWork is a lane in which something is owed, now or later.
type LaneWork struct {
	Lane
	Priority int // of its most urgent delivery
	Stamp    LaneStamp
}

// LaneStamp differs when something else came to be owed in a lane.
type LaneStamp struct {
	Owed, Newest, Versions int64
}

// LanesWithWork lists the lanes in which something is owed, the most urgent first.
func (db *DB) LanesWithWork(ctx context.Context) ([]LaneWork, error) {
	return all(ctx, db, func(s scanner) (w LaneWork, err error) {
		err = s.Scan(&w.Notifier, &w.Channel, &w.Priority, &w.Stamp.Owed, &w.Stamp.Newest, &w.Stamp.Versions)
		return w, err
	}, `SELECT notifier, channel, MIN(priority), COUNT(*), MAX(id), CAST(SUM(version) AS BIGINT)
		FROM deliveries WHERE state IN ('pending', 'sending') GROUP BY notifier, channel ORDER BY 3, 1, 2`)
}

// LaneLease is how long a lane stays with a worker that is not heard of any
// more: as long as the runs of a replica do, for a lease is renewed at every
// claim and during every call of a notifier, which makes it the lane's own
// heartbeat. A replica's heartbeat could not free the lane any sooner: one
// that is late must not cost a worker the lane in which it is sending.
const LaneLease = replicaDead

// Hold is a worker's wish for a lane.
type Hold struct {
	Lane
	Owner string // unique among living workers
	Lease time.Duration
	Pace  Pace
}

// Claim is what the holder of a lane does next.
type Claim struct {
	// Delivery is marked as being sent; nil when nothing is due.
	Delivery *triage.Delivery
	// Unsure says that an earlier attempt of unknown end may have shown the
	// delivery: look for it before sending it.
	Unsure bool
	// LeaseUntil is when another worker may take the lane, unless renewed, by
	// the claimer's clock.
	LeaseUntil time.Time
	// Again is when something may be due, where nothing is now; zero when
	// that takes another change.
	Again time.Time
	// Parked counts replies that were given up because their parent was.
	Parked int64
}

// errNothingDue rolls a claim back, for a commit that changes nothing costs a sync.
var errNothingDue = errors.New("nothing is due")

// Claim takes or renews the lane's lease and marks its next delivery as being
// sent, in one transaction. Attempts of unknown end come first, then what is
// due by priority and age, then attempts of unknown end that were looked for
// without an answer, for those must not hold up the rest. Replies wait until
// their parent is shown.
func (db *DB) Claim(ctx context.Context, h Hold) (Claim, error) {
	var c Claim
	err := db.Tx(ctx, func(tx *Tx) error {
		c = Claim{}
		now := db.now()
		free, err := tx.holdLane(ctx, h)
		if err != nil {
			return err
		}
		if free > 0 { // another worker has the lane
			c.Again = now.Add(free)
			return errNothingDue
		}
		c.LeaseUntil = now.Add(h.Lease)
		p, err := tx.pausesOf(ctx, h.Lane, now)
		if err != nil {
			return err
		}
		if p.channel.After(now) {
			c.Again = p.channel
			return errNothingDue
		}
		for _, claim := range []func(context.Context, Hold, pauses, *Claim) error{
			tx.claimUnsure, tx.claimDue, tx.claimUnanswered,
		} {
			if err := claim(ctx, h, p, &c); err != nil || c.Delivery != nil {
				return err
			}
		}
		if c.Again, err = tx.nextTurn(ctx, h.Lane, p); err == nil && c.Parked == 0 {
			err = errNothingDue
		}
		return err
	})
	if err != nil && !errors.Is(err, errNothingDue) {
		return Claim{}, fmt.Errorf("claim in lane %s: %w", h.Lane, err)
	}
	return c, nil
}

// holdLane takes or renews the lease, or says for how long another worker has it.
func (tx *Tx) holdLane(ctx context.Context, h Hold) (held time.Duration, err error) {
	now, err := tx.sharedNow(ctx)
	if err != nil {
		return 0, err
	}
	n, err := tx.execCount(ctx, `
		INSERT INTO lanes (notifier, channel, owner, lease_until) VALUES ($1, $2, $3, $4)
		ON CONFLICT (notifier, channel) DO UPDATE SET owner = excluded.owner, lease_until = excluded.lease_until
		WHERE lanes.owner = excluded.owner OR lanes.lease_until <= $5`,
		h.Notifier, h.Channel, h.Owner, micros(now.Add(h.Lease)), micros(now))
	if err != nil || n > 0 {
		return 0, err
	}
	until, err := one(ctx, tx, scanOf[int64], `SELECT lease_until FROM lanes WHERE notifier = $1 AND channel = $2`, h.Notifier, h.Channel)
	return max(fromMicros(until).Sub(now), time.Microsecond), err
}

// pauses are the instants before which a lane's messages may not go out.
type pauses struct {
	now     time.Time
	channel time.Time
	actions map[Action]time.Time
}

func (p pauses) paused(a Action) bool { return p.actions[a].After(p.now) }

const (
	channelScope = "channel/"
	actionScope  = "action/"
)

func (tx *Tx) pausesOf(ctx context.Context, lane Lane, now time.Time) (pauses, error) {
	p := pauses{now: now, actions: map[Action]time.Time{}}
	_, err := all(ctx, tx, func(s scanner) (struct{}, error) {
		var scope string
		var until int64
		if err := s.Scan(&scope, &until); err != nil {
			return struct{}{}, err
		}
		if action, is := strings.CutPrefix(scope, actionScope); is {
			p.actions[Action(action)] = fromMicros(until)
		} else {
			p.channel = fromMicros(until)
		}
		return struct{}{}, nil
	}, `SELECT scope, paused_until FROM rate_limits WHERE notifier = $1 AND paused_until > $2 AND (scope = $3 OR scope LIKE 'action/%')`,
		lane.Notifier, micros(now), channelScope+lane.Channel)
	if err != nil {
		return p, err
	}
	next, err := one(ctx, tx, scanOf[int64], `SELECT next_at FROM lanes WHERE notifier = $1 AND channel = $2`, lane.Notifier, lane.Channel)
	for _, a := range []Action{ActionPost, ActionFile} {
		if at := fromMicros(next); at.After(p.actions[a]) {
			p.actions[a] = at
		}
	}
	return p, err
}

// may says whether the action is not paused, as SQL takes it.
func (p pauses) may(a Action) int {
	if p.paused(a) {
		return 0
	}
	return 1
}

// claimUnsure claims a delivery whose last attempt has no known end.
func (tx *Tx) claimUnsure(ctx context.Context, h Hold, p pauses, c *Claim) error {
	return tx.claimSending(ctx, h, p, c, 0)
}

// claimUnanswered claims one that was looked for in vain.
func (tx *Tx) claimUnanswered(ctx context.Context, h Hold, p pauses, c *Claim) error {
	return tx.claimSending(ctx, h, p, c, 1)
}

// sending is the part of the conditions that makes a delivery one whose last
// attempt has no known end: the lane's holder makes one attempt at a time.
const sending = `d.notifier = $1 AND d.channel = $2 AND d.state IN ('pending', 'sending') AND d.state = 'sending'`

// claimSending claims a delivery whose last attempt has no known end. One that
// was shown before is an edit, and an edit can be repeated without looking.
func (tx *Tx) claimSending(ctx context.Context, h Hold, p pauses, c *Claim, unanswered int) error {
	for {
		d, err := one(ctx, tx, scanDelivery, `SELECT `+deliveryColumns+` FROM `+deliveryTables+`
			WHERE `+sending+` AND CASE WHEN d.looks_failed > 0 THEN 1 ELSE 0 END = $3 AND (
				(d.sent_version > 0 AND $4 = 1)
				OR (d.sent_version = 0 AND d.look_at <= $6 AND $5 = 1))
			ORDER BY d.priority, d.id LIMIT 1`,
			h.Notifier, h.Channel, unanswered, p.may(ActionEdit), p.may(ActionLook), micros(p.now))
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		mark := tx.markSending
		if d.SentVersion == 0 {
			mark = tx.markLooking
		}
		marked, err := mark(ctx, &d)
		if err != nil {
			return err
		}
		if !marked {
			continue // its body changed just now
		}
		c.Delivery, c.Unsure = &d, d.SentVersion == 0
		return nil
	}
}

// due is the part of the conditions that makes a pending delivery one whose
// turn can come: no parent, or one whose end is known.
const due = `d.notifier = $1 AND d.channel = $2 AND d.state IN ('pending', 'sending') AND d.state = 'pending'
	AND (d.parent_id = 0 OR p.sent_version > 0 OR p.state = 'parked')`

func (tx *Tx) claimDue(ctx context.Context, h Hold, p pauses, c *Claim) error {
	for {
		d, err := one(ctx, tx, scanDelivery, `SELECT `+deliveryColumns+` FROM `+deliveryTables+`
			WHERE `+due+` AND d.not_before <= $3 AND (
				(d.sent_version > 0 AND $4 = 1)
				OR (d.sent_version = 0 AND d.kind = 'file' AND $5 = 1)
				OR (d.sent_version = 0 AND d.kind <> 'file' AND $6 = 1))
			ORDER BY d.priority, d.id LIMIT 1`,
			h.Notifier, h.Channel, micros(p.now), p.may(ActionEdit), p.may(ActionFile), p.may(ActionPost))
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if isReply(&d) {
			n, err := tx.parkOrphans(ctx, d)
			if err != nil {
				return err
			}
			if c.Parked += n; n > 0 {
				continue
			}
		}
		marked, err := tx.markSending(ctx, &d)
		if err != nil {
			return err
		}
		if !marked {
			continue // its body changed just now
		}
		c.Delivery = &d
		return tx.keepPace(ctx, h, ActionOf(&d), p.now)
	}
}

// nextTurn is the earliest instant at which a pending delivery may go out or
// one of unknown end be seen to.
func (tx *Tx) nextTurn(ctx context.Context, lane Lane, p pauses) (time.Time, error) {
	var next time.Time
	_, err := all(ctx, tx, func(s scanner) (struct{}, error) {
		var action Action
		var notBefore int64
		err := s.Scan(&action, &notBefore)
		at := fromMicros(notBefore)
		if p.actions[action].After(at) {
			at = p.actions[action]
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
		return struct{}{}, err
	}, `SELECT CASE WHEN d.sent_version > 0 THEN 'edit' WHEN d.kind = 'file' THEN 'file' ELSE 'post' END, MIN(d.not_before)
		FROM `+deliveryTables+` WHERE `+due+` GROUP BY 1
		UNION ALL SELECT CASE WHEN d.sent_version > 0 THEN 'edit' ELSE 'look' END, MIN(d.look_at)
		FROM deliveries d WHERE `+sending+` GROUP BY 1`, lane.Notifier, lane.Channel)
	return next, err
}

// markSending marks the version that was read as being sent; false when it is
// not the current one any more.
func (tx *Tx) markSending(ctx context.Context, d *triage.Delivery) (bool, error) {
	d.TriedAt, d.Looks = tx.db.now(), triage.Looks{}
	return tx.mark(ctx, d, `state = 'sending', not_before = $3, tried_at = $4, look_at = 0, looks_absent = 0, looks_failed = 0`,
		int64(never), micros(d.TriedAt))
}

// markLooking is markSending for a delivery that is looked for.
func (tx *Tx) markLooking(ctx context.Context, d *triage.Delivery) (bool, error) {
	return tx.mark(ctx, d, `state = 'sending'`)
}

func (tx *Tx) mark(ctx context.Context, d *triage.Delivery, set string, args ...any) (bool, error) {
	n, err := tx.execCount(ctx, `UPDATE deliveries SET attempts = attempts + 1, `+set+` WHERE id = $1 AND version = $2`,
		append([]any{d.ID, d.Version}, args...)...)
	d.State, d.Attempts = triage.DeliverySending, d.Attempts+1
	return n > 0, err
}

// keepPace moves the instant before which nothing of the kind goes out.
func (tx *Tx) keepPace(ctx context.Context, h Hold, a Action, now time.Time) error {
	if a != ActionEdit {
		// An instant that lies behind is what is left of the burst.
		full := now.Add(-h.Pace.Post * time.Duration(max(h.Pace.Burst, 1)-1))
		return tx.exec(ctx, `
			UPDATE lanes SET next_at = CASE WHEN next_at > $3 THEN next_at ELSE $3 END + $4 WHERE notifier = $1 AND channel = $2`,
			h.Notifier, h.Channel, micros(full), h.Pace.Post.Microseconds())
	}
	if h.Pace.Edit <= 0 {
		return nil
	}
	return tx.pause(ctx, h.Notifier, actionScope+string(ActionEdit), now.Add(h.Pace.Edit))
}

// parkOrphans parks the replies under d's parent when that will not be shown,
// and says how many those were.
func (tx *Tx) parkOrphans(ctx context.Context, d triage.Delivery) (int64, error) {
	return tx.execCount(ctx, `
		UPDATE deliveries SET state = 'parked', last_error = p.reason
		FROM (
			SELECT id AS parent, CASE WHEN last_error = $3 THEN $3 ELSE $4 END AS reason FROM deliveries
			WHERE notifier = $1 AND key = $2 AND (last_error = $3 OR (state = 'parked' AND sent_version = 0))
		) AS p
		WHERE deliveries.parent_id = p.parent AND deliveries.state = 'pending'`,
		d.Notifier, subjectOf(&d).parentKey(), deletedInChannel, lostParent)
}

// RenewLane has the lease last for that long from now; false when another
// worker holds the lane by now.
func (db *DB) RenewLane(ctx context.Context, lane Lane, owner string, lease time.Duration) (bool, error) {
	var n int64
	err := db.Tx(ctx, func(tx *Tx) error {
		now, err := tx.sharedNow(ctx)
		if err != nil {
			return err
		}
		n, err = tx.execCount(ctx, `UPDATE lanes SET lease_until = $4 WHERE notifier = $1 AND channel = $2 AND owner = $3`,
			lane.Notifier, lane.Channel, owner, micros(now.Add(lease)))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("renew the lease of lane %s: %w", lane, err)
	}
	return n > 0, nil
}

// ReleaseLanes gives back every lease of a worker that stops.
func (db *DB) ReleaseLanes(ctx context.Context, owner string) error {
	return db.Tx(ctx, func(tx *Tx) error {
		return tx.exec(ctx, `UPDATE lanes SET owner = '', lease_until = 0 WHERE owner = $1`, owner)
	})
}

// Delivered records that the version claimed in d is shown. A note is said in
// the incident's timeline. Recording the same twice changes nothing.
func (db *DB) Delivered(ctx context.Context, d *triage.Delivery, remote triage.RemoteRef, note string) error {
	return db.delivered(ctx, d, d.Version, remote, note)
}

// Adopt records that a message was found which an earlier attempt had shown.
// Which version that was is not known when the body has changed since, so then
// an edit is owed.
func (db *DB) Adopt(ctx context.Context, d *triage.Delivery, remote triage.RemoteRef, note string) error {
	return db.delivered(ctx, d, max(1, d.Version-1), remote, note)
}

func (db *DB) delivered(ctx context.Context, d *triage.Delivery, version int64, remote triage.RemoteRef, note string) error {
	posted := d.Kind == triage.DeliveryParent && d.SentVersion == 0
	return db.settle(ctx, d, posted || note != "", func(tx *Tx) error {
		n, err := tx.execCount(ctx, `
			UPDATE deliveries SET sent_version = $2, state = CASE WHEN version > $2 THEN 'pending' ELSE 'sent' END,
				not_before = CASE WHEN version > $2 AND not_before = $6 THEN $3 ELSE not_before END,
				attempts = 0, sent_at = $3, remote_channel = $4, remote_id = $5, progress = '', last_error = '',
				look_at = 0, looks_absent = 0, looks_failed = 0
			WHERE id = $1 AND sent_version < $2`,
			d.ID, version, micros(db.now()), remote.Channel, remote.ID, int64(never))
		if err != nil || n == 0 {
			return err
		}
		if posted {
			if err := tx.exec(ctx, `UPDATE deliveries SET state = 'pending', last_error = '', not_before = $3
				WHERE parent_id = $1 AND state = 'parked' AND last_error = $2`, d.ID, lostParent, micros(db.now())); err != nil {
				return err
			}
			if err := tx.say(ctx, d, "posted", "Posted to "+laneOf(d).String()); err != nil {
				return err
			}
		}
		return tx.say(ctx, d, "posted", note)
	})
}

// Retry records that the attempt did not show d: it is owed at once, subject
// to its lane's pauses. A note is said in the incident's timeline.
func (db *DB) Retry(ctx context.Context, d *triage.Delivery, cause error, note string) error {
	return db.settle(ctx, d, note != "", func(tx *Tx) error {
		n, err := tx.execCount(ctx, `UPDATE deliveries SET state = 'pending', not_before = $3, last_error = $4
			WHERE id = $1 AND state = 'sending' AND attempts = $2`, d.ID, d.Attempts, micros(db.now()), errorText(cause))
		if err != nil || n == 0 {
			return err
		}
		return tx.say(ctx, d, "posted", note)
	})
}

// RetryUnread records that d was not shown because its file could not be read:
// it is owed again, not before the instant.
func (db *DB) RetryUnread(ctx context.Context, d *triage.Delivery, at time.Time, cause error) error {
	return db.settle(ctx, d, false, func(tx *Tx) error {
		return tx.exec(ctx, `UPDATE deliveries SET state = 'pending', not_before = $3, last_error = $4, unread = unread + 1
			WHERE id = $1 AND state = 'sending' AND attempts = $2`, d.ID, d.Attempts, micros(at), errorText(cause))
	})
}

// Doubt records why nobody knows whether d was shown. It stays marked as being
// sent, so that whoever claims it next looks first, not before the instant.
func (db *DB) Doubt(ctx context.Context, d *triage.Delivery, lookAt time.Time, cause error) error {
	return db.settle(ctx, d, false, func(tx *Tx) error {
		return tx.exec(ctx, `UPDATE deliveries SET look_at = $3, last_error = $4 WHERE id = $1 AND state = 'sending' AND attempts = $2`,
			d.ID, d.Attempts, micros(lookAt), errorText(cause))
	})
}

// LookAgain counts a look that did not settle whether d was shown: it had no
// answer, for the cause, or with none did not find it. The next look comes not
// before the instant.
func (db *DB) LookAgain(ctx context.Context, d *triage.Delivery, at time.Time, cause error) error {
	counted := `looks_absent = looks_absent + 1`
	if cause != nil {
		counted = `looks_failed = looks_failed + 1, last_error = $4`
	}
	return db.settle(ctx, d, false, func(tx *Tx) error {
		args := []any{d.ID, d.Attempts, micros(at)}
		if cause != nil {
			args = append(args, errorText(cause))
		}
		return tx.exec(ctx, `UPDATE deliveries SET look_at = $3, `+counted+` WHERE id = $1 AND state = 'sending' AND attempts = $2`, args...)
	})
}

// Repeat has d sent again, not before the instant, though nobody knows whether
// it was shown and it cannot be looked for. The message says so from now on. A
// note is said in the incident's timeline.
func (db *DB) Repeat(ctx context.Context, d *triage.Delivery, at time.Time, cause error, note string) error {
	return db.settle(ctx, d, note != "", func(tx *Tx) error {
		n, err := tx.execCount(ctx, `UPDATE deliveries SET state = 'pending', not_before = $3, last_error = $4,
				may_repeat = CASE WHEN may_repeat = 0 THEN tried_at ELSE may_repeat END, repeats = repeats + 1
			WHERE id = $1 AND state = 'sending' AND attempts = $2`, d.ID, d.Attempts, micros(at), errorText(cause))
		if err != nil || n == 0 {
			return err
		}
		return tx.say(ctx, d, "posted", note)
	})
}

// Park gives d up, with the replies that wait for it if it is a parent that
// was never shown, and says so in the timeline. A body that changed meanwhile
// is owed still. It returns how many deliveries were parked.
func (db *DB) Park(ctx context.Context, d *triage.Delivery, cause error) (parked int64, err error) {
	err = db.settle(ctx, d, true, func(tx *Tx) error {
		parked, err = tx.execCount(ctx, `UPDATE deliveries SET state = CASE WHEN version > $3 THEN 'pending' ELSE 'parked' END, last_error = $4
			WHERE id = $1 AND state = 'sending' AND attempts = $2`, d.ID, d.Attempts, d.Version, errorText(cause))
		if err != nil || parked == 0 {
			return err
		}
		if d.Kind == triage.DeliveryParent {
			n, err := tx.parkOrphans(ctx, *d)
			if err != nil {
				return err
			}
			parked += n
		}
		return tx.say(ctx, d, "undelivered", fmt.Sprintf("Could not show %s in %s: %s", d.Key, laneOf(d), errorText(cause)))
	})
	return parked, err
}

// Gone records that a person deleted the message that d edits, or the thread
// that it belongs in. The parent owes nothing from now on, and its replies are
// parked. It returns how many deliveries were parked.
func (db *DB) Gone(ctx context.Context, d *triage.Delivery) (parked int64, err error) {
	err = db.settle(ctx, d, true, func(tx *Tx) error {
		if d.Kind == triage.DeliveryNotice {
			parked, err = tx.parkGone(ctx, d)
			return err
		}
		n, err := tx.execCount(ctx, `UPDATE deliveries SET state = 'sent', sent_version = version, last_error = $3, not_before = $4
			WHERE notifier = $1 AND key = $2 AND last_error <> $3`, d.Notifier, subjectOf(d).parentKey(), deletedInChannel, int64(never))
		if err != nil {
			return err
		}
		if isReply(d) {
			if parked, err = tx.parkGone(ctx, d); err != nil {
				return err
			}
		}
		more, err := tx.parkOrphans(ctx, *d)
		if err != nil {
			return err
		}
		parked += more
		if n == 0 {
			return nil // said before
		}
		return tx.say(ctx, d, "undelivered", "The "+subjectOf(d).noun()+"'s message in "+laneOf(d).String()+" was deleted; nothing more is shown there")
	})
	return parked, err
}

// parkGone parks one message that has no place to stand in.
func (tx *Tx) parkGone(ctx context.Context, d *triage.Delivery) (int64, error) {
	return tx.execCount(ctx, `UPDATE deliveries SET state = 'parked', last_error = $3
		WHERE id = $1 AND state = 'sending' AND attempts = $2`, d.ID, d.Attempts, deletedInChannel)
}

// isReply says whether a message hangs under its incident's parent.
func isReply(d *triage.Delivery) bool {
	return d.Kind != triage.DeliveryParent && d.Kind != triage.DeliveryNotice
}

// settle runs fn in a transaction that first locks what d is about where fn
// writes its log.
func (db *DB) settle(ctx context.Context, d *triage.Delivery, says bool, fn func(tx *Tx) error) error {
	err := db.Tx(ctx, func(tx *Tx) error {
		if says {
			if err := tx.lockSubject(ctx, subjectOf(d)); err != nil {
				return fmt.Errorf("lock %s: %w", subjectOf(d), err)
			}
		}
		return fn(tx)
	})
	if err != nil {
		return fmt.Errorf("record what became of delivery %d: %w", d.ID, err)
	}
	return nil
}

func subjectOf(d *triage.Delivery) subject {
	return subject{incident: d.IncidentID, window: d.WindowID}
}

// lockSubject keeps every other transaction off its log.
func (tx *Tx) lockSubject(ctx context.Context, about subject) (err error) {
	switch {
	case about.window != 0:
		_, err = tx.LockWindow(ctx, about.window)
	case about.incident != 0:
		_, err = tx.LockIncident(ctx, about.incident)
	}
	return err
}

// say appends to the log of what d is about; an empty text says nothing, and
// what is about nothing has no log.
func (tx *Tx) say(ctx context.Context, d *triage.Delivery, kind, text string) error {
	const actor = "triagebot"
	switch {
	case text == "":
		return nil
	case d.WindowID != 0:
		_, err := tx.AppendWindowLog(ctx, triage.WindowEntry{WindowID: d.WindowID, At: tx.db.now(), Kind: kind, Actor: actor, Text: text})
		return err
	case d.IncidentID != 0:
		return tx.AppendTimeline(ctx, triage.TimelineEntry{IncidentID: d.IncidentID, At: tx.db.now(), Kind: kind, Actor: actor, Text: text})
	}
	return nil
}

func laneOf(d *triage.Delivery) Lane { return Lane{Notifier: d.Notifier, Channel: d.Channel} }

// errorText makes an error fit for a text column of either database: bounded,
// valid UTF-8, no NUL.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	const limit = 1000
	text := strings.ReplaceAll(err.Error(), "\x00", "")
	if len(text) > limit {
		text = text[:limit] + "…"
	}
	return strings.ToValidUTF8(text, "")
}

// Checkpoint keeps the notifier's note of a half-done delivery. It must be on
// disk before the notifier's next outside effect.
func (db *DB) Checkpoint(ctx context.Context, d *triage.Delivery, progress string) error {
	err := db.Tx(ctx, func(tx *Tx) error {
		return tx.exec(ctx, `UPDATE deliveries SET progress = $2 WHERE id = $1`, d.ID, progress)
	})
	if err != nil {
		return fmt.Errorf("checkpoint delivery %d: %w", d.ID, err)
	}
	return nil
}

// Pause holds a lane back until the instant, and with it the given actions in
// every other lane of the notifier. A longer pause stands.
func (db *DB) Pause(ctx context.Context, lane Lane, until time.Time, actions ...Action) error {
	err := db.Tx(ctx, func(tx *Tx) error {
		for _, a := range actions {
			if err := tx.pause(ctx, lane.Notifier, actionScope+string(a), until); err != nil {
				return err
			}
		}
		return tx.pause(ctx, lane.Notifier, channelScope+lane.Channel, until)
	})
	if err != nil {
		return fmt.Errorf("pause lane %s: %w", lane, err)
	}
	return nil
}

// PauseAction holds the action back until the instant in all lanes of the
// notifier. A longer pause stands.
func (db *DB) PauseAction(ctx context.Context, notifier string, a Action, until time.Time) error {
	err := db.Tx(ctx, func(tx *Tx) error { return tx.pause(ctx, notifier, actionScope+string(a), until) })
	if err != nil {
		return fmt.Errorf("pause every %s of %s: %w", a, notifier, err)
	}
	return nil
}

func (tx *Tx) pause(ctx context.Context, notifier, scope string, until time.Time) error {
	return tx.exec(ctx, `
		INSERT INTO rate_limits (notifier, scope, paused_until) VALUES ($1, $2, $3)
		ON CONFLICT (notifier, scope) DO UPDATE SET paused_until = excluded.paused_until
		WHERE rate_limits.paused_until < excluded.paused_until`, notifier, scope, micros(until))
}

// DeliveryStates counts the deliveries that are not shown, by state.
func (db *DB) DeliveryStates(ctx context.Context) (map[string]int, error) {
	counts, err := db.countBy(ctx, `
		SELECT state, COUNT(*) FROM deliveries WHERE state IN ('pending', 'sending') GROUP BY state
		UNION ALL SELECT 'parked', COUNT(*) FROM deliveries WHERE state = 'parked'`)
	if err != nil {
		return nil, fmt.Errorf("count deliveries: %w", err)
	}
	return counts, nil
}

// OldestOwed is since when the longest-waiting delivery could have been shown;
// the zero time when nothing is owed.
func (db *DB) OldestOwed(ctx context.Context) (time.Time, error) {
	at, err := one(ctx, db, scanOf[int64], `
		SELECT COALESCE(MIN(CASE WHEN sent_version = 0 THEN created_at ELSE not_before END), 0)
		FROM deliveries WHERE state IN ('pending', 'sending')`)
	if err != nil {
		return time.Time{}, fmt.Errorf("oldest delivery owed: %w", err)
	}
	if at == never {
		at = 0 // only edits, and all of them under way
	}
	return fromMicros(at), nil
}
