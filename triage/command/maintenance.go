package command

// What people ask of maintenance; package maintenance does it.

import (
	"context"
	"time"

	"triagebot/triage"
	"triagebot/triage/access"
	"triagebot/triage/store"
)

// Maintenance is what the commands need of package maintenance. What changes
// something is called in the request's transaction.
type Maintenance interface {
	Announce(ctx context.Context, tx *store.Tx, req triage.Request, text string) (triage.Reply, error)
	// Enable proposes a window; it is not there before it is confirmed. A length
	// of 0 is the configured one.
	Enable(ctx context.Context, tx *store.Tx, req triage.Request, lasts time.Duration, reason string) (triage.Reply, error)
	Confirm(ctx context.Context, tx *store.Tx, req triage.Request, window int64) (triage.Reply, error)
	Cancel(ctx context.Context, tx *store.Tx, req triage.Request, window int64) (triage.Reply, error)
	// Adopt makes a window of one that was found open.
	Adopt(ctx context.Context, tx *store.Tx, req triage.Request, window int64) (triage.Reply, error)
	// Extend moves the end of the window; 0 is the one that is open.
	Extend(ctx context.Context, tx *store.Tx, req triage.Request, window int64, by time.Duration) (triage.Reply, error)
	// Disable ends the window, as Extend names it; override ends it though the
	// service is not ready.
	Disable(ctx context.Context, tx *store.Tx, req triage.Request, window int64, reason string, override bool) (triage.Reply, error)
	Status(ctx context.Context, tx *store.Tx, req triage.Request) (triage.Reply, error)
}

func maintenanceCommands() []spec {
	return []spec{
		{name: "status", about: "whether it is on, since when and until when", needs: access.Look, look: maintenanceStatus},
		{name: "announce", args: "TEXT", about: "tell the incident channel", sample: "maintenance of the app at 15:00 UTC", needs: access.Maintain, act: guarded(announceMaintenance)},
		{name: "enable", args: "[for 30m] REASON", about: "switch it on, after a confirmation", sample: "for 30m drain the workers", needs: access.Maintain, act: guarded(enableMaintenance)},
		{name: "extend", args: "15m", about: "move its end", needs: access.Maintain, act: guarded(extendMaintenance)},
		{name: "disable", args: "[override] [REASON]", about: "switch it off; not while the service is not ready", sample: "workers are stable", needs: access.Maintain, also: overrides, act: guarded(disableMaintenance)},
		{name: "confirm", args: "NUMBER", about: "confirm what was proposed", sample: "12", needs: access.Maintain, act: guarded(onWindow(Maintenance.Confirm))},
		{name: "cancel", args: "NUMBER", about: "take back what was proposed", sample: "12", needs: access.Maintain, act: guarded(onWindow(Maintenance.Cancel))},
		{name: "adopt", args: "NUMBER", about: "take over one that was switched on elsewhere", sample: "12", needs: access.Maintain, act: guarded(onWindow(Maintenance.Adopt))},
	}
}

// act is a command that changes something.
type act = func(ctx context.Context, c *Core, tx *store.Tx, a *ask) (triage.Reply, error)

// guarded refuses a command where no maintenance is configured, and finds the
// incident in whose thread it is asked for: its evidence has what follows.
func guarded(do act) act {
	return func(ctx context.Context, c *Core, tx *store.Tx, a *ask) (triage.Reply, error) {
		if c.Maintenance == nil {
			return noMaintenance(), nil
		}
		var err error
		if a.Incident, err = askedIn(ctx, tx, a); err != nil {
			return triage.Reply{}, err
		}
		a.about = a.Incident
		return do(ctx, c, tx, a)
	}
}

func noMaintenance() triage.Reply {
	return refused("No maintenance is configured; the maintenance section of the configuration says how it is switched, and config.example.yaml has all of it.")
}

func maintenanceStatus(ctx context.Context, c *Core, a *ask) (triage.Reply, error) {
	if c.Maintenance == nil {
		return noMaintenance(), nil
	}
	var reply triage.Reply
	err := c.Store.Tx(ctx, func(tx *store.Tx) (err error) {
		reply, err = c.Maintenance.Status(ctx, tx, a.Request)
		return err
	})
	return reply, err
}

