package tracelog

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"triagebot/triage/tracelog/index"
)

const benchLogSize = 512 << 20

// writeBenchLog writes an access log of half a gigabyte as the app server does:
// one line in a hundred failing, one in ten a tool call.
func writeBenchLog(b *testing.B) *os.File {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "access.ndjson"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	w := bufio.NewWriterSize(f, 1<<20)
	r := rand.New(rand.NewPCG(1, 1))
	at := pickAt.Add(-8 * time.Hour)
	var line []byte
	for size := 0; size < benchLogSize; size += len(line) {
		at = at.Add(time.Duration(r.IntN(16)) * time.Millisecond)
		status, rest := 200, ""
		switch n := r.IntN(100); {
		case n == 0:
			status, rest = 502, `,"error":"backend"`
		case n <= 10:
			rest = `,"tool_call":true`
		}
		line = append(line[:0], `{"ts":"`...)
		line = at.AppendFormat(line, "2006-01-02T15:04:05.000Z")
		line = fmt.Appendf(line, `","req_id":"req_%016x","method":"POST","route":"/v1/chat/completions","status":%d,"latency_ms":%.3f,"worker":"w%d"%s}`+"\n",
			r.Uint64(), status, 200+r.ExpFloat64()*900, r.IntN(4), rest)
		w.Write(line)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	return f
}

// BenchmarkPick picks from a log, beside searching the same file with ripgrep
// for an id that is not in it, and beside only reading it with as many
// goroutines, all in the same rounds. x-rg of 2 is twice as fast as ripgrep.
func BenchmarkPick(b *testing.B) {
	f := writeBenchLog(b)
	info, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	size := info.Size()
	others := newYardsticks(b, &benchLogs{paths: []string{f.Name()}, size: size})
	beside := func(b *testing.B, pick func()) {
		b.Helper()
		var ours, rg, read timings
		for b.Loop() {
			for range benchRounds {
				for timed, do := range map[*timings]func(){&ours: pick, &read: func() { readAll(b, f, size) }} {
					before, began := processorTime(b), time.Now()
					do()
					timed.add(time.Since(began), processorTime(b)-before)
				}
				rg.add(others.grep("req_of_none", 0))
			}
		}
		compare(b, others.logs, ours, rg)
		b.ReportMetric(float64(size)/float64(quantile(0.5, ours.wall)), "GB/s-median")
		b.ReportMetric(float64(quantile(0.5, read.wall))/float64(quantile(0.5, ours.wall)), "x-read-median")
	}
	b.Run("slowest_of_the_window_of_an_hour", func(b *testing.B) {
		p := Pick{By: PickSlowest, N: 5, At: pickAt.Add(-7 * time.Hour), Within: time.Hour}
		beside(b, func() {
			source := accessSource()
			lo, hi, ok := windowOf(f, size, p.At.Add(-p.Within), p.At, source)
			in := pickInput{Source: source, File: f.Name(), At: f, Size: size, Ranges: []pickRange{{Off: lo, Len: hi - lo}}}
			if tally, err := newPicker(p).file(b.Context(), in); err != nil || !ok || tally.Bytes != hi-lo {
				b.Fatal(tally, err, ok)
			}
		})
	})
	source := *accessSource()
	source.Files = []string{f.Name()}
	x := openIndex(b, index.Options{})
	indexNow(b, x, &source, f.Name())
	hour := Pick{N: 5, At: pickAt.Add(-5 * time.Hour), Within: time.Hour}
	for _, by := range []PickBy{PickSlowest, PickFailing} {
		b.Run(string(by)+"_of_the_window_of_an_hour_by_index", func(b *testing.B) {
			h := NewFiles(FilesOptions{Sources: []Source{source}, Index: x})
			hour.By = by
			beside(b, func() {
				picked, err := h.Pick(b.Context(), hour)
				if err != nil || len(picked.Candidates) != hour.N || picked.Coverage.Parts[0].How != HowIndex {
					b.Fatal(picked, err)
				}
			})
		})
	}
	for _, bench := range []struct {
		name string
		pick Pick
	}{
		{"slowest", Pick{By: PickSlowest, N: 5}},
		{"slowest_100", Pick{By: PickSlowest, N: 100}},
		{"slowest_of_route", Pick{By: PickSlowest, N: 5, Route: "/v1/chat/completions"}},
		{"slowest_of_rare_route", Pick{By: PickSlowest, N: 5, Route: "/v1/none"}},
		{"slowest_of_an_hour", Pick{By: PickSlowest, N: 5, Within: time.Hour}},
		{"failing", Pick{By: PickFailing, N: 5}},
		{"tool_call", Pick{By: PickToolCall, N: 5}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			bench.pick.At = pickAt
			beside(b, func() {
				p := newPicker(bench.pick)
				if _, err := p.file(b.Context(), pickInput{Source: accessSource(), File: f.Name(), At: f, Size: size}); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// readAll reads a file as `cat FILE >/dev/null` does, with all processors.
func readAll(b *testing.B, r io.ReaderAt, size int64) {
	b.Helper()
	var next atomic.Int64
	var readers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		readers.Go(func() {
			buf := make([]byte, pieceSize)
			for off := next.Add(pieceSize) - pieceSize; off < size; off = next.Add(pieceSize) - pieceSize {
				if _, err := r.ReadAt(buf, off); err != nil && !errors.Is(err, io.EOF) {
					b.Error(err)
				}
			}
		})
	}
	readers.Wait()
}
