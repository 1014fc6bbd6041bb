// From what a step found to what it concludes: conditions give the verdict,
// the template gives the sentence.

package runner

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"triagebot/triage"
	"triagebot/triage/playbook"
)

// maxRows is how many rows a finding shows; the evidence has all of them.
const maxRows = 10

// judge evaluates a step's conditions on each row of its outcome. One abnormal
// row makes the finding abnormal; the abnormal rows come first.
func judge(s *playbook.Step, out *playbook.Outcome, data *playbook.Data) (triage.Finding, []playbook.Artifact) {
	f := triage.Finding{Verdict: triage.VerdictNormal, Links: out.Links}
	if len(out.Rows) == 0 {
		f.Verdict, f.Headline = triage.VerdictUnknown, "No data: "+out.NoData+"."
		f.NextStep = "Check that the series exists and that its target is scraped."
		switch out.NoDataVerdict {
		case triage.VerdictNormal:
			f.Verdict, f.NextStep = triage.VerdictNormal, ""
			f.Headline = "No series, as it should be: " + out.NoData + "."
		case triage.VerdictAbnormal:
			f.Verdict = triage.VerdictAbnormal
		case triage.VerdictUnknown:
		}
		return f, out.Artifacts
	}
	var abnormal, rest []playbook.OutcomeRow
	unclear := false // by the step's own `unknown`
	for _, row := range out.Rows {
		verdict, err := s.Judge(row, data)
		if err != nil && !out.Partial {
			f.Verdict, f.Headline = triage.VerdictUnknown, fmt.Sprintf("Could not judge %s: %v.", rowName(row), err)
			f.NextStep = "The values are below; judge by hand, or mend the condition."
			f.Rows, f.Omitted = rows(out.Rows, 0)
			f.Rows = detailed(f.Rows, out.Details)
			f.Vars = out.Rows[0].Vars
			return f, out.Artifacts
		}
		if verdict == triage.VerdictAbnormal {
			abnormal = append(abnormal, row)
		} else {
			rest = append(rest, row)
		}
		unclear = unclear || verdict == triage.VerdictUnknown && err == nil
	}
	switch {
	case len(abnormal) > 0:
		f.Verdict = triage.VerdictAbnormal
	case out.Partial || unclear:
		f.Verdict = triage.VerdictUnknown
	}
	ordered := slices.Concat(abnormal, rest)
	f.Rows, f.Omitted = rows(ordered, len(abnormal))
	f.Vars = ordered[0].Vars
	f.Headline = out.Headline
	if s.Finding != nil && f.Verdict != triage.VerdictUnknown {
		text, err := s.Finding.RenderRow(data, f.Vars)
		if err != nil {
			f.Headline += fmt.Sprintf(" (its sentence could not be written: %v)", err)
		} else {
			f.Headline = text
		}
	}
	if f.Verdict != triage.VerdictNormal {
		f.NextStep = out.NextStep
	}
	if unclear && f.Verdict == triage.VerdictUnknown {
		f.NextStep = strings.TrimSpace(f.NextStep + " It counts as unknown, for " + s.Unknown.Source() + ".")
	}
	if s.NextStep != nil && f.Verdict == triage.VerdictAbnormal {
		if text, err := s.NextStep.RenderRow(data, f.Vars); err == nil {
			f.NextStep = text
		}
	}
	if len(ordered) == 1 && ordered[0].Name == "" {
		f.Rows = nil // the sentence says it all
	}
	f.Rows = detailed(f.Rows, out.Details)
	return f, out.Artifacts
}

// detailed adds details to rows, as far as there is room.
func detailed(rows, details []triage.Row) []triage.Row {
	return append(rows, details[:min(len(details), max(maxRows-len(rows), 0))]...)
}

func rows(from []playbook.OutcomeRow, abnormal int) (out []triage.Row, omitted int) {
	for i, r := range from[:min(len(from), maxRows)] {
		out = append(out, triage.Row{Name: r.Name, Value: r.Value, Baseline: r.Baseline, Abnormal: i < abnormal})
	}
	return out, len(from) - len(out)
}

func rowName(r playbook.OutcomeRow) string {
	if r.Name == "" {
		return "the value"
	}
	return r.Name
}

// sentence makes one of a text: a capital first, a full stop last.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	first, size := utf8.DecodeRuneInString(text)
	if size > 0 {
		text = string(unicode.ToUpper(first)) + text[size:]
	}
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}
