// What a panel says in words: rows, a sentence, links and the values as a file.

package step

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"triagebot/triage"
	"triagebot/triage/grafana"
	"triagebot/triage/playbook"
	"triagebot/triage/promapi"
)

// maxReferences is how many reference series are told beneath the rows.
const maxReferences = 3

func (v *panelView) outcome(env *playbook.Env) (*playbook.Outcome, error) {
	out := &playbook.Outcome{NoDataVerdict: v.noData, Links: v.links(env)}
	var failed []string
	for _, got := range v.answers {
		if got.err != nil {
			failed = append(failed, fmt.Sprintf("query %s: %v", got.target.RefID, got.err))
			continue
		}
		for _, warning := range got.result.Warnings {
			env.Debugf("%s warns of query %s: %s", promapi.Display(v.source), got.target.RefID, warning)
		}
	}
	v.notes = append(slices.Clone(failed), v.notes...)
	for _, note := range v.notes {
		env.Debugf("%s", note)
	}
	all, references := v.series()
	if v.panel.Type == "heatmap" {
		all, references = v.histogram(), nil
	}
	evidence, err := v.evidence(env, slices.Concat(all, references))
	if err != nil {
		return nil, err
	}
	out.Artifacts = []playbook.Artifact{evidence, v.picture(env, all, references)}
	shown, total := withValue(all, v.maxSeries)
	switch {
	case v.panel.Unsupported != "":
		out.NoData = fmt.Sprintf("the panel %s is shown as a picture only: %s", v.title, v.panel.Unsupported)
		return out, nil
	case total == 0 && len(failed) > 0:
		return nil, v.stepError(fmt.Errorf("%s; its other queries have no data", strings.Join(failed, "; ")))
	case total == 0:
		out.NoData = fmt.Sprintf("the panel %s has no series with a value at %s in %s", v.title, v.period.To.Format(clock), promapi.Display(v.source))
		return out, nil
	}
	if nan := len(all) - total; nan > 0 {
		env.Debugf("%d of %d series have no value at %s", nan, len(all), v.period.To.Format(clock))
	}
	if total > len(shown) {
		env.Debugf("the worst %d of %d series are judged (max_series)", len(shown), total)
	}
	for _, s := range shown {
		out.Rows = append(out.Rows, playbook.OutcomeRow{
			Name: s.name, Value: s.field.Text(s.value),
			Vars: map[string]any{
				"value": finite(s.value), "series_count": int64(total), "series": labelVars(s.labels), "legend": s.name,
			},
		})
	}
	for _, s := range references[:min(len(references), maxReferences)] {
		if !math.IsNaN(s.value) {
			out.Details = append(out.Details, triage.Row{Name: s.name, Value: s.field.Text(s.value)})
		}
	}
	out.Headline = v.headline(shown, total, references)
	if len(failed) > 0 {
		out.Partial = true
		out.Headline += fmt.Sprintf(" Not all of it: %s.", strings.Join(failed, "; "))
		out.NextStep = "Look at the failed query in the dashboard, and ask it by hand."
	}
	return out, nil
}

// maxToldQueries is of how many queries the headline tells the worst series.
const maxToldQueries = 3

