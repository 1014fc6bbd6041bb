package command

// All commands there are, in one table: what is typed, what it does, and what it
// takes to be allowed.

import (
	"context"
	"fmt"
	"strings"

	"triagebot/triage"
	"triagebot/triage/access"
	"triagebot/triage/store"
)

// spec is one command.
type spec struct {
	group, name string
	alias       string // another name; "" for none
	args        string // as help writes them
	about       string
	sample      string // arguments of an example; "" where the command alone is one
	needs       access.Right
	// also is a right that some ways of using it take besides; nil for none.
	also func(a *ask) (access.Right, bool)
	// Exactly one is set: look changes nothing, act does, in the request's
	// transaction.
	look func(ctx context.Context, c *Core, a *ask) (triage.Reply, error)
	act  func(ctx context.Context, c *Core, tx *store.Tx, a *ask) (triage.Reply, error)
}

func (s *spec) full() string { return s.group + " " + s.name }

// usage is what is typed.
func (s *spec) usage() string { return strings.TrimSpace("/" + s.full() + " " + s.args) }

// example shows how the command is written.
func (s *spec) example() []string {
	lines := []string{"Written as: " + s.usage()}
	if s.sample != "" {
		lines = append(lines, "For example: /"+s.full()+" "+s.sample)
	}
	return lines
}

const helpName = "help"

// commands are all there are, by the word that they begin with, in the order in
// which help lists them.
func commands() map[string][]spec {
	table := map[string][]spec{
		"triage": {
			{name: "ack", args: "[INCIDENT]", about: "say that you have it", sample: "7", needs: access.Respond, act: ackIncident},
			{name: "silence", args: "FOR [INCIDENT] [COMMENT]", about: "silence its alerts in Alertmanager", sample: "2h 7 deploying the fix", needs: access.Respond, act: silenceIncident},
			{name: "rerun", args: "[INCIDENT] [at TIME]", about: "run its playbook again", sample: "7", needs: access.Respond, act: rerunIncident},
			{name: "escalate", args: "[INCIDENT] [to NAME] [REASON]", about: "tell the next people", sample: "7 to oncall still burning", needs: access.Respond, act: escalateIncident},
			{name: "run", args: "ALERTNAME [label=value …] [at TIME]", about: "run a playbook without an alert", sample: "CodexErrorRateHigh route=/v1/chat/completions at 14:05", needs: access.Respond, act: runByHand},
			{name: "trace", args: "REQ_ID", about: "one request from all logs", sample: "req_9f2c41", needs: access.Look, look: traceRequest},
			{name: "slow", args: "[route=ROUTE]", about: "the slowest requests of the last 15 minutes", sample: "route=/v1/chat/completions", needs: access.Look, look: pick("slow")},
			{name: "failing", args: "[route=ROUTE]", about: "the failed requests of the last 15 minutes", sample: "route=/v1/chat/completions", needs: access.Look, look: pick("failing")},
			{name: "incidents", about: "what fires, and what was last", needs: access.Look, look: listIncidents},
			{name: "status", args: "[INCIDENT]", about: "how triagebot is, or how one incident is", needs: access.Look, look: status},
			{name: "evidence", args: "[INCIDENT]", about: "the links to what was found", sample: "7", needs: access.Look, look: evidence},
			{name: "playbooks", about: "the playbooks and their alerts", needs: access.Look, look: listPlaybooks},
		},
		"maintenance": maintenanceCommands(),
	}
	for group, specs := range table {
		specs = append(specs, spec{name: helpName, about: "this list", needs: access.Look, look: help})
		for i := range specs {
			specs[i].group = group
		}
		table[group] = specs
	}
	return table
}

func help(_ context.Context, c *Core, a *ask) (triage.Reply, error) {
	reply := done("What you can ask of triagebot with /%s:", a.spec.group)
	if a.spec.group == "maintenance" && c.Maintenance == nil {
		reply = done("No maintenance section is configured, so these would all be refused:")
	}
	for _, s := range commands()[a.spec.group] {
		reply.Lines = append(reply.Lines, fmt.Sprintf("%-48s %s", s.usage(), s.about))
	}
	reply.Fixed = true
	if a.spec.group == "triage" {
		reply.Lines = append(reply.Lines, "",
			"INCIDENT is its number; in its thread, or where only one fires, it may be left out.",
			"In a thread, where slash commands do not work: @triagebot trace req_9f2c41",
			"Maintenance: /maintenance help")
	}
	return reply, nil
}
