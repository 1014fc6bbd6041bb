// How long a lookup takes beside ripgrep and cat on the same files, in one run.
// docs/traces.md says how to repeat it and has the last figures.

package tracelog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"triagebot/triage/tracelog/index"
)

// benchRounds is how often each is measured, one after the other, so that what
// else the machine does hits all of them.
const benchRounds = 7

// benchRequest is about what the lines of one request take, in bytes; the logs
// are a day long.
const benchRequest = 1565

// benchBytes is the size of the logs together: TRIAGEBOT_TRACE_GB times 10⁹.
func benchBytes(b *testing.B) int64 {
	b.Helper()
	gigabytes := 1.0
	if text := os.Getenv("TRIAGEBOT_TRACE_GB"); text != "" {
		var err error
		if gigabytes, err = strconv.ParseFloat(text, 64); err != nil || gigabytes <= 0 {
			b.Fatalf("TRIAGEBOT_TRACE_GB=%q: write a size in GB, such as 5", text)
		}
	}
	return int64(gigabytes * 1e9)
}

// benchLogs are an app server's three logs of a day.
type benchLogs struct {
	paths    []string
	sources  []Source
	size     int64
	requests int
}

func benchID(i int) string { return fmt.Sprintf("req_%016x", uint64(i+1)*0x9e3779b97f4a7c15) }

// at is when a request was answered.
func (l *benchLogs) at(i int) time.Time {
	return pickAt.Add(time.Duration(i) * (24 * time.Hour / time.Duration(l.requests)))
}

// makeBenchLogs writes the logs: of each request one line in the access log,
// three in the proto log and one in the usage log. A few lines are torn, a few
// have a megabyte.
func makeBenchLogs(b *testing.B) *benchLogs {
	b.Helper()
	dir, size := b.TempDir(), benchBytes(b)
	l := &benchLogs{requests: int(size / benchRequest)}
	var files []*os.File
	var writers []*bufio.Writer
	for _, name := range []string{"access", "proto", "usage"} {
		f, err := os.Create(filepath.Join(dir, name+".ndjson"))
		if err != nil {
			b.Fatal(err)
		}
		files, writers = append(files, f), append(writers, bufio.NewWriterSize(f, 1<<20))
		l.paths = append(l.paths, f.Name())
		source := *testSource(name)
		source.Files = []string{f.Name()}
		l.sources = append(l.sources, source)
	}
	random := rand.New(rand.NewPCG(1, 1))
	long := bytes.Repeat([]byte("x"), 1<<20)
	var line []byte
	write := func(to int, format string, args ...any) {
		line = fmt.Appendf(line[:0], format, args...)
		switch random.IntN(500_000) {
		case 0:
			line = line[:len(line)/2] // torn: the next line begins in it
		case 1:
			line = slices.Concat(line[:len(line)-2], []byte(`,"body":"`), long, []byte("\"}\n"))
		}
		_, _ = writers[to].Write(line) // Flush gives the error
	}
	for i := range l.requests {
		id, worker := benchID(i), i%8
		took := 200 + random.ExpFloat64()*900
		end := l.at(i)
		stamp := func(before float64) string {
			return end.Add(-time.Duration(before * float64(time.Millisecond))).Format("2006-01-02T15:04:05.000Z")
		}
		status, rest := 200, ""
		switch random.IntN(100) {
		case 0:
			status, rest = 502, `,"error":"backend closed the stream"`
		case 1, 2, 3:
			rest = `,"tool_call":true`
		}
		const common = `"session":"sess_%08x","model":"gpt-5-codex","host":"app-%d.prod.example","pid":%d`
		session := random.Uint32()
		write(1, `{"ts":"%s","req_id":"%s","direction":"send","method":"turn/start","worker":"w%d",`+common+`,"bytes":%d,"queue_ms":%.2f,"conn":"10.32.7.%d:51622","attempt":1,"stream":true}`+"\n",
			stamp(took), id, worker, session, worker, 4000+worker, random.IntN(40000), random.Float64()*3, worker)
		for seq := range 2 {
			write(1, `{"ts":"%s","req_id":"%s","direction":"recv","method":"turn/chunk","seq":%d,"worker":"w%d",`+common+`,"bytes":%d,"tokens":%d,"conn":"10.32.7.%d:51622","attempt":1,"stream":true}`+"\n",
				stamp(took/2/float64(seq+1)), id, seq, worker, session, worker, 4000+worker, random.IntN(4000), random.IntN(90), worker)
		}
		write(2, `{"ts":"%s","req_id":"%s","worker":"w%d",`+common+`,"tokens_in":%d,"tokens_out":%d,"cached":%d,"latency_ms":%.3f,"account":"org-%06d","plan":"enterprise","billed":true}`+"\n",
			stamp(-2), id, worker, session, worker, 4000+worker, random.IntN(100000), random.IntN(3000), random.IntN(90000), took, random.IntN(1e6))
		write(0, `{"ts":"%s","level":"info","req_id":"%s","method":"POST","route":"/v1/chat/completions","status":%d,"latency_ms":%.3f,"worker":"w%d",`+common+`,"bytes_in":%d,"bytes_out":%d,"remote":"10.32.7.%d:51622","user_agent":"codex-cli/1.14.2 (linux; x86_64)","msg":"request done"%s}`+"\n",
			stamp(0), id, status, took, worker, session, worker, 4000+worker, random.IntN(9000), random.IntN(90000), worker, rest)
	}
	for i, w := range writers {
		if err := w.Flush(); err != nil {
			b.Fatal(err)
		}
		info, err := files[i].Stat()
		if err != nil {
			b.Fatal(err)
		}
		l.size += info.Size()
		if err := files[i].Close(); err != nil {
			b.Fatal(err)
		}
	}
	return l
}

