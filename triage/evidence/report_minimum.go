package evidence

// The beginning of report.md: when the alerts fired and cleared, and the rest
// of the minimum set as links.

import (
	"fmt"
	"strings"

	"triagebot/triage"
)

// MaxAlerts is how many of an incident's alerts its report lists.
const MaxAlerts = 50

func (r *reportWriter) minimum(v View) {
	r.printf("## Minimum set\n\n")
	r.alerts(v)
	for _, part := range minimumOf(v).parts() {
		r.minimumPart(part)
	}
}

// alerts is the table of the times at which each alert fired and cleared.
func (r *reportWriter) alerts(v View) {
	if len(v.Alerts) == 0 { // forgotten, or none was folded yet
		r.printf("- Fired: %s\n- Cleared: %s\n", clock(v.Incident.StartedAt), cleared(v.Incident.ResolvedAt, v.Incident.State == triage.IncidentFiring))
		return
	}
	r.printf("| alert | fired | cleared |\n|---|---|---|\n")
	for _, a := range v.Alerts {
		r.printf("| %s | %s | %s |\n", r.text(alertWords(a, v.Incident)), clock(a.StartsAt), cleared(a.EndsAt, a.Status == triage.AlertFiring))
	}
	r.printf("\n")
	if more := v.Incident.Alerts - len(v.Alerts); more > 0 {
		r.printf("%d more fired and cleared.\n\n", more)
	}
}

// alertWords tells an alert from the others of its incident: its name, and the
// labels that they do not have in common.
func alertWords(a triage.Alert, inc triage.Incident) string {
	own := triage.Labels{}
	for name, value := range a.Labels {
		if common, has := inc.Labels[name]; name != "alertname" && (!has || common != value) {
			own[name] = value
		}
	}
	if len(own) == 0 {
		return a.Name()
	}
	return a.Name() + own.String()
}

func (r *reportWriter) minimumPart(part *minimumPart) {
	if len(part.files) == 0 {
		why := part.missing
		if why == "" {
			why = "no step looked at it"
		}
		r.printf("- %s: **missing**, %s\n", part.title, r.text(why))
		return
	}
	links := make([]string, len(part.files))
	for i, f := range part.files {
		title := f.step
		if f.title != "" && f.title != f.step {
			title = f.step + ", " + f.title
		}
		links[i] = fmt.Sprintf("[%s](%s)", r.text(title), f.name)
	}
	r.printf("- %s (%d): %s\n", part.title, len(links), strings.Join(links, " · "))
}
