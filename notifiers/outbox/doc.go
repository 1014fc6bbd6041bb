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
// place is adopted; absent in two looks apart, it is sent again. While a look
// is not answered, the lane's other messages go on. Where a notifier is not
// permitted to look, or none of many looks was answered, the message goes out
// again and says that it may repeat another.
//
// A file that cannot be read is not the channel's fault: its delivery alone
// waits, and after some tries it is told of by its link.
package outbox
