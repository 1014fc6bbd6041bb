package step

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"image/png"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/playbook"
	"triagebot/triage/promapi"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample is a series of an instant answer.
type sample struct {
	labels triage.Labels
	value  float64
}

// fakeProm answers instant queries at the step's instant with now and at any
// other with before, and range queries with one point a step.
type fakeProm struct {
	now, before []sample
	err         error // of instant queries
	rangeErr    error
	asked       chan string // every expression and its times
}

func newFake(now, before []sample) *fakeProm {
	return &fakeProm{now: now, before: before, asked: make(chan string, 1000)}
}

func (p *fakeProm) samples(at time.Time) []sample {
	if at.Equal(at0) {
		return p.now
	}
	return p.before
}

// at0 is at as queries are asked.
var at0 = at.Truncate(time.Second)

func (*fakeProm) Exemplars(context.Context, string, time.Time, time.Time) ([]promapi.Exemplar, error) {
	return nil, nil // as without the feature
}

func (p *fakeProm) Query(_ context.Context, expr string, at time.Time) (*promapi.Result, error) {
	p.asked <- expr + " @ " + at.Format(time.RFC3339Nano)
	if p.err != nil {
		return nil, p.err
	}
	r := &promapi.Result{Type: "vector"}
	for _, s := range p.samples(at) {
		r.Series = append(r.Series, promapi.Series{Labels: s.labels, Points: []promapi.Point{{T: at, V: s.value}}})
	}
	return r, nil
}

func (p *fakeProm) QueryRange(_ context.Context, expr string, from, to time.Time, step time.Duration) (*promapi.Result, error) {
	p.asked <- fmt.Sprintf("%s from %s to %s every %s", expr, from.Format(time.RFC3339Nano), to.Format(time.RFC3339Nano), step)
	if p.rangeErr != nil {
		return nil, p.rangeErr
	}
	r := &promapi.Result{Type: "matrix"}
	for _, s := range p.samples(to) {
		series := promapi.Series{Labels: s.labels}
		for t, i := from, 0; !t.After(to); t, i = t.Add(step), i+1 {
			series.Points = append(series.Points, promapi.Point{T: t, V: s.value + float64(i)})
		}
		r.Series = append(r.Series, series)
	}
	return r, nil
}

func withProm(q Querier) Deps {
	return Deps{
		Prometheus:        map[string]Datasource{"main": {Querier: q, PublicURL: "https://prometheus.example.com/base/"}},
		DefaultDatasource: "main",
	}
}

func route(r string, v float64) sample { return sample{triage.Labels{"route": r}, v} }

