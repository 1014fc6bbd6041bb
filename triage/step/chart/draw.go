// The drawing: layout in pixels, from title to legend.

package chart

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	charts "github.com/go-analyze/charts"

	"triagebot/triage"
)

// Size of the picture in pixels. Each legend row beyond the first adds to its
// height. Slack shows it about 360 pixels wide.
const (
	Width      = 800
	baseHeight = 400
	legendRow  = 26
)

const (
	margin     = 14
	plotTop    = 74
	plotRight  = Width - 24
	axisHeight = 34 // for the time labels
)

// Sizes of type in points; at Slack's size 15 points are about 9 pixels.
const (
	titleSize = 19
	textSize  = 14.5
)

var (
	ink       = charts.ColorRGB(29, 28, 29)
	faint     = charts.ColorRGB(97, 96, 97)
	gridColor = charts.ColorRGB(225, 225, 228)
	red       = charts.ColorRGB(208, 28, 43)
	green     = charts.ColorRGB(24, 128, 84)
	// palette can be told apart by colour-blind people (Okabe and Ito, then
	// Tol), darkest first.
	palette = [MaxSeries]charts.Color{
		charts.ColorRGB(0, 114, 178), charts.ColorRGB(213, 94, 0), charts.ColorRGB(0, 158, 115), charts.ColorRGB(204, 121, 167),
		charts.ColorRGB(86, 180, 233), charts.ColorRGB(230, 159, 0), charts.ColorRGB(68, 68, 68), charts.ColorRGB(136, 34, 85),
		charts.ColorRGB(153, 153, 51), charts.ColorRGB(51, 34, 136),
	}
)

// canvas is one picture being drawn.
type canvas struct {
	*Chart
	p                     *charts.Painter
	left, bottom          int // of the plot
	low, high, step       float64
	regular, bold         charts.FontStyle
	legend                []legendEntry
	legendColumns, height int
}

// PNG draws the chart.
func (c Chart) PNG() ([]byte, error) {
	if !c.From.Before(c.To) {
		return nil, fmt.Errorf("chart %q: its time axis ends at %s, before it begins", c.Title, c.To.UTC().Format(time.RFC3339))
	}
	d := &canvas{Chart: &c}
	d.regular = charts.FontStyle{FontSize: textSize, FontColor: faint, Font: charts.GetFont(charts.FontFamilyNotoSans)}
	d.bold = charts.FontStyle{FontSize: titleSize, FontColor: ink, Font: charts.GetFont(charts.FontFamilyNotoSansBold)}
	d.legend = d.legendEntries()
	d.legendColumns = min(2, len(d.legend))
	rows := 0
	if d.legendColumns > 0 {
		rows = (len(d.legend) + d.legendColumns - 1) / d.legendColumns
	}
	d.height = baseHeight + max(0, rows-1)*legendRow
	d.bottom = d.height - margin/2 - axisHeight - rows*legendRow
	d.p = charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputPNG, Width: Width, Height: d.height, Font: d.regular.Font})
	d.p.FilledRect(0, 0, Width, d.height, charts.ColorWhite, charts.ColorWhite, 0)
	d.low, d.high, d.step = c.valueRange()

	d.header()
	d.valueAxis()
	d.timeAxis()
	d.threshold()
	empty := true
	shown := c.shown()
	for i := len(shown) - 1; i >= 0; i-- { // the most important on top
		d.dashed(d.segments(shown[i].Baseline), palette[i].WithAlpha(170))
		segments := d.segments(shown[i].Points)
		d.solid(segments, palette[i], i == 0)
		empty = empty && len(segments) == 0
	}
	d.marker()
	if empty {
		d.centred("no data", Width/2, (plotTop+d.bottom)/2, d.regular)
	}
	d.drawLegend()
	return d.p.Bytes()
}

// header is the title, with a bar in the verdict's colour, and the dates.
func (d *canvas) header() {
	var color charts.Color
	switch d.Verdict {
	case triage.VerdictAbnormal:
		color = red
	case triage.VerdictNormal:
		color = green
	default:
		color = faint
	}
	d.p.FilledRect(0, 0, 8, d.height, color, color, 0)
	dates := d.dates()
	width := d.width(dates, d.regular)
	d.p.Text(d.fit(d.Title, plotRight-margin-8-width-20, d.bold), margin+8, 34, 0, d.bold)
	d.p.Text(dates, plotRight-width, 34, 0, d.regular)
}

func (d *canvas) valueAxis() {
	var labels []string
	widest := 0
	ticks := int(math.Round((d.high - d.low) / d.step))
	for i := range ticks + 1 {
		label := d.Unit.Format(d.low + float64(i)*d.step)
		labels = append(labels, label)
		widest = max(widest, d.width(label, d.regular))
	}
	d.left = margin + 8 + widest + 8
	for i, label := range labels {
		y := d.y(d.low + float64(i)*d.step)
		d.p.LineStroke([]charts.Point{{X: d.left, Y: y}, {X: plotRight, Y: y}}, gridColor, 1)
		d.p.Text(label, d.left-8-d.width(label, d.regular), y+6, 0, d.regular)
	}
}

