// Reading a file in blocks of whole lines for a pick: with pread, by several
// goroutines, newest first; or from a stream, front to back.

package tracelog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"triagebot/triage/tracelog/bytescan"
)

const (
	// What is read at a time, in bytes: it stays in the processor's cache for
	// the two passes over it.
	pieceSize = 256 << 10
	// Read beyond a piece, so that its last line seldom needs another read.
	beyondPiece = 4 << 10
	// Buffers that a long line made longer than this are not kept.
	mostBuffered = 1 << 20
)

// piece is a part of a file that one goroutine reads: the lines that start in
// it, wherever they end.
type piece struct {
	off, end int64
	slowest  time.Duration
	latest   time.Time
	counted  bool
}

// pieces hands out the pieces of a file's ranges: of the whole file the last
// one first, of given ranges in their order.
type pieces struct {
	mu       sync.Mutex
	size     int64
	ranges   []pickRange
	taken    int64 // bytes of the first range
	backward bool
}

func newPieces(in *pickInput) *pieces {
	if in.Ranges == nil {
		return &pieces{size: in.Size, ranges: []pickRange{{Len: in.Size}}, backward: true}
	}
	return &pieces{size: in.Size, ranges: in.Ranges}
}

func (p *pieces) next() (piece, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.ranges) > 0 {
		r := p.ranges[0]
		off, end := max(r.Off, 0), min(r.Off+r.Len, p.size)
		left := end - off - p.taken
		if left <= 0 {
			p.ranges, p.taken = p.ranges[1:], 0
			continue
		}
		n := min(left, pieceSize)
		start := off + p.taken
		if p.backward {
			start = off + left - n
		}
		p.taken += n
		return piece{off: start, end: start + n, slowest: r.Slowest, latest: r.Latest, counted: r.Counted}, true
	}
	return piece{}, false
}

// pickReader reads one file, or a share of it, for one goroutine.
type pickReader struct {
	scan  *pickScan
	tally pickTally
	block pickBlock
	buf   []byte
}

// judge picks from a block of whole lines.
func (r *pickReader) judge(text []byte, base int64) {
	r.tally.TooLong += bytescan.CountLonger(text, r.scan.source.Cap())
	r.block.pickScan, r.block.torn = r.scan, 0
	r.block.judgeAll(text, base)
	r.tally.Torn += r.block.torn
}

// pieces reads pieces until there are no more.
func (r *pickReader) pieces(ctx context.Context, in *pickInput, all *pieces) error {
	for {
		p, ok := all.next()
		if !ok {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err // pieces that are passed over need no rest
		}
		if !r.worthReading(p) {
			r.tally.Bytes += p.end - p.off
			continue
		}
		tooLong := r.tally.TooLong
		if err := r.piece(in, p); err != nil {
			return err
		}
		if p.counted {
			r.tally.TooLong = tooLong
		}
		if err := r.scan.pace.rest(ctx); err != nil {
			return err
		}
	}
}

// worthReading says whether a piece may have something better than what has
// been picked, by what the index knows of it.
func (r *pickReader) worthReading(p piece) bool {
	best := place{rank: rank{duration: anyDuration, failing: true, time: r.scan.pick.At}}
	if p.slowest > 0 {
		best.duration = p.slowest
	}
	if !p.latest.IsZero() && p.latest.Before(best.time) {
		best.time = p.latest
	}
	return r.scan.beats(&best)
}

func (r *pickReader) piece(in *pickInput, p piece) error {
	// The byte before the piece tells whether a line starts with it.
	from := max(p.off-1, 0)
	r.buf = grow(r.buf, int(min(p.end+beyondPiece, in.Size)-from))
	n, err := in.At.ReadAt(r.buf, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	text, atEnd := r.buf[:n], errors.Is(err, io.EOF) || from+int64(n) == in.Size
	if from+int64(n) < p.end {
		r.tally.Short = true
	}
	r.tally.Bytes += max(min(from+int64(n), p.end)-p.off, 0)

	last := min(int(p.end-from)-1, n) // the last line that starts in the piece ends here or later
	start := 0
	if p.off > 0 {
		// A line that starts in the piece follows a newline before its last byte.
		if start = 1 + bytes.IndexByte(text[:last], '\n'); start == 0 {
			return nil
		}
	}
	if i := bytes.IndexByte(text[last:], '\n'); i >= 0 {
		text = text[:last+i+1]
	} else if !atEnd {
		text, err = r.lineOut(in, text, from)
		if err != nil {
			return err
		}
	}
	r.judge(text[start:], from+int64(start))
	if cap(r.buf) > mostBuffered {
		r.buf = nil
	}
	return nil
}

// lineOut reads on to the end of the last line of text, which stands at an
// offset in the file. A line over the cap is counted and left out.
func (r *pickReader) lineOut(in *pickInput, text []byte, from int64) ([]byte, error) {
	start := bytes.LastIndexByte(text, '\n') + 1
	limit := r.scan.source.Cap()
	for len(text)-start <= limit {
		held := len(text)
		more := int(min(int64(max(held, pieceSize)), in.Size-from-int64(held), int64(start+limit+1-held)))
		if more <= 0 {
			break
		}
		r.buf = grow(text, held+more)
		n, err := in.At.ReadAt(r.buf[held:], from+int64(held))
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		text = r.buf[:held+n]
		if i := bytes.IndexByte(text[held:], '\n'); i >= 0 {
			return text[:held+i+1], nil
		}
		if err != nil {
			break
		}
	}
	if len(text)-start > limit {
		r.tally.TooLong++
		return text[:start], nil
	}
	return text, nil
}

// grow gives a buffer of n bytes that begins with what b has.
func grow(b []byte, n int) []byte {
	if n <= cap(b) {
		return b[:n]
	}
	bigger := make([]byte, n)
	copy(bigger, b)
	return bigger
}

// stream reads to the end. What was read before an error is picked from.
func (r *pickReader) stream(ctx context.Context, in io.Reader) error {
	read := &countingReader{r: in}
	lines := lineReader{r: read, limit: r.scan.source.Cap()}
	for {
		if err := r.scan.pace.rest(ctx); err != nil {
			return err
		}
		text, base, err := lines.next()
		r.judge(text, base)
		r.tally.Bytes, r.tally.TooLong = read.n, lines.tooLong
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
