// What a panel's queries come to: each with its variables filled in, asked at
// once, a failed one costing itself.

package step

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"

	"triagebot/triage/playbook"
	"triagebot/triage/promapi"
	"triagebot/triage/step/dashboard"
)

// panelPoints is about how many points a line of a panel has.
const panelPoints = 240

// panelView is a panel at one time, being looked at.
type panelView struct {
	*panelAction
	board   *dashboard.Dashboard
	panel   *dashboard.Panel
	scope   *dashboard.Scope
	period  dashboard.Range
	title   string // of the picture and in sentences
	started time.Time
	answers []panelAnswer // one for each query that is shown
	notes   []string      // what the picture does not show
}

// panelAnswer is what one query gave.
type panelAnswer struct {
	target dashboard.Target
	expr   string
	result *promapi.Result // nil when err is set
	err    error
}

func newPanelView(a *panelAction, board *dashboard.Dashboard, p *dashboard.Panel, given map[string][]string, env *playbook.Env) *panelView {
	at := env.At.UTC().Truncate(time.Second)
	r := dashboard.Range{From: at.Add(-a.span), To: at, Step: pointStep(a.span, panelPoints)}
	if p.Type == "heatmap" {
		r.Step = pointStep(a.span, 120) // a cell is wider than a point
	}
	if least, err := model.ParseDuration(strings.TrimPrefix(p.Interval, ">")); err == nil {
		r.Step = max(r.Step, min(time.Duration(least), a.span))
	}
	v := &panelView{panelAction: a, board: board, panel: p, period: r, started: env.Data.Alert.StartsAt}
	v.scope = board.NewScope(given, r)
	v.title = safeText(cut(v.redact.Text(v.scope.Text(p.Title)), maxShownName))
	for _, what := range p.Transforms {
		v.notes = append(v.notes, "not applied: "+what)
	}
	for i := range board.Variables {
		if filter := &board.Variables[i]; filter.Type == "adhoc" && len(filter.Values) > 0 {
			v.notes = append(v.notes, "not applied: the dashboard's filter "+strings.Join(filter.Values, ", "))
		}
	}
	if _, known := p.Field.Measure(); !known {
		v.notes = append(v.notes, fmt.Sprintf("plain numbers: the unit %s is not known", p.Field.Unit))
	}
	return v
}

// ask sends the panel's queries at once. The error is that of the first when
// all have failed.
func (v *panelView) ask(ctx context.Context) error {
	if v.datasource.Querier == nil {
		return &playbook.StepError{Err: errors.New("no Prometheus is configured"), NextStep: "Add the datasource to the configuration."}
	}
	targets := v.panel.Shown()
	v.answers = make([]panelAnswer, len(targets))
	var group errgroup.Group // a failed one does not end the others
	for i, t := range targets {
		group.Go(func() error {
			v.answers[i] = v.askOne(ctx, t)
			return nil
		})
	}
	_ = group.Wait() // errors are in the answers
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("panel %s: %w", v.title, err)
	}
	failed := 0
	for _, got := range v.answers {
		if got.err != nil {
			failed++
		}
	}
	if failed == len(v.answers) {
		return v.stepError(v.answers[0].err)
	}
	return nil
}

func (v *panelView) askOne(ctx context.Context, t dashboard.Target) panelAnswer {
	got := panelAnswer{target: t}
	source := t.Datasource
	if source == "" {
		source = v.panel.Datasource
	}
	switch {
	case source == "__expr__":
		got.err = errors.New("it is computed by Grafana's expressions, and not by Prometheus")
		return got
	case !speaksPromQL(source):
		got.err = fmt.Errorf("it asks a datasource of type %s, and not Prometheus", source)
		return got
	case strings.TrimSpace(t.Expr) == "":
		got.err = errors.New("it is empty")
		return got
	}
	if got.expr, got.err = v.scope.PromQL(t.Expr); got.err != nil {
		return got
	}
	if t.Instant {
		got.result, got.err = v.datasource.Query(ctx, got.expr, v.period.To)
		return got
	}
	step := v.period.Step
	if least, err := model.ParseDuration(t.Interval); err == nil {
		step = max(step, min(time.Duration(least), v.span))
	}
	got.result, got.err = v.datasource.QueryRange(ctx, got.expr, v.period.From, v.period.To, step)
	return got
}

// speaksPromQL says whether a datasource's queries are PromQL, by its type: ""
// where the dashboard does not tell, datasource for several in one panel, and
// Grafana's other clients of what has Prometheus's API.
func speaksPromQL(source string) bool {
	switch source {
	case "", "datasource", "prometheus", "grafana-amazonprometheus-datasource", "grafana-azureprometheus-datasource",
		"victoriametrics-datasource", "victoriametrics-metrics-datasource":
		return true
	}
	return false
}

