// What a query's answers come to: rows, a sentence, a link and evidence.

package step

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"triagebot/triage"
	"triagebot/triage/playbook"
	"triagebot/triage/promapi"
	"triagebot/triage/step/chart"
)

const (
	maxShownExpr      = 200  // runes of an expression in a sentence
	maxEvidenceSeries = 1000 // in the JSON, the worst first
	maxLinkLength     = 2900 // bytes; Slack refuses links of more than 3000
	maxChartBaselines = 3    // more dashed lines cannot be told apart
)

// clock is how instants are written in sentences.
const clock = "15:04:05 UTC"

func (a *queryAction) outcome(env *playbook.Env, got *answers) (*playbook.Outcome, error) {
	all, withValue := a.measure(got.value, got.baseline)
	out := &playbook.Outcome{NoDataVerdict: a.noData}
	if link := a.link(got); len(link) > maxLinkLength {
		env.Debugf("no link to Prometheus: it would have %d characters", len(link))
	} else if link != "" {
		out.Links = []triage.Link{{Title: "Prometheus", URL: link}}
	}
	evidence, err := a.evidence(env, got, all)
	if err != nil {
		return nil, err
	}
	out.Artifacts = append(out.Artifacts, evidence)
	if got.chart != nil {
		out.Artifacts = append(out.Artifacts, a.picture(env, got, all))
	}
	if withValue == 0 {
		out.NoData = a.nothing(got, len(all))
		return out, nil
	}
	if nan := len(all) - withValue; nan > 0 {
		env.Debugf("%d of %d series have no value (NaN)", nan, len(all))
	}
	shown := all[:min(withValue, a.maxSeries)]
	if withValue > len(shown) {
		env.Debugf("the worst %d of %d series are judged (max_series)", len(shown), withValue)
	}
	lacking := 0
	for _, m := range shown {
		if !m.hasBaseline {
			lacking++
		}
		out.Rows = append(out.Rows, a.row(m, withValue, got.baseline))
	}
	if a.offset > 0 && lacking > 0 {
		env.Debugf("%d of %d series had no value %s before", lacking, len(shown), model.Duration(a.offset))
	}
	out.Headline = a.headline(env, got, all, withValue)
	return out, nil
}

func (a *queryAction) row(m measured, withValue int, baseline *promapi.Result) playbook.OutcomeRow {
	row := playbook.OutcomeRow{
		Name:  seriesName(m.labels),
		Value: a.unit.Format(m.value),
		Vars: map[string]any{
			"value":        finite(m.value),
			"series_count": int64(withValue),
			"series":       labelVars(m.labels),
		},
	}
	if m.hasBaseline {
		row.Vars["baseline"] = m.baseline
		row.Baseline = a.unit.Format(m.baseline)
	}
	switch {
	case baseline == nil: // none was asked for
	case len(baseline.Series) > 0:
		row.Vars["is_new"] = len(m.basePoints) == 0
	default:
		// A Prometheus that began later knows of no change.
		row.Missing = fmt.Sprintf("no baseline (history is shorter than %s, or nothing was scraped then)", model.Duration(a.offset))
	}
	return row
}

// headline says the worst value, what it was, and when it was looked at.
func (a *queryAction) headline(env *playbook.Env, got *answers, all []measured, withValue int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is %s", a.title(env, got), a.values(all[0]))
	if name := seriesName(all[0].labels); name != "" {
		fmt.Fprintf(&b, " for %s", name)
	}
	if withValue > 1 {
		fmt.Fprintf(&b, ", the worst of %d series", withValue)
	}
	if nan := len(all) - withValue; nan > 0 {
		fmt.Fprintf(&b, " (%d more without a value)", nan)
	}
	fmt.Fprintf(&b, "; evaluated at %s.", got.at.Format(clock))
	return b.String()
}

// values are a series' value and baseline: 431ms (212ms 1d before).
func (a *queryAction) values(m measured) string {
	if !m.hasBaseline {
		return a.unit.Format(m.value)
	}
	return fmt.Sprintf("%s (%s %s before)", a.unit.Format(m.value), a.unit.Format(m.baseline), model.Duration(a.offset))
}

func (a *queryAction) title(env *playbook.Env, got *answers) string {
	if env.Title != "" {
		return env.Title
	}
	return cut(a.redact.Text(got.expr), maxShownExpr) // also drawn
}

// nothing says which query had no data when.
func (a *queryAction) nothing(got *answers, series int) string {
	when := "at " + got.at.Format(clock)
	if a.span > 0 {
		when = fmt.Sprintf("in the %s before %s", model.Duration(a.span), got.at.Format(clock))
	}
	what := "gives no series"
	if series > 0 {
		what = fmt.Sprintf("gives %d series, all NaN,", series)
	}
	return fmt.Sprintf("%s %s in %s %s", cut(got.expr, maxShownExpr), what, promapi.Display(a.name), when)
}

// link opens the query in Prometheus's own page at its instant: as a graph
// when the step has a chart, else as a table. Its parameters are those of
// Prometheus 2's /graph, which Prometheus 3 redirects to /query.
func (a *queryAction) link(got *answers) string {
	if a.datasource.PublicURL == "" {
		return ""
	}
	at := got.at.Format("2006-01-02 15:04:05")
	v := url.Values{"g0.expr": {got.expr}, "g0.tab": {"1"}, "g0.moment_input": {at}}
	if a.chart > 0 {
		v = url.Values{"g0.expr": {got.expr}, "g0.tab": {"0"}, "g0.moment_input": {at}, "g0.end_input": {at}, "g0.range_input": {model.Duration(a.chart).String()}}
	}
	// %20 is understood everywhere, + by form decoders only.
	return strings.TrimRight(a.datasource.PublicURL, "/") + "/graph?" + strings.ReplaceAll(v.Encode(), "+", "%20")
}

