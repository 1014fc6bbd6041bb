// Whether a file is still the log that was indexed: it is known by its device
// and inode, whatever its name, by its first bytes and those before the indexed
// end, and by not having changed without growing, so that one that was truncated,
// written over or has another's inode does not have an index that is not its own.

package index

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

const (
	headLen = 512
	tailLen = 256
)

// logKey names an index.
type logKey struct {
	device, inode uint64
	spec          digest
}

func newLogKey(info os.FileInfo, spec digest) (logKey, error) {
	if !info.Mode().IsRegular() {
		return logKey{}, fmt.Errorf("index: %s is no regular file", info.Name())
	}
	device, inode := fileID(info)
	return logKey{device, inode, spec}, nil
}

// fileID is what a file is known by, whatever its name. It is zero where the
// system has no such thing; the first bytes then tell files apart.
func fileID(info os.FileInfo) (device, inode uint64) {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Dev, stat.Ino
	}
	return 0, 0
}

const keyFormat = "%016x-%016x-%s"

// String is the name of the index's directory.
func (k logKey) String() string { return fmt.Sprintf(keyFormat, k.device, k.inode, k.spec) }

// isKey says whether a directory's name is one that String gives.
func isKey(name string) bool {
	var k logKey
	var spec []byte
	if _, err := fmt.Sscanf(name, "%16x-%16x-%32x", &k.device, &k.inode, &spec); err != nil || len(spec) != len(k.spec) {
		return false
	}
	k.spec = digest(spec)
	return k.String() == name
}

// readHead reads a log's first bytes.
func readHead(log io.ReaderAt) ([]byte, error) {
	b := make([]byte, headLen)
	n, err := log.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("index: reading the log's begin: %w", err)
	}
	return b[:n], nil
}

// vouches says whether a log is the one that a list's segments were made of.
func (l *list) vouches(log *os.File) (bool, error) {
	if len(l.cover) == 0 {
		return true, nil
	}
	info, err := log.Stat()
	if err != nil {
		return false, fmt.Errorf("index: %w", err)
	}
	if !l.state.holds(stateOf(info)) {
		return false, nil
	}
	return same(log, l.cover, false)
}

// same says whether a log is the one that the segments, in ascending order,
// were made of. With every it looks at where each of them ends, else only at
// where the last one does.
func same(log io.ReaderAt, segments []*segment, every bool) (bool, error) {
	if len(segments) == 0 {
		return true, nil
	}
	head, err := readHead(log)
	if err != nil {
		return false, err
	}
	var known uint32 // of the head, its digest being:
	var digestKnown digest
	for i, s := range segments {
		if int(s.HeadLen) > len(head) {
			return false, nil
		}
		if s.HeadLen != known {
			known, digestKnown = s.HeadLen, sum(head[:s.HeadLen])
		}
		if s.Head != digestKnown {
			return false, nil
		}
		if !every && i < len(segments)-1 {
			continue
		}
		tail := make([]byte, s.TailLen)
		switch _, err := log.ReadAt(tail, s.To-int64(s.TailLen)); {
		case errors.Is(err, io.EOF):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("index: reading the log before its indexed end: %w", err)
		case sum(tail) != s.Tail:
			return false, nil
		}
	}
	return true, nil
}
