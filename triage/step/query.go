// The kind `query`: one PromQL expression, asked at the incident's instant or
// over a range before it, beside what it was some time ago, with a chart.

package step

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"cel.dev/cel-go/cel"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"

	"triagebot/triage"
	"triagebot/triage/playbook"
	"triagebot/triage/promapi"
	"triagebot/triage/step/unit"
)

// Bounds of a query's options.
const (
	defaultMaxSeries = 10
	maxMaxSeries     = 1000
	minRange         = time.Minute
	maxRange         = 31 * 24 * time.Hour
	maxOffset        = 400 * 24 * time.Hour
)

type query struct{ Deps }

func (*query) Name() string { return "query" }

// queryYAML is the step's YAML.
type queryYAML struct {
	// PromQL template, needed: what is asked, at the incident's instant.
	Expr string `yaml:"expr"`
	// name, default the one under `prometheus`: the Prometheus to ask.
	Datasource string `yaml:"datasource"`
	// duration, [minRange] to [maxRange]: asks over this time before the instant, and reduces each series to one value.
	Range string `yaml:"range"`
	// `last` (default), `max`, `min`, `avg`, `sum`: of the points of `range`, which it needs.
	Reduce string `yaml:"reduce"`
	// mapping: the same query some time ago, as the variable `baseline`.
	Baseline *baselineYAML `yaml:"baseline"`
	// mapping: a picture of the query beside its baseline.
	Chart *chartYAML `yaml:"chart"`
	// `none` (default), `ms`, `s`, `percent` (of a ratio), `bytes`, `reqps`: how values are written, unless `finding` writes them.
	Unit string `yaml:"unit"`
	// `high` (default), `low`: which value is the worst, and comes first.
	Worst string `yaml:"worst"`
	// number, default [defaultMaxSeries], 1 to [maxMaxSeries]: series that are judged and shown, the worst first.
	MaxSeries int `yaml:"max_series"`
	// `unknown` (default), `normal`, `abnormal`: the verdict where no series has a value.
	NoData string `yaml:"no_data"`
}

type baselineYAML struct {
	// duration, needed, [minRange] to [maxOffset]: how long before the instant.
	Offset string `yaml:"offset"`
}

type chartYAML struct {
	// duration, needed, [minRange] to [maxRange]: its time axis, up to the instant.
	Range string `yaml:"range"`
	// as `unit`, default the step's: of its value axis; where only this one is given, it is the step's too.
	Unit string `yaml:"unit"`
	// number, default none: where a line is drawn across, as the alert's rule has it; in the query's own unit.
	Threshold *float64 `yaml:"threshold"`
}

// queryAction is a decoded query step.
type queryAction struct {
	expr       *playbook.Template
	name       string // of the datasource
	datasource Datasource
	span       time.Duration // 0 for an instant query
	reduce     string
	offset     time.Duration // of the baseline; 0 for none
	chart      time.Duration // its time axis; 0 for none
	unit       unit.Unit
	chartUnit  unit.Unit
	threshold  *float64 // a line across the chart; nil for none
	low        bool     // the lowest value is the worst
	maxSeries  int
	noData     triage.Verdict
	redact     triage.Redact
}

func (k *query) Decode(c *playbook.Compiler, node *yaml.Node) playbook.Action {
	var y queryYAML
	c.Decode(node, &y)
	a := &queryAction{redact: k.Redact}
	if y.Expr == "" {
		c.Errorf(node, "expr", "is missing; write the PromQL expression to evaluate")
	} else {
		a.expr = c.PromQL(node, "expr", y.Expr)
	}
	a.name, a.datasource = k.datasource(c, node, "datasource", y.Datasource)
	if y.Range != "" {
		a.span = c.Duration(node, "range", y.Range, minRange, maxRange)
	} else if y.Reduce != "" {
		c.Errorf(node, "reduce", "reduces nothing without a range; write range as well, or leave reduce out")
	}
	a.reduce = oneOf(c, node, "reduce", y.Reduce, "last", "last", "max", "min", "avg", "sum")
	if y.Baseline != nil {
		// A wrong offset is still a baseline, which conditions may speak of.
		a.offset = max(c.Duration(node, "baseline.offset", y.Baseline.Offset, minRange, maxOffset), minRange)
	}
	a.unit = unit.Unit(oneOf(c, node, "unit", y.Unit, "", unit.Names()...))
	if y.Chart != nil {
		a.chart = c.Duration(node, "chart.range", y.Chart.Range, minRange, maxRange)
		a.chartUnit = unit.Unit(oneOf(c, node, "chart.unit", y.Chart.Unit, string(a.unit), unit.Names()...))
		if a.threshold = y.Chart.Threshold; a.threshold != nil && (math.IsNaN(*a.threshold) || math.IsInf(*a.threshold, 0)) {
			c.Errorf(node, "chart.threshold", "%s is no place for a line; write a number", number(*a.threshold))
		}
	}
	if a.unit == "" { // said once, it holds for both
		a.unit = a.chartUnit
	}
	a.low = oneOf(c, node, "worst", y.Worst, "high", "high", "low") == "low"
	a.maxSeries = within(c, node, "max_series", y.MaxSeries, defaultMaxSeries, 1, maxMaxSeries)
	a.noData = triage.Verdict(oneOf(c, node, "no_data", y.NoData, string(triage.VerdictUnknown),
		string(triage.VerdictNormal), string(triage.VerdictAbnormal), string(triage.VerdictUnknown)))
	return a
}