// The evidence's JSON. Values are text, as in Prometheus's API: JSON has
// neither NaN nor Inf.
type (
	evidenceJSON struct {
		Expr        string       `json:"expr"`
		Datasource  string       `json:"datasource"`
		EvaluatedAt time.Time    `json:"evaluated_at"`
		Range       string       `json:"range,omitempty"`
		Step        string       `json:"step,omitempty"`
		Reduce      string       `json:"reduce,omitempty"`
		ResultType  string       `json:"result_type"`
		Baseline    string       `json:"baseline_offset,omitempty"`
		Warnings    []string     `json:"warnings,omitempty"`
		SeriesCount int          `json:"series_count"`
		Omitted     int          `json:"series_omitted,omitempty"`
		Series      []seriesJSON `json:"series"`
	}
	seriesJSON struct {
		Labels         triage.Labels `json:"labels"`
		Value          string        `json:"value"`
		Baseline       string        `json:"baseline,omitempty"`
		Points         []string      `json:"points,omitempty"` // of a range: Unix time in seconds, space, value
		BaselinePoints []string      `json:"baseline_points,omitempty"`
	}
)

// evidence is the raw result: the same answers give the same bytes.
func (a *queryAction) evidence(env *playbook.Env, got *answers, all []measured) (playbook.Artifact, error) {
	e := evidenceJSON{
		Expr: got.expr, Datasource: a.name, EvaluatedAt: got.at, ResultType: got.value.Type, Warnings: got.value.Warnings,
		SeriesCount: len(all), Series: []seriesJSON{},
	}
	if a.span > 0 {
		e.Range, e.Step, e.Reduce = model.Duration(a.span).String(), model.Duration(got.valueStep).String(), a.reduce
	}
	if a.offset > 0 {
		e.Baseline = model.Duration(a.offset).String()
	}
	for _, m := range all[:min(len(all), maxEvidenceSeries)] {
		s := seriesJSON{Labels: m.labels, Value: number(m.value)}
		if len(m.basePoints) > 0 {
			s.Baseline = number(m.baseline)
		}
		if a.span > 0 {
			s.Points, s.BaselinePoints = pointsJSON(m.points), pointsJSON(m.basePoints)
		}
		e.Series = append(e.Series, s)
	}
	e.Omitted = len(all) - len(e.Series)
	return jsonArtifact(stem(env, "query")+".json", "Query result", promapi.Display(a.name), e)
}

// number is v as Prometheus writes it: NaN, +Inf and -Inf included.
func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func pointsJSON(points []promapi.Point) []string {
	out := make([]string, len(points))
	for i, p := range points {
		out[i] = strconv.FormatFloat(float64(p.T.UnixMilli())/1000, 'f', -1, 64) + " " + number(p.V)
	}
	return out
}

// picture is the chart, drawn once the verdict is known. It keeps only the
// points that it shows.
func (a *queryAction) picture(env *playbook.Env, got *answers, all []measured) playbook.Artifact {
	c := chart.Chart{
		Frame: chart.Frame{Title: a.title(env, got), From: got.chartFrom, To: got.at},
		Unit:  a.chartUnit, Step: got.chartPointStep, Marker: env.Data.Alert.StartsAt, Threshold: a.threshold,
	}
	if a.offset > 0 {
		c.BaselineName = model.Duration(a.offset).String() + " before"
	}
	before := byLabels(got.chartBaseline)
	for _, s := range worstFirst(got.chart, all) {
		if len(c.Series) == chart.MaxSeries {
			break
		}
		line := chart.Series{Name: seriesName(s.Labels), Points: chartPoints(s.Points, 0)}
		if len(c.Series) < maxChartBaselines {
			line.Baseline = chartPoints(before[s.Labels.String()].Points, a.offset)
		}
		c.Series = append(c.Series, line)
	}
	c.Omitted = len(got.chart.Series) - len(c.Series)
	alt := fmt.Sprintf("Chart of %s from %s to %s", c.Title, c.From.Format("15:04"), c.To.Format("15:04 UTC"))
	if len(all) > 0 {
		alt += ": " + a.values(all[0])
	} else {
		alt += ": no data"
	}
	if a.threshold != nil {
		alt += ", threshold " + a.chartUnit.Format(*a.threshold)
	}
	return playbook.Artifact{
		Name: stem(env, "chart") + ".png", Title: c.Title, MediaType: "image/png", Source: promapi.Display(a.name),
		Draw: func(_ context.Context, verdict triage.Verdict) ([]byte, string, error) {
			c := c
			c.Verdict = verdict
			data, err := c.PNG()
			return data, fmt.Sprintf("%s, %s.", alt, verdict), err
		},
	}
}

func byLabels(r *promapi.Result) map[string]promapi.Series {
	m := map[string]promapi.Series{}
	if r != nil {
		for _, s := range r.Series {
			m[s.Labels.String()] = s
		}
	}
	return m
}

// worstFirst are the series of r in the order of all; those that have no value
// any more come last.
func worstFirst(r *promapi.Result, all []measured) []promapi.Series {
	rest := byLabels(r)
	var ordered []promapi.Series
	for _, m := range all {
		if s, found := rest[m.key]; found {
			ordered = append(ordered, s)
			delete(rest, m.key)
		}
	}
	for _, s := range r.Series {
		if _, left := rest[s.Labels.String()]; left {
			ordered = append(ordered, s)
		}
	}
	return ordered
}

// chartPoints are points moved on by shift.
func chartPoints(points []promapi.Point, shift time.Duration) []chart.Point {
	out := make([]chart.Point, len(points))
	for i, p := range points {
		out[i] = chart.Point{T: p.T.Add(shift), V: p.V}
	}
	return out
}