func TestQueryRows(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, tt := range []struct {
		name        string
		options     string // beside expr
		now, before []sample
		rows        []string // name value baseline
		noData      string
		debug       string
		headline    string
	}{
		{
			name: "one series without labels", options: "unit: ms",
			now:      []sample{{triage.Labels{}, 431.2}},
			rows:     []string{" 431.2ms "},
			headline: "p95 latency is 431.2ms; evaluated at 04:05:00 UTC.",
		},
		{
			name:     "highest first",
			now:      []sample{route("/a", 1), route("/b", 3), route("/c", 2)},
			rows:     []string{`route="/b" 3 `, `route="/c" 2 `, `route="/a" 1 `},
			headline: `p95 latency is 3 for route="/b", the worst of 3 series; evaluated at 04:05:00 UTC.`,
		},
		{
			name: "lowest first", options: "worst: low",
			now:  []sample{route("/a", 1), route("/b", 3), route("/c", -2)},
			rows: []string{`route="/c" -2 `, `route="/a" 1 `, `route="/b" 3 `},
		},
		{
			name:     "labels break ties",
			now:      []sample{route("/b", 1), route("/a", 1)},
			rows:     []string{`route="/a" 1 `, `route="/b" 1 `},
			headline: `p95 latency is 1 for route="/a", the worst of 2 series; evaluated at 04:05:00 UTC.`,
		},
		{
			name: "farthest above the baseline first", options: "baseline: {offset: 1d}, unit: ms",
			now:      []sample{route("/slow", 900), route("/fast", 40), route("/new", 5000)},
			before:   []sample{route("/slow", 880), route("/fast", 10), route("/gone", 7)},
			rows:     []string{`route="/fast" 40ms 10ms`, `route="/slow" 900ms 880ms`, `route="/new" 5s `},
			debug:    "1 of 3 series had no value 1d before",
			headline: `p95 latency is 40ms (10ms 1d before) for route="/fast", the worst of 3 series; evaluated at 04:05:00 UTC.`,
		},
		{
			name: "a baseline of zero is the farthest", options: "baseline: {offset: 1d}",
			now:    []sample{route("/a", 9), route("/b", 1), route("/c", 0)},
			before: []sample{route("/a", 3), route("/b", 0), route("/c", 0)},
			rows:   []string{`route="/b" 1 0`, `route="/a" 9 3`, `route="/c" 0 0`},
		},
		{
			name: "farthest below the baseline first", options: "baseline: {offset: 1d}, worst: low",
			now:    []sample{route("/a", 90), route("/b", 1)},
			before: []sample{route("/a", 100), route("/b", 2)},
			rows:   []string{`route="/b" 1 2`, `route="/a" 90 100`},
		},
		{
			name: "a NaN baseline is none", options: "baseline: {offset: 1d}",
			now: []sample{route("/a", 1)}, before: []sample{route("/a", nan)},
			rows:  []string{`route="/a" 1 `},
			debug: "1 of 1 series had no value 1d before",
		},
		{
			name:     "NaN is no value",
			now:      []sample{route("/a", nan), route("/b", 3)},
			rows:     []string{`route="/b" 3 `},
			debug:    "1 of 2 series have no value (NaN)",
			headline: `p95 latency is 3 for route="/b" (1 more without a value); evaluated at 04:05:00 UTC.`,
		},
		{
			name: "infinite is the highest",
			now:  []sample{route("/a", 3), route("/b", inf), route("/c", -inf)},
			rows: []string{`route="/b" +Inf `, `route="/a" 3 `, `route="/c" -Inf `},
		},
		{
			name:   "no series",
			noData: "latency gives no series in Prometheus main at 04:05:00 UTC",
		},
		{
			name:   "all NaN",
			now:    []sample{route("/a", nan), route("/b", nan)},
			noData: "latency gives 2 series, all NaN, in Prometheus main at 04:05:00 UTC",
		},
		{
			name: "no series in a range", options: "range: 10m",
			noData: "latency gives no series in Prometheus main in the 10m before 04:05:00 UTC",
		},
		{
			name: "max_series", options: "max_series: 2",
			now:      []sample{route("/a", 1), route("/b", 3), route("/c", 2)},
			rows:     []string{`route="/b" 3 `, `route="/c" 2 `},
			debug:    "the worst 2 of 3 series are judged (max_series)",
			headline: `p95 latency is 3 for route="/b", the worst of 3 series; evaluated at 04:05:00 UTC.`,
		},
		// A range of 10m has 61 points 10s apart: v, v+1, … v+60.
		{name: "last of a range", options: "range: 10m", now: []sample{route("/a", 1)}, rows: []string{`route="/a" 61 `}},
		{name: "max of a range", options: "range: 10m, reduce: max", now: []sample{route("/a", 1)}, rows: []string{`route="/a" 61 `}},
		{name: "min of a range", options: "range: 10m, reduce: min", now: []sample{route("/a", 1)}, rows: []string{`route="/a" 1 `}},
		{name: "avg of a range", options: "range: 10m, reduce: avg", now: []sample{route("/a", 1)}, rows: []string{`route="/a" 31 `}},
		{name: "sum of a range", options: "range: 10m, reduce: sum", now: []sample{route("/a", 0)}, rows: []string{`route="/a" 1.83k `}},
		{
			name: "baseline of a range", options: "range: 10m, reduce: min, baseline: {offset: 1h}",
			now: []sample{route("/a", 1)}, before: []sample{route("/a", 5)},
			rows: []string{`route="/a" 1 5`},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			options := ""
			if tt.options != "" {
				options = ", " + tt.options
			}
			s := mustLoad(t, withProm(newFake(tt.now, tt.before)), "query: {expr: latency"+options+"}")
			e := newExecution(nil)
			out, err := e.run(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			var rows []string
			for _, r := range out.Rows {
				rows = append(rows, r.Name+" "+r.Value+" "+r.Baseline)
				if _, found := r.Vars["baseline"]; found != (r.Baseline != "") {
					t.Errorf("%s: variable baseline is there: %t", r.Name, found)
				}
			}
			if diff := cmp.Diff(tt.rows, rows); diff != "" {
				t.Error(diff)
			}
			if out.NoData != tt.noData {
				t.Errorf("no data: %q", out.NoData)
			}
			if e.debugLog() != tt.debug {
				t.Errorf("debug: %q", e.debugLog())
			}
			if tt.headline != "" && out.Headline != tt.headline {
				t.Errorf("headline: %q", out.Headline)
			}
			if out.NoDataVerdict != triage.VerdictUnknown {
				t.Errorf("no-data verdict: %s", out.NoDataVerdict)
			}
		})
	}
}

