// What a source's pattern matches. filepath.Glob is not enough: to it, a folder
// that cannot be read is one without files.

package tracelog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// folders are what a pattern is matched against, and what it matches opened from.
type folders struct {
	// list gives what a folder holds, along with an error what it could read.
	list func(path string) ([]os.DirEntry, error)
	stat func(path string) (os.FileInfo, error) // of a link, the link's own
	open func(source *Source, path string) (*logFile, error)
}

func onDisk() folders { return folders{list: os.ReadDir, stat: os.Lstat, open: openFile} }

// unlisted says where a pattern was not matched.
type unlisted struct {
	folders int
	path    string // of the first
	err     error
}

func (u *unlisted) add(path string, err error) {
	if u.folders == 0 {
		u.path, u.err = path, err
	}
	u.folders++
}

// said is why files may be missing, "" if none can be.
func (u *unlisted) said() string {
	switch u.folders {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("what it matches at %s is not known: %s", u.path, reason(u.err))
	default:
		return fmt.Sprintf("what it matches at %s and %d more is not known: %s", u.path, u.folders-1, reason(u.err))
	}
}

// isPattern says whether a path can match more than what has its name.
func isPattern(path string) bool { return strings.ContainsAny(path, `*?[\`) }

// match gives the paths that a pattern matches, in the order of names, and
// where that could not be told. A file that has the pattern for its name is
// what is meant. The error is filepath.ErrBadPattern, or, of a path that is no
// pattern, why it is not there.
func (d folders) match(pattern string) ([]string, unlisted, error) {
	_, err := d.stat(pattern)
	if err == nil || !isPattern(pattern) {
		return []string{pattern}, unlisted{}, err
	}
	for part := range strings.SplitSeq(pattern, string(filepath.Separator)) {
		if _, err := filepath.Match(part, ""); err != nil {
			return nil, unlisted{}, err
		}
	}
	var u unlisted
	return d.expand(pattern, &u), u, nil
}

// expand matches a well-formed pattern, one folder after the other.
func (d folders) expand(pattern string, u *unlisted) (paths []string) {
	dir, name := filepath.Split(pattern)
	parents, matched := []string{dir}, false
	if dir = strings.TrimRight(dir, string(filepath.Separator)); isPattern(dir) {
		parents, matched = d.expand(dir, u), true
	}
	for _, parent := range parents {
		names, err := d.named(parent, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case matched && errors.Is(err, syscall.ENOTDIR): // a file beside the folders
		case err != nil:
			u.add(filepath.Join(parent, "."), err)
		}
		for _, n := range names {
			paths = append(paths, filepath.Join(parent, n))
		}
	}
	return paths
}

// named are the names in a folder that a pattern without folders matches.
func (d folders) named(parent, pattern string) (names []string, err error) {
	if pattern == "" { // it ends with a separator, and so is for no file
		return nil, nil
	}
	if !isPattern(pattern) {
		if _, err := d.stat(filepath.Join(parent, pattern)); err != nil {
			return nil, err
		}
		return []string{pattern}, nil
	}
	entries, err := d.list(filepath.Join(parent, "."))
	for _, e := range entries {
		if ok, _ := filepath.Match(pattern, e.Name()); ok { // it is well-formed
			names = append(names, e.Name())
		}
	}
	return names, err
}
