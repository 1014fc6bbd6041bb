package step

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/grafana"
	"triagebot/triage/playbook"
	"triagebot/triage/promapi/promtest"
	"triagebot/triage/step/chart"
	"triagebot/triage/step/dashboard"
)

// shipped is the folder of the shipped dashboard.
const shipped = "../../playbooks"

// codex are 75 minutes of a codex app server whose latency, errors, restarts and
// tool buffers go wrong 15 minutes before the end; one sample each 15 s.
func codex() string {
	const healthy, ill = 240, 60
	var b strings.Builder
	b.WriteString("load 15s\n")
	counter := func(series string, before, after float64) {
		fmt.Fprintf(&b, "  %s 0+%gx%d %g+%gx%d\n", series, before, healthy-1, before*healthy, after, ill)
	}
	gauge := func(series string, before, after float64) {
		fmt.Fprintf(&b, "  %s %g+0x%d %g+0x%d\n", series, before, healthy-1, after, ill)
	}
	const route = `route="/v1/chat/completions",method="POST",status_family="2xx"`
	for _, bucket := range []struct {
		le            string
		before, after float64
	}{{"100", 2, 0}, {"250", 20, 1}, {"500", 70, 10}, {"1000", 95, 25}, {"2500", 99, 80}, {"5000", 100, 96}, {"10000", 100, 100}, {"+Inf", 100, 100}} {
		counter(fmt.Sprintf(`codex_http_latency_ms_bucket{%s,le=%q}`, route, bucket.le), bucket.before, bucket.after)
	}
	gauge(`route:codex_http_latency_ms:p95_baseline{`+route+`}`, 1000, 1000)
	counter(`codex_http_requests_total{`+route+`}`, 100, 92)
	counter(`codex_http_requests_total{route="/v1/chat/completions",method="POST",status_family="5xx"}`, 0.2, 8)
	for reason, n := range map[string][2]float64{"backend": {0.15, 7}, "maintenance": {0, 0.4}, "no_worker": {0.05, 0.6}} {
		counter(fmt.Sprintf(`codex_http_request_errors_total{route="/v1/chat/completions",reason=%q}`, reason), n[0], n[1])
	}
	for i := range 4 {
		counter(fmt.Sprintf(`codex_worker_restarts_total{worker="w%d"}`, i), 0, float64(i%2)*0.1)
		gauge(fmt.Sprintf(`codex_worker_backoff_ms{worker="w%d"}`, i), 0, float64(i%2)*1000*float64(i))
	}
	gauge(`codex_maintenance_mode`, 0, 1)
	counter(`codex_tool_buffer_started_total`, 6, 6)
	counter(`codex_tool_buffer_aborted_total`, 0, 2.5)
	gauge(`codex_tool_buffer_anomaly`, 0, 3)
	return b.String()
}

// codexEnd is when those 75 minutes end.
var codexEnd = time.Unix(300*15, 0).UTC()

func codexDeps(t testing.TB) Deps {
	d := withProm(promtest.New(t, codex()))
	d.Dashboards = func(path string) ([]byte, error) { return ReadDashboard(filepath.Join(shipped, path)) }
	return d
}

