// The workers: processes that a real app server starts and restarts. Here each
// is a goroutine that lives through exits, restarts and backoff.

package codexsim

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// The restart policy, as the runbook states it: 250 ms, doubling, at most 5 s.
const (
	workerCount   = 4
	backoffFirst  = 250 * time.Millisecond
	backoffMost   = 5 * time.Second
	probation     = 500 * time.Millisecond // a restarted worker counts as up after this
	streakForgets = 2 * time.Second        // and its streak ends after this
	crashesAfter  = 20 * time.Millisecond  // a crash-looping worker is well for so long
	diesIn        = 15 * time.Millisecond  // and takes two of these to die
	beatsEvery    = 2 * time.Second        // a heartbeat in the engine's log
	trimsEvery    = 5                      // of the heartbeats, one comes with a trimmed cache

	// Workers crash in step at first. After so many crashes each stays well for so
	// much longer than the one before it, once: in step for ever, all of their
	// restarts would be in a short window at one moment and out of it at the next.
	inStepFor  = 3
	crashApart = backoffMost / 3
)

func workerName(i int) string { return fmt.Sprintf("w%d", i) }

// worker is one worker's state, guarded by its pool's lock.
type worker struct {
	name    string
	index   int
	up      bool
	resting bool          // it backs off: up, but given work only where no other is
	backoff time.Duration // it waits at present; 0 when it works
	streak  int           // restarts in a row
	exited  chan struct{} // closed and replaced when it exits
}

type pool struct {
	metrics *metrics
	faults  *faults
	logs    *logs

	mu      sync.Mutex
	workers []*worker
	turn    int
}

func newPool(metrics *metrics, faults *faults, logs *logs) *pool {
	p := &pool{metrics: metrics, faults: faults, logs: logs}
	for i := range workerCount {
		p.workers = append(p.workers, &worker{name: workerName(i), index: i, up: true, exited: make(chan struct{})})
	}
	return p
}

// take returns the name of the worker whose turn it is and what is closed when
// it exits, or false when none is up.
func (p *pool) take() (name string, exited <-chan struct{}, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, resting := range []bool{false, true} {
		for range p.workers {
			w := p.workers[p.turn%len(p.workers)]
			p.turn++
			if w.up && w.resting == resting {
				return w.name, w.exited, true
			}
		}
	}
	return "", nil, false
}

// poolState is what /readyz says of the workers.
type poolState struct {
	Up, Total int
	Streak    int           // the longest
	Backoff   time.Duration // the longest
}

func (p *pool) state() poolState {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := poolState{Total: len(p.workers)}
	for _, w := range p.workers {
		if w.up && !w.resting {
			s.Up++
		}
		s.Streak = max(s.Streak, w.streak)
		s.Backoff = max(s.Backoff, w.backoff)
	}
	return s
}

// run lives w's life until ctx is done.
func (p *pool) run(ctx context.Context, w *worker) {
	beat := time.NewTicker(beatsEvery)
	defer beat.Stop()
	beats := 0
	for ctx.Err() == nil {
		change := p.faults.change()
		switch {
		case p.faults.is(Restarts) && w.index != 0:
			p.crashLoop(ctx, w)
		case p.faults.is(Slow) && w.index == 0:
			p.backOff(ctx, w)
		default:
			select {
			case <-beat.C:
				beats++
				p.beat(w, beats)
			case <-change:
			case <-ctx.Done():
			}
		}
	}
}

// crashLoop exits and restarts w until the fault is over and w has been stable.
func (p *pool) crashLoop(ctx context.Context, w *worker) {
	for crashes := 1; p.faults.is(Restarts); crashes++ {
		if !p.die(ctx, w) || !wait(ctx, p.exit(w)) {
			return
		}
		p.log("info", w, "worker_started", "")
		well := crashesAfter
		if crashes == inStepFor {
			well += time.Duration(w.index-1) * crashApart
		}
		if !wait(ctx, well) {
			return
		}
	}
	if !wait(ctx, probation) {
		return
	}
	p.update(w, func() { w.up, w.backoff = true, 0 })
	p.log("info", w, "worker_ready", "")
	if wait(ctx, streakForgets) {
		p.update(w, func() { w.streak = 0 })
	}
}

// beat writes what a worker that is well says of itself.
func (p *pool) beat(w *worker, beats int) {
	p.log("info", w, "heartbeat", fmt.Sprintf("heartbeat ok: rss %dMiB of 2048MiB", 1180+(beats*37+w.index*53)%90))
	if beats%trimsEvery == 0 {
		p.log("info", w, "cache_trimmed", fmt.Sprintf("context cache trimmed: %d entries", 8+(beats+w.index)%7))
	}
}

// die writes what leads to w's end; false when ctx is done first.
func (p *pool) die(ctx context.Context, w *worker) bool {
	p.log("warning", w, "heartbeat_missed", "engine: heartbeat missed")
	if !wait(ctx, diesIn) {
		return false
	}
	p.log("error", w, "memory_limit", "memory limit: rss 2.1GiB over 2GiB, killed (exit 137)")
	return wait(ctx, diesIn)
}

// exit records that w crashed and returns how long its restart waits.
func (p *pool) exit(w *worker) (delay time.Duration) {
	p.update(w, func() {
		delay = backoffAfter(w.streak)
		w.up, w.backoff = false, delay
		w.streak++
		close(w.exited)
		w.exited = make(chan struct{})
	})
	p.metrics.restarts.WithLabelValues(w.name).Inc()
	p.log("error", w, "worker_exited", "exit code 137: engine transport closed")
	return delay
}

// backOff keeps w from working while the engine answers too slowly: it waits
// and tries again, without exiting.
func (p *pool) backOff(ctx context.Context, w *worker) {
	for attempt := 0; p.faults.is(Slow); attempt++ {
		change := p.faults.change()
		delay := backoffAfter(attempt)
		p.update(w, func() { w.resting, w.backoff = true, delay })
		p.log("warning", w, "engine_slow", "engine call over its deadline; backing off")
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-change:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
	p.update(w, func() { w.resting, w.backoff = false, 0 })
	p.log("info", w, "worker_ready", "")
}

// backoffAfter is the wait after so many failures in a row.
func backoffAfter(failures int) time.Duration {
	delay := backoffFirst
	for range failures {
		if delay *= 2; delay >= backoffMost {
			return backoffMost
		}
	}
	return delay
}

func (p *pool) update(w *worker, change func()) {
	p.mu.Lock()
	change()
	backoff := w.backoff
	p.mu.Unlock()
	p.metrics.backoff.WithLabelValues(w.name).Set(float64(backoff.Milliseconds()))
}

func (p *pool) log(level string, w *worker, event, detail string) {
	p.mu.Lock()
	line := engineLine{
		Level: level, Worker: w.name, Event: event, Detail: detail,
		BackoffMS: w.backoff.Milliseconds(), RestartStreak: w.streak,
	}
	p.mu.Unlock()
	p.logs.engine.write(line)
	text := event
	if detail != "" {
		text += ": " + detail
	}
	p.logs.printed.write(plainLine{level: level, worker: w.name, text: text})
}

// wait returns false when ctx is done first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
