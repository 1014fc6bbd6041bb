package slack

// What a post becomes: one Slack message. Rendering is pure, so the same post
// is always the same message.

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"triagebot/triage"
)

// message is a post rendered for Slack, its texts not yet escaped.
type message struct {
	// sentence is what notifications show and screen readers say: it states
	// the status in full.
	sentence string
	// long is the whole message as plain text, for when Slack refuses blocks.
	long   string
	blocks []slack.Block
	// mention is who is pinged, as Slack writes it, for when it refuses blocks;
	// "" for nobody.
	mention string
	// broadcast has a reply seen in the channel too.
	broadcast bool
}

// render makes the message of a post. That of a file says where the file is,
// for one that cannot be uploaded.
func render(p triage.Post) (message, error) {
	switch {
	case p.Parent != nil:
		return renderParent(p.Parent), nil
	case p.Finding != nil:
		return renderFinding(p.Finding), nil
	case p.Conclusion != nil:
		return renderConclusion(p.Conclusion), nil
	case p.Note != nil:
		return renderNote(p.Note), nil
	case p.File != nil:
		return renderFileLink(p.File), nil
	case p.Escalation != nil:
		return renderEscalation(p.Escalation), nil
	case p.Window != nil:
		return renderWindow(p.Window), nil
	}
	return message{}, errors.New("the post has neither parent, finding, conclusion, note, file, escalation nor window")
}

// mayRepeat says in the message that one sent at the instant may stand beside it.
func (m message) mayRepeat(at time.Time) message {
	const said, why = "may repeat a message sent at ", ": its delivery could not be confirmed"
	inText := said + at.UTC().Format("2006-01-02 15:04:05 UTC") + why
	m.sentence += " (" + inText + ")"
	m.long += "\n" + inText
	m.blocks = append(slices.Clip(m.blocks), slack.NewContextBlock("", markup(said+date(at)+why)))
	return m
}

// lines collects a message's plain-text form.
type lines []string

func (l *lines) add(s string) {
	if s != "" {
		*l = append(*l, s)
	}
}

func (l *lines) addLinks(links []triage.Link) {
	usable, left := usableLinks(links)
	for _, link := range usable {
		l.add(link.Title + ": " + link.URL)
	}
	if left > 0 {
		l.add(strings.TrimPrefix(leftOut(len(usable), left), " · "))
	}
}

func (l lines) String() string { return strings.Join(l, "\n") }
