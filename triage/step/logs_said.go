// What the lines around events come to: a sentence for whoever is paged, the
// shapes, variables, and the lines themselves as evidence.

package step

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	"triagebot/triage"
	"triagebot/triage/playbook"
	"triagebot/triage/promapi"
	"triagebot/triage/tracelog"
)

const (
	maxShapeDetails = 5
	maxShapesShown  = 100 // in the readable evidence
	maxEventsShown  = 100 // likewise
)

func (a *logsAction) outcome(env *playbook.Env, g *gathered) (*playbook.Outcome, error) {
	out := &playbook.Outcome{Headline: g.headline(env.At)}
	if missing, next := g.missing(); missing != "" {
		out.Partial = true
		out.Headline += fmt.Sprintf(" Not complete: %s.", missing)
		out.NextStep = next
	}
	row := playbook.OutcomeRow{Vars: g.vars(), Value: strconv.Itoa(g.seen.count)}
	if _, known := row.Vars["new_shapes"]; !known {
		row.Missing = g.unknownHistory()
	}
	out.Rows = []playbook.OutcomeRow{row}
	for _, s := range g.shapes[:min(len(g.shapes), maxShapeDetails)] {
		if !s.bare {
			out.Details = append(out.Details, triage.Row{Name: tracelog.Harmless(s.says), Value: g.noted(s)})
		}
	}
	for _, c := range g.coverages() {
		for i := range c.Parts {
			p := &c.Parts[i]
			env.Debugf("%s %s: %s, %d of %d bytes%s", tracelog.Harmless(p.Source), tracelog.Harmless(p.Name), p.How, p.Bytes, p.Size, noteOf(p))
		}
	}
	if g.unkept > 0 {
		env.Debugf("%d lines are too many for the evidence; they are counted", g.unkept)
	}
	var err error
	if g.count > 0 {
		out.Artifacts, err = g.artifacts(env)
	}
	return out, err
}

func noteOf(p *tracelog.Part) string {
	if p.Note == "" {
		return ""
	}
	return "; " + tracelog.Harmless(p.Note)
}

// coverages are those of the readings: for events, and of the lines around them.
func (g *gathered) coverages() []*tracelog.Coverage {
	var all []*tracelog.Coverage
	for _, lines := range []*tracelog.Lines{g.seen.lines, g.lines} {
		if lines != nil {
			all = append(all, &lines.Coverage)
		}
	}
	return all
}

// missing says why what was found need not be all, and what to do about it.
func (g *gathered) missing() (why, next string) {
	for _, c := range g.coverages() {
		if !c.Complete {
			return lacking(c), "Make what was not read readable or reachable, and run the playbook again."
		}
	}
	switch {
	case g.seen.silent:
		return tracelog.Harmless(g.source) + " has no lines at all up to then, so that no events may only mean that nothing is written to it",
			"Check that the files or streams of " + tracelog.Harmless(g.source) + " in the configuration are those that the service writes."
	case g.ungrouped > 0:
		return fmt.Sprintf("%d of the lines are not grouped: more than %d different texts", g.ungrouped, maxTexts),
			"Narrow the step: shorten before and after, or write by."
	}
	return "", ""
}

func (g *gathered) vars() map[string]any {
	byCount := map[string]any{}
	for name, n := range g.seen.byCount {
		byCount[safeText(name)] = float64(n) // as it comes back from the stored finding
	}
	vars := map[string]any{
		"events": int64(g.seen.count), "lines": int64(g.count), "shapes": int64(len(g.shapes)),
		"top": "", "telling": g.telling(), "top_count": int64(0), "top_events": int64(0), "by_count": byCount,
	}
	if len(g.shapes) > 0 {
		top := g.shapes[0]
		vars["top"], vars["top_count"], vars["top_events"] = tracelog.Harmless(top.says), int64(top.lines), int64(top.events.len())
	}
	if len(g.seen.events) == 0 || g.history() > 0 {
		vars["new_shapes"] = int64(g.fresh())
	}
	return vars
}

// maxTelling is how many shapes are quoted together.
const maxTelling = 5

// telling are the shapes that are not known to be usual.
func (g *gathered) telling() string {
	var said []string
	for _, s := range g.shapes {
		if len(said) < maxTelling && !s.bare && (s.class() < 2 || g.history() == 0) {
			said = append(said, tracelog.Harmless(s.says))
		}
	}
	return strings.Join(said, "; ")
}

