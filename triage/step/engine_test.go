package step

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/promapi/promtest"
)

// p95 of two routes over four hours; /slow triples after three of them, and
// /idle has no requests, so that its quantile is NaN.
const histograms = `load 1m
  lat_bucket{route="/slow",le="100"} 0+90x180 16200+0x60
  lat_bucket{route="/slow",le="500"} 0+100x180 18000+100x60
  lat_bucket{route="/slow",le="+Inf"} 0+100x180 18000+100x60
  lat_bucket{route="/even",le="100"} 0+100x240
  lat_bucket{route="/even",le="500"} 0+100x240
  lat_bucket{route="/even",le="+Inf"} 0+100x240
  lat_bucket{route="/idle",le="100"} 7+0x240
  lat_bucket{route="/idle",le="+Inf"} 7+0x240
`

func TestQueryOnPrometheusEngine(t *testing.T) {
	s := mustLoad(t, withProm(promtest.New(t, histograms)), `query:
  expr: histogram_quantile(0.95, sum by (le, route) (rate(lat_bucket{route=~"{{ .Labels.route | asRegex }}"}[5m])))
  baseline: {offset: 2h}
  chart: {range: 1h, unit: ms}
abnormal: value > baseline * 1.05`)
	e := newExecution(triage.Labels{"route": "/.*"})
	e.env.At = time.Unix(4*3600, 0)
	out, err := e.run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, r := range out.Rows {
		verdict, err := s.Judge(r, e.env.Data)
		if err != nil {
			t.Error(err)
		}
		rows = append(rows, strings.Join([]string{r.Name, r.Value, r.Baseline, string(verdict)}, " "))
	}
	want := []string{`route="/slow" 480ms 300ms abnormal`, `route="/even" 95ms 95ms normal`}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
	if got := e.debugLog(); got != "1 of 3 series have no value (NaN)" {
		t.Errorf("debug: %s", got)
	}
	if _, alt, err := out.Artifacts[1].Draw(t.Context(), triage.VerdictAbnormal); err != nil || !strings.Contains(alt, "480ms (300ms 2h before)") {
		t.Errorf("%q, %v", alt, err)
	}
}
