// Asking: every home for every id, a bounded number at a time, with what they
// have so far passed on as it comes.

package tracelog

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// stitcher is one lookup under way.
type stitcher struct {
	homes []Home
	query Query
	opts  StitchOptions

	mu         sync.Mutex // guards what follows, and the answers
	answers    []*answer  // in the order in which they were asked for
	links      []Link
	unfollowed int
}

// ask is an id to be asked for, and around when its records may be.
type ask struct {
	id string
	at time.Time
}

// answer is what one home has of one id, or around one worker.
type answer struct {
	home        Home
	id          string // "" for context
	found       *Found // nil as long as there is nothing
	err         error
	ended       bool
	done, total int64 // bytes, for the progress
}

// askAll asks every home for every id and returns when all have answered.
func (s *stitcher) askAll(ctx context.Context, asks []ask) {
	var group errgroup.Group
	group.SetLimit(maxAsking)
	for _, one := range asks {
		for _, home := range s.homes {
			a := s.begin(home, one.id)
			group.Go(func() error {
				q := s.query
				q.ID, q.At = one.id, one.at
				q.Partial = func(found *Found) { s.soFar(a, found) }
				q.Progress = func(done, total int64) { s.progress(a, done, total) }
				found, err := home.Find(ctx, q)
				s.end(a, found, err)
				return nil
			})
		}
	}
	_ = group.Wait() // a home's failure is in its answer
}

func (s *stitcher) begin(home Home, id string) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &answer{home: home, id: id}
	s.answers = append(s.answers, a)
	return a
}

// soFar takes a copy of what a home has found: the home goes on to change it.
func (s *stitcher) soFar(a *answer, found *Found) {
	if found == nil {
		return
	}
	kept := &Found{Records: slices.Clone(found.Records), Coverage: found.Coverage}
	kept.Coverage.Parts = slices.Clone(found.Coverage.Parts)
	for i := range kept.Records {
		kept.Records[i].Raw = bytes.Clone(kept.Records[i].Raw)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a.found = kept
	s.tell()
}

// end takes a home's last word. Where it failed, what it had found before stays.
func (s *stitcher) end(a *answer, found *Found, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found != nil {
		a.found = found
	}
	a.err, a.ended = err, true
	if found != nil && len(found.Records) > 0 {
		s.tell()
	}
}

// tell passes on the trace as known so far, which is not complete before all
// links have been followed. The lock is held.
func (s *stitcher) tell() {
	if s.opts.Partial == nil {
		return
	}
	t := s.assemble()
	t.Coverage.Complete = false
	s.opts.Partial(t)
}

func (s *stitcher) progress(a *answer, done, total int64) {
	if s.query.Progress == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a.done, a.total = done, total
	var allDone, all int64
	for _, other := range s.answers {
		allDone += other.done
		all += other.total
	}
	s.query.Progress(allDone, all)
}

// failed is the homes' errors when none of them has searched anything.
func (s *stitcher) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, a := range s.answers {
		if a.err == nil || a.found != nil {
			return nil
		}
		errs = append(errs, a.err)
	}
	return errors.Join(errs...)
}

func (s *stitcher) trace() *Trace {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.assemble()
}
