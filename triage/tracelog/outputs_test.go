package tracelog

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden outputs in testdata")

// failingLines are the logs of a request that failed, was repeated, and whose
// tool call lost chunks on the way.
var failingLines = []string{
	`proto {"ts":"2026-01-02T03:04:00.010Z","req_id":"req_1","direction":"send","method":"turn/start","worker":"w1"}`,
	`proto {"ts":"2026-01-02T03:04:00.500Z","req_id":"req_1","direction":"recv","method":"error","worker":"w1","error":"backend: upstream connection reset"}`,
	`access {"ts":"2026-01-02T03:04:00.501Z","req_id":"req_1","route":"/v1/chat/completions","status":502,"latency_ms":501,"worker":"w1","error":"backend"}`,
	`proto {"ts":"2026-01-02T03:04:01.010Z","req_id":"req_2","direction":"send","method":"turn/start","worker":"w2"}`,
	`proto {"ts":"2026-01-02T03:04:01.100Z","req_id":"req_2","direction":"recv","method":"tool_buffer/started","worker":"w2"}`,
	`proto {"ts":"2026-01-02T03:04:01.110Z","req_id":"req_2","direction":"recv","method":"item/chunk","seq":1,"worker":"w2"}`,
	`proto {"ts":"2026-01-02T03:04:01.120Z","req_id":"req_2","direction":"recv","method":"item/chunk","seq":2,"worker":"w2"}`,
	`proto {"ts":"2026-01-02T03:04:01.130Z","req_id":"req_2","direction":"recv","method":"item/chunk","seq":2,"worker":"w2"}`,
	`proto {"ts":"2026-01-02T03:04:01.140Z","req_id":"req_2","direction":"recv","method":"item/chunk","seq":3,"worker":"w2"}`,
	`proto {"ts":"2026-01-02T03:04:01.150Z","req_id":"req_2","direction":"recv","method":"item/chunk","seq":4,"worker":"w2"}`,
	`proto {"ts":"2026-01-02T03:04:01.160Z","req_id":"req_2","direction":"recv","method":"item/chunk","seq":7,"worker":"w2"}`,
	`proto {"ts":"2026-01-02T03:04:01.170Z","req_id":"req_2","direction":"recv","method":"item/chunk","seq":8,"worker":"w2"}`,
	`proto {"ts":"2026-01-02T03:04:01.180Z","req_id":"req_2","direction":"recv","method":"tool_buffer/aborted","worker":"w2","error":"truncated <use_tool> block"}`,
	`proto {"ts":"2026-01-02T03:04:01.190Z","req_id":"req_2","direction":"recv","method":"turn/completed","seq":9,"worker":"w2"}`,
	`access {"ts":"2026-01-02T03:04:01.200Z","req_id":"req_2","route":"/v1/chat/completions","status":200,"latency_ms":200,"worker":"w2","tool_call":true,"retry_of":"req_1"}`,
	`usage {"ts":"2026-01-02T03:04:01.201Z","req_id":"req_2","model":"codex-sim","latency_ms":200}`,
}

// outputs are all ways to write a trace, by the name of their golden file.
var outputs = map[string]func(*Trace, *bytes.Buffer) error{
	"txt": func(t *Trace, b *bytes.Buffer) error { return t.WriteText(b, TextOptions{}) },
	"wide.txt": func(t *Trace, b *bytes.Buffer) error {
		return t.WriteText(b, TextOptions{Width: 120, Colour: true})
	},
	"md":     func(t *Trace, b *bytes.Buffer) error { return t.WriteMarkdown(b) },
	"json":   func(t *Trace, b *bytes.Buffer) error { return t.WriteJSON(b) },
	"ndjson": func(t *Trace, b *bytes.Buffer) error { return t.WriteNDJSON(b) },
}