func announceMaintenance(ctx context.Context, c *Core, tx *store.Tx, a *ask) (triage.Reply, error) {
	if a.rest == "" {
		return triage.Reply{}, unclear(a.spec, "Announce what?")
	}
	return c.Maintenance.Announce(ctx, tx, a.Request, c.Redact.Text(a.rest))
}

func enableMaintenance(ctx context.Context, c *Core, tx *store.Tx, a *ask) (triage.Reply, error) {
	lasts, err := takeFor(a)
	if err != nil {
		return triage.Reply{}, err
	}
	if a.rest == "" {
		return triage.Reply{}, unclear(a.spec, "Why? The announcement says it, and the evidence keeps it.")
	}
	return c.Maintenance.Enable(ctx, tx, a.Request, lasts, c.Redact.Text(a.rest))
}

// takeFor takes "for 30m" off the front of the words; 0 where there is none.
func takeFor(a *ask) (time.Duration, error) {
	words := a.words()
	switch {
	case len(words) == 0 || words[0] != "for":
		return 0, nil
	case len(words) == 1:
		return 0, unclear(a.spec, "For how long? Write 30m or 2h.")
	}
	d, is := length(words[1])
	if !is {
		return 0, unclear(a.spec, "For how long? %s is no duration; write 30m or 2h.", shown(words[1]))
	}
	a.skip(2)
	return d, nil
}

// isWindow says whether a word names a window as buttons do: #12.
func isWindow(w string) bool {
	_, is := number(w)
	return is && w[0] == '#'
}

// takeWindow takes the window that a button was made for off the front of the
// words; 0 where none is named. What is open by the time of the click may be
// another.
func takeWindow(a *ask) int64 {
	if !isWindow(a.first()) {
		return 0
	}
	id, _ := number(a.first())
	a.skip(1)
	return id
}

func extendMaintenance(ctx context.Context, c *Core, tx *store.Tx, a *ask) (triage.Reply, error) {
	window := takeWindow(a)
	words := a.words()
	if len(words) == 2 && words[0] == "by" {
		words = words[1:]
	}
	if len(words) != 1 {
		return triage.Reply{}, unclear(a.spec, "By how long? Write 15m.")
	}
	d, is := length(words[0])
	if !is {
		return triage.Reply{}, unclear(a.spec, "By how long? %s is no duration; write 15m.", shown(words[0]))
	}
	if err := tx.LockMaintenance(ctx); err != nil {
		return triage.Reply{}, err
	}
	switch again, err := c.twice(ctx, tx, a); {
	case err != nil:
		return triage.Reply{}, err
	case again != nil:
		return *again, nil
	}
	return c.Maintenance.Extend(ctx, tx, a.Request, window, d)
}

// overrides says that "override" takes a right of its own.
func overrides(a *ask) (access.Right, bool) {
	after := *a
	takeWindow(&after)
	return access.Override, after.first() == "override"
}

func disableMaintenance(ctx context.Context, c *Core, tx *store.Tx, a *ask) (triage.Reply, error) {
	_, override := overrides(a) // as it was when the right was asked for
	window := takeWindow(a)
	if override {
		a.skip(1)
		if a.rest == "" {
			return triage.Reply{}, unclear(a.spec, "Why end it though the service may not be ready? An override takes a reason.")
		}
	}
	return c.Maintenance.Disable(ctx, tx, a.Request, window, c.Redact.Text(a.rest), override)
}

func onWindow(do func(Maintenance, context.Context, *store.Tx, triage.Request, int64) (triage.Reply, error)) act {
	return func(ctx context.Context, c *Core, tx *store.Tx, a *ask) (triage.Reply, error) {
		id, err := takeNumber(a)
		if err != nil {
			return triage.Reply{}, err
		}
		if err := nothingLeft(a); err != nil {
			return triage.Reply{}, err
		}
		return do(c.Maintenance, ctx, tx, a.Request, id)
	}
}

// takeNumber takes a window's number off the front of the words.
func takeNumber(a *ask) (int64, error) {
	if n, is := number(a.first()); is {
		a.skip(1)
		return n, nil
	}
	return 0, unclear(a.spec, "Which one? Say its number; /maintenance status has it.")
}
