// The search that all backends share: window after window, until all is
// searched or enough is found.

package backend

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"triagebot/triage/tracelog"
)

// gathering is what a lookup has found so far.
type gathering struct {
	base     *base
	query    tracelog.Query
	records  []tracelog.Record
	part     tracelog.Part
	searched []window
	notes    []string
	cut      bool // there is more than what was gathered
}

func (b *base) gather(q tracelog.Query) *gathering {
	return &gathering{
		base:  b,
		query: q,
		part:  tracelog.Part{Source: b.name, Name: b.address(), How: tracelog.HowQuery},
	}
}

// room is how many records may still be added.
func (g *gathering) room() int { return g.base.maxRecords - len(g.records) }

// add takes a record. It returns false when there is no room for it.
func (g *gathering) add(r tracelog.Record) bool {
	if g.room() <= 0 {
		g.short("stopped at %d records, its bound; there are more", g.base.maxRecords)
		return false
	}
	g.records = append(g.records, r)
	return true
}

// short notes why something is missing. A note that stands already is not
// repeated.
func (g *gathering) short(format string, args ...any) {
	g.cut = true
	g.note(format, args...)
}

func (g *gathering) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(g.notes, text) {
		g.notes = append(g.notes, text)
	}
}

// received counts the bytes of a response.
func (g *gathering) received(body []byte) {
	g.part.Bytes += int64(len(body))
	g.part.Size = g.part.Bytes
}

// span is from the first to the last instant searched. What lies between and
// was not searched, because it is further back than the look-back and not near
// the hint, is noted.
func (g *gathering) span(done bool) (from, to time.Time) {
	slices.SortFunc(g.searched, func(a, b window) int { return a.from.Compare(b.from) })
	for _, w := range g.searched {
		if done && !to.IsZero() && to.Before(w.from) {
			g.short("did not search from %s to %s, for that is beyond the look-back of %s",
				to.UTC().Format(time.RFC3339), w.from.UTC().Format(time.RFC3339), g.base.lookBack)
		}
		if from.IsZero() {
			from = w.from
		}
		to = later(to, w.to)
	}
	return from, to
}

// tell gives the caller what there is so far, if there is something.
func (g *gathering) tell() {
	if g.query.Partial != nil && len(g.records) > 0 {
		g.query.Partial(g.found(false))
	}
}

// found is the answer; done says that the search came to its end.
func (g *gathering) found(done bool) *tracelog.Found {
	records := slices.Clone(g.records)
	slices.SortStableFunc(records, func(a, b tracelog.Record) int {
		switch {
		case a.Before(&b):
			return -1
		case b.Before(&a):
			return 1
		default:
			return 0
		}
	})
	from, to := g.span(done)
	part := g.part
	part.Complete = done && !g.cut
	part.Note = strings.Join(g.notes, "; ")
	return &tracelog.Found{Records: records, Coverage: tracelog.Coverage{
		Parts: []tracelog.Part{part}, From: from, To: to, Complete: part.Complete,
	}}
}

// search looks into one window and adds what it finds.
type search func(ctx context.Context, w window, g *gathering) error

// find searches window after window, none longer than longest. What was found
// before a failure is still answered.
func (g *gathering) find(ctx context.Context, longest time.Duration, look search) (*tracelog.Found, error) {
	all, near := windows(g.query, g.base.now(), g.base.lookBack, longest)
	for i, w := range all {
		if i == near && near > 0 && g.query.Near && len(g.records) > 0 {
			g.short("searched only around the hinted time")
			break
		}
		before := len(g.records)
		if err := look(ctx, w, g); err != nil {
			if i == 0 && len(g.records) == 0 {
				return nil, err
			}
			g.short("searched only in part: %v", err)
			break
		}
		g.searched = append(g.searched, w)
		if g.cut && g.room() <= 0 {
			break
		}
		if len(g.records) > before && i < len(all)-1 {
			g.tell()
		}
	}
	return g.found(true), nil
}
