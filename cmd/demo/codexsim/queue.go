// The queue before the workers: turns are handed out one after the other, at a
// pace that the usual traffic does not reach. Three times of it does, and then
// every turn waits although no worker is slow.

package codexsim

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	handOutEvery = 14 * time.Millisecond  // a turn: 71 a second, of which usual traffic has 32
	handOutAhead = 100 * time.Millisecond // so much of that pace may be caught up: a burst does not wait
	mostQueued   = 5 * time.Second        // a turn that would wait for longer is refused
)

type queue struct {
	depth prometheus.Gauge // turns that wait

	mu   sync.Mutex
	next time.Time // when the pace allows the next turn
}

// place takes the next place and returns how long it is until its turn; false
// when that is too long.
func (q *queue) place(now time.Time) (time.Duration, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if earliest := now.Add(-handOutAhead); q.next.Before(earliest) {
		q.next = earliest
	}
	until := max(0, q.next.Sub(now))
	if until > mostQueued {
		return 0, false
	}
	q.next = q.next.Add(handOutEvery)
	return until, true
}

// wait waits for so long, as one of those in the queue. It returns false when
// ctx is done first.
func (q *queue) wait(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return true
	}
	q.depth.Inc()
	defer q.depth.Dec()
	return wait(ctx, d)
}
