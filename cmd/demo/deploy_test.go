package demo

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"triagebot/cmd/demo/promlab"
	"triagebot/triage"
	"triagebot/triage/playbook"
)

// buildInfo is the metrics page of a version.
func buildInfo(t *testing.T, version string) []*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(fmt.Sprintf("# TYPE codex_build_info gauge\ncodex_build_info{version=%q} 1\n", version)))
	if err != nil {
		t.Fatal(err)
	}
	return []*dto.MetricFamily{families["codex_build_info"]}
}

// recentDeploy tells a deploy by a query alone.
const recentDeploy = `
name: deploy
match: ['alertname="Any"']
steps:
  - id: deploy
    query: {expr: 'count by (version) (codex_build_info)', baseline: {offset: 1h}, max_series: 100}
    abnormal: is_new
`

// A Prometheus that began within the hour has seen no deploy, only no past.
func TestARecentDeployIsToldFromAShortHistory(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	for _, tc := range []struct {
		name    string
		past    map[time.Duration]string // versions by how long ago they ran
		want    map[string]triage.Verdict
		because string // of an unknown verdict
	}{
		{"no deploy", map[time.Duration]string{time.Hour: "1.0", 0: "1.0"}, map[string]triage.Verdict{"1.0": triage.VerdictNormal}, ""},
		{"a deploy", map[time.Duration]string{time.Hour: "1.0", 0: "1.1"}, map[string]triage.Verdict{"1.1": triage.VerdictAbnormal}, ""},
		{"no history", map[time.Duration]string{10 * time.Minute: "1.0", 0: "1.0"}, map[string]triage.Verdict{"1.0": triage.VerdictUnknown}, `no baseline (history is shorter than 1h, or nothing was scraped then), so "is_new" cannot be decided`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			target := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(target.Close)
			prometheus, err := promlab.New(promlab.Options{Dir: t.TempDir(), Target: promlab.Target{URL: target.URL, Job: "codex-app", Instance: "app"}, Rules: []byte("groups: []")})
			if err != nil {
				t.Fatal(err)
			}
			err = prometheus.Seed(t.Context(), func(add func(time.Time, []*dto.MetricFamily) error) error {
				for _, ago := range []time.Duration{time.Hour, 10 * time.Minute, 0} {
					version, ran := tc.past[ago]
					if !ran {
						continue
					}
					if err := add(now.Add(-ago), buildInfo(t, version)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			stopped := make(chan error, 1)
			go func() { stopped <- prometheus.Run(ctx) }()
			defer func() {
				stop()
				if err := <-stopped; err != nil {
					t.Error(err)
				}
			}()

			set, err := playbook.Load([]playbook.File{{Name: "deploy.yaml", Data: []byte(recentDeploy)}}, playbook.LoadOptions{Kinds: kinds(t, prometheus.URL())})
			if err != nil {
				t.Fatal(err)
			}
			step := set.All()[0].Step("deploy")
			data := &playbook.Data{At: now}
			outcome, err := step.Action.Run(ctx, &playbook.Env{Step: step.ID, Title: step.Title, Data: data, At: now, Debugf: t.Logf})
			if err != nil {
				t.Fatal(err)
			}
			if len(outcome.Rows) != len(tc.want) {
				t.Errorf("rows %+v, want those of %v", outcome.Rows, tc.want)
			}
			for _, row := range outcome.Rows {
				version := fmt.Sprint(row.Vars["series"].(map[string]any)["version"])
				verdict, err := step.Judge(row, data)
				if verdict != tc.want[version] || !strings.Contains(fmt.Sprint(err), tc.because) {
					t.Errorf("version %s is %s (%v), want %s", version, verdict, err, tc.want[version])
				}
			}
		})
	}
}
