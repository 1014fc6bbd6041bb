// How a panel shows values: unit, decimals, bounds, thresholds, mappings, and
// the overrides of single series.

package dashboard

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Field is how the values of a series are shown.
type Field struct {
	Unit           string // Grafana's id: ms, percentunit, short, …
	Decimals       *int
	Min, Max       *float64
	Thresholds     []Threshold // ascending; the base is left out
	BaseColor      string      // below the first threshold
	ThresholdStyle string      // of a time series: "", off, line, dashed, area, line+area or dashed+area
	Name           string      // instead of the legend
	Color          string      // fixed, "" for one of the palette
	Dashed         bool        // a dashed line: a reference, such as a baseline
	Hidden         bool        // not drawn
	mappings       []mapping
}

// Threshold is where a colour begins.
type Threshold struct {
	Value float64
	Color string // Grafana's name, or #rrggbb
}

// Columns is what the transformation organize does to a table.
type Columns struct {
	Exclude map[string]bool    `json:"excludeByName"`
	Index   map[string]float64 `json:"indexByName"`
	Rename  map[string]string  `json:"renameByName"`
}

// Override is what a panel says of some of its series.
type Override struct {
	By      string // byName, byRegexp or byFrameRefID
	text    string
	pattern *regexp.Regexp
	set     map[string]json.RawMessage
}

type fieldJSON struct {
	Unit        string          `json:"unit"`
	Decimals    *int            `json:"decimals"`
	Min         *float64        `json:"min"`
	Max         *float64        `json:"max"`
	DisplayName string          `json:"displayName"`
	Thresholds  thresholdsJSON  `json:"thresholds"`
	Mappings    json.RawMessage `json:"mappings"`
	Color       colorJSON       `json:"color"`
	Custom      struct {
		ThresholdsStyle struct {
			Mode string `json:"mode"`
		} `json:"thresholdsStyle"`
		LineStyle lineStyleJSON `json:"lineStyle"`
		Stacking  struct {
			Mode string `json:"mode"`
		} `json:"stacking"`
		ScaleDistribution struct {
			Type string `json:"type"`
		} `json:"scaleDistribution"`
		Transform string `json:"transform"` // negative-Y, constant
	} `json:"custom"`
}

type thresholdsJSON struct {
	Mode  string `json:"mode"` // absolute or percentage
	Steps []struct {
		Color string   `json:"color"`
		Value *float64 `json:"value"` // null for the base
	} `json:"steps"`
}

type colorJSON struct {
	Mode       string `json:"mode"`
	FixedColor string `json:"fixedColor"`
}

type lineStyleJSON struct {
	Fill string `json:"fill"`
}

func (j *fieldJSON) field() Field {
	f := Field{
		Unit: j.Unit, Decimals: j.Decimals, Min: j.Min, Max: j.Max, Name: j.DisplayName,
		ThresholdStyle: j.Custom.ThresholdsStyle.Mode, mappings: mappings(j.Mappings),
		Dashed: j.Custom.LineStyle.Fill == "dash",
	}
	if j.Color.Mode == "fixed" {
		f.Color = j.Color.FixedColor
	}
	f.thresholds(j.Thresholds)
	return f
}

// thresholds takes steps in; percentages are of the range from min to max, as
// in Grafana, which takes 0 to 100 where there is none.
func (f *Field) thresholds(j thresholdsJSON) {
	low, high := 0.0, 100.0
	if f.Min != nil && f.Max != nil {
		low, high = *f.Min, *f.Max
	}
	f.Thresholds = nil
	for _, s := range j.Steps {
		if s.Value == nil {
			f.BaseColor = s.Color
			continue
		}
		v := *s.Value
		if j.Mode == "percentage" {
			v = low + v/100*(high-low)
		}
		f.Thresholds = append(f.Thresholds, Threshold{v, s.Color})
	}
	slices.SortStableFunc(f.Thresholds, func(a, b Threshold) int {
		if a.Value < b.Value {
			return -1
		}
		if a.Value > b.Value {
			return 1
		}
		return 0
	})
}

// ColorOf is the threshold colour of a value, "" where the panel has none.
func (f *Field) ColorOf(v float64) string {
	color := f.BaseColor
	for _, t := range f.Thresholds {
		if v >= t.Value {
			color = t.Color
		}
	}
	if m, found := f.mapped(v); found && m.color != "" {
		color = m.color
	}
	return color
}

func (o *Override) matching(text string) bool {
	o.text = text
	switch o.By {
	case "byName", "byFrameRefID":
		return true
	case "byRegexp":
		var err error
		o.pattern, err = javaScriptPattern(text)
		return err == nil
	}
	return false
}

