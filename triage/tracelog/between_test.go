package tracelog

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// tenOClock is when the logs of these tests begin.
var tenOClock = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

// engineLines are one line a second from ten on.
func engineLines(from, n int) []byte {
	var b bytes.Buffer
	for i := from; i < from+n; i++ {
		fmt.Fprintf(&b, `{"ts":%q,"n":%d,"pad":%q}`+"\n", tenOClock.Add(time.Duration(i)*time.Second).Format(time.RFC3339), i, strings.Repeat("x", 60))
	}
	return b.Bytes()
}

// between reads a window, in seconds after ten, and gives each line as file and
// its field n, or its text.
func between(t *testing.T, s Source, from, to int) ([]string, *Lines) {
	t.Helper()
	var all []string
	h := NewFiles(FilesOptions{Name: "logs", Sources: []Source{s}})
	lines, err := h.Between(t.Context(), LineQuery{
		Source: s.Name, From: tenOClock.Add(time.Duration(from) * time.Second), To: tenOClock.Add(time.Duration(to) * time.Second),
	}, func(r *Record) bool {
		said := r.role("n")
		if said == "" {
			said = r.Time.Format("15:04:05 ") + string(r.Raw)
		}
		all = append(all, filepath.Base(r.File)+" "+said)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, lines
}

func TestTheLinesOfAWindowComeFromAllRotatedFilesOldestFirst(t *testing.T) {
	dir := t.TempDir()
	engine := Source{Name: "engine", Files: []string{filepath.Join(dir, "engine*")}, Roles: Roles{Time: "ts"}}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write(engineLines(0, 2000))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]struct {
		data  []byte
		until int
	}{
		"engine.2.gz": {packed.Bytes(), 2000},
		"engine.1":    {engineLines(2000, 2000), 4000},
		"engine":      {engineLines(4000, 2000), 6000},
	} {
		path := filepath.Join(dir, name)
		write(t, path, file.data)
		changed := tenOClock.Add(time.Duration(file.until) * time.Second)
		if err := os.Chtimes(path, changed, changed); err != nil {
			t.Fatal(err)
		}
	}

	got, lines := between(t, engine, 1998, 2001)
	want := []string{"engine.2.gz 1998", "engine.2.gz 1999", "engine.1 2000", "engine.1 2001"}
	if diff := cmp.Diff(want, got); diff != "" || !lines.Coverage.Complete || !lines.Older {
		t.Error(diff, lines)
	}

	t.Run("and little else is read", func(t *testing.T) {
		got, lines := between(t, engine, 5700, 5701) // more than an hour after the first was written
		if diff := cmp.Diff([]string{"engine 5700", "engine 5701"}, got); diff != "" {
			t.Error(diff)
		}
		read := int64(0)
		for _, p := range lines.Coverage.Parts {
			read += p.Bytes
		}
		if read > 100_000 {
			t.Errorf("%d bytes were read of 600 kB", read)
		}
	})
	t.Run("a window from before the log began is told", func(t *testing.T) {
		got, lines := between(t, engine, -100, 0)
		if lines.Older || len(got) != 1 {
			t.Error(got, lines)
		}
	})
	t.Run("a reader that has enough ends it, which is told", func(t *testing.T) {
		n := 0
		h := NewFiles(FilesOptions{Name: "logs", Sources: []Source{engine}})
		lines, err := h.Between(t.Context(), LineQuery{Source: "engine", From: tenOClock, To: tenOClock.Add(2 * time.Hour)}, func(*Record) bool {
			n++
			return n < 5
		})
		if err != nil || n != 5 || lines.Coverage.Complete {
			t.Error(n, err, lines)
		}
	})
}

func TestWhatCannotBeReadOfAWindowIsTold(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "engine.1.gz"), []byte{0x1f, 0x8b, 8, 0, 0})
	got, lines := between(t, Source{Name: "engine", Files: []string{filepath.Join(dir, "*.gz"), filepath.Join(dir, "engine")}, Roles: Roles{Time: "ts"}}, 0, 10)
	if len(got) > 0 || lines.Coverage.Complete || lines.Older {
		t.Error(got, lines)
	}
	var notes []string
	for _, p := range lines.Coverage.Parts {
		notes = append(notes, p.Note)
	}
	if diff := cmp.Diff([]string{"it does not exist", "it cannot be decompressed: unexpected EOF"}, notes); diff != "" {
		t.Error(diff)
	}
}

