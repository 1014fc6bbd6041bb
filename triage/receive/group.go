package receive

// Group commit: notifications that arrive while one transaction is being
// written wait together and share the next, so that acknowledgements are not
// bound to one fsync each, and one that arrives alone is not delayed.

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
)

// Ingester writes notifications down.
type Ingester interface {
	// Ingest returns nil once body is on disk. The body must not be changed
	// afterwards, not even when an error is returned: it may still be in a
	// commit that is under way.
	Ingest(ctx context.Context, body []byte, receivedAt time.Time) error
}

// Raw is a notification as it arrived. Its body is known to Decode.
type Raw struct {
	Body       []byte
	ReceivedAt time.Time
}

// Committer writes a batch of notifications, in order of arrival, in one
// transaction: all of it is on disk when it returns nil, and none of it when it
// returns an error. It returns ErrBacklogFull when too many notifications wait
// to be worked on.
type Committer interface {
	CommitNotifications(ctx context.Context, batch []Raw) error
}

// ErrBacklogFull says that more notifications wait than may.
var ErrBacklogFull = errors.New("the backlog of notifications is full")

// ErrStopped says that a notification came after the end of Run.
var ErrStopped = errors.New("triagebot is shutting down")

// GroupOptions are what a GroupCommitter is made of.
type GroupOptions struct {
	Committer Committer
	// MaxQueued bounds the notifications that wait or are being written. 4096
	// when 0.
	MaxQueued int
	// MaxQueuedBytes bounds the sum of their bodies. 64 MiB when 0.
	MaxQueuedBytes int
	// MaxBatch bounds the notifications of one transaction. 256 when 0.
	MaxBatch int
	// CommitTimeout bounds one transaction. 10 s when 0.
	CommitTimeout time.Duration
	Log           logrus.FieldLogger    // nil: silent
	Registerer    prometheus.Registerer // nil: no metrics
}

// GroupCommitter is an Ingester that gathers concurrent notifications into one
// transaction of its Committer.
type GroupCommitter struct {
	opts    GroupOptions
	log     logrus.FieldLogger
	metrics groupMetrics
	wake    chan struct{} // holds a token while waiting may be non-empty

	mu      sync.Mutex
	waiting []*waiter
	queued  int // waiting and being written
	bytes   int // of their bodies
	stopped bool
}

// waiter is one caller of Ingest.
type waiter struct {
	raw  Raw
	done chan error // holds one: whoever answers never waits for the caller
}

// NewGroupCommitter makes a GroupCommitter; nothing is written until Run runs.
func NewGroupCommitter(opts GroupOptions) *GroupCommitter {
	setDefault(&opts.MaxQueued, 4096)
	setDefault(&opts.MaxQueuedBytes, 64<<20)
	setDefault(&opts.MaxBatch, 256)
	setDefault(&opts.CommitTimeout, 10*time.Second)
	g := &GroupCommitter{opts: opts, log: orSilent(opts.Log), wake: make(chan struct{}, 1)}
	g.metrics = newGroupMetrics(opts.Registerer, func() float64 {
		g.mu.Lock()
		defer g.mu.Unlock()
		return float64(g.queued)
	})
	return g
}

// Ingest returns nil once the notification is on disk, ErrBacklogFull when
// there is no room for it, ErrStopped after the end of Run, and otherwise why
// its transaction failed. When ctx ends first it returns ctx's error, and the
// notification may be written all the same.
func (g *GroupCommitter) Ingest(ctx context.Context, body []byte, receivedAt time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &waiter{raw: Raw{Body: body, ReceivedAt: receivedAt}, done: make(chan error, 1)}
	if err := g.enqueue(w); err != nil {
		return err
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *GroupCommitter) enqueue(w *waiter) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	size := len(w.raw.Body)
	switch {
	case g.stopped:
		return ErrStopped
	case g.queued >= g.opts.MaxQueued || g.bytes+size > g.opts.MaxQueuedBytes:
		return fmt.Errorf("%d notifications of %d bytes are waiting to be written: %w", g.queued, g.bytes, ErrBacklogFull)
	}
	g.waiting = append(g.waiting, w)
	g.queued++
	g.bytes += size
	select {
	case g.wake <- struct{}{}:
	default:
	}
	return nil
}

