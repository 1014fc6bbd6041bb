package evidence

// report.md, for the person who opens the bundle next week: what happened,
// what was found, the worst first, and what is not known.

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"triagebot/triage"
)

// maxReportText bounds each text that comes from outside, in bytes.
const maxReportText = 2000

// report renders report.md.
func (s *Store) report(v View) []byte {
	r := &reportWriter{store: s}
	r.heading(v)
	r.files = make(map[string]triage.Evidence, len(v.Evidence))
	for _, e := range v.Evidence {
		r.files[e.Name] = e
	}
	for _, run := range v.Runs {
		r.run(run)
	}
	r.unknowns(v.Runs)
	r.timeline(v.Timeline)
	r.evidence(v)
	return []byte(r.String())
}

type reportWriter struct {
	strings.Builder
	store *Store
	files map[string]triage.Evidence
}

func (r *reportWriter) printf(format string, args ...any) { fmt.Fprintf(r, format, args...) }

func (r *reportWriter) heading(v View) {
	i := v.Incident
	r.printf("# Incident %d: %s\n\n", i.ID, r.text(i.Alertname))
	if impact := i.Impact(); impact != "" {
		r.printf("%s\n\n", r.text(impact))
	}
	r.minimum(v)
	r.printf("\n## Incident\n\n")
	r.printf("- State: **%s**%s\n", r.text(string(i.State)), resolutionWords(i.Resolution))
	if i.Severity != "" {
		r.printf("- Severity: %s\n", r.text(i.Severity))
	}
	r.printf("- Started: %s\n", clock(i.StartedAt))
	r.printf("- Opened here: %s%s\n", clock(i.OpenedAt), after(" (%s after it started)", i.StartedAt, i.OpenedAt))
	if !i.ResolvedAt.IsZero() {
		r.printf("- Resolved: %s%s\n", clock(i.ResolvedAt), after(" (lasted %s)", i.StartedAt, i.ResolvedAt))
	}
	if !i.ClosedAt.IsZero() {
		r.printf("- Closed: %s\n", clock(i.ClosedAt))
	}
	if i.Reopened > 0 {
		r.printf("- Times reopened: %d\n", i.Reopened)
	}
	r.printf("- Alerts: %d, of which %d fire\n", i.Alerts, i.Firing)
	if i.Truncated > 0 {
		r.printf("- %d alerts were cut off by Alertmanager (max\\_alerts)\n", i.Truncated)
	}
	if i.Playbook != "" {
		r.printf("- Playbook: %s\n", r.text(i.Playbook))
	}
	if i.GeneratorURL != "" {
		r.printf("- Alert rule: %s\n", r.link("in Prometheus", i.GeneratorURL))
	}
	for _, name := range i.Labels.Names() {
		// Together, so that the name tells the redactor of a secret.
		r.printf("- Label %s\n", r.text(name+"="+strconv.Quote(i.Labels[name])))
	}
	if !v.Sealed {
		r.printf("\nThis bundle is not sealed: more may be added.\n")
	}
}

func resolutionWords(how triage.Resolution) string {
	switch how {
	case triage.ResolvedByAlertmanager:
		return " (Alertmanager said so)"
	case triage.ResolvedByPoll:
		return " (Alertmanager no longer lists its alerts)"
	case triage.ResolvedByTTL:
		return " (nothing was heard of it any more)"
	default:
		return ""
	}
}

func (r *reportWriter) run(v RunView) {
	r.printf("\n## Run %d: %s\n\n", v.Run.ID, r.text(v.Run.Playbook))
	r.printf("Started by %s, %s; it speaks of %s.%s\n", r.text(string(v.Run.Trigger)), r.text(string(v.Run.State)), clock(v.Run.At), after(" It took %s.", v.Run.StartedAt, v.Run.FinishedAt))
	if v.Run.Error != "" {
		r.printf("\nIt could not be executed: %s\n", r.text(v.Run.Error))
	}
	if c := v.Run.Conclusion; c != nil {
		r.conclusion(c)
	}
	for _, group := range []struct {
		title string
		state triage.StepState
	}{
		{"Abnormal", triage.StepAbnormal},
		{"Unknown", triage.StepUnknown},
		{"Normal", triage.StepNormal},
		{"Skipped", triage.StepSkipped},
	} {
		first := true
		for _, f := range v.Findings {
			if f.State() != group.state {
				continue
			}
			if first {
				r.printf("\n### %s\n", group.title)
				first = false
			}
			r.finding(f)
		}
	}
}

func (r *reportWriter) conclusion(c *triage.Conclusion) {
	r.printf("\n**%s.**\n\n", r.text(c.Headline()))
	for _, part := range c.Parts() {
		r.printf("- %s: %s\n", part.Name, r.text(part.Value))
	}
}

