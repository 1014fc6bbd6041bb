package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestAnswersAreThoseOfReadingEveryLine(t *testing.T) {
	ids := someIDs()
	for seed := range uint64(8) {
		g := generator{rand.New(rand.NewPCG(seed, 1))}
		x := open(t, t.TempDir(), Options{
			MaxSegment: int64(500 + g.IntN(8000)), Buffer: 1 + g.IntN(2000), MaxOpen: 1 + g.IntN(10),
		})
		log := newLog(t)
		for range 4 {
			write(t, log, g.text(g.IntN(120), ids))
			if g.IntN(2) == 0 {
				write(t, log, []byte(`{"req_id":"req_1","ms":`)) // unfinished
				update(t, x, log, testSpec)
				checkAnswers(t, x, log, testSpec, ids)
				write(t, log, []byte("12}\n"))
			}
			checkAnswers(t, x, log, testSpec, ids)
			done := update(t, x, log, testSpec)
			if size := int64(len(contents(t, log))); done.To != size || done.Damaged != 0 || done.Rewritten {
				t.Fatalf("seed %d: %d of %d bytes are indexed: %+v", seed, done.To, size, done)
			}
			checkAnswers(t, x, log, testSpec, ids)
		}
	}
}

func TestALogIsKnownByWhatItIsAndNotByItsName(t *testing.T) {
	ids := someIDs()
	g := generator{rand.New(rand.NewPCG(7, 7))}
	first := g.text(60, ids)
	tests := map[string]struct {
		change    func(t *testing.T, log *os.File)
		rewritten bool
	}{
		"renamed and appended to": {change: func(t *testing.T, log *os.File) {
			rename(t, log)
			write(t, log, g.text(30, ids))
		}},
		// Which is not told from one that was written over and had its time put back.
		"renamed alone": {rewritten: true, change: rename},
		"written over in its middle, as long as before": {rewritten: true, change: func(t *testing.T, log *os.File) {
			overwrite(t, log, bytes.LastIndexByte(first[:len(first)/2], '\n')+1, `{"req_id":"req_1"}`+"\n")
		}},
		"appended to": {change: func(t *testing.T, log *os.File) { write(t, log, g.text(30, ids)) }},
		"truncated": {rewritten: true, change: func(t *testing.T, log *os.File) {
			truncate(t, log, int64(bytes.LastIndexByte(first[:len(first)/2], '\n')+1))
		}},
		"emptied": {rewritten: true, change: func(t *testing.T, log *os.File) { truncate(t, log, 0) }},
		"emptied and grown beyond what it was": {rewritten: true, change: func(t *testing.T, log *os.File) {
			truncate(t, log, 0)
			write(t, log, g.text(100, ids))
		}},
		"grown again from the same begin": {rewritten: true, change: func(t *testing.T, log *os.File) {
			truncate(t, log, 600)
			write(t, log, append([]byte("\n"), g.text(100, ids)...))
		}},
		"grown again to the same end": {rewritten: true, change: func(t *testing.T, log *os.File) {
			truncate(t, log, 0)
			write(t, log, bytes.Repeat([]byte("\n"), 600))
			write(t, log, first[600:])
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			x := open(t, t.TempDir(), Options{MaxSegment: 4000})
			log := newLog(t)
			write(t, log, first)
			update(t, x, log, testSpec)
			nextTick(t, log)
			test.change(t, log)
			checkAnswers(t, x, log, testSpec, ids)
			hits, err := x.Lookup(t.Context(), log, testSpec, "req_1", int64(len(contents(t, log))))
			if err != nil || hits.Rewritten != test.rewritten {
				t.Errorf("Lookup: rewritten is %v, error %v", hits.Rewritten, err)
			}
			if done := update(t, x, log, testSpec); done.Rewritten != test.rewritten || done.To != int64(len(contents(t, log))) {
				t.Errorf("Update: %+v", done)
			}
			checkAnswers(t, x, log, testSpec, ids)
			if hits, err = x.Lookup(t.Context(), log, testSpec, "req_1", int64(len(contents(t, log)))); err != nil || len(hits.Scan) > 0 || hits.Rewritten {
				t.Errorf("after the update: %+v, error %v", hits.Rest, err)
			}
		})
	}
}

// nextTick waits until what is changed next has a later time than a file.
func nextTick(t testing.TB, after *os.File) {
	t.Helper()
	info, err := after.Stat()
	if err != nil {
		t.Fatal(err)
	}
	other := newLog(t)
	for {
		write(t, other, []byte("."))
		if now, err := other.Stat(); err != nil || changeTime(now).After(changeTime(info)) {
			return
		}
	}
}

// overwrite changes a log in place, and puts the time of its last write back.
func overwrite(t *testing.T, log *os.File, at int, text string) {
	t.Helper()
	was, err := log.Stat()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(log.Name(), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte(text), int64(at))
	if err := errors.Join(err, f.Close(), os.Chtimes(log.Name(), was.ModTime(), was.ModTime())); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, log *os.File) {
	t.Helper()
	if err := os.Rename(log.Name(), log.Name()+".1"); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, log *os.File, size int64) {
	t.Helper()
	if err := log.Truncate(size); err != nil {
		t.Fatal(err)
	}
}

