// Context: what befell the workers while they handled the request. Logs of a
// worker's life name no request; they are asked by worker and time.

package tracelog

import (
	"cmp"
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// Contexter is a Home that may have records which name a worker but no id.
type Contexter interface {
	// Around gives the records of the worker from one instant to another, both
	// included, that are about no request. Its errors are Find's.
	Around(ctx context.Context, from, to time.Time, worker string) (*Found, error)
}

const (
	// maxWorkers is how many workers are asked about: a chain of retries meets a
	// few, a whole session could meet them all.
	maxWorkers = 8
	// aroundSlack is how long before and after a request its worker's events may
	// explain it: an exit is often logged after the failure it caused.
	aroundSlack = time.Second
)

// askAround asks the homes that can tell what befell the workers.
func (s *stitcher) askAround(ctx context.Context) {
	var group errgroup.Group
	group.SetLimit(maxAsking)
	for _, w := range s.trace().workers() {
		for _, home := range s.homes {
			contexter, ok := home.(Contexter)
			if !ok {
				continue
			}
			a := s.begin(home, "")
			group.Go(func() error {
				found, err := contexter.Around(ctx, w.from.Add(-aroundSlack), w.to.Add(aroundSlack), w.name)
				s.end(a, found, err)
				return nil
			})
		}
	}
	_ = group.Wait() // a home's failure is in its answer
}

// busy is a worker and when it handled the requests.
type busy struct {
	name string
	span
}

// workers are those that the records name, by name, each with the time of the
// requests in which it took part.
func (t *Trace) workers() []busy {
	type part struct{ request, worker string }
	took := map[string]span{} // by request
	parts := map[part]bool{}
	for i := range t.Records {
		r := &t.Records[i]
		if r.Context {
			continue
		}
		request := r.about()
		took[request] = took[request].hull(r.span())
		if worker := r.worker(); worker != "" {
			parts[part{request, worker}] = true
		}
	}
	spans := map[string]span{}
	for p := range parts {
		spans[p.worker] = spans[p.worker].hull(took[p.request])
	}
	var all []busy
	for worker, s := range spans {
		if !s.from.IsZero() {
			all = append(all, busy{worker, s})
		}
	}
	slices.SortFunc(all, func(a, b busy) int { return cmp.Compare(a.name, b.name) })
	return all[:min(len(all), maxWorkers)]
}