func codexBoard(t testing.TB) *dashboard.Dashboard {
	t.Helper()
	data, err := ReadDashboard(filepath.Join(shipped, "codex-dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	board, err := dashboard.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return board
}

func runPanel(t testing.TB, d Deps, kind string) (*playbook.Step, *execution, *playbook.Outcome, error) {
	t.Helper()
	s := mustLoad(t, d, kind)
	e := newExecution(triage.Labels{"route": "/v1/chat/completions"})
	e.env.At, e.env.Data.Alert.StartsAt = codexEnd, codexEnd.Add(-12*time.Minute)
	out, err := e.run(t.Context(), s)
	return s, e, out, err
}

func TestEveryShippedPanelIsDrawn(t *testing.T) {
	d := codexDeps(t)
	for _, p := range codexBoard(t).Panels {
		for _, theme := range []string{"light", "dark"} {
			t.Run(p.Title+" "+theme, func(t *testing.T) {
				_, e, out, err := runPanel(t, d, fmt.Sprintf(`panel: {dashboard: codex-dashboard.json, panel: %q, theme: %s}`, p.Title, theme))
				if err != nil {
					t.Fatal(err)
				}
				picture := out.Artifacts[1]
				data, alt, err := picture.Draw(t.Context(), triage.VerdictAbnormal)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(t.ArtifactDir(), fmt.Sprintf("%02d.png", p.ID)), data, 0o600); err != nil {
					t.Fatal(err)
				}
				size, err := png.DecodeConfig(bytes.NewReader(data))
				if err != nil || size.Width != chart.Width || !picture.Follows || picture.Name != "p95.png" || picture.Title != p.Title {
					t.Errorf("%+v, %v, %+v", size, err, picture)
				}
				if !strings.HasPrefix(alt, "Panel "+p.Title+" from 00:15 to 01:15 UTC: ") || !strings.HasSuffix(alt, ", abnormal.") || strings.Contains(alt, "no data") {
					t.Errorf("alt text: %s", alt)
				}
				if got := e.debugLog(); got != "" {
					t.Errorf("not all of it is drawn: %s", got)
				}
			})
		}
	}
}

func TestThePanelsTextSaysWhatThePictureShows(t *testing.T) {
	d := codexDeps(t)
	for _, tt := range []struct {
		panel, options, headline string
		rows                     []string
	}{
		{
			panel:    "Latency p95/p99",
			headline: "Latency p95/p99: 4.844s for p95 POST /v1/chat/completions, 8.75s for p99 POST /v1/chat/completions (p95 baseline + 5%: 1.05s); evaluated at 01:15:00 UTC.",
			rows:     []string{"p95 POST /v1/chat/completions 4.844s", "p99 POST /v1/chat/completions 8.75s", "(p95 baseline + 5% 1.05s)"},
		},
		{
			panel:    "Worker Restarts and Backoff",
			headline: "Worker Restarts and Backoff: 8 for restarts in 10m, all workers, 3s for backoff w3, the worst of each query, of 5 series; evaluated at 01:15:00 UTC.",
			rows:     []string{"restarts in 10m, all workers 8", "backoff w3 3s", "backoff w1 1s", "backoff w0 0ms", "backoff w2 0ms"},
		},
		{
			panel: "Worker Restarts and Backoff", options: "max_series: 2",
			headline: "Worker Restarts and Backoff: 8 for restarts in 10m, all workers, 3s for backoff w3, the worst of each query, of 5 series; evaluated at 01:15:00 UTC.",
			rows:     []string{"restarts in 10m, all workers 8", "backoff w3 3s"},
		},
		{
			panel: "Backoff by worker", options: "worst: low, vars: {worker: [w1, w3]}",
			headline: "Backoff by worker: 1s for w1, the worst of 2 series; evaluated at 01:15:00 UTC.",
			rows:     []string{"w1 1s", "w3 3s"},
		},
		{panel: "2", headline: "Error Ratio: 8.00% for /v1/chat/completions; evaluated at 01:15:00 UTC.", rows: []string{"/v1/chat/completions 8.00%"}},
		{panel: "Maintenance flag", headline: "Maintenance flag: ON for maintenance; evaluated at 01:15:00 UTC.", rows: []string{"maintenance ON"}},
		{
			panel: "Workers", options: "max_series: 3",
			headline: "Workers: 4.0 for restarts in 10m worker=\"w1\", 3s for backoff worker=\"w3\", the worst of each query, of 8 series; evaluated at 01:15:00 UTC.",
			rows:     []string{`restarts in 10m worker="w1" 4.0`, `restarts in 10m worker="w3" 4.0`, `backoff worker="w3" 3s`},
		},
		{panel: "Latency heatmap", headline: "Latency heatmap: 10s for highest bucket in use; evaluated at 01:15:00 UTC.", rows: []string{"highest bucket in use 10s"}},
	} {
		_, _, out, err := runPanel(t, d, fmt.Sprintf("panel: {dashboard: codex-dashboard.json, panel: %q, %s}", tt.panel, tt.options))
		if err != nil {
			t.Error(tt.panel, err)
			continue
		}
		var rows []string
		for _, r := range out.Rows {
			rows = append(rows, r.Name+" "+r.Value)
		}
		for _, r := range out.Details {
			rows = append(rows, "("+r.Name+" "+r.Value+")")
		}
		if diff := cmp.Diff(tt.rows, rows); diff != "" || out.Headline != tt.headline {
			t.Errorf("%s: %s\n%s", tt.panel, out.Headline, diff)
		}
	}
}

func TestConditionsSeeEachSeriesOfAPanelButNoReference(t *testing.T) {
	s, e, out, err := runPanel(t, codexDeps(t), `panel: {dashboard: codex-dashboard.json, panel: Latency p95/p99, vars: {route: '{{ .Labels.route }}'}}
abnormal: 'legend.startsWith("p95") && value > 1050.0 && series.method == "POST" && series_count == 2'
finding: '{{ .Legend }} is {{ .Value | ms }}'`)
	if err != nil {
		t.Fatal(err)
	}
	var verdicts []string
	for _, r := range out.Rows {
		verdict, err := s.Judge(r, e.env.Data)
		if err != nil {
			t.Fatal(err)
		}
		verdicts = append(verdicts, string(verdict))
	}
	if diff := cmp.Diff([]string{"abnormal", "normal"}, verdicts); diff != "" {
		t.Error(diff)
	}
	if text, err := s.Finding.RenderRow(e.env.Data, out.Rows[0].Vars); err != nil || text != "p95 POST /v1/chat/completions is 4.844s" {
		t.Errorf("%s, %v", text, err)
	}
}

func TestAPanelLinksToItsQueriesAndKeepsWhatItAsked(t *testing.T) {
	_, _, out, err := runPanel(t, codexDeps(t), `panel: {dashboard: codex-dashboard.json, panel: Errors by reason, vars: {route: '/v1/chat.completions'}}`)
	if err != nil {
		t.Fatal(err)
	}
	if out.NoData == "" || len(out.Rows) != 0 {
		t.Errorf("a dot matched another character: %+v", out)
	}
	const expr = `sum by (reason) (rate(codex_http_request_errors_total{route=~"/v1/chat\\.completions"}[5m]))`
	if link := out.Links[0]; link.Title != "Prometheus" || !strings.HasPrefix(link.URL, "https://prometheus.example.com/base/graph?g0.end_input=1970-01-01%2001%3A15%3A00&g0.expr="+strings.ReplaceAll(url.QueryEscape(expr), "+", "%20")) {
		t.Errorf("%+v", link)
	}
	var kept struct {
		PanelID int64 `json:"panel_id"`
		Queries []struct{ Expr string }
	}
	if err := json.Unmarshal(out.Artifacts[0].Data, &kept); err != nil || kept.PanelID != 3 || len(kept.Queries) != 1 || kept.Queries[0].Expr != expr {
		t.Errorf("%s, %v", out.Artifacts[0].Data, err)
	}
}

// board serves one dashboard with one panel as b.json.
func board(d Deps, panel string) Deps {
	d.Dashboards = func(path string) ([]byte, error) {
		if path != "b.json" {
			return nil, fmt.Errorf("reading the dashboard: %w", fs.ErrNotExist)
		}
		return []byte(`{"uid": "u", "panels": [{"id": 7, "title": "P", ` + panel + `}], "templating": {"list": [{"name": "a", "type": "query", "current": {"value": "x"}}]}}`), nil
	}
	return d
}

const (
	twoQueries = `"type": "timeseries", "targets": [{"refId": "A", "expr": "codex_worker_backoff_ms", "legendFormat": "{{worker}}"}, `
	onPanel    = `panel: {dashboard: b.json, panel: P}`
)

func TestAQueryThatFailsCostsItselfAndIsSaid(t *testing.T) {
	d := withProm(promtest.New(t, codex()))
	for second, want := range map[string]string{
		`{"refId": "B", "expr": "sum("}`:                                                               "query B: not PromQL",
		`{"refId": "B", "expr": "up{a=\"$b\"} + $b"}`:                                                  "query B: unknown variables $b",
		`{"refId": "B", "expr": "", "datasource": {"type": "__expr__", "uid": "__expr__"}}`:            "computed by Grafana's expressions",
		`{"refId": "B", "expr": "{app=\"x\"}", "datasource": {"type": "loki", "uid": "l"}}`:            "asks a datasource of type loki",
		`{"refId": "B", "expr": "  "}`:                                                                 "query B: it is empty",
		`{"refId": "B", "expr": "codex_worker_backoff_ms * on () group_left codex_worker_backoff_ms"}`: "query B: ",
	} {
		_, e, out, err := runPanel(t, board(d, twoQueries+second+"]"), onPanel)
		if err != nil {
			t.Error(second, err)
			continue
		}
		if !out.Partial || len(out.Rows) != 4 || !strings.Contains(out.Headline, " Not all of it: query B: ") || !strings.Contains(out.Headline, want) || !strings.Contains(e.debugLog(), want) || out.NextStep == "" {
			t.Errorf("%s: %+v", second, out.Headline)
		}
	}
}

// Several of Grafana's datasources are clients of Prometheus's API.
func TestWhateverSpeaksPromQLIsAsked(t *testing.T) {
	d := withProm(promtest.New(t, codex()))
	for _, source := range []string{"prometheus", "grafana-amazonprometheus-datasource", "grafana-azureprometheus-datasource", "victoriametrics-metrics-datasource"} {
		_, _, out, err := runPanel(t, board(d, fmt.Sprintf(`"type": "stat", "targets": [{"refId": "A", "expr": "codex_maintenance_mode", "datasource": {"type": %q, "uid": "x"}}]`, source)), onPanel)
		if err != nil || out.Partial || len(out.Rows) != 1 {
			t.Errorf("%s: %+v, %v", source, out, err)
		}
	}
}

func TestAFilterThatIsNotAppliedIsSaid(t *testing.T) {
	d := withProm(promtest.New(t, codex()))
	d.Dashboards = func(string) ([]byte, error) {
		return []byte(`{"uid": "u", "panels": [{"id": 7, "title": "P", "type": "stat", "targets": [{"refId": "A", "expr": "codex_worker_backoff_ms"}],
			"fieldConfig": {"defaults": {"displayName": "worker ${__field.labels.worker}"}}}],
			"templating": {"list": [{"name": "Filters", "type": "adhoc", "filters": [{"key": "worker", "operator": "=", "value": "w1"}]}]}}`), nil
	}
	_, e, out, err := runPanel(t, d, onPanel)
	if err != nil || out.Rows[0].Name != "worker w3" || !strings.Contains(e.debugLog(), `not applied: the dashboard's filter worker="w1"`) {
		t.Errorf("%+v, %v, %s", out, err, e.debugLog())
	}
}

func TestAPanelWithoutAnAnswerIsAnErrorOrNoData(t *testing.T) {
	d := withProm(promtest.New(t, codex()))
	if _, _, _, err := runPanel(t, board(d, `"type": "stat", "targets": [{"refId": "A", "expr": "sum("}]`), onPanel); err == nil || !strings.Contains(err.Error(), "not PromQL") {
		t.Errorf("%v", err)
	}
	if _, _, _, err := runPanel(t, board(d, `"type": "stat", "targets": [{"refId": "A", "expr": "sum("}, {"refId": "B", "expr": "nothing"}]`), onPanel); err == nil || !strings.Contains(err.Error(), "its other queries have no data") {
		t.Errorf("no data beside a failure passes as no data: %v", err)
	}
	_, _, out, err := runPanel(t, board(d, `"type": "stat", "targets": [{"refId": "A", "expr": "nothing"}]`), "panel: {dashboard: b.json, panel: P, no_data: normal}")
	if err != nil || out.NoData != "the panel P has no series with a value at 01:15:00 UTC in Prometheus main" || out.NoDataVerdict != triage.VerdictNormal {
		t.Errorf("%+v, %v", out, err)
	}
	if _, alt, err := out.Artifacts[1].Draw(t.Context(), triage.VerdictNormal); err != nil || !strings.Contains(alt, "no data") {
		t.Errorf("%s, %v", alt, err)
	}
	if _, _, _, err := runPanel(t, board(Deps{}, `"type": "stat", "targets": [{"refId": "A", "expr": "up"}]`), onPanel); err == nil || !strings.Contains(err.Error(), "no Prometheus is configured") {
		t.Errorf("%v", err)
	}
}

func TestASeriesThatEndedIsDrawnButHasNoValue(t *testing.T) {
	d := withProm(promtest.New(t, "load 15s\n  m{a=\"stays\"} 1+0x300\n  m{a=\"ended\"} 9+0x200\n"))
	_, e, out, err := runPanel(t, board(d, `"type": "timeseries", "targets": [{"refId": "A", "expr": "m", "legendFormat": "{{a}}"}]`), onPanel)
	if err != nil || len(out.Rows) != 1 || out.Rows[0].Name != "stays" || e.debugLog() != "1 of 2 series have no value at 01:15:00 UTC" {
		t.Errorf("%+v, %v, %s", out.Rows, err, e.debugLog())
	}
}

func TestHostileLabelsStayTextInAPanel(t *testing.T) {
	fake := newFake(nil, []sample{{triage.Labels{"a": "\xff\x00<!channel>\u202e" + strings.Repeat("x", 10000)}, 5}})
	_, _, out, err := runPanel(t, board(withProm(fake), `"type": "timeseries", "targets": [{"refId": "A", "expr": "m", "legendFormat": "{{a}}"}]`), onPanel)
	if err != nil {
		t.Fatal(err)
	}
	if name := out.Rows[0].Name; len(name) > 3*maxShownName || !utf8.ValidString(name) || strings.Contains(name, "\x00") {
		t.Errorf("%q", name)
	}
	if _, _, err := out.Artifacts[1].Draw(t.Context(), triage.VerdictAbnormal); err != nil {
		t.Error(err)
	}
}

// renderer is a Grafana that renders.
type renderer struct {
	viewed grafana.View
	err    error
	board  string
}

func (r *renderer) Dashboard(_ context.Context, uid string) ([]byte, error) {
	if uid != "codex-app" {
		return nil, &grafana.Error{Text: "Grafana has no such dashboard (404)", NextStep: "Import it."}
	}
	return []byte(r.board), nil
}

func (r *renderer) Render(_ context.Context, v grafana.View) ([]byte, error) {
	r.viewed = v
	return []byte("png"), r.err
}

func (*renderer) Link(v grafana.View) string {
	return fmt.Sprintf("https://grafana/d/%s?viewPanel=%d", v.UID, v.Panel)
}

func TestGrafanaRendersWhereItIsAskedTo(t *testing.T) {
	data, err := ReadDashboard(filepath.Join(shipped, "codex-dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	r := &renderer{board: `{"meta": {}, "dashboard": ` + string(data) + `}`}
	d := codexDeps(t)
	d.Grafana = r
	for _, kind := range []string{
		`{dashboard: codex-dashboard.json, panel: Error Ratio, render: auto, vars: {route: /v1}, theme: dark}`,
		`{dashboard: codex-app, panel: 2, render: grafana, vars: {route: /v1}, theme: dark}`,
	} {
		r.err = nil
		_, _, out, err := runPanel(t, d, "panel: "+kind)
		if err != nil {
			t.Fatal(kind, err)
		}
		if link := out.Links[0]; link != (triage.Link{Title: "Grafana", URL: "https://grafana/d/codex-app?viewPanel=2"}) {
			t.Errorf("%+v", link)
		}
		picture := out.Artifacts[1]
		if data, alt, err := picture.Draw(t.Context(), triage.VerdictNormal); err != nil || string(data) != "png" || !strings.Contains(alt, "Panel Error Ratio from 00:15 to 01:15 UTC") || picture.Source != "Grafana" {
			t.Errorf("%s, %s, %v", data, alt, err)
		}
		want := grafana.View{
			UID: "codex-app", Panel: 2, From: codexEnd.Add(-time.Hour), To: codexEnd, Width: 800, Height: 400, Theme: "dark",
			Vars: map[string][]string{"route": {"/v1"}, "worker": {"$__all"}, "window": {"5m"}},
		}
		if diff := cmp.Diff(want, r.viewed); diff != "" {
			t.Error(diff)
		}
		r.err = &grafana.Error{Text: "Grafana answered 401"}
		if _, _, err := picture.Draw(t.Context(), triage.VerdictNormal); err == nil {
			t.Error("a failed render is a picture")
		}
	}
	_, _, _, err = runPanel(t, d, `panel: {dashboard: other, panel: 2, render: grafana}`)
	var stepErr *playbook.StepError
	if !errors.As(err, &stepErr) || stepErr.NextStep != "Import it." || !strings.Contains(err.Error(), "dashboard other: Grafana has no such dashboard (404)") {
		t.Errorf("%v", err)
	}
}

func TestWithoutGrafanaOneThatItIsToRenderSaysSo(t *testing.T) {
	for _, kind := range []string{`{dashboard: codex-dashboard.json, panel: 2, render: grafana}`, `{dashboard: codex-app, panel: 2, render: grafana}`} {
		if _, _, _, err := runPanel(t, codexDeps(t), "panel: "+kind); err == nil || err.Error() != "no Grafana is configured" {
			t.Errorf("%v", err)
		}
	}
	// auto draws.
	if _, _, out, err := runPanel(t, codexDeps(t), `panel: {dashboard: codex-dashboard.json, panel: 2, render: auto}`); err != nil || out.Artifacts[1].Source == "Grafana" {
		t.Errorf("%v", err)
	}
}

func TestAPanelThatOnlyGrafanaDrawsHasNoRowsAndSaysWhy(t *testing.T) {
	d := board(codexDeps(t), `"type": "piechart", "targets": [{"refId": "A", "expr": "up"}]`)
	d.Grafana = &renderer{}
	_, _, out, err := runPanel(t, d, `panel: {dashboard: b.json, panel: P, render: grafana}`)
	if err != nil || len(out.Rows) != 0 || !strings.Contains(out.NoData, "is shown as a picture only: panels of type piechart") {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestWhatIsWrongWithAPanelStepIsSaid(t *testing.T) {
	d := codexDeps(t)
	for kind, want := range map[string]string{
		`{}`:                                                "dashboard: is missing; write a dashboard's file|panel: is missing; write the panel's title",
		`{dashboard: nowhere.json, panel: P}`:               "dashboard: nowhere.json: reading the dashboard: no such file",
		`{dashboard: ../x.json, panel: P}`:                  "leads out of the playbook's folder",
		`{dashboard: codex-app, panel: P}`:                  `"codex-app" is no file; write one that ends in .json, or render: grafana`,
		`{dashboard: 'a/b', panel: P, render: grafana}`:     `"a/b" is no uid`,
		`{dashboard: codex-dashboard.json, panel: Latency}`: `panel: no panel "Latency"; it has "Latency p95/p99", "Error Ratio"`,
		`{dashboard: codex-dashboard.json, panel: Error Ratio, vars: {rout: a}}`:                                                                              "vars.rout: the dashboard has no variable of that name; it has datasource, route, worker, window",
		`{dashboard: codex-dashboard.json, panel: Error Ratio, vars: {route: []}}`:                                                                            "vars.route: must be a text, or a list of 1 to 100 texts",
		`{dashboard: codex-dashboard.json, panel: Error Ratio, vars: {route: [{}]}}`:                                                                          "vars.route[0]: must be a text",
		`{dashboard: codex-dashboard.json, panel: Error Ratio, vars: {route: '{{ .Nope }}'}}`:                                                                 "vars.route: ",
		`{dashboard: codex-dashboard.json, panel: 2, range: 1s, render: paint, theme: blue, worst: x, max_series: 0x7fffffff, no_data: maybe, datasource: y}`: `range: 1s is out of bounds|render: "paint" is not known|theme: "blue"|worst: "x"|max_series: |no_data: "maybe"|datasource: unknown datasource "y"`,
	} {
		got := problemsOf(t, d, "panel: "+kind)
		for part := range strings.SplitSeq(want, "|") {
			if !strings.Contains(got, part) {
				t.Errorf("%s: %s\nwant %s", kind, got, part)
			}
		}
	}
	got := problemsOf(t, board(d, `"type": "piechart", "targets": [{"expr": "up"}]`), onPanel)
	if !strings.Contains(got, `panel: "P" cannot be drawn: panels of type piechart`) {
		t.Error(got)
	}
}

// BenchmarkIncident renders the six panels of one incident from answers that
// are there already.
func BenchmarkIncident(b *testing.B) {
	d := codexDeps(b)
	var pictures []playbook.Artifact
	for _, name := range []string{"Latency p95/p99", "Error Ratio", "Worker Restarts and Backoff", "Tool Buffer", "Latency heatmap", "Workers"} {
		_, _, out, err := runPanel(b, d, fmt.Sprintf(`panel: {dashboard: codex-dashboard.json, panel: %q}`, name))
		if err != nil {
			b.Fatal(err)
		}
		pictures = append(pictures, out.Artifacts[1])
	}
	before := cpu(b)
	for b.Loop() {
		for _, p := range pictures {
			if _, _, err := p.Draw(b.Context(), triage.VerdictAbnormal); err != nil {
				b.Fatal(err)
			}
		}
	}
	incident := float64((cpu(b) - before).Microseconds()) / 1000 / float64(b.N)
	b.ReportMetric(incident, "cpu-ms/incident")
	b.ReportMetric(incident/float64(len(pictures)), "cpu-ms/panel")
}

// cpu is the processor time of this process.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
