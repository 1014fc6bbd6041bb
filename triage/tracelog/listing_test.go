package tracelog

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// opened gives what the files that a disk opens for a pattern hold, and what is
// said of the others.
func opened(t *testing.T, d folders, pattern string) (contents []string, skipped []Part) {
	t.Helper()
	source := access(pattern)
	files, skipped := d.openFiles([]*Source{&source})
	for _, f := range files {
		text := make([]byte, f.size)
		_, err := f.ReadAt(text, 0)
		must(t, err)
		contents = append(contents, string(text))
		must(t, f.Close())
	}
	slices.Sort(contents)
	return contents, skipped
}

// rotate renames a log and those rotated before, and begins it anew.
func rotate(t *testing.T, path, contents string) {
	t.Helper()
	for n := 9; n > 0; n-- {
		from := fmt.Sprintf("%s.%d", path, n)
		if _, err := os.Stat(from); err == nil {
			must(t, os.Rename(from, fmt.Sprintf("%s.%d", path, n+1)))
		}
	}
	must(t, os.Rename(path, path+".1"))
	write(t, path, []byte(contents))
}

func TestARotationWhileFilesAreOpenedLosesNone(t *testing.T) {
	for before := range 4 { // files opened
		path := filepath.Join(t.TempDir(), "a")
		for _, contents := range []string{"oldest", "older", "old"} {
			write(t, path, []byte(contents))
			rotate(t, path, "now")
		}
		d := onDisk()
		opens := 0
		d.open = func(source *Source, path string) (*logFile, error) {
			if opens == before {
				rotate(t, filepath.Join(filepath.Dir(path), "a"), "new")
			}
			opens++
			return openFile(source, path)
		}
		contents, skipped := opened(t, d, path+"*")
		if want := []string{"new", "now", "old", "older", "oldest"}; !slices.Equal(contents, want) || len(skipped) > 0 {
			t.Errorf("rotated after %d were opened: %q, %+v", before, contents, skipped)
		}
	}
}

func TestALogThatIsRenamedAwayBeforeItIsOpenedIsSaidToBeMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	write(t, path, []byte("now"))
	d := onDisk()
	rotated := false
	d.open = func(source *Source, path string) (*logFile, error) {
		if !rotated {
			rotated = true
			rotate(t, path, "new")
		}
		return openFile(source, path)
	}
	contents, skipped := opened(t, d, path) // which does not match what is rotated
	if !slices.Equal(contents, []string{"new"}) || len(skipped) != 1 || skipped[0].Complete || skipped[0].Note != vanished || skipped[0].Name != path {
		t.Errorf("%q, %+v", contents, skipped)
	}
}

func TestFilesThatAreRenamedWithoutEndAreSaidToBe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	write(t, path, []byte("0"))
	d := onDisk()
	n := 0
	d.open = func(source *Source, file string) (*logFile, error) {
		f, err := openFile(source, file)
		n++
		rotate(t, path, fmt.Sprint(n))
		return f, err
	}
	contents, skipped := opened(t, d, path+"*")
	if len(contents) == 0 || len(skipped) != 1 || skipped[0].Complete || !strings.Contains(skipped[0].Note, "renamed all the time") {
		t.Errorf("%q, %+v", contents, skipped)
	}
}