func TestQueryVariablesAreWhatConditionsCanUse(t *testing.T) {
	fake := newFake([]sample{{triage.Labels{"__name__": "latency", "route": "/a"}, math.Inf(1)}}, []sample{{triage.Labels{"__name__": "latency", "route": "/a"}, 2}})
	s := mustLoad(t, withProm(fake), `query: {expr: latency, baseline: {offset: 1d}}
abnormal: value > baseline * 1.05 && series_count == 1 && series.route == "/a"
finding: '{{ .Series.route }}: {{ .Value }} after {{ .Baseline | ms }}'`)
	e := newExecution(nil)
	out, err := e.run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"value": math.MaxFloat64, "baseline": 2.0, "is_new": false, "series_count": int64(1),
		"series": map[string]any{"__name__": "latency", "route": "/a"},
	}
	if diff := cmp.Diff(want, out.Rows[0].Vars); diff != "" {
		t.Error(diff)
	}
	if verdict, err := s.Judge(out.Rows[0], e.env.Data); err != nil || verdict != triage.VerdictAbnormal {
		t.Errorf("%s, %v", verdict, err)
	}
	if text, err := s.Finding.RenderRow(e.env.Data, out.Rows[0].Vars); err != nil || !strings.HasPrefix(text, "/a: 1.79") || !strings.HasSuffix(text, "after 2ms") {
		t.Errorf("%q, %v", text, err)
	}
}

func TestNoDataCanBeNormalOrAbnormal(t *testing.T) {
	for _, verdict := range []triage.Verdict{triage.VerdictNormal, triage.VerdictAbnormal, triage.VerdictUnknown} {
		s := mustLoad(t, withProm(newFake(nil, nil)), fmt.Sprintf("query: {expr: latency, no_data: %s}", verdict))
		out, err := newExecution(nil).run(t.Context(), s)
		if err != nil || len(out.Rows) != 0 || out.NoDataVerdict != verdict {
			t.Errorf("%s: %+v, %v", verdict, out, err)
		}
	}
}

