// Picking: a question to a backend for the requests worth looking at, and its
// answer as one list.

package backend

import (
	"context"
	"fmt"
	"slices"
	"time"

	"triagebot/triage/tracelog"
)

// condition is what a pick asks of the lines.
type condition struct {
	atLeast    time.Duration // took; 0 for any
	failing    bool
	toolCall   bool
	route      string // "" for any
	mostFirst  bool   // the longest before the latest; not every backend can
	candidates int    // how many are asked for
}

func (b *base) cannotPick(why string) error {
	return fmt.Errorf("%s %s: %w: %s", b.kind, b.name, tracelog.ErrCannotPick, why)
}

// sampler asks a backend for requests that meet a condition, the latest first
// where it can.
type sampler func(ctx context.Context, w window, c condition, g *gathering) (sample, error)

// perRequest is how many lines of one request a pick reckons with, and
// fewestAsked the least that is asked for: a larger answer costs little more.
const (
	perRequest  = 4
	fewestAsked = 200
)

// picking is how a backend is picked from.
type picking struct {
	longest   time.Duration // window that it takes
	sorts     bool          // gives the longest first by itself
	latest    bool          // gives the latest first, and not any of those that match
	tellsFail bool          // can be asked for requests that failed
	ask       sampler
}

// pickLines answers a pick from log lines, whose roles must be told.
func (b *base) pickLines(ctx context.Context, p tracelog.Pick, how picking) (*tracelog.Picked, error) {
	roles := &b.source.Roles
	how.tellsFail = roles.Status != "" || roles.Error != ""
	switch {
	case p.By == tracelog.PickSlowest && roles.Duration == "":
		return nil, b.cannotPick("its roles do not say which field holds the duration")
	case p.By == tracelog.PickFailing && !how.tellsFail:
		return nil, b.cannotPick("its roles do not say which field holds the status or the error")
	case p.Route != "" && roles.Route == "":
		return nil, b.cannotPick("its roles do not say which field holds the route")
	}
	return b.pick(ctx, p, how)
}

// pick answers a pick.
func (b *base) pick(ctx context.Context, p tracelog.Pick, how picking) (*tracelog.Picked, error) {
	if p.By == tracelog.PickToolCall && b.source.Roles.ToolCall == "" {
		return nil, b.cannotPick("its roles do not say what marks a tool call")
	}
	n := min(max(p.N, 1), tracelog.MaxPick)
	w, cut := pickWindow(p, b.lookBack, how.longest)
	g := b.gather(tracelog.Query{})
	g.searched = []window{w}
	if cut {
		g.short("looked at the last %s only, the longest that is asked for at once", how.longest)
	}
	s, err := b.sample(ctx, p.By, n, condition{route: p.Route, candidates: max(fewestAsked, perRequest*n)},
		func(ctx context.Context, c condition) (sample, error) { return how.ask(ctx, w, c, g) }, how)
	if err != nil {
		if len(s.candidates) == 0 {
			return nil, err
		}
		g.short("looked only in part: %v", err)
	}
	best := p.By.Best(s.candidates)
	if s.cut && (p.By == tracelog.PickSlowest || !how.latest || len(best) < n) {
		g.short("there are more requests than could be compared; narrow the window or name a route")
	}
	return &tracelog.Picked{Candidates: best[:min(n, len(best))], Coverage: g.found(true).Coverage}, nil
}

// sample asks for the requests that a pick chooses from. What was given before
// a failure stands.
func (b *base) sample(ctx context.Context, by tracelog.PickBy, n int, c condition, ask func(context.Context, condition) (sample, error), how picking) (s sample, err error) {
	switch by {
	case tracelog.PickSlowest:
		if how.sorts {
			c.mostFirst = true
			s, err = ask(ctx, c)
			s.cut = s.cut && len(by.Best(s.candidates)) < n
			return s, err
		}
		return climb(ctx, n, func(ctx context.Context, atLeast time.Duration) (sample, error) {
			c.atLeast = atLeast
			return ask(ctx, c)
		})
	case tracelog.PickFailing:
		c.failing = true
		s, err = ask(ctx, c)
		s.candidates = slices.DeleteFunc(s.candidates, func(c tracelog.Candidate) bool { return !c.Failing() })
		return s, err
	case tracelog.PickToolCall:
		c.toolCall = true
		if how.tellsFail {
			c.failing = true
			if s, err = ask(ctx, c); err != nil {
				return s, err
			}
			c.failing = false
		}
		rest, err := ask(ctx, c)
		s.candidates, s.cut = append(s.candidates, rest.candidates...), s.cut || rest.cut
		return s, err
	default:
		return s, b.cannotPick("it does not know how to pick by " + string(by))
	}
}
