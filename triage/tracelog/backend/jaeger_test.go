package backend

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage/tracelog"
)

// jaegerServer holds to Jaeger's JSON API as cmd/query/app/query_parser.go has
// it: a service is required, tags are a JSON object of strings all of which one
// span has, times are microseconds, durations Go's, at most `limit` traces.
type jaegerServer struct {
	t      *testing.T
	traces []map[string]any
	known  []string // services
	asked  []string
}

func (s *jaegerServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked = append(s.asked, r.URL.Path)
	id, byID := strings.CutPrefix(r.URL.Path, "/api/traces/")
	switch {
	case r.URL.Path == "/api/services":
		json.NewEncoder(w).Encode(map[string]any{"data": s.known, "total": len(s.known), "errors": nil})
	case byID:
		for _, trace := range s.traces {
			if trace["traceID"] == id {
				s.answer(w, []map[string]any{trace})
				return
			}
		}
		s.refuse(w, http.StatusNotFound, "trace not found")
	case r.URL.Path == "/api/traces":
		s.search(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *jaegerServer) answer(w http.ResponseWriter, traces []map[string]any) {
	json.NewEncoder(w).Encode(map[string]any{"data": traces, "total": 0, "limit": 0, "offset": 0, "errors": nil})
}

func (s *jaegerServer) refuse(w http.ResponseWriter, status int, message string) {
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"data": nil, "errors": []any{map[string]any{"code": status, "msg": message}}})
}

func (s *jaegerServer) search(w http.ResponseWriter, r *http.Request) {
	start, err1 := strconv.ParseInt(r.FormValue("start"), 10, 64)
	end, err2 := strconv.ParseInt(r.FormValue("end"), 10, 64)
	limit, err3 := strconv.Atoi(r.FormValue("limit"))
	tags := map[string]string{}
	var err4, err5 error
	if text := r.FormValue("tags"); text != "" {
		err4 = json.Unmarshal([]byte(text), &tags)
	}
	var least time.Duration
	if text := r.FormValue("minDuration"); text != "" {
		least, err5 = time.ParseDuration(text)
	}
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			s.refuse(w, http.StatusBadRequest, "unable to parse param: "+err.Error())
			return
		}
	}
	if r.FormValue("service") == "" {
		s.refuse(w, http.StatusBadRequest, "parameter 'service' is required")
		return
	}
	var hits []map[string]any
	for _, trace := range s.traces {
		if len(hits) < limit && s.matches(trace, r.FormValue("service"), tags, start, end, least) {
			hits = append(hits, trace)
		}
	}
	s.answer(w, hits)
}

func (s *jaegerServer) matches(trace map[string]any, service string, tags map[string]string, start, end int64, least time.Duration) bool {
	for _, one := range trace["spans"].([]any) {
		span := one.(map[string]any)
		process := trace["processes"].(map[string]any)[span["processID"].(string)].(map[string]any)
		at, took := span["startTime"].(int64), time.Duration(span["duration"].(int64))*time.Microsecond
		has := map[string]string{}
		for _, tag := range slices.Concat(span["tags"].([]any), process["tags"].([]any)) {
			tag := tag.(map[string]any)
			has[tag["key"].(string)] = fmt.Sprint(tag["value"])
		}
		all := process["serviceName"] == service && at >= start && at <= end && took >= least
		for name, v := range tags {
			all = all && has[name] == v
		}
		if all {
			return true
		}
	}
	return false
}

func tag(key string, v any) map[string]any {
	return map[string]any{"key": key, "type": "string", "value": v}
}

// jaegerOf is aTrace as Jaeger writes it.
func jaegerOf(id string, tags ...any) map[string]any {
	micros := func(after time.Duration) int64 { return began.Add(after).UnixMicro() }
	return map[string]any{
		"traceID": id,
		"spans": []any{
			map[string]any{
				"traceID": id, "spanID": spanA, "operationName": "POST /v1/chat/completions", "references": []any{}, "processID": "p1",
				"startTime": micros(0), "duration": int64(41_000_000), "logs": []any{},
				"tags": append([]any{tag("span.kind", "server"), tag("http.status_code", 502), tag("http.route", "/v1/chat/completions"), tag("tool_call", true)}, tags...),
			},
			map[string]any{
				"traceID": id, "spanID": spanB, "operationName": "attempt", "processID": "p1",
				"references": []any{map[string]any{"refType": "CHILD_OF", "traceID": id, "spanID": spanA}},
				"startTime":  micros(time.Second), "duration": int64(39_000_000),
				"tags": []any{tag("span.kind", "client"), tag("error", true), tag("otel.status_description", "backend gone")},
				"logs": []any{map[string]any{"timestamp": micros(39 * time.Second), "fields": []any{tag("event", "first chunk"), tag("chunk.seq", 1)}}},
			},
		},
		"processes": map[string]any{"p1": map[string]any{"serviceName": "codex", "tags": []any{tag("worker.name", "w3")}}},
	}
}

