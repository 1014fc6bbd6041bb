package index

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The logs of these tests are small and made of pitfalls, and are compared with
// what encoding/json says of every line.

var testSpec = Spec{
	Keys: []string{"req_id", "retry.of", "trace_id"}, MaxLine: 300,
	Time: "ts", Duration: "ms", Status: "status", Error: "err", ToolCall: "tool",
}

// naiveValue follows a name as the reader of records does.
func naiveValue(fields map[string]any, name string) (any, bool) {
	if v, ok := fields[name]; ok {
		return v, true
	}
	if head, rest, ok := strings.Cut(name, "."); ok {
		if inner, ok := fields[head].(map[string]any); ok {
			return naiveValue(inner, rest)
		}
	}
	return nil, false
}

func naiveText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

func naiveFields(line []byte) map[string]any {
	decoder := json.NewDecoder(bytes.NewReader(bytes.Trim(line, "\x00 \t\r\n")))
	decoder.UseNumber()
	var fields map[string]any
	if decoder.Decode(&fields) != nil || decoder.More() {
		return nil
	}
	return fields
}

// isOf says whether a line is a record of the id.
func isOf(line []byte, spec *Spec, id string) bool {
	fields := naiveFields(line)
	for _, key := range spec.Keys {
		if v, ok := naiveValue(fields, key); ok && id != "" && naiveText(v) == id {
			return true
		}
	}
	return false
}

// naiveLines calls each for every line that begins in a stretch of the text and
// is not too long.
func naiveLines(text []byte, r Range, maxLine int, each func(at int64, line []byte)) {
	for at := r.From; at < r.To; {
		line := text[at:]
		next := int64(len(text))
		if end := bytes.IndexByte(line, '\n'); end >= 0 {
			line = line[:end]
			next = at + int64(end) + 1
		}
		if len(line) <= maxLine {
			each(at, line)
		}
		at = next
	}
}

func naiveFind(text []byte, spec *Spec, id string) []int64 {
	var found []int64
	naiveLines(text, Range{0, int64(len(text))}, spec.MaxLine, func(at int64, line []byte) {
		if isOf(line, spec, id) {
			found = append(found, at)
		}
	})
	return found
}

