// Sharing: callers that ask the same thing at the same time wait for one
// flight. golang.org/x/sync/singleflight does not do: it knows nothing of
// callers that give up.

package promapi

import (
	"context"
	"sync"
)

// flight is one query under way, for an answer of type R, and those who wait
// for it.
type flight[R any] struct {
	key    string
	ctx    context.Context // ends when the last waiter left
	cancel context.CancelFunc
	done   chan struct{} // closed once result and err are set

	waiters int // guarded by flightGroup.mu
	result  R
	err     error
}

// flightGroup holds the flights by key. Its zero value is ready.
type flightGroup[R any] struct {
	mu     sync.Mutex
	byKey  map[string]*flight[R]
	closed bool
	flying sync.WaitGroup
}

// join adds a waiter to the flight of key. fly says that there was none: the
// caller must fly it and land it. ok is false after close.
func (g *flightGroup[R]) join(parent context.Context, key string) (f *flight[R], fly, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, false, false
	}
	if f := g.byKey[key]; f != nil {
		f.waiters++
		return f, false, true
	}
	f = &flight[R]{key: key, done: make(chan struct{}), waiters: 1}
	f.ctx, f.cancel = context.WithCancel(parent)
	if g.byKey == nil {
		g.byKey = map[string]*flight[R]{}
	}
	g.byKey[key] = f
	g.flying.Add(1) // under the lock, so that close waits for it
	return f, true, true
}

// leave takes a waiter that gave up off its flight. The last one to leave
// cancels it, and who asks the same from then on starts anew.
func (g *flightGroup[R]) leave(f *flight[R]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f.waiters--
	if f.waiters == 0 {
		g.forget(f)
		f.cancel()
	}
}

// land hands the outcome to all waiters.
func (g *flightGroup[R]) land(f *flight[R], result R, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forget(f)
	f.result, f.err = result, err
	close(f.done)
	f.cancel()
	g.flying.Done()
}

// forget drops f unless a newer flight has taken its key.
func (g *flightGroup[R]) forget(f *flight[R]) {
	if g.byKey[f.key] == f {
		delete(g.byKey, f.key)
	}
}

// close lets nobody join any more and waits until all have landed.
func (g *flightGroup[R]) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.flying.Wait()
}
