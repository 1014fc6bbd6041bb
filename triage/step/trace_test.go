package step

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/playbook"
	"triagebot/triage/promapi"
	"triagebot/triage/tracelog"
	"triagebot/triage/tracelog/backend"
)

// roles of the logs that docs/codex-signals.md describes.
var roles = map[string]tracelog.Roles{
	"access": {Time: "ts", Duration: "latency_ms", Status: "status", Error: "error", Route: "route", Worker: "worker", ToolCall: "tool_call", Retry: "retry_of"},
	"proto":  {Time: "ts", Event: "method", Way: "direction", Seq: "seq", Text: "text", Error: "error", Worker: "worker"},
	"usage":  {Time: "ts", Duration: "latency_ms"},
	"engine": {Time: "ts", Event: "event", Worker: "worker"},
}

// logs writes lines such as `proto {"ts":…}` to a file for each source, and
// makes a home of them. {N s} in a line is the time so long after 04:04:00.
func logs(t *testing.T, lines ...string) (home *tracelog.Files, dir string) {
	t.Helper()
	dir = t.TempDir()
	texts := map[string]string{"access": "", "proto": "", "usage": "", "engine": ""}
	for _, l := range lines {
		source, line, _ := strings.Cut(l, " ")
		texts[source] += stamped(line) + "\n"
	}
	opts := tracelog.FilesOptions{Name: "logs", Workers: 1}
	for name, text := range texts {
		file := filepath.Join(dir, name+".ndjson")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s := tracelog.Source{Name: name, Files: []string{file}, Roles: roles[name]}
		if name != "engine" {
			s.Keys, s.Links = []string{"req_id"}, []string{"retry_of", "trace_id"}
		}
		opts.Sources = append(opts.Sources, s)
	}
	return tracelog.NewFiles(opts), dir
}

// stamped puts the time in a line in place of "@12.5", seconds after 04:04:00.
func stamped(line string) string {
	before, rest, found := strings.Cut(line, `"@`)
	if !found {
		return line
	}
	offset, after, _ := strings.Cut(rest, `"`)
	d, err := time.ParseDuration(offset + "s")
	if err != nil {
		panic(err)
	}
	return before + `"` + at.Truncate(time.Minute).Add(-time.Minute+d).Format("2006-01-02T15:04:05.000Z07:00") + `"` + after
}

// slow took 41.2 s, most of it while its worker restarted.
var slow = []string{
	`proto {"ts":"@0.012","req_id":"req_9f","direction":"send","method":"turn/start","worker":"w3"}`,
	`engine {"ts":"@10","worker":"w3","event":"worker_exited"}`,
	`engine {"ts":"@10.25","worker":"w3","event":"worker_started"}`,
	`proto {"ts":"@38.912","req_id":"req_9f","direction":"recv","method":"item/chunk","seq":1,"worker":"w3"}`,
	`proto {"ts":"@40","req_id":"req_9f","direction":"recv","method":"item/chunk","seq":2,"worker":"w3"}`,
	`proto {"ts":"@41.1","req_id":"req_9f","direction":"recv","method":"item/chunk","seq":3,"worker":"w3"}`,
	`proto {"ts":"@41.19","req_id":"req_9f","direction":"recv","method":"turn/completed","seq":4,"worker":"w3"}`,
	`usage {"ts":"@41.195","req_id":"req_9f","latency_ms":41195}`,
	`access {"ts":"@41.2","req_id":"req_9f","method":"POST","route":"/v1/chat/completions","status":200,"latency_ms":41200,"worker":"w3"}`,
}