// javaScriptPattern compiles a pattern as JavaScript writes it: /a b/i, or bare.
func javaScriptPattern(text string) (*regexp.Regexp, error) {
	end := strings.LastIndexByte(text, '/')
	if end <= 0 || text[0] != '/' {
		return regexp.Compile(text)
	}
	body := text[1:end]
	for _, flag := range text[end+1:] {
		switch flag {
		case 'i', 'm', 's':
			body = "(?" + string(flag) + ")" + body
		case 'g', 'u', 'y': // of no effect on whether it matches
		default:
			return nil, fmt.Errorf("unknown flag %c", flag)
		}
	}
	return regexp.Compile(body)
}

// FieldOf is how the series of a query and of a name is shown.
func (p *Panel) FieldOf(refID, name string) Field {
	f := p.Field
	f.Thresholds = slices.Clone(f.Thresholds)
	for i := range p.Overrides {
		o := &p.Overrides[i]
		switch {
		case o.By == "byName" && o.text == name,
			o.By == "byFrameRefID" && o.text == refID,
			o.By == "byRegexp" && o.pattern.MatchString(name):
			o.apply(&f)
		}
	}
	return f
}

// apply sets the properties that are understood; one that does not decode is
// left as it was.
func (o *Override) apply(f *Field) {
	take := func(id string, into any) bool {
		raw, has := o.set[id]
		return has && json.Unmarshal(raw, into) == nil
	}
	take("unit", &f.Unit)
	take("decimals", &f.Decimals)
	take("min", &f.Min)
	take("max", &f.Max)
	take("displayName", &f.Name)
	var color colorJSON
	if take("color", &color) && color.Mode == "fixed" {
		f.Color = color.FixedColor
	}
	var style lineStyleJSON
	if take("custom.lineStyle", &style) {
		f.Dashed = style.Fill == "dash"
	}
	var hide struct{ Viz bool }
	if take("custom.hideFrom", &hide) {
		f.Hidden = hide.Viz
	}
	if raw, has := o.set["mappings"]; has {
		f.mappings = mappings(raw)
	}
	var steps thresholdsJSON
	if take("thresholds", &steps) {
		f.thresholds(steps)
	}
}

// mapping shows a text instead of values.
type mapping struct {
	from, to    float64 // included
	nan         bool
	text, color string
}

func (f *Field) mapped(v float64) (mapping, bool) {
	for _, m := range f.mappings {
		if m.nan && math.IsNaN(v) || !m.nan && v >= m.from && v <= m.to {
			return m, true
		}
	}
	return mapping{}, false
}

// mappings reads value mappings; kinds that are not known show the value.
func mappings(raw json.RawMessage) []mapping {
	type result struct {
		Text  string `json:"text"`
		Color string `json:"color"`
	}
	var all []struct {
		Type    json.RawMessage `json:"type"`
		Options json.RawMessage `json:"options"`
		oldMapping
	}
	if json.Unmarshal(raw, &all) != nil {
		return nil
	}
	var out []mapping
	for _, m := range all {
		switch string(m.Type) {
		case "1", "2": // before schema version 30
			out = append(out, m.mapping(string(m.Type) == "2")...)
		case `"value"`:
			var values map[string]result
			if json.Unmarshal(m.Options, &values) != nil {
				continue
			}
			for text, r := range values {
				if v, err := strconv.ParseFloat(text, 64); err == nil {
					out = append(out, mapping{from: v, to: v, text: r.Text, color: r.Color})
				}
			}
		case `"range"`:
			var o struct {
				From, To *float64
				Result   result
			}
			if json.Unmarshal(m.Options, &o) != nil {
				continue
			}
			from, to := math.Inf(-1), math.Inf(1)
			if o.From != nil {
				from = *o.From
			}
			if o.To != nil {
				to = *o.To
			}
			out = append(out, mapping{from: from, to: to, text: o.Result.Text, color: o.Result.Color})
		case `"special"`:
			var o struct {
				Match  string
				Result result
			}
			if json.Unmarshal(m.Options, &o) == nil && strings.Contains(o.Match, "nan") {
				out = append(out, mapping{nan: true, text: o.Result.Text, color: o.Result.Color})
			}
		}
	}
	return out
}

// oldMapping is a mapping as it was before schema version 30, where its numbers
// are texts.
type oldMapping struct {
	Value string `json:"value"`
	From  string `json:"from"`
	To    string `json:"to"`
	Text  string `json:"text"`
}

func (m *oldMapping) mapping(isRange bool) []mapping {
	from, to := m.Value, m.Value
	if isRange {
		from, to = m.From, m.To
	}
	if from == "null" && !isRange {
		return []mapping{{nan: true, text: m.Text}}
	}
	low, err := strconv.ParseFloat(from, 64)
	high, also := strconv.ParseFloat(to, 64)
	if err != nil || also != nil {
		return nil
	}
	return []mapping{{from: low, to: high, text: m.Text}}
}
