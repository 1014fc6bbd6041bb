package backend

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage/tracelog"
)

// tempoServer holds to Tempo's documentation: /api/v2/traces/{id} and
// /api/traces/{id} by id in hex, 404 where there is none; /api/search by
// TraceQL with start and end in seconds, no further apart than 168 hours, 400
// otherwise; the first `limit` traces that match, in no order. Ids in traces
// are base64. Of TraceQL it knows the equality of attributes.
type tempoServer struct {
	t      *testing.T
	old    bool // has no v2
	traces map[string]*otlpTraceJSON
	asked  []string
}

// otlpTraceJSON is a trace with what a search knows of it.
type otlpTraceJSON struct {
	tags map[string]any
	body map[string]any
}

func (s *tempoServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked = append(s.asked, r.URL.Path)
	v2, isV2 := strings.CutPrefix(r.URL.Path, "/api/v2/traces/")
	v1, isV1 := strings.CutPrefix(r.URL.Path, "/api/traces/")
	switch {
	case isV2 && !s.old:
		s.trace(w, v2, func(trace map[string]any) any {
			return map[string]any{"trace": map[string]any{"resourceSpans": trace["batches"]}, "metrics": map[string]any{}}
		})
	case isV1:
		s.trace(w, v1, func(trace map[string]any) any { return trace })
	case r.URL.Path == "/api/search":
		s.search(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *tempoServer) trace(w http.ResponseWriter, id string, shape func(map[string]any) any) {
	if _, err := hex.DecodeString(id); err != nil {
		http.Error(w, "trace IDs can only contain hex characters: "+err.Error(), http.StatusBadRequest)
		return
	}
	trace := s.traces[id]
	if trace == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	json.NewEncoder(w).Encode(shape(trace.body))
}

func (s *tempoServer) search(w http.ResponseWriter, r *http.Request) {
	start, err1 := strconv.ParseInt(r.FormValue("start"), 10, 64)
	end, err2 := strconv.ParseInt(r.FormValue("end"), 10, 64)
	limit, err3 := strconv.Atoi(r.FormValue("limit"))
	pairs, ok := traceQLEquals(r.FormValue("q"))
	switch {
	case err1 != nil || err2 != nil || err3 != nil || end <= start:
		http.Error(w, "invalid start, end or limit", http.StatusBadRequest)
		return
	case end-start > 168*3600:
		http.Error(w, "range specified by start and end exceeds 168h0m0s", http.StatusBadRequest)
		return
	case !ok:
		http.Error(w, "invalid TraceQL query: parse error at line 1", http.StatusBadRequest)
		return
	}
	hits := []map[string]any{}
	for id, trace := range s.traces {
		for name, want := range pairs {
			if slices.Contains(want, trace.tags[name]) && len(hits) < limit {
				// Leading zeros are left out.
				hits = append(hits, map[string]any{"traceID": strings.TrimLeft(id, "0"), "startTimeUnixNano": "1", "durationMs": 1})
				break
			}
		}
	}
	json.NewEncoder(w).Encode(map[string]any{"traces": hits, "metrics": map[string]any{"totalBlocks": 1}})
}

// traceQLEquals reads { .a = "x" || .b = 7 } as pkg/traceql/lexer.go does: a
// string is what strconv takes for one, an integer what Atoi does.
func traceQLEquals(q string) (pairs map[string][]any, ok bool) {
	pairs = map[string][]any{}
	rest, ok := strings.CutPrefix(q, "{ ")
	for ok {
		var name string
		if name, rest, ok = strings.Cut(rest, " = "); !ok || !strings.HasPrefix(name, ".") {
			return nil, false
		}
		name = strings.Trim(name[1:], `"`)
		if quoted, err := strconv.QuotedPrefix(rest); err == nil {
			text, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, false
			}
			pairs[name] = append(pairs[name], text)
			rest = rest[len(quoted):]
		} else {
			digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
			n, err := strconv.Atoi(digits)
			if err != nil || len(digits) > 1 && digits[0] == '0' {
				return nil, false
			}
			pairs[name] = append(pairs[name], n)
			rest = rest[len(digits):]
		}
		if rest == " }" {
			return pairs, true
		}
		rest, ok = strings.CutPrefix(rest, " || ")
	}
	return nil, false
}

func base64ID(t *testing.T, id string) string {
	t.Helper()
	raw, err := hex.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

func attribute(key, kind string, v any) map[string]any {
	return map[string]any{"key": key, "value": map[string]any{kind: v}}
}

func nanos(after time.Duration) string {
	return strconv.FormatInt(began.Add(after).UnixNano(), 10)
}

// aTrace is a request as OpenTelemetry's SDKs report it: a server's span with
// an attempt below it that failed, and an event.
func aTrace(t *testing.T, id string, tags map[string]any) *otlpTraceJSON {
	t.Helper()
	attributes := []any{
		attribute("http.route", "stringValue", "/v1/chat/completions"),
		attribute("http.response.status_code", "intValue", "502"),
		attribute("tool_call", "boolValue", true),
	}
	for name, v := range tags {
		kind := "stringValue"
		if _, isInt := v.(int); isInt {
			kind = "intValue"
		}
		attributes = append(attributes, attribute(name, kind, v))
	}
	resource := map[string]any{"attributes": []any{
		attribute("service.name", "stringValue", "codex"), attribute("worker.name", "stringValue", "w3"),
	}}
	spans := []any{
		map[string]any{
			"traceId": base64ID(t, id), "spanId": base64ID(t, spanA), "name": "POST /v1/chat/completions", "kind": "SPAN_KIND_SERVER",
			"startTimeUnixNano": nanos(0), "endTimeUnixNano": nanos(41 * time.Second), "attributes": attributes, "status": map[string]any{},
		},
		map[string]any{
			"traceId": base64ID(t, id), "spanId": base64ID(t, spanB), "parentSpanId": base64ID(t, spanA), "name": "attempt", "kind": 3,
			"startTimeUnixNano": nanos(time.Second), "endTimeUnixNano": nanos(40 * time.Second),
			"status": map[string]any{"code": "STATUS_CODE_ERROR", "message": "backend gone"},
			"events": []any{map[string]any{"timeUnixNano": nanos(39 * time.Second), "name": "first chunk", "attributes": []any{attribute("chunk.seq", "intValue", "1")}}},
		},
	}
	return &otlpTraceJSON{tags: tags, body: map[string]any{"batches": []any{
		map[string]any{"resource": resource, "scopeSpans": []any{map[string]any{"spans": spans}}},
	}}}
}

func TestTempoFindsATraceByAnAttribute(t *testing.T) {
	server := &tempoServer{t: t, traces: map[string]*otlpTraceJSON{
		traceOne: aTrace(t, traceOne, map[string]any{"req_id": "req_1"}),
		traceTwo: aTrace(t, traceTwo, map[string]any{"req_id": "req_10"}),
	}}
	home := newTempo(t, serve(t, server.ServeHTTP))
	found := find(t, home, tracelog.Query{ID: "req_1"})
	if diff := cmp.Diff(wantSpans(), spanRecords(t, found, traceOne)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if part := onlyPart(t, found.Coverage); !part.Complete || part.Note != "" {
		t.Errorf("got %+v", part)
	}
	for _, r := range found.Records {
		if !cmp.Equal(r.Links, []string{traceOne}) {
			t.Errorf("links %q", r.Links)
		}
	}
}

func TestTempoFindsATraceByItsID(t *testing.T) {
	for _, old := range []bool{false, true} {
		for _, id := range []string{traceOne, strings.ToUpper(traceOne), traceTwo[16:], traceTwo} {
			whole := strings.ToLower(padded(id))
			server := &tempoServer{t: t, old: old, traces: map[string]*otlpTraceJSON{
				whole: aTrace(t, whole, map[string]any{"req_id": "req_1"}),
			}}
			if len(id) == 16 { // Tempo pads
				server.traces[id] = server.traces[whole]
			}
			found := find(t, newTempo(t, serve(t, server.ServeHTTP)), tracelog.Query{ID: id})
			if !found.Coverage.Complete || !found.Coverage.From.IsZero() || slices.Contains(server.asked, "/api/search") {
				t.Errorf("asked %q, %+v", server.asked, found.Coverage)
			}
			if diff := cmp.Diff(wantSpans(), spanRecords(t, found, whole)); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if r := found.Records[2]; !cmp.Equal(r.Links, []string{"req_1"}) {
				t.Errorf("links %q", r.Links)
			}
		}
	}
}

func TestTempoTakesAnIDInHexForAnAttributeToo(t *testing.T) {
	server := &tempoServer{t: t, traces: map[string]*otlpTraceJSON{traceTwo: aTrace(t, traceTwo, map[string]any{"req_id": traceOne})}}
	if found := find(t, newTempo(t, serve(t, server.ServeHTTP)), tracelog.Query{ID: traceOne}); len(found.Records) != 3 || !found.Coverage.Complete {
		t.Errorf("asked %q, %+v", server.asked, found.Coverage)
	}
}

func TestTempoIDsStayInTheirString(t *testing.T) {
	server := &tempoServer{t: t, traces: map[string]*otlpTraceJSON{}}
	ids := hostileIDs()
	for i, id := range ids {
		trace := fmt.Sprintf("%032x", i+1)
		server.traces[trace] = aTrace(t, trace, map[string]any{"req_id": id})
	}
	server.traces[traceOne] = aTrace(t, traceOne, map[string]any{"req_id": 7})
	home := newTempo(t, serve(t, server.ServeHTTP))
	for i, id := range ids {
		found := find(t, home, tracelog.Query{ID: id})
		if len(found.Records) != 3 || tracelog.TextOf(found.Records[0].Fields, "trace_id") != fmt.Sprintf("%032x", i+1) {
			t.Errorf("id %q: %q", id, allTold(found))
		}
	}
	for _, id := range []string{"7", "007", "0"} { // a number in the trace is the id as it is written
		if found := find(t, home, tracelog.Query{ID: id}); (len(found.Records) > 0) != (id == "7") {
			t.Errorf("id %q: %q", id, allTold(found))
		}
	}
}

func TestTempoSaysWhatIsMissing(t *testing.T) {
	many := &tempoServer{t: t, traces: map[string]*otlpTraceJSON{}}
	for i := range 5 {
		id := fmt.Sprintf("%032x", i+1)
		many.traces[id] = aTrace(t, id, map[string]any{"req_id": "req_1"})
	}
	found := find(t, newTempo(t, serve(t, many.ServeHTTP), func(o *TempoOptions) { o.MaxTraces = 3 }), tracelog.Query{ID: "req_1"})
	if part := onlyPart(t, found.Coverage); part.Complete || len(found.Records) != 9 || !strings.Contains(part.Note, "more than 3 traces") {
		t.Errorf("%d records, %+v", len(found.Records), part)
	}

	partial := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		body := aTrace(t, traceOne, nil).body
		json.NewEncoder(w).Encode(map[string]any{"trace": map[string]any{"resourceSpans": body["batches"]}, "status": "PARTIAL", "message": "trace exceeds max size"})
	})
	found = find(t, newTempo(t, serve(t, partial)), tracelog.Query{ID: traceOne})
	if part := onlyPart(t, found.Coverage); part.Complete || len(found.Records) != 3 || !strings.Contains(part.Note, "trace exceeds max size") {
		t.Errorf("%d records, %+v", len(found.Records), part)
	}

	gone := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/search" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `{"traces":[{"traceID":%q}]}`, traceOne)
	})
	found = find(t, newTempo(t, serve(t, gone)), tracelog.Query{ID: "req_1"})
	if part := onlyPart(t, found.Coverage); part.Complete || !strings.Contains(part.Note, "not there to be read") {
		t.Errorf("%+v", part)
	}
}