// headline says the worst value of each query, beside which reference, and when.
func (v *panelView) headline(shown []shownSeries, total int, references []shownSeries) string {
	var told []string
	query := -1
	for _, s := range shown {
		if s.query == query || len(told) == maxToldQueries {
			continue
		}
		query = s.query
		text := s.field.Text(s.value)
		if s.name != "" {
			text += " for " + s.name
		}
		told = append(told, text)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", v.title, strings.Join(told, ", "))
	switch {
	case total > len(told) && len(told) == 1:
		fmt.Fprintf(&b, ", the worst of %d series", total)
	case total > len(told):
		fmt.Fprintf(&b, ", the worst of each query, of %d series", total)
	}
	if len(references) > 0 && !math.IsNaN(references[0].value) {
		fmt.Fprintf(&b, " (%s: %s)", references[0].name, references[0].field.Text(references[0].value))
	}
	fmt.Fprintf(&b, "; evaluated at %s.", v.period.To.Format(clock))
	return b.String()
}

// histogram is the one row of a heatmap: the highest bucket into which anything
// falls now.
func (v *panelView) histogram() []shownSeries {
	buckets := v.buckets()
	for i, b := range slices.Backward(buckets) {
		if len(b.Points) == 0 {
			continue
		}
		last := b.Points[len(b.Points)-1]
		if !(last.V > 0) || v.period.To.Sub(last.T) > 2*v.period.Step {
			continue
		}
		s := shownSeries{name: "highest bucket in use", field: v.panel.Field}
		s.value = b.Upper
		s.labels = triage.Labels{"le": number(b.Upper)}
		if math.IsInf(b.Upper, 1) && i > 0 {
			s.name = fmt.Sprintf("highest bucket in use, more than %s", s.field.Text(buckets[i-1].Upper))
		}
		return []shownSeries{s}
	}
	return nil
}

// view is the panel as Grafana is asked for it.
func (v *panelView) view() grafana.View {
	return grafana.View{UID: v.uid, Panel: v.panel.ID, From: v.period.From, To: v.period.To, Vars: v.scope.Values(), Theme: string(v.theme)}
}

// links lead to the panel in Grafana and to its queries in Prometheus.
func (v *panelView) links(env *playbook.Env) []triage.Link {
	var links []triage.Link
	add := func(title, link string) {
		if len(link) > maxLinkLength {
			env.Debugf("no link to %s: it would have %d characters", title, len(link))
		} else if link != "" {
			links = append(links, triage.Link{Title: title, URL: link})
		}
	}
	if v.grafana != nil && v.uid != "" {
		view := v.view()
		if len(view.Vars) > maxDashboardVars {
			view.Vars = nil
		}
		add("Grafana", v.grafana.Link(view))
	}
	if v.datasource.PublicURL != "" {
		q := url.Values{}
		n := 0
		for _, got := range v.answers {
			if got.expr == "" {
				continue
			}
			g := fmt.Sprintf("g%d.", n)
			q.Set(g+"expr", got.expr)
			q.Set(g+"tab", "0")
			q.Set(g+"end_input", v.period.To.Format("2006-01-02 15:04:05"))
			q.Set(g+"periodinput", model.Duration(v.span).String())
			n++
		}
		if n > 0 {
			add("Prometheus", strings.TrimRight(v.datasource.PublicURL, "/")+"/graph?"+strings.ReplaceAll(q.Encode(), "+", "%20"))
		}
	}
	return links
}

// The evidence's JSON: what the panel asked and what it shows.
type (
	panelJSON struct {
		Dashboard   string            `json:"dashboard,omitempty"`
		Panel       string            `json:"panel"`
		PanelID     int64             `json:"panel_id"`
		Datasource  string            `json:"datasource"`
		EvaluatedAt time.Time         `json:"evaluated_at"`
		Range       string            `json:"range"`
		Queries     []panelQueryJSON  `json:"queries"`
		SeriesCount int               `json:"series_count"`
		Omitted     int               `json:"series_omitted,omitempty"`
		Series      []panelSeriesJSON `json:"series"`
		Notes       []string          `json:"notes,omitempty"`
	}
	panelQueryJSON struct {
		RefID string `json:"ref_id"`
		Expr  string `json:"expr"`
		Error string `json:"error,omitempty"`
	}
	panelSeriesJSON struct {
		Name      string        `json:"name"`
		Labels    triage.Labels `json:"labels"`
		Value     string        `json:"value"`
		Reference bool          `json:"reference,omitempty"`
	}
)

func (v *panelView) evidence(env *playbook.Env, all []shownSeries) (playbook.Artifact, error) {
	e := panelJSON{
		Dashboard: v.uid, Panel: v.title, PanelID: v.panel.ID, Datasource: v.source, EvaluatedAt: v.period.To,
		Range: model.Duration(v.span).String(), Queries: []panelQueryJSON{}, SeriesCount: len(all), Series: []panelSeriesJSON{}, Notes: v.notes,
	}
	for _, got := range v.answers {
		q := panelQueryJSON{RefID: got.target.RefID, Expr: got.expr}
		if got.err != nil {
			q.Error = got.err.Error()
		}
		e.Queries = append(e.Queries, q)
	}
	for _, s := range all[:min(len(all), maxEvidenceSeries)] {
		e.Series = append(e.Series, panelSeriesJSON{s.name, s.labels, number(s.value), s.field.Dashed})
	}
	e.Omitted = len(all) - len(e.Series)
	return jsonArtifact(stem(env, "panel")+".json", "Panel values", promapi.Display(v.source), e)
}
