package index

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Shapes of lines: about 420 bytes with two ids, as proxies write them, and the
// shortest that access logs have, about 150 with one.
var benchLines = map[string]string{
	"line=420": `{"ts":"%s","level":"info","req_id":"req_%016x","trace_id":"%032x","method":"POST","route":"/v1/chat/completions","status":%d,"latency_ms":%.3f,"bytes_in":1843,"bytes_out":20944,"worker":"w3","remote":"10.32.7.118:51622","user_agent":"codex-cli/1.14.2 (linux; x86_64)","model":"gpt-5-codex","stream":true,"queue_ms":1.9,"upstream":"http://10.32.9.4:8080","attempt":1,"tool_call":false,"err":null,"msg":"request done"}` + "\n",
	"line=150": `{"ts":"%s","req_id":"req_%08x","x":"%.0x","method":"POST","route":"/v1/chat/completions","status":%d,"latency_ms":%.1f,"worker":"w1"}` + "\n",
}

var benchSpec = Spec{
	Keys: []string{"req_id", "trace_id"}, MaxLine: 16 << 20,
	Time: "ts", Duration: "latency_ms", Status: "status", Error: "err", ToolCall: "tool_call",
}

func benchID(i int) uint64 { return uint64(i) * 0x9e3779b97f4a7c15 >> 32 }

// benchLog makes a log of a size in bytes and says how many lines it has.
func benchLog(b *testing.B, shape string, size int64) (log *os.File, lines int) {
	b.Helper()
	log, err := os.Create(filepath.Join(b.TempDir(), "access.ndjson"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = log.Close() })
	w := bufio.NewWriterSize(log, 1<<20)
	random := rand.New(rand.NewPCG(1, 1))
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	for written := int64(0); written < size; lines++ {
		at = at.Add(time.Duration(random.IntN(2)) * time.Millisecond)
		status := 200
		if random.IntN(1000) == 0 {
			status = 503
		}
		n, err := fmt.Fprintf(w, benchLines[shape], at.Format("2006-01-02T15:04:05.000Z"), benchID(lines), benchID(lines), status, random.ExpFloat64()*300)
		if err != nil {
			b.Fatal(err)
		}
		written += int64(n)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	return log, lines
}

func size(b *testing.B, f *os.File) int64 {
	info, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}

// cpu is the processor time of this process.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func indexSize(b *testing.B, dir string) (n int64) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"+segmentSuffix))
	if err != nil {
		b.Fatal(err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			b.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

const benchSize = 256 << 20

func BenchmarkBuild(b *testing.B) {
	for shape := range benchLines {
		b.Run(shape, func(b *testing.B) {
			log, _ := benchLog(b, shape, benchSize)
			b.SetBytes(size(b, log))
			var spent time.Duration
			var indexed, bytes int64
			for b.Loop() {
				dir := b.TempDir()
				x := open(b, dir, Options{})
				before := cpu(b)
				update(b, x, log, benchSpec)
				spent += cpu(b) - before
				indexed += indexSize(b, dir)
				bytes += size(b, log)
			}
			b.ReportMetric(spent.Seconds()/float64(bytes)*1e9, "cpu-s/GB")
			b.ReportMetric(float64(indexed)/float64(bytes)*100, "%size")
		})
	}
}

func BenchmarkLookup(b *testing.B) {
	log, lines := benchLog(b, "line=420", benchSize)
	x := open(b, b.TempDir(), Options{})
	update(b, x, log, benchSpec)
	end := size(b, log)
	ctx := context.Background()
	lookup := func(b *testing.B, id string, want int) {
		hits, err := x.Lookup(ctx, log, benchSpec, id, end)
		if err != nil || len(hits.Lines) < want {
			b.Fatal(hits, err)
		}
	}
	b.Run("hit", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			lookup(b, fmt.Sprintf("req_%016x", benchID(i*7919%lines)), 1)
		}
	})
	b.Run("miss", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			lookup(b, fmt.Sprintf("req_absent_%d", i), 0)
		}
	})
	b.Run("blocks", func(b *testing.B) {
		for b.Loop() {
			if _, err := x.Blocks(ctx, log, benchSpec, end, func(bl *Block) bool { return bl.Failing }); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkScan(b *testing.B) {
	for shape := range benchLines {
		b.Run(shape, func(b *testing.B) {
			log, _ := benchLog(b, shape, bufferLen)
			text := contents(b, log)
			e, err := newExtractor(&benchSpec, func(s string) (time.Time, error) { return time.Parse(time.RFC3339, s) })
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(text)))
			before := cpu(b)
			for b.Loop() {
				e.scan(text, func(int, int, *line) bool { return true })
			}
			b.ReportMetric((cpu(b)-before).Seconds()/float64(len(text))/float64(b.N)*1e9, "cpu-s/GB")
		})
	}
}
