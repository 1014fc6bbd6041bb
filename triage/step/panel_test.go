package step

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triagebot/triage"
	"triagebot/triage/playbook"
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
	d := withProm(newEngine(t, codex()))
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
				t.Log(out.Headline, out.Rows, out.Details, e.debugLog())
				data, alt, err := out.Artifacts[1].Draw(t.Context(), triage.VerdictAbnormal)
				if err != nil {
					t.Fatal(err)
				}
				t.Log(alt)
				if dir := os.Getenv("PANEL_OUT"); dir != "" {
					if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d-%s.png", p.ID, theme)), data, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}
