// What the program still has to do, looked at from outside.

package crashtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"triagebot/cmd/internal/program"
)

// child is one process of the program.
type child struct {
	*program.Process
	w *world
}

// start runs the program, listening at the address, until the test ends at the latest.
func (w *world) start(address string) *child {
	w.t.Helper()
	config := w.write("triagebot-"+strings.ReplaceAll(address, ":", "-")+".yaml", w.config.file(address))
	return &child{binary.Serve(w.t, config, address), w}
}

// owed is what the program still has to do, as /metrics tells it.
type owed struct {
	notifications, runs, running, deliveries float64 // of the whole database
	queries                                  float64 // that this process waits for
}

// owed reads /metrics.
func (c *child) owed(ctx context.Context) (o owed, err error) {
	families, err := c.Metrics(ctx)
	if err != nil {
		return o, err
	}
	sum := func(name string, states ...string) (total float64) {
		for _, m := range families[name].GetMetric() {
			if len(states) == 0 || slices.Contains(states, m.GetLabel()[0].GetValue()) {
				total += m.GetGauge().GetValue()
			}
		}
		return total
	}
	if sum("triagebot_database_up") != 1 || families["triagebot_deliveries"] == nil {
		return o, errors.New("the database was not read for /metrics")
	}
	return owed{
		notifications: sum("triagebot_backlog_notifications"),
		runs:          sum("triagebot_runs", "pending", "running"),
		running:       sum("triagebot_runs", "running"),
		deliveries:    sum("triagebot_deliveries", "pending", "sending"),
		queries:       sum("triagebot_datasource_queries_in_flight"),
	}, nil
}

// await returns once what is owed is as wanted.
func (c *child) await(ctx context.Context, what string, wanted func(owed) bool) {
	c.w.t.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		now, err := c.owed(ctx)
		if err == nil && wanted(now) {
			return
		}
		select {
		case <-again.C:
		case <-c.Ended:
			c.w.t.Fatalf("triagebot ended: %v\n%s", c.Err, c.LastWords())
		case <-ctx.Done():
			c.w.t.Fatalf("not in time: %s; owed is %+v (%v)\n%s", what, now, err, c.LastWords())
		}
	}
}

// quietFor is longer than the program keeps a count of deliveries for /metrics.
const quietFor = 6 * time.Second

// awaitDone returns when all that was accepted is worked and shown: nothing is
// owed for a while, for the counts of one look are of several instants.
func (c *child) awaitDone(ctx context.Context) {
	c.w.t.Helper()
	quiet := time.Now()
	c.await(ctx, "all worked and shown", func(o owed) bool {
		if o != (owed{}) {
			quiet = time.Now()
		}
		return time.Since(quiet) >= quietFor
	})
}