func TestAStackTraceIsFromWhenTheLineBeforeItIs(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"engine.ndjson": `no time yet
{"ts":"2026-11-24T10:00:01Z","n":1}
panic: runtime error

goroutine 1 [running]:
{"ts":"2026-11-24T10:00:05Z","n":2}
late words`,
		"engine.log": "no time yet\n" +
			"2026-11-24 10:00:01,500 ERROR boom\r\n" +
			"  at main.go:12\n" +
			"[2026-11-24T10:00:05+00:00] INFO fine\n",
	} {
		write(t, filepath.Join(dir, name), []byte(text))
	}
	got, lines := between(t, Source{Name: "engine", Files: []string{filepath.Join(dir, "engine.ndjson")}, Roles: Roles{Time: "ts"}}, 0, 4)
	want := []string{"engine.ndjson 1", "engine.ndjson 10:00:01 panic: runtime error", "engine.ndjson 10:00:01 goroutine 1 [running]:"}
	if diff := cmp.Diff(want, got); diff != "" || lines.Coverage.Parts[0].Torn != 2 {
		t.Error(diff, lines)
	}
	got, _ = between(t, Source{Name: "engine", Files: []string{filepath.Join(dir, "engine.log")}, Format: FormatPlain}, 0, 4)
	want = []string{"engine.log 10:00:01 2026-11-24 10:00:01,500 ERROR boom", "engine.log 10:00:01   at main.go:12"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Reading a window by binary search gives what parsing every line does.
func TestAWindowOfAPlainLogIsWhatEveryLineSays(t *testing.T) {
	var b bytes.Buffer
	var all []string
	for i := range 20_000 {
		at := tenOClock.Add(time.Duration(i)*time.Second + time.Duration(i*7919%90-45)*time.Second) // up to 45 s late or early
		fmt.Fprintf(&b, "%s INFO line %d\n", at.Format("2006-01-02 15:04:05"), i)
		if i%7 == 0 {
			b.WriteString("  and more\n")
		}
		all = append(all, at.Format("15:04:05"))
	}
	path := filepath.Join(t.TempDir(), "app.log")
	write(t, path, b.Bytes())
	changed := tenOClock.Add(6 * time.Hour)
	if err := os.Chtimes(path, changed, changed); err != nil {
		t.Fatal(err)
	}
	source := Source{Name: "app", Files: []string{path}, Format: FormatPlain}
	for _, window := range [][2]int{{0, 60}, {9_990, 10_020}, {19_900, 30_000}, {-50, -20}, {5_000, 5_000}} {
		from, to := tenOClock.Add(time.Duration(window[0])*time.Second), tenOClock.Add(time.Duration(window[1])*time.Second)
		want := 0
		for i := range all {
			at := tenOClock.Add(time.Duration(i)*time.Second + time.Duration(i*7919%90-45)*time.Second)
			if !at.Before(from) && !at.After(to) {
				want++
				if i%7 == 0 {
					want++
				}
			}
		}
		got, lines := between(t, source, window[0], window[1])
		if len(got) != want || !lines.Coverage.Complete {
			t.Errorf("%v: %d lines, want %d", window, len(got), want)
		}
	}
}

func TestWhenAPlainLineWasWritten(t *testing.T) {
	for _, tt := range []struct{ layout, line, want string }{
		{"", "2026-11-24T10:00:01.5Z started", "10:00:01.5 started"},
		{"", "2026-11-24T12:00:01+02:00\tstarted", "10:00:01 started"},
		{"", "2026-11-24 10:00:01,250 [main] started", "10:00:01.25 [main] started"},
		{"", "2026-11-24 10:00:01 Zebra", "10:00:01 Zebra"},
		{"", "[2026-11-24 10:00:01] x", "10:00:01 x"},
		{"", "2026/11/24 10:00:01 x", "10:00:01 x"},
		{"", "24/Nov/2026:10:00:01 +0000 GET /", "10:00:01 GET /"},
		{"", "1795514401.25 x", "10:00:01.25 x"},
		{"", "1795514401250 x", "10:00:01.25 x"},
		{"", "2026-11-24 10:00:01", "10:00:01 "},
		{"Jan 2 2006 15:04:05", "Nov 24 2026 10:00:01 host x", "10:00:01 host x"},
		{"[02.01.2006 15:04:05]", "[24.11.2026 10:00:01] x", "10:00:01 x"},
		{"", "404 not found", ""},
		{"", "2026-13-45 10:00:01 x", ""},
		{"", "started at 2026-11-24 10:00:01", ""},
		{"", "2026-11-24T10:00:01Zoe", ""},
		{"", "1795514401x", ""},
		{"", "", ""},
		{"", "[", ""},
		{"02.01.2006 15:04:05", "2026-11-24 10:00:01 x", ""},
	} {
		at, rest, ok := plainTime([]byte(tt.line), tt.layout)
		got := ""
		if ok {
			got = at.Format("15:04:05.999999999") + " " + string(rest)
		}
		if got != tt.want {
			t.Errorf("%q by %q: %q, want %q", tt.line, tt.layout, got, tt.want)
		}
	}
	for layout, fine := range map[string]bool{
		"2006-01-02 15:04:05": true, time.RFC3339: true, "Jan _2 15:04:05": false, "15:04:05": false, "yyyy-MM-dd": false, "2006-01-02 03:04:05": false, "": false,
	} {
		if err := CheckTimeLayout(layout); (err == nil) != fine {
			t.Errorf("%q: %v", layout, err)
		}
	}
}

// FuzzPlainTime holds that a time is found at the beginning of a line only, that
// what follows it is the line's own end, and that each layout is safe from any
// text.
func FuzzPlainTime(f *testing.F) {
	for _, line := range []string{
		"2026-11-24T10:00:01.5Z started", "2026-11-24 10:00:01,250 x", "[2026-11-24 10:00:01] x", "24/Nov/2026:10:00:01 +0000 GET",
		"1795514401.25 x", "9999999999999999999999 x", "[", "2026-11-24 10:00:01 Z0700", "\x00\x00[2026", "2026-11-24 10:00:01.\xff", "Nov 24 2026 10:00:01 x",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		for _, layout := range []string{"", "Jan 2 2006 15:04:05"} {
			at, rest, ok := plainTime([]byte(line), layout)
			if !ok {
				continue
			}
			if at.Location() != time.UTC || !strings.HasSuffix(strings.TrimSpace(line), string(rest)) {
				t.Errorf("%q: %s, %q", line, at, rest)
			}
			again, _, ok := plainTime([]byte(line+"\nmore"), layout)
			if strings.TrimSpace(string(rest)) != "" && (!ok || !again.Equal(at)) {
				t.Errorf("%q: another time with more text: %s, %s", line, at, again)
			}
		}
	})
}
