package backend

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"text/scanner"
	"unicode/utf8"

	"github.com/prometheus/prometheus/util/strutil"

	"triagebot/triage/tracelog"
)

// wholeString says whether text begins with a literal of s and goes on with
// rest, as the lexers of all three languages see it.
func wholeString(t *testing.T, text, s, rest string) {
	t.Helper()
	// LogsQL.
	prefix, err := strconv.QuotedPrefix(text)
	if err != nil || text[len(prefix):] != rest {
		t.Fatalf("%q ends elsewhere than at %q: %v", text, rest, err)
	}
	// TraceQL and LogsQL.
	if got, err := strconv.Unquote(prefix); err != nil || got != s {
		t.Fatalf("%s is %q, not %q: %v", prefix, got, s, err)
	}
	// LogQL, which wants UTF-8 of the literal as it stands.
	if got, err := strutil.Unquote(prefix); err != nil || got != s || !utf8.ValidString(prefix) {
		t.Fatalf("%s is %q to Loki, not %q: %v", prefix, got, s, err)
	}
	// LogQL and TraceQL find the end with text/scanner.
	var sc scanner.Scanner
	sc.Init(strings.NewReader(text))
	sc.Error = func(_ *scanner.Scanner, msg string) { t.Fatalf("scan %q: %s", prefix, msg) }
	if sc.Scan() != scanner.String || sc.TokenText() != prefix {
		t.Fatalf("%q is scanned as %q", text, sc.TokenText())
	}
}

func FuzzQuote(f *testing.F) {
	for _, id := range append(hostileIDs(), "req_1", "", "\xff\xfe", "\u2028", "\ufeff", "\U0010ffff", `\u0022`) {
		f.Add(id)
	}
	const nowhere = "http://127.0.0.1"
	loki := newLoki(f, nowhere, func(o *LokiOptions) { o.Selector = "{}" })
	victoria := newVictoria(f, nowhere, func(o *VictoriaLogsOptions) { o.Filter = "" })
	tempo := newTempo(f, nowhere)
	f.Fuzz(func(t *testing.T, id string) {
		wholeString(t, quote(id), id, "")
		if plainID(id) && strings.Trim(quote(id), `"`) != id {
			t.Fatalf("%q is not plain", id)
		}
		if checkID(id) != nil {
			return
		}
		// The queries differ from those of a harmless id in the literal alone.
		const harmless = "0123x"
		for name, query := range map[string]func(id string) string{"Loki": loki.findQuery, "VictoriaLogs": victoria.findQuery, "Tempo": tempo.findQuery} {
			want, got := query(harmless), query(id)
			if name == "Loki" && !plainID(id) {
				want = strings.Replace(want, " |= "+quote(harmless), "", 1)
			}
			for i, part := range strings.Split(want, quote(harmless)) {
				if i > 0 {
					prefix, err := strconv.QuotedPrefix(got)
					if err != nil {
						t.Fatalf("%s: no literal at %q", name, got)
					}
					if text, err := strconv.Unquote(prefix); err != nil || text != id {
						t.Fatalf("%s: %s is not %q", name, prefix, id)
					}
					got = got[len(prefix):]
					if name == "Tempo" && strings.HasPrefix(got, " || .") && strings.Trim(id, "0123456789") == "" {
						return // as a number too, see TestTempoIDsStayInTheirString
					}
				}
				rest, ok := strings.CutPrefix(got, part)
				if !ok {
					t.Fatalf("%s: %q does not begin with %q", name, got, part)
				}
				got = rest
			}
			if got != "" {
				t.Fatalf("%s: %q is left", name, got)
			}
		}
	})
}

// body answers every request with one body.
type body []byte