func TestALogWrittenOverDuringALookupIsScanned(t *testing.T) {
	x := open(t, t.TempDir(), Options{})
	log := newLog(t)
	write(t, log, []byte(`{"req_id":"req_1"}`+"\n"))
	update(t, x, log, testSpec)
	l, err := x.of(log, &testSpec)
	if err != nil {
		t.Fatal(err)
	}
	rest, err := l.ask(t.Context(), log, 19, func(*segment) (bool, error) {
		truncate(t, log, 0)
		write(t, log, []byte(`{"req_id":"req_2"}`+"\n"))
		return false, nil
	})
	if err != nil || !rest.Rewritten || !slices.Equal(rest.Scan, []Range{{0, 19}}) {
		t.Errorf("got %+v, error %v", rest, err)
	}
}

func TestEverySpecHasItsOwnIndex(t *testing.T) {
	x := open(t, t.TempDir(), Options{})
	log := newLog(t)
	write(t, log, []byte(`{"req_id":"req_1","other":"req_2"}`+"\n"))
	update(t, x, log, testSpec)
	other := testSpec
	other.Keys = []string{"other"}
	checkAnswers(t, x, log, other, []string{"req_1", "req_2"})
	update(t, x, log, other)
	checkAnswers(t, x, log, other, []string{"req_1", "req_2"})
	checkAnswers(t, x, log, testSpec, []string{"req_1", "req_2"})
}

func TestSpecsThatCannotBeIndexedAreRefused(t *testing.T) {
	x := open(t, t.TempDir(), Options{})
	log := newLog(t)
	for name, spec := range map[string]Spec{
		"no key":           {MaxLine: 10},
		"no longest line":  {Keys: []string{"a"}},
		"a slash":          {Keys: []string{"a/b"}, MaxLine: 10},
		"no ASCII":         {Keys: []string{"a"}, Time: "zeit\u00fc", MaxLine: 10},
		"too many to tell": {Keys: []string{strings.Repeat("a.", 300)}, MaxLine: 10},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := x.Update(t.Context(), log, spec); err == nil {
				t.Error("Update took it")
			}
			if _, err := x.Lookup(t.Context(), log, spec, "x", 0); err == nil {
				t.Error("Lookup took it")
			}
			if _, err := x.Blocks(t.Context(), log, spec, 0, nil); err == nil {
				t.Error("Blocks took it")
			}
		})
	}
}

func TestManySmallUpdatesLeaveFewFiles(t *testing.T) {
	dir := t.TempDir()
	x := open(t, dir, Options{})
	log := newLog(t)
	for i := range 40 {
		write(t, log, fmt.Appendf(nil, `{"req_id":"req_%d","ms":%d}`+"\n", i, i))
		update(t, x, log, testSpec)
	}
	if files := segmentFiles(t, dir); len(files) > 6 {
		t.Errorf("%d files after 40 updates: %v", len(files), files)
	}
	checkAnswers(t, x, log, testSpec, []string{"req_0", "req_1", "req_39", "req_4"})
	summary, err := x.Blocks(t.Context(), log, testSpec, int64(len(contents(t, log))), func(*Block) bool { return true })
	if err != nil || len(summary.Blocks) > 6 {
		t.Errorf("%d blocks, error %v", len(summary.Blocks), err)
	}
}

func TestLittleThatWasAppendedIsLeftToBeScanned(t *testing.T) {
	x := open(t, t.TempDir(), Options{MinAppend: 1000})
	log := newLog(t)
	write(t, log, []byte(`{"req_id":"req_1"}`+"\n"))
	if done := update(t, x, log, testSpec); done.To != 0 {
		t.Errorf("indexed to %d", done.To)
	}
	write(t, log, bytes.Repeat([]byte("\n"), 1000))
	if done := update(t, x, log, testSpec); done.To != 1019 {
		t.Errorf("indexed to %d", done.To)
	}
}

func TestAnIDThatIsEverywhereIsScanned(t *testing.T) {
	x := open(t, t.TempDir(), Options{})
	log := newLog(t)
	line := []byte(`{"req_id":"req_1","pad":"` + strings.Repeat("x", 200) + `"}` + "\n")
	write(t, log, bytes.Repeat(line, (crowded+2)*granule/len(line)))
	update(t, x, log, testSpec)
	hits, err := x.Lookup(t.Context(), log, testSpec, "req_1", int64(len(contents(t, log))))
	if err != nil || len(hits.Lines) != 0 || len(hits.Scan) != 1 {
		t.Errorf("%d lines, to scan %v, error %v", len(hits.Lines), hits.Scan, err)
	}
}

