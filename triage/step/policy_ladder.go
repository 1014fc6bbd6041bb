// The ladder of a backoff, and how a series is followed up and down it.

package step

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"triagebot/triage"
	"triagebot/triage/promapi"
	"triagebot/triage/step/unit"
	"triagebot/triage/tracelog"
)

// ladder is the stages of a backoff, in milliseconds; they ascend.
type ladder struct {
	stages []float64
	words  string // 250ms doubling to 5s
}

// newLadder makes the stages first, first·factor, … up to most, which is the
// last. It stops soon after maxStages.
func newLadder(first, most time.Duration, factor float64) ladder {
	var l ladder
	top := inMilliseconds(most)
	for wait := inMilliseconds(first); wait < top*(1-stageTolerance) && len(l.stages) <= maxStages; wait *= factor {
		l.stages = append(l.stages, wait)
	}
	l.stages = append(l.stages, top)
	grows := "growing by the factor " + number(factor)
	switch factor {
	case 2:
		grows = "doubling"
	case 3:
		grows = "tripling"
	}
	l.words = fmt.Sprintf("%s %s to %s", waitText(inMilliseconds(first)), grows, waitText(top))
	return l
}

// stageTolerance is how far, as a part of it, a value may be from its stage:
// what a factor such as 1.1 and a float make of a wait.
const stageTolerance = 1e-6

// working and nowhere are no stages: the wait is 0, or none of the ladder's.
const (
	working = -1
	nowhere = -2
)

// stage is the index of a wait's stage.
func (l *ladder) stage(wait float64) int {
	if wait == 0 {
		return working
	}
	i := slices.IndexFunc(l.stages, func(s float64) bool { return math.Abs(wait-s) <= s*stageTolerance })
	if i < 0 {
		return nowhere
	}
	return i
}

func (l *ladder) most() float64 { return l.stages[len(l.stages)-1] }

// all are the stages in words.
func (l *ladder) all() string {
	return stagesText(l.stages, ", ")
}

func waitText(milliseconds float64) string { return unit.Millis.Format(milliseconds) }

// sampled is a wait as it was seen, in milliseconds.
type sampled struct {
	at    time.Time
	slack time.Duration // it may have been scraped so long before
	wait  float64
}

// run is a wait that was seen for some time.
type run struct {
	sampled
	stage int
	// hidden says that stages between the run before and this one were not seen.
	hidden bool
	wrong  string // why it is against the policy; "" when it is not
}

// track is what a series went through.
type track struct {
	name       string
	runs       []run
	longest    []run // without a zero between them: the most stages, the latest of equals
	hidden     bool  // somewhere stages were not seen
	violations []violation
}

// follow judges each change of a series' waits.
func (l *ladder) follow(name string, samples []sampled) track {
	t := track{name: name}
	left := working // the stage from which it last went to work
	for i, s := range samples {
		if i > 0 && s.wait == samples[i-1].wait {
			continue
		}
		r := run{sampled: s, stage: l.stage(s.wait)}
		if n := len(t.runs); n > 0 {
			was := t.runs[n-1]
			switch {
			case r.stage == working && was.stage >= 0:
				left = was.stage
			case r.stage >= 0 && was.stage != nowhere:
				l.judge(&t, &r, was, left, s.at.Sub(samples[i-1].at)+s.slack)
			}
		}
		if r.stage == nowhere {
			l.refuse(&t, &r)
		}
		t.hidden = t.hidden || r.hidden
		t.runs = append(t.runs, r)
	}
	t.longest = longest(t.runs)
	return t
}

// refuse says of a wait that it is none of the ladder's.
func (l *ladder) refuse(t *track, r *run) {
	v := violation{breach: offLadder, name: t.name, sentence: fmt.Sprintf("%s waited %s: no stage of %s", t.name, waitText(r.wait), l.words)}
	if r.wait > l.most() {
		v.breach, v.by = aboveMost, r.wait
		v.sentence = fmt.Sprintf("%s waited %s: the policy allows at most %s", t.name, waitText(r.wait), waitText(l.most()))
	}
	r.wrong = "against the policy"
	t.add(v)
}

