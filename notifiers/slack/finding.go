package slack

// A finding: one step's reply in the thread.

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"triagebot/triage"
)

// Lengths within a finding, in characters.
const (
	maxTitle    = 150
	maxHeadline = 1000
	maxNextStep = 600
	maxRows     = 20
	maxRowName  = 80
	maxRowValue = 24
)

func renderFinding(p *triage.FindingPost) message {
	f := &p.Finding
	verdict := verdictWords(f)
	title := line(f.Title, maxTitle)
	if strings.TrimSpace(f.Title) == "" {
		title = line(f.StepID, maxTitle)
	}
	headline := line(f.Headline, maxHeadline)
	if f.Skipped != "" {
		headline = line(f.Skipped, maxHeadline)
	}

	var long lines
	long.add(verdict + " — " + title)
	long.add(headline)
	blocks := []slack.Block{richText(slack.NewRichTextSection(
		bold(verdict+" — "+title), plain("\n"+headline),
	))}

	if table := rowTable(f.Rows, f.Omitted); table != "" {
		blocks = append(blocks, richText(&slack.RichTextPreformatted{
			Type: slack.RTEPreformatted, Elements: []slack.RichTextSectionElement{plain(table)},
		}))
		long.add(table)
	}
	if strings.TrimSpace(f.NextStep) != "" {
		next := line(f.NextStep, maxNextStep)
		blocks = append(blocks, richText(slack.NewRichTextSection(bold("Next step: "), plain(next))))
		long.add("Next step: " + next)
	}
	links := append(append([]triage.Link{}, f.Links...), evidenceLinks(f.Evidence)...)
	if shown := linkLine(links); shown != nil {
		blocks = append(blocks, richText(shown))
		long.addLinks(links)
	}
	blocks = append(blocks, findingContext(p))
	long.add(fmt.Sprintf("Incident %d · run %d · evaluated at %s", p.IncidentID, p.RunID, f.At.UTC().Format("2006-01-02 15:04:05 UTC")))

	return message{
		sentence: fmt.Sprintf("Step %s of incident %d is %s: %s", title, p.IncidentID, f.State(), headline),
		long:     long.String(),
		blocks:   blocks,
	}
}

func verdictWords(f *triage.Finding) string {
	state := f.State()
	return stepSign(state) + " " + strings.ToUpper(string(state))
}

// rowTable aligns a finding's rows as columns; "" without rows. An abnormal
// row says so in a word at its end.
func rowTable(rows []triage.Row, omitted int) string {
	if len(rows) == 0 {
		return ""
	}
	if more := len(rows) - maxRows; more > 0 {
		rows = rows[:maxRows]
		omitted += more
	}
	cells := [][3]string{}
	var width [3]int
	add := func(row [3]string) {
		for i, s := range row {
			width[i] = max(width[i], utf8.RuneCountInString(s))
		}
		cells = append(cells, row)
	}
	baselines := false
	for _, r := range rows {
		baselines = baselines || r.Baseline != ""
	}
	if baselines {
		add([3]string{"series", "now", "baseline"})
	}
	for _, r := range rows {
		row := [3]string{line(r.Name, maxRowName), line(r.Value, maxRowValue)}
		if baselines {
			row[2] = line(r.Baseline, maxRowValue)
		}
		add(row)
	}
	var b strings.Builder
	for i, row := range cells {
		l := pad(row[0], width[0]) + "  " + pad(row[1], width[1]) + "  " + pad(row[2], width[2])
		if at := i - (len(cells) - len(rows)); at >= 0 && rows[at].Abnormal {
			l += "  ◄ abnormal"
		}
		b.WriteString(strings.TrimRight(l, " ") + "\n")
	}
	if omitted > 0 {
		fmt.Fprintf(&b, "… %d more not shown\n", omitted)
	}
	return strings.TrimRight(b.String(), "\n")
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

func evidenceLinks(evidence []triage.EvidenceRef) []triage.Link {
	var links []triage.Link
	for _, e := range evidence {
		if e.URL == "" {
			continue
		}
		title := e.Title
		if title == "" {
			title = e.Name
		}
		links = append(links, triage.Link{Title: title, URL: e.URL})
	}
	return links
}

func findingContext(p *triage.FindingPost) *slack.ContextBlock {
	f := &p.Finding
	what := "step " + line(f.StepID, maxStepID)
	if f.Kind != "" {
		what += " · " + line(f.Kind, maxStepID)
	}
	said := fmt.Sprintf("incident %d · run %d", p.IncidentID, p.RunID)
	if !f.At.IsZero() {
		said += " · evaluated at " + date(f.At)
	}
	if f.Took > 0 {
		said += " · took " + took(f.Took)
	}
	return slack.NewContextBlock("", plainText(what), markup(said))
}
