// What the tests of all backends share: homes at a server of the test, what
// they are asked, and how their answers are compared.

package backend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage/tracelog"
)

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// lineOptions are those of the lines in lokiLines.
func lineOptions(url string) Options {
	return Options{
		Name:   "logs",
		URL:    url,
		Client: http.DefaultClient,
		Keys:   []string{"req_id", "ctx.req_id"},
		Links:  []string{"retry_of"},
		Roles: tracelog.Roles{
			Time: "ts", Duration: "latency_ms", Status: "status", Error: "error", Route: "route",
			Event: "method", Way: "direction", Seq: "seq", ToolCall: "tool_call", Retry: "retry_of",
		},
		LookBack: 4 * time.Hour,
		Now:      func() time.Time { return noon },
	}
}

// spanOptions are those of the traces in the tests.
func spanOptions(url string) Options {
	return Options{
		Name: "traces", URL: url, Client: http.DefaultClient,
		Keys: []string{"req_id"}, Links: []string{"retry_of"},
		Roles:    tracelog.Roles{Worker: "worker.name", ToolCall: "tool_call", Retry: "retry_of", Seq: "chunk.seq"},
		LookBack: 4 * time.Hour,
		Now:      func() time.Time { return noon },
	}
}

// made is the home of the options as a test changes them.
func made[O, H any](tb testing.TB, create func(O) (H, error), o O, changes []func(*O)) H {
	tb.Helper()
	for _, change := range changes {
		change(&o)
	}
	home, err := create(o)
	if err != nil {
		tb.Fatal(err)
	}
	return home
}

func newLoki(tb testing.TB, at string, changes ...func(*LokiOptions)) *Loki {
	tb.Helper()
	return made(tb, NewLoki, LokiOptions{Options: lineOptions(at), Selector: `{app="codex"}`}, changes)
}

func newVictoria(tb testing.TB, at string, changes ...func(*VictoriaLogsOptions)) *VictoriaLogs {
	tb.Helper()
	return made(tb, NewVictoriaLogs, VictoriaLogsOptions{Options: lineOptions(at), Filter: `{app="codex"}`}, changes)
}

func newTempo(tb testing.TB, at string, changes ...func(*TempoOptions)) *Tempo {
	tb.Helper()
	return made(tb, NewTempo, TempoOptions{Options: spanOptions(at)}, changes)
}

func newJaeger(tb testing.TB, at string, changes ...func(*JaegerOptions)) *Jaeger {
	tb.Helper()
	return made(tb, NewJaeger, JaegerOptions{Options: spanOptions(at)}, changes)
}

// homes are one of each kind, all at one URL.
func homes(t *testing.T, at string, change func(*Options)) map[string]tracelog.Home {
	t.Helper()
	if change == nil {
		change = func(*Options) {}
	}
	return map[string]tracelog.Home{
		"Loki":         newLoki(t, at, func(o *LokiOptions) { change(&o.Options) }),
		"VictoriaLogs": newVictoria(t, at, func(o *VictoriaLogsOptions) { change(&o.Options); o.Filter = "" }),
		"Tempo":        newTempo(t, at, func(o *TempoOptions) { change(&o.Options) }),
		"Jaeger":       newJaeger(t, at, func(o *JaegerOptions) { change(&o.Options); o.Services = []string{"codex"} }),
	}
}

func eachHome(t *testing.T, at string, change func(*Options), test func(t *testing.T, home tracelog.Home)) {
	t.Helper()
	for kind, home := range homes(t, at, change) {
		t.Run(kind, func(t *testing.T) { test(t, home) })
	}
}

func find(t *testing.T, home tracelog.Home, q tracelog.Query) *tracelog.Found {
	t.Helper()
	found, err := home.Find(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// failureOf is the failure of a lookup, which must find nothing.
func failureOf(ctx context.Context, t *testing.T, home tracelog.Home) *Error {
	t.Helper()
	found, err := home.Find(ctx, tracelog.Query{ID: "req_1"})
	var failure *Error
	if found != nil || !errors.As(err, &failure) {
		t.Fatalf("want a failure, got %+v and %v", found, err)
	}
	return failure
}

// pick is what a home picks at noon.
func pick(t *testing.T, home tracelog.Home, p tracelog.Pick) *tracelog.Picked {
	t.Helper()
	p.At = noon
	picked, err := home.Pick(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	return picked
}

// wantPicked wants the requests of those ids, and nothing left out.
func wantPicked(t *testing.T, picked *tracelog.Picked, ids []string) {
	t.Helper()
	var got []string
	for _, c := range picked.Candidates {
		got = append(got, c.ID)
	}
	if diff := cmp.Diff(ids, got); diff != "" || !picked.Coverage.Complete {
		t.Errorf("%+v (-want +got):\n%s", picked.Coverage, diff)
	}
}

func onlyPart(t *testing.T, c tracelog.Coverage) tracelog.Part {
	t.Helper()
	if len(c.Parts) != 1 || c.Parts[0].Complete != c.Complete {
		t.Fatalf("want one part that is as complete as all, got %+v", c)
	}
	return c.Parts[0]
}

// told is a record in a line: when after the first line of all, and what.
func told(r *tracelog.Record) string {
	return fmt.Sprintf("%s %s", r.Time.Sub(began), r.Raw)
}

func allTold(found *tracelog.Found) []string {
	var lines []string
	for i := range found.Records {
		lines = append(lines, told(&found.Records[i]))
	}
	return lines
}
