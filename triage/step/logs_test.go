package step

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/playbook"
	"triagebot/triage/promapi/promtest"
	"triagebot/triage/tracelog"
)

// engineLog is a log of lines with a time, given in seconds before the
// incident's instant.
type engineLog struct {
	text   strings.Builder
	format tracelog.Format
}

func (l *engineLog) add(before float64, line string, args ...any) *engineLog {
	when := at.Truncate(time.Second).Add(-time.Duration(before * float64(time.Second))).Format("2006-01-02T15:04:05.000Z07:00")
	line = fmt.Sprintf(line, args...)
	if l.format == tracelog.FormatPlain {
		fmt.Fprintf(&l.text, "%s %s\n", when, line)
	} else {
		fmt.Fprintf(&l.text, `{"ts":%q,%s}`+"\n", when, line)
	}
	return l
}

// quiet adds a line now and then from 40 min to 15 min before the instant.
func (l *engineLog) quiet() *engineLog {
	for s := 2400.0; s > 900; s -= 20 {
		l.add(s, `"level":"info","worker":"w1","event":"engine_slow","detail":"turn took %d ms"`, int(s))
	}
	return l
}

// home makes a home of the log.
func (l *engineLog) home(t *testing.T) *tracelog.Files {
	t.Helper()
	path := filepath.Join(t.TempDir(), "engine.ndjson")
	if err := os.WriteFile(path, []byte(l.text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
	s := tracelog.Source{Name: "engine", Files: []string{path}, Format: l.format}
	if l.format != tracelog.FormatPlain {
		s.Roles = tracelog.Roles{Time: "ts", Event: "event", Detail: "detail", Worker: "worker"}
	}
	return tracelog.NewFiles(tracelog.FilesOptions{Name: "logs", Sources: []tracelog.Source{s}})
}

// crashes adds a worker's exits, each after a line that says why, but for the
// last.
func (l *engineLog) crashes(n int) *engineLog {
	for i := range n {
		s := 600 - 30*float64(i)
		worker := fmt.Sprintf("w%d", i%3+1)
		if i < n-1 {
			l.add(s+2, `"level":"error","worker":%q,"event":"transport","detail":"engine transport closed after %d ms"`, worker, i*17)
		}
		l.add(s+1, `"level":"info","worker":%q,"event":"engine_slow","detail":"turn took %d ms"`, worker, i)
		l.add(s, `"level":"error","worker":%q,"event":"worker_exited","detail":"exit code 137"`, worker)
		l.add(s-1, `"level":"info","worker":%q,"event":"worker_started","detail":"pid %d"`, worker, 4000+i)
	}
	return l
}

const aroundExits = "logs: {source: engine, around: {field: event, is: [worker_exited]}}\nabnormal: new_shapes > 0"

// read runs a logs step, and gives its outcome as text and as such.
func read(t *testing.T, d Deps, kind string) (string, *playbook.Outcome) {
	t.Helper()
	s, e, out, err := looked(t, d, nil, kind)
	if err != nil {
		t.Fatal(err)
	}
	return told(t, s, e, out), out
}

func TestWhatTheLogSaysAroundExits(t *testing.T) {
	home := new(engineLog).quiet().crashes(5).home(t)
	got, out := read(t, withTraces(home), aroundExits)
	want := `abnormal: 5 worker_exited events between 03:55:00 and 03:57:00 UTC (w1 2, w2 2, w3 1). All 5 of them say: “exit code 137” (there was none in the 15m before the first). Before 4 of 5 of them: “transport: engine transport closed after <num> ms” (new: not seen in the 15m before the first). 1 more shape of lines is new.
  exit code 137 | 5 lines around 5 events
  worker_started: pid <num> | new, 5 lines around 5 events
  transport: engine transport closed after <num> ms | new, 4 lines around 4 events
  engine_slow: turn took <num> ms | 5 lines around 5 events
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	vars := maps.Clone(out.Rows[0].Vars)
	if diff := cmp.Diff(map[string]any{
		"events": int64(5), "lines": int64(19), "shapes": int64(4), "new_shapes": int64(2), "top": "exit code 137",
		"telling":   "exit code 137; worker_started: pid <num>; transport: engine transport closed after <num> ms",
		"top_count": int64(5), "top_events": int64(5), "by_count": map[string]any{"w1": 2.0, "w2": 2.0, "w3": 1.0},
	}, vars); diff != "" {
		t.Error(diff)
	}
	for name, typ := range (&logsAction{}).Vars() {
		if _, ok := vars[name]; !ok {
			t.Errorf("%s (%s) is declared and not given", name, typ)
		}
	}
}

func TestWhereTheReasonStandsBeforeTheEvent(t *testing.T) {
	for _, tt := range []struct {
		name, kind, want string
		log              *engineLog
	}{
		{
			"a bare event", aroundExits, "2 worker_exited events between 04:03:20 and 04:04:10 UTC (w1 2). Before both of them: “exit code 137: engine transport closed” (new: not seen in the 15m before the first).",
			new(engineLog).quiet().
				add(101, `"msg":"exit code 137: engine transport closed"`).add(100, `"event":"worker_exited","worker":"w1"`).
				add(51, `"msg":"exit code 137: engine transport closed"`).add(50, `"event":"worker_exited","worker":"w1"`),
		},
		{
			"an event that happened before, in another way", aroundExits, "1 worker_exited event at 04:03:20 UTC (w1). It says: “exit code 137” (new: not seen in the 15m before the first).",
			new(engineLog).quiet().add(950, `"event":"worker_exited","worker":"w1","detail":"exit code 0"`).
				add(100, `"event":"worker_exited","worker":"w1","detail":"exit code 137"`),
		},
		{
			"nothing but what is usual", aroundExits, "1 worker_exited event at 04:03:20 UTC (w1). Nothing around it is new or rare; most often before it: “engine_slow: turn took 7 ms” (seen 5× in the 15m before the first).",
			new(engineLog).quiet().add(101, `"level":"info","worker":"w1","event":"engine_slow","detail":"turn took 7 ms"`).add(100, `"event":"worker_exited","worker":"w1"`),
		},
		{
			"a rare line", "logs: {source: engine, around: {field: event, is: [worker_exited]}, rare: 5}\nabnormal: events > 9", "1 worker_exited event at 04:03:20 UTC (w1). Before it: “engine_slow: turn took 7 ms” (rare: seen 5× in the 15m before the first).",
			new(engineLog).quiet().add(101, `"level":"info","worker":"w1","event":"engine_slow","detail":"turn took 7 ms"`).add(100, `"event":"worker_exited","worker":"w1"`),
		},
		{
			"nothing else at all", aroundExits, "1 worker_exited event at 04:03:20 UTC. engine has no other lines around it.",
			new(engineLog).quiet().add(100, `"event":"worker_exited"`),
		},
		{"none", aroundExits, "No worker_exited event in engine in the 15m before 04:05:00 UTC.", new(engineLog).quiet().add(100, `"event":"worker_started"`)},
		{"none of the log's recent past", aroundExits, "No worker_exited event in engine in the 15m before 04:05:00 UTC.", new(engineLog).quiet()},
		{
			"a log that begins with the trouble", strings.Replace(aroundExits, "new_shapes", "events", 1), "1 worker_exited event at 04:03:20 UTC. Before it: “boom”. What is new cannot be told: engine does not reach back over the 15m before the first event.",
			new(engineLog).add(200, `"msg":"hello"`).add(101, `"msg":"boom"`).add(100, `"event":"worker_exited"`),
		},
		{
			"lines with a word", "logs: {source: engine, around: {contains: [panic]}}\nabnormal: events > 9", "1 line with “panic” at 04:03:20 UTC. It says: “panic: nil map” (there was none in the 15m before the first). 1 more shape of lines is new.",
			new(engineLog).quiet().add(100, `"msg":"panic: nil map"`).add(99, `"msg":"restart"`),
		},
		{"an empty log", aroundExits, "No worker_exited event in engine in the 15m before 04:05:00 UTC. Not complete: engine has no lines at all up to then, so that no events may only mean that nothing is written to it.", new(engineLog)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, out := read(t, withTraces(tt.log.home(t)), tt.kind)
			if diff := cmp.Diff(tt.want, out.Headline); diff != "" {
				t.Error(diff)
			}
			if out.Partial != strings.Contains(tt.want, "Not complete") {
				t.Error("partial is", out.Partial)
			}
		})
	}
}

func TestNewCannotBeToldFromALogThatBeginsLate(t *testing.T) {
	home := new(engineLog).add(101, `"msg":"boom"`).add(100, `"event":"worker_exited"`).home(t)
	s, e, out, err := looked(t, withTraces(home), nil, aroundExits)
	if err != nil {
		t.Fatal(err)
	}
	if _, given := out.Rows[0].Vars["new_shapes"]; given || out.Rows[0].Missing == "" {
		t.Errorf("%+v", out.Rows[0])
	}
	if verdict, err := s.Judge(out.Rows[0], e.env.Data); verdict == triage.VerdictNormal || verdict == triage.VerdictAbnormal {
		t.Error(verdict, err)
	}
}

// Windows that overlap count a line once, under the nearest event.
func TestALineNearSeveralEventsCountsOnce(t *testing.T) {
	l := new(engineLog).quiet()
	for i := range 10 {
		l.add(100-float64(i), `"event":"worker_exited","worker":"w1"`)
	}
	l.add(99.8, `"msg":"in between"`).add(94, `"msg":"on the spot"`)
	_, out := read(t, withTraces(l.home(t)), aroundExits)
	if vars := out.Rows[0].Vars; vars["lines"] != int64(12) || vars["events"] != int64(10) {
		t.Error(vars)
	}
	near := map[string]string{}
	for line := range strings.Lines(string(out.Artifacts[1].Data)) {
		var n struct {
			Event  int
			Offset float64 `json:"offset_ms"`
			Line   map[string]any
		}
		if err := json.Unmarshal([]byte(line), &n); err != nil {
			t.Fatal(err)
		}
		if msg, ok := n.Line["msg"].(string); ok {
			near[msg] = fmt.Sprintf("%d %+g", n.Event, n.Offset)
		}
	}
	if diff := cmp.Diff(map[string]string{"in between": "1 +200", "on the spot": "7 +0"}, near); diff != "" {
		t.Error(diff)
	}
	if strings.Count(string(out.Artifacts[1].Data), "\n") != 12 {
		t.Errorf("%s", out.Artifacts[1].Data)
	}
}

func TestOnlyTheLinesOfTheWorkerThatExited(t *testing.T) {
	l := new(engineLog).quiet().
		add(101, `"worker":"w1","msg":"own"`).add(101, `"worker":"w2","msg":"another's"`).add(101, `"msg":"nobody's"`).
		add(100, `"event":"worker_exited","worker":"w1"`)
	_, out := read(t, withTraces(l.home(t)), "logs: {source: engine, by: worker, around: {field: event, is: [worker_exited]}}\nabnormal: by_count.exists(w, by_count[w] > 0)")
	if vars := out.Rows[0].Vars; vars["lines"] != int64(2) || vars["top"] != "own" {
		t.Error(vars)
	}
}

func TestPlainLogsHaveEventsToo(t *testing.T) {
	l := &engineLog{format: tracelog.FormatPlain}
	for s := 2400.0; s > 900; s -= 20 {
		l.add(s, "INFO heartbeat %d", int(s))
	}
	l.add(101, "ERROR cannot reach 10.0.0.7:443")
	l.add(100, "FATAL exited").text.WriteString("  goroutine 1 [running]:\n")
	got, _ := read(t, withTraces(l.home(t)), "logs: {source: engine, around: {contains: [exited]}}\nabnormal: new_shapes > 0")
	want := `abnormal: 1 line with “exited” at 04:03:20 UTC. Before it: “ERROR cannot reach 10.0.0.7:443” (new: not seen in the 15m before the first). 1 more shape of lines is new.
  ERROR cannot reach 10.0.0.7:443 | new, 1 line around 1 event
  FATAL exited | 1 line around 1 event
  goroutine 1 [running]: | new, 1 line around 1 event
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEventsOfPrometheus(t *testing.T) {
	// Restarts of w1 at 1000 s and 1300 s, of w2 at 1300 s; one counter starts anew.
	engine := promtest.New(t, `load 10s
  restarts_total{worker="w1"} 0x100 1x29 2x100
  restarts_total{worker="w2"} 5x130 0x3 1x100
  restarts_total{worker="w3"} 0x300
`)
	d := withProm(engine)
	l := new(engineLog)
	zero := at.Truncate(time.Second)
	since := func(s float64) float64 { return zero.Sub(time.Unix(int64(s), 0)).Seconds() }
	for s := 0.0; s < 900; s += 20 {
		l.add(since(s), `"msg":"beat"`)
	}
	l.add(since(1005), `"worker":"w1","msg":"closed"`).add(since(1335), `"worker":"w2","msg":"closed"`)
	d.Traces = []tracelog.Home{l.home(t)}
	s := mustLoad(t, d, "logs: {source: engine, before: 30s, around: {expr: 'increase(restarts_total[30s]) > 0'}}\nabnormal: new_shapes > 0")
	e := newExecution(nil)
	e.env.At = time.Unix(1700, 0)
	out, err := e.run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	want := "3 events between 00:16:50 and 00:22:30 UTC (w1 2, w2 1). Before 2 of 3 of them: “closed” (new: not seen in the 15m before the first)."
	if diff := cmp.Diff(want, out.Headline); diff != "" {
		t.Error(diff)
	}
}

func TestWhatCannotBeReadIsNoAbsence(t *testing.T) {
	t.Run("one of the files", func(t *testing.T) {
		home := new(engineLog).quiet().home(t)
		home.Sources[0].Files = append(home.Sources[0].Files, filepath.Join(t.TempDir(), "gone.ndjson"))
		got, out := read(t, withTraces(home), aroundExits)
		if !out.Partial || !strings.HasPrefix(got, "unknown: No worker_exited event") || !strings.Contains(got, "gone.ndjson: it does not exist") {
			t.Error(got)
		}
	})
	t.Run("no log configured", func(t *testing.T) {
		_, _, _, err := looked(t, Deps{}, nil, aroundExits)
		if err == nil || !strings.Contains(err.Error(), "no log called engine is configured") {
			t.Error(err)
		}
	})
	t.Run("Prometheus", func(t *testing.T) {
		d := withTraces(new(engineLog).home(t))
		_, _, _, err := looked(t, d, nil, "logs: {source: engine, around: {expr: 'x > 0'}}\nabnormal: events > 0")
		if err == nil || !strings.Contains(err.Error(), "no Prometheus is configured") {
			t.Error(err)
		}
	})
}

func TestManyEventsAndHostileLinesAreBounded(t *testing.T) {
	l := new(engineLog).quiet()
	for i := range 3000 {
		l.add(800-float64(i)/10, `"event":"worker_exited","worker":"w%d","detail":"%s id%d"`, i%200, strings.Repeat(`<*>\u202e\u0000 `, 50), i)
	}
	l.text.WriteString("\x00\xff\xfe torn \x1b[31m\n" + strings.Repeat("x", 20_000) + "\n")
	got, out := read(t, withTraces(l.home(t)), aroundExits)
	vars := out.Rows[0].Vars
	if vars["events"] != int64(3000) || len(vars["by_count"].(map[string]any)) > maxCounted {
		t.Error(vars)
	}
	if !strings.Contains(out.Headline, "Lines were read around the first 512.") || len(got) > 3000 {
		t.Errorf("%d bytes: %s", len(got), out.Headline)
	}
	for _, a := range out.Artifacts {
		if len(a.Data) > maxKeptText+200 || !utf8.Valid(a.Data) || slices.ContainsFunc([]rune(string(a.Data)), func(r rune) bool { return r == '\u202e' || r == 0x1b }) {
			t.Errorf("%s: %d bytes", a.Name, len(a.Data))
		}
	}
}

func TestLogsStepsThatCannotWorkAreExplained(t *testing.T) {
	d := withTraces(new(engineLog).home(t))
	for _, tt := range []struct{ kind, want string }{
		{`logs: {}`, "source: is missing; write the name of a log or backend under traces"},
		{`logs: {source: engine}`, "around: is missing; write the events around which lines are shown"},
		{`logs: {source: engin, around: {contains: [x]}}`, `no log "engin" is configured under traces; did you mean "engine"?`},
		{`logs: {source: engine, around: {}}`, "around: says 0 ways to find events; write one"},
		{`logs: {source: engine, around: {contains: [x], expr: up}}`, "around: says 2 ways to find events; write one"},
		{`logs: {source: engine, around: {field: event}}`, "around.is: is missing; write the values of event that make a line an event"},
		{`logs: {source: engine, around: {is: [x]}}`, "around.field: is missing"},
		{`logs: {source: engine, around: {contains: ['']}}`, "around.contains: has an empty entry"},
		{`logs: {source: engine, around: {expr: 'rate('}}`, "around.expr"},
		{`logs: {source: engine, around: {contains: [x], datasource: y}}`, "around.datasource: is for expr only"},
		{`logs: {source: engine, around: {contains: [x]}, within: 2d}`, "within: 2d is out of bounds"},
		{`logs: {source: engine, around: {contains: [x]}, before: 1h}`, "before: 1h is out of bounds"},
		{`logs: {source: engine, around: {contains: [x]}, rare: -1}`, "rare: -1 is out of bounds"},
		{`logs: {source: engine, around: {contains: [x]}, lines: 5}`, "unknown key"},
	} {
		if got := problemsOf(t, d, tt.kind+"\nabnormal: events > 0"); !strings.Contains(got, tt.want) {
			t.Errorf("%s:\n%s\nwant %s", tt.kind, got, tt.want)
		}
	}
}
