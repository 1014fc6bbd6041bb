// Sentences: the facts as a person would say them. Each is backed by records.

package tracelog

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Sentences say the facts, the headline first. Text from logs in them is
// shortened and holds no control characters.
func (f *Facts) Sentences() []string {
	all := []string{f.Headline()}
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if f.Reported > 0 && f.Total > f.Reported+clockTolerance {
		add("Its records span %s, more than the %s that %s reports.", inWords(f.Total), inWords(f.Reported), shown(f.Answer))
	}
	if f.Outcome == OutcomeMaintenance {
		add("It was a maintenance response, not a backend error.")
	}
	for _, e := range f.Errors {
		add("Error in %s: %s.", shown(strings.TrimSpace(e.Source+" "+e.Event)), strings.TrimSuffix(shown(e.Text), "."))
	}
	if n := len(f.Phases); n > 1 && n <= mostPhasesSaid {
		add("Phases: %s.", f.phasesSaid())
	}
	for i, g := range f.Gaps {
		if i > 0 || !f.gapInHeadline() {
			add("%s passed between %s and %s.", inWords(g.Took), g.From, g.To)
		}
	}
	for _, r := range f.Retries {
		add("%s", r.said())
	}
	for _, r := range f.Resent {
		add("%s was sent %d times.", shown(strings.TrimSpace(r.Source+" "+r.Event)), r.Times)
	}
	for _, b := range f.Blocks {
		add("%s", b.said(f.Partial))
	}
	for _, s := range f.Streams {
		add("%s", s.said(f.ID, f.Partial))
	}
	for _, e := range f.Exits {
		add("%s", e.said(f.Began))
	}
	for _, c := range f.Clocks {
		add("%s", c.said())
	}
	if f.Timeless > 0 {
		add("%s no time that can be read; they stand last.", have(f.Timeless, "record"))
	}
	return all
}

// mostPhasesSaid is how many phases fit a sentence.
const mostPhasesSaid = 8

// Headline is the most important of the facts in one sentence.
func (f *Facts) Headline() string {
	id := shownID(f.ID)
	switch {
	case f.Records == 0 && f.Others == 0:
		return "Nothing was found of " + id
	case f.Records == 0:
		return fmt.Sprintf("Nothing was found of %s itself, only of requests that are linked with it (%s)", id, counted(f.Others, "record"))
	}
	parts := []string{id + " " + f.ended()}
	if f.gapInHeadline() {
		g := f.Gaps[0]
		parts = append(parts, fmt.Sprintf("%s of it between %s and %s", inWords(g.Took), g.From, g.To))
	}
	parts = append(parts, f.exitsSaid()...)
	return strings.Join(append(parts, f.lossesSaid()...), "; ")
}

// gapInHeadline says whether the longest gap is a large part of the time that
// the headline says, and not more than that.
func (f *Facts) gapInHeadline() bool {
	return len(f.Phases) > 1 && len(f.Gaps) > 0 && f.Gaps[0].Took >= f.wholeTime()/gapHeadlines && f.Gaps[0].Took <= cmp.Or(f.Reported, f.Total)
}

// ended is how the request ended and how long it took.
func (f *Facts) ended() string {
	lasted := cmp.Or(f.Reported, f.Total)
	took := inWords(lasted)
	switch f.Outcome {
	case OutcomeMaintenance:
		return fmt.Sprintf("was refused after %s because of maintenance (%d)", took, f.Status)
	case OutcomeBackend, OutcomeClient:
		with := ""
		if f.Status > 0 {
			with = " with " + strconv.Itoa(f.Status)
		}
		why := ""
		if cause := f.cause(); cause != "" {
			why = " (" + shown(cause) + ")"
		}
		if lasted == 0 {
			return "failed" + with + why
		}
		return fmt.Sprintf("took %s and failed%s%s", took, with, why)
	case OutcomeUnanswered:
		if f.Answer == "" {
			return fmt.Sprintf("has no answer on record; its records span %s", took)
		}
	}
	if lasted == 0 && f.Status > 0 {
		return fmt.Sprintf("ended with %d; how long it took is not on record", f.Status)
	}
	return "took " + took
}

// exitsSaid are the workers that exited meanwhile, each once.
func (f *Facts) exitsSaid() []string {
	var all []string
	said := map[string]bool{}
	for _, e := range f.Exits {
		if said[e.Worker] {
			continue
		}
		said[e.Worker] = true
		what := "exited"
		if !e.Started.IsZero() {
			what = "restarted"
		}
		all = append(all, fmt.Sprintf("worker %s %s in between", shown(e.Worker), what))
	}
	return all
}

