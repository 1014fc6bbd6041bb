// Pictures of single values: stat tiles, gauges and bars.

package chart

import (
	"fmt"
	"math"

	charts "github.com/go-analyze/charts"
)

// MaxValues is how many values are drawn; gauges show maxGauges.
const (
	MaxValues = 12
	maxGauges = 4
)

// Style is how single values are drawn.
type Style string

// The styles.
const (
	StyleStat  Style = "stat"  // a tile with a large number and its course
	StyleGauge Style = "gauge" // an arc
	StyleBars  Style = "bars"  // a bar each
)

// Values is a picture of single values.
type Values struct {
	Frame
	Style   Style
	Values  []Value // the most important first
	Omitted int     // values that there are besides
}

// Value is one of them.
type Value struct {
	Name      string
	Text      string // with its unit
	V         float64
	Color     string      // of Grafana's, by its threshold; "" for plain ink
	Min, Max  float64     // of its gauge or bar
	BaseColor string      // of a gauge below the first threshold
	Steps     []Threshold // of a gauge
	Points    []Point     // its course, for a stat; may be empty
}

// PNG draws the values.
func (v Values) PNG() ([]byte, error) {
	if err := v.check(); err != nil {
		return nil, err
	}
	most := MaxValues
	if v.Style == StyleGauge {
		most = maxGauges
	}
	shown := v.Values[:min(len(v.Values), most)]
	if rest := v.Omitted + len(v.Values) - len(shown); rest > 0 {
		v.Notes = append(v.Notes[:min(len(v.Notes), maxNotes-1):maxNotes-1], fmt.Sprintf("and %d more, not drawn", rest))
	}
	columns, height := v.layout(len(shown))
	rows := max(1, (len(shown)+columns-1)/columns)
	const top = 56
	d := newCanvas(v.Frame, top+rows*height+margin)
	d.header(d.instant())
	if len(shown) == 0 {
		d.centred("no data", Width/2, top+height/2, d.regular)
	}
	width := (plotRight - margin - 8) / columns
	for i := range shown {
		box := box{x: margin + 8 + i%columns*width, y: top + i/columns*height, width: width - 12, height: height - 12}
		switch v.Style {
		case StyleGauge:
			d.gauge(&shown[i], box)
		case StyleBars:
			d.bar(&shown[i], box)
		default:
			d.tile(&shown[i], box)
		}
	}
	return d.png()
}

// layout is how many values stand beside each other, and how high each is.
func (v *Values) layout(n int) (columns, height int) {
	switch {
	case v.Style == StyleBars:
		return 1, 58
	case v.Style == StyleGauge && n > 1:
		return 2, 250
	case v.Style == StyleGauge:
		return 1, 300
	case n <= 1:
		return 1, 230
	case n <= 4:
		return 2, 160
	default:
		return 3, 150
	}
}

type box struct{ x, y, width, height int }

// tile is a name, a large number, and its course below.
func (d *canvas) tile(v *Value, b box) {
	d.p.FilledRect(b.x, b.y, b.x+b.width, b.y+b.height, d.grid.WithAlpha(90), d.grid, 0)
	color := d.color(v.Color, d.ink)
	d.p.FilledRect(b.x, b.y, b.x+6, b.y+b.height, color, color, 0)
	d.p.Text(d.fit(v.Name, b.width-32, sized(d.regular, textSize+1, d.ink)), b.x+18, b.y+26, 0, sized(d.regular, textSize+1, d.ink))
	d.spark(v.Points, box{b.x + 18, b.y + b.height - 42, b.width - 32, 34}, color)
	size := 40.0
	if b.width > 500 {
		size = 60
	}
	style := sized(d.bold, size, color)
	for d.width(v.Text, style) > b.width-32 && style.FontSize > textSize {
		style.FontSize -= 2
	}
	d.p.Text(d.fit(v.Text, b.width-32, style), b.x+18, b.y+36+int(style.FontSize*1.25), 0, style)
}

