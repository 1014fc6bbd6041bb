// Package maintenance turns a service's maintenance flag on and off for people,
// guarded: who asks confirms what will happen, the channel is told before
// anything is called, and the truth is a metric, never the answer of a call.
//
// Whoever asks comes by a [Service]'s operations, each in the transaction of the
// request. What they begin, a job takes further (worker.go): it records a call
// before it makes it, so that no crash has the flag toggled twice. The clock and
// the watch over the metric (watch.go) remind, say loudly what is overdue, and
// ask about a flag that changed without triagebot. The transitions of a window
// stand in one table (lifecycle.go).
package maintenance