// headline is the finding in a few sentences.
func (g *gathered) headline(at time.Time) string {
	if g.seen.count == 0 {
		return fmt.Sprintf("No %s in %s.", g.calledIn(), window(g.within, at.UTC().Truncate(time.Second)))
	}
	said := []string{g.eventsSaid()}
	if n := g.seen.count - len(g.seen.events); n > 0 {
		said = append(said, fmt.Sprintf("Lines were read around the first %d.", len(g.seen.events)))
	}
	if g.count == 0 {
		return strings.Join(append(said, fmt.Sprintf("%s has no lines around %s.", tracelog.Harmless(g.source), them(g.seen.count))), " ")
	}
	top := g.shapes[0]
	switch {
	case top.bare:
		said = append(said, fmt.Sprintf("%s has no other lines around %s.", tracelog.Harmless(g.source), them(g.seen.count)))
	case top.class() == 2 && g.history() > 0:
		said = append(said, "Nothing around "+them(g.seen.count)+" is new or rare; most often "+g.sentence(top))
	default:
		said = append(said, capital(g.sentence(top)))
	}
	more := g.fresh()
	if top.fresh {
		more--
	}
	if led := g.ledTo(top); led != nil {
		said = append(said, capital(g.sentence(led)))
		more--
	}
	switch {
	case more == 1:
		said = append(said, "1 more shape of lines is new.")
	case more > 1:
		said = append(said, fmt.Sprintf("%d more shapes of lines are new.", more))
	}
	if g.history() == 0 && !top.bare {
		said = append(said, "What is new cannot be told: "+g.unknownHistory()+".")
	}
	return strings.Join(said, " ")
}

// ledTo is the first of the new shapes that stand before events, where top is
// what the events themselves say; nil without one.
func (g *gathered) ledTo(top *logShape) *logShape {
	for _, s := range g.shapes {
		if top.own > 0 && s.fresh && s.place() == 0 {
			return s
		}
	}
	return nil
}

func capital(sentence string) string { return strings.ToUpper(sentence[:1]) + sentence[1:] }

func (g *gathered) calledIn() string {
	if g.around.expr != nil {
		return fmt.Sprintf("event: %s did not hold in %s", cut(g.seen.expr, maxShownExpr), promapi.Display(g.around.name))
	}
	return g.around.called() + " in " + tracelog.Harmless(g.source)
}

// eventsSaid counts the events: "12 worker_exited events between 14:02:10 and
// 14:09:55 UTC (w1 5, w2 4, w3 3)."
func (g *gathered) eventsSaid() string {
	s := g.seen
	what := g.around.called()
	if s.count > 1 {
		what = plural(what)
	}
	when := "at " + s.first.UTC().Format(clock)
	if first, last := s.first.UTC(), s.last.UTC(); first.Format(clock) != last.Format(clock) {
		when = "between " + first.Format("15:04:05") + " and " + last.Format(clock)
	}
	text := fmt.Sprintf("%d %s %s", s.count, what, when)
	switch by := s.byWorker(); {
	case by != "" && s.count == 1:
		text += " (" + tracelog.Harmless(s.events[0].by) + ")"
	case by != "":
		text += " (" + by + ")"
	}
	return text + "."
}

// plural is the plural of what called gives.
func plural(what string) string {
	if rest, found := strings.CutPrefix(what, "line "); found {
		return "lines " + rest
	}
	return what + "s"
}

