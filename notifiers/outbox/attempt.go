// One attempt at one delivery: sending, looking, and what follows from the end.

package outbox

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/sirupsen/logrus"

	"triagebot/notifiers"
	"triagebot/triage"
	"triagebot/triage/store"
)

const (
	// recordTimeout bounds the record of an attempt's end, which is made even
	// when the worker is being stopped.
	recordTimeout = 5 * time.Second
	// defaultPause is how long a rate limit lasts that does not say.
	defaultPause = 30 * time.Second
	// longestPause bounds a rate limit that says too much.
	longestPause = 15 * time.Minute
	// looksNeeded is how many looks must agree that a message is not there, or
	// is not for us to see: one may be too early.
	looksNeeded = 2
	// looksMade is how many looks without an answer are made for one message,
	// over some ten minutes, before it counts as one that cannot be looked for.
	looksMade = 16
	// repeatsMade is how often a message goes out again that may be shown and
	// cannot be looked for, at once and then after a longer wait each time.
	repeatsMade = 3
	repeatWait  = time.Minute
	// readsMade is how often a file is tried that cannot be read, over some two
	// minutes, before its message says where it is instead.
	readsMade = 8
)

// What became of an attempt, in triagebot_deliveries_total, besides the
// reasons of notifiers.
const (
	resultShown      = "shown"
	resultUnchanged  = "unchanged"          // the edit would have shown what is shown already
	resultAdopted    = "adopted"            // an earlier attempt had shown it
	resultAbsent     = "absent"             // an earlier attempt had not
	resultUnanswered = "look_failed"        // nobody knows yet
	resultDuplicate  = "possible_duplicate" // sent again without knowing
	resultParked     = "parked"
	resultOrphaned   = "orphaned" // parked because its parent was
)

// attempt makes one attempt at a claimed delivery and records its end. The
// error is of the record.
func (l *lane) attempt(ctx context.Context, claim store.Claim) error {
	d := claim.Delivery
	d.ByLink = d.Unread >= readsMade
	if l.shown.same(d) {
		l.metrics.result(d, resultUnchanged)
		return l.record(ctx, func(ctx context.Context) error { return l.Store.Delivered(ctx, d, d.Remote, "") })
	}
	held, release := l.keepLease(ctx, claim.LeaseUntil)
	defer release()
	call, cancel := context.WithTimeout(held, l.SendTimeout)
	defer cancel()
	if claim.Unsure {
		receipt, found, err := l.find(call, d)
		if err != nil && held.Err() != nil {
			return nil // stopped, or the lane is lost: the next owner looks
		}
		return l.record(ctx, func(ctx context.Context) error { return l.looked(ctx, d, receipt, found, err) })
	}
	receipt, err := l.send(call, d)
	return l.record(ctx, func(ctx context.Context) error { return l.sent(ctx, d, receipt, err) })
}

// record writes down an attempt's end even when the worker is being stopped:
// what is known now need not be looked for later.
func (l *lane) record(ctx context.Context, write func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	return write(ctx)
}

// send calls the notifier. A panic leaves open whether the message went out.
func (l *lane) send(ctx context.Context, d *triage.Delivery) (r notifiers.Receipt, err error) {
	defer l.recovered(d, notifiers.Ambiguous, &err)
	return l.notifier.Send(ctx, d, func(progress string) error {
		d.Progress = progress
		return l.Store.Checkpoint(ctx, d, progress)
	})
}

// find looks for the message. A notifier that panics cannot look.
func (l *lane) find(ctx context.Context, d *triage.Delivery) (r notifiers.Receipt, found bool, err error) {
	defer l.recovered(d, notifiers.Permanent, &err)
	return l.notifier.Find(ctx, d)
}

func (l *lane) recovered(d *triage.Delivery, reason notifiers.Reason, err *error) {
	if p := recover(); p != nil {
		*err = &notifiers.Error{Reason: reason, Err: fmt.Errorf("the notifier panicked: %v", p)}
		l.logOf(d).WithField("stack", string(debug.Stack())).Errorf("The notifier panicked: %v", p)
	}
}