func (r *reportWriter) finding(f triage.Finding) {
	title := titleOf(f)
	if f.Skipped != "" {
		r.printf("\n- **%s**: %s\n", r.text(title), r.text(f.Skipped))
		return
	}
	r.printf("\n**%s**: %s (%s, took %s)\n", r.text(title), r.text(f.Headline), clock(f.At), f.Took.Round(time.Millisecond))
	if f.NextStep != "" {
		r.printf("\nNext: %s\n", r.text(f.NextStep))
	}
	if len(f.Rows) > 0 {
		r.printf("\n| | value | baseline | |\n|---|---|---|---|\n")
		for _, row := range f.Rows {
			mark := ""
			if row.Abnormal {
				mark = "abnormal"
			}
			r.printf("| %s | %s | %s | %s |\n", r.text(row.Name), r.text(row.Value), r.text(row.Baseline), mark)
		}
		if f.Omitted > 0 {
			r.printf("\n%d more are in the evidence.\n", f.Omitted)
		}
	}
	var links []string
	for _, e := range f.Evidence {
		if ValidateName(e.Name) == nil {
			links = append(links, fmt.Sprintf("[%s](%s)", r.text(e.Name), e.Name))
		}
	}
	for _, l := range f.Links {
		links = append(links, r.link(l.Title, l.URL))
	}
	if len(links) > 0 {
		r.printf("\n%s\n", strings.Join(links, " · "))
	}
}

// unknowns says once more, in one place, what nobody knows and why.
func (r *reportWriter) unknowns(runs []RunView) {
	r.printf("\n## What is not known\n\n")
	none := true
	for _, run := range runs {
		if run.Run.Error != "" {
			none = false
			r.printf("- Run %d: %s\n", run.Run.ID, r.text(run.Run.Error))
		}
		for _, f := range run.Findings {
			if f.State() != triage.StepUnknown {
				continue
			}
			none = false
			r.printf("- Run %d, %s: %s", run.Run.ID, r.text(f.StepID), r.text(f.Headline))
			if f.NextStep != "" {
				r.printf(" — %s", r.text(f.NextStep))
			}
			r.printf("\n")
		}
	}
	switch {
	case len(runs) == 0:
		r.printf("Nothing was looked at: no run has finished.\n")
	case none:
		r.printf("Every step came to a conclusion.\n")
	}
}

func (r *reportWriter) timeline(entries []triage.TimelineEntry) {
	r.printf("\n## Timeline\n\n")
	if len(entries) == 0 {
		r.printf("Empty.\n")
	}
	for _, e := range entries {
		r.printf("- %s %s (%s): %s\n", clock(e.At), r.text(e.Kind), r.text(e.Actor), r.text(e.Text))
	}
}

func (r *reportWriter) evidence(v View) {
	r.printf("\n## Evidence\n\n")
	if len(v.Evidence) == 0 {
		r.printf("None.\n")
	} else {
		r.printf("| file | bytes | secrets masked | source | SHA-256 |\n|---|---|---|---|---|\n")
	}
	for _, e := range v.Evidence {
		name := r.text(e.Name)
		if ValidateName(e.Name) == nil {
			name = fmt.Sprintf("[%s](%s)", name, e.Name)
		}
		r.printf("| %s | %d | %d | %s | %s |\n", name, e.Size, e.Redactions, r.text(e.Source), r.text(e.SHA256))
	}
	r.printf("\n`triagebot evidence verify` on this folder proves it whole, by [%s](%s).\n", ManifestName, ManifestName)
}

// text is untrusted text for a place within a line of Markdown: secrets
// masked, on one line, bounded, with nothing in it that Markdown or HTML would
// act on.
func (r *reportWriter) text(s string) string {
	s = r.store.masked(strings.ToValidUTF8(s, "�"))
	if len(s) > maxReportText {
		s = strings.ToValidUTF8(s[:maxReportText], "") + "…"
	}
	var b strings.Builder
	for _, c := range s {
		switch {
		case unicode.IsSpace(c):
			b.WriteByte(' ')
		case unicode.IsControl(c), unicode.In(c, unicode.Cf): // also what turns the direction of text
			b.WriteRune('�')
		case c == '<':
			b.WriteString("&lt;")
		case c == '>':
			b.WriteString("&gt;")
		case c == '&':
			b.WriteString("&amp;")
		case strings.ContainsRune("\\`*_{}[]()#+!|~:@", c):
			// The colon and the at sign too: bare URLs and addresses become links.
			b.WriteByte('\\')
			b.WriteRune(c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// link is a link to an http URL, or its title with the URL as text.
func (r *reportWriter) link(title, target string) string {
	target = triage.Redact(r.store.masked).URL(target)
	plain := strings.HasPrefix(target, "http://") || strings.HasPrefix(target, "https://")
	if !plain || len(target) > maxReportText || strings.ContainsFunc(target, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune("()<>[]\\`\"'", c)
	}) {
		return r.text(title) + " " + r.text(target)
	}
	return "[" + r.text(title) + "](" + target + ")"
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "at an unknown time"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// cleared is when something ended; the zero time where nobody said so.
func cleared(at time.Time, firing bool) string {
	switch {
	case firing:
		return "still fires"
	case at.IsZero():
		return "presumed over, no end was told"
	default:
		return clock(at)
	}
}

// after is the time between two instants, in format; "" when one is unknown.
func after(format string, from, to time.Time) string {
	if from.IsZero() || to.IsZero() || to.Before(from) {
		return ""
	}
	return fmt.Sprintf(format, to.Sub(from).Round(time.Millisecond))
}
