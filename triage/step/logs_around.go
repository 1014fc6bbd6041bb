// Lines around events: which belong to which, how often their like was seen
// before, and into which shapes they fall.

package step

import (
	"bytes"
	"cmp"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"time"

	"triagebot/triage/step/shape"
	"triagebot/triage/tracelog"
)

// Bounds of what is gathered.
const (
	maxKept      = 5000    // lines in the evidence
	maxKeptBytes = 4 << 20 // of those
	maxKeptLine  = 8 << 10 // of each
	maxTexts     = 20_000  // different texts, once masked
	maxText      = 2 << 10 // bytes of a line's text that are looked at
)

// gathered are the lines around events and those before the first.
type gathered struct {
	*logsAction
	seen  *seenEvents
	lines *tracelog.Lines // nil without events

	texts     map[textKey]*lineText
	ungrouped int // lines whose text is one too many
	kept      []keptLine
	keptBytes int
	unkept    int // lines that are too many for the evidence

	count       int       // of lines around events
	baseline    int       // of lines before the first event
	firstBefore time.Time // of those
	eventBefore bool      // there were events among those

	shapes []*logShape // the most telling first
}

// textKey is what lines of the same text have in common.
type textKey struct{ kind, masked string }

// lineText is one text, as often as it was seen.
type lineText struct {
	key      textKey
	first    time.Time
	baseline int // times before the first event
	tally
	example string // of a line around an event
	same    bool   // all of those say just that
	bare    bool   // it says nothing but the event's name
	shape   int
}

// tally counts lines around events.
type tally struct {
	lines              int
	before, own, after int // how many stand where; own are events themselves
	events             eventSet
}

func (t *tally) merge(o *tally) {
	t.lines += o.lines
	t.before += o.before
	t.own += o.own
	t.after += o.after
	for i := range t.events {
		t.events[i] |= o.events[i]
	}
}

// eventSet are events by their index.
type eventSet [maxEvents / 64]uint64

func (s *eventSet) add(i int) { s[i/64] |= 1 << (i % 64) }