// spark is the course of a value, without axes; from zero or its least value.
func (d *canvas) spark(points []Point, b box, color charts.Color) {
	low, high := 0.0, 0.0
	for _, p := range points {
		if v, ok := drawable(p.V); ok {
			low, high = min(low, v), max(high, v)
		}
	}
	if low == high {
		high = low + 1
	}
	var line []charts.Point
	flush := func() {
		if len(line) > 1 {
			area := append([]charts.Point{{X: line[0].X, Y: b.y + b.height}}, line...)
			area = append(area, charts.Point{X: line[len(line)-1].X, Y: b.y + b.height})
			d.p.FillArea(area, color.WithAlpha(40))
			d.p.LineStroke(line, color, 2)
		}
		line = nil
	}
	for _, p := range points {
		v, ok := drawable(p.V)
		if !ok || p.T.Before(d.From) || p.T.After(d.To) {
			flush()
			continue
		}
		y := b.y + b.height - int(math.Round((v-low)/(high-low)*float64(b.height)))
		line = append(line, charts.Point{X: d.timeX(p.T, b.x, b.x+b.width), Y: y})
	}
	flush()
}

// gauge is an arc of 240 degrees: the value inside, its thresholds around it.
func (d *canvas) gauge(v *Value, b box) {
	radius := min(b.width/2, (b.height-34)*2/3)
	cx, cy := b.x+b.width/2, b.y+radius+4
	share := func(at float64) float64 {
		if at, ok := drawable(at); ok && v.Max > v.Min {
			return max(0, min(1, (at-v.Min)/(v.Max-v.Min)))
		}
		return 0
	}
	color := d.color(v.Color, d.palette[0])
	from, base := 0.0, v.BaseColor
	for _, t := range v.Steps {
		d.arc(cx, cy, radius, radius-8, from, share(t.Value), d.color(base, d.faint))
		from, base = share(t.Value), t.Color
	}
	d.arc(cx, cy, radius, radius-8, from, 1, d.color(base, d.faint))
	d.arc(cx, cy, radius-12, radius-44, 0, 1, d.grid)
	d.arc(cx, cy, radius-12, radius-44, 0, share(v.V), color)
	style := sized(d.bold, 34, color)
	for d.width(v.Text, style) > 2*(radius-52) && style.FontSize > textSize {
		style.FontSize -= 2
	}
	d.centred(v.Text, cx, cy+14, style)
	name := sized(d.regular, textSize+1, d.ink)
	d.centred(d.fit(v.Name, b.width, name), cx, b.y+b.height-6, name)
}

// arc fills a piece of a ring, from and to being shares of its 240 degrees.
func (d *canvas) arc(cx, cy, outer, inner int, from, to float64, color charts.Color) {
	if to <= from {
		return
	}
	const pieces = 90
	at := func(share float64, radius int) charts.Point {
		angle := (150 + 240*share) * math.Pi / 180
		return charts.Point{X: cx + int(math.Round(float64(radius)*math.Cos(angle))), Y: cy + int(math.Round(float64(radius)*math.Sin(angle)))}
	}
	n := max(2, int(math.Ceil(pieces*(to-from))))
	var ring []charts.Point
	for i := range n + 1 {
		ring = append(ring, at(from+(to-from)*float64(i)/float64(n), outer))
	}
	for i := n; i >= 0; i-- {
		ring = append(ring, at(from+(to-from)*float64(i)/float64(n), inner))
	}
	d.p.FillArea(append(ring, ring[0]), color)
}

// bar is a name above a bar, and the value at its right.
func (d *canvas) bar(v *Value, b box) {
	style := sized(d.bold, 17, d.color(v.Color, d.ink))
	name := sized(d.regular, textSize, d.ink)
	width := d.width(v.Text, style)
	d.p.Text(d.fit(v.Name, b.width-width-20, name), b.x, b.y+18, 0, name)
	d.p.Text(v.Text, b.x+b.width-width, b.y+18, 0, style)
	d.p.FilledRect(b.x, b.y+26, b.x+b.width, b.y+b.height-2, d.grid, d.grid, 0)
	if at, ok := drawable(v.V); ok && v.Max > v.Min {
		share := max(0, min(1, (at-v.Min)/(v.Max-v.Min)))
		color := d.color(v.Color, d.palette[0])
		if end := b.x + int(share*float64(b.width)); end > b.x {
			d.p.FilledRect(b.x, b.y+26, end, b.y+b.height-2, color, color, 0)
		}
	}
}
