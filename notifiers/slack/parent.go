package slack

// The incident's parent message: what fires, what is known, what is running.
// At most 8 blocks: header, impact with who has it, fields, steps, conclusion,
// links, context, buttons.

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"triagebot/triage"
)

// Lengths within a parent, in characters.
const (
	maxImpact     = 300
	maxConclusion = 500
	maxFields     = 6
	maxFieldName  = 60
	maxFieldValue = 300
	maxSeverity   = 20
	maxName       = 80 // of an alert in a sentence, of a playbook
	maxStepMarks  = 40
	maxRunning    = 3 // steps named as running
	maxStepID     = 40
)

func renderParent(p *triage.ParentPost) message {
	var blocks []slack.Block
	var long lines

	header := parentHeader(p)
	blocks = append(blocks, slack.NewHeaderBlock(plainText(header)))
	long.add(header)

	var top []slack.RichTextElement
	if strings.TrimSpace(p.Impact) != "" {
		impact := line(p.Impact, maxImpact)
		top = append(top, slack.NewRichTextSection(plain(impact)))
		long.add(impact)
	}
	if people := parentPeople(p); people != nil {
		top = append(top, people)
		long.add(peopleWords(p, " · "))
	}
	if top != nil {
		blocks = append(blocks, richText(top...))
	}
	if fields := parentFields(p.Fields); len(fields) > 0 {
		objects := make([]*slack.TextBlockObject, 0, len(fields))
		for _, f := range fields {
			objects = append(objects, plainText(f))
			long.add(f)
		}
		blocks = append(blocks, slack.NewSectionBlock(nil, objects, nil))
	}
	if steps := stepLine(p.Steps); steps != "" {
		blocks = append(blocks, richText(slack.NewRichTextSection(plain(steps))))
		long.add(steps)
	}
	if said := conclusion(p); said != "" {
		blocks = append(blocks, richText(slack.NewRichTextSection(bold(said))))
		long.add(said)
	}
	if links := linkLine(p.Links); links != nil {
		blocks = append(blocks, richText(links))
		long.addLinks(p.Links)
	}
	blocks = append(blocks, parentContext(p))
	long.add(alertCount(p) + " · started " + p.StartedAt.UTC().Format("2006-01-02 15:04:05 UTC"))
	if buttons := actions(p.Choices, p.IncidentID); buttons != nil {
		blocks = append(blocks, buttons)
	}

	return message{sentence: parentSentence(p), long: long.String(), blocks: blocks}
}

// parentHeader says the status in a sign and in words: a colour alone is
// nothing to those who do not see it.
func parentHeader(p *triage.ParentPost) string {
	head := statusWords(p) + " — "
	// The header's own limit counts the signs too.
	return head + line(p.Alertname, maxHeader-len([]rune(head)))
}

func statusWords(p *triage.ParentPost) string {
	if p.RequestedBy != "" { // nothing fired, so nothing resolves
		return "🧭 RUN BY HAND"
	}
	severity := ""
	if p.Severity != "" {
		severity = strings.ToUpper(line(p.Severity, maxSeverity))
	}
	switch p.State {
	case triage.IncidentResolved, triage.IncidentClosed:
		words := "✅ " + strings.ToUpper(string(p.State))
		if severity != "" {
			words += " · was " + severity
		}
		return words
	case triage.IncidentFiring:
		if severity == "" {
			return severitySign(p.Severity) + " FIRING"
		}
		return severitySign(p.Severity) + " " + severity + " · FIRING"
	}
	return "❔ " + strings.ToUpper(line(string(p.State), maxSeverity))
}

// severitySign is a severity's sign; the ranks are those of triage.SeverityRank.
func severitySign(severity string) string {
	switch rank := triage.SeverityRank(severity); {
	case rank <= triage.SeverityRank("page"):
		return "🔴"
	case rank <= triage.SeverityRank("high"):
		return "🟠"
	case severity != "" && rank >= triage.SeverityRank("info"):
		return "🔵"
	}
	return "🟡"
}

func parentFields(fields []triage.Field) []string {
	var out []string
	for _, f := range fields[:min(len(fields), maxFields)] {
		out = append(out, line(f.Name, maxFieldName)+": "+line(f.Value, maxFieldValue))
	}
	return out
}

// stepSign is how the step line shows a state.
func stepSign(s triage.StepState) string {
	switch s {
	case triage.StepNormal:
		return "✅"
	case triage.StepAbnormal:
		return "🔺"
	case triage.StepUnknown:
		return "❔"
	case triage.StepSkipped:
		return "➖"
	case triage.StepRunning:
		return "⏳"
	}
	return "▫️"
}

// progress counts steps by what they came to.
type progress struct {
	done, abnormal, unknown int
	running                 []string
}

func progressOf(steps []triage.StepMark) progress {
	var p progress
	for _, s := range steps {
		switch s.State {
		case triage.StepWaiting:
			continue
		case triage.StepRunning:
			p.running = append(p.running, s.ID)
			continue
		case triage.StepAbnormal:
			p.abnormal++
		case triage.StepUnknown:
			p.unknown++
		}
		p.done++
	}
	return p
}

