package promlab

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/notifier"
	"github.com/prometheus/prometheus/promql/parser"
)

func TestScaleExprDividesDurationsAndNothingElse(t *testing.T) {
	p := parser.NewParser(parser.Options{})
	for _, c := range []struct {
		expr, want string
		factor     float64
	}{
		{`rate(a[5m])`, `rate(a[5s])`, 60},
		{`rate(a[5m])`, `rate(a[10s])`, 30},
		{`a offset 1h`, `a offset 1m`, 60},
		{`a offset -1h`, `a offset -1m`, 60},
		{`quantile_over_time(0.5, a[1d] offset 1h)`, `quantile_over_time(0.5, a[24m] offset 1m)`, 60},
		{`max_over_time(rate(a[5m])[1h:1m] offset 2h)`, `max_over_time(rate(a[5s])[1m:1s] offset 2m)`, 60},
		{`a > 300 and b @ 1700000000 == 5`, `a > 300 and b @ 1700000000.000 == 5`, 60},
		{`a{x="rate(b[5m])"}`, `a{x="rate(b[5m])"}`, 60},
		{`rate(a[1ms])`, `rate(a[1ms])`, 1000}, // never 0, which does not parse
		{`sum  by (x) (rate(a[5m]))`, `sum  by (x) (rate(a[5m]))`, 1},
	} {
		got, err := ScaleExpr(p, c.expr, c.factor)
		if err != nil || got != c.want {
			t.Errorf("%s / %g is %q (%v), want %q", c.expr, c.factor, got, err, c.want)
		}
	}
	if _, err := ScaleExpr(p, `rate(a[5m]`, 60); err == nil {
		t.Error("a broken expression was scaled")
	}
}

const testRules = `
groups:
  - name: g
    interval: 1m
    rules:
      - record: a:rate5m
        expr: rate(a_total[5m])
      - alert: Down
        expr: up == 0
        for: 5m
        labels: {severity: critical}
        annotations: {summary: 'down since {{ $value }}'}
      - alert: Busy
        expr: max_over_time(a:rate5m[2m]) > 1000
`

func TestScaleRulesIsARulesFileAgain(t *testing.T) {
	scaled, err := ScaleRules([]byte(testRules), 60)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"interval: 1s", "rate(a_total[5s])", "for: 5s", "max_over_time(a:rate5m[2s]) > 1000", "down since {{ $value }}", "severity: critical"} {
		if !strings.Contains(string(scaled), want) {
			t.Errorf("no %q in\n%s", want, scaled)
		}
	}
	if _, err := loadRules(scaled, 1, parser.NewParser(parser.Options{})); err != nil {
		t.Errorf("cannot be loaded: %v", err)
	}
	if _, err := ScaleRules([]byte("groups: [{name: g, rules: [{alert: A, expr: 'x['}]}]"), 60); err == nil {
		t.Error("broken rules were scaled")
	}
}

// target is a metrics page that counts up and can fail.
type target struct {
	*httptest.Server
	down  atomic.Bool
	count atomic.Int64
}

func newTarget(t *testing.T) *target {
	tg := &target{}
	tg.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if tg.down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		n := tg.count.Add(1)
		_, _ = io.WriteString(w, "# TYPE a_total counter\na_total "+model.SampleValue(n).String()+
			"\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\nplain{x=\"\\\"y\\\"\"} 7\n")
	}))
	t.Cleanup(tg.Close)
	return tg
}

// world is a running lab and the ordinary client of its API.
type world struct {
	*testing.T
	*Lab
	target *target
	client promv1.API
	alerts chan *notifier.Alert
}