// Run writes what Ingest is given until ctx ends. Then it takes nothing more,
// writes what still waits, and returns nil. When a write fails at that stage,
// the rest is refused with ErrStopped, so that a broken disk cannot hold up the
// shutdown. Run is called once.
func (g *GroupCommitter) Run(ctx context.Context) error {
	// A commit is never cut short by the end of ctx: its callers are waiting.
	commitCtx := context.WithoutCancel(ctx)
	for {
		select {
		case <-g.wake:
			for ctx.Err() == nil {
				batch := g.next()
				if len(batch) == 0 {
					break
				}
				g.answer(batch, g.commit(commitCtx, batch))
			}
		case <-ctx.Done():
			g.drain(commitCtx)
			return nil
		}
	}
}

// drain refuses all that comes from now on and writes what waits, until a
// write fails.
func (g *GroupCommitter) drain(ctx context.Context) {
	g.mu.Lock()
	g.stopped = true
	g.mu.Unlock()

	broken := false
	for batch := g.next(); len(batch) > 0; batch = g.next() {
		if broken {
			g.answer(batch, repeat(ErrStopped, len(batch)))
			continue
		}
		errs := g.commit(ctx, batch)
		broken = errors.Join(errs...) != nil
		g.answer(batch, errs)
	}
}

// next takes the next batch off the queue; it is empty when nothing waits.
func (g *GroupCommitter) next() []*waiter {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), g.opts.MaxBatch)
	batch := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	return batch
}

// commit writes a batch and returns an error, or nil, for each of its
// notifications.
func (g *GroupCommitter) commit(ctx context.Context, batch []*waiter) []error {
	raws := make([]Raw, len(batch))
	for i, w := range batch {
		raws[i] = w.raw
	}
	g.metrics.batchSize.Observe(float64(len(batch)))
	err := g.write(ctx, raws)
	if err == nil {
		return make([]error, len(batch))
	}
	if len(batch) == 1 || errors.Is(err, ErrBacklogFull) {
		return repeat(err, len(batch))
	}
	g.log.WithError(err).WithField("notifications", len(batch)).Warn("writing a batch of notifications failed; trying them one by one")
	return g.writeSingly(ctx, raws, err)
}

// writeSingly writes notifications one by one, so that one which the storage
// refuses does not take its neighbours with it. Two failures in a row mean that
// the storage is at fault, and the rest fails with the batch's error.
func (g *GroupCommitter) writeSingly(ctx context.Context, raws []Raw, batchErr error) []error {
	errs := repeat(batchErr, len(raws))
	failures := 0
	for i := range raws {
		errs[i] = g.write(ctx, raws[i:i+1])
		if errs[i] == nil {
			failures = 0
			continue
		}
		if failures++; failures == 2 {
			break
		}
	}
	return errs
}

// write is one transaction. A panic of the Committer becomes an error, for it
// must not leave the callers without an answer.
func (g *GroupCommitter) write(ctx context.Context, raws []Raw) (err error) {
	ctx, cancel := context.WithTimeout(ctx, g.opts.CommitTimeout)
	defer cancel()
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("writing notifications: panic: %v", p)
		}
		g.metrics.commitSeconds.Observe(time.Since(start).Seconds())
	}()
	return g.opts.Committer.CommitNotifications(ctx, raws)
}

// answer gives each notification's caller its error, and makes room.
func (g *GroupCommitter) answer(batch []*waiter, errs []error) {
	g.mu.Lock()
	g.queued -= len(batch)
	for _, w := range batch {
		g.bytes -= len(w.raw.Body)
	}
	g.mu.Unlock()
	for i, w := range batch {
		w.done <- errs[i]
	}
}

func repeat(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}
