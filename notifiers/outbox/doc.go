// Package outbox delivers what is owed. It takes rows of the store's outbox,
// lane by lane, hands each to its notifier, and records what became of it; it
// decides nothing about content.
//
// A lane is one channel of one notifier. A lane is worked by one worker of all
// replicas at a time, which holds its lease, and one message at a time. The
// order within it is priority, then age; replies wait for their parent.
//
// Shown exactly once: a delivery is marked as being sent before the notifier
// is called. When the end of an attempt is not known (the process died, the
// connection broke after the request went out), the delivery stays marked, and
// whoever works the lane next looks for the message by its nonce: found, its
// place is adopted; absent in two looks apart, it is sent again. Where a
// notifier is not permitted to look, urgent messages go out again with a note
// in the timeline, the others are parked.
package outbox
