package slack

// An escalation: who is called, for which incident, and why.

import (
	"fmt"
	"regexp"

	"github.com/slack-go/slack"

	"triagebot/triage"
)

// mentionPattern are the mentions that Slack knows: of a user, of a user group,
// and of everybody who is there.
// https://docs.slack.dev/messaging/formatting-message-text#mentioning-users
var mentionPattern = regexp.MustCompile(`^<(?:@([UW][A-Z0-9]+)|!subteam\^(S[A-Z0-9]+)|!(here|channel|everyone))>$`)

// ValidMention says whether a text is one mention as Slack writes it:
// <@U0123456>, <!subteam^S0123456>, <!here>, <!channel> or <!everyone>.
func ValidMention(text string) bool { return mentionPattern.MatchString(text) }

// mentionElement is a mention in rich text; nil for what is none.
func mentionElement(text string) slack.RichTextSectionElement {
	m := mentionPattern.FindStringSubmatch(text)
	switch {
	case m == nil:
		return nil
	case m[1] != "":
		return slack.NewRichTextSectionUserElement(m[1], nil)
	case m[2] != "":
		return slack.NewRichTextSectionUserGroupElement(m[2])
	default:
		return slack.NewRichTextSectionBroadcastElement(m[3])
	}
}

func renderEscalation(p *triage.EscalationPost) message {
	who := line(p.Alertname, maxName)
	if p.Severity != "" {
		who += " (" + line(p.Severity, maxName) + ")"
	}
	head := fmt.Sprintf("Incident %d, %s, is escalated to %s", p.IncidentID, who, line(p.To, maxName))
	reason := clean(p.Reason, maxNote)
	var parts []slack.RichTextSectionElement
	m := message{sentence: head + ": " + line(reason, maxHeadline)}
	if element := mentionElement(p.Mention); element != nil {
		parts = append(parts, element, plain(" "))
		m.mention = p.Mention
	}
	parts = append(parts, bold(head), plain(": "+line(reason, maxNote)))
	elements := []slack.RichTextElement{slack.NewRichTextSection(parts...)}
	var long lines
	long.add(head + ": " + line(reason, maxNote))
	if links := linkLine(p.Links); links != nil {
		elements = append(elements, links)
		long.addLinks(p.Links)
	}
	m.long, m.blocks = long.String(), []slack.Block{richText(elements...)}
	return m
}
