// Asking the index: where an id may stand, and what is to be scanned besides.

package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Range is a stretch of a log. It begins at a line's start, and ends at one
// unless it is the log's last.
type Range struct {
	From, To int64 // bytes
}

// Rest is what an answer leaves to the caller.
type Rest struct {
	// Scan are the stretches that the index says nothing about, in ascending
	// order: what is not indexed yet, and what cannot be trusted.
	Scan []Range
	// Rewritten says that the file is not, or may not be, the one that was
	// indexed, having been truncated or written over. All of it is to be scanned.
	Rewritten bool
	// Damaged is how many index files could not be used, and Problem what is
	// wrong with the first of them. The next update makes them anew.
	Damaged int
	Problem error
	// TooLong is how many lines over Spec.MaxLine, which are not indexed, begin
	// outside of Scan.
	TooLong int
}

func (r *Rest) scan(from, to int64) {
	if from >= to {
		return
	}
	if n := len(r.Scan); n > 0 && r.Scan[n-1].To == from {
		r.Scan[n-1].To = to
		return
	}
	r.Scan = append(r.Scan, Range{from, to})
}

// fail notes an error about a segment. An error that does not say that the
// segment is damaged is given back.
func (r *Rest) fail(s *segment, err error) error {
	if !errors.Is(err, errDamaged) {
		return err
	}
	s.bad.Store(&err)
	r.damaged(1, err)
	return nil
}

func (r *Rest) damaged(files int, problem error) {
	r.Damaged += files
	if r.Problem == nil {
		r.Problem = problem
	}
}

// Hits are the lines in which an id may stand.
type Hits struct {
	// Lines are where lines begin that may have the id as the value of a key, in
	// ascending order. A few of them do not; each is to be parsed. No line that
	// has the id is missing, but for those in Scan.
	Lines []int64
	Rest
}

// crowded is the number of granules in a segment from which on a scan is
// cheaper than picking lines. It bounds what a lookup of an id that is
// everywhere takes.
const crowded = 256

// mostKept is the size of the buffers that lookups pass on to the next, in
// bytes: what granules with lines of the usual length need.
const mostKept = 64 << 10

// finder is one that an earlier lookup has done with, or a new one. What they
// need is a good part of what lookups allocate.
func (l *logIndex) finder(spec *Spec, parse ParseTime) (*lineFinder, error) {
	if kept, ok := l.finders.Get().(*lineFinder); ok {
		return kept, nil
	}
	extractor, err := newExtractor(spec, parse)
	return &lineFinder{extractor: extractor}, err
}

func (l *logIndex) keep(f *lineFinder) {
	if cap(f.buffer) <= mostKept && cap(f.granules) <= mostKept {
		f.log = nil
		l.finders.Put(f)
	}
}

// Lookup says where an id may stand in the first size bytes of a log.
func (x *Index) Lookup(ctx context.Context, log *os.File, spec Spec, id string, size int64) (*Hits, error) {
	l, err := x.of(log, &spec)
	if err != nil {
		return nil, err
	}
	lines, err := l.finder(&spec, x.options.ParseTime)
	if err != nil {
		return nil, err
	}
	lines.log, lines.hash = log, hashID([]byte(id))
	defer l.keep(lines)
	hits := &Hits{}
	hits.Rest, err = l.ask(ctx, log, size, func(s *segment) (scan bool, err error) {
		lines.granules, err = s.find(lines.hash, &lines.room, lines.granules[:0])
		if err != nil || len(lines.granules) > crowded {
			return true, err
		}
		hits.Lines, err = lines.find(ctx, s, lines.granules, hits.Lines)
		return false, err
	})
	if err != nil {
		return nil, err
	}
	if hits.Rewritten {
		hits.Lines = nil
	}
	beyond, _ := slices.BinarySearch(hits.Lines, size)
	hits.Lines = hits.Lines[:beyond]
	return hits, nil
}

