package tracelog

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
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

// The names of rotated logs begin with their date as often as they end with it.
func TestOfTooManyFilesTheLatestChangedAreOpened(t *testing.T) {
	dir := t.TempDir()
	for i := range maxFiles + 7 {
		path := filepath.Join(dir, fmt.Sprintf("%04d.log", i))
		write(t, path, fmt.Appendf(nil, `{"ts":"2026-01-02T03:04:05Z","req_id":"req_%d"}`+"\n", i))
		changed := pickAt.Add(time.Duration(i) * time.Second)
		must(t, os.Chtimes(path, changed, changed))
	}
	h := NewFiles(FilesOptions{Sources: []Source{access(filepath.Join(dir, "*.log"))}, Workers: 1})
	for id, want := range map[string]int{fmt.Sprintf("req_%d", maxFiles+6): 1, "req_7": 1, "req_6": 0} {
		found := find(t, h, Query{ID: id})
		if len(found.Records) != want || found.Coverage.Complete {
			t.Errorf("%s: %d records, complete: %t", id, len(found.Records), found.Coverage.Complete)
		}
		part := found.Coverage.Parts[0]
		const note = "7 files left out, which changed last at 2026-01-02T15:00:06Z (0006.log) or before: at most 1000 files are opened, the latest changed first; narrow the pattern"
		if len(found.Coverage.Parts) != maxFiles+1 || part.Note != note || part.Size == 0 || part.How != HowSkipped {
			t.Errorf("%s: %d parts, the first %+v", id, len(found.Coverage.Parts), part)
		}
	}
}
