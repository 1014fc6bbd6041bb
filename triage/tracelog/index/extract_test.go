package index

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

func parseRFC3339(text string) (time.Time, error) { return time.Parse(time.RFC3339, text) }

func newTestExtractor(t testing.TB) *extractor {
	t.Helper()
	e, err := newExtractor(&testSpec, parseRFC3339)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestIDsHoweverTheyAreWritten(t *testing.T) {
	tests := map[string]struct {
		line string
		ids  []string
	}{
		"plain":                       {`{"req_id":"req_1"}`, []string{"req_1"}},
		"spaces":                      {"{ \"req_id\" \t\r:\t \"req_1\" }", []string{"req_1"}},
		"an escaped value":            {`{"req_id":"\u0072eq\/1"}`, []string{"req/1"}},
		"an escaped key":              {`{"req\u005fid":"req_1"}`, []string{"req_1"}},
		"all of the key escaped":      {`{"\u0072\u0065\u0071\u005F\u0069\u0064" : "req_1"}`, slices.Repeat([]string{"req_1"}, 6)},
		"nested":                      {`{"a":{"req_id":"req_1"}}`, []string{"req_1"}},
		"twice":                       {`{"req_id":"req_1","req_id":"req_2"}`, []string{"req_1", "req_2"}},
		"a number":                    {`{"req_id":-1.50e3}`, []string{"-1.50e3"}},
		"a dotted key, its last part": {`{"retry":{"of":"req_1"}}`, []string{"req_1"}},
		"a dotted key, as it is":      {`{"retry.of":"req_1"}`, []string{"req_1"}},
		"in a message":                {`{"msg":"\"req_id\":\"req_1\""}`, nil},
		"another key's end":           {`{"xreq_id":"req_1"}`, nil},
		"another key's begin":         {`{"req_idx":"req_1"}`, nil},
		"neither string nor number":   {`{"req_id":null,"trace_id":["req_1"]}`, nil},
		"empty":                       {`{"req_id":""}`, nil},
		"torn in the value":           {`{"req_id":"req_1`, nil},
		"torn after a backslash":      {`{"req_id":"req\`, nil},
		"torn after the key":          {`{"req_id":`, nil},
		"no UTF-8":                    {"{\"req_id\":\"a\xff\"}", []string{"a\ufffd"}},
		"a long one":                  {`{"req_id":"0123456789abcdef0123456789abcdef"}`, []string{"0123456789abcdef0123456789abcdef"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var want []uint64
			for _, id := range test.ids {
				want = append(want, hashID([]byte(id)))
			}
			e := newTestExtractor(t)
			// What stands after the line must not matter.
			for _, after := range []string{"\n", "\n\"}\n", "\n{\"a\":\"bcdefghijklmnopq\"}\n"} {
				lines := 0
				e.scan([]byte(test.line+after), func(start, end int, l *line) bool {
					if lines++; start == 0 && (end != len(test.line) || !slices.Equal(l.ids, want)) {
						t.Errorf("followed by %q: the line to %d has %d ids, of which %d were wanted", after, end, len(l.ids), len(want))
					}
					return true
				})
				if lines != bytes.Count([]byte(after), []byte("\n")) {
					t.Errorf("followed by %q: %d lines", after, lines)
				}
			}
		})
	}
}

// FuzzExtract holds the ids that are found in lines against those that
// encoding/json finds.
func FuzzExtract(f *testing.F) {
	f.Add([]byte("{\"req_id\":\"req_1\"}\n{\"req\\u005fid\" : \"\\/\"}\r\n"))
	f.Add([]byte("{\"retry\":{\"of\":7.0},\"trace_id\":\"\xff\\ud800\"}"))
	f.Add([]byte("\x00{\"req_id\":\"a\",\"req_id\":\"b\\\n\"}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		text = append(text, '\n')
		e := newTestExtractor(t)
		next := 0
		e.scan(text, func(start, end int, l *line) bool {
			naiveLines(text, Range{int64(next), int64(start)}, testSpec.MaxLine, func(at int64, _ []byte) {
				t.Fatalf("the line at %d was left out", at)
			})
			next = end + 1
			fields := naiveFields(text[start:end])
			for _, key := range testSpec.Keys {
				v, _ := naiveValue(fields, key)
				if id := naiveText(v); id != "" && !slices.Contains(l.ids, hashID([]byte(id))) {
					t.Errorf("%q is not found in %q", id, text[start:end])
				}
			}
			b := block{summary: l.summary}
			promised := b.public()
			if wrong := brokenPromise(&promised, fields, &testSpec); wrong != "" && !promised.Unsure {
				t.Errorf("%s of %q: %+v", wrong, text[start:end], promised)
			}
			return true
		})
	})
}
