// Coverage in words: what was searched, how, what was not and why, and what to
// try when nothing was found.

package tracelog

import (
	"fmt"
	"strings"
	"time"
)

// mostParts is how many files and backends are named; of more, those with
// something to say.
const mostParts = 20

// CoverageSentences say what was searched, whether all of it first.
func (t *Trace) CoverageSentences() []string {
	all := []string{"Complete: everything was searched to its end."}
	if !t.Complete() {
		all[0] = "Not complete: there may be more."
	}
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if n := t.LeftOut; n > 0 {
		add("Left out of the middle: %s; a trace holds at most %d, of %s.", counted(n, "record"), maxRecords, inBytes(maxRecordBytes))
	}
	if n := t.Unfollowed; n > 0 {
		add("Not followed: %s that the records name; at most %d are, over at most %d links.", counted(n, "id"), maxIDs-1, maxRounds-1)
	}
	c := &t.Coverage
	if !c.From.IsZero() || !c.To.IsZero() {
		add("What lies %s was searched everywhere.", windowSaid(c.From, c.To))
	}
	parts, rest := c.worthNaming()
	for _, p := range parts {
		all = append(all, p.said())
	}
	if rest.Size > 0 || rest.Bytes > 0 {
		add("And others: %s of %s searched.", inBytes(rest.Bytes), inBytes(rest.Size))
	}
	if len(c.Parts) == 0 {
		add("Nothing was searched: no file and no backend is there.")
	}
	return all
}

func windowSaid(from, to time.Time) string {
	const layout = "2006-01-02 15:04:05 MST"
	switch {
	case from.IsZero():
		return "before " + to.UTC().Format(layout)
	case to.IsZero():
		return "after " + from.UTC().Format(layout)
	}
	return "from " + from.UTC().Format(layout) + " to " + to.UTC().Format(layout)
}

// worthNaming are the parts to be named, and the sums of the rest.
func (c *Coverage) worthNaming() (parts []Part, rest Part) {
	room := mostParts
	naming := make([]bool, len(c.Parts))
	for _, troubled := range []bool{true, false} {
		for i, p := range c.Parts {
			if room > 0 && p.troubled() == troubled {
				naming[i] = true
				room--
			}
		}
	}
	for i, p := range c.Parts {
		if naming[i] {
			parts = append(parts, p)
			continue
		}
		rest.Bytes += p.Bytes
		rest.Size += p.Size
	}
	return parts, rest
}

// troubled says whether there is something to say of the part beyond that it
// was searched.
func (p *Part) troubled() bool {
	return !p.Complete || p.How == HowSkipped || p.Torn > 0 || p.TooLong > 0 || p.Note != ""
}

// UnreadLines is the note of a part with lines over the longest that is read.
const UnreadLines = "what the lines too long to be read hold is not known"

// lackLong makes a part less than complete by the lines that were too long to
// be read: each may be what is looked for.
func (p *Part) lackLong() {
	if p.TooLong > 0 {
		p.Complete = false
		p.Note = strings.TrimPrefix(p.Note+"; "+UnreadLines, "; ")
	}
}

func (p *Part) said() string {
	var b strings.Builder
	b.WriteString(shown(p.Source))
	if p.Name != "" && p.Name != p.Source {
		b.WriteString(" " + shown(p.Name))
	}
	b.WriteString(": " + p.howSaid())
	switch {
	case p.Complete || p.How == HowSkipped:
	case p.TooLong > 0:
		b.WriteString(", not all of it")
	default:
		b.WriteString(", not to its end")
	}
	if p.Torn > 0 {
		b.WriteString("; " + counted(p.Torn, "torn line") + " with the id")
	}
	if p.TooLong > 0 {
		b.WriteString("; " + counted(p.TooLong, "line") + " over the longest that is read, skipped")
	}
	if p.Duplicates > 0 {
		b.WriteString("; " + counted(p.Duplicates, "line") + " that another file has too")
	}
	if p.Note != "" {
		b.WriteString("; " + shown(p.Note))
	}
	return b.String()
}

func (p *Part) howSaid() string {
	switch p.How {
	case HowIndex:
		return fmt.Sprintf("looked up in the index, %s of %s read", inBytes(p.Bytes), inBytes(p.Size))
	case HowWindow:
		return fmt.Sprintf("searched around the time, %s of %s", inBytes(p.Bytes), inBytes(p.Size))
	case HowScan:
		return fmt.Sprintf("searched, %s of %s", inBytes(p.Bytes), inBytes(p.Size))
	case HowQuery:
		return "asked"
	case HowSkipped:
		return "skipped"
	}
	return shown(string(p.How))
}

// next is what to try when nothing was found.
func (t *Trace) next() []string {
	var all []string
	torn := 0
	for i := range t.Coverage.Parts {
		torn += t.Coverage.Parts[i].Torn
	}
	if torn > 0 {
		all = append(all, "Read the torn lines that hold the id as they stand: grep -aF ID FILE.")
	}
	if !t.Coverage.Complete {
		all = append(all, "Make readable what was skipped or not searched to its end, and look again.")
	}
	return append(
		all,
		"Check the id: it has to be the whole value of one of a source's keys, in the same case.",
		"Check that the sources' globs match the rotated files, and that those reach back to when the request ran.",
	)
}
