package slack

// A maintenance window's one message: how it stands, why, whose it is, from when
// until when. What happens in it is told by notes in its thread.

import (
	"fmt"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"triagebot/triage"
)

// maxReason is a window's reason, in characters.
const maxReason = 1000

func renderWindow(p *triage.WindowPost) message {
	var long lines
	header := windowHeader(p)
	said := line(p.Said, maxHeadline)
	long.add(header)
	long.add(said)
	blocks := []slack.Block{
		slack.NewHeaderBlock(plainText(header)),
		richText(slack.NewRichTextSection(bold(said))),
	}
	if strings.TrimSpace(p.Reason) != "" {
		reason := line(p.Reason, maxReason)
		blocks = append(blocks, richText(slack.NewRichTextSection(bold("Reason: "), plain(reason))))
		long.add("Reason: " + reason)
	}
	blocks = append(blocks, windowContext(p))
	if buttons := actions(p.Choices, 0); buttons != nil {
		blocks = append(blocks, buttons)
	}
	long.add(windowTimes(p, func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }))
	return message{
		sentence: fmt.Sprintf("Maintenance window %d of %s is %s. %s", p.WindowID, line(p.Service, maxName), strings.ToLower(windowWords(p)), said),
		long:     long.String(),
		blocks:   blocks,
	}
}

// windowHeader says the state in a sign and in words.
func windowHeader(p *triage.WindowPost) string {
	head := windowSign(p) + " MAINTENANCE " + windowWords(p) + " — "
	return head + line(p.Service, maxHeader-len([]rune(head)))
}

func windowWords(p *triage.WindowPost) string {
	switch {
	case p.Overdue:
		return "OVERDUE"
	case p.State == triage.WindowFound:
		return "UNANNOUNCED"
	case p.State == triage.WindowUndoing:
		return "ROLLING BACK"
	}
	return strings.ToUpper(line(string(p.State), maxSeverity))
}

func windowSign(p *triage.WindowPost) string {
	switch p.State {
	case triage.WindowOn:
		if p.Overdue {
			return "🔴"
		}
		return "🟠"
	case triage.WindowFound, triage.WindowFailed:
		return "🔴"
	case triage.WindowEnabling, triage.WindowDisabling, triage.WindowUndoing:
		return "⏳"
	case triage.WindowOff:
		return "✅"
	case triage.WindowCancelled:
		return "➖"
	}
	return "❔"
}

// windowContext has the window's instants, for each reader in their own zone.
func windowContext(p *triage.WindowPost) *slack.ContextBlock {
	elements := []slack.MixedElement{markup(windowTimes(p, date))}
	if strings.TrimSpace(p.By) != "" {
		elements = append(elements, plainText("asked for by "+line(p.By, maxName)))
	}
	return slack.NewContextBlock("", elements...)
}

func windowTimes(p *triage.WindowPost, instant func(time.Time) string) string {
	said := fmt.Sprintf("Window %d", p.WindowID)
	if !p.Since.IsZero() {
		said += " · since " + instant(p.Since)
	}
	switch {
	case !p.Ended.IsZero():
		said += " · ended " + instant(p.Ended)
	case !p.Until.IsZero():
		said += " · until " + instant(p.Until)
	}
	return said
}