// judge says whether the stages between two that were seen fit into the gap
// between their samples. A zero, which takes no time, may have been among them;
// after one, the ladder begins anew or goes on where it was left, as it does
// when a worker that has just started exits again.
func (l *ladder) judge(t *track, r *run, was run, left int, gap time.Duration) {
	first := 0 // of the stages that were not seen
	switch next := min(left+1, len(l.stages)-1); {
	case was.stage >= 0 && r.stage > was.stage:
		first = was.stage + 1
	case was.stage == working && left >= 0 && r.stage >= next:
		first = next
	}
	passed := l.stages[first:r.stage]
	takes := 0.0
	for _, s := range passed {
		takes += s
	}
	r.hidden = len(passed) > 0 || r.stage < was.stage
	if takes <= inMilliseconds(gap) {
		return
	}
	r.wrong = "against the policy"
	change := fmt.Sprintf("%s went from %s to %s within %s", t.name, waitText(was.wait), waitText(r.wait), waitText(inMilliseconds(gap)))
	v := violation{breach: skippedStage, by: takes, name: t.name}
	v.sentence = fmt.Sprintf("%s: the policy has %s between, which take %s", change, stagesText(passed, ", "), waitText(takes))
	if r.stage < was.stage {
		v.breach = fellBack
		v.sentence = fmt.Sprintf("%s: after it worked the policy begins with %s, which take %s", change, stagesText(passed, ", "), waitText(takes))
	}
	t.add(v)
}

// add keeps the gravest violation of each kind.
func (t *track) add(v violation) {
	i := slices.IndexFunc(t.violations, func(o violation) bool { return o.breach == v.breach })
	switch {
	case i < 0:
		t.violations = append(t.violations, v)
	case v.by > t.violations[i].by:
		t.violations[i] = v
	}
}

// longest is the row of stages without a zero that has the most of them, the
// latest of equals.
func longest(runs []run) []run {
	var best []run
	begin := 0
	for i := range len(runs) + 1 {
		if i < len(runs) && runs[i].stage != working {
			continue
		}
		if row := runs[begin:i]; len(row) > 0 && len(row) >= len(best) {
			best = row
		}
		begin = i + 1
	}
	return best
}

// fine is the sentence of a series that keeps to the policy; more are the
// others that back off.
func (t *track) fine(more int, l *ladder) string {
	waits := make([]float64, len(t.longest))
	for i, r := range t.longest {
		waits[i] = r.wait
	}
	row := ""
	if n := len(waits); n > maxShownStages {
		waits, row = waits[n-maxShownStages:], "… → "
	}
	said := fmt.Sprintf("%s backs off %s, as the policy says (%s", t.name, row+stagesText(waits, " → "), l.words)
	if t.hidden {
		said += "; stages that pass between two samples are not seen"
	}
	said += ")"
	if more > 0 {
		said += fmt.Sprintf("; so do %d more", more)
	}
	return said
}

func stagesText(waits []float64, between string) string {
	texts := make([]string, len(waits))
	for i, w := range waits {
		texts[i] = waitText(w)
	}
	return strings.Join(texts, between)
}

// write adds what a series went through to a report, a line for each wait.
func (t *track) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "%s\n", t.name)
	for i, r := range t.runs {
		if i == maxReportRuns {
			fmt.Fprintf(b, "  [left out: %d more changes]\n", len(t.runs)-i)
			break
		}
		mark, note := " ", ""
		if r.hidden {
			note = " (stages between were not seen)"
		}
		if r.wrong != "" {
			mark, note = "!", " "+r.wrong
		}
		fmt.Fprintf(b, "%s %s %s%s\n", mark, stamp(r.at), waitText(r.wait), note)
	}
	b.WriteByte('\n')
}

// unnamed is a series' labels without its name, which timestamp() drops.
func unnamed(l triage.Labels) string {
	rest := maps.Clone(l)
	delete(rest, "__name__")
	return rest.String()
}

// shortNames name series by what tells them apart: w3, where only the label
// worker does.
func shortNames(all []promapi.Series) []string {
	names := make([]string, len(all))
	for i, s := range all {
		rest := triage.Labels{}
		for name, value := range s.Labels {
			if !sameEverywhere(all, name, value) {
				rest[name] = value
			}
		}
		if len(all) == 1 {
			rest = withoutTarget(s.Labels)
		}
		names[i] = shortName(rest, s.Labels)
	}
	return names
}

func sameEverywhere(all []promapi.Series, name, value string) bool {
	return !slices.ContainsFunc(all, func(s promapi.Series) bool { return s.Labels[name] != value })
}

// withoutTarget are the labels that the application gave a series.
func withoutTarget(l triage.Labels) triage.Labels {
	rest := maps.Clone(l)
	for _, name := range []string{"__name__", "instance", "job"} {
		delete(rest, name)
	}
	return rest
}

func shortName(distinct, whole triage.Labels) string {
	if len(distinct) == 1 {
		for _, value := range distinct {
			return cut(tracelog.Harmless(value), maxShownValue)
		}
	}
	if name := seriesName(distinct); name != "" {
		return name
	}
	if name := seriesName(whole); name != "" {
		return name
	}
	return "the series"
}
