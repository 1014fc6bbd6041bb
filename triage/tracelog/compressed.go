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
