// Picking ids worth looking at from local logs: the slowest, the failing, the
// tool calls. A picker keeps the best N over any number of files;
// pick_judge.go says what a line is worth, pick_scan.go finds the few lines
// that must be parsed for it, and pick_read.go hands those the file.

package tracelog

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// picker gathers the best candidates of one Pick. Several goroutines may use
// it. What it picks does not depend on the order in which they read: it is
// what parsing every line and sorting would give.
type picker struct {
	pick    Pick
	workers int // of a file; 0 for one per processor
	pace    pace

	mu   sync.Mutex
	best []ranked // the best first, at most pick.N, no id twice
	// last is the place of the N-th, nil while there are fewer: what does not
	// beat it need not be read.
	last atomic.Pointer[place]
}

// ranked is a candidate and its place among the others.
type ranked struct {
	Candidate
	place place
}

// place is that of a line among the lines of all files.
type place struct {
	rank
	source string
	file   string
	offset int64
}

// pickInput is one file to pick from.
type pickInput struct {
	Source *Source
	File   string // its path, to break ties by

	// At is the file, of which Size bytes are read; unless nil, Ranges say which
	// of them, the most promising first. A line belongs to the range that it
	// starts in.
	At     io.ReaderAt
	Size   int64
	Ranges []pickRange

	// Stream is read to its end where At is nil, as of a compressed file.
	Stream io.Reader
}

// pickRange is a part of a file, in bytes.
type pickRange struct {
	Off, Len int64
	// What an index knows of the lines that start in it, so that it is left out
	// when others turn out better: the longest duration and the latest time.
	// Zero where it does not know.
	Slowest time.Duration
	Latest  time.Time
	// Counted says that the index has counted the lines over the source's cap.
	Counted bool
}

// pickTally says what of a file was read, for the coverage.
type pickTally struct {
	Bytes   int64 // read, or left out because its range had nothing better
	TooLong int   // lines over the source's cap, skipped
	Torn    int   // lines that may have been candidates and are no JSON object
	Short   bool  // the file ended before its size
}

func (t *pickTally) add(o pickTally) {
	t.Bytes += o.Bytes
	t.TooLong += o.TooLong
	t.Torn += o.Torn
	t.Short = t.Short || o.Short
}

func newPicker(p Pick) *picker {
	p.N = min(max(p.N, 1), MaxPick)
	return &picker{pick: p}
}

// canPick tells why nothing can be picked from a source: ErrCannotPick with the
// role that it lacks.
func (p *picker) canPick(s *Source) error {
	lacks := ""
	switch {
	case len(s.Keys) == 0:
		lacks = "keys"
	case p.pick.By == PickSlowest && s.Roles.Duration == "":
		lacks = "a duration"
	case p.pick.By == PickFailing && s.Roles.Status == "" && s.Roles.Error == "":
		lacks = "a status and an error"
	case p.pick.By == PickToolCall && s.Roles.ToolCall == "":
		lacks = "a tool_call"
	case p.pick.Route != "" && s.Roles.Route == "":
		lacks = "a route"
	case p.pick.Within > 0 && s.Roles.Time == "":
		lacks = "a time"
	default:
		return nil
	}
	return fmt.Errorf("source %s has no field named for %s: %w", s.Name, lacks, ErrCannotPick)
}

// The most goroutines that read one file. More of them add nothing once memory
// is the limit, but each holds a buffer.
const maxPickReaders = 4

// file picks from one file, of a source that canPick has nothing against. The
// tally holds with an error as well; what was read until then has been picked
// from.
func (p *picker) file(ctx context.Context, in pickInput) (pickTally, error) {
	scan := newPickScan(p, &in)
	if in.At == nil {
		r := pickReader{scan: scan}
		err := r.stream(ctx, in.Stream)
		return r.tally, wrapRead(err, in.File)
	}

	pieces := newPieces(&in)
	readers := make([]pickReader, min(cmp.Or(p.workers, runtime.GOMAXPROCS(0)), maxPickReaders))
	group, ctx := errgroup.WithContext(ctx)
	for i := range readers {
		readers[i].scan = scan
		group.Go(func() error { return readers[i].pieces(ctx, &in, pieces) })
	}
	err := group.Wait()
	var tally pickTally
	for i := range readers {
		tally.add(readers[i].tally)
	}
	return tally, wrapRead(err, in.File)
}

func wrapRead(err error, file string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read %s: %w", file, err)
}

// picked are the candidates so far, the best first.
func (p *picker) picked() []Candidate {
	p.mu.Lock()
	defer p.mu.Unlock()
	candidates := make([]Candidate, len(p.best))
	for i := range p.best {
		candidates[i] = p.best[i].Candidate
	}
	return candidates
}

// offer takes a candidate among the best if it belongs there. Of an id that
// has several lines, the best counts.
func (p *picker) offer(c ranked) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.IndexFunc(p.best, func(b ranked) bool { return b.ID == c.ID }); i >= 0 {
		if p.compare(&c.place, &p.best[i].place) >= 0 {
			return
		}
		p.best = slices.Delete(p.best, i, i+1)
	} else if len(p.best) == p.pick.N {
		if p.compare(&c.place, &p.best[p.pick.N-1].place) >= 0 {
			return
		}
		p.best = p.best[:p.pick.N-1]
	}
	i, _ := slices.BinarySearchFunc(p.best, c, func(a, b ranked) int { return p.compare(&a.place, &b.place) })
	p.best = slices.Insert(p.best, i, c)
	if len(p.best) == p.pick.N {
		last := p.best[p.pick.N-1].place
		p.last.Store(&last)
	}
}

// beats says whether a line of this place would be taken now.
func (p *picker) beats(r *place) bool {
	last := p.last.Load()
	return last == nil || p.compare(r, last) < 0
}

// compare orders places, the best first. It tells any two lines apart.
func (p *picker) compare(a, b *place) int {
	if c := p.pick.By.compare(&a.rank, &b.rank); c != 0 {
		return c
	}
	return cmp.Or(
		cmp.Compare(a.source, b.source),
		cmp.Compare(a.file, b.file),
		cmp.Compare(a.offset, b.offset),
	)
}
