// The home of local logs: which files are searched, in which order, and how.

package tracelog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
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
	Now     func() time.Time // time.Now when nil
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

// stretchSize is what one worker takes on at once. Large stretches of a file
// are read ahead by the kernel; small ones share the work evenly.
const stretchSize = 32 << 20

// Find implements Home. First comes what the index knows and what is near the
// hinted time, then all the rest, the latest files first.
func (h *Files) Find(ctx context.Context, q Query) (*Found, error) {
	if q.ID == "" {
		return nil, errors.New("the id is empty; write the request's id")
	}
	var sources []*Source
	for i := range h.Sources {
		if len(h.Sources[i].idFields()) > 0 {
			sources = append(sources, &h.Sources[i])
		}
	}
	files, skipped := openFiles(sources)
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	l := newLookup(h, q, files, skipped)
	near := l.firstLook(ctx)
	if near && len(l.found().Records) > 0 && q.Near {
		return l.found(), nil
	}
	l.work(ctx, l.rest())
	return l.found(), ctx.Err()
}

// lookup is one Find under way.
type lookup struct {
	home    *Files
	query   Query
	skipped []Part

	mu    sync.Mutex
	files []*fileState
	done  int64 // bytes
	total int64
	told  int // records that Partial has been told of
}

// fileState is what a lookup knows of one file.
type fileState struct {
	*logFile
	how     How
	open    []span // what is not searched yet, in ascending order
	records []Record
	bytes   int64
	torn    int
	tooLong int
	note    string
}

// span is a range of a file's bytes.
type span struct{ lo, hi int64 }

func newLookup(h *Files, q Query, files []*logFile, skipped []Part) *lookup {
	l := &lookup{home: h, query: q, skipped: skipped}
	for _, f := range files {
		state := &fileState{logFile: f, how: HowScan}
		if f.size > 0 {
			state.open = []span{{0, f.size}}
		}
		l.files = append(l.files, state)
		l.total += f.size
	}
	return l
}

// job is one piece of work: a stretch of one file, or the lines that an index named.
type job struct {
	file  *fileState
	span  span
	lines []int64
}