// others are requests that went otherwise, on the same day.
var others = []string{
	`access {"ts":"@1","req_id":"req_ok","method":"GET","route":"/v1/models","status":200,"latency_ms":3}`,
	`proto {"ts":"@2","req_id":"req_bad","direction":"send","method":"turn/start","worker":"w1"}`,
	`proto {"ts":"@2.4","req_id":"req_bad","direction":"recv","method":"error","error":"backend: upstream connection reset","worker":"w1"}`,
	`access {"ts":"@2.5","req_id":"req_bad","route":"/v1/chat/completions","status":502,"latency_ms":500,"error":"backend","worker":"w1"}`,
	`access {"ts":"@3","req_id":"req_bad-r1","retry_of":"req_bad","route":"/v1/chat/completions","status":200,"latency_ms":300}`,
	`proto {"ts":"@4","req_id":"req_tool","direction":"send","method":"turn/start","worker":"w2"}`,
	`proto {"ts":"@4.1","req_id":"req_tool","direction":"recv","method":"item/chunk","seq":1,"worker":"w2"}`,
	`proto {"ts":"@4.2","req_id":"req_tool","direction":"recv","method":"tool_buffer/started","worker":"w2"}`,
	`proto {"ts":"@4.3","req_id":"req_tool","direction":"recv","method":"item/chunk","seq":3,"worker":"w2"}`,
	`proto {"ts":"@4.4","req_id":"req_tool","direction":"recv","method":"item/chunk","seq":3,"worker":"w2"}`,
	`proto {"ts":"@4.5","req_id":"req_tool","direction":"recv","method":"tool_buffer/aborted","error":"truncated <use_tool> block","worker":"w2"}`,
	`access {"ts":"@4.6","req_id":"req_tool","route":"/v1/tools","status":200,"latency_ms":600,"tool_call":true}`,
	`access {"ts":"@5","req_id":"req_maint","route":"/v1/refused","status":503,"latency_ms":0.4,"error":"maintenance"}`,
}

func withTraces(homes ...tracelog.Home) Deps { return Deps{Traces: homes} }

// looked runs a trace step on labels.
func looked(t *testing.T, d Deps, labels triage.Labels, kind string) (*playbook.Step, *execution, *playbook.Outcome, error) {
	t.Helper()
	s := mustLoad(t, d, kind)
	e := newExecution(labels)
	out, err := e.run(t.Context(), s)
	return s, e, out, err
}

// told is an outcome as text: verdict, headline, what else is shown.
func told(t *testing.T, s *playbook.Step, e *execution, out *playbook.Outcome) string {
	t.Helper()
	verdict, err := s.Judge(out.Rows[0], e.env.Data)
	if out.Partial && (err != nil || verdict != triage.VerdictAbnormal) { // as the runner has it
		verdict, err = triage.VerdictUnknown, nil
	}
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%s: %s\n", verdict, out.Headline)
	for _, d := range out.Details {
		text += strings.TrimRight(fmt.Sprintf("  %s | %s", d.Name, d.Value), " ") + "\n"
	}
	if out.NextStep != "" {
		text += "Next: " + out.NextStep + "\n"
	}
	return text
}

const isBad = "\nabnormal: 'duration_ms > 5000.0 || outcome == \"backend_error\" || chunks_missing > 0'"

