// Reading a stretch of an uncompressed log, at the speed of memory.

package tracelog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// chunkSize is what is read at once: small enough to stay in the processor's
// second-level cache between the read and the search.
const chunkSize = 512 << 10

var (
	errShrank  = errors.New("it became shorter while it was read")
	errTooLong = errors.New("the line is too long")
	errEnough  = fmt.Errorf("the search of it ended after %d records: so many lines have this id", maxRecords)
)

// scanner searches logs for a word. It is used by one goroutine; its buffers
// serve one stretch after the other.
type scanner struct {
	needle needle
	// read makes a record of a line that may have the word, as Source.read does.
	read     func(source *Source, line []byte) (r Record, torn, ok bool)
	buf      []byte
	hits     [256]uint32
	line     []byte            // for lines that do not fit into a chunk
	searched func(bytes int64) // told of progress
	pace     pace
}

// newScanner makes one that reads the records of an id.
func newScanner(id string, searched func(int64)) *scanner {
	return &scanner{
		needle: newNeedle(id), searched: searched,
		read: func(source *Source, line []byte) (Record, bool, bool) { return source.Read(line, id) },
	}
}

// buffer is made when it is needed: a lookup by index reads a few lines only.
func (s *scanner) buffer() []byte {
	if s.buf == nil {
		s.buf = make([]byte, chunkSize+s.needle.Longest()-1)
	}
	return s.buf
}

// stretch is what a part of a file gave.
type stretch struct {
	records []Record
	bytes   int64
	torn    int
	tooLong int
	next    int64 // where the line after the last one read begins, at the earliest
}

// scan searches the lines that begin from lo on and before hi, so that each
// line of a file belongs to one stretch. Along with an error it returns what it
// has.
func (s *scanner) scan(ctx context.Context, f *logFile, lo, hi int64) (out stretch, err error) {
	buf := s.buffer()
	lineCap := int64(f.source.Cap())
	chunk := min(chunkSize, lineCap) // then no line within a chunk is over the cap
	begin, err := s.lineAfter(ctx, f, lo, hi)
	if err != nil {
		return out, err
	}
	for base := begin; begin < hi && base < f.size; base += chunk {
		// The bytes after the chunk complete what stands across its end.
		want := min(chunk+int64(s.needle.Longest())-1, f.size-base)
		n, err := f.ReadAt(buf[:want], base)
		if err != nil && !errors.Is(err, io.EOF) {
			return out, err
		}
		own := min(chunk, int64(n))
		if past := hi - 1 - base; past < own {
			// Beyond hi lies only the rest of the line that began before it.
			past = max(past, 0)
			if i := bytes.IndexByte(buf[past:own], '\n'); i >= 0 {
				own = past + int64(i) + 1
			}
		}
		s.search(f, buf[:n], int(own), base, begin, &out)
		if i := bytes.IndexByte(buf[:own], '\n'); i >= 0 {
			if base+int64(i)-begin > lineCap {
				out.tooLong++
			}
			begin = base + int64(bytes.LastIndexByte(buf[:own], '\n')) + 1
		}
		out.bytes += own
		s.searched(min(own, max(0, hi-base)))
		switch {
		case int64(n) < want:
			return out, errShrank
		case len(out.records) >= maxRecords:
			return out, errEnough
		}
		if base+own >= hi && base+own-begin > lineCap {
			break // the end of an overlong line is another's to find
		}
		if err := s.pace.rest(ctx); err != nil {
			return out, err
		}
	}
	if begin < hi && min(f.size, begin+lineCap+1)-begin > lineCap {
		out.tooLong++
	}
	return out, nil
}

// lineAfter is where the first line begins at or after lo, hi when none does
// before it.
func (s *scanner) lineAfter(ctx context.Context, f *logFile, lo, hi int64) (int64, error) {
	if lo == 0 {
		return 0, nil
	}
	buf := s.buffer()
	for base := lo - 1; base < hi-1; base += chunkSize {
		n, err := f.ReadAt(buf[:min(chunkSize, hi-1-base)], base)
		if i := bytes.IndexByte(buf[:n], '\n'); i >= 0 {
			return base + int64(i) + 1, nil
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errShrank
			}
			return 0, err
		}
		if err := s.pace.rest(ctx); err != nil {
			return 0, err
		}
	}
	return hi, nil
}

// search reads the lines of all hits in the text's first own bytes. begin is
// where the line begins in which the text does.
func (s *scanner) search(f *logFile, text []byte, own int, base, begin int64, out *stretch) {
	for from := 0; from < own; {
		n, next := s.needle.Search(text, from, s.hits[:])
		for _, hit := range s.hits[:n] {
			at := int(hit)
			if at >= own {
				return
			}
			if at < from || !s.needle.matters(text, at) {
				continue
			}
			start := begin
			if i := bytes.LastIndexByte(text[:at], '\n'); i >= 0 {
				start = base + int64(i) + 1
			}
			end := len(text)
			if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
				end = at + i
			}
			from = end // of this line nothing more is to be read
			if start < out.next {
				continue // it was read from the chunk before
			}
			out.next = start + 1
			if line, err := s.whole(f, text, base, start, end); err == nil {
				s.take(f, line, start, out)
			}
		}
		from = max(from, next)
	}
}

// whole is the line that begins at start and, unless it is longer than the
// text, ends there at end. The line is valid until the next call.
func (s *scanner) whole(f *logFile, text []byte, base, start int64, end int) ([]byte, error) {
	limit := int64(f.source.Cap())
	switch {
	case base+int64(end)-start > limit:
		return nil, errTooLong
	case start >= base && (end < len(text) || base+int64(end) >= f.size):
		return text[start-base : end], nil
	default:
		return s.lineAt(f, start)
	}
}

// lineAt reads the line that begins at an offset. It is valid until the next call.
func (s *scanner) lineAt(f *logFile, start int64) ([]byte, error) {
	limit := f.source.Cap()
	s.line = s.line[:0]
	for len(s.line) <= limit {
		from := len(s.line)
		room := int(min(int64(max(4<<10, from)), f.size-start-int64(from)))
		if room <= 0 {
			return s.line, nil
		}
		s.line = append(s.line, make([]byte, room)...)
		n, err := f.ReadAt(s.line[from:], start+int64(from))
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		s.line = s.line[:from+n]
		if i := bytes.IndexByte(s.line[from:], '\n'); i >= 0 && from+i <= limit {
			return s.line[:from+i], nil
		}
		if n < room {
			return nil, errShrank
		}
	}
	return nil, errTooLong
}

// lines reads the lines that begin at the given offsets, as an index names them.
func (s *scanner) lines(ctx context.Context, f *logFile, starts []int64, out *stretch) error {
	for _, start := range starts {
		if err := ctx.Err(); err != nil {
			return err
		}
		line, err := s.lineAt(f, start)
		switch {
		case errors.Is(err, errTooLong):
			continue
		case err != nil:
			return fmt.Errorf("read the line at %d: %w", start, err)
		}
		out.bytes += int64(len(line))
		s.take(f, line, start, out)
	}
	return nil
}

// take makes a record of a line, if it is one of the id.
func (s *scanner) take(f *logFile, line []byte, start int64, out *stretch) {
	r, torn, ok := s.read(f.source, line)
	if torn && bytes.Contains(line, []byte(s.needle.run)) {
		out.torn++
	}
	if ok {
		r.File, r.Offset, r.Raw = f.path, start, bytes.Clone(bytes.TrimSuffix(line, []byte("\r")))
		out.records = append(out.records, r)
	}
}
