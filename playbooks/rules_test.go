// The alert rules over made-up hours, minute by minute, in Prometheus's own
// engine.

package playbooks_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"

	"triagebot/cmd/demo/codexsim"
	"triagebot/playbooks"
)

// past is what the rules made of some hours.
type past struct {
	t      *testing.T
	loader *promqltest.LazyLoader
	fired  map[string]int // by alert, the minute in which it fired first
}

// play evaluates all rules once a minute on series in promtool's notation.
func play(t *testing.T, minutes int, series ...string) *past {
	t.Helper()
	p := parser.NewParser(parser.Options{})
	loader, err := promqltest.NewLazyLoader("load 1m\n  "+strings.Join(series, "\n  "), promqltest.LazyLoaderOpts{Parser: p})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := loader.Close(); err != nil {
			t.Error(err)
		}
	})
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc:    rules.EngineQueryFunc(loader.QueryEngine(), loader.Storage()),
		AppendableV2: loader.Storage(),
		Queryable:    loader.Storage(),
		Context:      t.Context(),
		NotifyFunc:   func(context.Context, string, ...*rules.Alert) {},
		Logger:       promslog.NewNopLogger(),
		Parser:       p,
	})
	byName, errs := manager.LoadGroups(time.Minute, labels.EmptyLabels(), "", nil, false, playbooks.AlertRules)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	// The alerts read what the recordings write.
	groups := []*rules.Group{
		byName[rules.GroupKey(playbooks.AlertRules, "codex-recordings")],
		byName[rules.GroupKey(playbooks.AlertRules, "codex-alerts")],
	}
	if len(byName) != len(groups) {
		t.Fatalf("%d groups; want %d", len(byName), len(groups))
	}
	for _, rule := range groups[1].AlertingRules() {
		rule.SetRestored(true) // else ALERTS is not written, as after a restart
	}
	lived := &past{t: t, loader: loader, fired: map[string]int{}}
	for minute := range minutes {
		at := minuteOf(minute)
		loader.WithSamplesTill(at, func(err error) {
			if err != nil {
				t.Fatal(err)
			}
			for _, group := range groups {
				group.Eval(t.Context(), at)
				lived.note(minute, group)
			}
		})
	}
	return lived
}

func minuteOf(minute int) time.Time {
	return time.Unix(0, 0).UTC().Add(time.Duration(minute) * time.Minute)
}

func (p *past) note(minute int, group *rules.Group) {
	p.t.Helper()
	for _, rule := range group.Rules() {
		if rule.LastError() != nil {
			p.t.Fatalf("minute %d: %s: %v", minute, rule.Name(), rule.LastError())
		}
		alert, ok := rule.(*rules.AlertingRule)
		if !ok || alert.State() != rules.StateFiring {
			continue
		}
		if _, already := p.fired[alert.Name()]; !already {
			p.fired[alert.Name()] = minute
		}
	}
}

// at is the value of an expression that has one series at most, and whether it
// has one.
func (p *past) at(minute int, expr string) (value float64, found bool) {
	p.t.Helper()
	query, err := p.loader.QueryEngine().NewInstantQuery(p.t.Context(), p.loader.Queryable(), nil, expr, minuteOf(minute))
	if err != nil {
		p.t.Fatal(err)
	}
	defer query.Close()
	vector, err := query.Exec(p.t.Context()).Vector()
	if err != nil || len(vector) > 1 {
		p.t.Fatalf("%s: %v, %v", expr, vector, err)
	}
	if len(vector) == 0 {
		return 0, false
	}
	return vector[0].F, true
}

// stage is a time in which requests are answered at a steady pace.
type stage struct {
	minutes int
	within  []int // requests a minute, answered within each of the bounds; nil for no series
}

// The bounds of a stage's histogram, in milliseconds.
func bounds() []string { return []string{"100", "250", "500", "1000", "+Inf"} }

func healthy(minutes int) stage   { return stage{minutes, []int{30, 100, 100, 100, 100}} } // p95 239 ms
func almost(minutes int) stage    { return stage{minutes, []int{30, 95, 100, 100, 100}} }  // p95 250 ms, 4.5 % more
func tooSlow(minutes int) stage   { return stage{minutes, []int{30, 94, 100, 100, 100}} }  // p95 292 ms
func fourTimes(minutes int) stage { return stage{minutes, []int{0, 0, 30, 100, 100}} }
func absent(minutes int) stage    { return stage{minutes: minutes} }

