// What people may ask for: the command core, wired to what it works on.

package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-openapi/strfmt"
	amclient "github.com/prometheus/alertmanager/api/v2/client"
	promconfig "github.com/prometheus/common/config"

	httptransport "github.com/go-openapi/runtime/client"

	"triagebot/cmd/config"
	"triagebot/triage"
	"triagebot/triage/access"
	"triagebot/triage/command"
	"triagebot/triage/console"
	"triagebot/triage/incident"
	"triagebot/triage/safetext"
	"triagebot/triage/silence"
	"triagebot/triage/tracelog"
)

// openCommands makes the core. The correlator is there already.
func (a *app) openCommands() error {
	silencers := map[string]silence.Alertmanager{}
	for _, am := range a.cfg.Alertmanagers {
		client, err := alertmanagerClient(am)
		if err != nil {
			return err
		}
		silencers[am.Name] = silence.API{Client: client, ExternalURL: cmp.Or(am.ExternalURL, am.URL)}
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

// accessRules are who may what. The local channel is on loopback and knows no
// passwords: without an access section everybody there may everything.
func (a *app) accessRules() access.Rules {
	cfg := a.live.get().cfg
	rules := cfg.Access.Rules()
	if a.local == nil {
		return rules
	}
	for _, rule := range rules {
		if len(rule.Users)+len(rule.Groups) > 0 {
			return rules
		}
	}
	everybody := access.Rule{Users: []string{access.Anyone}}
	return access.Rules{access.Look: everybody, access.Respond: everybody, access.Maintain: everybody, access.Override: everybody}
}

// workspace is the one that people must belong to.
func (a *app) workspace(ctx context.Context) (string, error) {
	if team := a.live.get().cfg.Access.Workspace; team != "" {
		return team, nil
	}
	return a.slack.Team(ctx)
}

// silencer is the Alertmanager that an incident came from, or the only one.
func (a *app) silencer(inc triage.Incident) (string, bool) {
	for _, am := range a.cfg.Alertmanagers {
		if am.Sends(inc.ExternalURL) {
			return am.Name, true
		}
	}
	if len(a.cfg.Alertmanagers) == 1 && a.cfg.Alertmanagers[0].ExternalURL == "" {
		return a.cfg.Alertmanagers[0].Name, true
	}
	return "", false
}

// offers are the buttons of an incident's parent message.
func (a *app) offers(inc triage.Incident) *incident.Offers {
	if a.inbound == nil {
		return nil // nobody listens to clicks
	}
	_, silences := a.silencer(inc)
	return &incident.Offers{Silence: silences, Escalate: a.live.get().escalationNames()}
}

// pages are an incident's own pages, good from now on for as long as links are.
func (a *app) pages(inc triage.Incident) []triage.Link {
	until := time.Now().Add(a.signer.TTL)
	return []triage.Link{
		{Title: "Incident page", URL: console.IncidentURL(a.signer, inc.ID, until)},
	}
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

// requestLookup looks requests up for people, in what is configured now.
type requestLookup struct{ app *app }

const (
	lookupTimeout = 20 * time.Second
	pickWithin    = 15 * time.Minute
	picked        = 5
	maxTraceText  = 12_000 // bytes of a timeline in an answer; Slack takes no more
)

func (l requestLookup) homes() []tracelog.Home { return l.app.live.get().traces }

// Trace implements [command.Traces].
func (l requestLookup) Trace(ctx context.Context, id string) (text string, found, complete bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	trace, err := tracelog.Stitch(ctx, l.homes(), tracelog.Query{ID: id}, tracelog.StitchOptions{})
	if err != nil {
		return "", false, false, err
	}
	var b strings.Builder
	if err := trace.WriteText(&b, tracelog.TextOptions{}); err != nil {
		return "", false, false, err
	}
	text = b.String()
	if len(text) > maxTraceText {
		text = strings.ToValidUTF8(text[:maxTraceText], "") + "…\ncut here; triagebot trace " + id + " shows all of it"
	}
	return text, len(trace.Records) > 0, trace.Complete(), nil
}

// Pick implements [command.Traces].
func (l requestLookup) Pick(ctx context.Context, by, route string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	p := tracelog.Pick{By: tracelog.PickSlowest, Route: route, At: time.Now(), Within: pickWithin, N: picked}
	if by == "failing" {
		p.By = tracelog.PickFailing
	}
	found, err := tracelog.PickFrom(ctx, l.homes(), p)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, c := range found.Candidates {
		lines = append(lines, candidateLine(c))
	}
	return lines, nil
}

// candidateLine is a request in a list.
func candidateLine(c tracelog.Candidate) string {
	line := tracelog.Harmless(c.ID) + "  " + c.Time.UTC().Format("15:04:05 UTC")
	if c.Duration > 0 {
		line += "  took " + c.Duration.Round(time.Millisecond).String()
	}
	if c.Status > 0 {
		line += fmt.Sprintf("  status %d", c.Status)
	}
	for _, said := range []string{c.Route, c.Error} {
		if said != "" {
			line += "  " + safetext.Line(tracelog.Harmless(said), 120)
		}
	}
	return line
}

// alertmanagerClient is the client of an Alertmanager's API.
func alertmanagerClient(am config.Alertmanager) (*amclient.AlertmanagerAPI, error) {
	client, err := promconfig.NewClientFromConfig(*am.HTTPConfig, "alertmanager "+am.Name)
	if err != nil {
		return nil, fmt.Errorf("alertmanager %s: %w", am.Name, err)
	}
	client.Timeout = 10 * time.Second
	u, err := url.Parse(am.URL)
	if err != nil {
		return nil, fmt.Errorf("alertmanager %s: %w", am.Name, err)
	}
	return amclient.New(httptransport.NewWithClient(u.Host, u.JoinPath("/api/v2").Path, []string{u.Scheme}, client), strfmt.Default), nil
}
