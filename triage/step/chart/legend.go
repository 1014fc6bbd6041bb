// The legend, below the plot in one column or two.

package chart

import (
	"fmt"

	charts "github.com/go-analyze/charts"
)

type legendEntry struct {
	text   string
	color  charts.Color
	dashed bool
	plain  bool // text without a line
}

// legendEntries names each series, what dashed lines are, and how many series
// are not drawn.
func (c *Chart) legendEntries(theme *colors) []legendEntry {
	var entries []legendEntry
	baseline := false
	for i, s := range c.shown() {
		baseline = baseline || len(s.Baseline) > 0
		name := s.Name
		if name == "" {
			name = "value"
		}
		if s.Right {
			name += " (right)"
		}
		entries = append(entries, legendEntry{text: name, color: theme.color(s.Color, theme.palette[i]), dashed: s.Dashed})
	}
	if baseline {
		entries = append(entries, legendEntry{text: c.BaselineName, color: theme.palette[0].WithAlpha(170), dashed: true})
	}
	if rest := c.Omitted + len(c.Series) - len(c.shown()); rest > 0 {
		entries = append(entries, legendEntry{text: fmt.Sprintf("and %d more, not drawn", rest), plain: true})
	}
	return entries
}

func (d *plot) drawLegend() {
	if len(d.legend) == 0 {
		return
	}
	const line, gap = 34, 8
	column := (plotRight - margin - 8) / d.legendColumns
	for i, e := range d.legend {
		x := margin + 8 + i%d.legendColumns*column
		y := d.floor + axisHeight + i/d.legendColumns*legendRow + 20
		stroke := []charts.Point{{X: x, Y: y - 6}, {X: x + line, Y: y - 6}}
		switch {
		case e.plain:
		case e.dashed:
			d.p.DashedLineStroke(stroke, e.color, 2.5, []float64{8, 6})
		default:
			d.p.LineStroke(stroke, e.color, 4)
		}
		style := sized(d.regular, textSize, d.ink)
		d.p.Text(d.fit(e.text, column-line-gap-12, style), x+line+gap, y, 0, style)
	}
}
