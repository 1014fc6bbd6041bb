package inbound

// What came in lately, so that what comes twice is done once.

import (
	"sync"
	"time"
)

// seen remembers keys for a while, and at most so many: the oldest go first.
type seen struct {
	most int
	keep time.Duration

	mu    sync.Mutex
	at    map[string]time.Time
	order []sighting // oldest first; one whose time is not that of at was forgotten
}

type sighting struct {
	key string
	at  time.Time
}

func newSeen(most int, keep time.Duration) *seen {
	return &seen{most: most, keep: keep, at: make(map[string]time.Time)}
}

// first says whether a key comes for the first time, and remembers it.
func (s *seen) first(key string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.order) > 0 && now.Sub(s.order[0].at) > s.keep {
		s.drop()
	}
	if _, known := s.at[key]; known {
		return false
	}
	if len(s.order) >= s.most {
		s.drop()
	}
	s.at[key] = now
	s.order = append(s.order, sighting{key, now})
	return true
}

func (s *seen) drop() {
	oldest := s.order[0]
	s.order = s.order[1:]
	if s.at[oldest.key].Equal(oldest.at) {
		delete(s.at, oldest.key)
	}
}

// forget lets a key come again: what it stood for was not done.
func (s *seen) forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.at, key)
}
