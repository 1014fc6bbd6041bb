// What the program knows of an incident beside its alerts: the playbook, the
// pages, and the buttons of its parent message.

package main

import (
	"time"

	"triagebot/triage"
	"triagebot/triage/console"
	"triagebot/triage/incident"
	"triagebot/triage/playbook"
)

// parent says of an incident what its parent message says.
func (a *app) parent() incident.Parent {
	return incident.Parent{Fallback: playbook.FallbackName, About: a.aboutPlaybook, Links: a.incidentLinks, Offers: a.offers, Redact: a.redact}
}

// incidentLinks are an incident's own pages. The link ends a fixed time after
// the opening, so that it is the same in every edit of the parent message.
func (a *app) incidentLinks(inc triage.Incident) []triage.Link {
	return []triage.Link{{Title: "Incident page", URL: console.IncidentURL(a.signer, inc.ID, inc.OpenedAt.Add(a.signer.TTL))}}
}

// aboutPlaybook is what a playbook says of itself.
func (a *app) aboutPlaybook(name string) incident.About {
	pb := a.live.get().playbook(name)
	if pb == nil {
		return incident.About{}
	}
	return incident.About{Title: pb.Title, Owner: pb.Owner, Runbook: pb.Runbook}
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