// A search may find what only resembles the id, and must not make the caller
// ask for another path.
func TestTempoTrustsNoHit(t *testing.T) {
	for _, id := range []string{"../../admin", "x", strings.Repeat("1", 33), "12345678 0abcdef"} {
		server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/search" {
				t.Errorf("asked %s", r.URL)
			}
			json.NewEncoder(w).Encode(map[string]any{"traces": []any{map[string]any{"traceID": id}}})
		})
		if failure := failureOf(context.Background(), t, newTempo(t, serve(t, server))); failure.Reason != ReasonBadResponse {
			t.Errorf("hit %q: %+v", id, failure)
		}
	}
	other := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/search" {
			fmt.Fprintf(w, `{"traces":[{"traceID":%q}]}`, traceOne)
			return
		}
		json.NewEncoder(w).Encode(aTrace(t, traceOne, map[string]any{"req_id": "req_10"}).body)
	})
	if found := find(t, newTempo(t, serve(t, other)), tracelog.Query{ID: "req_1"}); len(found.Records) != 0 {
		t.Errorf("records of another request: %q", allTold(found))
	}
}

func TestTempoSearchesAWeekAtATime(t *testing.T) {
	server := &tempoServer{t: t, traces: map[string]*otlpTraceJSON{traceOne: aTrace(t, traceOne, map[string]any{"req_id": "req_1"})}}
	home := newTempo(t, serve(t, server.ServeHTTP), func(o *TempoOptions) { o.LookBack = 30 * 24 * time.Hour })
	found := find(t, home, tracelog.Query{ID: "req_1"})
	if len(found.Records) != 3 || !found.Coverage.Complete || !found.Coverage.From.Equal(noon.Add(-30*24*time.Hour)) {
		t.Errorf("%d records, %+v", len(found.Records), found.Coverage)
	}
}

