package slack

// A note: one plain line in the thread.

import (
	"fmt"

	"github.com/slack-go/slack"

	"triagebot/triage"
)

// maxNote is a note's length, in characters.
const maxNote = 3000

func renderNote(p *triage.NotePost) message {
	said := clean(p.Text, maxNote)
	if line(said, maxNote) == "–" {
		said = "–" // Slack refuses empty text
	}
	var long lines
	long.add(said)
	elements := []slack.RichTextElement{slack.NewRichTextSection(plain(said))}
	if links := linkLine(p.Links); links != nil {
		elements = append(elements, links)
		long.addLinks(p.Links)
	}
	return message{
		sentence:  fmt.Sprintf("Incident %d: %s", p.IncidentID, line(said, maxHeadline)),
		long:      long.String(),
		blocks:    []slack.Block{richText(elements...)},
		broadcast: p.Broadcast,
	}
}
