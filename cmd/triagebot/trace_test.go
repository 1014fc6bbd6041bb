package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// The logs of a request that failed after 41 s, because its worker was killed,
// and of the one that repeated it.
const (
	accessLog = `{"ts":"2026-01-02T15:03:10.120Z","req_id":"req_9f01","route":"/v1/chat/completions","status":200,"latency_ms":812.4,"worker":"w1"}
{"ts":"2026-01-02T15:04:41.300Z","req_id":"req_9f2c","route":"/v1/chat/completions","status":502,"latency_ms":41200,"worker":"w3","error":"backend closed the stream"}
{"ts":"2026-01-02T15:04:43.000Z","req_id":"req_9f2d","retry_of":"req_9f2c","route":"/v1/chat/completions","status":200,"latency_ms":900.5,"worker":"w1","tool_call":true}
`
	protoLog = `{"ts":"2026-01-02T15:04:00.150Z","req_id":"req_9f2c","direction":"send","method":"turn/start","worker":"w3"}
{"ts":"2026-01-02T15:04:39.050Z","req_id":"req_9f2c","direction":"recv","method":"turn/chunk","seq":1,"worker":"w3"}
{"ts":"2026-01-02T15:04:39.100Z","req_id":"req_9f2c","direction":"recv","method":"turn/chunk","seq":3,"worker":"w3"}
{"ts":"2026-01-02T15:04:41.250Z","req_id":"req_9f2c","direction":"recv","method":"turn/abor
`
	usageLog  = `{"ts":"2026-01-02T15:04:43.010Z","req_id":"req_9f2d","tokens_out":88,"latency_ms":900}` + "\n"
	engineLog = `{"ts":"2026-01-02T15:04:12.000Z","worker":"w3","event":"worker_exit","detail":"signal 9"}
{"ts":"2026-01-02T15:04:37.500Z","worker":"w3","event":"worker_started"}
`
)

// inLogs makes the logs in a folder of the test's own, which the test is in.
func inLogs(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range map[string]string{"access": accessLog, "proto": protoLog, "usage": usageLog, "engine": engineLog} {
		write(t, dir, name+".ndjson", text)
	}
	t.Chdir(dir)
	return dir
}

const (
	accessFlags = "--access-log access.ndjson "
	allFlags    = accessFlags + "--proto-log proto.ndjson --usage-log usage.ndjson --engine-log engine.ndjson "
)

// tracesConfig names the logs by patterns, and an index.
const tracesConfig = `
traces:
  logs:
    - name: access
      files: [access.ndjson*]
      links: [retry_of]
      fields: {duration: latency_ms, status: status, error: error, route: route, tool_call: tool_call, worker: worker, retry_of: retry_of}
    - name: proto
      files: [proto.ndjson*]
      fields: {event: method, direction: direction, seq: seq, worker: worker}
  index: {dir: index}
`

// runTrace executes `triagebot trace` with arguments that have no blanks in them.
func runTrace(t *testing.T, args string) (status int, stdout, stderr string) {
	t.Helper()
	return run(t, append([]string{"trace"}, strings.Fields(args)...)...)
}

// contains wants every part in a text, wherever its lines are broken.
func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	oneLine := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	for _, part := range parts {
		if !strings.Contains(oneLine(text), oneLine(part)) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}