func TestALineOverTheCapIsSkippedAndTheNextIsFound(t *testing.T) {
	x := open(t, t.TempDir(), Options{Buffer: 64})
	log := newLog(t)
	for _, n := range []int{testSpec.MaxLine - 24, testSpec.MaxLine - 23, 5000, 200 << 10} {
		write(t, log, []byte(`{"req_id":"req_1","a":"`+strings.Repeat("x", n-1)+`"}`+"\n"+`{"req_id":"req_2"}`+"\n"))
	}
	long := `{"req_id":"req_1","a":"` + strings.Repeat("x", 70000)
	write(t, log, []byte(long)) // has not ended
	if done := update(t, x, log, testSpec); done.To != int64(len(contents(t, log))-len(long)) {
		t.Errorf("indexed to %d", done.To)
	}
	checkAnswers(t, x, log, testSpec, []string{"req_1", "req_2"})
	write(t, log, []byte(`"}`+"\n"))
	update(t, x, log, testSpec)
	checkAnswers(t, x, log, testSpec, []string{"req_1", "req_2"})
}

func TestPruneDropsLogsThatAreGone(t *testing.T) {
	dir := t.TempDir()
	x := open(t, dir, Options{})
	kept, gone := newLog(t), newLog(t)
	for _, log := range []*os.File{kept, gone} {
		write(t, log, []byte(`{"req_id":"req_1"}`+"\n"))
		update(t, x, log, testSpec)
	}
	if err := os.Mkdir(filepath.Join(dir, "not-an-index"), 0o700); err != nil {
		t.Fatal(err)
	}
	info, err := kept.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := x.Prune([]Live{{info, testSpec}}); n != 1 || err != nil {
		t.Errorf("removed %d, error %v", n, err)
	}
	if files := segmentFiles(t, dir); len(files) != 1 {
		t.Errorf("left are %v", files)
	}
	if _, err := os.Stat(filepath.Join(dir, "not-an-index")); err != nil {
		t.Error(err)
	}
	for _, log := range []*os.File{kept, gone} {
		checkAnswers(t, x, log, testSpec, []string{"req_1"})
	}
}

func TestOnlyOneProcessUpdates(t *testing.T) {
	dir := t.TempDir()
	here, there := open(t, dir, Options{}), open(t, dir, Options{})
	log := newLog(t)
	write(t, log, []byte(`{"req_id":"req_1"}`+"\n"))
	err := here.exclusively(func() error {
		_, err := there.Update(t.Context(), log, testSpec)
		return err
	})
	if !errors.Is(err, ErrBusy) {
		t.Errorf("got %v", err)
	}
	// What one has written the other sees.
	checkAnswers(t, there, log, testSpec, []string{"req_1"})
	update(t, here, log, testSpec)
	hits, err := there.Lookup(t.Context(), log, testSpec, "req_1", 19)
	if err != nil || len(hits.Scan) > 0 || len(hits.Lines) != 1 {
		t.Errorf("got %+v, error %v", hits, err)
	}
}

func TestReadOnlyMakesAndChangesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "index")
	reader := open(t, dir, Options{ReadOnly: true})
	log := newLog(t)
	write(t, log, []byte(`{"req_id":"req_1"}`+"\n"))
	checkAnswers(t, reader, log, testSpec, []string{"req_1"})
	if _, err := reader.Update(t.Context(), log, testSpec); !errors.Is(err, errReadOnly) {
		t.Errorf("an update: got %v", err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its directory: got %v", err)
	}
	// What another process makes meanwhile is seen.
	update(t, open(t, dir, Options{}), log, testSpec)
	hits, err := reader.Lookup(t.Context(), log, testSpec, "req_1", 19)
	if err != nil || len(hits.Scan) > 0 || len(hits.Lines) != 1 {
		t.Errorf("got %+v, error %v", hits, err)
	}
}

func TestAnUpdateThatIsStoppedKeepsWhatItHas(t *testing.T) {
	x := open(t, t.TempDir(), Options{})
	log := newLog(t)
	write(t, log, []byte(`{"req_id":"req_1"}`+"\n"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.Update(ctx, log, testSpec); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	checkAnswers(t, x, log, testSpec, []string{"req_1"})
}

func TestLookupsDuringUpdates(t *testing.T) {
	x := open(t, t.TempDir(), Options{MaxSegment: 3000, MaxOpen: 3})
	log := newLog(t)
	ids := someIDs()
	g := generator{rand.New(rand.NewPCG(9, 9))}
	before := g.text(60, ids)
	write(t, log, before)
	want := naiveFind(before, &testSpec, "req_1")

	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				hits, err := x.Lookup(context.Background(), log, testSpec, "req_1", int64(len(before)))
				if err != nil {
					t.Error(err)
					return
				}
				for _, at := range want {
					if !slices.Contains(hits.Lines, at) && !slices.ContainsFunc(hits.Scan, func(r Range) bool { return r.From <= at && at < r.To }) {
						t.Errorf("the line at %d is missing", at)
					}
				}
			}
		})
	}
	for range 15 {
		update(t, x, log, testSpec)
		write(t, log, g.text(10, ids))
	}
	close(done)
	readers.Wait()
	checkAnswers(t, x, log, testSpec, ids)
}