// reasonOf classes an error of a notifier.
func reasonOf(err error) *notifiers.Error {
	var e *notifiers.Error
	if errors.As(err, &e) {
		return e
	}
	return &notifiers.Error{Reason: notifiers.Ambiguous, Err: err}
}

// sent records the end of a Send and decides when the lane goes on.
func (l *lane) sent(ctx context.Context, d *triage.Delivery, r notifiers.Receipt, err error) error {
	if err == nil {
		l.failures = 0
		l.shown.remember(d)
		l.metrics.shown(d, time.Now())
		return l.Store.Delivered(ctx, d, r.Remote, r.Note)
	}
	e := reasonOf(err)
	if e.Reason != notifiers.Permanent { // which is counted as parked
		l.metrics.result(d, metricName(e.Reason))
	}
	switch e.Reason {
	case notifiers.RateLimited:
		if err := l.pause(ctx, store.ActionOf(d), d, e); err != nil {
			return err
		}
		return l.Store.Retry(ctx, d, err, "")
	case notifiers.Permanent:
		return l.park(ctx, d, err)
	case notifiers.Gone:
		return l.gone(ctx, d)
	case notifiers.Transient:
		l.logOf(d).WithError(err).Warn("A delivery failed; its channel is tried again later")
		l.backOff()
		return l.Store.Retry(ctx, d, err, "")
	case notifiers.Unreadable:
		return l.unreadable(ctx, d, err)
	default: // Ambiguous
		if d.SentVersion > 0 { // an edit can be repeated without looking
			l.logOf(d).WithError(err).Warn("An edit may not have arrived; it is made again")
			l.backOff()
			return l.Store.Retry(ctx, d, err, "")
		}
		l.logOf(d).WithError(err).Warn("A message may have arrived; looking for it before it is sent again")
		l.failures++
		l.holdBackAgain()
		return l.Store.Doubt(ctx, d, time.Now().Add(l.LookInterval), err)
	}
}

// unreadable has only this delivery wait, for the channel works: its next
// message may need no file, or another.
func (l *lane) unreadable(ctx context.Context, d *triage.Delivery, cause error) error {
	if d.ByLink {
		return l.park(ctx, d, fmt.Errorf("the notifier reads a file that was only to be told of: %w", cause))
	}
	tries, wait := d.Unread+1, time.Duration(0)
	if tries < readsMade {
		wait = backoff(tries)
		l.logOf(d).WithError(cause).WithField("try", tries).Warn("A file cannot be read; it is tried again later")
	} else {
		l.logOf(d).WithError(cause).WithField("try", tries).Error("A file cannot be read; only its link is shown")
	}
	return l.Store.RetryUnread(ctx, d, time.Now().Add(wait), cause)
}

// looked records what a look for a message of unknown end has shown. Only this
// message waits for the next look; the lane goes on.
func (l *lane) looked(ctx context.Context, d *triage.Delivery, r notifiers.Receipt, found bool, err error) error {
	switch {
	case err == nil && found:
		l.failures = 0
		l.metrics.result(d, resultAdopted)
		return l.Store.Adopt(ctx, d, r.Remote, r.Note)
	case err == nil && d.Looks.Absent+1 < looksNeeded:
		return l.Store.LookAgain(ctx, d, time.Now().Add(l.LookInterval), nil)
	case err == nil:
		l.metrics.result(d, resultAbsent)
		l.holdBackAgain()
		return l.Store.Retry(ctx, d, errors.New("an attempt of unknown end had not shown it"), "")
	}
	e := reasonOf(err)
	failed := d.Looks.Failed + 1
	switch {
	case e.Reason == notifiers.Gone:
		l.metrics.result(d, metricName(e.Reason))
		return l.gone(ctx, d)
	case e.Reason == notifiers.Permanent && failed >= looksNeeded, failed >= looksMade:
		return l.cannotLook(ctx, d, err)
	case e.Reason == notifiers.Permanent:
		return l.Store.LookAgain(ctx, d, time.Now().Add(l.LookInterval), err)
	case e.Reason == notifiers.RateLimited:
		if err := l.pauseLooks(ctx, d, e); err != nil {
			return err
		}
	}
	l.metrics.result(d, resultUnanswered)
	l.logOf(d).WithError(err).WithField("look", failed).Warn("Cannot look for a message that may have arrived; trying again")
	return l.Store.LookAgain(ctx, d, time.Now().Add(backoff(failed)), err)
}

