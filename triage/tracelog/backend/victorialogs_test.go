package backend

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage/tracelog"
)

// victoria is a server that holds to the documentation of
// /select/logsql/query: form values, [start, end), the latest `limit` entries,
// flat string fields by name, one JSON object a line. Of LogsQL it knows what
// is asked of it: a filter in brackets and exact filters, as its lexer reads
// them.
type victoria struct {
	t       *testing.T
	entries []map[string]string
	asked   int
}

func (v *victoria) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.asked++
	if r.Method != http.MethodPost || r.URL.Path != "/select/logsql/query" || r.URL.RawQuery != "" {
		v.t.Errorf("asked %s %s", r.Method, r.URL)
	}
	start, err1 := time.Parse(time.RFC3339Nano, r.PostFormValue("start"))
	end, err2 := time.Parse(time.RFC3339Nano, r.PostFormValue("end"))
	if _, err := time.ParseDuration(r.PostFormValue("timeout")); err != nil || err1 != nil || err2 != nil {
		http.Error(w, "cannot parse args", http.StatusBadRequest)
		return
	}
	exact, ok := exactFilters(r.PostFormValue("query"))
	if !ok {
		http.Error(w, "cannot parse query ["+r.PostFormValue("query")+"]: unexpected token", http.StatusBadRequest)
		return
	}
	var hits []map[string]string
	for _, e := range v.entries {
		at, err := time.Parse(time.RFC3339Nano, e["_time"])
		if err != nil || at.Before(start) || !at.Before(end) {
			continue
		}
		for _, f := range exact {
			if e[f[0]] == f[1] {
				hits = append(hits, e)
				break
			}
		}
	}
	limit, _ := strconv.Atoi(r.PostFormValue("limit"))
	slices.SortFunc(hits, func(a, b map[string]string) int { return strings.Compare(b["_time"], a["_time"]) })
	for _, e := range hits[:min(limit, len(hits))] {
		json.NewEncoder(w).Encode(e)
	}
}

// exactFilters reads (filter) ("a":="b" or "c":="d") as lib/logstorage/parser.go
// does: a string is what strconv takes for one.
func exactFilters(query string) (pairs [][2]string, ok bool) {
	rest, ok := strings.CutPrefix(query, `({app="codex"}) (`)
	word := func() string {
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			ok = false
			return ""
		}
		rest = rest[len(quoted):]
		text, err := strconv.Unquote(quoted)
		ok = ok && err == nil
		return text
	}
	for ok {
		name := word()
		if rest, ok = strings.CutPrefix(rest, ":="); !ok {
			break
		}
		pairs = append(pairs, [2]string{name, word()})
		var more bool
		if rest, more = strings.CutPrefix(rest, " or "); !more {
			return pairs, ok && rest == ")"
		}
	}
	return nil, false
}

// entry is a log entry as VictoriaLogs keeps it.
func entry(after time.Duration, fields map[string]string) map[string]string {
	e := maps.Clone(fields)
	e["_time"] = began.Add(after).Format(timeFormat)
	e["_stream"] = `{app="codex"}`
	return e
}

