// Picking over all homes.

package tracelog

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// PickFrom asks all homes at once and gives the best of what they pick, no id
// twice. A home that fails or cannot pick is a skipped part of the coverage; an
// error means that none could.
func PickFrom(ctx context.Context, homes []Home, p Pick) (*Picked, error) {
	if len(homes) == 0 {
		return nil, errors.New("pick a request: there is nothing to search; configure a source or name a log file")
	}
	answers := make([]*Picked, len(homes))
	errs := make([]error, len(homes))
	var group errgroup.Group
	group.SetLimit(maxAsking)
	for i, home := range homes {
		group.Go(func() error {
			answers[i], errs[i] = home.Pick(ctx, p)
			return nil
		})
	}
	_ = group.Wait() // a home's failure is in its answer
	all := &Picked{Coverage: Coverage{To: p.At, Complete: true}}
	if p.Within > 0 {
		all.Coverage.From = p.At.Add(-p.Within)
	}
	failed := 0
	for i, home := range homes {
		if err := errs[i]; err != nil {
			failed++
			// A home that cannot pick has nothing that is missing.
			all.Coverage.add(Part{Source: home.Name(), Name: home.Name(), How: HowSkipped, Note: err.Error(), Complete: errors.Is(err, ErrCannotPick)})
			continue
		}
		all.Candidates = append(all.Candidates, answers[i].Candidates...)
		for _, part := range answers[i].Coverage.Parts {
			all.Coverage.add(part)
		}
	}
	if failed == len(homes) {
		return nil, fmt.Errorf("pick a request: %w", errors.Join(errs...))
	}
	all.Candidates = p.By.Best(all.Candidates)
	all.Candidates = all.Candidates[:min(len(all.Candidates), p.N)]
	return all, nil
}

func (c *Coverage) add(p Part) {
	c.Parts = append(c.Parts, p)
	c.Complete = c.Complete && p.Complete
}
