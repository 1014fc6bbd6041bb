// Lines by time alone: what Loki and VictoriaLogs hold of a window, whatever
// request it is about.

package backend

import (
	"context"
	"fmt"
	"time"

	"triagebot/triage/tracelog"
)

// takeLine takes a line that a backend gave; false means that no more is wanted.
type takeLine func(line []byte, received instant, labels map[string]any) bool

// reading is how a backend gives the lines of a window.
type reading struct {
	longest time.Duration // of one window
	pages   func(ctx context.Context, w window, g *gathering, take takeLine) error
	// any says whether there is a line in a window.
	any func(ctx context.Context, w window, g *gathering) (bool, error)
}

// between shows the lines of a window to each, until that returns false.
func (b *base) between(ctx context.Context, q tracelog.LineQuery, each func(*tracelog.Record) bool, how reading) (*tracelog.Lines, error) {
	if q.Source != b.name {
		return nil, fmt.Errorf("%s %s holds no source %q", b.kind, b.name, q.Source)
	}
	g := b.gather(tracelog.Query{})
	w := window{q.From, q.To.Add(time.Nanosecond)} // the end is part of it
	if w.to.Sub(w.from) > how.longest {
		w.from = w.to.Add(-how.longest)
		g.short("read the last %s only, the longest that is asked for at once", how.longest)
	}
	shown := false
	err := how.pages(ctx, w, g, func(line []byte, received instant, labels map[string]any) bool {
		shown = true
		if len(line) > b.source.Cap() {
			g.part.TooLong++
			g.short(tracelog.UnreadLines)
			return true
		}
		r := b.lineRecord(line, received, labels)
		if !each(&r) {
			g.short("the reading of it was ended")
			return false
		}
		return true
	})
	if err != nil {
		if !shown {
			return nil, err
		}
		g.short("read only in part: %v", err)
	}
	g.searched = []window{w}
	lines := &tracelog.Lines{}
	before := window{w.from.Add(-min(b.lookBack, how.longest)), w.from}
	if lines.Older, err = how.any(ctx, before, g); err != nil {
		g.note("whether it is older could not be told: %v", err)
	}
	lines.Coverage = g.found(true).Coverage
	return lines, nil
}

// lineRecord reads a line, which need be no JSON object.
func (b *base) lineRecord(line []byte, received instant, labels map[string]any) tracelog.Record {
	r, isText := b.source.ReadAny(line)
	if isText {
		r.Fields = map[string]any{tracelog.PlainMessage: string(line)}
	}
	if r.Time.IsZero() {
		r.Time = received(r.Fields)
	}
	if _, taken := r.Fields[labelsField]; !taken && len(labels) > 0 {
		r.Fields[labelsField] = labels
	}
	return r
}