func (b body) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: readCloser{strings.NewReader(string(b))}}, nil
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// Whatever a server answers, a lookup ends, gives only records that are of the
// id, within its bounds, and says so when it cannot be sure of being complete.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		`{"status":"success","data":{"resultType":"streams","result":[{"stream":{"app":"codex"},"values":[["1748775600000000000","{\"req_id\":\"req_1\"}"]]}]}}`,
		`{"status":"success","data":{"resultType":"matrix","result":[]}}`,
		`{"_time":"2025-06-01T11:00:00Z","req_id":"req_1"}` + "\n" + `{"_time":"`,
		`{"batches":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"x"}}]},"scopeSpans":[{"spans":[{"traceId":"CvdlGRbNQ92ESOshHIAxnA==","spanId":"APBnqgupArc=","startTimeUnixNano":"1748775600000000000","endTimeUnixNano":1748775601000000000,"attributes":[{"key":"req_id","value":{"stringValue":"req_1"}},{"key":"n","value":{"arrayValue":{"values":[{"intValue":"7"},{"doubleValue":1.5},{"kvlistValue":{"values":[]}}]}}}],"status":{"code":2},"events":[{"timeUnixNano":"1","name":"exception"}]}]}]}]}`,
		`{"trace":{"resourceSpans":[{"instrumentationLibrarySpans":[{"spans":[{}]}]}]},"status":1}`,
		`{"traces":[{"traceID":"af7651916cd43dd8448eb211c80319c","durationMs":7,"spanSet":{"spans":[{"durationNanos":"9223372036854775807"}]}}]}`,
		`{"data":[{"traceID":"0af7651916cd43dd8448eb211c80319c","spans":[{"traceID":"0af7651916cd43dd8448eb211c80319c","spanID":"1","startTime":1748775600000000,"duration":18446744073709551615,"tags":[{"key":"req_id","value":"req_1"},{"key":"error","value":true},{"key":"x"}],"logs":[{"timestamp":1,"fields":[]}],"processID":"p"}],"processes":{"p":{"serviceName":"s"}}}],"errors":[{"code":500,"msg":"x"}]}`,
		`{"data":["codex"],"traces":null,"batches":null}`,
		`null`, ``, "\x00", `[]`, `{"traces":[{}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		const bound = 5
		for kind, home := range homes(t, "http://127.0.0.1", func(o *Options) {
			o.Client, o.MaxRecords, o.MaxBytes = &http.Client{Transport: body(answer)}, bound, 1<<16
		}) {
			for _, id := range []string{"req_1", traceOne} {
				found, err := home.Find(context.Background(), tracelog.Query{ID: id})
				if err != nil {
					if found != nil {
						t.Fatalf("%s: records and an error", kind)
					}
					continue
				}
				if len(found.Records) > bound {
					t.Fatalf("%s: %d records", kind, len(found.Records))
				}
				named := len(found.Records) == 0
				for i := range found.Records {
					r := &found.Records[i]
					if r.Roles == nil || r.Source != home.Name() {
						t.Fatalf("%s: record %+v", kind, r)
					}
					fields, err := tracelog.ParseObject(r.Raw)
					if err != nil {
						t.Fatalf("%s: line %q: %v", kind, r.Raw, err)
					}
					if i > 0 && r.Before(&found.Records[i-1]) {
						t.Fatalf("%s: not in order", kind)
					}
					s := span{attributes: fields}
					if attributes, ok := fields["attributes"].(map[string]any); ok && (kind == "Tempo" || kind == "Jaeger") {
						s.attributes = attributes
					}
					s.resource, _ = fields["resource"].(map[string]any)
					of := s.anyAttribute("req_id", "ctx.req_id") == id || s.attribute("ctx.req_id") == id || s.attribute("retry_of") == id
					named = named || of || sameTrace(tracelog.TextOf(fields, "trace_id"), id) || len(found.Records) == bound
					if !of && (kind == "Loki" || kind == "VictoriaLogs") {
						t.Fatalf("%s: %s is not of %s", kind, r.Raw, id)
					}
				}
				if !named {
					t.Fatalf("%s: no record names %s", kind, id)
				}
			}
			if picked, err := home.Pick(context.Background(), tracelog.Pick{By: tracelog.PickSlowest, At: noon, N: 3}); err == nil && len(picked.Candidates) > 3 {
				t.Fatalf("%s: picked %d", kind, len(picked.Candidates))
			}
		}
	})
}
