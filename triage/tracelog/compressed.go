// Reading a compressed log, from its beginning to its end.

package tracelog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxZstdWindow is the most memory that a zstd frame may ask for, in bytes. It
// is what zstd's own command allows without --long=28.
const maxZstdWindow = 128 << 20

// unpack reads what a compressed file holds.
func unpack(f *logFile) (io.ReadCloser, *countingReader, error) {
	packed := &countingReader{r: io.NewSectionReader(f, 0, f.size)}
	if f.packed == gzipped {
		r, err := gzip.NewReader(packed)
		return r, packed, err
	}
	r, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
	if err != nil {
		return nil, nil, err
	}
	return r.IOReadCloser(), packed, nil
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// scanPacked searches a whole compressed file. Offsets are those of the
// decompressed bytes, bytes those of the file.
func (s *scanner) scanPacked(ctx context.Context, f *logFile) (out stretch, err error) {
	r, packed, err := unpack(f)
	if err != nil {
		return out, fmt.Errorf("it cannot be decompressed: %w", err)
	}
	defer r.Close() //nolint:errcheck // it was only read from
	lines := lineReader{r: r, limit: f.source.Cap()}
	for {
		text, base, readErr := lines.next()
		s.search(f, text, len(text), base, base, &out)
		s.searched(packed.n - out.bytes)
		out.bytes, out.tooLong = packed.n, lines.tooLong
		switch {
		case errors.Is(readErr, io.EOF):
			return out, nil
		case len(out.records) >= maxRecords:
			return out, errEnough
		case readErr != nil:
			return out, fmt.Errorf("it cannot be decompressed beyond byte %d of its contents: %w", base+int64(len(text)), readErr)
		}
		if err := s.pace.rest(ctx); err != nil {
			return out, err
		}
	}
}

// lineReader cuts a stream into texts of whole lines, without those over the
// limit.
type lineReader struct {
	r       io.Reader
	limit   int // bytes of a line
	tooLong int // lines left out

	buf      []byte
	used     int   // of buf, given out by the last call
	base     int64 // of buf's first byte in the stream
	overlong bool  // buf begins within a line that is left out
}

// next gives the next lines and where they begin. The text is valid until the
// next call; along with an error comes what could be read before it.
func (l *lineReader) next() (text []byte, base int64, err error) {
	l.drop(l.used)
	chunk := min(chunkSize, l.limit) // then only the first line can be over the limit
	have := len(l.buf)
	l.buf = slices.Grow(l.buf, chunk)[:have+chunk]
	n, err := fill(l.r, l.buf[have:])
	l.buf = l.buf[:have+n]
	l.used = bytes.LastIndexByte(l.buf, '\n') + 1
	if err != nil {
		l.used = len(l.buf) // the last line need not end
	}
	first := bytes.IndexByte(l.buf, '\n')
	if first < 0 {
		first = len(l.buf)
	}
	if !l.overlong && first > l.limit {
		l.tooLong++
		l.overlong = true
	}
	if !l.overlong {
		return l.buf[:l.used], l.base, err
	}
	if first == len(l.buf) {
		l.used = len(l.buf)
		return nil, l.base + int64(l.used), err
	}
	l.drop(first + 1)
	l.overlong = false
	l.used -= first + 1
	return l.buf[:l.used], l.base, err
}

func (l *lineReader) drop(n int) {
	l.buf = append(l.buf[:0], l.buf[n:]...)
	l.base += int64(n)
}
