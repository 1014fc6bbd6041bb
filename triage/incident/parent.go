// The parent message: what the channel shows of an incident at a glance.

package incident

import (
	"fmt"
	"net/url"
	"strings"

	"triagebot/triage"
)

// Parent builds parent messages.
type Parent struct {
	// Links gives an incident's own pages: its evidence bundle and such.
	// They must not change from one call to the next, or edits never end.
	Links func(inc triage.Incident) []triage.Link
	// About says what people call a playbook and whose it is; nil says nothing.
	About func(playbook string) About
	// Fallback is the name of the playbook for alerts that none matches.
	Fallback string
	// Offers are the buttons that it has besides Ack and Re-run; nil where nobody
	// listens to clicks, and then it has none.
	Offers func(inc triage.Incident) *Offers
	// Redact masks the secrets in what alerts say, which reaches the channel and
	// the timeline through it.
	Redact triage.Redact
}

// Offers are what people may do to an incident by buttons, besides taking it and
// running its playbook again.
type Offers struct {
	Silence  bool     // an Alertmanager is configured that can silence it
	Escalate []string // the names that it may be escalated to
}

// About is what a playbook says of itself; each may be "".
type About struct{ Title, Owner, Runbook string }

// maxFields is what a parent message has room for.
const maxFields = 6

// Post is the parent message of an incident as it is now, with the steps and
// findings of its latest run, and its last word, which is nil where there is none.
func (p Parent) Post(inc triage.Incident, steps []triage.StepMark, findings []triage.Finding, last *triage.Conclusion) triage.ParentPost {
	impact, _, _ := strings.Cut(inc.Impact(), "\n") // the parent has room for a line
	post := triage.ParentPost{
		IncidentID: inc.ID,
		State:      inc.State,
		Severity:   p.Redact.Text(inc.Severity),
		Alertname:  p.Redact.Text(inc.Alertname),
		Impact:     p.Redact.Text(impact),
		Fields:     fields(inc),
		Playbook:   inc.Playbook,
		NoPlaybook: inc.Playbook == p.Fallback,
		Steps:      mark(steps, findings),
		Conclusion: conclusion(steps, findings, last),
		Resolution: inc.Resolution,
		StartedAt:  inc.StartedAt,
		ResolvedAt: inc.ResolvedAt,
		Reopened:   inc.Reopened,
		Firing:     inc.Firing,
		Alerts:     inc.Alerts,
		Truncated:  inc.Truncated,
		AckedBy:    p.Redact.Text(inc.AckedBy), AckedAt: inc.AckedAt,
		SilencedUntil: inc.SilencedUntil, RequestedBy: p.Redact.Text(inc.RequestedBy),
		Choices: p.choices(inc),
	}
	var about About
	if p.About != nil && !post.NoPlaybook {
		about = p.About(inc.Playbook)
	}
	post.PlaybookTitle, post.Owner = about.Title, about.Owner
	for i, f := range post.Fields {
		post.Fields[i] = triage.Field{Name: p.Redact.Text(f.Name), Value: p.Redact.Value(f.Name, f.Value)}
	}
	post.Links = append(post.Links, annotationLinks(inc, about.Runbook)...)
	post.Links = append(post.Links, alertmanagerLinks(inc)...)
	for i := range post.Links {
		post.Links[i].URL = p.Redact.URL(post.Links[i].URL)
	}
	if p.Links != nil {
		post.Links = append(post.Links, p.Links(inc)...)
	}
	return post
}

// silenceFor are the lengths that the menu offers.
var silenceFor = [...]string{"30m", "1h", "2h", "4h", "1d"}

// choices are its buttons while it fires.
func (p Parent) choices(inc triage.Incident) []triage.Choice {
	if p.Offers == nil || inc.State != triage.IncidentFiring {
		return nil
	}
	offers := p.Offers(inc)
	if offers == nil {
		return nil
	}
	var out []triage.Choice
	if inc.AckedBy == "" {
		out = append(out, triage.Choice{Label: "Ack", Command: fmt.Sprintf("triage ack %d", inc.ID), Style: "primary"})
	}
	if offers.Silence {
		menu := triage.Choice{Label: "Silence", Command: fmt.Sprintf("triage silence %d", inc.ID)}
		for _, length := range silenceFor {
			menu.Options = append(menu.Options, triage.Choice{Label: length, Command: fmt.Sprintf("triage silence %s %d", length, inc.ID)})
		}
		menu.Options = append(menu.Options, triage.Choice{Label: "Other…"})
		out = append(out, menu)
	}
	out = append(out, triage.Choice{Label: "Re-run", Command: fmt.Sprintf("triage rerun %d", inc.ID)})
	switch names := offers.Escalate; {
	case len(names) == 1:
		out = append(out, triage.Choice{
			Label: "Escalate", Command: fmt.Sprintf("triage escalate %d to %s", inc.ID, names[0]), Style: "danger",
			Confirm: fmt.Sprintf("Tell %s of incident %d now?", names[0], inc.ID),
		})
	case len(names) > 1:
		menu := triage.Choice{Label: "Escalate", Command: fmt.Sprintf("triage escalate %d", inc.ID), Confirm: fmt.Sprintf("Tell them of incident %d now?", inc.ID)}
		for _, name := range names {
			menu.Options = append(menu.Options, triage.Choice{Label: name, Command: fmt.Sprintf("triage escalate %d to %s", inc.ID, name)})
		}
		out = append(out, menu)
	}
	return out
}

