// Whether this replica can take notifications.

package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	readyTimeout  = 2 * time.Second
	warnTimeout   = 300 * time.Millisecond // for Slack's answer: probes give up after a second
	warningsStand = 15 * time.Second
)

// serveReady says whether notifications can be taken. Slack being away is a
// warning: what is owed to it waits in the outbox.
func (a *app) serveReady(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if err := a.db.Ping(ctx); err != nil {
		a.log.WithError(err).Warn("not ready: the database does not take writes")
		http.Error(w, "Not ready: the database does not take writes.", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "triagebot is ready.")
	if err := a.slackCheck.err(ctx, a.slack.Check, time.Now()); err != nil {
		fmt.Fprintf(w, "Warning: %v; messages wait in the outbox.\n", err)
	}
	for _, warning := range a.slackWarnings() {
		fmt.Fprintf(w, "Warning: %s.\n", warning)
	}
}

// slowCheck asks something slow for those who cannot wait: one asks, briefly and
// seldom, and the others are told what came of it last.
type slowCheck struct {
	mu   sync.Mutex
	at   time.Time
	last error
}

func (c *slowCheck) err(ctx context.Context, check func(context.Context) error, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() || now.Sub(c.at) > warningsStand {
		ctx, cancel := context.WithTimeout(ctx, warnTimeout)
		defer cancel()
		c.last, c.at = check(ctx), now
	}
	return c.last
}
