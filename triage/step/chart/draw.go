// The drawing of time series: layout in pixels, from title to legend.

package chart

import (
	"math"
	"time"

	charts "github.com/go-analyze/charts"
)

// axis is one value axis.
type axis struct {
	measure         Measure
	low, high, step float64
}

// plot is a chart of time series being drawn.
type plot struct {
	*canvas
	*Chart
	left, right, floor int // of the plot, in pixels
	leftAxis           axis
	rightAxis          *axis // nil without one
	legend             []legendEntry
	legendColumns      int
}

// PNG draws the chart.
func (c Chart) PNG() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	d := &plot{Chart: &c, right: plotRight}
	d.legend = d.legendEntries(c.Theme.colors())
	d.legendColumns = min(2, len(d.legend))
	rows := 0
	if d.legendColumns > 0 {
		rows = (len(d.legend) + d.legendColumns - 1) / d.legendColumns
	}
	d.canvas = newCanvas(c.Frame, baseHeight+max(0, rows-1)*legendRow)
	d.floor = d.bottom - margin/2 - axisHeight - rows*legendRow
	d.leftAxis = axis{measure: c.measure(false)}
	d.leftAxis.low, d.leftAxis.high, d.leftAxis.step = c.axisRange(false)
	for _, s := range c.shown() {
		if s.Right && d.rightAxis == nil {
			d.rightAxis = &axis{measure: c.measure(true)}
			d.rightAxis.low, d.rightAxis.high, d.rightAxis.step = c.axisRange(true)
		}
	}
	d.header(d.canvas.dates())
	d.valueAxes()
	d.areas()
	d.grid()
	d.timeAxis(d.left, d.right, d.floor)
	d.thresholdLines()
	empty := true
	shown := c.shown()
	for i := len(shown) - 1; i >= 0; i-- { // the most important on top
		s := &shown[i]
		color := d.color(s.Color, d.palette[i])
		d.dashed(d.segments(s.Baseline, s.Right), color.WithAlpha(170))
		segments := d.segments(s.Points, s.Right)
		if s.Dashed {
			d.dashed(segments, color)
		} else {
			d.solid(segments, color, i == 0)
		}
		empty = empty && len(segments) == 0
	}
	d.marker()
	if empty {
		d.centred("no data", Width/2, (plotTop+d.floor)/2, d.regular)
	}
	d.drawLegend()
	return d.png()
}

// valueAxes writes the labels of both value axes and finds the plot's edges.
func (d *plot) valueAxes() {
	labels, widest := d.labels(&d.leftAxis)
	d.left = margin + 8 + widest + 8
	for i, label := range labels {
		y := d.y(d.leftAxis.low+float64(i)*d.leftAxis.step, false)
		d.p.Text(label, d.left-8-d.width(label, d.regular), y+6, 0, d.regular)
	}
	if d.rightAxis == nil {
		return
	}
	labels, widest = d.labels(d.rightAxis)
	d.right = plotRight - widest - 2
	for i, label := range labels {
		y := d.y(d.rightAxis.low+float64(i)*d.rightAxis.step, true)
		d.p.Text(label, d.right+8, y+6, 0, d.regular)
	}
}

func (d *plot) labels(a *axis) (labels []string, widest int) {
	for i := range int((a.high-a.low)/a.step+1e-9) + 1 {
		label := a.measure.Format(a.low + float64(i)*a.step)
		labels = append(labels, label)
		widest = max(widest, d.width(label, d.regular))
	}
	return labels, widest
}

func (d *plot) grid() {
	for i := range int((d.leftAxis.high-d.leftAxis.low)/d.leftAxis.step+1e-9) + 1 {
		y := d.y(d.leftAxis.low+float64(i)*d.leftAxis.step, false)
		d.p.LineStroke([]charts.Point{{X: d.left, Y: y}, {X: d.right, Y: y}}, d.canvas.grid, 1)
	}
}