// latency are a route's histogram series over its stages.
func latency(route string, stages ...stage) string {
	var lines []string
	for i, le := range bounds() {
		line := fmt.Sprintf(`codex_http_latency_ms_bucket{route=%q,method="POST",status_family="2xx",le=%q}`, route, le)
		value := 0
		for _, s := range stages {
			if s.within == nil {
				line += fmt.Sprintf(" _x%d", s.minutes)
				continue
			}
			line += fmt.Sprintf(" %d+%dx%d", value, s.within[i], s.minutes-1)
			value += s.within[i] * s.minutes
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n  ")
}

const chat = "/v1/chat/completions"

func TestLatencyIsMeasuredAgainstARecordedBaseline(t *testing.T) {
	for _, c := range []struct {
		name   string
		stages []stage
		fires  int // in which minute; 0 never
	}{
		{"healthy", []stage{healthy(100)}, 0},
		{"less than 5 % slower", []stage{healthy(120), almost(20)}, 0},
		// One request in twenty of five minutes is slow, or in one minute many are;
		// then come the three minutes of the rule.
		{"more than 5 % slower", []stage{healthy(120), tooSlow(10)}, 120 + 4 + 3},
		{"four times slower", []stage{healthy(120), fourTimes(10)}, 120 + 1 + 3},
		// Slow but as ever: what was recorded is the measure, no constant.
		{"slow from the beginning", []stage{fourTimes(120)}, 0},
		{"no baseline within the first hour", []stage{healthy(20), fourTimes(35), healthy(30)}, 0},
		{"it comes back after a pause", []stage{healthy(120), absent(60), fourTimes(20)}, 180 + 1 + 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			minutes := 0
			for _, s := range c.stages {
				minutes += s.minutes
			}
			want := map[string]int{}
			if c.fires > 0 {
				want["CodexLatencySLOBreach"] = c.fires
			}
			lived := play(t, minutes, latency(chat, c.stages...))
			if diff := cmp.Diff(want, lived.fired); diff != "" {
				t.Errorf("alerts, by the minute in which they fired (-want +got):\n%s", diff)
			}
		})
	}
}

const (
	p95Of      = `route:codex_http_latency_ms:p95_5m{route=%q}`
	baselineOf = `route:codex_http_latency_ms:p95_baseline{route=%q}`
)

func TestALongBreachDoesNotBecomeItsOwnMeasure(t *testing.T) {
	lived := play(t, 320, latency(chat, healthy(200), fourTimes(120)))
	firing := `ALERTS{alertname="CodexLatencySLOBreach",alertstate="firing"}`
	for _, minute := range []int{204, 265, 319} {
		if _, found := lived.at(minute, firing); !found {
			t.Errorf("minute %d: it no longer fires", minute)
		}
	}
}

func TestASpikeInThePastLeavesTheBaselineAlone(t *testing.T) {
	lived := play(t, 330, latency(chat, healthy(200), fourTimes(30), healthy(100)))
	before, _ := lived.at(190, fmt.Sprintf(baselineOf, chat))
	during, _ := lived.at(229, fmt.Sprintf(p95Of, chat))
	after, found := lived.at(329, fmt.Sprintf(baselineOf, chat))
	if !found || after != before || during < 3*before {
		t.Errorf("baseline %g before a spike to %g, %g after it (%t); want the same", before, during, after, found)
	}
}

func TestANewRouteHasNoBaselineForAnHour(t *testing.T) {
	const route = "/v1/responses"
	lived := play(t, 240, latency(chat, healthy(240)), latency(route, absent(120), fourTimes(120)))
	for _, at := range []struct {
		minute        int
		p95, baseline bool
	}{{115, false, false}, {130, true, false}, {179, true, false}, {183, true, true}} {
		if _, found := lived.at(at.minute, fmt.Sprintf(p95Of, route)); found != at.p95 {
			t.Errorf("minute %d: p95 recorded: %t", at.minute, found)
		}
		if _, found := lived.at(at.minute, fmt.Sprintf(baselineOf, route)); found != at.baseline {
			t.Errorf("minute %d: baseline recorded: %t", at.minute, found)
		}
	}
	if len(lived.fired) > 0 {
		t.Errorf("fired: %v; a new route is no breach of another's", lived.fired)
	}
}

func TestNoRequestsAreNoLatency(t *testing.T) {
	lived := play(t, 200, latency(chat, healthy(90), stage{90, []int{0, 0, 0, 0, 0}}, healthy(20)))
	if value, found := lived.at(150, fmt.Sprintf(p95Of, chat)); found {
		t.Errorf("p95 of no requests was recorded as %g", value)
	}
	if len(lived.fired) > 0 {
		t.Errorf("fired: %v", lived.fired)
	}
}

// TestUsualTrafficFiresNothing plays the demo's healthy app through its own
// metrics, all of which the rules may read.
func TestUsualTrafficFiresNothing(t *testing.T) {
	const minutes = 100
	values := map[string]*strings.Builder{} // by series
	err := codexsim.History(codexsim.HistoryOptions{
		From: minuteOf(0), To: minuteOf(minutes - 1), Step: time.Minute,
	}, func(_ time.Time, families []*dto.MetricFamily) error {
		var page strings.Builder
		for _, family := range families {
			if _, err := expfmt.MetricFamilyToText(&page, family); err != nil {
				return err
			}
		}
		for line := range strings.Lines(page.String()) {
			if strings.HasPrefix(line, "#") {
				continue
			}
			line = strings.TrimSpace(line)
			cut := strings.LastIndexByte(line, ' ')
			if values[line[:cut]] == nil {
				values[line[:cut]] = &strings.Builder{}
			}
			values[line[:cut]].WriteString(line[cut:])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var series []string
	for name, samples := range values {
		series = append(series, name+samples.String())
	}
	lived := play(t, minutes, series...)
	if len(lived.fired) > 0 {
		t.Errorf("fired: %v", lived.fired)
	}
	if p95, found := lived.at(minutes-1, `route:codex_http_latency_ms:p95_5m{route="`+chat+`",status_family="2xx"}`); !found || p95 < 100 {
		t.Errorf("p95 is %g (%t); the rules did not read this history", p95, found)
	}
}

func TestTheOtherAlertsHoldTheRunbooksBounds(t *testing.T) {
	requests := `codex_http_requests_total{route="/v1/chat/completions",method="POST",status_family="2xx"} 0+100x60`
	failing := func(text string) string {
		return `codex_http_request_errors_total{route="/v1/chat/completions",reason="backend"} ` + text
	}
	for _, c := range []struct {
		name   string
		series []string
		want   map[string]int
	}{
		{"fewer than 2 % fail", []string{requests, failing("0+1x60")}, map[string]int{}},
		{"2 % fail", []string{requests, failing("0+2x60")}, map[string]int{"CodexErrorRateHigh": 1 + 1}},
		{"a minute of failures is over soon", []string{requests, failing("0x20 9x40")}, map[string]int{}},
		{"3 restarts in ten minutes", []string{`codex_worker_restarts_total{job="codex-app",worker="w1"} 5x20 6 7 8x38`}, map[string]int{}},
		{"more restarts, of several workers", []string{
			`codex_worker_restarts_total{job="codex-app",worker="w1"} 0x20 1 2x38`,
			`codex_worker_restarts_total{job="codex-app",worker="w2"} 0x20 1 2x38`,
		}, map[string]int{"CodexWorkerRestarts": 22}},
		{"one anomaly", []string{`codex_tool_buffer_anomaly{job="codex-app"} 0x20 1 0x39`}, map[string]int{"CodexToolBufferAnomaly": 21}},
		{"a flag that is taken back at once", []string{`codex_maintenance_mode{job="codex-app"} 0x20 1 0x39`}, map[string]int{}},
		{"a flag left on", []string{`codex_maintenance_mode{job="codex-app"} 0x20 1x39`}, map[string]int{"CodexMaintenanceEnabled": 22}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			lived := play(t, 60, c.series...)
			if diff := cmp.Diff(c.want, lived.fired); diff != "" {
				t.Errorf("alerts, by the minute in which they fired (-want +got):\n%s", diff)
			}
		})
	}
}