func TestOutputs(t *testing.T) {
	slow := stitched(t, "req_9f", slowLines...)
	slow.Coverage.Parts = []Part{
		{Source: "access", Name: "logs/access.ndjson", How: HowIndex, Bytes: 4096, Size: 4_780_000_000, Complete: true},
		{Source: "proto", Name: "logs/proto.ndjson", How: HowScan, Bytes: 512_000_000, Size: 512_000_000, Torn: 1, TooLong: 2, Duplicates: 3, Note: UnreadLines},
		{Source: "tempo", Name: "http://127.0.0.1:3200", How: HowSkipped, Note: "connect: connection refused"},
	}
	slow.Coverage.Complete = false
	for name, trace := range map[string]*Trace{
		"slow":    slow,
		"failing": stitched(t, "req_2", failingLines...),
		"nothing": stitched(t, "req_8"),
	} {
		for kind, write := range outputs {
			t.Run(name+"."+kind, func(t *testing.T) {
				var b bytes.Buffer
				if err := write(trace, &b); err != nil {
					t.Fatal(err)
				}
				golden(t, name+"."+kind, b.Bytes())
			})
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "output", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s:\n%s", path, diff)
	}
}

// hostile are values that logs may hold, by what they would do.
var hostile = map[string]string{
	"clears the screen":       "\x1b[2J\x1b[H",
	"sets the title":          "\x1b]0;owned\x07",
	"C1 escape":               "\u009b31m",
	"turns the direction":     "\u202egnp.exe\u2066\u2069",
	"moves back":              "abc\r\x08\x08\x08xyz",
	"more lines":              "a\nb\u2028c\u2029d\x0be",
	"a megabyte":              strings.Repeat("x", 1<<20),
	"a megabyte of marks":     "a" + strings.Repeat("\u0301", 1<<19),
	"a megabyte of nothing":   strings.Repeat("\u200b", 1<<18),
	"a megabyte of blanks":    strings.Repeat(" \t", 1<<19),
	"invalid UTF-8":           "\xff\xfe\xc3(\xed\xa0\x80",
	"wide":                    strings.Repeat("漢字", 300),
	"tags beyond 16 bits":     "\U000e0041\U000e007f\U0001f600",
	"nothing":                 "",
	"Markdown":                "|`*_[a](http://b)<script>@all&amp;\\|``",
	"a bar after a backslash": `x\|[a](http://b)`,
}

// hostileTrace has the text wherever a record may have text.
func hostileTrace(text string) *Trace {
	roles := &Roles{Time: "ts", Error: "e", Route: "t", Event: "t", Way: "t", Worker: "t", Retry: "t", ToolCall: "t", Status: "status", Duration: "ms", Seq: "seq"}
	fields := func(more map[string]any) map[string]any {
		f := map[string]any{"t": text, "e": text, "status": json.Number("502")}
		for k, v := range more {
			f[k] = v
		}
		return f
	}
	raw, _ := json.Marshal(text)
	raw = fmt.Appendf(nil, `{"req_id":%s}`, raw)
	at, _ := ParseTime("2026-01-02T03:04:05Z")
	return &Trace{
		ID:    text,
		Links: []Link{{From: text, To: "b", Source: text, Field: text}},
		Records: []Traced{
			{Record: Record{Source: text, File: text, Time: at, Fields: fields(map[string]any{"ms": json.Number("5")}), Raw: raw, Roles: roles}, FoundBy: text},
			{Record: Record{Source: text, Fields: fields(map[string]any{"seq": json.Number("3")}), Raw: []byte(text), Roles: roles}, FoundBy: text},
			{Record: Record{Source: "s", Time: at, Fields: fields(nil), Roles: roles}, Context: true},
			{Record: Record{Source: "s", ID: "b", Time: at, Fields: fields(nil), Roles: roles}, FoundBy: "b"},
		},
		Coverage: Coverage{Parts: []Part{{Source: text, Name: text, How: How(text), Note: text}}},
	}
}

func TestHostileTextIsHarmless(t *testing.T) {
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			trace := hostileTrace(text)
			checkText(t, trace, 80)
			checkText(t, &Trace{ID: text, Coverage: trace.Coverage}, 100)
			for kind, write := range outputs {
				if strings.HasSuffix(kind, "json") && len(text) > 1<<16 {
					continue // which hold it as often as it is there
				}
				var b bytes.Buffer
				if err := write(trace, &b); err != nil {
					t.Errorf("%s: %v", kind, err)
				}
				if kind != "wide.txt" { // whose colours are escapes
					checkHarmless(t, kind, b.String())
				}
				if kind == "json" && !json.Valid(b.Bytes()) {
					t.Error("the JSON is none")
				}
			}
		})
	}
}