func start(t *testing.T, factor float64, before func(l *Lab)) *world {
	t.Helper()
	w := &world{T: t, target: newTarget(t), alerts: make(chan *notifier.Alert, 1000)}
	lab, err := New(Options{
		Dir: t.TempDir(), Rules: []byte(testRules), Factor: factor,
		Target: Target{URL: w.target.URL, Job: "j", Instance: "i"},
		Send: func(alerts ...*notifier.Alert) {
			for _, a := range alerts {
				select {
				case w.alerts <- a:
				default:
				}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Lab = lab
	if before != nil {
		before(lab)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- lab.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	client, err := api.NewClient(api.Config{Address: lab.URL()})
	if err != nil {
		t.Fatal(err)
	}
	w.client = promv1.NewAPI(client)
	return w
}

// until asks again and again until the query gives want, or the test's
// deadline has come.
func (w *world) until(query, want string) {
	w.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	last := ""
	for {
		value, _, _, err := w.client.Query(w.Context(), query, time.Now())
		if err != nil {
			w.Fatalf("%s: %v", query, err)
		}
		if last = value.String(); strings.Contains(last, want) {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline.C:
			w.Fatalf("%s is %q, want %q", query, last, want)
		}
	}
}

func (w *world) alert(name string, resolved bool) *notifier.Alert {
	w.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for {
		select {
		case a := <-w.alerts:
			if a.Name() == name && a.Resolved() == resolved {
				return a
			}
		case <-deadline.C:
			w.Fatalf("alert %s (resolved: %t) was not sent", name, resolved)
		}
	}
}

func TestScrapesEvaluatesAndAlerts(t *testing.T) {
	w := start(t, 60, nil)
	w.until(`up`, `up{instance="i", job="j"} => 1`)
	w.until(`plain`, `plain{instance="i", job="j", x="\"y\""} => 7`)
	w.until(`h_bucket`, `le="+Inf"} => 2`)
	w.until(`a:rate5m > 1`, `a:rate5m`)

	w.target.down.Store(true)
	a := w.alert("Down", false)
	if a.Annotations.Get("summary") != "down since 0" || a.Labels.Get("severity") != "critical" {
		t.Errorf("alert %+v", a)
	}
	w.until(`absent(plain)`, `=> 1`) // ended by a staleness marker, not after five minutes
	alerts, err := w.client.Alerts(t.Context())
	if err != nil || len(alerts.Alerts) != 1 || alerts.Alerts[0].State != promv1.AlertStateFiring || alerts.Alerts[0].Value != "0e+00" {
		t.Errorf("alerts %+v (%v)", alerts, err)
	}
	groups, err := w.client.Rules(t.Context(), nil)
	if err != nil || len(groups.Groups) != 1 || len(groups.Groups[0].Rules) != 3 {
		t.Fatalf("rules %+v (%v)", groups, err)
	}
	if busy := groups.Groups[0].Rules[2].(promv1.AlertingRule); busy.Query != "max_over_time(a:rate5m[2m]) > 1000" {
		t.Errorf("the rule is shown as %q, want it as written", busy.Query)
	}

	w.target.down.Store(false)
	w.alert("Down", true)
}

func TestAPI(t *testing.T) {
	w := start(t, 1, func(l *Lab) {
		now := time.Now()
		err := l.Seed(t.Context(), func(add func(time.Time, []*dto.MetricFamily) error) error {
			for i := range 121 {
				at := now.Add(-2*time.Hour + time.Duration(i)*time.Minute)
				if err := add(at, []*dto.MetricFamily{counter("a_total", float64(60*i))}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.SeedRecordings(t.Context(), now.Add(-time.Hour), now); err != nil {
			t.Fatal(err)
		}
	})
	hourAgo := time.Now().Add(-time.Hour)
	for query, want := range map[string]string{
		`rate(a_total[5m])`:   `{instance="i", job="j"} => 1 @`,
		`a:rate5m`:            `a:rate5m{instance="i", job="j"} => 1 @`,
		`scalar(vector(2))`:   `scalar: 2`,
		`vector(0) / 0`:       `NaN`,
		`nothing`:             ``,
		`a_total offset 59m`:  `=> 60`,
		`rate(a_total[5m])>2`: ``,
	} {
		value, _, _, err := w.client.Query(t.Context(), query, hourAgo)
		if err != nil || !strings.Contains(value.String(), want) || want == "" && value.String() != "" {
			t.Errorf("%s an hour ago: %v (%v), want %q", query, value, err, want)
		}
	}
	value, _, _, err := w.client.QueryRange(t.Context(), `rate(a_total[5m])`, promv1.Range{Start: hourAgo, End: hourAgo.Add(30 * time.Minute), Step: time.Minute})
	if matrix, ok := value.(model.Matrix); err != nil || !ok || len(matrix) != 1 || len(matrix[0].Values) != 31 || math.Abs(float64(matrix[0].Values[30].Value)-1) > 1e-9 {
		t.Errorf("range: %v (%v)", value, err)
	}

	for name, c := range map[string]struct {
		path   string
		status int
		text   string
	}{
		"not PromQL":         {"/api/v1/query?query=rate(a", 400, `"errorType":"bad_data"`},
		"no query":           {"/api/v1/query", 400, `"status":"error"`},
		"no time":            {"/api/v1/query?query=a&time=yesterday", 400, "cannot parse"},
		"endless time":       {"/api/v1/query?query=a&time=1e300", 400, "out of range"},
		"not a time":         {"/api/v1/query?query=a&time=NaN", 400, "out of range"},
		"step of nothing":    {"/api/v1/query_range?query=a&start=1&end=2&step=0", 400, "zero or negative"},
		"too many points":    {"/api/v1/query_range?query=a&start=1&end=20000&step=1", 400, "maximum resolution"},
		"end before start":   {"/api/v1/query_range?query=a&start=2&end=1&step=1", 400, "must not be before"},
		"matching is broken": {"/api/v1/query?query=" + url.QueryEscape(`a_total + on() {__name__=~"a_total|up"}`) + "&time=" + model.TimeFromUnix(hourAgo.Unix()).String(), 200, ""},
		"execution":          {"/api/v1/query?query=" + url.QueryEscape(`label_replace(vector(1), "x", "y", "", "(")`), 422, `"errorType":"execution"`},
		"text":               {"/api/v1/query?query=" + url.QueryEscape(`"x"`), 200, `"resultType":"string"`},
		"ready":              {"/-/ready", 200, "ready"},
		"graph":              {"/graph?g0.expr=" + url.QueryEscape(`rate(a_total[5m])`) + "&g0.range_input=2h", 200, "<polyline"},
		"graph of nothing":   {"/graph?g0.expr=nothing", 200, "No data"},
		"hostile graph":      {"/graph?g0.expr=" + url.QueryEscape(`"><script>alert(1)</script>`), 200, "&lt;script&gt;"},
		"graph without end":  {"/graph?g0.expr=a&g0.range_input=soon", 200, "no duration"},
		"no such page":       {"/api/v1/admin/tsdb/delete_series", 404, ""},
	} {
		status, body := fetch(t, w.URL()+c.path)
		if status != c.status || !strings.Contains(body, c.text) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
}

func fetch(t *testing.T, address string) (int, string) {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func counter(name string, v float64) *dto.MetricFamily {
	kind := dto.MetricType_COUNTER
	return &dto.MetricFamily{Name: &name, Type: &kind, Metric: []*dto.Metric{{Counter: &dto.Counter{Value: &v}}}}
}

func TestQueriesAreInCompressedTime(t *testing.T) {
	w := start(t, 60, func(l *Lab) {
		now := time.Now()
		err := l.Seed(t.Context(), func(add func(time.Time, []*dto.MetricFamily) error) error {
			for i := range 61 { // one a second for a minute, then two
				v := float64(i)
				if i > 55 {
					v += float64(i - 55)
				}
				if err := add(now.Add(time.Duration(i-60)*time.Second), []*dto.MetricFamily{counter("b_total", v)}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		value, _, err := queryNow(l, `rate(b_total[4m])`, now)
		if err != nil || !strings.Contains(value, "2 @") {
			t.Errorf("the rate of 4 compressed minutes is %s (%v), want that of the last 4 seconds", value, err)
		}
	})
	_, body := fetch(t, w.URL()+"/api/v1/query?query=up")
	if !strings.Contains(body, "divided by 60") {
		t.Errorf("the answer does not say that time is compressed: %s", body)
	}
}

func queryNow(l *Lab, expr string, at time.Time) (string, []string, error) {
	scaled, err := ScaleExpr(l.parser, expr, l.opts.Factor)
	if err != nil {
		return "", nil, err
	}
	query, err := l.engine.NewInstantQuery(context.Background(), l.db, nil, scaled, at)
	if err != nil {
		return "", nil, err
	}
	defer query.Close()
	result := query.Exec(context.Background())
	return result.String(), nil, result.Err
}

func TestSeedStopsAtTheFirstError(t *testing.T) {
	lab, err := New(Options{Dir: t.TempDir(), Rules: []byte(testRules)})
	if err != nil {
		t.Fatal(err)
	}
	want := errors.New("enough")
	if err := lab.Seed(t.Context(), func(func(time.Time, []*dto.MetricFamily) error) error { return want }); !errors.Is(err, want) {
		t.Errorf("error %v", err)
	}
	summary, name := dto.MetricType_SUMMARY, "s"
	err = lab.Seed(t.Context(), func(add func(time.Time, []*dto.MetricFamily) error) error {
		return add(time.Now(), []*dto.MetricFamily{{Name: &name, Type: &summary, Metric: []*dto.Metric{{}}}})
	})
	if err == nil || !strings.Contains(err.Error(), "not supported") {
		t.Errorf("error %v", err)
	}
	if err := lab.Close(); err != nil {
		t.Error(err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, opts := range map[string]Options{
		"slower time":  {Factor: 0.5, Rules: []byte(testRules)},
		"broken rules": {Rules: []byte("groups: [{name: g, rules: [{alert: A, expr: 'x['}]}]")},
		"bad address":  {Rules: []byte(testRules), Addr: "nonsense"},
	} {
		opts.Dir = t.TempDir()
		if _, err := New(opts); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