// fields are the labels that tell this incident from others: those it is
// grouped by first, then those its alerts share.
func fields(inc triage.Incident) []triage.Field {
	var out []triage.Field
	taken := map[string]bool{"alertname": true, "severity": true}
	for _, labels := range []triage.Labels{inc.GroupLabels, inc.Labels} {
		for _, name := range labels.Names() {
			if len(out) < maxFields && !taken[name] && labels[name] != "" {
				taken[name] = true
				out = append(out, triage.Field{Name: name, Value: labels[name]})
			}
		}
	}
	return out
}

// mark sets the state of each step from its finding.
func mark(steps []triage.StepMark, findings []triage.Finding) []triage.StepMark {
	states := map[string]triage.StepState{}
	for i := range findings {
		states[findings[i].StepID] = findings[i].State()
	}
	out := make([]triage.StepMark, len(steps))
	for i, s := range steps {
		if state, done := states[s.ID]; done {
			s.State = state
		}
		out[i] = s
	}
	return out
}

// conclusion says what a finished run found; nothing while it is under way.
func conclusion(steps []triage.StepMark, findings []triage.Finding, last *triage.Conclusion) string {
	if len(steps) == 0 || len(findings) < len(steps) {
		return ""
	}
	var abnormal, unknown, ran int
	first := ""
	byStep := map[string]*triage.Finding{}
	for i := range findings {
		byStep[findings[i].StepID] = &findings[i]
	}
	for _, s := range steps { // in the playbook's order, not that of finishing
		f := byStep[s.ID]
		if f == nil {
			return ""
		}
		switch f.State() {
		case triage.StepAbnormal:
			if abnormal++; first == "" {
				first = f.Headline
			}
			ran++
		case triage.StepUnknown:
			unknown++
			ran++
		case triage.StepNormal:
			ran++
		case triage.StepSkipped, triage.StepWaiting, triage.StepRunning:
		}
	}
	var text string
	switch {
	case last != nil:
		return concluded(last, abnormal, unknown, ran)
	case abnormal > 0:
		text = fmt.Sprintf("%d of %d checks abnormal: %s", abnormal, ran, first)
	case ran == 0:
		text = "No check applied."
	case unknown == ran:
		text = "No check could tell anything."
	case unknown > 0:
		text = "Nothing abnormal in what could be checked."
	default:
		text = fmt.Sprintf("All %d checks normal.", ran)
	}
	if unknown > 0 {
		text += fmt.Sprintf(" (%d could not tell; see the thread)", unknown)
	}
	return text
}

// concluded says it with the run's last word.
func concluded(last *triage.Conclusion, abnormal, unknown, ran int) string {
	text := fmt.Sprintf("%s (%d of %d checks abnormal", last.Headline(), abnormal, ran)
	if unknown > 0 {
		text += fmt.Sprintf(", %d could not tell", unknown)
	}
	text += ")."
	if last.Next != "" {
		text += " Next: " + last.Next + "."
	}
	return text
}

// annotationLinks are the links that alert authors set by convention. An alert
// without a runbook has its playbook's.
func annotationLinks(inc triage.Incident, runbook string) []triage.Link {
	var out []triage.Link
	for _, l := range []struct{ title, url string }{
		{"Runbook", inc.Annotations["runbook_url"]},
		{"Dashboard", inc.Annotations["dashboard_url"]},
	} {
		if l.title == "Runbook" && !isWeb(l.url) {
			l.url = runbook
		}
		if isWeb(l.url) {
			out = append(out, triage.Link{Title: l.title, URL: l.url})
		}
	}
	if isWeb(inc.GeneratorURL) {
		out = append(out, triage.Link{Title: "Prometheus", URL: inc.GeneratorURL})
	}
	return out
}

// alertmanagerLinks leads to a silence form that is filled in for this incident.
func alertmanagerLinks(inc triage.Incident) []triage.Link {
	if !isWeb(inc.ExternalURL) || inc.State != triage.IncidentFiring {
		return nil
	}
	matchers := triage.Labels{"alertname": inc.Alertname}
	for name, value := range inc.GroupLabels {
		matchers[name] = value
	}
	link := strings.TrimSuffix(inc.ExternalURL, "/") + "/#/silences/new?filter=" + url.QueryEscape(matchers.String())
	return []triage.Link{{Title: "Silence", URL: link}}
}

func isWeb(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