func TestWhatATraceSays(t *testing.T) {
	home, _ := logs(t, slices.Concat(slow, others)...)
	for _, tt := range []struct{ name, kind, want string }{
		{"an id from a label", `trace: {id: '{{ .Labels.req_id }}'}`, `abnormal: req_9f took 41.2 s; 38.9 s of it between proto send and first chunk; worker w3 restarted in between (named by the alert).
  proto send → first chunk | 38.9 s
  worker w3 restarted | after 10.0 s
`},
		{"the slowest", `trace: {pick: {by: slowest}}`, `abnormal: req_9f took 41.2 s; 38.9 s of it between proto send and first chunk; worker w3 restarted in between (picked as the slowest request in the 15m before 04:05:00 UTC).
  proto send → first chunk | 38.9 s
  worker w3 restarted | after 10.0 s
`},
		{"the slowest of a route", `trace: {pick: {by: slowest, route: /v1/models, within: 5m}}`, `normal: req_ok took 3 ms (picked as the slowest request on /v1/models in the 5m before 04:05:00 UTC).
`},
		{"a backend error and its retry", `trace: {pick: {by: failing, route: '{{ .Labels.route }}'}}`, `abnormal: req_bad took 500 ms and failed with 502 (backend: upstream connection reset); 400 ms of it between proto send and proto recv (error) (picked as the latest failing request on /v1/chat/completions in the 15m before 04:05:00 UTC).
  proto send → proto recv (error) | 400 ms
  proto recv (error) → the access line | 100 ms
  error in proto: backend: upstream connection reset | after 400 ms
  error in access: backend | after 500 ms
  req_bad-r1 repeats req_bad | 502 after 500 ms
`},
		{"maintenance is no backend error", `trace: {pick: {by: failing}}`, `normal: req_maint was refused after 0.4 ms because of maintenance (503) (picked as the latest failing request in the 15m before 04:05:00 UTC).
  error in access: maintenance | after 0.4 ms
`},
		{"a tool call", `trace: {pick: {by: tool_call}}`, `abnormal: req_tool took 600 ms; 1 tool-call block aborted; 1 chunk duplicated; 1 chunk missing (picked as the latest tool call in the 15m before 04:05:00 UTC).
  proto send → first chunk | 100 ms
  first chunk → proto recv (tool_buffer/started) | 100 ms
  proto recv (tool_buffer/started) → chunk 3 | 100 ms
  error in proto: truncated <use_tool> block | after 500 ms
  tool-call block aborted | after 300 ms
  chunks duplicated in proto | 1 of 3
  chunks missing in proto | 1
`},
		{"the first way that gives an id", `trace: {id: '{{ .Annotations.req_id }}', pick: {by: slowest, route: /v1/models}}`, `normal: req_ok took 3 ms (picked as the slowest request on /v1/models in the 15m before 04:05:00 UTC).
`},
		{"an id that is in no log", `trace: {id: 'req_9'}`, `unknown: Nothing was found of req_9 (named by the alert) in access, proto and usage.
Next: Check that the id is the whole value of one of the sources' keys, and that their files reach back to 2026-11-24 03:55:00 UTC.
`},
		{"no id at all", `trace: {id: '{{ .Labels.nothing }}'}`, `unknown: No request to look up: the alert names none.
Next: Give the alert a label or an annotation with a request's id, or the step a pick.
`},
		{"nothing to pick", `trace: {id: '{{ .Labels.nothing }}', pick: {by: failing, route: /v1/models}}`, `unknown: No request to look up: the alert names none; the logs have no failing request on /v1/models in the 15m before 04:05:00 UTC.
Next: Give the alert a label or an annotation with a request's id, or the step a pick. Widen pick.within, and check that the logs are those of the service and call the route so.
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, e, out, err := looked(t, withTraces(home), triage.Labels{"req_id": "req_9f", "route": "/v1/chat/completions"}, tt.kind+isBad)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, told(t, s, e, out)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheVariablesOfATrace(t *testing.T) {
	home, _ := logs(t, slices.Concat(slow, others)...)
	for _, tt := range []struct {
		id   string
		want map[string]any
	}{
		{"req_9f", map[string]any{
			"found": true, "id": "req_9f", "chosen": "named by the alert", "records": int64(7), "complete": true,
			"duration_ms": 41200.0, "status": int64(200), "outcome": "ok", "error": "", "route": "/v1/chat/completions",
			"longest_gap_ms": 38900.0, "retries": int64(0), "tool_call": false, "tool_blocks_aborted": int64(0),
			"chunks": int64(3), "chunks_duplicated": int64(0), "chunks_missing": int64(0), "worker_exits": int64(1),
		}},
		{"req_tool", map[string]any{
			"found": true, "id": "req_tool", "chosen": "named by the alert", "records": int64(7), "complete": true,
			"duration_ms": 600.0, "status": int64(200), "outcome": "ok", "error": "truncated <use_tool> block", "route": "/v1/tools",
			"longest_gap_ms": 100.0, "retries": int64(0), "tool_call": true, "tool_blocks_aborted": int64(1),
			"chunks": int64(3), "chunks_duplicated": int64(1), "chunks_missing": int64(1), "worker_exits": int64(0),
		}},
		{"nobody", map[string]any{"found": false, "id": "nobody", "chosen": "named by the alert", "records": int64(0), "complete": true}},
	} {
		s, _, out, err := looked(t, withTraces(home), nil, "trace: {id: "+tt.id+"}")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, out.Rows[0].Vars); diff != "" {
			t.Errorf("%s:\n%s", tt.id, diff)
		}
		for name := range out.Rows[0].Vars {
			if s.Action.Vars()[name] == nil {
				t.Errorf("%s is not declared", name)
			}
		}
	}
}

func TestTheTimelineIsKeptForPeopleAndPrograms(t *testing.T) {
	home, _ := logs(t, slow...)
	_, e, out, err := looked(t, withTraces(home), nil, "trace: {id: req_9f}")
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Artifacts) != 2 {
		t.Fatalf("%+v", out.Artifacts)
	}
	text, lines := out.Artifacts[0], out.Artifacts[1]
	for _, want := range []string{"req_9f took 41.2 s", "Worker w3 exited 10.0 s after", "turn/completed", "worker_exited", "Complete: everything was searched to its end."} {
		if !strings.Contains(string(text.Data), want) {
			t.Errorf("%q is not in\n%s", want, text.Data)
		}
	}
	if n := strings.Count(string(lines.Data), "\n"); n != len(slow) || !strings.Contains(string(lines.Data), `"record":{"ts":"2026-11-24T04:04:41.200Z","req_id":"req_9f"`) {
		t.Errorf("%d lines:\n%s", n, lines.Data)
	}
	text.Data, lines.Data = nil, nil
	source := "Lookup in access, engine, proto and usage"
	want := []playbook.Artifact{
		{Name: "p95.txt", Title: "Timeline", MediaType: "text/plain", Source: source},
		{Name: "p95.ndjson", Title: "Timeline as NDJSON", MediaType: "application/x-ndjson", Source: source},
	}
	if diff := cmp.Diff(want, []playbook.Artifact{text, lines}); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(e.debugLog(), "Complete: ") {
		t.Errorf("debug: %s", e.debugLog())
	}
}

func TestATimelineIsBounded(t *testing.T) {
	var lines []string
	big := strings.Repeat("x", 100<<10)
	for i := range 40 {
		lines = append(lines, fmt.Sprintf(`proto {"ts":"@%d","req_id":"req_big","method":"note","n":%d,"text":"%s"}`, i, i, big))
	}
	lines = append(lines, fmt.Sprintf(`proto {"ts":"@50","req_id":"req_big","method":"note","text":"%s"}`, strings.Repeat(big, 30)),
		`access {"ts":"@51","req_id":"req_big","status":200,"latency_ms":51000}`)
	home, _ := logs(t, lines...)
	_, _, out, err := looked(t, withTraces(home), nil, "trace: {id: req_big}")
	if err != nil {
		t.Fatal(err)
	}
	ndjson := out.Artifacts[1]
	kept := strings.Count(string(ndjson.Data), "\n")
	if len(ndjson.Data) > maxKeptText || kept < 15 || !strings.HasSuffix(string(ndjson.Data), "}\n") ||
		ndjson.Title != fmt.Sprintf("Timeline as NDJSON, without %d of its 42 lines", 42-kept) {
		t.Errorf("%d bytes, %d lines, %s", len(ndjson.Data), kept, ndjson.Title)
	}
	if !strings.Contains(string(ndjson.Data), `"status":200`) {
		t.Error("a short line was left out because of a long one before it")
	}
}

func TestLinesThatDoNotFitAreLeftOutWhole(t *testing.T) {
	var b boundedLines
	line := strings.Repeat("y", maxKeptText/2) + "\n"
	for _, part := range []string{line[:10], line[10:], line[:100], line[100:], "short\n", "begun", strings.Repeat("z", maxKeptText)} {
		if n, err := b.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if got := b.kept.String(); got != line+"short\n" || b.cut != 1 {
		t.Errorf("%d bytes kept, %d cut", len(got), b.cut)
	}
}

// What an alert's label says is an id and nothing else, whatever it says.
func TestHostileIDsAreOnlyLookedFor(t *testing.T) {
	home, dir := logs(t, slow...)
	for _, id := range []string{
		`req_9f"`, `*`, `.*`, `req_9`, `","req_id":"req_9f`, "{{ .Labels.x }}", "$(rm -rf /)", "../../etc/passwd", dir,
		"\x1b[2Jreq\u202e_9f", "req_9f\x00", "\\u0072eq_9f", strings.Repeat("req_9f", 80), "0000-0000", "<!channel>", "'; DROP TABLE findings; --",
	} {
		s, e, out, err := looked(t, withTraces(home), triage.Labels{"req_id": id}, "trace: {id: '{{ .Labels.req_id }}'}"+isBad)
		if err != nil {
			t.Fatal(err)
		}
		got := told(t, s, e, out)
		if id == "req_9f\x00" { // the template drops control characters
			if !strings.HasPrefix(got, "abnormal: req_9f took") {
				t.Error(got)
			}
			continue
		}
		if !strings.HasPrefix(got, "unknown: Nothing was found of ") || strings.ContainsAny(got, "\x00\x1b\u202e") {
			t.Errorf("%q: %s", id, got)
		}
	}
	_, _, out, err := looked(t, withTraces(home), triage.Labels{"req_id": strings.Repeat("a", 600)}, "trace: {id: '{{ .Labels.req_id }}'}")
	if err != nil || !strings.Contains(out.Headline, "600 bytes; at most 512 are looked up") || len(out.Headline) > 200 {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestALogThatIsMissingLeavesTheVerdictOpen(t *testing.T) {
	home, dir := logs(t, slices.Concat(slow, others)...)
	if err := os.Remove(filepath.Join(dir, "proto.ndjson")); err != nil {
		t.Fatal(err)
	}
	lack := " Not complete: proto " + dir + "/proto.ndjson: it does not exist.\n"
	next := "Next: Make what was not searched readable or reachable, and run the playbook again.\n"
	for _, tt := range []struct{ kind, want string }{
		// What is wrong as it stands is abnormal all the same.
		{"trace: {id: req_9f}", "abnormal: req_9f took 41.2 s; 41.2 s of it between the request's start and the usage line; worker w3 restarted in between (named by the alert)." + lack +
			"  the request's start → the usage line | 41.2 s\n  worker w3 restarted | after 10.0 s\n" + next},
		{"trace: {id: req_ok}", "unknown: req_ok took 3 ms (named by the alert)." + lack + next},
		{"trace: {id: nobody}", "unknown: Nothing was found of nobody (named by the alert)." + lack + next},
	} {
		s, e, out, err := looked(t, withTraces(home), nil, tt.kind+isBad)
		if err != nil {
			t.Fatal(err)
		}
		if vars := out.Rows[0].Vars; vars["complete"] != false || vars["chunks_missing"] != nil {
			t.Errorf("%s: %v", tt.kind, vars)
		}
		got := told(t, s, e, out)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s:\n%s", tt.kind, diff)
		}
	}
}

// answered tells when a home has answered.
type answered struct {
	tracelog.Home
	found chan struct{}
}

func (a *answered) Find(ctx context.Context, q tracelog.Query) (*tracelog.Found, error) {
	found, err := a.Home.Find(ctx, q)
	if found != nil && len(found.Records) > 0 {
		select {
		case a.found <- struct{}{}:
		default:
		}
	}
	return found, err
}

func TestWhenTheTimeEndsWhatWasFoundIsTold(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(server.Close)
	loki, err := backend.NewLoki(backend.LokiOptions{
		Options:  backend.Options{Name: "loki", URL: server.URL, Client: server.Client(), Keys: []string{"req_id"}, Timeout: time.Minute},
		Selector: `{app="codex"}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	files, _ := logs(t, slow...)
	home := &answered{files, make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-home.found
		cancel()
	}()
	s := mustLoad(t, withTraces(home, loki), "trace: {id: req_9f}\nabnormal: 'chunks_missing > 0'")
	e := newExecution(nil)
	out, err := e.run(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	want := "unknown: req_9f took 41.2 s; 38.9 s of it between proto send and first chunk"
	got := told(t, s, e, out)
	if !strings.HasPrefix(got, want) || !strings.Contains(got, "Not complete: the time was over before all of ") ||
		!strings.Contains(got, "Next: Raise the step's timeout") || len(out.Artifacts) != 2 {
		t.Error(got)
	}

	// The step's own bound ends it too, here with nothing found anywhere, or no
	// request to look for.
	d := prometheus(t, promapi.Options{}, func(_ http.ResponseWriter, r *http.Request) {
		r.ParseForm() // the server notices that its client left only once the body is read
		<-r.Context().Done()
	})
	d.Traces = []tracelog.Home{loki}
	for kind, want := range map[string]string{
		"{id: req_9f, timeout: 100ms}":                   "nothing could be searched: ",
		"{exemplar: {expr: lat_bucket}, timeout: 100ms}": "no request to look up: Prometheus main did not tell its exemplars in time",
	} {
		_, _, _, err = looked(t, d, nil, "trace: "+kind)
		var stepErr *playbook.StepError
		if !errors.As(err, &stepErr) || !strings.HasPrefix(err.Error(), want) || !strings.HasPrefix(stepErr.NextStep, "Raise the step's timeout") {
			t.Errorf("%s: %#v", kind, err)
		}
	}
}

func TestATraceWithoutHomesLoadsAndSaysSoWhenRun(t *testing.T) {
	_, _, _, err := looked(t, Deps{}, nil, "trace: {pick: {by: slowest}}")
	var stepErr *playbook.StepError
	if !errors.As(err, &stepErr) || !strings.Contains(stepErr.NextStep, "traces section") {
		t.Errorf("%v", err)
	}
}

func TestPickingThatNoHomeCanDoIsSaid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plain.ndjson")
	home := tracelog.NewFiles(tracelog.FilesOptions{Name: "logs", Sources: []tracelog.Source{{Name: "plain", Files: []string{file}, Keys: []string{"req_id"}}}})
	_, _, _, err := looked(t, withTraces(home), nil, "trace: {pick: {by: slowest}}")
	var stepErr *playbook.StepError
	if !errors.As(err, &stepErr) || !strings.Contains(err.Error(), "source plain has no field named for a duration") || !strings.Contains(stepErr.NextStep, "traces.logs[].fields") {
		t.Errorf("%v", err)
	}
}

// exemplar is one of Prometheus's answer.
func exemplar(label, id, value, offset string) string {
	return fmt.Sprintf(`{"labels":{%q:%q},"value":%q,"timestamp":%d.%s}`, label, id, value, at.Truncate(time.Minute).Add(-time.Minute).Unix(), offset)
}

func exemplars(each ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"status":"success","data":[{"seriesLabels":{"__name__":"lat_bucket"},"exemplars":[%s]}]}`, strings.Join(each, ","))
	}
}

func TestExemplarsOfTheAlertsOwnMetric(t *testing.T) {
	home, _ := logs(t, slices.Concat(slow, others)...)
	all := exemplars(exemplar("trace_id", "req_9f", "41.2", "100"), exemplar("span", "x", "99", "200"), exemplar("req_id", "req_bad", "0.5", "300"), exemplar("trace_id", "req_ok", "3", "400"))
	for _, tt := range []struct{ options, want string }{
		{"", "req_9f took 41.2 s; 38.9 s of it between proto send and first chunk; worker w3 restarted in between (of the highest exemplar, 41.2 at 04:04:00 UTC, in Prometheus main)."},
		{"take: newest", "req_ok took 3 ms (of the newest exemplar, 3 at 04:04:00 UTC, in Prometheus main)."},
		{"take: lowest, expr: lat_bucket, within: 1h", "req_bad took 500 ms and failed with 502 (backend: upstream connection reset); 400 ms of it between proto send and proto recv (error) (of the lowest exemplar, 0.5 at 04:04:00 UTC, in Prometheus main)."},
		{"label: span", "Nothing was found of x (of the highest exemplar, 99 at 04:04:00 UTC, in Prometheus main) in access, proto and usage."},
	} {
		asked := make(chan string, 1)
		d := prometheus(t, promapi.Options{}, func(w http.ResponseWriter, r *http.Request) {
			r.ParseForm()
			asked <- fmt.Sprint(r.URL.Path, " ", r.PostForm.Get("query"))
			all(w, r)
		})
		d.Traces = []tracelog.Home{home}
		s := mustLoad(t, d, "trace: {exemplar: {"+tt.options+"}}")
		e := newExecution(nil)
		e.env.Data.AlertExpr = `lat_bucket`
		out, err := e.run(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if out.Headline != tt.want {
			t.Errorf("%s: %s", tt.options, out.Headline)
		}
		if got := <-asked; got != "/api/v1/query_exemplars lat_bucket" {
			t.Error(got)
		}
	}
}

func TestWithoutAnExemplarTheNextWayIsGone(t *testing.T) {
	home, _ := logs(t, others...)
	refuses := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	for _, tt := range []struct {
		name      string
		handler   http.HandlerFunc
		expr      string // of the alert
		why, next string
		transient bool
	}{
		{"the feature is off", exemplars(), "lat_bucket", "Prometheus main has no exemplars of lat_bucket in the 15m before 04:05:00 UTC", "--enable-feature=exemplar-storage", false},
		{"no id in them", exemplars(exemplar("span", "x", "1", "100")), "lat_bucket", "none of the 1 exemplars of lat_bucket in the 15m before 04:05:00 UTC has a label trace_id or req_id", "exemplar.label", false},
		{"an alert without expression", exemplars(), "", "the alert does not say which expression it is of", "exemplar.expr", false},
		{"Prometheus is down", refuses, "lat_bucket", "server error: 503", "Check that Prometheus is up", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := prometheus(t, promapi.Options{}, tt.handler)
			d.Traces = []tracelog.Home{home}
			e := newExecution(nil)
			e.env.Data.AlertExpr = tt.expr
			out, err := e.run(t.Context(), mustLoad(t, d, "trace: {exemplar: {}, pick: {by: slowest}}"))
			if err != nil || !strings.HasPrefix(out.Headline, "req_tool took 600 ms") || !strings.Contains(e.debugLog(), tt.why) {
				t.Errorf("%+v, %v\n%s", out, err, e.debugLog())
			}

			out, err = e.run(t.Context(), mustLoad(t, d, "trace: {exemplar: {}}"))
			why, next, transient := "", "", false
			var stepErr *playbook.StepError
			if errors.As(err, &stepErr) {
				why, next, transient = err.Error(), stepErr.NextStep, stepErr.Transient
			} else if err == nil {
				why, next = out.Headline, out.NextStep
			}
			if !strings.Contains(strings.ToLower(why), "no request to look up: ") || !strings.Contains(why, tt.why) ||
				!strings.Contains(next, tt.next) || transient != tt.transient || strings.Contains(why+next, "s3cret") {
				t.Errorf("%s; %s; transient %t", why, next, transient)
			}
		})
	}
}

func TestTraceProblems(t *testing.T) {
	for _, tt := range []struct{ yaml, want string }{
		{"{}", "trace: names no request; write id: '{{ .Labels.req_id }}', exemplar: {} or pick: {by: slowest}, or several of them"},
		{"{exemplar: , pick: }", "trace: names no request"},
		{"{req_id: x}", `trace.req_id: unknown key`},
		{"{id: '{{ .Labls.x }}'}", "trace.id: unknown field .Labls"},
		{"{id: '{{ .Inputs.x }}'}", "trace.id: unknown input .Inputs.x"},
		{"{id: [a]}", "trace.id: "},
		{"{pick: {}}", "trace.pick.by: is missing; write slowest, failing or tool_call"},
		{"{pick: {by: fastest}}", `trace.pick.by: "fastest" is not known; write one of slowest, failing, tool_call`},
		{"{pick: {by: slowest, n: 5}}", "trace.pick.n: unknown key"},
		{"{pick: {by: slowest, route: '{{ .Nothing }}'}}", "trace.pick.route: unknown field .Nothing"},
		{"{pick: {by: slowest, within: soon}}", `trace.pick.within: "soon" is no duration`},
		{"{pick: {by: slowest, within: 60d}}", "trace.pick.within: 60d is out of bounds"},
		{"{exemplar: {expr: 'sum('}}", "trace.exemplar.expr: "},
		{"{exemplar: {datasource: other}}", `trace.exemplar.datasource: unknown datasource "other"`},
		{"{exemplar: {take: middle}}", `trace.exemplar.take: "middle" is not known; write one of highest, lowest, newest`},
		{"{exemplar: {within: 100ms}}", "trace.exemplar.within: 100ms is out of bounds"},
		{"{id: x, slack: 2d}", "trace.slack: 2d is out of bounds; write a duration from 1s to 1d"},
		{"{id: x, slack: 5 minutes}", `trace.slack: "5 minutes" is no duration`},
		{"{id: x, timeout: 1h}", "trace.timeout: 1h is out of bounds; write a duration from 100ms to 30m"},
	} {
		if got := problemsOf(t, withProm(newFake(nil, nil)), "trace: "+tt.yaml); !strings.Contains(got, "test.yaml:6: steps[0]."+tt.want) {
			t.Errorf("%s: %s", tt.yaml, got)
		}
	}
}
