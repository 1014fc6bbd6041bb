package tracelog

import (
	"bytes"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"triagebot/triage/tracelog/index"
)

// wideList is a list of so many values.
func wideList(values int) string { return "[" + strings.Repeat("0,", values-1) + "0]" }

// wideObject is an object with so many values and then others.
func wideObject(values int, others string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range values {
		fmt.Fprintf(&b, `"k%d":%d,`, i, i)
	}
	return b.String() + others + "}"
}

// What a line says by the names of its source's fields does not depend on how
// much else it holds.
func TestALineWithVeryManyValuesSaysWhatItWouldWithFew(t *testing.T) {
	const many = mostValues + 10
	source := &Source{
		Name: "wide", Keys: []string{"req_id", "span.trace.id"}, Links: []string{"retry_of"},
		Roles: Roles{Time: "at.ts", Duration: "ms", Status: "http.status", Error: "error", Route: "route", ToolCall: "tool", Worker: "w.orker"},
	}
	list, object := wideList(many), wideObject(many, `"x":"y"`)
	for name, line := range map[string]string{
		"a list beside":            `{"req_id":"req_1","at":{"ts":1767365400},"ms":5,"http":{"status":502},"error":"boom","route":"/a","tool":true,"pad":%s}`,
		"escapes and spaces":       ` { "r\u0065q_id" : "r\u0065q_1" , "pad" : %s , "ms" : 1.5e1 , "at.ts" : "2026-01-02T15:04:05Z" , "error" : "q\"q, }" } `,
		"keys twice":               `{"req_id":"no","ms":1,"other":"a","pad":%s,"req_id":"req_1","ms":2,"other":{"b":1}}`,
		"within what is named":     `{"span":{"pad":%s,"trace":{"id":"req_1","x":[]}},"at":{"ts":"yesterday"}}`,
		"a field that has it all":  `{"req_id":"req_1","at":%[1]s,"http":%[1]s,"tool":%[1]s}`,
		"an error that has it all": `{"req_id":"req_1","error":%s}`,
		"of another id":            `{"req_id":"req_12","pad":%s}`,
		"torn":                     `{"req_id":"req_1","pad":%s`,
		"two objects":              `{"req_id":"req_1","pad":%s}{}`,
		"a list":                   `[{"req_id":"req_1"},%s]`,
		"NUL around":               "\x00" + `{"req_id":"req_1","pad":%s}` + "\x00\r",
		"umlauts":                  "{\"req_id\":\"req_1\",\"\xff\":1,\"ü\":%s,\"error\":\"\xfe\"}",
	} {
		for kind, pad := range map[string]string{"list": list, "object": object} {
			text := []byte(fmt.Sprintf(line, pad))
			if !isWide(text) {
				t.Fatalf("%s: it has too few values", name)
			}
			fields, err := source.parse(text)
			whole, wholeErr := ParseObject(text)
			if (err == nil) != (wholeErr == nil) {
				t.Errorf("%s, %s: %v, and parsed whole %v", name, kind, err, wholeErr)
			}
			if diff := gocmp.Diff(saidBy(source, whole), saidBy(source, fields)); diff != "" {
				t.Errorf("%s, %s (-whole +narrowed):\n%s", name, kind, diff)
			}
		}
	}
}

// saidBy is all that a source's names say of fields, but for the words of an
// error that is an object or a list.
func saidBy(s *Source, fields map[string]any) map[string]string {
	said := map[string]string{"id": s.own(fields), "others": TextOf(fields, "other"), "failing": fmt.Sprint(s.Roles.ErrorOf(fields) != "")}
	for _, name := range s.named() {
		v, _ := Field(fields, name)
		said[name] = fmt.Sprint(text(v), Says(v))
	}
	return said
}

