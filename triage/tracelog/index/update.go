// Bringing an index up to date: what was appended, what is damaged, and many
// small files into few.

package index

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Updated says what an update did.
type Updated struct {
	To    int64 // how far the log is indexed, in bytes
	Bytes int64 // of the log that were read and indexed
	// Rewritten says that the file was not, or may not have been, the one that was
	// indexed, so that its index was begun anew.
	Rewritten bool
	// Damaged is how many index files could not be used and were made anew, and
	// Problem what was wrong with the first of them.
	Damaged int
	Problem error
}

// Update indexes what a log has and its index has not, but for a last line that
// has not ended and for less than Options.MinAppend. It makes files anew that
// are damaged. What it has done when it is stopped or fails stays.
func (x *Index) Update(ctx context.Context, log *os.File, spec Spec) (Updated, error) {
	extractor, err := newExtractor(&spec, x.options.ParseTime)
	if err != nil {
		return Updated{}, err
	}
	l, err := x.of(log, &spec)
	if err != nil {
		return Updated{}, err
	}
	u := &updater{
		log:        log,
		index:      l,
		minAppend:  x.options.MinAppend,
		maxSegment: x.options.MaxSegment,
		builder: &builder{
			extractor:  extractor,
			maxSegment: x.options.MaxSegment,
			buffer:     make([]byte, x.options.Buffer),
		},
	}
	err = x.exclusively(func() error { return u.run(ctx) })
	return u.done, err
}

type updater struct {
	log        *os.File
	index      *logIndex
	minAppend  int64
	maxSegment int64
	builder    *builder
	state      logState // of the log, before all else
	head       []byte   // the log's first bytes
	done       Updated
}

func (u *updater) run(ctx context.Context) error {
	if err := os.MkdirAll(u.index.dir, 0o700); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	// Before all else that is read of the log: when it is written over during
	// the update, its state and first bytes do not fit and the index is not
	// believed.
	info, err := u.log.Stat()
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	u.state = stateOf(info)
	if u.head, err = readHead(u.log); err != nil {
		return err
	}
	list, err := u.clean()
	if err != nil {
		return err
	}
	defer func() { u.index.release(list) }()
	if list.state == nil || *list.state != u.state {
		if err := u.writeFile(stateName, u.state.encode()); err != nil {
			return err
		}
	}
	end := int64(0)
	for _, s := range list.cover {
		if _, err := u.fill(ctx, end, s.From); err != nil {
			return err
		}
		end = s.To
	}
	if info.Size()-end >= max(u.minAppend, 1) {
		if end, err = u.fill(ctx, end, info.Size()); err != nil {
			return err
		}
	}
	u.done.To = end
	return u.mergeLast()
}

// clean removes files that are of no use, and gives what remains. The list must
// be released.
func (u *updater) clean() (*list, error) {
	for {
		u.index.refresh() // files may have been written over in place
		list, err := u.index.acquire()
		if err != nil {
			return nil, err
		}
		useless, err := u.useless(list)
		if err == nil && len(useless) == 0 {
			return list, nil
		}
		for _, path := range useless {
			if e := os.Remove(path); e != nil && !errors.Is(e, fs.ErrNotExist) {
				err = errors.Join(err, fmt.Errorf("index: a file that cannot be used cannot be removed: %w", e))
			}
		}
		u.index.release(list)
		if err != nil {
			return nil, err
		}
	}
}

// useless are the files that can be removed: those that are damaged, that are
// not of the log at hand, whose contents another one has too, and those of a
// write that was cut off.
func (u *updater) useless(list *list) ([]string, error) {
	useless := slices.Clone(list.unusable)
	u.damaged(len(list.unusable), list.problem)
	var good []*segment
	for _, s := range list.cover {
		err := s.verify()
		switch {
		case err == nil:
			good = append(good, s)
			continue
		case !errors.Is(err, errDamaged):
			return nil, err
		}
		s.bad.Store(&err)
		u.damaged(1, err)
	}
	same, err := same(u.log, good, true)
	if err != nil {
		return nil, err
	}
	if len(list.all) > 0 && (!same || !list.state.holds(u.state)) {
		u.done.Rewritten = true
		good = nil
	}
	for _, s := range list.all {
		if !slices.Contains(good, s) {
			useless = append(useless, s.path)
		}
	}
	unfinished, err := filepath.Glob(filepath.Join(u.index.dir, temporary))
	return append(useless, unfinished...), err
}

func (u *updater) damaged(files int, problem error) {
	u.done.Damaged += files
	if u.done.Problem == nil {
		u.done.Problem = problem
	}
}

// fill indexes a stretch of the log that begins with a line, and says how far
// it came.
func (u *updater) fill(ctx context.Context, from, to int64) (int64, error) {
	for from < to {
		h, err := u.builder.build(ctx, u.log, from, to)
		if err != nil || h == nil {
			return from, err
		}
		known := u.head[:min(int64(len(u.head)), h.To)]
		h.Head, h.HeadLen = sum(known), uint32(len(known))
		if err := u.write(h); err != nil {
			return from, err
		}
		u.done.Bytes += h.To - from
		from = h.To
	}
	return from, nil
}

// mergeLast makes one segment of the last ones, so that there are few although
// each update makes a small one. One that is more than twice as long as those
// after it is left alone: what is indexed is then written again only a few
// times.
func (u *updater) mergeLast() error {
	list, err := u.index.acquire()
	if err != nil {
		return err
	}
	cover := list.cover
	first := max(0, len(cover)-1)
	for first > 0 {
		before, rest := cover[first-1], cover[first:]
		if before.To != rest[0].From || before.To-before.From > 2*(rest[len(rest)-1].To-rest[0].From) ||
			!mergeable(cover[first-1:], u.maxSegment) {
			break
		}
		first--
	}
	parts := cover[first:]
	if len(parts) < 2 {
		u.index.release(list)
		return nil
	}
	merged, err := u.builder.merge(parts)
	if err == nil {
		err = u.write(merged)
	}
	u.index.release(list)
	switch {
	case errors.Is(err, errDamaged):
		u.damaged(1, err) // the next update makes it anew
		return nil
	case err != nil:
		return err
	}
	list, err = u.clean()
	if err == nil {
		u.index.release(list)
	}
	return err
}

// temporary is the name of a file that is not whole yet; the star is a number.
const temporary = "*.tmp"

// write makes what the builder holds a file, all of it or none.
func (u *updater) write(h *header) error {
	h.Spec = u.index.spec
	contents := encodeSegment(*h, u.builder.entries, u.builder.blocks)
	return u.writeFile(fmt.Sprintf("%016x-%016x%s", h.From, h.To, segmentSuffix), contents)
}

func (u *updater) writeFile(name string, contents []byte) error {
	if err := writeWhole(filepath.Join(u.index.dir, name), contents); err != nil {
		return fmt.Errorf("index: a file cannot be written: %w", err)
	}
	u.index.refresh()
	return nil
}

func writeWhole(path string, contents []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), temporary)
	if err != nil {
		return err
	}
	_, err = f.Write(contents)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	// The directory is not synced: a file whose name a crash loses is made anew.
	return nil
}