func TestTraceByHand(t *testing.T) {
	inLogs(t)
	write(t, ".", "triagebot.yaml", tracesConfig)
	write(t, ".", "empty.yaml", "server: {listen: x}\n")
	write(t, ".", "noindex.yaml", strings.Replace(tracesConfig, "  index: {dir: index}\n", "", 1))
	symlink(t, "nowhere", "gone.ndjson")
	for _, tc := range []struct {
		args   string
		status int
		out    []string // parts of what is printed, on either stream
	}{
		// The flags of the helper that this replaces.
		{"--req-id req_9f2c " + allFlags, 0, []string{
			"req_9f2c took 41.2 s and failed with 502 (backend closed the stream); 38.9 s of it between proto send and first chunk; worker w3 restarted in between",
			"1 chunk missing", "req_9f2d repeats req_9f2c", "signal 9", "Complete: everything was searched to its end.",
			"proto proto.ndjson: searched, ", "1 torn line with the id",
		}},
		{"req_9f2c", 0, []string{"req_9f2c took 41.2 s", "access access.ndjson: searched"}},
		{"req_9f2c --at 2026-01-02T15:04:00Z", 0, []string{"req_9f2c took 41.2 s"}},
		{"req_9f2c --at 2026-01-02T15:04:00Z --near", 0, []string{"req_9f2c took 41.2 s"}},
		{"show req_9f2c " + accessFlags, 0, []string{"req_9f2c took 41.2 s"}},
		{"req_9f2c --req-id req_9f2c " + accessFlags, 0, []string{"req_9f2c took 41.2 s"}},
		{"req_9f2c --color always " + accessFlags, 0, []string{"\x1b["}},
		{"req_9f2c -o markdown " + accessFlags, 0, []string{`**req\_9f2c took 41.2 s`, "| at | duration |"}},

		{"req_9f2 " + accessFlags, 1, []string{"Nothing was found of req_9f2", "the whole value of one of a source's keys"}},
		{"req_9f2c --access-log access.ndjson.*", 1, []string{"no file matches"}},
		{"req_9f2 --access-log none.ndjson", 2, []string{"none.ndjson: skipped; it does not exist"}},
		{"req_9f2 --access-log gone.ndjson " + accessFlags, 2, []string{"gone.ndjson: skipped; it vanished"}},
		{"req_9f2 --access-log .", 2, []string{"it is a folder, not a file"}},
		{"req_9f2c --access-log . " + accessFlags, 0, []string{"Not complete", "it is a folder, not a file"}},

		{"", 2, []string{"no id is given; write triagebot trace ID"}},
		{"a --req-id b " + accessFlags, 2, []string{"two ids are given"}},
		{"a --near " + accessFlags, 2, []string{"--near needs --at"}},
		{"a --at yesterday " + accessFlags, 2, []string{`--at: "yesterday" is no time`, "15:04"}},
		{"a -o xml " + accessFlags, 2, []string{"text,json,ndjson,markdown"}},
		{"a --config.file none.yaml", 2, []string{"none.yaml does not exist", "--access-log"}},
		{"a --config.file empty.yaml", 2, []string{"empty.yaml has no traces section", "config.example.yaml", "--access-log"}},

		{"pick --slowest --within 0s", 0, []string{"TIME", "req_9f2c  41.2s     502     /v1/chat/completions  backend closed the stream"}},
		{"pick --slowest --within 0s -n 2 -o ids", 0, []string{"req_9f2c\nreq_9f2d\n"}},
		{"pick --failing --at 2026-01-02T15:10:00Z -o ids " + accessFlags, 0, []string{"req_9f2c\n"}},
		{"pick --tool-call --at 2026-01-02T15:10:00Z -o ids", 0, []string{"req_9f2d\n"}},
		{"pick --slowest --within 0s --route /v1/none", 1, []string{"No request of this kind"}},
		{"pick --slowest", 1, []string{"No request of this kind from ", "Try a longer --within, or another --at."}},
		{"pick --slowest --within 0s --access-log none.ndjson", 2, []string{"not all of none.ndjson was searched: it does not exist"}},
		{"pick", 2, []string{"write one of --slowest, --failing and --tool-call"}},
		{"pick --slowest --failing", 2, []string{"write one of --slowest, --failing and --tool-call"}},
		{"pick --slowest -n 0", 2, []string{"-n 0: write a number from 1 to 100"}},
		{"pick --slowest --within=-5m", 2, []string{"--within is negative"}},
		{"pick --failing --at 2026", 2, []string{"--at: "}},
		{"pick --tool-call --usage-log usage.ndjson", 2, []string{"source usage has no field named for a tool_call"}},

		{"index --config.file none.yaml", 2, []string{"none.yaml does not exist"}},
		{"index --config.file empty.yaml", 2, []string{"empty.yaml has no traces.logs"}},
		{"index --config.file noindex.yaml", 2, []string{"noindex.yaml has no traces.index.dir"}},
		{"--help", 0, []string{"show", "pick", "index", "Exit status: 0 found, 1 not found, 2 trouble."}},
		{"show --help", 0, []string{"--req-id=ID", "--proto-log=FILE", "--[no-]index", "--[no-]follow"}},
	} {
		t.Run(tc.args, func(t *testing.T) {
			status, stdout, stderr := runTrace(t, tc.args)
			if status != tc.status {
				t.Errorf("exit status %d, want %d", status, tc.status)
			}
			contains(t, stdout+stderr, tc.out...)
			if !strings.Contains(tc.args, "--color") && strings.Contains(stdout+stderr, "\x1b") {
				t.Errorf("coloured, though it is no terminal:\n%s", stdout+stderr)
			}
		})
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// record is what the tests look at of a record in JSON.
type record struct {
	Source string `json:"source"`
	ID     string `json:"id"`
	Record struct {
		Worker string `json:"worker"`
	} `json:"record"`
}

func TestTraceForPrograms(t *testing.T) {
	inLogs(t)
	t.Run("json", func(t *testing.T) {
		_, stdout, _ := runTrace(t, "req_9f2c -o json "+allFlags)
		var trace struct {
			ID        string   `json:"id"`
			Complete  bool     `json:"complete"`
			Sentences []string `json:"sentences"`
			Records   []record `json:"records"`
			Coverage  struct {
				Parts []struct{ Name, How string } `json:"parts"`
			} `json:"coverage"`
		}
		if err := json.Unmarshal([]byte(stdout), &trace); err != nil {
			t.Fatal(err)
		}
		if trace.ID != "req_9f2c" || !trace.Complete || len(trace.Records) != 8 || len(trace.Sentences) == 0 || len(trace.Coverage.Parts) != 4 {
			t.Errorf("got %+v", trace)
		}
	})
	t.Run("ndjson", func(t *testing.T) {
		_, stdout, _ := runTrace(t, "req_9f2c -o ndjson "+allFlags)
		var sources []string
		for line := range strings.Lines(stdout) {
			var r record
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			sources = append(sources, r.Source)
		}
		if want := []string{"proto", "engine", "engine", "proto", "proto", "access", "access", "usage"}; !slices.Equal(sources, want) {
			t.Errorf("got %q, want %q", sources, want)
		}
	})
	t.Run("a column has its width where the last cell is empty", func(t *testing.T) {
		_, stdout, _ := runTrace(t, "pick --tool-call --at 2026-01-02T15:10:00Z "+accessFlags)
		want := "TIME                      ID        DURATION  STATUS  ROUTE                 ERROR\n" +
			"2026-01-02T15:04:43.000Z  req_9f2d  900.5ms   200     /v1/chat/completions\n"
		if stdout != want {
			t.Errorf("got\n%swant\n%s", stdout, want)
		}
	})
	t.Run("pick as json", func(t *testing.T) {
		_, stdout, _ := runTrace(t, "pick --slowest --within 0s -n 1 -o json "+accessFlags)
		var picked struct {
			Candidates []struct {
				ID       string
				Status   int
				Duration int64
			}
			Coverage struct{ Complete bool }
		}
		if err := json.Unmarshal([]byte(stdout), &picked); err != nil {
			t.Fatal(err)
		}
		if len(picked.Candidates) != 1 || picked.Candidates[0].Duration != 41_200_000_000 || !picked.Coverage.Complete {
			t.Errorf("got %+v", picked)
		}
	})
	t.Run("pick of nothing as json", func(t *testing.T) {
		status, stdout, _ := runTrace(t, "pick --slowest -o json "+accessFlags)
		contains(t, stdout, `"candidates": []`)
		if status != 1 {
			t.Errorf("exit status %d", status)
		}
	})
}

// What is picked from a log that somebody else writes into does not speak to the
// terminal, and what is written as an id is that id.
func TestPickingWhatATerminalWouldObey(t *testing.T) {
	dir := inLogs(t)
	long := strings.Repeat("l", 230)
	hostile := []string{"tab\tbed", "csi\u009b31m", "bidi\u202e", "<b>&", long}
	var lines strings.Builder
	for i, id := range hostile {
		line, err := json.Marshal(map[string]any{"ts": "2026-01-02T15:04:05Z", "req_id": id, "status": 200, "latency_ms": 100 - i, "route": id})
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	write(t, dir, "access.ndjson", lines.String())
	pick := "pick --slowest --within 0s -o "
	for _, output := range []string{"json", "ndjson"} {
		status, stdout, _ := runTrace(t, pick+output+" "+accessFlags)
		contains(t, stdout, `"tab\tbed"`, `"csi\u009b31m"`, `"bidi\u202e"`, `"<b>&"`)
		if status != 0 || strings.ContainsAny(stdout, "\t\u009b\u202e") {
			t.Errorf("%s: exit status %d: %q", output, status, stdout)
		}
	}
	status, stdout, stderr := runTrace(t, pick+"ids "+accessFlags)
	contains(t, stderr, `"tab\tbed"`, `"csi\u009b31m"`, `"bidi\u202e"`)
	if want := "<b>&\n" + long + "\n"; status != 0 || stdout != want || strings.ContainsAny(stderr, "\t\u009b\u202e") {
		t.Errorf("exit status %d, got %q and %q", status, stdout, stderr)
	}
}

// An id is not the name of a file with arguments, whatever it begins with.
func TestTraceOfAnIDThatBeginsWithAnAt(t *testing.T) {
	dir := inLogs(t)
	write(t, dir, "access.ndjson", `{"ts":"2026-01-02T15:04:05Z","req_id":"@req","status":200,"latency_ms":7}`+"\n")
	write(t, dir, "req", "pick\n")
	for _, args := range []string{"@req ", "show @req ", "--req-id @req ", "--req-id=@req "} {
		status, stdout, stderr := runTrace(t, args+accessFlags)
		contains(t, stdout, "@req took 7 ms")
		if status != 0 {
			t.Errorf("%s: exit status %d: %s", args, status, stderr)
		}
	}
}

// Rotated logs, compressed or not, are searched by the configuration's pattern.
func TestTraceInRotatedLogs(t *testing.T) {
	dir := inLogs(t)
	write(t, dir, "triagebot.yaml", tracesConfig)
	lines := strings.SplitAfter(accessLog, "\n")
	write(t, dir, "access.ndjson", lines[0])
	var packed bytes.Buffer
	gz := gzip.NewWriter(&packed)
	if _, err := gz.Write([]byte(lines[1])); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "access.ndjson.1.gz", packed.String())
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "access.ndjson.2.zst", string(encoder.EncodeAll([]byte(lines[2]), nil)))
	for _, id := range []string{"req_9f01", "req_9f2c", "req_9f2d"} {
		status, stdout, stderr := runTrace(t, id)
		contains(t, stdout, id+" took", "access.ndjson.1.gz", "access.ndjson.2.zst", "Complete")
		if status != 0 {
			t.Errorf("exit status %d: %s", status, stderr)
		}
	}
	status, stdout, _ := runTrace(t, "pick --slowest --within 0s -o ids")
	if status != 0 || stdout != "req_9f2c\nreq_9f2d\nreq_9f01\n" {
		t.Errorf("exit status %d, picked %q", status, stdout)
	}
	// A whole folder cannot be a log, and a cut file costs its own lines only.
	write(t, dir, "access.ndjson.3.gz", packed.String()[:packed.Len()/2])
	status, stdout, _ = runTrace(t, "req_9f2d")
	contains(t, stdout, "req_9f2d took", "Not complete", "access.ndjson.3.gz")
	if status != 0 {
		t.Errorf("exit status %d", status)
	}
}

func TestTraceOfAnEndlessLine(t *testing.T) {
	dir := inLogs(t)
	write(t, dir, "endless.ndjson", `{"req_id":"req_9f2c","pad":"`+strings.Repeat("req_9f2c ", 2<<20))
	status, stdout, _ := runTrace(t, "req_9f2c --usage-log endless.ndjson "+accessFlags)
	contains(t, stdout, "req_9f2c took 41.2 s", "1 line over the longest")
	if status != 0 {
		t.Errorf("exit status %d", status)
	}
}

func TestTraceByTheIndex(t *testing.T) {
	dir := inLogs(t)
	write(t, dir, "triagebot.yaml", tracesConfig)
	look := func(want ...string) {
		t.Helper()
		status, stdout, stderr := runTrace(t, "req_9f2c")
		contains(t, stdout, append(want, "req_9f2c took 41.2 s", "Complete")...)
		if status != 0 || stderr != "" {
			t.Errorf("exit status %d: %s", status, stderr)
		}
	}
	look("access access.ndjson: searched")
	status, _, stderr := runTrace(t, "index")
	contains(t, stderr, "indexed logs: 2, new in the index: 0.00 MB")
	if status != 0 {
		t.Fatalf("exit status %d", status)
	}
	look("access access.ndjson: looked up in the index")
	status, stdout, _ := runTrace(t, "req_9f2c --no-index")
	contains(t, stdout, "access access.ndjson: searched")
	if status != 0 {
		t.Errorf("exit status %d", status)
	}
	status, stdout, _ = runTrace(t, "pick --failing --within 0s -o json")
	contains(t, stdout, `"how": "index"`, "req_9f2c")
	if status != 0 {
		t.Errorf("exit status %d", status)
	}

	// What is appended counts at once.
	appended := `{"ts":"2026-01-02T15:05:00Z","req_id":"req_new","status":200,"latency_ms":5}` + "\n"
	write(t, dir, "access.ndjson", accessLog+appended)
	status, stdout, _ = runTrace(t, "req_new")
	contains(t, stdout, "req_new took", "looked up in the index")
	if status != 0 {
		t.Errorf("exit status %d", status)
	}

	// A damaged index is said and not believed.
	segments, err := filepath.Glob("index/*/*.seg")
	if err != nil || len(segments) != 2 {
		t.Fatalf("index files: %q, %v", segments, err)
	}
	for _, path := range segments {
		write(t, dir, path, strings.Repeat("\xff", len(readText(t, path))))
	}
	look("index file")
	if status, _, stderr := runTrace(t, "index"); status != 0 {
		t.Errorf("exit status %d: %s", status, stderr)
	}
	look("access access.ndjson: looked up in the index")
}

func TestTraceFollowed(t *testing.T) {
	dir := inLogs(t)
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan int)
	go func() {
		var stderr bytes.Buffer
		args := append([]string{"triagebot", "trace", "req_9f2d", "--follow"}, strings.Fields(allFlags)...)
		status := execute(ctx, args, writer, &stderr)
		writer.Close()
		ended <- status
	}()
	lines := bufio.NewScanner(reader)
	until := func(part string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), part) {
				return
			}
		}
		t.Fatalf("the output ended without %q", part)
	}
	until("Complete: everything was searched")
	appendTo(t, filepath.Join(dir, "usage.ndjson"), `{"ts":"2026-01-02T15:05:00Z","req_id":"req_9f2d","latency_ms":77}`+"\n")
	until("15:05:00.000  usage  77 ms")
	cancel()
	for lines.Scan() {
		t.Errorf("more was written: %s", lines.Text())
	}
	if status := <-ended; status != 0 {
		t.Errorf("exit status %d", status)
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestFollowingWantsALocalLog(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "triagebot.yaml", "traces:\n  backends: [{name: tempo, type: tempo, url: 'http://127.0.0.1:1'}]\n")
	t.Chdir(dir)
	status, _, stderr := runTrace(t, "x --follow")
	contains(t, stderr, "--follow needs a local log")
	if status != 2 {
		t.Errorf("exit status %d", status)
	}
}

// The index is never needed: a lookup goes on without one that cannot be read,
// and says so.
func TestTraceWithoutTheFolderOfItsIndex(t *testing.T) {
	dir := inLogs(t)
	write(t, dir, "triagebot.yaml", tracesConfig)
	for _, args := range []string{"req_9f2c", "pick --slowest --within 0s"} {
		status, stdout, stderr := runTrace(t, args)
		contains(t, stdout, "req_9f2c")
		if status != 0 || stderr != "" {
			t.Errorf("%s: exit status %d: %s", args, status, stderr)
		}
		if _, err := os.Lstat("index"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s made the folder of the index: %v", args, err)
		}
	}
	write(t, dir, "index", "a file where the folder should be")
	for _, args := range []string{"req_9f2c", "pick --slowest --within 0s"} {
		status, stdout, stderr := runTrace(t, args)
		contains(t, stdout, "req_9f2c")
		contains(t, stderr, "without their index: traces.index.dir:")
		if status != 0 {
			t.Errorf("%s: exit status %d: %s", args, status, stderr)
		}
	}
	status, _, stderr := runTrace(t, "index")
	contains(t, stderr, "traces.index.dir: index: its directory cannot be made")
	if status != 2 {
		t.Errorf("exit status %d", status)
	}
}
