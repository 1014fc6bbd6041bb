// A panel's picture: drawn here, or by Grafana.

package step

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"triagebot/triage"
	"triagebot/triage/playbook"
	"triagebot/triage/promapi"
	"triagebot/triage/step/chart"
)

// Size of a picture that Grafana renders, in pixels: Slack shows it less than
// half as large.
const (
	renderWidth  = 800
	renderHeight = 400
)

// maxAltSeries is how many series the text in place of the picture tells.
const maxAltSeries = 3

// picture is drawn once the finding is committed: neither a slow renderer nor
// the drawing holds the text up.
func (v *panelView) picture(env *playbook.Env, all, references []shownSeries) playbook.Artifact {
	alt := v.alt(all)
	a := playbook.Artifact{
		Name: stem(env, "panel") + ".png", Title: v.title, MediaType: "image/png", Source: promapi.Display(v.source), Follows: true,
	}
	if v.rendered {
		view := v.view()
		view.Width, view.Height = renderWidth, renderHeight
		a.Source = "Grafana"
		a.Draw = func(ctx context.Context, verdict triage.Verdict) ([]byte, string, error) {
			data, err := v.grafana.Render(ctx, view)
			return data, fmt.Sprintf("%s, %s.", alt, verdict), err
		}
		return a
	}
	a.Draw = func(_ context.Context, verdict triage.Verdict) ([]byte, string, error) {
		data, err := v.draw(verdict, all, references)
		return data, fmt.Sprintf("%s, %s.", alt, verdict), err
	}
	return a
}

// alt says what the picture shows, for those who do not see it.
func (v *panelView) alt(all []shownSeries) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Panel %s from %s to %s: ", v.title, v.period.From.Format("15:04"), v.period.To.Format("15:04 UTC"))
	told, total := withValue(all, maxAltSeries)
	for i, s := range told {
		if i > 0 {
			b.WriteString("; ")
		}
		if s.name != "" {
			b.WriteString(cut(s.name, maxShownValue) + " ")
		}
		b.WriteString(s.field.Text(s.value))
	}
	switch {
	case total == 0:
		b.WriteString("no data")
	case total > len(told):
		fmt.Fprintf(&b, " and %d more series", total-len(told))
	}
	return b.String()
}

func (v *panelView) draw(verdict triage.Verdict, all, references []shownSeries) ([]byte, error) {
	notes := make([]string, len(v.notes))
	for i, note := range v.notes {
		notes[i] = v.redact.Text(note)
	}
	frame := chart.Frame{Title: v.title, Theme: v.theme, From: v.period.From, To: v.period.To, Verdict: verdict, Notes: notes}
	switch v.panel.Type {
	case "timeseries":
		return v.lines(frame, all, references).PNG()
	case "heatmap":
		measure, _ := v.panel.Field.Measure()
		return chart.Heatmap{Frame: frame, Unit: measure.Axis(), Step: v.period.Step, Marker: v.started, Buckets: v.buckets()}.PNG()
	case "table":
		return v.table(frame).PNG()
	default:
		return v.values(frame, slices.Concat(all, references)).PNG()
	}
}

// lines puts series of one unit on the left axis and those of another on the
// right one.
func (v *panelView) lines(frame chart.Frame, all, references []shownSeries) chart.Chart {
	field := v.panel.Field
	if len(all) > 0 { // an override may have set another for all
		field = all[0].field
	}
	left, _ := field.Measure()
	c := chart.Chart{Unit: left.Axis(), Min: field.Min, Max: field.Max, Step: v.period.Step, Marker: v.started}
	style := v.panel.Field.ThresholdStyle
	for _, t := range v.panel.Field.Thresholds {
		c.Thresholds = append(c.Thresholds, chart.Threshold{
			Value: t.Value, Color: t.Color, Area: strings.Contains(style, "area"),
			Line: strings.Contains(style, "line") || strings.Contains(style, "dashed"),
		})
	}
	if style == "" || style == "off" {
		c.Thresholds = nil
	}
	right := ""
	// What is measured may fill the picture, but leaves room for a reference.
	kept, _ := withValue(all, chart.MaxSeries-min(len(references), 2))
	for _, s := range all { // those that ended are drawn while there is room
		if len(kept)+len(references) < chart.MaxSeries && math.IsNaN(s.value) {
			kept = append(kept, s)
		}
	}
	for _, s := range slices.Concat(kept, references) {
		if len(c.Series) == chart.MaxSeries {
			break
		}
		line := chart.Series{Name: s.name, Dashed: s.field.Dashed, Color: s.field.Color, Points: chartPoints(s.points, 0)}
		if s.field.Unit != field.Unit {
			if c.Right == nil {
				m, _ := s.field.Measure()
				c.Right, right = m.Axis(), s.field.Unit
			}
			if s.field.Unit != right {
				frame.Notes = append(frame.Notes, fmt.Sprintf("not drawn: %s has a third unit", s.name))
				continue
			}
			line.Right = true
		}
		c.Series = append(c.Series, line)
	}
	c.Omitted = len(all) + len(references) - len(c.Series)
	c.Frame = frame
	return c
}

