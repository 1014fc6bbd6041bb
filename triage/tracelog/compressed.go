// Reading a compressed log, from its beginning to its end.

package tracelog

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxZstdWindow is the largest window that a zstd frame may ask for, in bytes,
// for as much and more is held of what was decompressed. It is what RFC 8878
// recommends to support, and what zstd asks for at its levels up to 19.
const maxZstdWindow = 8 << 20

var errWideWindow = fmt.Errorf("it was compressed with a window of more than %d MB, which takes as much memory to read; use zstd without --long and --ultra", maxZstdWindow>>20)

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
	return zstdReader{r.IOReadCloser()}, packed, nil
}

// zstdReader says of a window that is too large what to do about it.
type zstdReader struct{ io.ReadCloser }

func (r zstdReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		err = errWideWindow
	}
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
		case errors.Is(readErr, errWideWindow):
			return out, readErr
		case readErr != nil:
			return out, fmt.Errorf("it cannot be decompressed beyond byte %d of its contents: %w", base+int64(len(text)), readErr)
		}
		if err := s.pace.rest(ctx); err != nil {
			return out, err
		}
	}
}
