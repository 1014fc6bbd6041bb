// What a long lookup says meanwhile, on stderr.

package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"triagebot/triage/tracelog"
)

const (
	// A lookup that is done sooner says nothing.
	progressAfter = time.Second
	// A first answer is shown when the whole one takes longer.
	firstAfter = 300 * time.Millisecond
	// On a terminal the line is rewritten this often; elsewhere, such as in a
	// log of a job, there is a new line now and then.
	progressEvery   = 200 * time.Millisecond
	progressLogEach = 10 * time.Second
)

// traceProgress tells a person how far a lookup is, and what it has found so
// far. Its methods may be called by several goroutines.
type traceProgress struct {
	mu       sync.Mutex
	w        io.Writer
	terminal *os.File
	next     time.Time
	drawn    bool // the terminal's line

	latest *tracelog.Trace
	show   func(*tracelog.Trace) error // nil once it was called, or when it is not to be
	showAt time.Time
	timer  *time.Timer
	err    error // show's
}

func newTraceProgress(w io.Writer) *traceProgress {
	return &traceProgress{w: w, terminal: terminalOf(w), next: time.Now().Add(progressAfter)}
}

// showFirst has a first answer shown, once, unless the lookup is done soon.
func (p *traceProgress) showFirst(show func(*tracelog.Trace) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.show, p.showAt = show, time.Now().Add(firstAfter)
	p.timer = time.AfterFunc(firstAfter, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.showLatest()
	})
}

// showLatest shows what is known when it is time to. The lock is held.
func (p *traceProgress) showLatest() {
	if p.show == nil || p.latest == nil || time.Now().Before(p.showAt) {
		return
	}
	p.wipe()
	p.err = p.show(p.latest)
	p.show = nil
}

// bytes tells of the bytes that were searched.
func (p *traceProgress) bytes(done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Before(p.next) || total == 0 {
		return
	}
	text := fmt.Sprintf("searched %s of %s (%d %%)", gigabytes(done), gigabytes(total), 100*done/total)
	if p.latest != nil {
		text += fmt.Sprintf(", %d records so far", len(p.latest.Records))
	}
	if p.terminal != nil {
		fmt.Fprintf(p.w, "\r\x1b[K%s", text)
		p.next, p.drawn = now.Add(progressEvery), true
		return
	}
	fmt.Fprintln(p.w, text)
	p.next = now.Add(progressLogEach)
}

// partial tells of what was found so far.
func (p *traceProgress) partial(t *tracelog.Trace) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(t.Records) > 0 {
		p.latest = t
		p.showLatest()
	}
}

// end takes the progress off the terminal. Nothing is shown after it.
func (p *traceProgress) end() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
	}
	p.show = nil
	p.wipe()
	return p.err
}

func (p *traceProgress) wipe() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}

// gigabytes is a size to two digits after the point, of less than that in MB.
func gigabytes(n int64) string {
	if n < 1e9 {
		return fmt.Sprintf("%.2f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}