// timings are those of one way to search, of several rounds. Processor time is
// kept as well: what others do on the machine makes it longer by less.
type timings struct{ wall, cpu []time.Duration }

func (t *timings) add(wall, cpu time.Duration) {
	t.wall, t.cpu = append(t.wall, wall), append(t.cpu, cpu)
}

// quantile is 0.5 for the median; 0 for the best.
func quantile(q float64, of []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(of))[int(q*float64(len(of)-1))]
}

// yardsticks are the other programs.
type yardsticks struct {
	b       *testing.B
	logs    *benchLogs
	ripgrep bool
	start   timings // of ripgrep as a process, which searching is not
}

func newYardsticks(b *testing.B, logs *benchLogs) *yardsticks {
	b.Helper()
	_, err := exec.LookPath("rg")
	y := &yardsticks{b: b, logs: logs, ripgrep: err == nil}
	if !y.ripgrep {
		b.Log("ripgrep (rg) is not installed: its columns are of grep -F, which is slower; install ripgrep for the ratios of docs/traces.md")
		return y
	}
	for range benchRounds {
		y.start.add(y.run(nil, "rg", "--no-config", "-F", "x", os.DevNull))
	}
	return y
}

func (y *yardsticks) run(stdout io.Writer, name string, args ...string) (wall, cpu time.Duration) {
	cmd := exec.Command(name, args...)
	cmd.Stdout = stdout
	began := time.Now()
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && (!errors.As(err, &exit) || exit.ExitCode() > 1) {
		y.b.Fatalf("%s: %v", name, err)
	}
	return time.Since(began), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

// grep searches all logs as a person does, and wants so many lines at least.
// The start of the process does not count.
func (y *yardsticks) grep(id string, lines int) (wall, cpu time.Duration) {
	y.b.Helper()
	var out bytes.Buffer
	name, args := "rg", []string{"--no-config", "-F", "--no-filename", "--", id}
	if !y.ripgrep {
		name, args = "grep", []string{"-aFh", "--", id}
	}
	wall, cpu = y.run(&out, name, slices.Concat(args, y.logs.paths)...)
	if n := bytes.Count(out.Bytes(), []byte("\n")); n < lines { // torn ones are no records
		y.b.Fatalf("%s found %d lines of %s, want %d", name, n, id, lines)
	}
	if y.ripgrep {
		wall, cpu = wall-quantile(0, y.start.wall), cpu-quantile(0, y.start.cpu)
	}
	return wall, cpu
}

func (y *yardsticks) cat() (wall, cpu time.Duration) { return y.run(nil, "cat", y.logs.paths...) }

// BenchmarkTrace looks requests up in a gigabyte of logs, or in what
// TRIAGEBOT_TRACE_GB says, in each way there is. Ratios are to ripgrep's time
// for the same id in the same round; x-rg of 2 is twice as fast.
func BenchmarkTrace(b *testing.B) {
	logs := makeBenchLogs(b)
	others := newYardsticks(b, logs)
	plain := NewFiles(FilesOptions{Sources: logs.sources})
	find := func(b *testing.B, h *Files, q Query, took *timings) (records int) {
		b.Helper()
		before, began := processorTime(b), time.Now()
		found, err := h.Find(b.Context(), q)
		took.add(time.Since(began), processorTime(b)-before)
		if err != nil || len(found.Records) < 3 {
			b.Fatalf("%s: %d records, %v, %+v", q.ID, len(found.Records), err, found.Coverage)
		}
		return len(found.Records)
	}
	some := rand.New(rand.NewPCG(2, 2))
	request := func() int { return some.IntN(logs.requests) }

	b.Run("scan", func(b *testing.B) {
		var ours, rg, cat timings
		for b.Loop() {
			for range benchRounds {
				id := benchID(request())
				records := find(b, plain, Query{ID: id}, &ours)
				rg.add(others.grep(id, records))
				cat.add(others.cat())
			}
		}
		compare(b, logs, ours, rg)
		b.ReportMetric(float64(logs.size)/float64(quantile(0, ours.wall)), "GB/s-best")
		b.ReportMetric(float64(quantile(0, cat.wall))/float64(quantile(0, ours.wall)), "x-cat-best")
		b.ReportMetric(quantile(0, rg.wall).Seconds()*1e3, "rg-ms-best")
	})
	b.Run("hinted", func(b *testing.B) {
		var ours, rg timings
		for b.Loop() {
			for range benchRounds {
				i := request()
				records := find(b, plain, Query{ID: benchID(i), At: logs.at(i).Add(time.Minute), Near: true}, &ours)
				rg.add(others.grep(benchID(i), records))
			}
		}
		compare(b, logs, ours, rg)
	})
	dir := b.TempDir()
	x, err := index.Open(dir, index.Options{ParseTime: ParseTime})
	if err != nil {
		b.Fatal(err)
	}
	defer x.Close() //nolint:errcheck // it is thrown away
	b.Run("index", func(b *testing.B) {
		buildIndex(b, x, logs)
		b.ReportMetric(100*float64(sizeOf(b, dir))/float64(logs.size), "%size")
	})
	indexed := NewFiles(FilesOptions{Sources: logs.sources, Index: x})
	b.Run("indexed", func(b *testing.B) {
		const lookups = 2000
		var ours, rg timings
		for b.Loop() {
			for range benchRounds {
				id := benchID(request())
				rg.add(others.grep(id, find(b, indexed, Query{ID: id}, &timings{})))
			}
			for range lookups {
				find(b, indexed, Query{ID: benchID(request())}, &ours)
			}
		}
		compare(b, logs, ours, rg)
		b.ReportMetric(quantile(0.99, ours.wall).Seconds()*1e6, "us-p99")
		b.ReportMetric(quantile(0.99, ours.cpu).Seconds()*1e6, "us-cpu-p99")
	})
	b.Run("memory", func(b *testing.B) {
		debug.FreeOSMemory() // what making the logs took
		if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
			b.Fatalf("Linux alone tells the most memory that was resident: %v", err)
		}
		before := residentMB(b, "VmRSS")
		for b.Loop() {
			for range benchRounds {
				i := request()
				find(b, plain, Query{ID: benchID(i)}, &timings{})
				find(b, plain, Query{ID: benchID(i), At: logs.at(i)}, &timings{})
				find(b, indexed, Query{ID: benchID(i)}, &timings{})
			}
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(before, "MB-before")
		b.ReportMetric(residentMB(b, "VmHWM"), "MB-most")
	})
}

// compare reports how long ours took, and how many times ripgrep's time that is
// less.
func compare(b *testing.B, logs *benchLogs, ours, rg timings) {
	b.Helper()
	b.ReportMetric(0, "ns/op") // of all rounds: it says nothing
	b.ReportMetric(float64(logs.size)/1e9, "GB")
	b.ReportMetric(quantile(0, ours.wall).Seconds()*1e3, "ms-best")
	b.ReportMetric(quantile(0.5, ours.wall).Seconds()*1e3, "ms-median")
	ratio := func(q float64, rg, ours []time.Duration) float64 {
		return float64(quantile(q, rg)) / float64(quantile(q, ours))
	}
	b.ReportMetric(ratio(0, rg.wall, ours.wall), "x-rg-best")
	b.ReportMetric(ratio(0.5, rg.wall, ours.wall), "x-rg-median")
	b.ReportMetric(ratio(0.5, rg.cpu, ours.cpu), "x-rg-cpu-median")
}

func buildIndex(b *testing.B, x *index.Index, logs *benchLogs) {
	b.Helper()
	var spent time.Duration
	for b.Loop() {
		before := processorTime(b)
		for i := range logs.sources {
			indexNow(b, x, &logs.sources[i], logs.paths[i])
		}
		if spent == 0 { // later ones find it up to date
			spent = processorTime(b) - before
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(spent.Seconds()/float64(logs.size)*1e9, "cpu-s/GB")
}

// sizeOf is what the files in a folder take, in bytes.
func sizeOf(b *testing.B, dir string) (size int64) {
	b.Helper()
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return size
}

// processorTime is that of this process, all of its threads.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// residentMB is one of the kernel's figures about this process.
func residentMB(b *testing.B, field string) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte(field+":"))
	var kib int64
	if _, err := fmt.Sscanf(string(rest), "%d kB", &kib); err != nil {
		b.Fatalf("%s in /proc/self/status: %v", field, err)
	}
	return float64(kib<<10) / 1e6
}
