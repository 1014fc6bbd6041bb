package tracelog

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"triagebot/triage/tracelog/index"
)

// access is a source with what the tests need of one.
func access(pattern string) Source {
	return Source{
		Name: "access", Files: []string{pattern}, Keys: []string{"req_id", "span.trace.id"}, Links: []string{"retry_of"},
		Roles: Roles{Time: "ts", Duration: "latency_ms", Status: "status", Retry: "retry_of"}, MaxLine: 2000,
	}
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func find(t testing.TB, h *Files, q Query) *Found {
	t.Helper()
	found, err := h.Find(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func offsetsIn(found *Found, path string) []int64 {
	var offsets []int64
	for _, r := range found.Records {
		if r.File == path {
			offsets = append(offsets, r.Offset)
		}
	}
	slices.Sort(offsets)
	return offsets
}

func openIndex(t testing.TB, opts index.Options) *index.Index {
	t.Helper()
	opts.ParseTime = ParseTime
	x, err := index.Open(t.TempDir(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

func indexNow(t testing.TB, x *index.Index, source *Source, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := x.Update(t.Context(), f, source.spec()); err != nil {
		t.Fatal(err)
	}
}

// TestIndexIsScanIsNaive is the promise of the package: whichever way a lookup
// takes, it finds the lines that parsing every line finds.
func TestIndexIsScanIsNaive(t *testing.T) {
	for seed := range uint64(25) {
		n := newNasty(seed)
		log := n.log(1 + n.IntN(200))
		path := filepath.Join(t.TempDir(), "access.ndjson")
		source := access(path)
		scan := NewFiles(FilesOptions{Name: "logs", Sources: []Source{source}})
		x := openIndex(t, index.Options{MaxSegment: 4096, Buffer: 512})
		indexed := NewFiles(FilesOptions{Name: "logs", Sources: []Source{source}, Index: x})

		write(t, path, log[:len(log)/2])
		indexNow(t, x, &source, path)
		write(t, path, log) // the second half is not indexed yet
		unread := naiveTooLong(&source, log)
		compare := func(state string) {
			for _, id := range nastyIDs {
				want := naiveFind(&source, log, id)
				for way, h := range map[string]*Files{"scan": scan, "index": indexed} {
					for hint, at := range map[string]time.Time{"no hint": {}, "a hint": n.at.Add(-time.Minute)} {
						found := find(t, h, Query{ID: id, At: at, Slack: 10 * time.Second})
						if got := offsetsIn(found, path); !slices.Equal(got, want) {
							t.Fatalf("seed %d, id %q, %s, %s, %s:\ngot  %v\nwant %v", seed, id, way, hint, state, got, want)
						}
						if found.Coverage.Complete == unread {
							t.Fatalf("seed %d, %s, %s: lines too long to be read: %t, %+v", seed, way, state, unread, found.Coverage)
						}
					}
				}
			}
		}
		compare("half indexed")
		indexNow(t, x, &source, path)
		compare("indexed")
	}
}

func TestStretchesShareNoLineAndMissNone(t *testing.T) {
	n := newNasty(99)
	log := n.log(120)
	path := filepath.Join(t.TempDir(), "access.ndjson")
	write(t, path, log)
	source := access(path)
	f, err := openFile(&source, path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int64{3, 100, 4096, 1 << 20} {
		for _, id := range nastyIDs {
			s := newScanner(id, func(int64) {})
			var got []int64
			tooLong := 0
			for lo := int64(0); lo < f.size; lo += size {
				out, err := s.scan(t.Context(), f, lo, min(f.size, lo+size))
				if err != nil {
					t.Fatal(err)
				}
				tooLong += out.tooLong
				for _, r := range out.records {
					got = append(got, r.Offset)
				}
			}
			if want := naiveFind(&source, log, id); !slices.Equal(got, want) {
				t.Fatalf("stretches of %d bytes, id %q:\ngot  %v\nwant %v", size, id, got, want)
			}
			long := 0
			for line := range bytes.SplitSeq(log, []byte("\n")) {
				if len(line) > source.Cap() {
					long++
				}
			}
			if tooLong != long || long == 0 {
				t.Fatalf("stretches of %d bytes: %d lines are too long, want %d", size, tooLong, long)
			}
		}
	}
}

func TestCompressedLogsAreSearched(t *testing.T) {
	n := newNasty(5)
	log := n.log(500)
	half := bytes.LastIndexByte(log[:len(log)/2], '\n') + 1
	dir := t.TempDir()
	var gz bytes.Buffer
	for _, member := range [][]byte{log[:half], log[half:]} { // as `cat a.gz b.gz` leaves it
		w := gzip.NewWriter(&gz)
		if _, err := w.Write(member); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "a.ndjson.1.gz"), gz.Bytes())
	write(t, filepath.Join(dir, "a.ndjson.2.zst"), encoder.EncodeAll(log, nil))
	write(t, filepath.Join(dir, "a.ndjson.3"), gz.Bytes()) // the ending does not say it
	for _, kind := range []byte{0x50, 0x5f} {              // frames to be skipped before, between and after
		skippable := []byte{kind, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 'a', '\n', 'b', '\n'}
		half := len(log) / 2
		write(t, filepath.Join(dir, fmt.Sprintf("a.ndjson.%x", kind)), slices.Concat(
			skippable, encoder.EncodeAll(log[:half], nil), skippable, encoder.EncodeAll(log[half:], nil), skippable))
	}
	source := access(filepath.Join(dir, "a.ndjson*"))
	h := NewFiles(FilesOptions{Sources: []Source{source}})
	for _, id := range nastyIDs {
		found := find(t, h, Query{ID: id})
		for _, part := range found.Coverage.Parts {
			if got, want := offsetsIn(found, part.Name), naiveFind(&source, log, id); !slices.Equal(got, want) {
				t.Errorf("%s, id %q:\ngot  %v\nwant %v", part.Name, id, got, want)
			}
		}
		if len(found.Coverage.Parts) != 5 || found.Coverage.Complete == naiveTooLong(&source, log) {
			t.Errorf("coverage: %+v", found.Coverage)
		}
	}
}

func TestWhatCannotBeSearchedIsSaidAndTheRestAnswered(t *testing.T) {
	const line = `{"ts":"2026-01-02T03:04:05Z","req_id":"req_1"}` + "\n"
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	// Random bytes do not compress: the cut takes contents away.
	random := fmt.Appendf(nil, "%s%x\n", line, newNasty(1).Perm(1<<15))
	packed := encoder.EncodeAll(random, nil)
	var wide bytes.Buffer // as zstd --long=24 makes it
	w, err := zstd.NewWriter(&wide, zstd.WithWindowSize(2*maxZstdWindow))
	must(t, err)
	_, err = w.Write(random)
	must(t, errors.Join(err, w.Flush(), w.Close()))
	cases := map[string]struct {
		make     func(t *testing.T, path string)
		note     string
		complete bool
	}{
		"a folder":         {func(t *testing.T, path string) { mkdir(t, path) }, "folder", false},
		"an empty file":    {func(t *testing.T, path string) { write(t, path, nil) }, "", true},
		"a cut zstd":       {func(t *testing.T, path string) { write(t, path, packed[:len(packed)/2]) }, "decompressed", false},
		"a wide zstd":      {func(t *testing.T, path string) { write(t, path, wide.Bytes()) }, errWideWindow.Error(), false},
		"a broken gzip":    {func(t *testing.T, path string) { write(t, path, []byte("\x1f\x8bnonsense")) }, "decompressed", false},
		"xz":               {func(t *testing.T, path string) { write(t, path, []byte("\xfd7zXZ\x00\x00\x04")) }, "compressed with xz, which is not read", false},
		"bzip2":            {func(t *testing.T, path string) { write(t, path, []byte("BZh91AY&SY")) }, "compressed with bzip2, which is not read", false},
		"lz4":              {func(t *testing.T, path string) { write(t, path, []byte("\x04\x22\x4d\x18\x64")) }, "compressed with lz4, which is not read", false},
		"almost bzip2":     {func(t *testing.T, path string) { write(t, path, []byte("BZh")) }, "", true},
		"a dangling link":  {func(t *testing.T, path string) { symlink(t, "nowhere", path) }, "vanished", false},
		"one endless line": {func(t *testing.T, path string) { write(t, path, bytes.Repeat([]byte("req_1 "), 1<<20)) }, UnreadLines, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "good"), []byte(line))
			c.make(t, filepath.Join(dir, "bad"))
			found := find(t, NewFiles(FilesOptions{Sources: []Source{access(filepath.Join(dir, "*"))}}), Query{ID: "req_1"})
			if len(offsetsIn(found, filepath.Join(dir, "good"))) != 1 {
				t.Errorf("the good file's line is missing: %+v", found)
			}
			i := slices.IndexFunc(found.Coverage.Parts, func(p Part) bool { return filepath.Base(p.Name) == "bad" })
			if i < 0 {
				t.Fatalf("the bad file is not in the coverage: %+v", found.Coverage)
			}
			part := found.Coverage.Parts[i]
			if !strings.Contains(part.Note, c.note) || part.Complete != c.complete || found.Coverage.Complete != c.complete {
				t.Errorf("coverage says %+v", part)
			}
			if name == "one endless line" && part.TooLong != 1 {
				t.Errorf("the overlong line is not counted: %+v", part)
			}
		})
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func TestNothingMatchesThePattern(t *testing.T) {
	dir := t.TempDir()
	found := find(t, NewFiles(FilesOptions{Sources: []Source{access(dir + "/a.ndjson.*"), access(dir + "/b.ndjson")}}), Query{ID: "x"})
	parts := found.Coverage.Parts
	if len(parts) != 2 || !parts[0].Complete || parts[1].Complete || found.Coverage.Complete || parts[1].Note != "it does not exist" {
		t.Errorf("got %+v", found.Coverage)
	}
}

func TestALogThatChangesDuringALookup(t *testing.T) {
	lines := func(id string, n int) []byte {
		return bytes.Repeat([]byte(`{"ts":"2026-01-02T03:04:05Z","req_id":"`+id+`"}`+"\n"), n)
	}
	many := len(lines("other", 1))
	for name, change := range map[string]func(t *testing.T, path string){
		"truncated":    func(t *testing.T, path string) { must(t, os.Truncate(path, 10)) },
		"renamed":      func(t *testing.T, path string) { must(t, os.Rename(path, path+".1")) },
		"removed":      func(t *testing.T, path string) { must(t, os.Remove(path)) },
		"grown":        func(t *testing.T, path string) { appendTo(t, path, lines("req_1", 3)) },
		"copytruncate": func(t *testing.T, path string) { must(t, os.Truncate(path, 0)); appendTo(t, path, lines("new", 5)) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a")
			write(t, path, slices.Concat(lines("req_1", 1), lines("other", stretchSize/many+1), lines("req_1", 1)))
			changed := false
			found := find(t, NewFiles(FilesOptions{Sources: []Source{access(path)}, Workers: 1}), Query{ID: "req_1", Progress: func(int64, int64) {
				if !changed {
					changed = true
					change(t, path)
				}
			}})
			part := found.Coverage.Parts[0]
			shortened := name == "truncated" || name == "copytruncate"
			if shortened {
				if part.Complete || !strings.Contains(part.Note, "shorter") {
					t.Errorf("coverage says %+v", part)
				}
				return
			}
			if len(found.Records) != 2 || !part.Complete {
				t.Errorf("%d records, coverage %+v", len(found.Records), part)
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func appendTo(t *testing.T, path string, data []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.Write(data)
	must(t, err)
	must(t, f.Close())
}

func TestALookupEndsWithItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	write(t, path, bytes.Repeat([]byte("{}\n"), 3<<20))
	ctx, cancel := context.WithCancel(t.Context())
	found, err := NewFiles(FilesOptions{Sources: []Source{access(path)}}).Find(ctx, Query{ID: "x", Progress: func(int64, int64) { cancel() }})
	if err == nil || found.Coverage.Complete {
		t.Errorf("got %+v, %v", found, err)
	}
}

func TestAnIDThatIsEverywhereIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	write(t, path, bytes.Repeat([]byte(`{"req_id":"0"}`+"\n"), 2*maxRecords))
	found := find(t, NewFiles(FilesOptions{Sources: []Source{access(path)}}), Query{ID: "0"})
	if len(found.Records) != maxRecords || found.Coverage.Complete || !strings.Contains(found.Coverage.Parts[0].Note, "10000 records") {
		t.Errorf("%d records, %+v", len(found.Records), found.Coverage)
	}
}

func TestTimesInIDs(t *testing.T) {
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	for id, want := range map[string]string{
		"req_0193a1c2-7f00-7abc-8def-0123456789ab": "2024-12-07T15:34:58.56Z",
		"01JDXA3V0000000000000000ZZ":               "2024-11-30T01:14:12.352Z",
		"req_01jdxa3v0000000000000000zz":           "2024-11-30T01:14:12.352Z",
		"0193a1c2-7f00-4abc-8def-0123456789ab":     "", // version 4
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ":               "",
		"7ZZZZZZZZZ0000000000000000":               "", // in the year 10889
		"":                                         "",
	} {
		got := ""
		if at, ok := timeOf(id, now); ok {
			got = at.Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("timeOf(%q) is %q, want %q", id, got, want)
		}
	}
}

// FuzzFind holds scan and index to what parsing every line gives, for any bytes.
func FuzzFind(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(newNasty(seed).log(12), uint8(seed), uint16(100*seed))
	}
	f.Fuzz(func(t *testing.T, log []byte, which uint8, indexed uint16) {
		if packed, err := packingOf(bytes.NewReader(log)); packed != unpacked || err != nil {
			return // such bytes are no log of lines
		}
		id := nastyIDs[int(which)%len(nastyIDs)]
		path := filepath.Join(t.TempDir(), "access.ndjson")
		source := access(path)
		x := openIndex(t, index.Options{MaxSegment: 1024, Buffer: 256})
		write(t, path, log[:min(len(log), int(indexed))])
		indexNow(t, x, &source, path)
		write(t, path, log)
		want := naiveFind(&source, log, id)
		for way, x := range map[string]*index.Index{"scan": nil, "index": x} {
			found := find(t, NewFiles(FilesOptions{Sources: []Source{source}, Index: x}), Query{ID: id})
			if got := offsetsIn(found, path); !slices.Equal(got, want) {
				t.Fatalf("%s of %q: got %v, want %v", way, id, got, want)
			}
		}
	})
}