func (s *eventSet) len() (n int) {
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

// keptLine is a line for the evidence.
type keptLine struct {
	at      time.Time
	event   int // the nearest, from 0
	file    string
	offset  int64
	raw     []byte
	cut     bool // raw is its beginning
	says    string
	textKey textKey
}

// logShape is a group of lines.
type logShape struct {
	says     string // its text, what differs replaced
	baseline int
	tally
	fresh bool // not seen before the first event, where that can be told
	rare  bool
	bare  bool
	no    int // from 1, in the evidence
}

func newGathered(a *logsAction, seen *seenEvents) *gathered {
	return &gathered{logsAction: a, seen: seen, texts: map[textKey]*lineText{}}
}

// onset is from when on lines belong to the first event.
func (g *gathered) onset() time.Time { return g.seen.events[0].at.Add(-g.before) }

func (g *gathered) from() time.Time { return g.onset().Add(-g.within) }

func (g *gathered) to() time.Time { return g.seen.events[len(g.seen.events)-1].at.Add(g.after) }

// take looks at one line.
func (g *gathered) take(r *tracelog.Record) bool {
	if r.Time.Before(g.onset()) {
		g.baseline++
		if g.firstBefore.IsZero() || r.Time.Before(g.firstBefore) {
			g.firstBefore = r.Time
		}
		g.eventBefore = g.eventBefore || g.around.isEvent(r)
		if t, _ := g.text(r); t != nil {
			t.baseline++
		}
		return true
	}
	near, covering := g.near(r)
	if covering == (eventSet{}) {
		return true
	}
	g.count++
	t, says := g.text(r)
	if t == nil {
		g.ungrouped++
		return true
	}
	if t.lines == 0 {
		t.example, t.same = says, true
	}
	t.same = t.same && t.example == says
	t.merge(&tally{lines: 1, events: covering})
	switch e := &g.seen.events[near]; {
	case g.around.isEvent(r):
		t.own++
	case r.Time.After(e.at), r.Time.Equal(e.at) && r.File == e.file && r.Offset > e.offset: // as the event's stack trace
		t.after++
	default:
		t.before++
	}
	g.keep(r, t, near, says)
	return true
}

// near finds the events that a line is around, and the nearest of them; of two
// as near the later, for what leads to an event tells more.
func (g *gathered) near(r *tracelog.Record) (nearest int, covering eventSet) {
	events := g.seen.events
	by := ""
	if g.by != "" {
		by = g.byOf(r)
	}
	best := time.Duration(-1)
	from, _ := slices.BinarySearchFunc(events, r.Time.Add(-g.after), func(e logEvent, t time.Time) int { return e.at.Compare(t) })
	for i := from; i < len(events) && !events[i].at.After(r.Time.Add(g.before)); i++ {
		if g.by != "" && events[i].by != "" && events[i].by != by {
			continue
		}
		covering.add(i)
		if away := r.Time.Sub(events[i].at).Abs(); best < 0 || away <= best {
			nearest, best = i, away
		}
	}
	return nearest, covering
}

// text files a line under its text; nil when there are too many.
func (g *gathered) text(r *tracelog.Record) (t *lineText, says string) {
	kind, says, bare := g.said(r)
	masked, codes := shape.Mask(says)
	key := textKey{kind + "\x00" + codes, masked}
	t = g.texts[key]
	if t == nil {
		if len(g.texts) == maxTexts {
			return nil, says
		}
		t = &lineText{key: key, first: r.Time, bare: bare}
		g.texts[key] = t
	}
	if r.Time.Before(t.first) {
		t.first = r.Time
	}
	return t, says
}

// messageFields are where lines say what they have to say, beside what their
// roles name.
var messageFields = []string{"msg", "message", "_msg", "text", "log"}

// said is what a line says: the event that it tells and its details, or else its
// message, or else all of its fields. bare means that it names an event and
// nothing else.
func (g *gathered) said(r *tracelog.Record) (kind, says string, bare bool) {
	value := func(name string) string {
		return strings.TrimSpace(tracelog.TextOf(r.Fields, name))
	}
	if r.Fields == nil {
		return "", shortened(string(r.Raw)), false
	}
	event := cmp.Or(value(r.Roles.Event), value(g.around.field))
	level := strings.ToLower(cmp.Or(value("level"), value("severity"), value("lvl")))
	var parts []string
	add := func(part string) {
		if part != "" && !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	for _, name := range append([]string{r.Roles.Detail, "detail"}, messageFields...) {
		add(value(name))
	}
	add(strings.TrimSpace(r.Roles.ErrorOf(r.Fields)))
	if len(parts) == 0 && event != "" {
		return level + " " + event, shortened(event), true
	}
	if len(parts) == 0 {
		add(g.fieldsSaid(r))
	}
	says = strings.Join(parts, ": ")
	if event != "" && !g.around.isEvent(r) {
		says = event + ": " + says
	}
	return level + " " + event, shortened(says), false
}

// fieldsSaid are a line's fields, but for when and who.
func (g *gathered) fieldsSaid(r *tracelog.Record) string {
	left := map[string]bool{r.Roles.Time: true, r.Roles.Worker: true, g.by: true, "_time": true, "_stream": true, "_stream_id": true}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r.Fields)) {
		if v := tracelog.TextOf(r.Fields, name); v != "" && !left[name] {
			parts = append(parts, name+"="+v)
		}
	}
	return strings.Join(parts, " ")
}

// shortened is text on one line, as much of it as is looked at.
func shortened(s string) string {
	return strings.Join(strings.Fields(safeText(bytesOf(s, maxText))), " ")
}

