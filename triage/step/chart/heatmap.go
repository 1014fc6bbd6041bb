// A heatmap of a histogram: how many observations fell into each bucket over
// time.

package chart

import (
	"math"
	"time"

	charts "github.com/go-analyze/charts"

	"triagebot/triage/step/unit"
)

// maxBuckets is how many rows a heatmap may have.
const maxBuckets = 100

// Heatmap is a picture of a histogram over time.
type Heatmap struct {
	Frame
	Unit    Measure // of the buckets' bounds; nil is unit.None
	Step    time.Duration
	Marker  time.Time // the alert's moment; zero for none
	Buckets []Bucket  // ascending
}

// Bucket is one row: what was more than the bound of the bucket before, and at
// most its own.
type Bucket struct {
	Upper  float64 // may be infinite
	Points []Point // observations, by time
}

// PNG draws the heatmap.
func (h Heatmap) PNG() ([]byte, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	if h.Unit == nil {
		h.Unit = unit.None
	}
	buckets, most := h.used()
	d := newCanvas(h.Frame, baseHeight)
	d.header(d.dates())
	floor := d.bottom - margin/2 - axisHeight - legendRow
	left := margin + 8
	for _, b := range buckets {
		left = max(left, margin+8+d.width(h.Unit.Format(b.Upper), d.regular)+8)
	}
	if len(buckets) == 0 {
		d.centred("no data", Width/2, (plotTop+floor)/2, d.regular)
	}
	every := len(buckets)/7 + 1 // labels that fit
	for i, b := range buckets {
		y1 := floor - (i+1)*(floor-plotTop)/len(buckets)
		y2 := floor - i*(floor-plotTop)/len(buckets)
		d.cells(&h, b, most, box{left, y1, plotRight - left, y2 - y1})
		if (len(buckets)-1-i)%every == 0 {
			label := h.Unit.Format(b.Upper)
			d.p.Text(label, left-8-d.width(label, d.regular), y1+6, 0, d.regular)
			d.p.LineStroke([]charts.Point{{X: left - 5, Y: y1}, {X: left, Y: y1}}, d.faint, 1)
		}
	}
	d.timeAxis(left, plotRight, floor)
	d.mark(h.Marker, left, floor)
	d.scale(most, left, floor+axisHeight+8)
	return d.png()
}

// used are the buckets from the first to the last in which anything fell, with
// the next one at either side, and the most that fell into one at a time.
func (h *Heatmap) used() (buckets []Bucket, most float64) {
	first, last := -1, -1
	for i, b := range h.Buckets[:min(len(h.Buckets), maxBuckets)] {
		for _, p := range b.Points {
			if v, ok := drawable(p.V); ok && v > 0 && !p.T.Before(h.From) && !p.T.After(h.To) {
				most = max(most, v)
				if last = i; first < 0 {
					first = i
				}
			}
		}
	}
	if first < 0 {
		return nil, 0
	}
	return h.Buckets[max(0, first-1):min(len(h.Buckets), last+2)], most
}

// cells draws a bucket's row. Neighbours of one colour are one rectangle.
func (d *canvas) cells(h *Heatmap, b Bucket, most float64, at box) {
	right := at.x + at.width
	begin, end := 0, 0
	var color charts.Color
	flush := func() {
		if end > begin {
			d.p.FilledRect(begin, at.y+1, end, at.y+at.height, color, color, 0)
		}
	}
	for _, p := range b.Points {
		v, ok := drawable(p.V)
		if !ok || v <= 0 || p.T.Before(h.From) || p.T.After(h.To) {
			continue
		}
		x1, x2 := max(at.x, d.timeX(p.T.Add(-h.Step), at.x, right)), d.timeX(p.T, at.x, right)
		const shades = 24
		next := d.ramp(math.Round(math.Sqrt(v/most)*shades) / shades) // the root shows what is rare
		if x1 == end && next == color {
			end = x2
			continue
		}
		flush()
		begin, end, color = x1, x2, next
	}
	flush()
}

// mark is the alert's moment. The cells' colours mean something, so that the
// time after it is not shaded but bordered.
func (d *canvas) mark(marker time.Time, left, floor int) {
	if marker.IsZero() || marker.After(d.To) {
		return
	}
	x := left
	if !marker.Before(d.From) {
		x = d.timeX(marker, left, plotRight)
		d.p.DashedLineStroke([]charts.Point{{X: x, Y: plotTop - 8}, {X: x, Y: floor}}, d.ink, 1.5, []float64{6, 4})
		d.centred("alert "+marker.UTC().Format("15:04:05"), x, plotTop-14, sized(d.regular, textSize, d.ink))
	}
	red := d.named["red"]
	d.p.FilledRect(x, plotTop-8, plotRight, plotTop-3, red, red, 0)
}

// scale is the legend: from few to most.
func (d *canvas) scale(most float64, x, y int) {
	if most == 0 {
		return
	}
	const cells, width = 12, 18
	text := "few"
	style := sized(d.regular, textSize, d.ink)
	d.p.Text(text, x, y+13, 0, style)
	x += d.width(text, style) + 10
	for i := range cells {
		color := d.ramp(float64(i) / (cells - 1))
		d.p.FilledRect(x+i*width, y, x+(i+1)*width, y+16, color, color, 0)
	}
	d.p.Text("up to "+unit.None.Format(most)+" at a time, by bucket (its upper bound)", x+cells*width+10, y+13, 0, style)
}