func TestVictoriaLogsFindsTheEntriesOfARequest(t *testing.T) {
	server := &victoria{t: t, entries: []map[string]string{
		entry(3*time.Second, map[string]string{"req_id": "req_1", "ts": began.Add(2 * time.Second).Format(time.RFC3339Nano), "status": "502", "latency_ms": "41200"}),
		entry(time.Second, map[string]string{"ctx.req_id": "req_1", "_msg": "flattened"}),
		entry(4*time.Second, map[string]string{"req_id": "req_2", "retry_of": "req_1"}),
		entry(5*time.Second, map[string]string{"req_id": "req_10"}),
		entry(6*time.Second, map[string]string{"_msg": "req_1"}),
		entry(-8*time.Hour, map[string]string{"req_id": "req_1", "_msg": "before the look-back"}),
	}}
	found := find(t, newVictoria(t, serve(t, server.ServeHTTP)), tracelog.Query{ID: "req_1"})
	var got []string
	for _, r := range found.Records {
		got = append(got, fmt.Sprintf("%s %s %v", r.Time.Sub(began), r.ID, r.Links))
	}
	if diff := cmp.Diff([]string{"1s req_1 []", "2s req_1 []", "4s req_2 [req_2]"}, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if part := onlyPart(t, found.Coverage); !part.Complete || part.Note != "" || part.How != tracelog.HowQuery {
		t.Errorf("got %+v", part)
	}
}

func TestVictoriaLogsIDsStayInTheirString(t *testing.T) {
	server := &victoria{t: t}
	for i, id := range hostileIDs() {
		server.entries = append(server.entries, entry(time.Duration(i)*time.Second, map[string]string{"req_id": id}))
	}
	home := newVictoria(t, serve(t, server.ServeHTTP))
	for i, id := range hostileIDs() {
		found := find(t, home, tracelog.Query{ID: id})
		if len(found.Records) != 1 || !found.Records[0].Time.Equal(began.Add(time.Duration(i)*time.Second)) {
			t.Errorf("id %q: %q", id, allTold(found))
		}
	}
}

func TestVictoriaLogsStopsAtItsBound(t *testing.T) {
	server := &victoria{t: t}
	for i := range 10 {
		server.entries = append(server.entries, entry(time.Duration(i)*time.Second, map[string]string{"req_id": "req_1", "n": fmt.Sprint(i)}))
	}
	for bound, complete := range map[int]bool{9: false, 10: true, 11: true} {
		home := newVictoria(t, serve(t, server.ServeHTTP), func(o *VictoriaLogsOptions) { o.MaxRecords = bound })
		found := find(t, home, tracelog.Query{ID: "req_1"})
		if len(found.Records) != min(bound, 10) || found.Coverage.Complete != complete {
			t.Errorf("bound %d: %d records, %+v", bound, len(found.Records), found.Coverage)
		}
	}
}

func TestVictoriaLogsLooksAroundTheHintFirst(t *testing.T) {
	server := &victoria{t: t, entries: []map[string]string{
		entry(0, map[string]string{"req_id": "req_1"}),
		entry(30*time.Minute, map[string]string{"req_id": "req_1"}),
	}}
	home := newVictoria(t, serve(t, server.ServeHTTP))
	near := find(t, home, tracelog.Query{ID: "req_1", At: began, Near: true})
	if len(near.Records) != 1 || near.Coverage.Complete || server.asked != 1 {
		t.Errorf("asked %d times, %+v", server.asked, near.Coverage)
	}
	// A hint from before the look-back is searched, and the gap is said.
	old := find(t, home, tracelog.Query{ID: "req_1", At: noon.Add(-90 * 24 * time.Hour)})
	if part := onlyPart(t, old.Coverage); len(old.Records) != 2 || part.Complete || !strings.Contains(part.Note, "did not search from 2025-03-03T12:05:00Z to 2025-06-01T08:00:00Z") {
		t.Errorf("%d records, %+v", len(old.Records), part)
	}
}

func TestVictoriaLogsKeepsWhatCameBeforeABreak(t *testing.T) {
	const whole = `{"_time":"2025-06-01T11:00:00Z","req_id":"req_1"}` + "\n"
	tests := map[string]struct {
		body    string
		records int
		note    string
	}{
		"whole":                 {whole + whole, 2, ""},
		"no last newline":       {whole + strings.TrimSpace(whole), 2, ""},
		"blank lines":           {"\n\r\n" + whole + "\n", 1, ""},
		"cut in an entry":       {whole + whole[:30], 1, "broke its answer off"},
		"an error in between":   {whole + "cannot execute query: timeout\n" + whole, 1, "no JSON object"},
		"an entry of no fields": {whole + "{}\n", 1, ""},
		"a line over the cap":   {whole + `{"pad":"` + strings.Repeat("x", 200) + `","req_id":"req_1"}` + "\n", 1, tracelog.UnreadLines},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			home := newVictoria(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, test.body) }))
			home.source.MaxLine = 200
			found := find(t, home, tracelog.Query{ID: "req_1"})
			part := onlyPart(t, found.Coverage)
			if len(found.Records) != test.records || part.Complete != (test.note == "") || !strings.Contains(part.Note, test.note) {
				t.Errorf("%d records, %+v", len(found.Records), part)
			}
		})
	}
}

func TestVictoriaLogsPicksInOrder(t *testing.T) {
	tests := map[string]struct {
		pick    tracelog.Pick
		queries []string
		want    []string
	}{
		"slowest": {
			tracelog.Pick{By: tracelog.PickSlowest, N: 2, Within: time.Hour},
			[]string{`({app="codex"}) ("req_id":* or "ctx.req_id":*) "latency_ms":>=0 | sort by ("latency_ms" desc) limit 200`},
			[]string{"req_b 9s", "req_a 2s"},
		},
		"failing": {
			tracelog.Pick{By: tracelog.PickFailing, N: 2, Route: `/v1/"x"`},
			[]string{`({app="codex"}) ("req_id":* or "ctx.req_id":*) ("status":>=500 or ("error":* !"error":in("0","false","null","{}"))) "route":="/v1/\"x\"" | sort by (_time desc) limit 200`},
			[]string{"req_b 9s"},
		},
		"tool call": {
			tracelog.Pick{By: tracelog.PickToolCall, N: 60},
			[]string{
				`({app="codex"}) ("req_id":* or "ctx.req_id":*) ("status":>=500 or ("error":* !"error":in("0","false","null","{}"))) ("tool_call":* !"tool_call":in("0","false","null","{}")) | sort by (_time desc) limit 240`,
				`({app="codex"}) ("req_id":* or "ctx.req_id":*) ("tool_call":* !"tool_call":in("0","false","null","{}")) | sort by (_time desc) limit 240`,
			},
			[]string{"req_b 9s", "req_c 0s", "req_a 2s"},
		},
	}
	answer := []map[string]string{
		entry(time.Second, map[string]string{"req_id": "req_a", "latency_ms": "2000", "status": "200", "tool_call": "true"}),
		entry(time.Second, map[string]string{"req_id": "req_b", "latency_ms": "9000", "status": "503", "tool_call": "true"}),
		entry(2*time.Second, map[string]string{"req_id": "req_b", "latency_ms": "1000", "error": "gone", "tool_call": "true"}),
		entry(3*time.Second, map[string]string{"ctx.req_id": "req_c", "latency_ms": "NaN", "tool_call": "get_weather"}),
		entry(3*time.Second, map[string]string{"_msg": "of no request"}),
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var queries []string
			home := newVictoria(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				queries = append(queries, r.PostFormValue("query"))
				if r.PostFormValue("limit") != "" {
					t.Error("a limit beside a query that sorts would give the latest only")
				}
				for _, e := range answer {
					json.NewEncoder(w).Encode(e)
				}
			}))
			picked := pick(t, home, test.pick)
			var got []string
			for _, c := range picked.Candidates {
				took := c.Duration
				if c.ID == "req_b" { // which of its lines is shown depends on the order
					took = 9 * time.Second
				}
				got = append(got, fmt.Sprintf("%s %s", c.ID, took))
			}
			if diff := cmp.Diff(test.queries, queries); diff != "" {
				t.Errorf("queries (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("picked (-want +got):\n%s", diff)
			}
		})
	}
}
