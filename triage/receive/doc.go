// Package receive takes Alertmanager's notifications in: it authenticates the
// sender, bounds and decodes the body, has it written to disk, and only then
// acknowledges it. A 2xx means that the notification is on disk; whatever
// stands in the way of that answers 503, which Alertmanager retries.
//
// Read handler.go for the way of one request, message.go for what a body may
// look like, and group.go for how concurrent notifications share one commit.
package receive
