package tracelog

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sirupsen/logrus"

	"triagebot/triage/tracelog/index"
)

const patternLine = `{"ts":"2026-01-02T03:04:05Z","req_id":"req_1"}` + "\n"

func TestPatternsMatchAsFilepathGlob(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.log", "a.log.1", "b.log", "x/a.log", "x/b", "y/a.log", "y/z/a.log", "é.log", ".hidden"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		write(t, filepath.Join(dir, name), nil)
	}
	symlink(t, "x", filepath.Join(dir, "link"))
	symlink(t, "nowhere", filepath.Join(dir, "dangling"))
	t.Chdir(dir)
	for _, pattern := range []string{
		"*", "a.log*", "?.log", "[ab].log", "[^a].log", "*/a.log", "*/*", "*/*/a.log", "x/*", "x//*", "./*.log", "x/../*.log", `a\.log`,
		"none*", "none/*", "*/none", "*/", dir + "/*/a.log", "a.log/", "dangling", "link/*",
	} {
		want, err := filepath.Glob(pattern)
		must(t, err)
		got, missing, err := onDisk().match(pattern)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) || missing.folders > 0 {
			t.Errorf("%s: %v, %+v", pattern, err, missing)
		}
		if err != nil {
			got = nil
		}
		clean := func(paths []string) []string {
			for i := range paths {
				paths[i] = filepath.Clean(paths[i])
			}
			return paths
		}
		if !slices.Equal(clean(got), clean(want)) {
			t.Errorf("%s: got %q, want %q", pattern, got, want)
		}
	}
}

func TestMalformedPatterns(t *testing.T) {
	for _, pattern := range []string{"[", "a[", "[a/b]*", `x\/*`, "*/[-"} {
		if _, _, err := onDisk().match(pattern); !errors.Is(err, filepath.ErrBadPattern) {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

// A request's log can have brackets in its name: it is that file then.
func TestAFileOfThePatternsNameIsWhatIsMeant(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a[1].log", "a1.log", "b[.log"} {
		write(t, filepath.Join(dir, name), []byte(patternLine))
	}
	for pattern, want := range map[string]string{"a[1].log": "a[1].log", "b[.log": "b[.log", "a[2].log": "", "?1.log": "a1.log"} {
		found := find(t, NewFiles(FilesOptions{Sources: []Source{access(filepath.Join(dir, pattern))}}), Query{ID: "req_1"})
		part := found.Coverage.Parts[0]
		switch {
		case len(found.Coverage.Parts) != 1 || !part.Complete:
			t.Errorf("%s: %+v", pattern, found.Coverage)
		case want == "" && part.Note != "no file matches" || want != "" && (part.Name != filepath.Join(dir, want) || len(found.Records) != 1):
			t.Errorf("%s: %+v", pattern, part)
		}
	}
}

func TestAFolderThatCannotBeReadIsNotOneWithoutFiles(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "open"), 0o700))
	must(t, os.MkdirAll(filepath.Join(dir, "shut"), 0o700))
	write(t, filepath.Join(dir, "open", "a.log"), nil)
	denied := func(op, path string) error {
		if strings.Contains(path, "shut") {
			return &fs.PathError{Op: op, Path: path, Err: syscall.EACCES}
		}
		return nil
	}
	// As the system does it for a user who may not enter the folder.
	d := folders{
		list: func(path string) ([]os.DirEntry, error) {
			if err := denied("open", path); err != nil {
				return nil, err
			}
			return os.ReadDir(path)
		},
		stat: func(path string) (os.FileInfo, error) {
			if err := denied("lstat", strings.TrimSuffix(path, "shut")); err != nil {
				return nil, err
			}
			return os.Lstat(path)
		},
	}
	for pattern, paths := range map[string]int{"shut/*.log": 0, "*/*.log": 1, "*/a.log": 1} {
		got, missing, err := d.match(filepath.Join(dir, pattern))
		if err != nil || len(got) != paths || missing.folders != 1 || !strings.Contains(missing.said(), "shut is not known: permission denied") {
			t.Errorf("%s: %q, %q, %v", pattern, got, missing.said(), err)
		}
	}
	if _, _, err := d.match(filepath.Join(dir, "shut", "a.log")); !errors.Is(err, syscall.EACCES) {
		t.Errorf("a path in it: %v", err)
	}

	// A disk that fails midway still gives what it could.
	d.list = func(path string) ([]os.DirEntry, error) {
		entries, _ := os.ReadDir(path)
		return entries, &fs.PathError{Op: "readdirent", Path: path, Err: syscall.EIO}
	}
	got, missing, err := d.match(filepath.Join(dir, "*", "*.log"))
	if err != nil || len(got) != 1 || missing.folders != 3 || !strings.Contains(missing.said(), "and 2 more is not known: input/output error") {
		t.Errorf("%q, %q, %v", got, missing.said(), err)
	}
}

func TestWhatCannotBeListedIsSaidAndNothingOfItForgotten(t *testing.T) {
	dir := t.TempDir()
	logs := filepath.Join(dir, "logs")
	mkdir(t, logs)
	write(t, filepath.Join(logs, "a.log"), []byte(patternLine))
	write(t, filepath.Join(dir, "good.log"), []byte(patternLine))
	x := openIndex(t, index.Options{})
	h := NewFiles(FilesOptions{
		Sources: []Source{access(filepath.Join(logs, "*.log")), access(filepath.Join(logs, "a.log")), access(filepath.Join(dir, "good.log"))}, Index: x,
	})
	log := logrus.New()
	log.SetOutput(t.Output())
	indexer := NewIndexer(IndexerOptions{Index: x, Files: func() *Files { return h }, Log: log})
	indexer.Update(t.Context(), true)

	away := filepath.Join(dir, "away")
	for name, c := range map[string]struct {
		instead func()
		why     string
	}{
		"a file":       {func() { write(t, logs, nil) }, "not a directory"},
		"a link's end": {func() { symlink(t, "logs", logs) }, "too many levels of symbolic links"},
	} {
		t.Run(name, func(t *testing.T) {
			must(t, os.Rename(logs, away))
			c.instead()
			indexer.Update(t.Context(), true)
			found := find(t, h, Query{ID: "req_1"})
			picked, err := h.Pick(t.Context(), Pick{By: PickSlowest, N: 1})
			must(t, err)
			for _, coverage := range []Coverage{found.Coverage, picked.Coverage} {
				if len(coverage.Parts) != 3 || coverage.Complete {
					t.Fatalf("coverage says %+v", coverage)
				}
				for _, part := range coverage.Parts[:2] {
					if part.Complete || part.How != HowSkipped || !strings.Contains(part.Note, c.why) {
						t.Errorf("coverage says %+v", part)
					}
				}
			}
			if len(found.Records) != 1 {
				t.Errorf("the rest is not answered: %+v", found)
			}
			must(t, os.Remove(logs))
			must(t, os.Rename(away, logs))
			if found := find(t, h, Query{ID: "req_1"}); found.Coverage.Parts[0].How != HowIndex || !found.Coverage.Complete {
				t.Errorf("its index was forgotten: %+v", found.Coverage)
			}
		})
	}
}