func TestWhatAQueryAsks(t *testing.T) {
	fake := newFake(nil, nil)
	s := mustLoad(t, withProm(fake), "query: {expr: latency, baseline: {offset: 1d}, chart: {range: 1h}}")
	if _, err := newExecution(nil).run(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for range len(fake.asked) {
		got[<-fake.asked] = true
	}
	want := map[string]bool{
		"latency @ 2026-11-24T04:05:00Z":                                      true,
		"latency @ 2026-11-23T04:05:00Z":                                      true,
		"latency from 2026-11-24T03:05:00Z to 2026-11-24T04:05:00Z every 15s": true,
		"latency from 2026-11-23T03:05:00Z to 2026-11-23T04:05:00Z every 15s": true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestQueryEvidence(t *testing.T) {
	now := []sample{
		{triage.Labels{"route": "/a", "method": "GET"}, 431.25},
		{triage.Labels{"route": "/b", "method": "<!channel>\u202E"}, math.NaN()},
		{triage.Labels{"route": "/c", "method": "GET"}, math.Inf(1)},
	}
	before := []sample{{triage.Labels{"route": "/a", "method": "GET"}, 212}}
	for name, options := range map[string]string{
		"instant": "baseline: {offset: 1d}",
		"range":   "range: 1m, reduce: max, baseline: {offset: 1d}",
		"empty":   "range: 1m",
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake(now, before)
			if name == "empty" {
				fake = newFake(nil, nil)
			}
			s := mustLoad(t, withProm(fake), "query: {expr: 'latency > 0', "+options+"}")
			out, err := newExecution(nil).run(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if len(out.Artifacts) != 1 {
				t.Fatalf("%d artifacts", len(out.Artifacts))
			}
			got := out.Artifacts[0]
			if got.Name != "p95.json" || got.MediaType != "application/json" || got.Source != "Prometheus main" || got.Draw != nil {
				t.Errorf("%+v", got)
			}
			golden := filepath.Join("testdata", "evidence_"+name+".json")
			if *update {
				if err := os.WriteFile(golden, got.Data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got.Data)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestQueryChart(t *testing.T) {
	fake := newFake([]sample{route("/a", 300), route("/b", 500)}, []sample{route("/a", 250), route("/b", 450)})
	s := mustLoad(t, withProm(fake), "query: {expr: latency, baseline: {offset: 1d}, chart: {range: 1h, unit: ms}}")
	out, err := newExecution(nil).run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Artifacts) != 2 {
		t.Fatalf("%d artifacts", len(out.Artifacts))
	}
	picture := out.Artifacts[1]
	if picture.Name != "p95.png" || picture.MediaType != "image/png" || picture.Data != nil {
		t.Errorf("%+v", picture)
	}
	data, alt, err := picture.Draw(t.Context(), triage.VerdictAbnormal)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(data)); err != nil {
		t.Error(err)
	}
	if want := "Chart of p95 latency from 03:05 to 04:05 UTC: 300ms (250ms 1d before), abnormal."; alt != want {
		t.Errorf("alt: %s", alt)
	}
	if normal, _, err := picture.Draw(t.Context(), triage.VerdictNormal); err != nil || bytes.Equal(normal, data) {
		t.Errorf("the verdict makes no difference, %v", err)
	}
}

// What the alert measures against can be seen beside what was measured.
func TestAQuerysChartDrawsItsThreshold(t *testing.T) {
	drawn := func(chart string) ([]byte, string) {
		fake := newFake([]sample{route("/a", 0.3)}, nil)
		out, err := newExecution(nil).run(t.Context(), mustLoad(t, withProm(fake), "query: {expr: ratio, chart: {range: 1h, unit: percent"+chart+"}}"))
		if err != nil {
			t.Fatal(err)
		}
		data, alt, err := out.Artifacts[1].Draw(t.Context(), triage.VerdictAbnormal)
		if err != nil {
			t.Fatal(err)
		}
		return data, alt
	}
	without, _ := drawn("")
	with, alt := drawn(", threshold: 0.02")
	if bytes.Equal(with, without) || !strings.HasSuffix(alt, ": 30%, threshold 2%, abnormal.") {
		t.Errorf("%s", alt)
	}
}

func TestAStepSucceedsWithoutItsChart(t *testing.T) {
	fake := newFake([]sample{route("/a", 1)}, nil)
	fake.rangeErr = &promapi.Error{Reason: promapi.ReasonTimeout}
	s := mustLoad(t, withProm(fake), "query: {expr: latency, chart: {range: 1h}}")
	e := newExecution(nil)
	out, err := e.run(t.Context(), s)
	if err != nil || len(out.Rows) != 1 || len(out.Artifacts) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	if !strings.HasPrefix(e.debugLog(), "no chart: ") {
		t.Errorf("debug: %q", e.debugLog())
	}
}

func TestNoDataStillHasItsChart(t *testing.T) {
	s := mustLoad(t, withProm(newFake(nil, nil)), "query: {expr: latency, chart: {range: 1h}}")
	out, err := newExecution(nil).run(t.Context(), s)
	if err != nil || len(out.Artifacts) != 2 {
		t.Fatalf("%+v, %v", out, err)
	}
	if _, alt, err := out.Artifacts[1].Draw(t.Context(), triage.VerdictUnknown); err != nil || alt != "Chart of p95 latency from 03:05 to 04:05 UTC: no data, unknown." {
		t.Errorf("%q, %v", alt, err)
	}
}

func TestQueryLinks(t *testing.T) {
	const expr = `sum by (route) (rate(x{a="+ &"}[5m]))`
	for _, tt := range []struct {
		options string
		want    url.Values
	}{
		{"", url.Values{"g0.expr": {expr}, "g0.tab": {"1"}, "g0.moment_input": {"2026-11-24 04:05:00"}}},
		{", chart: {range: 1h}", url.Values{
			"g0.expr": {expr}, "g0.tab": {"0"}, "g0.moment_input": {"2026-11-24 04:05:00"},
			"g0.end_input": {"2026-11-24 04:05:00"}, "g0.range_input": {"1h"},
		}},
	} {
		s := mustLoad(t, withProm(newFake(nil, nil)), "query: {expr: '"+expr+"'"+tt.options+"}")
		out, err := newExecution(nil).run(t.Context(), s)
		if err != nil || len(out.Links) != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		link, err := url.Parse(out.Links[0].URL)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, link.Query()); diff != "" {
			t.Error(diff)
		}
		if link.RawQuery = ""; link.String() != "https://prometheus.example.com/base/graph" {
			t.Error(link)
		}
		if strings.Contains(out.Links[0].URL, "+") {
			t.Errorf("+ is not a space everywhere: %s", out.Links[0].URL)
		}
	}
}

func TestALinkThatNoChannelTakesIsLeftOut(t *testing.T) {
	s := mustLoad(t, withProm(newFake(nil, nil)), `query: {expr: 'latency{a="{{ .Labels.a }}"}'}`)
	for n, want := range map[int]int{100: 1, 5000: 0} {
		e := newExecution(triage.Labels{"a": strings.Repeat("x", n)})
		out, err := e.run(t.Context(), s)
		if err != nil || len(out.Links) != want || strings.Contains(e.debugLog(), "no link") == (want == 1) {
			t.Errorf("%d: %v, %v, %s", n, out.Links, err, e.debugLog())
		}
	}
}

func TestQueryFailuresSayWhatToDo(t *testing.T) {
	failed := errors.New("refused")
	for _, tt := range []struct {
		reason    promapi.Reason
		transient bool
		next      string
	}{
		{promapi.ReasonBadQuery, false, "Mend the step's expr"},
		{promapi.ReasonDenied, false, "Check the credentials"},
		{promapi.ReasonTimeout, false, "make the query cheaper"},
		{promapi.ReasonUnavailable, true, "Check that Prometheus is up"},
		{promapi.ReasonBadResponse, false, "Check the datasource's url"},
		{promapi.ReasonTooLarge, false, "Aggregate the query"},
	} {
		fake := newFake(nil, nil)
		fake.err = &promapi.Error{Reason: tt.reason, Transient: tt.transient, Err: failed}
		s := mustLoad(t, withProm(fake), "query: {expr: latency, baseline: {offset: 1d}}")
		_, err := newExecution(nil).run(t.Context(), s)
		var stepErr *playbook.StepError
		if !errors.As(err, &stepErr) || stepErr.Transient != tt.transient || !strings.Contains(stepErr.NextStep, tt.next) || !errors.Is(err, failed) {
			t.Errorf("%s: %#v", tt.reason, err)
		}
	}
}

func TestHostileLabelsStayInsideTheirQuotes(t *testing.T) {
	for _, hostile := range []string{`"} or vector(1)`, "`", `\`, "\n# ", "<!channel>", "\u202Etxt", "\xff\xfe", "{{ .At }}", "'"} {
		fake := newFake([]sample{{triage.Labels{"route": hostile}, 1}}, nil)
		s := mustLoad(t, withProm(fake), `query: {expr: 'latency{route="{{ .Labels.route }}"}'}`)
		out, err := newExecution(triage.Labels{"route": hostile}).run(t.Context(), s)
		if err != nil {
			t.Errorf("%q: %v", hostile, err)
			continue
		}
		asked := <-fake.asked
		if !strings.HasPrefix(asked, `latency{route="`) || !strings.HasSuffix(asked, `"} @ 2026-11-24T04:05:00Z`) || strings.Contains(asked, `e="}`) {
			t.Errorf("%q asked %q", hostile, asked)
		}
		if name := out.Rows[0].Name; strings.ContainsAny(name, "\n\u202E") || !utf8.ValidString(name) {
			t.Errorf("%q is shown as %q", hostile, name)
		}
	}
}

func TestHugeAndManyLabelsAreBounded(t *testing.T) {
	labels := triage.Labels{"big": strings.Repeat("x", 1<<20), "nul": "a\x00b"}
	for i := range 200 {
		labels[fmt.Sprintf("l%03d", i)] = "v"
	}
	s := mustLoad(t, withProm(newFake([]sample{{labels, 1}}, nil)), "query: {expr: latency, chart: {range: 1h}}")
	out, err := newExecution(nil).run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if n := len([]rune(out.Rows[0].Name)); n > maxShownName+1 {
		t.Errorf("a name of %d runes", n)
	}
	if len(out.Headline) > 1000 {
		t.Errorf("a headline of %d bytes", len(out.Headline))
	}
	series := out.Rows[0].Vars["series"].(map[string]any)
	if len(series) != maxLabels || len(series["big"].(string)) != maxLabelValue {
		t.Errorf("%d labels, the big one of %d bytes", len(series), len(series["big"].(string)))
	}
	if _, _, err := out.Artifacts[1].Draw(t.Context(), triage.VerdictNormal); err != nil {
		t.Error(err)
	}
}

func TestAValueThatDoesNotFitTheQueryIsSaid(t *testing.T) {
	s := mustLoad(t, withProm(newFake(nil, nil)), "query: {expr: 'rate(latency[{{ .Labels.window }}])'}")
	_, err := newExecution(triage.Labels{"window": "5m]) or vector(1"}).run(t.Context(), s)
	var stepErr *playbook.StepError
	if !errors.As(err, &stepErr) || stepErr.Transient || !strings.Contains(err.Error(), "the query cannot be written") {
		t.Errorf("%v", err)
	}
}

func TestAStepThatIsOverSaysSo(t *testing.T) {
	fake := newFake(nil, nil)
	fake.err = context.DeadlineExceeded // what a client returns when its caller's time is over
	s := mustLoad(t, withProm(fake), "query: {expr: latency}")
	if _, err := newExecution(nil).run(t.Context(), s); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "Prometheus main") {
		t.Error(err)
	}
}

func TestAQueryWithoutPrometheusLoadsAndSaysSoWhenRun(t *testing.T) {
	s := mustLoad(t, Deps{}, "query: {expr: latency, datasource: any}")
	_, err := newExecution(nil).run(t.Context(), s)
	var stepErr *playbook.StepError
	if !errors.As(err, &stepErr) || stepErr.NextStep == "" {
		t.Error(err)
	}
}

func TestQueryProblems(t *testing.T) {
	for _, tt := range []struct{ yaml, want string }{
		{"{}", "query.expr: is missing"},
		{"{expr: 'sum('}", "query.expr: not PromQL"},
		{"{expr: up, exprs: up}", `query.exprs: unknown key; did you mean "expr"?`},
		{"{expr: up, datasource: mian}", `query.datasource: unknown datasource "mian"; did you mean "main"?; known are main`},
		{"{expr: up, range: 5x}", `query.range: "5x" is no duration`},
		{"{expr: up, range: 90d}", "query.range: 90d is out of bounds"},
		{"{expr: up, reduce: max}", "query.reduce: reduces nothing without a range"},
		{"{expr: up, range: 5m, reduce: median}", `query.reduce: "median" is not known; write one of last, max, min, avg, sum`},
		{"{expr: up, baseline: {}}", `query.baseline.offset: "" is no duration`},
		{"{expr: up, baseline: {offset: 1s}}", "query.baseline.offset: 1s is out of bounds"},
		{"{expr: up, chart: {unit: ms}}", `query.chart.range: "" is no duration`},
		{"{expr: up, chart: {range: 1h, threshold: .nan}}", `query.chart.threshold: NaN is no place for a line`},
		{"{expr: up, chart: {range: 1h, unit: parsec}}", `query.chart.unit: "parsec" is not known`},
		{"{expr: up, unit: sec}", `query.unit: "sec" is not known; write one of none, ms, s, percent, bytes, reqps`},
		{"{expr: up, worst: middle}", `query.worst: "middle" is not known; write one of high, low`},
		{"{expr: up, max_series: 1001}", "query.max_series: 1001 is out of bounds; write a number from 1 to 1000"},
		{"{expr: up, max_series: -1}", "query.max_series: -1 is out of bounds"},
		{"{expr: up, no_data: fine}", `query.no_data: "fine" is not known; write one of normal, abnormal, unknown`},
	} {
		if got := problemsOf(t, withProm(newFake(nil, nil)), "query: "+tt.yaml); !strings.Contains(got, "test.yaml:6: steps[0]."+tt.want) {
			t.Errorf("%s: %s", tt.yaml, got)
		}
	}
	noDefault := Deps{Prometheus: map[string]Datasource{"a": {}, "b": {}}}
	if got := problemsOf(t, noDefault, "query: {expr: up}"); !strings.Contains(got, "no default is configured; known are a, b") {
		t.Error(got)
	}
}
