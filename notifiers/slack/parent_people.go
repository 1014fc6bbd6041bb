package slack

// Who has an incident: the line of a parent that says whether somebody else
// must get up.

import (
	"strings"
	"time"

	"github.com/slack-go/slack"

	"triagebot/triage"
)

// maxPerson is a person's name, in characters.
const maxPerson = 60

// fact is a piece of the line: what somebody did, and when or until when.
type fact struct {
	sign, words string
	at          time.Time // zero for none
}

func peopleFacts(p *triage.ParentPost) []fact {
	var facts []fact
	if p.RequestedBy != "" {
		facts = append(facts, fact{"🧭", "Asked for by " + line(p.RequestedBy, maxPerson), time.Time{}})
	}
	if p.AckedBy != "" {
		facts = append(facts, fact{"👤", "Acked by " + line(p.AckedBy, maxPerson), p.AckedAt})
	}
	if !p.SilencedUntil.IsZero() && p.State == triage.IncidentFiring {
		facts = append(facts, fact{"🔕", "Silenced until", p.SilencedUntil})
	}
	return facts
}

// parentPeople is 👤 Acked by alice 14:02 · 🔕 Silenced until 16:00, in each
// reader's own time zone; nil where there is nothing to say.
func parentPeople(p *triage.ParentPost) *slack.RichTextSection {
	var parts []slack.RichTextSectionElement
	for i, f := range peopleFacts(p) {
		said := f.sign + " " + f.words
		if i > 0 {
			said = " · " + said
		}
		if f.at.Unix() <= 0 {
			parts = append(parts, plain(said))
			continue
		}
		parts = append(parts, plain(said+" "), clock(f.at))
	}
	if parts == nil {
		return nil
	}
	return slack.NewRichTextSection(parts...)
}

// clock is an instant as an element of rich text: the time, and the day where
// it is not today.
func clock(t time.Time) *slack.RichTextSectionDateElement {
	fallback := t.UTC().Format("2006-01-02 15:04 UTC")
	return slack.NewRichTextSectionDateElement(t.Unix(), "{date_short_pretty} {time}", nil, &fallback)
}

// peopleWords is the line in words alone, for those who hear it.
func peopleWords(p *triage.ParentPost, sep string) string {
	var parts []string
	for _, f := range peopleFacts(p) {
		said := f.words
		if f.at.Unix() > 0 {
			said += " " + f.at.UTC().Format("2006-01-02 15:04 UTC")
		}
		parts = append(parts, said)
	}
	return strings.Join(parts, sep)
}
