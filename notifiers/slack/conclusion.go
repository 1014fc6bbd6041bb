package slack

// A conclusion: the last word of a run, what speaks for and against it, and
// what to do next.

import (
	"fmt"

	"github.com/slack-go/slack"

	"triagebot/triage"
)

// maxPart is the length of what speaks for a conclusion, and likewise of its
// other parts, in characters.
const maxPart = 700

func renderConclusion(p *triage.ConclusionPost) message {
	c := &p.Conclusion
	sign := "🧭 "
	if !c.Supported() {
		sign = "❔ "
	}
	headline := line(c.Headline(), maxHeadline)
	var long lines
	long.add(sign + headline)
	elements := []slack.RichTextSectionElement{bold(sign + headline)}
	for _, part := range c.Parts() {
		text := line(part.Value, maxPart)
		long.add(part.Name + ": " + text)
		elements = append(elements, bold("\n"+part.Name+": "), plain(text))
	}
	return message{
		sentence: fmt.Sprintf("Conclusion on incident %d: %s", p.IncidentID, line(c.Sentence(), maxHeadline)),
		long:     long.String(),
		blocks: []slack.Block{
			richText(slack.NewRichTextSection(elements...)),
			slack.NewContextBlock("", plainText(fmt.Sprintf("incident %d · run %d · weighed from its findings", p.IncidentID, p.RunID))),
		},
	}
}
