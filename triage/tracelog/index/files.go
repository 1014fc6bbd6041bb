// The files of one log's index: which of them together cover the log, and
// keeping them open while somebody reads.

package index

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// logIndex are the files of one log's index. The directory may change under it:
// another process may be the one that updates.
type logIndex struct {
	dir   string
	spec  digest
	slots *slots // for files that are kept open

	finders sync.Pool // of *lineFinder

	mu    sync.Mutex
	list  *list // nil before the first look
	stale bool  // the list is to be made anew, whatever the directory's stamp says
}

// list is the directory's contents as they were at one time.
type list struct {
	seen  dirStamp
	state *logState  // nil where there is none that can be believed
	cover []*segment // what to look into, ascending and without overlap
	all   []*segment
	// Files that cannot be used, and what is wrong with the first of them.
	unusable []string
	problem  error

	readers int  // guarded by the log's mutex, as is:
	retired bool // another list has taken its place
}

// dirStamp changes when files come or go.
type dirStamp struct {
	device, inode uint64
	changed       time.Time
}

// slots count the files that may still be kept open.
type slots struct{ left atomic.Int64 }

func (s *slots) take() bool {
	if s.left.Add(-1) >= 0 {
		return true
	}
	s.left.Add(1)
	return false
}

// acquire gives the newest list, which stays good until it is released.
func (l *logIndex) acquire() (*list, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen, err := l.stamp()
	if err != nil {
		return nil, err
	}
	if l.list == nil || l.stale || l.list.seen != seen {
		if err := l.reload(); err != nil {
			return nil, err
		}
	}
	l.list.readers++
	return l.list, nil
}

func (l *logIndex) release(seen *list) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen.readers--
	l.drop(seen)
}

// refresh has the next list made anew.
func (l *logIndex) refresh() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stale = true
}

// close closes all files that nobody reads.
func (l *logIndex) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retire()
}

func (l *logIndex) retire() {
	if old := l.list; old != nil {
		l.list = nil
		old.retired = true
		l.drop(old)
	}
}

// drop closes what nobody reads any more.
func (l *logIndex) drop(old *list) {
	if !old.retired || old.readers > 0 {
		return
	}
	for _, s := range old.all {
		l.letGo(s)
	}
	old.all = nil
}

func (l *logIndex) letGo(s *segment) {
	if s.holders--; s.holders > 0 {
		return
	}
	if _, kept := s.file.(*os.File); kept {
		l.slots.left.Add(1)
	}
	s.close()
}

func (l *logIndex) stamp() (dirStamp, error) {
	info, err := os.Stat(l.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return dirStamp{}, nil
	case err != nil:
		return dirStamp{}, fmt.Errorf("index: %w", err)
	}
	device, inode := fileID(info)
	return dirStamp{device, inode, info.ModTime()}, nil
}

const segmentSuffix = ".seg"

// reload reads the directory. Files that are known stay open.
func (l *logIndex) reload() error {
	// The stamp first: what changes meanwhile is then seen the next time.
	seen, err := l.stamp()
	if err != nil {
		return err
	}
	// The state before the segments: one that is too old is believed less.
	fresh := &list{seen: seen}
	fresh.state, fresh.problem = readState(l.dir)
	if fresh.problem != nil {
		fresh.unusable = append(fresh.unusable, filepath.Join(l.dir, stateName))
	}
	names, err := os.ReadDir(l.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("index: %w", err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name.Name(), segmentSuffix) {
			continue
		}
		path := filepath.Join(l.dir, name.Name())
		s, err := l.open(path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // merged meanwhile
		case err != nil:
			fresh.unusable = append(fresh.unusable, path)
			fresh.problem = cmp.Or(fresh.problem, err)
		default:
			s.holders++
			fresh.all = append(fresh.all, s)
			if err := s.problem(); err != nil {
				fresh.unusable = append(fresh.unusable, path)
				fresh.problem = cmp.Or(fresh.problem, err)
			}
		}
	}
	fresh.cover = cover(fresh.all)
	l.retire()
	l.list, l.stale = fresh, false
	return nil
}

// open gives the segment of a file, the known one if the file is unchanged.
func (l *logIndex) open(path string) (*segment, error) {
	if l.list != nil {
		for _, known := range l.list.all {
			if known.path != path {
				continue
			}
			info, err := os.Stat(path)
			if err != nil {
				return nil, fmt.Errorf("an index file cannot be read: %w", err)
			}
			if os.SameFile(info, known.info) && info.ModTime().Equal(known.info.ModTime()) && info.Size() == known.info.Size() {
				return known, nil
			}
		}
	}
	keep := l.slots.take()
	s, err := openSegment(path, l.spec, keep)
	if err != nil && keep {
		l.slots.left.Add(1)
	}
	return s, err
}

// cover chooses segments that follow each other from a log's begin on, with
// gaps where none is to be had. Where several begin alike, as after a merge
// that was cut off, it takes the longest.
func cover(segments []*segment) []*segment {
	sorted := slices.SortedFunc(slices.Values(segments), func(a, b *segment) int {
		return cmp.Or(cmp.Compare(a.From, b.From), -cmp.Compare(a.To, b.To))
	})
	var chosen []*segment
	end := int64(0)
	for _, s := range sorted {
		if s.From >= end && s.problem() == nil {
			chosen = append(chosen, s)
			end = s.To
		}
	}
	return chosen
}