func TestTempoPicks(t *testing.T) {
	const route = `(.http.route = "/v1/models")`
	const show = ` | select(.req_id, .http.response.status_code, .http.status_code, .http.route, status, statusMessage)`
	atLeast := regexp.MustCompile(`^\{ traceDuration >= (\d+)us && `)
	var queries []string
	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.FormValue("q")
		queries = append(queries, q)
		limit, _ := strconv.Atoi(r.FormValue("limit"))
		var least int64
		if m := atLeast.FindStringSubmatch(q); m != nil {
			least, _ = strconv.ParseInt(m[1], 10, 64)
		}
		var traces []any
		for i := range 500 { // the first that match, in no order
			i = i * 263 % 500
			if ms := int64(i * 20); ms*1000 >= least && len(traces) < limit {
				attributes := []any{attribute("req_id", "stringValue", fmt.Sprint("req_", i))}
				if i%100 == 99 {
					attributes = append(attributes, attribute("status", "stringValue", "error"), attribute("statusMessage", "stringValue", "gone"))
				}
				span := map[string]any{"spanID": spanA, "startTimeUnixNano": nanos(0), "durationNanos": "5", "attributes": attributes}
				traces = append(traces, map[string]any{
					"traceID": fmt.Sprintf("%x", i+1), "startTimeUnixNano": nanos(time.Duration(i) * time.Second), "durationMs": ms,
					"spanSets": []any{map[string]any{"spans": []any{span}, "matched": 1}},
				})
			}
		}
		json.NewEncoder(w).Encode(map[string]any{"traces": traces})
	})
	home := newTempo(t, serve(t, server))
	picked := pick(t, home, tracelog.Pick{By: tracelog.PickSlowest, N: 3, Route: "/v1/models", Within: time.Hour})
	want := []tracelog.Candidate{
		{ID: "req_499", Source: "traces", Time: began.Add(499*time.Second + 9980*time.Millisecond), Duration: 9980 * time.Millisecond, Error: "gone"},
		{ID: "req_498", Source: "traces", Time: began.Add(498*time.Second + 9960*time.Millisecond), Duration: 9960 * time.Millisecond},
		{ID: "req_497", Source: "traces", Time: began.Add(497*time.Second + 9940*time.Millisecond), Duration: 9940 * time.Millisecond},
	}
	if diff := cmp.Diff(want, picked.Candidates); diff != "" || !picked.Coverage.Complete {
		t.Errorf("%+v (-want +got):\n%s", picked.Coverage, diff)
	}
	if !slices.Contains(queries, "{ traceDuration >= 1000000us && "+route+" }"+show) {
		t.Errorf("asked %q", queries)
	}

	queries = nil
	picked = pick(t, home, tracelog.Pick{By: tracelog.PickFailing, N: 2})
	if len(picked.Candidates) != 2 || picked.Candidates[0].Error == "" || picked.Coverage.Complete {
		t.Errorf("more failed than were given, and any of them: %+v", picked)
	}
	if diff := cmp.Diff([]string{"{ (status = error || .http.response.status_code >= 500 || .http.status_code >= 500) }" + show}, queries); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}

	queries = nil
	pick(t, home, tracelog.Pick{By: tracelog.PickToolCall, N: 2})
	if len(queries) != 2 || queries[1] != `{ (.tool_call = true || .tool_call = "true") }`+show {
		t.Errorf("asked %q", queries)
	}
}
