package slack

// What a person is answered: a message that only they see.

import (
	"fmt"
	"strings"

	"github.com/slack-go/slack"

	"triagebot/triage"
)

// Lengths within a reply, in characters: the blocks of a message may have
// 13,200 together.
const (
	maxReplyText  = 2000
	maxReplyLines = 50
	maxReplyLine  = 300
	maxReplyBody  = 8000 // of all lines together
)

// RenderReply is a reply as Slack's text, escaped and within what every way of
// answering takes, and as blocks. What others wrote stands only where Slack
// looks for no markup. A choice that asks for more in a dialog asks it about
// the incident; it is left out where that is 0.
func RenderReply(r triage.Reply, incident int64) (text string, blocks []slack.Block) {
	said := clean(r.Text, maxReplyText)
	if strings.TrimSpace(said) == "" {
		said = "–" // Slack refuses empty text
	}
	long := lines{said}
	sections := []slack.RichTextElement{slack.NewRichTextSection(plain(said))}
	if body := replyBody(r); body != "" {
		long.add(body)
		if r.Fixed {
			sections = append(sections, &slack.RichTextPreformatted{Type: slack.RTEPreformatted, Elements: []slack.RichTextSectionElement{plain(body)}})
		} else {
			sections = append(sections, slack.NewRichTextSection(plain(body)))
		}
	}
	if links := linkLine(r.Links); links != nil {
		sections = append(sections, links)
		long.addLinks(r.Links)
	}
	blocks = []slack.Block{richText(sections...)}
	if buttons := actions(r.Choices, incident); buttons != nil {
		blocks = append(blocks, buttons)
	}
	return escape(long.String(), maxText), blocks
}

// replyBody is the lines of a reply as one text; "" without any. Where some are
// left out the last line says how many.
func replyBody(r triage.Reply) string {
	var b strings.Builder
	room := maxReplyBody
	for i, given := range r.Lines {
		shown := replyLine(given, r.Fixed)
		if room -= len([]rune(shown)) + 1; i == maxReplyLines || room < 0 {
			fmt.Fprintf(&b, "… %d more not shown\n", len(r.Lines)-i)
			break
		}
		b.WriteString(shown + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

// replyLine is one line; white space stays as it is where the columns of a
// table hang on it.
func replyLine(s string, fixed bool) string {
	if !fixed {
		return line(s, maxReplyLine)
	}
	return clean(strings.NewReplacer("\n", " ", "\t", " ").Replace(clean(s, 4*maxReplyLine)), maxReplyLine)
}