func (v *panelView) stepError(err error) error {
	var failure *promapi.Error
	if !errors.As(err, &failure) {
		return &playbook.StepError{Err: fmt.Errorf("panel %s: %w", v.title, err), NextStep: "Look at the panel's queries in the dashboard, and at the step's vars."}
	}
	return &playbook.StepError{Err: err, NextStep: nextSteps[failure.Reason], Transient: failure.Transient}
}

// shownSeries is one series as the panel shows it.
type shownSeries struct {
	measured
	query int // the index of its answer
	field dashboard.Field
	name  string
}

// series are those of all answers: what is measured, and the references, which
// are drawn dashed. Queries stand in the panel's order, for values of different
// ones need not compare; within one the worst comes first, and what has no value
// last.
func (v *panelView) series() (all, references []shownSeries) {
	for i, got := range v.answers {
		if got.result == nil {
			continue
		}
		for _, s := range got.result.Series {
			one := v.shown(i, s)
			switch {
			case one.field.Hidden:
			case one.field.Dashed:
				references = append(references, one)
			default:
				all = append(all, one)
			}
		}
	}
	judge := queryAction{low: v.low}
	for _, list := range [][]shownSeries{all, references} {
		slices.SortStableFunc(list, func(x, y shownSeries) int {
			return cmp.Or(cmp.Compare(x.query, y.query), judge.compare(x.measured, y.measured))
		})
	}
	return all, references
}

func (v *panelView) shown(query int, s promapi.Series) shownSeries {
	t := &v.answers[query].target
	one := shownSeries{query: query, name: v.redact.Text(v.scope.Legend(t, s.Labels))}
	one.measured = measured{labels: s.Labels, key: s.Labels.String(), points: s.Points, value: v.current(*t, s.Points), baseline: math.NaN()}
	if one.name == "" {
		one.name = seriesName(s.Labels)
	}
	one.field = v.panel.FieldOf(t.RefID, one.name)
	if v.panel.Type == "table" { // where a column has a name, and a series has not
		_, column := v.column(t)
		one.field = v.panel.FieldOf(t.RefID, column)
		one.name = strings.TrimSpace(column + " " + one.name)
	}
	if one.field.Name != "" {
		one.name = v.redact.Text(v.scope.Display(one.field.Name, one.name, s.Labels))
	}
	one.name = safeText(cut(one.name, maxShownName))
	return one
}

// column is a query's column in a table: its key in the panel's transformations,
// and its name.
func (v *panelView) column(t *dashboard.Target) (key, name string) {
	key = "Value"
	if len(v.answers) > 1 {
		key = "Value #" + t.RefID
	}
	return key, cmp.Or(v.panel.Columns.Rename[key], key)
}

// withValue are the series that have one, n of them at most: the worst of each
// query before the second worst of any.
func withValue(all []shownSeries, n int) (kept []shownSeries, total int) {
	ranks := map[int]int{}
	rank := make([]int, len(all))
	var order []int
	for i, s := range all {
		if math.IsNaN(s.value) {
			continue
		}
		rank[i] = ranks[s.query]
		ranks[s.query]++
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rank[a], rank[b]) })
	total = len(order)
	order = order[:min(n, total)]
	slices.Sort(order)
	for _, i := range order {
		kept = append(kept, all[i])
	}
	return kept, total
}

// current is the one value of a series, as the panel reduces it: a time series
// to that of now, NaN where it has none any more.
func (v *panelView) current(t dashboard.Target, points []promapi.Point) float64 {
	if v.panel.Type == "timeseries" || v.panel.Type == "heatmap" {
		last := points[len(points)-1]
		if !t.Instant && v.period.To.Sub(last.T) > 2*v.period.Step {
			return math.NaN()
		}
		return last.V
	}
	return reduce(v.panel.Calc, points)
}

// reduce is a reducer of Grafana's, of those values that there are.
func reduce(calc string, points []promapi.Point) float64 {
	var values []float64
	for _, p := range points {
		if !math.IsNaN(p.V) {
			values = append(values, p.V)
		}
	}
	if len(values) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for _, x := range values {
		sum += x
	}
	first, last := values[0], values[len(values)-1]
	switch calc {
	case "first", "firstNotNull":
		return first
	case "max":
		return slices.Max(values)
	case "min":
		return slices.Min(values)
	case "mean":
		return sum / float64(len(values))
	case "sum":
		return sum
	case "count":
		return float64(len(values))
	case "range":
		return slices.Max(values) - slices.Min(values)
	case "diff", "delta":
		return last - first
	default: // last, lastNotNull
		return last
	}
}