// cannotLook decides about a message that may be shown and cannot be looked
// for: twice is better than never, as long as the message says so. Only when
// that has no known end time and again it is given up.
func (l *lane) cannotLook(ctx context.Context, d *triage.Delivery, cause error) error {
	if d.Repeats >= repeatsMade {
		return l.park(ctx, d, fmt.Errorf("it was sent %d times, may have been shown each time, and looking for it is not possible: %w", d.Repeats+1, cause))
	}
	l.metrics.result(d, resultDuplicate)
	l.logOf(d).WithError(cause).Warn("A message may have arrived and cannot be looked for; it goes out again and says so")
	at := time.Now().Add(time.Duration(d.Repeats) * repeatWait)
	return l.Store.Repeat(ctx, d, at, cause, "Sent again to "+l.name.String()+" after an attempt of unknown end: possible duplicate")
}

func (l *lane) park(ctx context.Context, d *triage.Delivery, cause error) error {
	l.failures = 0 // the channel works
	l.metrics.result(d, resultParked)
	l.logOf(d).WithError(cause).Error("A delivery was given up")
	parked, err := l.Store.Park(ctx, d, cause)
	l.metrics.orphans(l.name, parked-1)
	return err
}

func (l *lane) gone(ctx context.Context, d *triage.Delivery) error {
	l.failures = 0 // the channel works
	l.logOf(d).Info("The message or its thread was deleted by somebody; nothing more is shown there")
	parked, err := l.Store.Gone(ctx, d)
	l.metrics.orphans(l.name, parked)
	return err
}

// pause holds back what a rate limit covers: the channel, and where the limit
// is a method's, the action everywhere.
func (l *lane) pause(ctx context.Context, a store.Action, d *triage.Delivery, e *notifiers.Error) error {
	until := l.limitedUntil(d, e)
	var actions []store.Action
	if e.Scope != "" {
		actions = append(actions, a)
	}
	return l.Store.Pause(ctx, l.name, until, actions...)
}

// pauseLooks does the same for a look, which shows nothing: a limit of its
// method does not hold up the channel's messages.
func (l *lane) pauseLooks(ctx context.Context, d *triage.Delivery, e *notifiers.Error) error {
	until := l.limitedUntil(d, e)
	if e.Scope == "" {
		return l.Store.Pause(ctx, l.name, until)
	}
	return l.Store.PauseAction(ctx, l.name.Notifier, store.ActionLook, until)
}

// limitedUntil is when a rate limit that was met now ends.
func (l *lane) limitedUntil(d *triage.Delivery, e *notifiers.Error) time.Time {
	wait := e.After
	if wait <= 0 {
		wait = defaultPause
	}
	wait = min(wait, longestPause)
	l.metrics.limited(d, e.Scope)
	l.logOf(d).WithFields(logrus.Fields{"scope": e.Scope, "for": wait}).Warn("Rate limited")
	return time.Now().Add(wait)
}

func (l *lane) logOf(d *triage.Delivery) logrus.FieldLogger {
	return l.Log.WithFields(logrus.Fields{
		"delivery": d.ID, "key": d.Key, "incident": d.IncidentID, "notifier": d.Notifier, "channel": d.Channel, "attempt": d.Attempts,
	})
}
