// A log file, open for a lookup, and what can be wrong with one.

package tracelog

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// logFile is an open log. It is opened when the lookup begins, so that a
// rotation in the meantime takes nothing away.
type logFile struct {
	*os.File
	source  *Source
	path    string
	size    int64 // when it was opened; what is appended later is not searched
	changed time.Time
	packed  packing
	id      fileID
}

// fileID tells a file of a source from others, whatever its name.
type fileID struct {
	source *Source
	device uint64
	inode  uint64
}

func fileIDOf(source *Source, info os.FileInfo) fileID {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return fileID{source, uint64(stat.Dev), stat.Ino} //nolint:unconvert // not on every system
	}
	return fileID{source: source}
}

// packing is how a file is compressed.
type packing int

const (
	unpacked packing = iota
	gzipped
	zstandard
)

func skip(source *Source, name, note string) Part {
	return Part{Source: source.Name, Name: name, How: HowSkipped, Note: note}
}

// openFile opens a regular file; anything else, such as a pipe, could keep the
// lookup waiting.
func openFile(source *Source, path string) (*logFile, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("it is a %s, not a file", kindOf(info.Mode()))
	}
	f := &logFile{File: file, source: source, path: path}
	if err == nil {
		f.size, f.changed = info.Size(), info.ModTime()
		f.id = fileIDOf(source, info)
		f.packed, err = packingOf(file)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return f, nil
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "folder"
	case mode&fs.ModeNamedPipe != 0:
		return "pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	default:
		return "device"
	}
}

// packingOf tells a compressed file by its first bytes, for rotated logs do
// not always keep their ending. No NDJSON begins like that. It is an error for a
// file to be compressed as is not read: its lines would not be found in it.
func packingOf(r io.ReaderAt) (packing, error) {
	var magic [5]byte
	n, err := r.ReadAt(magic[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return unpacked, err
	}
	begins := func(with string) bool { return strings.HasPrefix(string(magic[:n]), with) }
	switch {
	case begins("\x1f\x8b"):
		return gzipped, nil
	case begins("\x28\xb5\x2f\xfd"):
		return zstandard, nil
	case magic[0]&0xf0 == 0x50 && string(magic[1:4]) == "\x2a\x4d\x18": // a frame to be skipped, as pzstd begins
		return zstandard, nil
	case begins("\xfd7zXZ"):
		return unpacked, notRead("xz")
	case begins("BZh") && '1' <= magic[3] && magic[3] <= '9':
		return unpacked, notRead("bzip2")
	case begins("\x04\x22\x4d\x18"):
		return unpacked, notRead("lz4")
	default:
		return unpacked, nil
	}
}

func notRead(format string) error {
	return fmt.Errorf("it is compressed with %s, which is not read; use gzip or zstd", format)
}

const vanished = "it vanished before it was opened"

// reason is an error without the path, which stands beside it.
func reason(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return cmp.Or(map[error]string{
		fs.ErrPermission: "permission denied: triagebot's user may not read it",
		syscall.EACCES:   "permission denied: triagebot's user may not read it",
		fs.ErrNotExist:   vanished,
		syscall.ENOENT:   vanished,
	}[err], err.Error())
}