// lossesSaid are what went wrong in tool calls and streams.
func (f *Facts) lossesSaid() []string {
	var all []string
	aborted := 0
	for _, b := range f.Blocks {
		if b.End == BlockAborted {
			aborted++
		}
	}
	if aborted > 0 {
		all = append(all, counted(aborted, "tool-call block")+" aborted")
	}
	var duplicates int
	var misses int64
	for _, s := range f.Streams {
		duplicates += s.Duplicates
		misses += s.Misses
	}
	if duplicates > 0 {
		all = append(all, counted(duplicates, "chunk")+" duplicated")
	}
	if misses > 0 && !f.Partial {
		all = append(all, counted(int(misses), "chunk")+" missing")
	}
	return all
}

func (f *Facts) phasesSaid() string {
	var b strings.Builder
	b.WriteString(f.Phases[0].From)
	for i, p := range f.Phases {
		if i > 0 && !p.follows(&f.Phases[i-1]) {
			b.WriteString("; by another clock, " + p.From)
		}
		fmt.Fprintf(&b, ", after %s %s", inWords(p.Took), p.To)
	}
	return b.String()
}

// follows says whether a phase begins where another ends.
func (p *Phase) follows(o *Phase) bool { return p.From == o.To && p.At.Equal(o.At.Add(o.Took)) }

func (r *Retry) said() string {
	verb, when := "had ended", ""
	switch {
	case r.After > 0:
		when = fmt.Sprintf("; it began %s after that one's last record", inWords(r.After))
	case r.After < 0:
		verb = "ended"
		when = fmt.Sprintf("; it began %s before that one's last record", inWords(-r.After))
	}
	what := ""
	if r.Status > 0 {
		what = fmt.Sprintf(", which %s with %d", verb, r.Status)
		if r.Took > 0 {
			what += " after " + inWords(r.Took)
		}
	}
	return fmt.Sprintf("%s repeats %s%s%s.", shownID(r.ID), shownID(r.Of), what, when)
}

func (b *Block) said(partial bool) string {
	name := shown(b.Source + " " + b.Name)
	after := ""
	if !b.Opened.IsZero() && !b.Closed.IsZero() {
		after = " after " + inWords(b.Closed.Sub(b.Opened))
	}
	switch b.End {
	case BlockAborted:
		why := ""
		if b.Error != "" {
			why = ": " + strings.TrimSuffix(shown(b.Error), ".")
		}
		return fmt.Sprintf("A tool-call block (%s) was aborted%s%s.", name, after, why)
	case BlockOpen:
		return fmt.Sprintf("A tool-call block (%s) was opened and not closed%s.", name, perhaps(partial))
	case BlockUnopened:
		return fmt.Sprintf("A tool-call block (%s) was closed and not opened%s.", name, perhaps(partial))
	default:
		return fmt.Sprintf("A tool-call block (%s) was opened and completed%s.", name, after)
	}
}

func (s *Stream) said(id string, partial bool) string {
	var of string
	if s.About != id {
		of = " of " + shownID(s.About)
	}
	var wrong []string
	if s.Duplicates > 0 {
		wrong = append(wrong, fmt.Sprintf("%d duplicated (%s)", s.Duplicates, numbersSaid(s.Duplicated)))
	}
	if s.Misses > 0 {
		wrong = append(wrong, fmt.Sprintf("%d missing (%s)%s", s.Misses, numbersSaid(s.Missing), perhaps(partial)))
	}
	if s.Unordered > 0 {
		wrong = append(wrong, fmt.Sprintf("%d out of order", s.Unordered))
	}
	if len(wrong) == 0 {
		return fmt.Sprintf("%s%s in %s, none duplicated or missing.", counted(s.Chunks, "chunk"), of, shown(s.Source))
	}
	return fmt.Sprintf("%s%s in %s: %s.", counted(s.Chunks, "chunk"), of, shown(s.Source), strings.Join(wrong, ", "))
}

// perhaps weakens what the absence of a record is taken for.
func perhaps(partial bool) string {
	if partial {
		return ", as far as was searched"
	}
	return ""
}

func numbersSaid(ranges []Range) string {
	var parts []string
	for i, r := range ranges {
		if i == mostPhasesSaid {
			parts = append(parts, "…")
			break
		}
		part := strconv.FormatInt(r.From, 10)
		if r.To > r.From {
			part += "–" + strconv.FormatInt(r.To, 10)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

func (e *Exit) said(began time.Time) string {
	s := fmt.Sprintf("Worker %s exited %s after the request began", shown(e.Worker), inWords(e.Exited.Sub(began)))
	if e.Started.IsZero() {
		return s + " and was not started again while it ran."
	}
	return s + fmt.Sprintf(" and was started again %s later.", inWords(e.Started.Sub(e.Exited)))
}

func (c *ClockDiffer) said() string {
	if c.Source == c.Against {
		return fmt.Sprintf("In %s something is received %s before anything is sent: its clock was set, or lines are missing.", shown(c.Source), inWords(-c.By))
	}
	by, way := c.By, "ahead of"
	if by < 0 {
		by, way = -by, "behind"
	}
	return fmt.Sprintf("The clock of %s is at least %s %s that of %s: durations between the two are off by as much.", shown(c.Source), inWords(by), way, shown(c.Against))
}
