// What a log was like when its index was last brought up to date: how long it
// was, and when the file system last saw it changed. A log only grows. One that
// changed and did not grow may have been written over anywhere in it, which its
// first and last bytes do not show.

package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// logState is kept in a file beside the segments, which are believed as long as
// it holds. It is noted before anything is read of the log, so that what is
// changed during an update does not fit it.
type logState struct {
	Size int64 // bytes
	// Changed is the inode's time of change, in nanoseconds since 1970. Unlike
	// the time of the last write nobody can put it back; renaming changes it too.
	Changed int64
}

func stateOf(info os.FileInfo) logState { return logState{info.Size(), changeTime(info).UnixNano()} }

// holds says whether a log that was in this state and is now in another has only
// been appended to, as far as that can be told. Two changes within a tick of the
// file system's clock, some milliseconds, have the same time.
func (s *logState) holds(now logState) bool {
	return s != nil && (now.Size > s.Size || now == *s)
}

const stateName = "state"

var stateMagic = [8]byte{'t', 'r', 'i', 'd', 'x', 's', '0', '1'}

const stateSize = len(stateMagic) + 2*8 + 4

func (s *logState) encode() []byte {
	b := binary.LittleEndian.AppendUint64(stateMagic[:], uint64(s.Size))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.Changed))
	return binary.LittleEndian.AppendUint32(b, checksum(0, b))
}

// readState reads the state that is kept in a folder, nil where none is.
func readState(dir string) (*logState, error) {
	path := filepath.Join(dir, stateName)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	case len(b) != stateSize, [8]byte(b) != stateMagic, binary.LittleEndian.Uint32(b[stateSize-4:]) != checksum(0, b[:stateSize-4]):
		return nil, fmt.Errorf("%w: %s: it is damaged or of another version", errDamaged, path)
	}
	b = b[len(stateMagic):]
	return &logState{int64(binary.LittleEndian.Uint64(b)), int64(binary.LittleEndian.Uint64(b[8:]))}, nil
}
