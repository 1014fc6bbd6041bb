// One lane: when its turn comes, and its turn.

package outbox

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"triagebot/notifiers"
	"triagebot/triage/store"
)

// turn is how many deliveries a lane makes before it lets others have its place.
const turn = 10

// lane is what this worker remembers of a lane while something is owed in it.
// The fields of the first group are the dispatcher's; those of the second
// belong to whoever works, and to the dispatcher while nobody does.
type lane struct {
	*Outbox
	name     store.Lane
	notifier notifiers.Notifier
	priority int
	listed   store.LaneStamp
	working  bool

	seen     store.LaneStamp // when its last turn began
	lastTurn time.Time
	again    time.Time // when something may be due; zero: when something changes
	heldBack time.Time // not before, whatever changes
	failures int       // in a row
}

// nextTurn is when the lane should be worked.
func (l *lane) nextTurn() time.Time {
	const farOff = 24 * time.Hour // a change in the lane comes first
	switch {
	case l.listed != l.seen:
		return l.heldBack
	case l.again.IsZero() && l.heldBack.IsZero():
		return l.lastTurn.Add(farOff)
	case l.again.After(l.heldBack):
		return l.again
	default:
		return l.heldBack
	}
}

// begin hands the lane over to whoever works it. The dispatcher calls it.
func (l *lane) begin() {
	l.working = true
	l.seen, l.lastTurn, l.again, l.heldBack = l.listed, time.Now(), time.Time{}, time.Time{}
}

// work is one turn: it delivers what is due.
func (l *lane) work(ctx context.Context) {
	for range turn {
		claim, err := l.Store.Claim(ctx, store.Hold{Lane: l.name, Owner: l.Owner, Lease: l.Lease, Pace: l.Pace[l.name.Notifier]})
		if err != nil {
			if ctx.Err() == nil {
				l.Log.WithError(err).Error("Cannot claim a delivery; trying again")
				l.backOff()
			}
			return
		}
		l.metrics.orphans(l.name, claim.Parked)
		if claim.Delivery == nil {
			l.again = claim.Again
			return
		}
		if err := l.attempt(ctx, claim); err != nil {
			// Without the record the delivery stays marked as being sent, and
			// the next claim looks for it.
			l.Log.WithError(err).WithField("delivery", claim.Delivery.ID).Error("Cannot record what became of a delivery")
			l.backOff()
		}
		if ctx.Err() != nil || !l.heldBack.IsZero() {
			return
		}
	}
	l.again = time.Now()
}

// backOff holds the whole lane back, longer after every failure in a row: what
// fails one message fails the next.
func (l *lane) backOff() {
	l.failures++
	l.holdBack(backoff(l.failures))
}

// holdBackAgain holds the lane back before a message is sent again, unless
// this was the first thing to go wrong.
func (l *lane) holdBackAgain() {
	if l.failures > 1 {
		l.holdBack(backoff(l.failures))
	}
}

func (l *lane) holdBack(d time.Duration) { l.heldBack = time.Now().Add(d) }

// backoff is 1 s after the first failure, doubling up to 60 s, of which
// between half and all is waited so that lanes and replicas spread.
func backoff(failures int) time.Duration {
	const first, longest = time.Second, 60 * time.Second
	d := longest
	if failures < 7 {
		d = min(first<<max(failures-1, 0), longest)
	}
	return d/2 + rand.N(d/2)
}

var errLaneLost = errors.New("another worker holds the lane")

// keepLease renews the lane's lease until stop is called. The context it
// returns ends well before the lease does when that fails, so that no attempt
// goes on in a lane that another worker may have taken.
func (l *lane) keepLease(ctx context.Context, until time.Time) (held context.Context, stop func()) {
	held, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		every := time.NewTicker(l.Lease / 3)
		defer every.Stop()
		for {
			select {
			case <-held.Done():
				return
			case <-every.C:
			}
			margin := until.Add(-l.Lease / 3)
			renewing, done := context.WithDeadline(held, margin)
			next := time.Now().Add(l.Lease)
			ours, err := l.Store.RenewLane(renewing, l.name, l.Owner, l.Lease)
			done()
			switch {
			case err == nil && ours:
				until = next
			case err == nil || !time.Now().Before(margin):
				cancel(errLaneLost)
				return
			}
		}
	}()
	return held, func() {
		cancel(context.Canceled)
		<-ended
	}
}