func (g *gathered) keep(r *tracelog.Record, t *lineText, near int, says string) {
	raw := r.Raw[:min(len(r.Raw), maxKeptLine)]
	if len(g.kept) == maxKept || g.keptBytes+len(raw) > maxKeptBytes {
		g.unkept++
		return
	}
	g.keptBytes += len(raw)
	g.kept = append(g.kept, keptLine{
		at: r.Time, event: near, file: r.File, offset: r.Offset, says: says, textKey: t.key,
		raw: bytes.Clone(raw), cut: len(raw) < len(r.Raw),
	})
}

// history is how long before the first event the log is known, 0 where that is
// too short to say what is new.
func (g *gathered) history() time.Duration {
	switch {
	case g.lines == nil:
		return 0
	case g.lines.Older:
		return g.within
	case g.firstBefore.IsZero():
		return 0
	}
	const least = 2 // parts of the window
	if known := g.onset().Sub(g.firstBefore); known >= g.within/least {
		return known
	}
	return 0
}

// group makes shapes of the texts. It does not depend on the order in which
// lines came.
func (g *gathered) group() {
	texts := slices.SortedFunc(maps.Values(g.texts), func(a, b *lineText) int {
		return cmp.Or(a.first.Compare(b.first), cmp.Compare(a.key.kind, b.key.kind), cmp.Compare(a.key.masked, b.key.masked))
	})
	lines := make([]shape.Line, len(texts))
	for i, t := range texts {
		lines[i] = shape.Line{Kind: t.key.kind, Text: t.key.masked}
	}
	known := g.history() > 0
	for _, group := range shape.Group(lines) {
		s := &logShape{says: group.Template, bare: true}
		var exact []string
		for _, i := range group.Lines {
			t := texts[i]
			s.baseline += t.baseline
			s.merge(&t.tally)
			if t.lines > 0 {
				s.bare = s.bare && t.bare && t.own > 0
				exact = append(exact, t.example)
				if !t.same {
					exact = append(exact, "")
				}
			}
		}
		if s.lines == 0 {
			continue
		}
		if len(exact) == 1 {
			s.says = exact[0]
		}
		own := s.own > 0
		s.fresh = known && s.baseline == 0 && (!own || g.eventBefore)
		s.rare = known && s.baseline > 0 && s.baseline <= g.rare
		g.shapes = append(g.shapes, s)
		for _, i := range group.Lines {
			texts[i].shape = len(g.shapes) - 1
		}
	}
	byIndex := slices.Clone(g.shapes)
	slices.SortStableFunc(g.shapes, func(a, b *logShape) int {
		return cmp.Or(
			cmp.Compare(a.class(), b.class()), cmp.Compare(b.events.len(), a.events.len()),
			cmp.Compare(a.place(), b.place()), cmp.Compare(a.lines, b.lines), cmp.Compare(a.says, b.says),
		)
	})
	for i, s := range g.shapes {
		s.no = i + 1
	}
	for _, t := range texts {
		if t.lines > 0 {
			t.shape = byIndex[t.shape].no
		}
	}
	slices.SortStableFunc(g.kept, func(a, b keptLine) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.file, b.file), cmp.Compare(a.offset, b.offset))
	})
}

// class orders shapes: what is new and what the events themselves say, then what
// is rare, then the usual, then events' bare names.
func (s *logShape) class() int {
	switch {
	case s.bare:
		return 3
	case s.fresh, s.own > 0:
		return 0
	case s.rare:
		return 1
	default:
		return 2
	}
}

// place orders shapes that are alike otherwise: what leads to events tells more
// than what they say, and that more than what follows.
func (s *logShape) place() int {
	switch {
	case s.own > 0:
		return 1
	case s.before >= s.after:
		return 0
	default:
		return 2
	}
}

// fresh are the shapes that are new.
func (g *gathered) fresh() (n int) {
	for _, s := range g.shapes {
		if s.fresh {
			n++
		}
	}
	return n
}
