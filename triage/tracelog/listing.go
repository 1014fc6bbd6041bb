// Which files a lookup opens: what the sources' patterns match, the latest
// changed first. Logs are rotated while they are listed and opened, so they are
// listed until a listing shows nothing new: a file then stands under one of the
// names that were listed, or is said to be missing.

package tracelog

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// maxFiles bounds the files of one lookup, and so what it holds open.
	maxFiles = 1000
	// maxListings is how often the files are listed. A rotation takes one more
	// than the two that an untouched folder does.
	maxListings = 6
)

// openFiles opens what the sources' globs match, the latest changed first. A
// file that cannot be searched becomes a part that says why.
func openFiles(sources []*Source) (files []*logFile, skipped []Part) {
	return onDisk().openFiles(sources)
}

func (d folders) openFiles(sources []*Source) (files []*logFile, skipped []Part) {
	o := newOpening(d, 0)
	settled := o.open(sources)
	return o.files, o.skipped(sources, settled)
}

// listed is a file as a listing shows it.
type listed struct {
	source        *Source
	pattern, path string
	id            fileID
	size          int64
	changed       time.Time
	err           error // why it cannot be told what stands there
}

// listedName is where a source has a file.
type listedName struct {
	source *Source
	path   string
}

func (l *listed) name() listedName { return listedName{l.source, l.path} }

// opening is the opening of the files of one lookup.
type opening struct {
	disk     folders
	room     int                 // for so many files
	files    []*logFile          // the latest changed first, once opened
	paths    map[fileID]string   // where the last listing has them
	known    map[fileID]bool     // opened, or said why not
	missing  map[fileID]listed   // listed, and something else stood there when it was to be opened
	gone     map[listedName]bool // nothing stood there at some time
	stillOut []listed            // nothing stands there by the last listing
	left     []leftOut
	failed   []Part // files that cannot be opened
	wrong    []Part // what was wrong at the last listing
}

// newOpening is for a lookup that has some files open already.
func newOpening(disk folders, held int) *opening {
	return &opening{
		disk: disk, room: maxFiles - held,
		known: map[fileID]bool{}, missing: map[fileID]listed{}, gone: map[listedName]bool{},
	}
}

// open lists and opens until a listing shows nothing new. It returns false when
// that did not come to pass.
func (o *opening) open(sources []*Source) (settled bool) {
	for n := 0; n < maxListings && !settled; n++ {
		settled = !o.round(sources)
	}
	slices.SortStableFunc(o.files, func(a, b *logFile) int { return b.changed.Compare(a.changed) })
	return settled
}

// leftOut is what of a pattern is not opened because there are too many files.
type leftOut struct {
	latest listed // of them
	files  int
	bytes  int64
}

// round lists the files once and opens those that are new. It says whether
// anything was.
func (o *opening) round(sources []*Source) (fresh bool) {
	o.wrong, o.stillOut, o.paths = nil, nil, map[fileID]string{}
	for _, l := range o.list(sources) {
		if l.err == nil && o.paths[l.id] == "" {
			o.paths[l.id] = l.path
		}
		switch {
		case errors.Is(l.err, fs.ErrNotExist):
			// Renamed since, unless it is a link that leads nowhere.
			fresh = fresh || !o.gone[l.name()]
			o.gone[l.name()] = true
			o.stillOut = append(o.stillOut, l)
		case l.err != nil:
			o.wrong = append(o.wrong, skip(l.source, l.path, reason(l.err)))
		case o.known[l.id]:
		case len(o.files) >= o.room:
			o.leaveOut(&l)
		default:
			fresh = true
			o.take(&l)
		}
	}
	return fresh
}

// list gives what the patterns match, the latest changed first.
func (o *opening) list(sources []*Source) []listed {
	var all []listed
	for _, source := range sources {
		for _, pattern := range source.Files {
			paths, wrong := o.disk.matched(source, pattern)
			o.wrong = append(o.wrong, wrong...)
			for _, path := range paths {
				l := listed{source: source, pattern: pattern, path: path}
				var info os.FileInfo
				if info, l.err = os.Stat(path); l.err == nil {
					l.id, l.size, l.changed = fileIDOf(source, info), info.Size(), info.ModTime()
				}
				all = append(all, l)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b listed) int { return b.changed.Compare(a.changed) })
	return all
}

// matched are the paths that a pattern stands for, and what there is to say of
// those that it does not give.
func (d folders) matched(source *Source, pattern string) ([]string, []Part) {
	paths, missing, err := d.match(pattern)
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

// take opens what a listing shows. What stands there by now may be another file.
func (o *opening) take(l *listed) {
	file, err := o.disk.open(l.source, l.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		o.missing[l.id] = *l
		return
	case err != nil:
		o.known[l.id] = true
		o.failed = append(o.failed, skip(l.source, l.path, reason(err)))
		return
	case file.id != l.id:
		o.missing[l.id] = *l
	}
	if o.known[file.id] { // two patterns, or a link
		_ = file.Close() // it was only read from
		return
	}
	o.known[file.id] = true
	o.files = append(o.files, file)
}

func (o *opening) leaveOut(l *listed) {
	o.known[l.id] = true
	i := slices.IndexFunc(o.left, func(left leftOut) bool { return left.latest.source == l.source && left.latest.pattern == l.pattern })
	if i < 0 {
		i, o.left = len(o.left), append(o.left, leftOut{latest: *l})
	}
	o.left[i].files++
	o.left[i].bytes += l.size
}

// skipped are the parts that say what is not among the files, and why.
func (o *opening) skipped(sources []*Source, settled bool) []Part {
	parts := slices.Concat(o.wrong, o.failed)
	for _, l := range o.stillOut {
		parts = append(parts, skip(l.source, l.path, vanished))
	}
	for id, l := range o.missing {
		if !o.known[id] { // or it was opened under another name
			parts = append(parts, skip(l.source, l.path, vanished))
		}
	}
	for _, left := range o.left {
		part := skip(left.latest.source, left.latest.pattern, left.said())
		part.Size = left.bytes
		parts = append(parts, part)
	}
	if !settled {
		for _, source := range sources {
			note := fmt.Sprintf("its files were renamed all the time while they were opened: after %d listings there may still be others", maxListings)
			parts = append(parts, skip(source, source.Name, note))
		}
	}
	slices.SortStableFunc(parts, func(a, b Part) int { return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Name, b.Name)) })
	return slices.Compact(parts)
}

func (l *leftOut) said() string {
	return fmt.Sprintf("%s left out, which changed last at %s (%s) or before: at most %d files are opened, the latest changed first; narrow the pattern",
		counted(l.files, "file"), l.latest.changed.UTC().Format(time.RFC3339), filepath.Base(l.latest.path), maxFiles)
}