// confirmed is what a caller of Lookup makes of its answer.
func confirmed(t testing.TB, x *Index, log *os.File, spec Spec, id string) []int64 {
	t.Helper()
	text := contents(t, log)
	hits, err := x.Lookup(context.Background(), log, spec, id, int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	var found []int64
	if !slices.IsSorted(hits.Lines) {
		t.Fatalf("lines out of order: %v", hits.Lines)
	}
	for _, at := range hits.Lines {
		if at > 0 && text[at-1] != '\n' {
			t.Fatalf("no line begins at %d", at)
		}
		naiveLines(text, Range{at, at + 1}, spec.MaxLine, func(at int64, line []byte) {
			if isOf(line, &spec, id) {
				found = append(found, at)
			}
		})
	}
	for _, r := range hits.Scan {
		if r.From > 0 && text[r.From-1] != '\n' {
			t.Fatalf("the stretch %v does not begin with a line", r)
		}
		naiveLines(text, r, spec.MaxLine, func(at int64, line []byte) {
			if isOf(line, &spec, id) {
				found = append(found, at)
			}
		})
	}
	slices.Sort(found)
	return found
}

func contents(t testing.TB, f *os.File) []byte {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(io.NewSectionReader(f, 0, info.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// checkAnswers compares lookups of ids, and the blocks, with the truth.
func checkAnswers(t testing.TB, x *Index, log *os.File, spec Spec, ids []string) {
	t.Helper()
	text := contents(t, log)
	for _, id := range ids {
		if got, want := confirmed(t, x, log, spec, id), naiveFind(text, &spec, id); !slices.Equal(got, want) {
			t.Fatalf("%q stands in the lines at %v, found at %v", id, want, got)
		}
	}
	checkBlocks(t, x, log, spec)
}

// checkBlocks sees that no block promises less than one of its lines has, and
// that blocks and stretches to scan together are the whole log.
func checkBlocks(t testing.TB, x *Index, log *os.File, spec Spec) {
	t.Helper()
	text := contents(t, log)
	summary, err := x.Blocks(context.Background(), log, spec, int64(len(text)), func(*Block) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	tooLong := 0
	for at := 0; at < len(text); {
		end := at + bytes.IndexByte(text[at:], '\n')
		unknown := slices.ContainsFunc(summary.Scan, func(r Range) bool { return int64(at) >= r.From && int64(at) < r.To })
		if end < at {
			break // it has not ended, and is not indexed
		}
		if end-at > spec.MaxLine && !unknown {
			tooLong++
		}
		at = end + 1
	}
	if summary.TooLong != tooLong {
		t.Fatalf("%d lines are said to be too long, want %d", summary.TooLong, tooLong)
	}
	all := slices.Clone(summary.Scan)
	for _, b := range summary.Blocks {
		all = append(all, b.Range)
		naiveLines(text, b.Range, spec.MaxLine, func(at int64, line []byte) {
			if b.Unsure {
				return
			}
			if wrong := brokenPromise(&b, naiveFields(line), &spec); wrong != "" {
				t.Fatalf("block %+v: %s of the line at %d: %q", b, wrong, at, line)
			}
		})
	}
	slices.SortFunc(all, func(a, b Range) int { return cmp.Compare(a.From, b.From) })
	end := int64(0)
	for _, r := range all {
		if r.From != end || r.To <= r.From {
			t.Fatalf("%v does not follow %d", r, end)
		}
		end = r.To
	}
	if end != int64(len(text)) {
		t.Fatalf("blocks and stretches end at %d of %d", end, len(text))
	}
}

func brokenPromise(b *Block, fields map[string]any, spec *Spec) string {
	get := func(name string) string {
		v, _ := naiveValue(fields, name)
		return naiveText(v)
	}
	if at, err := time.Parse(time.RFC3339, get(spec.Time)); err == nil && (at.Before(b.First) || at.After(b.Last)) {
		return "time"
	}
	if d, err := strconv.ParseFloat(get(spec.Duration), 64); err == nil && d > b.Longest {
		return "duration"
	}
	status, err := strconv.ParseFloat(get(spec.Status), 64)
	if failing := err == nil && status >= 500 || get(spec.Error) != ""; failing && !b.Failing {
		return "failure"
	}
	if tool, _ := naiveValue(fields, spec.ToolCall); (tool == true || naiveText(tool) != "") && !b.ToolCall {
		return "tool call"
	}
	return ""
}

// generator writes lines with every pitfall.
type generator struct{ *rand.Rand }

func (g generator) of(choices ...string) string { return choices[g.IntN(len(choices))] }

// someIDs are the ids of the logs: some begin like others, some need escapes.
func someIDs() []string {
	ids := []string{"r", "req_", "7", "7.0", "-7e1", "a/b", "ü", "x\"y", "tab\t", "back\\slash", "\ufffd", "absent", "nul\x00", ""}
	for i := range 12 {
		ids = append(ids, fmt.Sprintf("req_%d", i), fmt.Sprintf("018f3c2e-7a1b-7c3d-9e4f-%012d", i))
	}
	return ids
}

// escaped writes a string in one of its many ways.
func (g generator) escaped(s string) string {
	var b strings.Builder
	level := g.IntN(3)
	for _, c := range s {
		switch {
		case level > 0 && c < 0x80 && g.IntN(3) < level:
			fmt.Fprintf(&b, g.of(`\u%04x`, `\u%04X`), c)
		case c == '"' || c == '\\' || c == '/' && g.IntN(2) == 0:
			b.WriteByte('\\')
			b.WriteRune(c)
		case c < ' ':
			fmt.Fprintf(&b, `\u%04x`, c)
		case c == '\ufffd' && g.IntN(2) == 0:
			b.WriteString(g.of("\xff", `\ud800`))
		default:
			b.WriteRune(c)
		}
	}
	return `"` + b.String() + `"`
}

func (g generator) space() string {
	if g.IntN(4) > 0 {
		return ""
	}
	return g.of(" ", "  ", "\t", " \r\t ", "\r")
}

func (g generator) value(ids []string) string {
	switch g.IntN(12) {
	case 0:
		return g.of("7", "7.0", "-7e1", "12", "1e999")
	case 1:
		return g.of("null", "true", "false", "[]", "{}", `["req_1"]`, `""`)
	case 2:
		return "{" + g.member(ids) + "}"
	default:
		return g.escaped(ids[g.IntN(len(ids))])
	}
}

func (g generator) member(ids []string) string {
	key, value := "", ""
	switch g.IntN(9) {
	case 0, 1, 2:
		key, value = g.of("req_id", "retry.of", "of", "trace_id", "retry", "xreq_id", "req_idx", `x"req_id`), g.value(ids)
	case 3:
		key, value = "ts", g.of(`"2026-01-02T15:04:05.000Z"`, `"2026-01-02T15:04:59.999999999Z"`, `"2026-01-02T15:05:00Z"`,
			`"2026-01-02T15:04:05+02:00"`, `"2026-13-02T15:04:05Z"`, `"0001-01-01T00:00:00Z"`, `"2026-01-02T15:04:60Z"`, "1767366245", `""`)
	case 4:
		key, value = "ms", g.of("1", "41200.25", "0.000001", "1e3", "-1", `"12"`, `"12ms"`, "123456789012345678", "null", "007")
	case 5:
		key, value = "status", g.of("200", "503", `"500"`, "499.5", "5e2", "null", `"ok"`)
	case 6:
		key, value = "err", g.of("null", `""`, `"boom"`, "false", "[]", "[ ]", `"\u0062"`, "0")
	case 7:
		key, value = "tool", g.of("true", "false", `"use_tool"`, "null", "[]", `[1]`)
	default:
		key, value = "msg", g.escaped(g.of(`"req_id":"req_1"`, "req_2", "\u00e9", "plain", `:":`, strings.Repeat("x", 250)))
	}
	return g.space() + g.escaped(key) + g.space() + ":" + g.space() + value + g.space()
}

func (g generator) line(ids []string) string {
	members := make([]string, g.IntN(5))
	for i := range members {
		members[i] = g.member(ids)
	}
	line := "{" + strings.Join(members, ",") + "}"
	switch g.IntN(20) {
	case 0:
		line = line[:g.IntN(len(line))] // torn
	case 1:
		line = "\x00\x00" + line + "\x00"
	case 2:
		line = g.of("", " ", "[]", "null", "7", `"req_id":"req_1"`, line+line)
	}
	return line + g.of("\n", "\n", "\n", "\r\n")
}

func (g generator) text(lines int, ids []string) []byte {
	var b bytes.Buffer
	for range lines {
		b.WriteString(g.line(ids))
	}
	return b.Bytes()
}

// newLog makes an empty log that the test may write to.
func newLog(t testing.TB) *os.File {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "access.ndjson"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func write(t testing.TB, f *os.File, text []byte) {
	t.Helper()
	if _, err := f.Write(text); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, dir string, options Options) *Index {
	t.Helper()
	x, err := Open(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

func update(t testing.TB, x *Index, log *os.File, spec Spec) Updated {
	t.Helper()
	done, err := x.Update(context.Background(), log, spec)
	if err != nil {
		t.Fatal(err)
	}
	return done
}