// ask goes through the segments of the first size bytes of a log. look says
// whether the segment's stretch is to be scanned. When it turns out that the
// file is not the one that was indexed, the rest is all of it, and what look
// found is to be forgotten.
func (l *logIndex) ask(ctx context.Context, log *os.File, size int64, look func(*segment) (scan bool, err error)) (Rest, error) {
	list, err := l.acquire()
	if err != nil {
		return Rest{}, err
	}
	defer l.release(list)

	rest := Rest{}
	rest.damaged(len(list.unusable), list.problem)
	end := int64(0)
	for _, s := range list.cover {
		if err := ctx.Err(); err != nil {
			return Rest{}, err
		}
		if s.From >= size {
			break
		}
		rest.scan(end, s.From)
		end = s.To
		scan, err := true, error(nil)
		if problem := s.problem(); problem != nil {
			rest.damaged(1, problem)
		} else if scan, err = look(s); err != nil {
			scan = true
			switch {
			case errors.Is(err, errRewritten):
				rest.Rewritten = true
			default:
				if err := rest.fail(s, err); err != nil {
					return Rest{}, err
				}
			}
		}
		if scan {
			rest.scan(s.From, min(s.To, size))
		} else {
			rest.TooLong += int(s.TooLong)
		}
	}
	rest.scan(end, size)
	// Last, so that a file that was written over meanwhile is noticed as well.
	if same, err := list.vouches(log); err != nil {
		return Rest{}, err
	} else if !same {
		rest.Rewritten = true
	}
	if rest.Rewritten {
		rest.Scan, rest.TooLong = nil, 0
		rest.scan(0, size)
	}
	return rest, nil
}

// errRewritten says that a log ended before its indexed end.
var errRewritten = errors.New("index: the log is shorter than it was")

// lineFinder finds the lines of an id in granules that have some.
type lineFinder struct {
	log       io.ReaderAt
	extractor *extractor
	hash      uint64
	buffer    []byte
	room      room
	granules  []int64
}

// find appends where lines with the id begin.
func (f *lineFinder) find(ctx context.Context, s *segment, granules, lines []int64) ([]int64, error) {
	for len(granules) > 0 {
		if err := ctx.Err(); err != nil {
			return lines, err
		}
		run := 1
		for run < len(granules) && granules[run] == granules[run-1]+1 {
			run++
		}
		from := max(s.From, granules[0]*granule)
		to := min(s.To, (granules[run-1]+1)*granule)
		granules = granules[run:]
		if from >= to {
			continue // no granule of the segment's
		}
		text, at, err := f.read(s, from, to)
		if err != nil {
			return lines, err
		}
		f.extractor.scan(text, func(start, _ int, l *line) bool {
			if slices.Contains(l.ids, f.hash) {
				lines = append(lines, at+int64(start))
			}
			return true
		})
	}
	return lines, nil
}

// read reads the lines that begin in a stretch of a segment, all of them whole,
// and says where the first of them begins. A last line that is too long is left
// out.
func (f *lineFinder) read(s *segment, from, to int64) (text []byte, at int64, err error) {
	at = from
	if from > s.From {
		at-- // to see whether a line begins at from
	}
	want := min(s.To, to+granule) - at
	for {
		text, err = f.fill(at, want)
		if err != nil {
			return nil, 0, err
		}
		// The line that the stretch's last byte is of ends here.
		end := bytes.IndexByte(text[to-1-at:], '\n')
		if end >= 0 {
			text = text[:to-1-at+int64(end)+1]
			break
		}
		if at+want == s.To || int64(len(text))-(to-at) > int64(f.extractor.maxLine) {
			text = text[:bytes.LastIndexByte(text, '\n')+1]
			break
		}
		want = min(s.To-at, 2*want)
	}
	if at < from {
		start := bytes.IndexByte(text, '\n') + 1
		text, at = text[start:], at+int64(start)
	}
	if at >= to {
		return nil, to, nil
	}
	return text, at, nil
}

func (f *lineFinder) fill(at, length int64) ([]byte, error) {
	f.buffer = slices.Grow(f.buffer[:0], int(length))[:length]
	switch _, err := f.log.ReadAt(f.buffer, at); {
	case errors.Is(err, io.EOF):
		return nil, errRewritten
	case err != nil:
		return nil, fmt.Errorf("index: reading the log at byte %d: %w", at, err)
	}
	return f.buffer, nil
}
