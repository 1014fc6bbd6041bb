// What a trace comes to: a sentence, the most telling facts, variables, and the
// stitched timeline as evidence.

package step

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"triagebot/triage"
	"triagebot/triage/playbook"
	"triagebot/triage/tracelog"
)

const (
	timelineWide = 120 // columns of the readable one
	maxOfAKind   = 2   // details of one kind
	maxSources   = 10  // named
)

// lookup is a trace and what is known of it.
type lookup struct {
	*tracelog.Trace
	facts *tracelog.Facts
	over  bool // the time was, so that what was found is not all
}

func (a *traceAction) outcome(env *playbook.Env, c *choice, l *lookup) (*playbook.Outcome, error) {
	found := l.facts.Records > 0
	out := &playbook.Outcome{
		Rows:     []playbook.OutcomeRow{{Vars: l.vars(c)}},
		Partial:  !found || l.facts.Partial,
		Headline: fmt.Sprintf("%s (%s).", l.facts.Headline(), c.how),
		Details:  l.details(),
	}
	if !found && !l.facts.Partial {
		out.Headline = fmt.Sprintf("%s (%s) in %s.", l.facts.Headline(), c.how, l.sources())
		out.NextStep = fmt.Sprintf("Check that the id is the whole value of one of the sources' keys, and that their files reach back to %s.", c.at.UTC().Format("2006-01-02 "+clock))
	}
	if l.facts.Partial {
		missing, next := l.missing()
		out.Headline += fmt.Sprintf(" Not complete: %s.", missing)
		out.NextStep = next
	}
	for _, said := range l.CoverageSentences() {
		env.Debugf("%s", said)
	}
	var err error
	out.Artifacts, err = l.artifacts(env)
	return out, err
}

// missing says why the trace is not complete, and what to do about it.
func (l *lookup) missing() (why, next string) {
	switch {
	case l.over:
		return "the time was over before all of " + l.unsearched() + " was searched",
			"Raise the step's timeout, or look the id up by hand, where there is no limit: triagebot trace ID."
	case !l.Coverage.Complete:
		return lacking(&l.Coverage), "Make what was not searched readable or reachable, and run the playbook again."
	default:
		return strconv.Itoa(l.LeftOut) + " records are too many and left out of the middle",
			"Check that the id is one request's and not a whole session's."
	}
}

func (l *lookup) vars(c *choice) map[string]any {
	f := l.facts
	vars := map[string]any{
		"found": f.Records > 0, "id": safeText(c.id), "chosen": c.how,
		"records": int64(f.Records), "complete": l.Complete(),
	}
	if f.Records == 0 {
		return vars
	}
	var chunks, duplicated int
	var missing int64
	for _, s := range f.Streams {
		chunks += s.Chunks
		duplicated += s.Duplicates
		missing += s.Misses
	}
	aborted := 0
	for _, b := range f.Blocks {
		if b.End == tracelog.BlockAborted {
			aborted++
		}
	}
	gap, failure := time.Duration(0), ""
	if len(f.Gaps) > 0 {
		gap = f.Gaps[0].Took
	}
	if len(f.Errors) > 0 {
		failure = f.Errors[0].Text
	}
	vars["duration_ms"] = inMilliseconds(cmp.Or(f.Reported, f.Total))
	vars["status"] = int64(f.Status)
	vars["outcome"] = string(f.Outcome)
	vars["error"] = safeText(failure)
	vars["route"] = safeText(f.Route)
	vars["longest_gap_ms"] = inMilliseconds(gap)
	vars["retries"] = int64(len(f.Retries))
	vars["tool_call"] = f.Tool
	vars["tool_blocks_aborted"] = int64(aborted)
	vars["chunks"] = int64(chunks)
	vars["chunks_duplicated"] = int64(duplicated)
	vars["worker_exits"] = int64(len(f.Exits))
	if !f.Partial {
		vars["chunks_missing"] = missing
	}
	return vars
}

func inMilliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// details are the most telling facts: where the time went, then what went wrong.
func (l *lookup) details() []triage.Row {
	f := l.facts
	var rows []triage.Row
	add := func(name, value string) {
		rows = append(rows, triage.Row{Name: tracelog.Harmless(name), Value: value})
	}
	for _, g := range f.Gaps {
		if len(f.Phases) == 1 {
			break // it is the whole
		}
		add(g.From+" → "+g.To, tracelog.InWords(g.Took))
	}
	for _, e := range firsts(f.Errors, maxOfAKind) {
		add("error in "+e.Source+": "+e.Text, since(f.Began, e.Time))
	}
	for _, e := range firsts(f.Exits, maxOfAKind) {
		what := " exited"
		if !e.Started.IsZero() {
			what = " restarted"
		}
		add("worker "+e.Worker+what, since(f.Began, e.Exited))
	}
	for _, r := range firsts(f.Retries, maxOfAKind) {
		add(r.ID+" repeats "+r.Of, statusOf(&r))
	}
	blocks := slices.DeleteFunc(slices.Clone(f.Blocks), func(b tracelog.Block) bool { return b.End == tracelog.BlockCompleted })
	for _, b := range firsts(blocks, maxOfAKind) {
		add("tool-call block "+string(b.End), since(b.Opened, b.Closed))
	}
	for _, s := range firsts(f.Streams, maxOfAKind) {
		if s.Duplicates > 0 {
			add("chunks duplicated in "+s.Source, fmt.Sprintf("%d of %d", s.Duplicates, s.Chunks))
		}
		if s.Misses > 0 && !f.Partial {
			add("chunks missing in "+s.Source, strconv.FormatInt(s.Misses, 10))
		}
	}
	return rows
}

// since is how long after began something was; "" where either is not known.
func since(began, at time.Time) string {
	if began.IsZero() || at.IsZero() {
		return ""
	}
	return "after " + tracelog.InWords(at.Sub(began))
}

// statusOf is how the request that was repeated had ended.
func statusOf(r *tracelog.Retry) string {
	switch {
	case r.Status == 0:
		return ""
	case r.Took == 0:
		return strconv.Itoa(r.Status)
	}
	return fmt.Sprintf("%d after %s", r.Status, tracelog.InWords(r.Took))
}

// artifacts are the timeline, for people and for programs. Where nothing was
// found there is only what was searched, for people.
func (l *lookup) artifacts(env *playbook.Env) ([]playbook.Artifact, error) {
	source := "Lookup in " + l.sources()
	name, title := stem(env, "trace"), "Timeline"
	if len(l.Records) == 0 {
		title = "What was searched"
	}
	text, err := textArtifact(name+".txt", title, source, func(w io.Writer) error {
		return l.WriteText(w, tracelog.TextOptions{Width: timelineWide})
	})
	if err != nil || len(l.Records) == 0 {
		return []playbook.Artifact{text}, err
	}
	lines, err := linesArtifact(name+".ndjson", "Timeline as NDJSON", source, 0, len(l.Records), l.WriteNDJSON)
	return []playbook.Artifact{text, lines}, err
}

// sources are those that were searched, or should have been.
func (l *lookup) sources() string {
	return sourcesOf(&l.Coverage, func(*tracelog.Part) bool { return true })
}

func (l *lookup) unsearched() string {
	return sourcesOf(&l.Coverage, func(p *tracelog.Part) bool { return !p.Complete })
}

func sourcesOf(c *tracelog.Coverage, which func(*tracelog.Part) bool) string {
	var names []string
	for i := range c.Parts {
		if p := &c.Parts[i]; which(p) {
			names = append(names, tracelog.Harmless(p.Source))
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	switch n := len(names); {
	case n == 0:
		return "the logs"
	case n == 1:
		return names[0]
	case n > maxSources:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxSources], ", "), n-maxSources)
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// lacking says of the first part that was not searched why it was not.
func lacking(c *tracelog.Coverage) string {
	var first *tracelog.Part
	more := 0
	for i := range c.Parts {
		switch p := &c.Parts[i]; {
		case p.Complete:
		case first == nil:
			first = p
		default:
			more++
		}
	}
	if first == nil {
		return "not everything was searched"
	}
	said := tracelog.Harmless(first.Source)
	if first.Name != "" && first.Name != first.Source {
		said += " " + tracelog.Harmless(first.Name)
	}
	said += ": " + cmp.Or(tracelog.Harmless(first.Note), "not searched to its end")
	if more > 0 {
		said += fmt.Sprintf("; and %d more", more)
	}
	return said
}
