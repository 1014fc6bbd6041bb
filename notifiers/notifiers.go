// Package notifiers holds the contract between the outbox and the channels
// that messages go out on. A notifier never decides; it delivers what the
// outbox says, and reports back.
package notifiers

import (
	"context"
	"fmt"
	"time"

	"triagebot/triage"
)

// Notifier shows messages in one kind of channel.
type Notifier interface {
	// Send posts, edits (when d.Remote is set) or uploads one message.
	// checkpoint saves a note with the delivery before the next outside
	// effect, so that an attempt after a crash can go on from there. Errors
	// are *Error; any other error counts as Ambiguous.
	//
	// Where d.MayRepeat is set, an earlier attempt may be shown as another
	// message, and this one says so; of a file it then says where that is. It
	// does that too where d.ByLink is set.
	Send(ctx context.Context, d *triage.Delivery, checkpoint func(progress string) error) (Receipt, error)
	// Find looks for a message that an earlier attempt of unknown end may have
	// shown since d.TriedAt, by its nonce. found is false when it is certainly
	// not there. A Permanent error says that looking is not possible.
	Find(ctx context.Context, d *triage.Delivery) (r Receipt, found bool, err error)
}

// Receipt is what a notifier reports of a message that is shown.
type Receipt struct {
	Remote triage.RemoteRef
	// Note is said in the incident's timeline when the message was shown
	// otherwise than asked: plain text, another channel.
	Note string
}

// Reason is why a delivery did not happen, which decides what comes next.
type Reason int

// The reasons.
const (
	Ambiguous   Reason = iota // may have been shown: look before sending again
	Transient                 // certainly not shown; try again with backoff
	RateLimited               // certainly not shown; wait After, for the Scope
	Permanent                 // will never be shown like this: park it
	Gone                      // the message or its thread was deleted by somebody: give up quietly, note it
	Unreadable                // certainly not shown, for its file cannot be read now: the channel's other messages go on
)

func (r Reason) String() string {
	return [...]string{"ambiguous", "transient", "rate limited", "permanent", "gone", "unreadable"}[r]
}

// Error is a failed delivery.
type Error struct {
	Reason Reason
	// After is how long to wait, for RateLimited; 0 lets the outbox choose.
	After time.Duration
	// Scope is what a rate limit holds for, besides the delivery's channel: a
	// method of the notifier ("chat.update"). "" means the channel only.
	Scope string
	Err   error // without secrets
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Reason, e.Err) }

func (e *Error) Unwrap() error { return e.Err }