// words says what came out and what is running, each part after sep.
func (p progress) words(sep string) string {
	var b strings.Builder
	if p.abnormal > 0 {
		fmt.Fprintf(&b, "%s%d abnormal", sep, p.abnormal)
	}
	if p.unknown > 0 {
		fmt.Fprintf(&b, "%s%d unknown", sep, p.unknown)
	}
	if len(p.running) > 0 {
		names := make([]string, 0, maxRunning)
		for _, id := range p.running[:min(len(p.running), maxRunning)] {
			names = append(names, line(id, maxStepID))
		}
		fmt.Fprintf(&b, "%srunning: %s", sep, strings.Join(names, ", "))
		if more := len(p.running) - maxRunning; more > 0 {
			fmt.Fprintf(&b, " and %d more", more)
		}
	}
	return b.String()
}

// stepLine is ✅🔺⏳▫️ 2/4 · 1 abnormal · running: readyz.
func stepLine(steps []triage.StepMark) string {
	if len(steps) == 0 {
		return ""
	}
	var b strings.Builder
	for _, s := range steps[:min(len(steps), maxStepMarks)] {
		b.WriteString(stepSign(s.State))
	}
	if len(steps) > maxStepMarks {
		b.WriteString("…")
	}
	p := progressOf(steps)
	fmt.Fprintf(&b, " %d/%d%s", p.done, len(steps), p.words(" · "))
	return b.String()
}

// conclusion says what the run came to and, once it is over, how long the
// incident lasted and how that is known.
func conclusion(p *triage.ParentPost) string {
	var parts []string
	if p.NoPlaybook {
		parts = append(parts, "No playbook matched; the fallback ran.")
	}
	if strings.TrimSpace(p.Conclusion) != "" {
		parts = append(parts, line(p.Conclusion, maxConclusion))
	}
	if over := resolution(p); over != "" {
		parts = append(parts, over)
	}
	return strings.Join(parts, " ")
}

func resolution(p *triage.ParentPost) string {
	if p.RequestedBy != "" {
		return ""
	}
	if p.State == triage.IncidentFiring {
		if p.Reopened > 0 {
			return fmt.Sprintf("Fires again (reopened %s).", times(p.Reopened))
		}
		return ""
	}
	said := "Resolved"
	if lasted, ok := lasted(p); ok {
		said += " after " + duration(lasted)
	}
	switch p.Resolution {
	case triage.ResolvedByPoll:
		said += " (Alertmanager no longer lists its alerts)"
	case triage.ResolvedByTTL:
		said += " (assumed: nothing was heard of it for too long)"
	}
	return said + "."
}

func lasted(p *triage.ParentPost) (time.Duration, bool) {
	d := p.ResolvedAt.Sub(p.StartedAt)
	return d, !p.ResolvedAt.IsZero() && !p.StartedAt.IsZero() && d >= 0
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func alertCount(p *triage.ParentPost) string {
	if p.RequestedBy != "" {
		return fmt.Sprintf("Incident %d", p.IncidentID)
	}
	s := fmt.Sprintf("Incident %d · %d of %d alerts firing", p.IncidentID, p.Firing, p.Alerts)
	if p.Truncated > 0 {
		s += fmt.Sprintf(" · %d more cut off by Alertmanager", p.Truncated)
	}
	return s
}

func parentContext(p *triage.ParentPost) *slack.ContextBlock {
	said := alertCount(p) + " · started " + date(p.StartedAt)
	if !p.ResolvedAt.IsZero() && p.RequestedBy == "" {
		said += " · resolved " + date(p.ResolvedAt)
	}
	elements := []slack.MixedElement{markup(said)}
	if p.Playbook != "" {
		what := "playbook " + line(cmp.Or(p.PlaybookTitle, p.Playbook), maxName)
		if p.Owner != "" {
			what += " · owner " + line(p.Owner, maxName)
		}
		elements = append(elements, plainText(what))
	}
	return slack.NewContextBlock("", elements...)
}

// parentSentence is the status in full, for those who hear it or see only a
// notification.
func parentSentence(p *triage.ParentPost) string {
	var b strings.Builder
	if p.RequestedBy != "" {
		fmt.Fprintf(&b, "Run by hand, incident %d, %s", p.IncidentID, line(p.Alertname, maxName))
	} else {
		if p.Severity != "" {
			b.WriteString(strings.ToUpper(line(p.Severity, maxSeverity)) + " ")
		}
		fmt.Fprintf(&b, "incident %d, %s, is %s", p.IncidentID, line(p.Alertname, maxName), line(string(p.State), maxSeverity))
	}
	if p.State == triage.IncidentFiring && strings.TrimSpace(p.Impact) != "" {
		b.WriteString(": " + line(p.Impact, maxImpact))
	}
	if last := b.String(); !strings.HasSuffix(last, ".") {
		b.WriteString(".")
	}
	if people := peopleWords(p, ". "); people != "" {
		b.WriteString(" " + people + ".")
	}
	if len(p.Steps) > 0 {
		steps := progressOf(p.Steps)
		fmt.Fprintf(&b, " %d of %d steps done%s.", steps.done, len(p.Steps), steps.words(", "))
	}
	if said := conclusion(p); said != "" {
		b.WriteString(" " + said)
	}
	return b.String()
}

func richText(elements ...slack.RichTextElement) *slack.RichTextBlock {
	return slack.NewRichTextBlock("", elements...)
}
