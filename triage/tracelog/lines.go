// Cutting a stream into whole lines, for logs that cannot be read anywhere but
// from their beginning.

package tracelog

import (
	"bytes"
	"io"
)

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
	if have+chunk > cap(l.buf) { // twice as much, so that a long line is seldom copied
		l.buf = append(make([]byte, 0, min(2*cap(l.buf)+chunk, l.limit+2*chunk)), l.buf...)
	}
	l.buf = l.buf[:have+chunk]
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

// fill reads until b is full, or to an error: io.EOF at the end, and a
// decompressor's io.ErrUnexpectedEOF only where the stream is cut.
func fill(in io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var more int
		more, err = in.Read(b[n:])
		n += more
	}
	return n, err
}

// countingReader counts the bytes read from it.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