// values are tiles, gauges or bars.
func (v *panelView) values(frame chart.Frame, all []shownSeries) chart.Values {
	p := chart.Values{Frame: frame, Style: chart.StyleStat}
	switch v.panel.Type {
	case "gauge":
		p.Style = chart.StyleGauge
	case "bargauge":
		p.Style = chart.StyleBars
	}
	highest := 0.0
	for _, s := range all {
		highest = max(highest, finite(s.value))
	}
	for _, s := range all {
		if len(p.Values) == chart.MaxValues {
			break
		}
		one := chart.Value{
			Name: s.name, Text: s.field.Text(s.value), V: s.value, Color: s.field.ColorOf(s.value), BaseColor: s.field.BaseColor,
			Max: highest,
		}
		if v.panel.Type == "gauge" {
			one.Max = 100 // as in Grafana, where a panel has no bounds
			if s.field.Unit == "percentunit" {
				one.Max = 1
			}
		}
		if s.field.Min != nil {
			one.Min = *s.field.Min
		}
		if s.field.Max != nil {
			one.Max = *s.field.Max
		}
		for _, t := range s.field.Thresholds {
			one.Steps = append(one.Steps, chart.Threshold{Value: t.Value, Color: t.Color})
		}
		if len(s.points) > 1 {
			one.Points = chartPoints(s.points, 0)
		}
		p.Values = append(p.Values, one)
	}
	p.Omitted = len(all) - len(p.Values)
	return p
}

// table joins the queries' series by their labels: a row for each set of
// labels, a column for each label and for each query.
func (v *panelView) table(frame chart.Frame) chart.Table {
	type row struct {
		labels triage.Labels
		values map[string]shownSeries // by column
	}
	rows := map[string]*row{}
	labels := map[string]bool{}
	var queries []string
	for _, got := range v.answers {
		if got.result == nil {
			continue
		}
		column, name := v.column(&got.target)
		queries = append(queries, column)
		for _, s := range got.result.Series {
			set := maps.Clone(s.Labels)
			delete(set, "__name__")
			for name := range set {
				labels[name] = true
			}
			key := set.String()
			if rows[key] == nil {
				rows[key] = &row{labels: set, values: map[string]shownSeries{}}
			}
			one := shownSeries{field: v.panel.FieldOf(got.target.RefID, name)}
			one.value = v.current(got.target, s.Points)
			rows[key].values[column] = one
		}
	}
	columns := slices.Concat(slices.Sorted(maps.Keys(labels)), queries)
	columns = slices.DeleteFunc(columns, func(c string) bool { return v.panel.Columns.Exclude[c] })
	slices.SortStableFunc(columns, func(a, b string) int {
		x, ordered := v.panel.Columns.Index[a]
		y, also := v.panel.Columns.Index[b]
		if !ordered || !also {
			return 0
		}
		return cmp.Compare(x, y)
	})
	t := chart.Table{Frame: frame}
	for _, c := range columns {
		t.Columns = append(t.Columns, safeText(cmp.Or(v.panel.Columns.Rename[c], c)))
	}
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		if len(t.Rows) == chart.MaxRows {
			break
		}
		cells := make([]chart.Cell, len(columns))
		for i, c := range columns {
			cells[i] = chart.Cell{Text: safeText(cut(rows[key].labels[c], maxShownValue))}
			if slices.Contains(queries, c) {
				cells[i] = chart.Cell{Text: "–", Right: true}
				if s, has := rows[key].values[c]; has {
					cells[i].Text, cells[i].Color = s.field.Text(s.value), s.field.ColorOf(s.value)
				}
			}
		}
		t.Rows = append(t.Rows, cells)
	}
	t.Omitted = len(rows) - len(t.Rows)
	return t
}

// buckets are a histogram's, each without those below it: Prometheus counts what
// is at most a bound. Series that differ in other labels are added up.
func (v *panelView) buckets() []chart.Bucket {
	counts := map[float64]map[time.Time]float64{} // by upper bound
	times := map[time.Time]bool{}
	for _, got := range v.answers {
		if got.result == nil {
			continue
		}
		for _, s := range got.result.Series {
			upper, err := strconv.ParseFloat(s.Labels["le"], 64)
			if err != nil || math.IsNaN(upper) {
				continue
			}
			if counts[upper] == nil {
				counts[upper] = map[time.Time]float64{}
			}
			for _, p := range s.Points {
				if !math.IsNaN(p.V) {
					counts[upper][p.T] += p.V
					times[p.T] = true
				}
			}
		}
	}
	order := slices.SortedFunc(maps.Keys(times), time.Time.Compare)
	var buckets []chart.Bucket
	for i, upper := range slices.Sorted(maps.Keys(counts)) {
		b := chart.Bucket{Upper: upper}
		for _, t := range order {
			n := counts[upper][t]
			if i > 0 {
				n -= counts[buckets[i-1].Upper][t]
			}
			b.Points = append(b.Points, chart.Point{T: t, V: max(0, n)})
		}
		buckets = append(buckets, b)
	}
	return buckets
}
