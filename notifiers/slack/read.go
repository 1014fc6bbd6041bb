package slack

// Waiting for the evidence store. While a chart is read its channel's other
// messages wait, so a store that hangs must not be waited for again and again;
// and one that is a folder on a network may not even heed a context.

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// readTimeout bounds reading a file.
	readTimeout = 5 * time.Second
	// shortRead bounds it while the store is known to hang, but for one read in
	// each probeEvery, which is given its full time: a store that is only slow
	// would not be found working again otherwise.
	shortRead  = 500 * time.Millisecond
	probeEvery = 30 * time.Second
	// maxReads bounds the reads under way, in all channels, those that were
	// given up and have not come back included: as many as there are lanes.
	maxReads = 16
)

// reads are the reads from the evidence store. Its zero value is not ready: use
// newReads. It is safe for concurrent use.
type reads struct {
	slots chan struct{} // one is taken by each read under way

	mu      sync.Mutex
	hangs   bool      // the latest read that was given its full time did not end in it
	probeAt time.Time // while it hangs, when a read is given its full time again
}

func newReads() *reads { return &reads{slots: make(chan struct{}, maxReads)} }

// content is what was read of a file, and the size that it was said to have.
type content struct {
	data []byte
	size int64
}

// do reads, and returns when that has ended or its time is over, whether or not
// the read heeds its context. A read that does not goes on, and keeps its slot,
// until it comes back.
func (r *reads) do(ctx context.Context, read func(ctx context.Context) (content, error)) (content, error) {
	patience := r.patience(time.Now())
	reading, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	type result struct {
		content
		err error
	}
	done := make(chan result, 1) // nobody may be there any more to take it
	select {
	case r.slots <- struct{}{}:
		go func() {
			defer func() { <-r.slots }()
			var got result
			defer func() {
				if p := recover(); p != nil {
					got.err = fmt.Errorf("reading the file panicked: %v", p)
				}
				done <- got
			}()
			got.content, got.err = read(reading)
		}()
	case <-reading.Done():
	}
	select {
	case got := <-done:
		if got.err == nil || reading.Err() == nil {
			r.answered()
			return got.content, got.err
		}
	case <-reading.Done():
	}
	if ctx.Err() != nil { // stopped: that tells nothing of the store
		return content{}, context.Cause(ctx)
	}
	r.late(patience, time.Now())
	return content{}, fmt.Errorf("the evidence store did not answer within %s", patience)
}

// patience is how long a read that begins now may take.
func (r *reads) patience(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.hangs {
		return readTimeout
	}
	if now.Before(r.probeAt) {
		return shortRead
	}
	r.probeAt = now.Add(probeEvery) // the others do not probe as well
	return readTimeout
}

func (r *reads) answered() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hangs = false
}

// late notes a read that took all its time.
func (r *reads) late(patience time.Duration, now time.Time) {
	if patience < readTimeout {
		return // which may have been too short
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hangs, r.probeAt = true, now.Add(probeEvery)
}