func (d *canvas) timeAxis() {
	ticks, layout := d.timeTicks()
	d.p.LineStroke([]charts.Point{{X: d.left, Y: d.bottom}, {X: plotRight, Y: d.bottom}}, faint, 1)
	for _, t := range ticks {
		x := d.x(t)
		d.p.LineStroke([]charts.Point{{X: x, Y: d.bottom}, {X: x, Y: d.bottom + 5}}, faint, 1)
		d.centred(t.Format(layout), x, d.bottom+24, d.regular)
	}
}

func (d *canvas) threshold() {
	if d.Threshold == nil {
		return
	}
	v, ok := drawable(*d.Threshold)
	if !ok {
		return
	}
	y := d.y(v)
	d.p.DashedLineStroke([]charts.Point{{X: d.left, Y: y}, {X: plotRight, Y: y}}, red, 2, []float64{3, 5})
	style := d.regular
	style.FontColor = red
	if y -= 6; y < plotTop+14 {
		y += 24
	}
	d.p.Text("threshold "+d.Unit.Format(v), d.left+6, y, 0, style)
}

func (d *canvas) marker() {
	if d.Marker.IsZero() || d.Marker.Before(d.From) || d.Marker.After(d.To) {
		return
	}
	x := d.x(d.Marker)
	d.p.DashedLineStroke([]charts.Point{{X: x, Y: plotTop - 8}, {X: x, Y: d.bottom}}, ink, 1.5, []float64{6, 4})
	style := d.regular
	style.FontColor = ink
	d.centred("alert "+d.Marker.UTC().Format("15:04:05"), x, plotTop-14, style)
}

// x and y are where on the picture an instant and a value are.
func (d *canvas) x(t time.Time) int {
	share := float64(t.Sub(d.From)) / float64(d.To.Sub(d.From))
	return d.left + int(math.Round(share*float64(plotRight-d.left)))
}

func (d *canvas) y(v float64) int {
	share := (v - d.low) / (d.high - d.low)
	return d.bottom - int(math.Round(share*float64(d.bottom-plotTop)))
}

// segments are the unbroken pieces of a line.
func (d *canvas) segments(points []Point) [][]charts.Point {
	var all [][]charts.Point
	var current []charts.Point
	var last time.Time
	end := func() {
		if len(current) > 0 {
			all = append(all, current)
			current = nil
		}
	}
	for _, p := range points {
		v, ok := drawable(p.V)
		if !ok || p.T.Before(d.From) || p.T.After(d.To) {
			end()
			continue
		}
		if d.Step > 0 && p.T.Sub(last) > d.Step*3/2 {
			end()
		}
		last = p.T
		current = append(current, charts.Point{X: d.x(p.T), Y: d.y(v)})
	}
	end()
	return all
}

func (d *canvas) solid(segments [][]charts.Point, color charts.Color, main bool) {
	width := 2.5
	if main {
		width = 3.5
	}
	for _, s := range segments {
		if len(s) == 1 {
			d.p.Dots(s, color, color, 1, 4)
			continue
		}
		d.p.LineStroke(s, color, width)
	}
}

func (d *canvas) dashed(segments [][]charts.Point, color charts.Color) {
	for _, s := range segments {
		if len(s) == 1 {
			d.p.Dots(s, charts.ColorWhite, color, 2, 4)
			continue
		}
		d.p.DashedLineStroke(s, color, 2.5, []float64{8, 6})
	}
}

func (d *canvas) width(text string, style charts.FontStyle) int {
	return d.p.MeasureText(text, 0, style).Width()
}

// centred writes text around x, within the picture's edges.
func (d *canvas) centred(text string, x, y int, style charts.FontStyle) {
	width := d.width(text, style)
	x = max(margin, min(x-width/2, Width-4-width))
	d.p.Text(text, x, y, 0, style)
}

// fit cuts text to a width and makes it drawable: a control or formatting
// character has no glyph.
func (d *canvas) fit(text string, width int, style charts.FontStyle) string {
	text = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, strings.ToValidUTF8(text[:min(len(text), 4*maxRunes)], "·"))
	runes := []rune(text)
	runes = runes[:min(len(runes), maxRunes)]
	if d.width(string(runes), style) <= width {
		return string(runes)
	}
	low, high := 0, len(runes) // low fits
	for low+1 < high {
		mid := (low + high) / 2
		if d.width(string(runes[:mid])+"…", style) <= width {
			low = mid
		} else {
			high = mid
		}
	}
	return string(runes[:low]) + "…"
}

// maxRunes is more text than any width holds.
const maxRunes = 200
