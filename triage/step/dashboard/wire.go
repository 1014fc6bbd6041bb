// The JSON as Grafana writes it, versions of its schema from before 16 to 42;
// v2.go has what is different in V2. Unknown keys are ignored: the format grows
// with each release.

package dashboard

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

type dashboardJSON struct {
	UID           string            `json:"uid"`
	Title         string            `json:"title"`
	SchemaVersion int               `json:"schemaVersion"`
	Panels        []json.RawMessage `json:"panels"`
	Rows          []struct {
		Panels []json.RawMessage `json:"panels"`
	} `json:"rows"`
	Templating struct {
		List []json.RawMessage `json:"list"`
	} `json:"templating"`
	// Of schema V2.
	Elements  map[string]json.RawMessage `json:"elements"`
	Variables []json.RawMessage          `json:"variables"`
}

type panelJSON struct {
	ID              int64                `json:"id"`
	Title           string               `json:"title"`
	Type            string               `json:"type"`
	Interval        string               `json:"interval"`
	TimeFrom        string               `json:"timeFrom"`
	TimeShift       string               `json:"timeShift"`
	Datasource      datasourceType       `json:"datasource"`
	Targets         []targetJSON         `json:"targets"`
	Panels          []json.RawMessage    `json:"panels"`
	LibraryPanel    json.RawMessage      `json:"libraryPanel"`
	Transformations []transformationJSON `json:"transformations"`
	FieldConfig     struct {
		Defaults  fieldJSON `json:"defaults"`
		Overrides []struct {
			Matcher struct {
				ID      string          `json:"id"`
				Options json.RawMessage `json:"options"`
			} `json:"matcher"`
			Properties []struct {
				ID    string          `json:"id"`
				Value json.RawMessage `json:"value"`
			} `json:"properties"`
		} `json:"overrides"`
	} `json:"fieldConfig"`
	Options struct {
		ReduceOptions struct {
			Calcs []string `json:"calcs"`
		} `json:"reduceOptions"`
		YAxis struct { // of a heatmap
			Unit     string `json:"unit"`
			Decimals *int   `json:"decimals"`
		} `json:"yAxis"`
		Calculate bool `json:"calculate"`
	} `json:"options"`
	// Of the old graph panel.
	YAxes []struct {
		Format   string   `json:"format"`
		Decimals *int     `json:"decimals"`
		Min      looseNum `json:"min"`
		Max      looseNum `json:"max"`
		LogBase  float64  `json:"logBase"`
	} `json:"yaxes"`
	Stack           bool              `json:"stack"`
	SeriesOverrides []json.RawMessage `json:"seriesOverrides"`
	RawThresholds   json.RawMessage   `json:"thresholds"` // text in the old singlestat panel
	// Of the old heatmap panel.
	YAxis struct {
		Format   string `json:"format"`
		Decimals *int   `json:"decimals"`
	} `json:"yAxis"`
	DataFormat string `json:"dataFormat"` // tsbuckets, or timeseries for one that counts by itself

	odd error // why the rest is not read
}

// decodePanel reads one panel. One that does not have Grafana's form costs only
// itself: a plugin's options may be anything, and the panel asked for be another.
func decodePanel(raw json.RawMessage) panelJSON {
	var p panelJSON
	err := json.Unmarshal(raw, &p)
	if err == nil {
		return p
	}
	var known struct {
		ID    int64  `json:"id"`
		Title string `json:"title"`
		Type  string `json:"type"`
	}
	_ = json.Unmarshal(raw, &known) // what it has of these is how it is named
	return panelJSON{ID: known.ID, Title: known.Title, Type: known.Type, odd: err}
}

type transformationJSON struct {
	ID       string          `json:"id"`
	Disabled bool            `json:"disabled"`
	Options  json.RawMessage `json:"options"`
}

type targetJSON struct {
	RefID        string         `json:"refId"`
	Expr         string         `json:"expr"`
	LegendFormat string         `json:"legendFormat"`
	Instant      bool           `json:"instant"`
	Range        *bool          `json:"range"`
	Format       string         `json:"format"`
	Interval     string         `json:"interval"`
	Datasource   datasourceType `json:"datasource"`
	Hide         bool           `json:"hide"`
}

// datasourceType is the type of {"type": "prometheus", "uid": …}; a plain name,
// as older dashboards have it, and null tell none.
type datasourceType string

func (d *datasourceType) UnmarshalJSON(data []byte) error {
	var object struct {
		Type string `json:"type"`
		UID  string `json:"uid"`
	}
	if json.Unmarshal(data, &object) == nil {
		*d = datasourceType(object.Type)
		if object.UID == "__expr__" {
			*d = "__expr__"
		}
	}
	return nil
}

// looseNum is a number that may be written as text, or be null.
type looseNum struct{ v *float64 }

func (n *looseNum) UnmarshalJSON(data []byte) error {
	if v, err := strconv.ParseFloat(strings.Trim(string(data), `"`), 64); err == nil {
		n.v = &v
	}
	return nil
}

// drawableTypes are the panel types that can be drawn.
func drawableTypes() []string {
	return []string{"timeseries", "stat", "gauge", "bargauge", "table", "heatmap"}
}

