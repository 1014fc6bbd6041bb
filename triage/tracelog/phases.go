// Where the time went: the phases between a request's records.

package tracelog

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// Phase is the time between two records that follow one another.
type Phase struct {
	From string        `json:"from"` // what stands at its beginning, in words: "proto send"
	To   string        `json:"to"`
	At   time.Time     `json:"at"`
	Took time.Duration `json:"took_ns"`
}

// point is something that happened, in words.
type point struct {
	at     time.Time
	source string
	name   string
	inRow  bool // a chunk with chunks before and after it
	start  bool // that the answer tells of
	last   bool // of what happened at the same time: the answer
}

// phases lie between the points of a request.
func phases(points []point) []Phase {
	var all []Phase
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		all = append(all, Phase{From: a.name, To: b.name, At: a.at, Took: b.at.Sub(a.at)})
	}
	return all
}

// withoutRows leaves of chunks that come one after another the first and the
// last.
func withoutRows(points []point) []point {
	return slices.DeleteFunc(slices.Clone(points), func(p point) bool { return p.inRow })
}

// points are what the records tell of, and the begin that the answer does.
func points(records []*Traced, answer *Traced) []point {
	var all []point
	if answer != nil && answer.took() > 0 && !answer.Time.IsZero() {
		all = append(all, point{at: answer.span().from, source: answer.Source, name: "the request's start", start: true})
	}
	sends := map[string]int{}
	chunks, ofChunks := 0, 0
	for _, r := range records {
		if !r.chunk() {
			if r.sends() {
				sends[r.Source]++
			}
		} else if r != answer && !r.Time.IsZero() {
			ofChunks++
		}
	}
	for i, r := range records {
		if r.Time.IsZero() {
			break // these come last
		}
		p := point{at: r.Time, source: r.Source, name: r.name()}
		switch {
		case r == answer:
			p.name, p.last = "the "+shown(r.Source)+" line", true
		case r.chunk():
			chunks++
			before, after := beside(records, i, -1), beside(records, i, +1)
			p.inRow = before != nil && after != nil && sameStream(before, r) && sameStream(r, after)
			p.name = chunkName(r, chunks, ofChunks)
		case r.sends() && sends[r.Source] == 1:
			p.name = shown(r.Source) + " send"
		}
		all = append(all, p)
	}
	slices.SortStableFunc(all, func(a, b point) int {
		return cmp.Or(a.at.Compare(b.at), compareBool(a.last, b.last))
	})
	return all
}

func sameStream(a, b *Traced) bool {
	return a.Source == b.Source && a.chunk() && b.chunk() && !b.Time.IsZero() && a.about() == b.about()
}

// beside is the record that comes before or after the i-th, step being -1 or 1,
// without those of other sources that only share its instant, or the one's next
// to it: which of them comes first is not known. nil where there is none.
func beside(records []*Traced, i, step int) *Traced {
	r := records[i]
	instant := r.Time
	for j := i + step; j >= 0 && j < len(records); j += step {
		o := records[j]
		if !o.Time.Equal(instant) {
			if !instant.Equal(r.Time) {
				return nil
			}
			instant = o.Time
		}
		if o.Source == r.Source {
			return o
		}
	}
	return nil
}

// chunkName is what the n-th of so many chunks is called.
func chunkName(r *Traced, n, of int) string {
	switch n {
	case 1:
		return "first chunk"
	case of:
		return "last chunk"
	default:
		seq, _ := r.seq()
		return "chunk " + strconv.FormatInt(seq, 10)
	}
}

// A gap matters from a twentieth of the whole and a millisecond on; the
// headline speaks of one that is a quarter of it.
const (
	gapMatters   = 20
	gapHeadlines = 4
)

// gaps are the longest times between any two records, chunks among them, the
// longest first. Between clocks that do not agree there are none.
func gaps(points []point, total time.Duration, clocks []ClockDiffer) []Phase {
	var long []Phase
	for _, together := range withoutWhole(byClock(points, clocks)) {
		for _, p := range phases(together) {
			if p.Took >= time.Millisecond && p.Took >= total/gapMatters {
				long = append(long, p)
			}
		}
	}
	slices.SortStableFunc(long, func(a, b Phase) int { return cmp.Compare(b.Took, a.Took) })
	return slices.Clip(long[:min(len(long), maxGaps)])
}

// byClock are the points whose clocks agree as far as is known, and then those of
// each source that has another clock.
func byClock(points []point, clocks []ClockDiffer) [][]point {
	rest := slices.Clone(points)
	var others [][]point
	for i := range clocks {
		c := &clocks[i]
		if c.Source == c.Against {
			continue
		}
		other := func(p point) bool { return p.source == c.Source }
		others = append(others, slices.DeleteFunc(slices.Clone(rest), func(p point) bool { return !other(p) }))
		rest = slices.DeleteFunc(rest, other)
	}
	return append([][]point{rest}, others...)
}

// withoutWhole parts the request's start from its answer where what lies between
// them is told by other clocks alone: that time is no gap.
func withoutWhole(groups [][]point) [][]point {
	rest := groups[0]
	if i := slices.IndexFunc(rest, func(p point) bool { return p.last }); len(groups) > 1 && i > 0 && rest[i-1].start {
		return append([][]point{rest[:i], rest[i:]}, groups[1:]...)
	}
	return groups
}