func them(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

// sentence says where a shape stands and how usual it is, beginning with a small
// letter or a number.
func (g *gathered) sentence(s *logShape) string {
	where := "before "
	switch s.place() {
	case 1:
		where = ""
	case 2:
		where = "after "
	}
	n, all := s.events.len(), len(g.seen.events)
	which := fmt.Sprintf("%d of %d of them", n, all)
	switch {
	case all == 1:
		which = "it"
	case n == all && all == 2:
		which = "both of them"
	case n == all:
		which = fmt.Sprintf("all %d of them", all)
	}
	verb := ""
	switch {
	case where == "" && n == 1:
		verb = " says"
	case where == "":
		verb = " say"
	}
	text := where + which + verb + ": “" + tracelog.Harmless(s.says) + "”"
	if known := g.history(); known > 0 {
		text += " (" + g.usual(s, known) + ")"
	}
	return text + "."
}

// usual says how usual a shape was before the first event.
func (g *gathered) usual(s *logShape, known time.Duration) string {
	before := fmt.Sprintf("in the %s before the first", model.Duration(known.Truncate(time.Second)))
	switch {
	case s.fresh:
		return "new: not seen " + before
	case s.baseline == 0:
		return "there was none " + before
	case s.rare:
		return fmt.Sprintf("rare: seen %d× %s", s.baseline, before)
	default:
		return fmt.Sprintf("seen %d× %s", s.baseline, before)
	}
}

// noted is a shape's numbers: "new, 11 lines around 11 events".
func (g *gathered) noted(s *logShape) string {
	text := fmt.Sprintf("%s around %s", counted(s.lines, "line"), counted(s.events.len(), "event"))
	switch {
	case s.fresh:
		return "new, " + text
	case s.rare:
		return "rare, " + text
	}
	return text
}

// unknownHistory says why it cannot be told what is new.
func (g *gathered) unknownHistory() string {
	return fmt.Sprintf("%s does not reach back over the %s before the first event", tracelog.Harmless(g.source), model.Duration(g.within))
}

// artifacts are the shapes, for people, and the lines, for programs.
func (g *gathered) artifacts(env *playbook.Env) ([]playbook.Artifact, error) {
	source := "Lines of " + tracelog.Harmless(g.source)
	name := stem(env, "logs")
	text, err := textArtifact(name+".txt", "Lines around events by shape", source, func(w io.Writer) error { return g.writeText(w, env.At) })
	if err != nil {
		return nil, err
	}
	lines, err := linesArtifact(name+".ndjson", "Lines around events as NDJSON", source, g.unkept, g.count-g.ungrouped, g.writeNDJSON)
	return []playbook.Artifact{text, lines}, err
}

// writeText writes the shapes, then the lines around each event.
func (g *gathered) writeText(w io.Writer, at time.Time) error {
	var failed error
	line := func(format string, args ...any) {
		if failed == nil {
			_, failed = fmt.Fprintf(w, format+"\n", args...)
		}
	}
	line("%s", g.headline(at))
	line("")
	line("Shapes of the lines from %s before to %s after an event, what is new or rare first:", model.Duration(g.before), model.Duration(g.after))
	for _, s := range g.shapes[:min(len(g.shapes), maxShapesShown)] {
		line("")
		line("%d. %s", s.no, tracelog.Harmless(s.says))
		seen := "not known how often before"
		if g.history() > 0 {
			seen = g.usual(s, g.history())
		}
		line("   %s around %s: %d before, %d themselves events, %d after; %s",
			counted(s.lines, "line"), counted(s.events.len(), "event"), s.before, s.own, s.after, seen)
	}
	if n := len(g.shapes) - maxShapesShown; n > 0 {
		line("")
		line("[%d more shapes]", n)
	}
	next := 0
	near := make([][]*keptLine, len(g.seen.events))
	for i := range g.kept {
		near[g.kept[i].event] = append(near[g.kept[i].event], &g.kept[i])
	}
	for i, lines := range near {
		if len(lines) == 0 {
			continue
		}
		if next++; next > maxEventsShown {
			line("")
			line("[further events are in the NDJSON]")
			break
		}
		e := g.seen.events[i]
		line("")
		line("%s", strings.TrimRight(fmt.Sprintf("Event %d at %s %s", i+1, e.at.UTC().Format("2006-01-02 15:04:05.000 UTC"), tracelog.Harmless(e.by)), " "))
		for _, l := range lines {
			line("%+10.3f s  [%d] %s", l.at.Sub(e.at).Seconds(), g.texts[l.textKey].shape, tracelog.Harmless(l.says))
		}
	}
	return failed
}

// nearLine is a line of the evidence.
type nearLine struct {
	Event    int             `json:"event"`     // from 1
	EventAt  time.Time       `json:"event_at"`  // of the nearest event
	OffsetMS float64         `json:"offset_ms"` // from it; negative before
	By       string          `json:"by,omitempty"`
	Shape    int             `json:"shape"` // its number in the readable evidence
	At       time.Time       `json:"at"`
	Source   string          `json:"source"`
	File     string          `json:"file,omitempty"`
	Offset   int64           `json:"offset"`         // bytes, in the file
	Cut      bool            `json:"cut,omitempty"`  // the line is longer
	Line     json.RawMessage `json:"line,omitempty"` // as it stands, where it is JSON
	Text     string          `json:"text,omitempty"` // else
}

func (g *gathered) writeNDJSON(w io.Writer) error {
	for i := range g.kept {
		k := &g.kept[i]
		e := g.seen.events[k.event]
		l := nearLine{
			Event: k.event + 1, EventAt: e.at.UTC(), OffsetMS: inMilliseconds(k.at.Sub(e.at)), By: safeText(e.by), Shape: g.texts[k.textKey].shape,
			At: k.at.UTC(), Source: g.source, File: k.file, Offset: k.offset, Cut: k.cut,
		}
		if json.Valid(k.raw) && utf8.Valid(k.raw) {
			l.Line = k.raw
		} else {
			l.Text = safeText(string(k.raw))
		}
		if err := tracelog.WriteJSONLine(w, l); err != nil {
			return err
		}
	}
	return nil
}
