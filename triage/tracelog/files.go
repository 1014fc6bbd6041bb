// The home of local logs: which files are searched, in which order, and how.

package tracelog

import (
	"context"
	"errors"
	"runtime"
	"time"

	"triagebot/triage/tracelog/index"
)

// FilesOptions wire a Files home.
type FilesOptions struct {
	Name    string
	Sources []Source
	Index   *index.Index // nil for none
	// Workers bound the goroutines of a lookup; 0 means one per processor. A
	// process that answers requests meanwhile takes fewer.
	Workers int
	// Rest is how long a worker rests after each half megabyte or less that it
	// reads; 0 for not at all. A process that answers requests has them rest.
	Rest time.Duration
	Now  func() time.Time // time.Now when nil
}

// Files is the home of local NDJSON logs.
type Files struct {
	FilesOptions
}

// NewFiles makes a home of local logs. It opens files only when asked.
func NewFiles(opts FilesOptions) *Files {
	if opts.Workers <= 0 {
		opts.Workers = runtime.GOMAXPROCS(0)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Files{opts}
}

// Name implements Home.
func (h *Files) Name() string { return h.FilesOptions.Name }

// Find implements Home. First comes what the index names and what is near the
// hinted time, then all the rest, the latest files first.
func (h *Files) Find(ctx context.Context, q Query) (*Found, error) {
	if q.ID == "" {
		return nil, errors.New("the id is empty; write the request's id")
	}
	if q.Slack <= 0 {
		q.Slack = DefaultSlack
	}
	if q.At.IsZero() {
		q.At, _ = timeOf(q.ID, h.Now())
	}
	files, skipped := openFiles(h.withIDs())
	defer func() {
		for _, f := range files {
			_ = f.Close() // it was only read from
		}
	}()
	l := newLookup(h, q, files, skipped)
	l.work(ctx, l.first(ctx))
	if !q.Near || len(l.records) == 0 {
		l.work(ctx, l.rest())
	}
	return l.found(), ctx.Err()
}

// withIDs are the sources whose lines have ids.
func (h *Files) withIDs() []*Source {
	var sources []*Source
	for i := range h.Sources {
		if len(h.Sources[i].idFields()) > 0 {
			sources = append(sources, &h.Sources[i])
		}
	}
	return sources
}