func TestJaegerFindsATrace(t *testing.T) {
	server := &jaegerServer{t: t, known: []string{"codex", "other"}, traces: []map[string]any{
		jaegerOf(traceOne, tag("req_id", "req_1")),
		jaegerOf(traceTwo, tag("req_id", "req_10")),
	}}
	home := newJaeger(t, serve(t, server.ServeHTTP))
	for _, id := range []string{"req_1", traceOne, strings.ToUpper(traceOne)} {
		server.asked = nil
		found := find(t, home, tracelog.Query{ID: id})
		if diff := cmp.Diff(wantSpans(), spanRecords(t, found, traceOne)); diff != "" {
			t.Errorf("id %s (-want +got):\n%s", id, diff)
		}
		if part := onlyPart(t, found.Coverage); !part.Complete || part.Note != "" {
			t.Errorf("id %s: %+v", id, part)
		}
		if byID := id != "req_1"; byID && !cmp.Equal(server.asked, []string{"/api/traces/" + traceOne}) {
			t.Errorf("asked %q", server.asked)
		}
	}
	if found := find(t, home, tracelog.Query{ID: strings.Repeat("ab", 16)}); len(found.Records) != 0 || !found.Coverage.Complete {
		t.Errorf("of no trace: %+v", found)
	}
}

func TestJaegerIDsStayInTheirString(t *testing.T) {
	server := &jaegerServer{t: t}
	for i, id := range hostileIDs() {
		server.traces = append(server.traces, jaegerOf(fmt.Sprintf("%032x", i+1), tag("req_id", id)))
	}
	home := newJaeger(t, serve(t, server.ServeHTTP), func(o *JaegerOptions) { o.Services = []string{"codex"} })
	for i, id := range hostileIDs() {
		found := find(t, home, tracelog.Query{ID: id})
		if len(found.Records) != 3 || tracelog.TextOf(found.Records[0].Fields, "trace_id") != fmt.Sprintf("%032x", i+1) {
			t.Errorf("id %q: %q", id, allTold(found))
		}
	}
}

func TestJaegerSaysWhatIsMissing(t *testing.T) {
	server := &jaegerServer{t: t}
	for i := range maxServices + 1 {
		server.known = append(server.known, fmt.Sprintf("service-%02d", i))
	}
	found := find(t, newJaeger(t, serve(t, server.ServeHTTP)), tracelog.Query{ID: "req_1"})
	if part := onlyPart(t, found.Coverage); part.Complete || !strings.Contains(part.Note, "asked 50 of 51 services") {
		t.Errorf("got %+v", part)
	}

	server = &jaegerServer{t: t, known: []string{"codex"}}
	for i := range 5 {
		server.traces = append(server.traces, jaegerOf(fmt.Sprintf("%032x", i+1), tag("req_id", "req_1")))
	}
	found = find(t, newJaeger(t, serve(t, server.ServeHTTP), func(o *JaegerOptions) { o.MaxTraces = 3 }), tracelog.Query{ID: "req_1"})
	if part := onlyPart(t, found.Coverage); part.Complete || len(found.Records) != 9 || !strings.Contains(part.Note, "may be more") {
		t.Errorf("%d records, %+v", len(found.Records), part)
	}

	broken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"data":[],"errors":[{"code":500,"msg":"no live connections to storage"}]}`)
	})
	failure := failureOf(context.Background(), t, newJaeger(t, serve(t, broken), func(o *JaegerOptions) { o.Services = []string{"codex"} }))
	if !failure.Transient || !strings.Contains(failure.Error(), "no live connections") {
		t.Errorf("got %+v", failure)
	}
}

func TestJaegerPicks(t *testing.T) {
	server := &jaegerServer{t: t, known: []string{"codex"}}
	for i := range 300 {
		trace := jaegerOf(fmt.Sprintf("%032x", i+1), tag("req_id", fmt.Sprint("req_", i)))
		spans := trace["spans"].([]any)
		root := spans[0].(map[string]any)
		root["startTime"], root["duration"] = began.Add(time.Duration(i)*time.Second).UnixMicro(), int64(i)*50_000
		if i%50 != 49 {
			root["tags"] = []any{tag("req_id", fmt.Sprint("req_", i))}
		}
		trace["spans"] = spans[:1]
		if i == 49 {
			root["tags"] = append(root["tags"].([]any), tag("error", true))
		}
		server.traces = append(server.traces, trace)
	}
	tests := map[string]struct {
		pick tracelog.Pick
		want []string
	}{
		"slowest":             {tracelog.Pick{By: tracelog.PickSlowest, N: 3}, []string{"req_299", "req_298", "req_297"}},
		"slowest of a route":  {tracelog.Pick{By: tracelog.PickSlowest, N: 2, Route: "/v1/chat/completions"}, []string{"req_299", "req_249"}},
		"failing":             {tracelog.Pick{By: tracelog.PickFailing, N: 3}, []string{"req_49"}},
		"tool calls":          {tracelog.Pick{By: tracelog.PickToolCall, N: 2}, []string{"req_299", "req_249"}},
		"nothing in a minute": {tracelog.Pick{By: tracelog.PickSlowest, N: 2, Within: time.Minute}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			wantPicked(t, pick(t, newJaeger(t, serve(t, server.ServeHTTP)), test.pick), test.want)
		})
	}
}
