package tracelog

import (
	"io"
	"time"
)

func windowOf(r io.ReaderAt, size int64, from, to time.Time, s *Source) (lo, hi int64, ok bool) {
	return 0, 0, false
}
