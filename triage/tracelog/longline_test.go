package tracelog

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"triagebot/triage/tracelog/index"
)

// A line of 200 MB, as a program gone wrong writes one, is left out and said
// to be: it may be the one that is looked for, so the answer is not complete.
// What stands before and after it is answered, in bounded memory.
func TestALineOf200MegabytesCostsOnlyItself(t *testing.T) {
	const (
		long = 200 << 20
		// A line up to the cap is held, its buffer doubles to get there, and two
		// workers may meet it: far from all of the line, but no fixed sum.
		mostMemory = long * 3 / 4
		mostPacked = long * 7 / 20 // one worker
	)
	line := func(at time.Time, took int) string {
		return fmt.Sprintf(`{"ts":%q,"req_id":"req_1","status":200,"latency_ms":%d}`+"\n", at.Format(time.RFC3339), took)
	}
	before := line(pickAt.Add(-time.Minute), 10)
	opens := fmt.Sprintf(`{"ts":%q,"req_id":"req_1","status":503,"latency_ms":9999,"pad":"`, pickAt.Add(-30*time.Second).Format(time.RFC3339))
	after := `","req_id":"req_1"}` + "\n" + line(pickAt, 20)

	dir := t.TempDir()
	plain := filepath.Join(dir, "access.ndjson")
	write(t, plain, []byte(before+opens))
	hole, err := os.OpenFile(plain, os.O_WRONLY, 0)
	must(t, err)
	_, err = hole.WriteAt([]byte(after), int64(len(before+opens)+long)) // the file system keeps no zeros
	must(t, err)
	must(t, hole.Close())

	packed := filepath.Join(dir, "access.ndjson.zst")
	f, err := os.Create(packed)
	must(t, err)
	w, err := zstd.NewWriter(f, zstd.WithEncoderConcurrency(1))
	must(t, err)
	_, err = io.Copy(w, io.MultiReader(strings.NewReader(before+opens), io.LimitReader(zeros{}, long), strings.NewReader(after)))
	must(t, err)
	must(t, w.Close())
	must(t, f.Close())

	source := func(path string) []Source {
		s := accessSource()
		s.Files = []string{path}
		return []Source{*s}
	}
	x := openIndex(t, index.Options{})
	bounded := func(t *testing.T, most uint64, do func()) {
		t.Helper()
		var was, is runtime.MemStats
		runtime.ReadMemStats(&was)
		do()
		runtime.ReadMemStats(&is)
		if took := is.TotalAlloc - was.TotalAlloc; took > most {
			t.Errorf("it took %d MB of memory in all", took>>20)
		}
	}
	t.Run("indexing", func(t *testing.T) { bounded(t, mostMemory, func() { indexNow(t, x, &source(plain)[0], plain) }) })
	for name, h := range map[string]*Files{
		"scan":       NewFiles(FilesOptions{Sources: source(plain), Workers: 2}),
		"index":      NewFiles(FilesOptions{Sources: source(plain), Workers: 2, Index: x}),
		"compressed": NewFiles(FilesOptions{Sources: source(packed), Workers: 2}),
	} {
		t.Run(name, func(t *testing.T) {
			most := uint64(mostMemory)
			if name == "compressed" {
				most = mostPacked
			}
			bounded(t, most, func() {
				found, err := h.Find(t.Context(), Query{ID: "req_1", At: pickAt, Slack: 10 * time.Second})
				must(t, err)
				part := found.Coverage.Parts[0]
				if len(found.Records) != 2 || part.TooLong != 1 || part.Complete || found.Coverage.Complete || part.Note != UnreadLines || part.Torn != 0 {
					t.Errorf("%d records, %+v", len(found.Records), part)
				}
			})
			for _, by := range []PickBy{PickSlowest, PickFailing} {
				bounded(t, most, func() {
					picked, err := h.Pick(t.Context(), Pick{By: by, At: pickAt, N: 1})
					must(t, err)
					part := picked.Coverage.Parts[0]
					if part.TooLong != 1 || part.Complete || picked.Coverage.Complete || part.Note != UnreadLines || by == PickFailing && len(picked.Candidates) > 0 ||
						by == PickSlowest && (len(picked.Candidates) != 1 || picked.Candidates[0].Duration != 20*time.Millisecond) {
						t.Errorf("%s: %+v, %+v", by, picked.Candidates, part)
					}
				})
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
