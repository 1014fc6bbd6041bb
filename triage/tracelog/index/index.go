// Package index keeps, for each NDJSON log, which request ids stand where, so
// that a lookup reads a few kilobytes instead of all of it. It is a hint and
// never the truth: what it cannot vouch for, be it damaged, rewritten or not
// indexed yet, it gives back to be scanned.
//
// Read on in this order: spec.go says what is indexed, extract.go finds it in
// lines, build.go makes segments of it, format.go and segment.go are their
// files, files.go which of them count, identity.go and state.go whether they are
// still of the log at hand; lookup.go and update.go use all that.
package index

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// Options are how an index is kept. The zero value is good for use.
type Options struct {
	// ParseTime reads the values of Spec.Time; nil takes RFC 3339 alone. RFC
	// 3339 in UTC is read without it.
	ParseTime ParseTime
	// MinAppend is how much must have been appended to a log for an update to
	// index it, in bytes; less is left to be scanned.
	MinAppend int64
	// MaxOpen is how many index files are kept open, with up to 66 KB of each in
	// memory; 0 means 256, which is 16 GB of logs. Those beyond are opened for
	// each read.
	MaxOpen int
	// MaxSegment is how much of a log one index file covers, in bytes; 0, and
	// more than the constant of that name, means the constant.
	MaxSegment int64
	// Buffer is how much of a log is read at once, in bytes; 0 means 256 KiB.
	// A line that is longer makes the buffer grow up to Spec.MaxLine.
	Buffer int
	// ReadOnly makes and changes nothing: a directory that is missing is an index
	// that knows of no log yet, and an update is refused.
	ReadOnly bool
}

const defaultMaxOpen = 256

// Index is a directory of indexes of logs. Many processes may read it, one at a
// time updates it. It may be used by several goroutines at once.
type Index struct {
	dir     string
	options Options
	slots   slots

	updating sync.Mutex
	lock     *flock.Flock

	mu   sync.Mutex
	logs map[logKey]*logIndex
}

// Open uses a directory, and makes it when it is missing, unless ReadOnly. The
// index must be closed after use.
func Open(dir string, options Options) (*Index, error) {
	if options.ParseTime == nil {
		options.ParseTime = func(text string) (time.Time, error) { return time.Parse(time.RFC3339, text) }
	}
	if options.MaxOpen <= 0 {
		options.MaxOpen = defaultMaxOpen
	}
	if options.MaxSegment <= 0 || options.MaxSegment > MaxSegment {
		options.MaxSegment = MaxSegment
	}
	if options.Buffer <= 0 {
		options.Buffer = bufferLen
	}
	if options.ReadOnly {
		if err := readable(dir); err != nil {
			return nil, fmt.Errorf("index: its directory cannot be read: %w", err)
		}
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("index: its directory cannot be made: %w", err)
	}
	x := &Index{
		dir:     dir,
		options: options,
		lock:    flock.New(filepath.Join(dir, "lock")),
		logs:    map[logKey]*logIndex{},
	}
	x.slots.left.Store(int64(options.MaxOpen))
	return x, nil
}

// readable returns an error for a directory that is there and cannot be read.
func readable(dir string) error {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = d.Readdirnames(1)
	if errors.Is(err, io.EOF) { // nothing is in it
		err = nil
	}
	return errors.Join(err, d.Close())
}

// Close closes all files. Nothing may use the index then or at the same time.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for key, l := range x.logs {
		l.close()
		delete(x.logs, key)
	}
	return nil
}

// ErrBusy is returned when another process updates the index.
var ErrBusy = errors.New("index: another process is updating it")

var errReadOnly = errors.New("index: it was opened to be read only")

// exclusively runs what changes files. It returns ErrBusy when another process
// does so.
func (x *Index) exclusively(change func() error) error {
	if x.options.ReadOnly {
		return errReadOnly
	}
	x.updating.Lock()
	defer x.updating.Unlock()
	switch locked, err := x.lock.TryLock(); {
	case err != nil:
		return fmt.Errorf("index: its lock: %w", err)
	case !locked:
		return ErrBusy
	}
	return errors.Join(change(), x.lock.Unlock())
}

// of gives the index of a log.
func (x *Index) of(log *os.File, spec *Spec) (*logIndex, error) {
	info, err := log.Stat()
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	key, err := newLogKey(info, spec.digest())
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	l, ok := x.logs[key]
	if !ok {
		l = &logIndex{dir: filepath.Join(x.dir, key.String()), spec: key.spec, slots: &x.slots}
		x.logs[key] = l
	}
	return l, nil
}