// checkText holds that text fits its width and holds no control characters.
func checkText(t *testing.T, trace *Trace, width int) {
	t.Helper()
	var b bytes.Buffer
	if err := trace.WriteText(&b, TextOptions{Width: width}); err != nil {
		t.Fatal(err)
	}
	checkHarmless(t, "text", b.String())
	for line := range strings.Lines(b.String()) {
		if n := columnsOf(strings.TrimSuffix(line, "\n")); n > width {
			t.Errorf("a line of %d columns: %.200q", n, line)
		}
		if len(line) > 32*width {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

func checkHarmless(t *testing.T, kind, out string) {
	t.Helper()
	if !utf8.ValidString(out) {
		t.Errorf("%s: invalid UTF-8", kind)
	}
	for _, r := range out {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%s: %U is no text", kind, r)
			return
		}
	}
}

func TestMarkdownOfLogsStaysText(t *testing.T) {
	for _, text := range []string{hostile["Markdown"], hostile["a bar after a backslash"]} {
		var b bytes.Buffer
		if err := hostileTrace(text).WriteMarkdown(&b); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if strings.HasPrefix(line, "| ") {
				if n := strings.Count(line, "|"); n != 6 {
					t.Errorf("a row of %d bars: %s", n, line)
				}
				continue
			}
			for _, live := range []string{"<script", " [a]", "http://b", " @all"} {
				if strings.Contains(line, live) {
					t.Errorf("%s is live in %s", live, line)
				}
			}
		}
	}
}

func TestNDJSONKeepsTheLine(t *testing.T) {
	trace := stitched(t, "a", `proto {"b":1,"a":"\u202e","req_id":"a","a":1.0e400,"req_id":"a","n":12345678901234567890}`)
	var b bytes.Buffer
	if err := trace.WriteNDJSON(&b); err != nil {
		t.Fatal(err)
	}
	want := `{"source":"proto","file":"proto.ndjson","offset":0,"id":"a","found_by":"a","record":` + string(trace.Records[0].Raw) + "}\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestEscapingLeavesTheValue(t *testing.T) {
	in := "a\u202e\u009b\U000e0041\x7f\u00a0é漢"
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out string
	if err := json.Unmarshal(escaped(data), &out); err != nil || out != in {
		t.Errorf("%q, %v", out, err)
	}
}

func TestManyPartsAreSummedUp(t *testing.T) {
	trace := &Trace{}
	for i := range 100 {
		p := Part{Source: "s", Name: fmt.Sprint(i), How: HowScan, Bytes: 10, Size: 10, Complete: true}
		if i == 99 {
			p.Complete, p.Note = false, "vanished"
		}
		trace.Coverage.Parts = append(trace.Coverage.Parts, p)
	}
	said := trace.CoverageSentences()
	if len(said) != mostParts+2 || said[mostParts] != "s 99: searched, 10 B of 10 B, not to its end; vanished" || said[mostParts+1] != "And others: 800 B of 800 B searched." {
		t.Errorf("%q", said)
	}
}

// FuzzText holds that whatever a log may hold, text is text and fits.
func FuzzText(f *testing.F) {
	for _, text := range hostile {
		if len(text) < 1<<10 {
			f.Add(text, 80)
		}
	}
	f.Fuzz(func(t *testing.T, text string, width int) {
		trace := hostileTrace(text)
		var b bytes.Buffer
		if err := trace.WriteText(&b, TextOptions{Width: width}); err != nil {
			t.Fatal(err)
		}
		checkText(t, trace, min(max(width, leastWidth), mostWidth))
		b.Reset()
		if err := trace.WriteMarkdown(&b); err != nil {
			t.Fatal(err)
		}
		checkHarmless(t, "Markdown", b.String())
		b.Reset()
		if err := trace.WriteNDJSON(&b); err != nil {
			t.Fatal(err)
		}
		checkHarmless(t, "NDJSON", b.String())
	})
}
