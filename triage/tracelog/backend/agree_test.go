package backend

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"triagebot/triage/tracelog"
	"triagebot/triage/tracelog/index"
)

// meaning is what a value says, whoever reads it: as a duration in
// milliseconds, as a status, and as an error; a tool call is what says
// something.
type meaning struct {
	Timed  bool // it is a duration
	Took   time.Duration
	Status int
	Error  string
	Tool   bool
}

// nothing is what values say that are there to say nothing.
var nothing = meaning{}

func ms(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }

// saidAs is a value that says something which is no number.
func saidAs(text string) meaning { return meaning{Error: text, Tool: true} }

// TestAllReadersOfAValueAgree reads values as logs have them with all who read
// them: the facts of a lookup and a pick, from files with and without an index,
// from backends that keep the line, and from one that keeps all as text.
func TestAllReadersOfAValueAgree(t *testing.T) {
	zero := meaning{Timed: true}
	for value, want := range map[string]meaning{
		`null`: nothing, `"null"`: nothing, `false`: nothing, `"false"`: nothing, `""`: nothing,
		`{}`: nothing, `"{}"`: nothing, `[]`: nothing, `"[]"`: nothing,
		`0`: zero, `"0"`: zero, `0.0`: zero, `"0.0"`: zero, `-0`: zero, `"-0"`: zero, `0e9`: zero, `"+0"`: zero, `"0x0p0"`: zero,

		`true`: saidAs("error"), `"true"`: saidAs("error"),
		`"boom"`: saidAs("boom"), `" "`: saidAs(" "), `"FALSE"`: saidAs("FALSE"), `"-"`: saidAs("-"), `"."`: saidAs("."),
		`"1.5s"`: saidAs("1.5s"), `"250ms"`: saidAs("250ms"), `"1,5"`: saidAs("1,5"), `" 503"`: saidAs(" 503"), `"503 "`: saidAs("503 "),
		`"NaN"`: saidAs("NaN"), `"Infinity"`: saidAs("Infinity"), `"-inf"`: saidAs("-inf"), `"0x1f7"`: saidAs("0x1f7"),

		`503`:                    {true, ms(503), 503, "503", true},
		`"503"`:                  {true, ms(503), 503, "503", true},
		`503.7`:                  {true, ms(503.7), 503, "503.7", true},
		`5.03e2`:                 {true, ms(503), 503, "5.03e2", true},
		`"5.03E2"`:               {true, ms(503), 503, "5.03E2", true},
		`"0x1p9"`:                {true, ms(512), 512, "0x1p9", true},
		`499.99`:                 {true, ms(499.99), 499, "499.99", true},
		`404`:                    {true, ms(404), 404, "404", true},
		`100`:                    {true, ms(100), 100, "100", true},
		`99`:                     {true, ms(99), 0, "99", true},
		`999`:                    {true, ms(999), 999, "999", true},
		`1000`:                   {true, time.Second, 0, "1000", true},
		`0.5`:                    {true, ms(0.5), 0, "0.5", true},
		`-503`:                   saidAs("-503"),
		`"-0.001"`:               saidAs("-0.001"),
		`9e12`:                   {true, 9e18, 0, "9e12", true},
		`9223372036855`:          saidAs("9223372036855"), // a millisecond more than there are nanoseconds
		`1e300`:                  saidAs("1e300"),
		`"1e999"`:                saidAs("1e999"),
		`1e999`:                  saidAs("1e999"),
		`["a",1]`:                saidAs(`["a",1]`),
		`[0]`:                    saidAs(`[0]`),
		`{"code":7}`:             saidAs(`{"code":7}`),
		`{"message":"boom"}`:     saidAs("boom"),
		`{"message":""}`:         saidAs(`{"message":""}`),
		`{"message":503}`:        saidAs("503"),
		`{"message":{"a":null}}`: saidAs(`{"message":{"a":null}}`),
		`{"type":"Timeout","message":"too slow"}`: saidAs("Timeout: too slow"),
		`"` + strings.Repeat("ü", 600) + `"`:      saidAs(strings.Repeat("ü", 512)),
	} {
		t.Run(fmt.Sprintf("%.40s", value), func(t *testing.T) {
			for name, home := range homesThatHold(t, value) {
				if name == "VictoriaLogs" && value[0] == '{' && value != `{}` {
					continue // it would have the fields of the object
				}
				if diff := cmp.Diff(want, read(t, home)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

// holding has a home for each role, whose only record has the value there.
type holding map[string]tracelog.Home

// homesThatHold are those of each kind.
func homesThatHold(t *testing.T, value string) map[string]holding {
	t.Helper()
	plain := value // as VictoriaLogs gives it: all is text
	if value[0] != '"' {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		plain = string(text)
	}
	all := map[string]holding{"files": {}, "indexed files": {}, "Loki": {}, "VictoriaLogs": {}}
	for _, role := range []string{"latency_ms", "status", "error", "tool_call"} {
		// A nested field of the name is another one; an index takes it for the same.
		line := fmt.Sprintf(`{"ts":%q,"_time":%[1]q,"req_id":"req_1","other":{%q:"x"},%[2]q:%s}`, noon.Add(-time.Hour).Format(time.RFC3339), role, value)
		all["files"][role], all["indexed files"][role] = filesOf(t, line)
		text, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		all["Loki"][role] = homes(t, "http://127.0.0.1", answering(fmt.Sprintf(
			`{"status":"success","data":{"resultType":"streams","result":[{"stream":{},"values":[["%d",%s]]}]}}`, noon.Add(-time.Hour).UnixNano(), text)))["Loki"]
		all["VictoriaLogs"][role] = homes(t, "http://127.0.0.1", answering(strings.TrimSuffix(line, value+"}")+plain+"}\n"))["VictoriaLogs"]
	}
	return all
}

func answering(answer string) func(*Options) {
	return func(o *Options) { o.Client = &http.Client{Transport: body(answer)} }
}

// filesOf are a log of one line, without an index and with one.
func filesOf(t *testing.T, line string) (scanned, indexed tracelog.Home) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "access.ndjson")
	if err := os.WriteFile(path, []byte(line+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	x, err := index.Open(filepath.Join(dir, "index"), index.Options{ParseTime: tracelog.ParseTime})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	o := lineOptions("")
	sources := []tracelog.Source{{Name: o.Name, Files: []string{path}, Keys: o.Keys, Links: o.Links, Roles: o.Roles}}
	with := tracelog.NewFiles(tracelog.FilesOptions{Sources: sources, Index: x})
	log := logrus.New()
	log.Out = io.Discard
	if done := tracelog.NewIndexer(tracelog.IndexerOptions{Index: x, Files: func() *tracelog.Files { return with }, Log: log}).Update(t.Context(), false); done.Logs != 1 {
		t.Fatalf("indexed %+v", done)
	}
	return tracelog.NewFiles(tracelog.FilesOptions{Sources: sources}), with
}

// read is what the homes say of the value, once by the facts of a lookup and
// once by picks, which must be the same.
func read(t *testing.T, homes holding) (r meaning) {
	t.Helper()
	facts := func(role string) *tracelog.Facts {
		trace := tracelog.Trace{ID: "req_1"}
		for _, record := range find(t, homes[role], tracelog.Query{ID: "req_1"}).Records {
			trace.Records = append(trace.Records, tracelog.Traced{Record: record, FoundBy: "req_1"})
		}
		if len(trace.Records) != 1 {
			t.Fatalf("%d records", len(trace.Records))
		}
		return trace.Facts()
	}
	pick := func(role string, by tracelog.PickBy) (tracelog.Candidate, bool) {
		picked, err := homes[role].Pick(t.Context(), tracelog.Pick{By: by, At: noon, N: 2})
		if err != nil || len(picked.Candidates) > 1 {
			t.Fatalf("%+v, %v", picked, err)
		}
		if len(picked.Candidates) == 0 {
			return tracelog.Candidate{}, false
		}
		return picked.Candidates[0], true
	}

	r.Took, r.Status = facts("latency_ms").Reported, facts("status").Status
	if errors := facts("error").Errors; len(errors) > 0 {
		r.Error = errors[0].Text
	}
	r.Tool = facts("tool_call").Tool

	slow, timed := pick("latency_ms", tracelog.PickSlowest)
	broken, failing := pick("status", tracelog.PickFailing)
	erring, fails := pick("error", tracelog.PickFailing)
	_, tool := pick("tool_call", tracelog.PickToolCall)
	r.Timed = timed
	if slow.Duration != r.Took || failing != (r.Status >= 500) || failing && broken.Status != r.Status ||
		fails != (r.Error != "") || erring.Error != r.Error || tool != r.Tool {
		t.Errorf("picks say otherwise than facts, which have %+v: took %s, status %d, error %q, tool call %v", r, slow.Duration, broken.Status, erring.Error, tool)
	}
	return r
}

// A span's attributes are read like a line's fields, the service's too.
func TestSpansAreReadAsLinesAre(t *testing.T) {
	for tags, want := range map[string]tracelog.Candidate{
		`{"key":"code","value":"5.03e2"}`:                               {Status: 503},
		`{"key":"code","value":503.0}`:                                  {Status: 503},
		`{"key":"code","value":"503 Service Unavailable"}`:              {},
		`{"key":"code","value":50300}`:                                  {},
		`{"key":"why","value":"false"}`:                                 {},
		`{"key":"why","value":"0"}`:                                     {},
		`{"key":"why","value":true}`:                                    {Error: "error"},
		`{"key":"why","value":{"message":"boom"}}`:                      {Error: "boom"},
		`{"key":"why","value":["a"]}`:                                   {Error: `["a"]`},
		`{"key":"error","value":"true"}`:                                {Error: "error"},
		`{"key":"error","value":1}`:                                     {Error: "error"},
		`{"key":"error","value":"false"}`:                               {},
		`{"key":"error","value":true},{"key":"why","value":"false"}`:    {Error: "error"},
		`{"key":"why","value":true},{"key":"error.type","value":"EOF"}`: {Error: "EOF"},
	} {
		t.Run(tags, func(t *testing.T) {
			answer := `{"data":[{"traceID":"0af7651916cd43dd8448eb211c80319c","spans":[{"traceID":"0af7651916cd43dd8448eb211c80319c","spanID":"1","startTime":1748775600000000,"duration":1000,"tags":[{"key":"req_id","value":"req_1"},` + tags + `]}]}]}`
			home := homes(t, "http://127.0.0.1", func(o *Options) {
				answering(answer)(o)
				o.Roles.Status, o.Roles.Error = "code", "why"
			})["Jaeger"]
			picked, err := home.Pick(t.Context(), tracelog.Pick{By: tracelog.PickSlowest, At: noon, N: 1})
			if err != nil || len(picked.Candidates) != 1 {
				t.Fatalf("%+v, %v", picked, err)
			}
			got := picked.Candidates[0]
			if got.Status != want.Status || got.Error != want.Error {
				t.Errorf("picked with %d, %q; want %d, %q", got.Status, got.Error, want.Status, want.Error)
			}
			trace := tracelog.Trace{ID: "req_1"}
			for _, record := range find(t, home, tracelog.Query{ID: "req_1"}).Records {
				trace.Records = append(trace.Records, tracelog.Traced{Record: record, FoundBy: "req_1"})
			}
			facts := trace.Facts()
			meaning := ""
			if len(facts.Errors) > 0 {
				meaning = facts.Errors[0].Text
			}
			if facts.Status != want.Status || meaning != want.Error {
				t.Errorf("the facts have %d, %q; want %d, %q", facts.Status, meaning, want.Status, want.Error)
			}
		})
	}
}

func TestADurationThatTempoCannotMeanIsNone(t *testing.T) {
	for given, want := range map[string]time.Duration{"41200": 41200 * time.Millisecond, "-1": 0, "9223372036854775807": 0, "9223372036855": 0} {
		answer := `{"traces":[{"traceID":"0af7651916cd43dd8448eb211c80319c","startTimeUnixNano":"1748775600000000000","durationMs":` + given + `}]}`
		picked, err := homes(t, "http://127.0.0.1", answering(answer))["Tempo"].Pick(t.Context(), tracelog.Pick{By: tracelog.PickSlowest, At: noon, N: 1})
		if err != nil || len(picked.Candidates) != 1 || picked.Candidates[0].Duration != want {
			t.Errorf("%s ms: %+v, %v", given, picked, err)
		}
	}
}
