// The log files of sources, as they are at the moment of a lookup.

package tracelog

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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

// packing is how a file is compressed.
type packing int

const (
	unpacked packing = iota
	gzipped
	zstandard
)

// maxFiles bounds the files of one lookup, and so what it holds open.
const maxFiles = 1000

// openFiles opens what the sources' globs match, the latest changed first. A
// file that cannot be searched becomes a part that says why.
func openFiles(sources []*Source) (files []*logFile, skipped []Part) {
	seen := map[fileID]bool{}
	for _, source := range sources {
		for _, pattern := range source.Files {
			paths, missing := matched(source, pattern)
			skipped = append(skipped, missing...)
			for _, path := range paths {
				if len(files) == maxFiles {
					skipped = append(skipped, skip(source, path, fmt.Sprintf("this and what follows is not searched: there are more than %d files; narrow the pattern", maxFiles)))
					break
				}
				file, err := openFile(source, path)
				if err != nil {
					skipped = append(skipped, skip(source, path, reason(err)))
					continue
				}
				if seen[file.id] { // two patterns, or a link
					_ = file.Close() // it was only read from
					continue
				}
				seen[file.id] = true
				files = append(files, file)
			}
		}
	}
	slices.SortStableFunc(files, func(a, b *logFile) int { return b.changed.Compare(a.changed) })
	return files, skipped
}

// matched are the paths that a pattern stands for, and what there is to say of
// those that it does not give.
func matched(source *Source, pattern string) ([]string, []Part) {
	paths, missing, err := onDisk().match(pattern)
	switch {
	case errors.Is(err, filepath.ErrBadPattern):
		return nil, []Part{skip(source, pattern, "the pattern is malformed; write it as for a shell")}
	case errors.Is(err, fs.ErrNotExist):
		return nil, []Part{skip(source, pattern, "it does not exist")}
	case err != nil:
		return nil, []Part{skip(source, pattern, reason(err))}
	case missing.folders > 0:
		return paths, []Part{skip(source, pattern, missing.said())}
	case len(paths) == 0: // no rotated file yet
		part := skip(source, pattern, "no file matches")
		part.Complete = true
		return nil, []Part{part}
	}
	return paths, nil
}

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
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			f.id = fileID{source, uint64(stat.Dev), stat.Ino} //nolint:unconvert // not on every system
		}
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

// reason is an error without the path, which stands beside it.
func reason(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return cmp.Or(map[error]string{
		fs.ErrPermission: "permission denied: triagebot's user may not read it",
		syscall.EACCES:   "permission denied: triagebot's user may not read it",
		fs.ErrNotExist:   "it vanished before it was opened",
		syscall.ENOENT:   "it vanished before it was opened",
	}[err], err.Error())
}
