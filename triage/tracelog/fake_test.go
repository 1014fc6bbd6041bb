package tracelog

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// testRoles are those of the logs that docs/codex-signals.md describes.
func testRoles(source string) *Roles {
	r := &Roles{Time: "ts", Error: "error", Worker: "worker"}
	switch source {
	case "access":
		r.Duration, r.Status, r.Route, r.ToolCall, r.Retry = "latency_ms", "status", "route", "tool_call", "retry_of"
	case "proto":
		r.Event, r.Way, r.Seq = "method", "direction", "seq"
	case "usage":
		r.Duration = "latency_ms"
	case "engine":
		r.Event, r.Error = "event", ""
	}
	return r
}

// testSource is a source of those logs.
func testSource(name string) *Source {
	return &Source{Name: name, Keys: []string{"req_id"}, Links: []string{"retry_of", "trace_id"}, Roles: *testRoles(name)}
}

// rec makes the record of a line: its source stands before its JSON, perhaps
// with a file, as in `proto@proto.ndjson.1 {"ts":…}`. The offset is the line's
// number.
func rec(t *testing.T, offset int, line string) Record {
	t.Helper()
	where, raw, _ := strings.Cut(line, " ")
	source, file, _ := strings.Cut(where, "@")
	fields, err := ParseObject([]byte(raw))
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	s := testSource(source)
	r := Record{
		Source: source, File: cmp.Or(file, source+".ndjson"), Offset: int64(offset),
		Fields: fields, Raw: []byte(raw), Roles: &s.Roles,
	}
	r.Time, _ = fieldTime(fields, s.Roles.Time)
	return r
}

// fakeHome has the given lines.
type fakeHome struct {
	name  string
	lines []Record
	err   error
	part  Part
	ask   func(ctx context.Context, q Query) // told of each
	early bool                               // says what it has before it fails
}

func newFake(t *testing.T, name string, lines ...string) *fakeHome {
	t.Helper()
	h := &fakeHome{name: name, part: Part{Source: name, Name: name + ".ndjson", How: HowScan, Bytes: 100, Size: 100, Complete: true}}
	for i, line := range lines {
		h.lines = append(h.lines, rec(t, i, line))
	}
	return h
}

func (h *fakeHome) Name() string { return h.name }

func (h *fakeHome) Find(ctx context.Context, q Query) (*Found, error) {
	if h.ask != nil {
		h.ask(ctx, q)
	}
	found := &Found{Coverage: Coverage{Parts: []Part{h.part}, Complete: h.part.Complete}}
	for _, line := range h.lines {
		if r, _, ok := testSource(line.Source).Read(line.Raw, q.ID); ok {
			r.File, r.Offset = line.File, line.Offset
			found.Records = append(found.Records, r)
		}
	}
	if h.early && q.Partial != nil {
		q.Partial(found)
	}
	if h.err != nil {
		return nil, h.err
	}
	return found, nil
}

func (h *fakeHome) Pick(context.Context, Pick) (*Picked, error) { return nil, ErrCannotPick }

// fakeEngine also has events of workers.
type fakeEngine struct{ *fakeHome }

func (h fakeEngine) Around(_ context.Context, from, to time.Time, worker string) (*Found, error) {
	found := &Found{Coverage: Coverage{Parts: []Part{h.part}}}
	for _, r := range h.lines {
		if r.worker() == worker && (span{from, to}).has(r.Time) {
			found.Records = append(found.Records, r)
		}
	}
	return found, h.err
}

// stitched looks an id up in the given lines, each of its own source.
func stitched(t *testing.T, id string, lines ...string) *Trace {
	t.Helper()
	trace, err := Stitch(t.Context(), []Home{fakeEngine{newFake(t, "logs", lines...)}}, Query{ID: id}, StitchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

// brief is a trace in a line for each record: its source, file and offset.
func brief(t *Trace) string {
	var b strings.Builder
	for _, r := range t.Records {
		fmt.Fprintf(&b, "%s:%d", strings.TrimSuffix(r.File, ".ndjson"), r.Offset)
		if r.FoundBy != t.ID {
			b.WriteString(" by " + cmp.Or(r.FoundBy, "context"))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
