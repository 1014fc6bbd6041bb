// What people may ask for: the command core, wired to what it works on.

package main

import (
	"context"
	"fmt"
	"time"

	"triagebot/triage"
	"triagebot/triage/access"
	"triagebot/triage/command"
	"triagebot/triage/silence"
)

// openCommands makes the core. The correlator is there already.
func (a *app) openCommands() error {
	silencers, err := a.silencers()
	if err != nil {
		return err
	}
	a.silences = silence.New(silence.Options{
		Store: a.db, Incidents: a.correlator, Log: a.log,
		Alertmanager: func(name string) silence.Alertmanager { return silencers[name] },
	})
	a.access = access.New(access.Options{
		Rules: a.accessRules, Team: a.workspace, Directory: a.slack, KeepFor: time.Duration(a.cfg.Access.KeepFor),
	})
	opts := command.Options{
		Store: a.db, Incidents: a.correlator, Access: a.access,
		Silencer:  a.silencer,
		Contacts:  func() map[string][]triage.Contact { return contacts(a.live.get().cfg) },
		Playbooks: func() []command.Playbook { return a.live.get().listed() },
		Traces:    requestLookup{a},
		Pages:     a.pages, Waiting: a.waiting, Redact: a.redact,
		Log: a.log, Registerer: a.registry,
	}
	if a.maintenance != nil {
		opts.Maintenance = a.maintenance
	}
	a.commands = command.New(opts)
	return a.openInbound()
}

// waiting says what of triagebot itself is not well.
func (a *app) waiting(ctx context.Context) (lines []string) {
	backlog, _, err := a.db.Backlog(ctx)
	switch {
	case err != nil:
		lines = append(lines, "Its database does not answer.")
	case backlog > 0:
		lines = append(lines, fmt.Sprintf("%d notifications wait to be worked on.", backlog))
	}
	if states, err := a.db.DeliveryStates(ctx); err == nil {
		if n := states[string(triage.DeliveryPending)] + states[string(triage.DeliverySending)]; n > 0 {
			lines = append(lines, fmt.Sprintf("%d messages wait to be shown.", n))
		}
		if n := states[string(triage.DeliveryParked)]; n > 0 {
			lines = append(lines, fmt.Sprintf("%d messages could not be shown and were given up; the log says why.", n))
		}
	}
	return append(lines, a.slackWarnings()...)
}

// listed are the playbooks as people are told of them.
func (s *settings) listed() (out []command.Playbook) {
	for _, pb := range s.playbooks.All() {
		out = append(out, command.Playbook{Name: pb.Name, Title: pb.Title, Match: pb.Matches()})
	}
	return out
}
