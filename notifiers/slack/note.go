package slack

// A note: one plain line in a thread, or on its own.

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
	m := message{sentence: noteSubject(p) + line(said, maxHeadline), broadcast: p.Broadcast}
	var long lines
	long.add(said)
	parts := []slack.RichTextSectionElement{plain(said)}
	if element := mentionElement(p.Mention); element != nil {
		parts = []slack.RichTextSectionElement{element, plain(" " + said)}
		m.mention = p.Mention
	}
	elements := []slack.RichTextElement{slack.NewRichTextSection(parts...)}
	if links := linkLine(p.Links); links != nil {
		elements = append(elements, links)
		long.addLinks(p.Links)
	}
	m.long, m.blocks = long.String(), []slack.Block{richText(elements...)}
	return m
}

// noteSubject is what a note is about, for those who see its sentence alone.
func noteSubject(p *triage.NotePost) string {
	switch {
	case p.WindowID != 0:
		return fmt.Sprintf("Maintenance window %d: ", p.WindowID)
	case p.IncidentID != 0:
		return fmt.Sprintf("Incident %d: ", p.IncidentID)
	}
	return ""
}
