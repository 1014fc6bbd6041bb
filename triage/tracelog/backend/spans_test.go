// What the tests of Tempo and Jaeger share: one request as spans.

package backend

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage/tracelog"
)

const (
	traceOne = "0af7651916cd43dd8448eb211c80319c"
	traceTwo = "00000000000000001234567890abcdef"
	spanA    = "00f067aa0ba902b7"
	spanB    = "b7ad6b7169203331"
)

// wantSpans are the records of aTrace with req_id req_1, found by it.
func wantSpans() []map[string]any {
	return []map[string]any{
		{"name": "first chunk", "end": "39s", "seq": "1", "parent_id": spanB, "kind": "event"},
		{"name": "attempt", "end": "40s", "took": "39s", "error": "backend gone", "kind": "client", "span_id": spanB, "parent_id": spanA},
		{"name": "POST /v1/chat/completions", "end": "41s", "took": "41s", "kind": "server", "span_id": spanA, "status": "502", "route": "/v1/chat/completions", "id": "req_1", "tool_call": true},
	}
}

// spanRecords are records as wantSpans has them; what all have is checked here.
func spanRecords(t *testing.T, found *tracelog.Found, trace string) []map[string]any {
	t.Helper()
	var records []map[string]any
	for i := range found.Records {
		r := &found.Records[i]
		got := map[string]any{"end": r.Time.Sub(began).String()}
		if r.ID != "" {
			got["id"] = r.ID
		}
		for _, name := range []string{"name", "seq", "parent_id", "span_id", "error", "kind", "status", "route"} {
			if v := tracelog.TextOf(r.Fields, name); v != "" {
				got[name] = v
			}
		}
		if v, ok := r.Fields["tool_call"]; ok {
			got["tool_call"] = v
		}
		if d, _ := r.Roles.DurationOf(r.Fields); d != 0 {
			got["took"] = d.String()
		}
		if at, err := tracelog.ParseTime(tracelog.TextOf(r.Fields, r.Roles.Time)); err != nil || !at.Equal(r.Time) {
			t.Errorf("record %d was written at %v by its field, and at %v", i, at, r.Time)
		}
		if tracelog.TextOf(r.Fields, "service") != "codex" || tracelog.TextOf(r.Fields, r.Roles.Worker) != "w3" || tracelog.TextOf(r.Fields, "trace_id") != trace {
			t.Errorf("record %d: %v", i, r.Fields)
		}
		fields, err := tracelog.ParseObject(r.Raw)
		if diff := cmp.Diff(r.Fields, fields); err != nil || diff != "" {
			t.Errorf("record %d reads otherwise from its line: %v\n%s", i, err, diff)
		}
		records = append(records, got)
	}
	return records
}