// areas are the time since the alert and the bands of thresholds.
func (d *plot) areas() {
	for i, t := range d.Thresholds {
		v, ok := drawable(t.Value)
		if !ok || !t.Area {
			continue
		}
		top := d.leftAxis.high
		if i+1 < len(d.Thresholds) {
			top = d.Thresholds[i+1].Value
		}
		color := d.color(t.Color, d.named["red"]).WithAlpha(26)
		if y1, y2 := d.y(top, false), d.y(v, false); y1 < y2 {
			d.p.FilledRect(d.left, y1, d.right, y2, color, color, 0)
		}
	}
	if d.Marker.IsZero() || d.Marker.After(d.canvas.To) {
		return
	}
	x := d.left
	if d.Marker.After(d.canvas.From) {
		x = d.x(d.Marker)
	}
	d.p.FilledRect(x, plotTop-8, d.right, d.floor, d.shade, d.shade, 0)
}

func (d *canvas) timeAxis(left, right, floor int) {
	ticks, layout := d.timeTicks()
	d.p.LineStroke([]charts.Point{{X: left, Y: floor}, {X: right, Y: floor}}, d.faint, 1)
	for _, t := range ticks {
		x := d.timeX(t, left, right)
		d.p.LineStroke([]charts.Point{{X: x, Y: floor}, {X: x, Y: floor + 5}}, d.faint, 1)
		d.centred(t.Format(layout), x, floor+24, d.regular)
	}
}

func (d *plot) thresholdLines() {
	lines := d.Thresholds
	if d.Threshold != nil {
		lines = append([]Threshold{{Value: *d.Threshold, Color: "red", Line: true}}, lines...)
	}
	for _, t := range lines {
		v, ok := drawable(t.Value)
		if !ok || !t.Line || v < d.leftAxis.low || v > d.leftAxis.high {
			continue
		}
		color := d.color(t.Color, d.named["red"])
		y := d.y(v, false)
		d.p.DashedLineStroke([]charts.Point{{X: d.left, Y: y}, {X: d.right, Y: y}}, color, 2, []float64{3, 5})
		if y -= 6; y < plotTop+14 {
			y += 24
		}
		d.p.Text("threshold "+d.leftAxis.measure.Format(v), d.left+6, y, 0, sized(d.regular, textSize, color))
	}
}

func (d *plot) marker() {
	if d.Marker.IsZero() || d.Marker.Before(d.canvas.From) || d.Marker.After(d.canvas.To) {
		return
	}
	x := d.x(d.Marker)
	d.p.DashedLineStroke([]charts.Point{{X: x, Y: plotTop - 8}, {X: x, Y: d.floor}}, d.ink, 1.5, []float64{6, 4})
	d.centred("alert "+d.Marker.UTC().Format("15:04:05"), x, plotTop-14, sized(d.regular, textSize, d.ink))
}

// x and y are where on the picture an instant and a value are.
func (d *plot) x(t time.Time) int { return d.timeX(t, d.left, d.right) }

func (d *canvas) timeX(t time.Time, left, right int) int {
	share := float64(t.Sub(d.From)) / float64(d.To.Sub(d.From))
	return left + int(math.Round(share*float64(right-left)))
}

// y keeps a value beyond the axis at its edge.
func (d *plot) y(v float64, right bool) int {
	a := &d.leftAxis
	if right {
		a = d.rightAxis
	}
	share := max(0, min(1, (v-a.low)/(a.high-a.low)))
	return d.floor - int(math.Round(share*float64(d.floor-plotTop)))
}

// segments are the unbroken pieces of a line.
func (d *plot) segments(points []Point, right bool) [][]charts.Point {
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
		if !ok || p.T.Before(d.canvas.From) || p.T.After(d.canvas.To) {
			end()
			continue
		}
		if d.Step > 0 && p.T.Sub(last) > d.Step*3/2 {
			end()
		}
		last = p.T
		current = append(current, charts.Point{X: d.x(p.T), Y: d.y(v, right)})
	}
	end()
	return all
}

func (d *plot) solid(segments [][]charts.Point, color charts.Color, main bool) {
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

func (d *plot) dashed(segments [][]charts.Point, color charts.Color) {
	for _, s := range segments {
		if len(s) == 1 {
			d.p.Dots(s, d.paper, color, 2, 4)
			continue
		}
		d.p.DashedLineStroke(s, color, 2.5, []float64{8, 6})
	}
}