// Vars are judged for each series by itself. baseline and is_new are there only
// with a baseline. (labels are the alert's, so a series' own are series.)
func (a *queryAction) Vars() map[string]*cel.Type {
	vars := map[string]*cel.Type{
		"value":        cel.DoubleType,                              // of this series, a finite number: ±Inf is the largest there is
		"series_count": cel.IntType,                                 // all series with a value
		"series":       cel.MapType(cel.StringType, cel.StringType), // the labels of this one
	}
	if a.offset > 0 {
		vars["baseline"] = cel.DoubleType // what it was; absent where the series had no value then
		vars["is_new"] = cel.BoolType     // it had none while the query had others; absent where the query had none at all
	}
	return vars
}

// answers are what Prometheus said to all questions of one step.
type answers struct {
	value, baseline           *promapi.Result // baseline is nil without one
	chart, chartBaseline      *promapi.Result // nil without a chart, or when chartErr is set
	chartErr                  error
	at, chartFrom             time.Time
	expr                      string
	valueStep, chartPointStep time.Duration
}

func (a *queryAction) Run(ctx context.Context, env *playbook.Env) (*playbook.Outcome, error) {
	if a.datasource.Querier == nil {
		return nil, &playbook.StepError{
			Err:      errors.New("no Prometheus is configured"),
			NextStep: "Add the datasource to the configuration.",
		}
	}
	expr, err := a.expr.Render(env.Data)
	if err != nil {
		return nil, &playbook.StepError{
			Err:      fmt.Errorf("the query cannot be written: %w", err),
			NextStep: "Look at the alert's labels and at the step's expr.",
		}
	}
	got, err := a.ask(ctx, expr, env.At)
	if err != nil {
		return nil, a.stepError(err)
	}
	for _, warning := range got.value.Warnings {
		env.Debugf("%s warns: %s", promapi.Display(a.name), warning)
	}
	if got.chartErr != nil {
		env.Debugf("no chart: %v", got.chartErr)
	}
	return a.outcome(env, got)
}

// ask sends the step's questions at once. Only whole seconds are asked for:
// what a finding says is then exact, and steps of several incidents that begin
// in the same second share their queries.
func (a *queryAction) ask(ctx context.Context, expr string, at time.Time) (*answers, error) {
	at = at.UTC().Truncate(time.Second)
	got := &answers{expr: expr, at: at, valueStep: pointStep(a.span, 60), chartPointStep: pointStep(a.chart, 240), chartFrom: at.Add(-a.chart)}
	evaluate := func(ctx context.Context, at time.Time) (*promapi.Result, error) {
		if a.span == 0 {
			return a.datasource.Query(ctx, expr, at)
		}
		return a.datasource.QueryRange(ctx, expr, at.Add(-a.span), at, got.valueStep)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		got.value, err = evaluate(ctx, at)
		return err
	})
	if a.offset > 0 {
		group.Go(func() (err error) {
			if got.baseline, err = evaluate(ctx, at.Add(-a.offset)); err != nil {
				return fmt.Errorf("baseline of %s before: %w", model.Duration(a.offset), err)
			}
			return nil
		})
	}
	if a.chart > 0 {
		group.Go(func() error {
			got.chart, got.chartErr = a.datasource.QueryRange(ctx, expr, got.chartFrom, at, got.chartPointStep)
			return nil
		})
	}
	if a.chart > 0 && a.offset > 0 {
		group.Go(func() error {
			// Without it the chart has no dashed line, and the step's own
			// baseline has told of the failure.
			got.chartBaseline, _ = a.datasource.QueryRange(ctx, expr, got.chartFrom.Add(-a.offset), at.Add(-a.offset), got.chartPointStep)
			return nil
		})
	}
	return got, group.Wait()
}

// pointStep divides a range into about n points, whole seconds apart and no
// closer than anything is scraped.
func pointStep(span time.Duration, n int) time.Duration {
	step := (span/time.Duration(n) + time.Second - 1).Truncate(time.Second)
	return max(step, 5*time.Second)
}

// nextSteps is what a person can do about a failed query.
var nextSteps = map[promapi.Reason]string{
	promapi.ReasonBadQuery:    "Mend the step's expr; Prometheus's own words above say what it refuses.",
	promapi.ReasonDenied:      "Check the credentials of this datasource in the configuration.",
	promapi.ReasonTimeout:     "Ask it in Prometheus by hand; make the query cheaper, or raise the datasource's timeout.",
	promapi.ReasonUnavailable: "Check that Prometheus is up and that triagebot can reach it.",
	promapi.ReasonBadResponse: "Check the datasource's url in the configuration, and what proxies stand before it.",
	promapi.ReasonTooLarge:    "Aggregate the query, or narrow its matchers or range.",
}

func (a *queryAction) stepError(err error) error { return unanswered(a.name, err) }

// unanswered is the error of a query that the named datasource did not answer.
func unanswered(name string, err error) error {
	var failure *promapi.Error
	if !errors.As(err, &failure) {
		return fmt.Errorf("%s: %w", promapi.Display(name), err)
	}
	return &playbook.StepError{Err: err, NextStep: nextSteps[failure.Reason], Transient: failure.Transient}
}