func (p *panelJSON) panel() Panel {
	out := Panel{
		ID: p.ID, Title: p.Title, Type: p.Type, Interval: p.Interval, Datasource: string(p.Datasource),
		Calc: "lastNotNull", Field: p.FieldConfig.Defaults.field(),
	}
	if p.Type == "graph" {
		out.Type = "timeseries"
		p.oldGraph(&out.Field)
	}
	if calcs := p.Options.ReduceOptions.Calcs; len(calcs) > 0 {
		out.Calc = calcs[0]
	}
	if p.Type == "heatmap" {
		out.Field.Unit = cmp.Or(p.Options.YAxis.Unit, p.YAxis.Format, out.Field.Unit)
		out.Field.Decimals = cmp.Or(p.Options.YAxis.Decimals, p.YAxis.Decimals, out.Field.Decimals)
	}
	for i, t := range p.Targets {
		if i == maxTargets {
			out.Unsupported = fmt.Sprintf("it has more than %d queries", maxTargets)
			break
		}
		out.Targets = append(out.Targets, Target{
			RefID: t.RefID, Expr: t.Expr, Legend: t.LegendFormat, Instant: t.Instant && (t.Range == nil || !*t.Range),
			Heatmap: t.Format == "heatmap", Interval: t.Interval, Datasource: string(t.Datasource), Hidden: t.Hide,
		})
	}
	p.manner(&out)
	p.overrides(&out)
	p.transformations(&out)
	switch {
	case p.odd != nil:
		out.Unsupported = fmt.Sprintf("it does not have Grafana's form: %v", p.odd)
	case out.Unsupported != "":
	case len(p.LibraryPanel) > 0 && string(p.LibraryPanel) != "null" && len(p.Targets) == 0:
		out.Unsupported = "it is a library panel, whose queries are kept in Grafana and not in the dashboard"
	case !slices.Contains(drawableTypes(), out.Type):
		out.Unsupported = fmt.Sprintf("panels of type %s cannot be drawn from JSON, only %s", p.Type, strings.Join(drawableTypes(), ", "))
	case p.Type == "heatmap" && (p.Options.Calculate || p.DataFormat == "timeseries"):
		out.Unsupported = "it counts its values into buckets itself; only the buckets of a histogram can be drawn"
	case len(out.Shown()) == 0:
		out.Unsupported = "it has no query"
	}
	return out
}

// manner names what of the panel's way of drawing, and of its time, is not
// applied.
func (p *panelJSON) manner(out *Panel) {
	custom := p.FieldConfig.Defaults.Custom
	add := func(not bool, format string, args ...any) {
		if not {
			out.Transforms = append(out.Transforms, fmt.Sprintf(format, args...))
		}
	}
	old := p.Type == "graph"
	add(custom.Stacking.Mode != "" && custom.Stacking.Mode != "none" || old && p.Stack, "stacking")
	scale := custom.ScaleDistribution.Type
	add(scale != "" && scale != "linear", "%s axis", scale)
	add(old && len(p.YAxes) > 0 && p.YAxes[0].LogBase > 1, "log axis")
	add(custom.Transform != "" && custom.Transform != "none", "transform %s", custom.Transform)
	add(old && len(p.SeriesOverrides) > 0, "overrides of the old graph's series")
	add(p.TimeFrom != "", "the panel's own time range %s", p.TimeFrom)
	add(p.TimeShift != "", "the panel's time shift of %s", p.TimeShift)
}

// oldGraph takes what the graph panel kept elsewhere.
func (p *panelJSON) oldGraph(f *Field) {
	if len(p.YAxes) > 0 {
		left := p.YAxes[0]
		f.Unit, f.Decimals, f.Min, f.Max = left.Format, left.Decimals, left.Min.v, left.Max.v
	}
	var old []struct {
		Value     *float64 `json:"value"`
		ColorMode string   `json:"colorMode"`
		Fill      bool     `json:"fill"`
	}
	if json.Unmarshal(p.RawThresholds, &old) != nil {
		return
	}
	colors := map[string]string{"critical": "red", "warning": "orange", "ok": "green"}
	for _, t := range old {
		if t.Value == nil {
			continue
		}
		color := colors[t.ColorMode]
		if color == "" {
			color = "red"
		}
		f.ThresholdStyle = "line"
		if t.Fill {
			f.ThresholdStyle = "line+area"
		}
		f.Thresholds = append(f.Thresholds, Threshold{Value: *t.Value, Color: color})
	}
}

// overrides are those matched by name, pattern or query; the others are named.
func (p *panelJSON) overrides(out *Panel) {
	for _, o := range p.FieldConfig.Overrides {
		var text string
		override := Override{By: o.Matcher.ID, set: map[string]json.RawMessage{}}
		if json.Unmarshal(o.Matcher.Options, &text) != nil || !override.matching(text) {
			out.Transforms = append(out.Transforms, "override "+o.Matcher.ID)
			continue
		}
		for _, property := range o.Properties {
			if property.ID == "custom.transform" && string(property.Value) != `"none"` {
				out.Transforms = append(out.Transforms, "transform "+strings.Trim(string(property.Value), `"`))
			}
			override.set[property.ID] = property.Value
		}
		out.Overrides = append(out.Overrides, override)
	}
}

// transformations takes what arranges a table, and names the rest.
func (p *panelJSON) transformations(out *Panel) {
	for _, t := range p.Transformations {
		switch {
		case t.Disabled:
		case t.ID == "organize" && json.Unmarshal(t.Options, &out.Columns) == nil:
		case out.Type == "table" && (t.ID == "merge" || t.ID == "joinByField" || t.ID == "seriesToColumns" || t.ID == "labelsToFields"):
			// A table is drawn with the queries' series joined by their labels.
		default:
			out.Transforms = append(out.Transforms, "transformation "+t.ID)
		}
	}
}