func TestAnErrorWithVeryManyValuesSaysItsMessage(t *testing.T) {
	s := accessSource()
	fields, err := s.parse([]byte(`{"req_id":"a","error":` + wideObject(mostValues+10, `"message":"boom","type":"E"`) + `}`))
	if err != nil || s.Roles.ErrorOf(fields) != "E: boom" {
		t.Errorf("%.200q, %v", s.Roles.ErrorOf(fields), err)
	}
	if fields, err = s.parse([]byte(`{"req_id":"a","error":` + wideList(mostValues+10) + `}`)); err != nil || !strings.Contains(s.Roles.ErrorOf(fields), unkept) {
		t.Errorf("%.200q, %v", s.Roles.ErrorOf(fields), err)
	}
}

// FuzzNarrowed holds what is kept of an object to what parsing it whole gives,
// however few its values.
func FuzzNarrowed(f *testing.F) {
	for _, line := range []string{
		`{"req_id":"a","at":{"ts":1},"at.ts":2,"error":{"type":"E","message":[]},"req_id":"b"}`,
		` {"r\u0065q_id" : -1e5 ,"w":{"orker":"}"},"x":[{"]":"\\"}], "other":null , "http":{"status":"502"} } `,
		"{\"\xff\":{\"req_id\":1},\"req_id\":\"\xff\",\"\":{}}", `{}`, `{"a":{},"retry_of":true,"tool":{"":[[]]}}`,
	} {
		f.Add([]byte(line))
	}
	source := &Source{
		Name: "wide", Keys: []string{"req_id", "span.trace.id"}, Links: []string{"retry_of"},
		Roles: Roles{Time: "at.ts", Duration: "ms", Status: "http.status", Error: "error", Route: "route", ToolCall: "tool", Worker: "w.orker"},
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		whole, err := ParseObject(line)
		if err != nil {
			return
		}
		fields, err := narrowed(bytes.Trim(line, "\x00 \t\r\n"), source.named(), len(line))
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(saidBy(source, whole), saidBy(source, fields)); diff != "" {
			t.Fatalf("(-whole +narrowed):\n%s", diff)
		}
	})
}

// A line within the longest that is read may have millions of values. Parsed
// whole, it took 20 to 80 times its own bytes.
func TestALineOfAMillionValuesTakesAFewTimesItsOwnMemory(t *testing.T) {
	const (
		values = 1_000_000
		most   = 14 // times; with the race detector's copies
	)
	stamp := pickAt.Format(time.RFC3339)
	for kind, wide := range map[string]string{
		"a list":      fmt.Sprintf(`{"ts":%q,"req_id":"req_1","status":503,"latency_ms":7,"x":[%s0]}`, stamp, strings.Repeat("10,", values-1)),
		"many keys":   fmt.Sprintf(`{%s"ts":%q,"req_id":"req_1","status":503,"latency_ms":7}`, strings.Repeat(`"k":1,`, values/2), stamp),
		"many levels": fmt.Sprintf(`{"ts":%q,"req_id":"req_1","status":503,"latency_ms":7,"x":[%s0]}`, stamp, strings.Repeat("[[],{}],", values/3)),
	} {
		path := filepath.Join(t.TempDir(), "access.ndjson")
		write(t, path, []byte(wide+"\n"))
		source := accessSource()
		source.Files = []string{path}
		x := openIndex(t, index.Options{})
		indexNow(t, x, source, path)
		for way, opts := range map[string]FilesOptions{"scan": {}, "index": {Index: x}} {
			opts.Sources, opts.Workers = []Source{*source}, 1
			h := NewFiles(opts)
			var was, is runtime.MemStats
			runtime.ReadMemStats(&was)
			found := find(t, h, Query{ID: "req_1"})
			picked, err := h.Pick(t.Context(), Pick{By: PickFailing, At: pickAt, N: 1})
			must(t, err)
			runtime.ReadMemStats(&is)
			if len(found.Records) != 1 || !bytes.Equal(found.Records[0].Raw, []byte(wide)) || !slices.ContainsFunc(picked.Candidates, func(c Candidate) bool { return c.Status == 503 }) {
				t.Errorf("%s, %s: %d records, %+v", kind, way, len(found.Records), picked)
			}
			if took := is.TotalAlloc - was.TotalAlloc; took > most*uint64(len(wide)) {
				t.Errorf("%s, %s: a line of %d MB took %d MB", kind, way, len(wide)>>20, took>>20)
			}
		}
	}
}
