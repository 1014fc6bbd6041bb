// Package chart draws what a finding shows as a PNG: time series, single
// values, gauges, tables and heatmaps, in large type, because Slack shows it at
// less than half its size, with times in UTC, and value axes that include zero,
// so that a small change does not look big.
//
// It draws with the painter of go-analyze/charts and not with its charts: its
// line chart has no time axis, no dashed series and no vertical mark.
package chart

import (
	"math"
	"time"

	"triagebot/triage/step/unit"
)

// MaxSeries is how many series are drawn.
const MaxSeries = 10

// Measure writes values and divides axes; unit.Unit does.
type Measure interface {
	Format(v float64) string
	// Step is the least round step that is at least raw, which is positive.
	Step(raw float64) float64
}

// Chart is a chart of time series.
type Chart struct {
	Frame
	Unit         Measure       // of the left axis; nil is unit.None
	Right        Measure       // of the right axis, for the series that have Right
	Min, Max     *float64      // bounds of the left axis; nil for those of the values
	Step         time.Duration // between points; a longer distance is a gap
	Series       []Series      // the most important first; MaxSeries at most
	Omitted      int           // series that there are besides, for the legend
	BaselineName string        // what a dashed line is: "1d before"
	Threshold    *float64      // a horizontal line, where one is known
	Thresholds   []Threshold   // more of them, ascending
	Marker       time.Time     // the alert's moment, a vertical line from which on the time is shaded; zero for none
}

// Series is one line.
type Series struct {
	Name     string
	Points   []Point // by time; NaN and infinite values are gaps
	Baseline []Point // the same series some time ago, moved to now; drawn dashed; may be empty
	Right    bool    // it belongs to the right axis
	Dashed   bool    // a reference and no measurement
	Color    string  // of Grafana's; "" for the next of the palette
}

// Threshold is where a colour begins.
type Threshold struct {
	Value float64
	Color string // of Grafana's
	Line  bool   // drawn as a line
	Area  bool   // all above it is tinted, up to the next
}

// Point is one value at one time.
type Point struct {
	T time.Time
	V float64
}

// limit keeps differences of values finite.
const limit = math.MaxFloat64 / 4

// drawable says whether v can be shown, and returns it within limit.
func drawable(v float64) (float64, bool) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, false
	}
	return max(-limit, min(limit, v)), true
}

// shown is the series that are drawn.
func (c *Chart) shown() []Series { return c.Series[:min(len(c.Series), MaxSeries)] }

// measure is that of one axis.
func (c *Chart) measure(right bool) Measure {
	m := c.Unit
	if right {
		m = c.Right
	}
	if m == nil {
		return unit.None
	}
	return m
}

// valueRange is the range of the left axis, which includes zero, and the
// distance of its ticks.
func (c *Chart) valueRange() (low, high, step float64) { return c.axisRange(false) }

func (c *Chart) axisRange(right bool) (low, high, step float64) {
	take := func(v float64) {
		if v, ok := drawable(v); ok {
			low, high = min(low, v), max(high, v)
		}
	}
	for _, s := range c.shown() {
		if s.Right != right {
			continue
		}
		for _, points := range [...][]Point{s.Points, s.Baseline} {
			for _, p := range points {
				if !p.T.Before(c.From) && !p.T.After(c.To) {
					take(p.V)
				}
			}
		}
	}
	measure := c.measure(right)
	if !right {
		if c.Threshold != nil {
			take(*c.Threshold)
		}
		for i, t := range c.Thresholds {
			// The first is always to be seen; one far above what there is would
			// flatten it.
			if i == 0 || t.Value < 2*high {
				take(t.Value)
			}
		}
		if c.Min != nil {
			low = min(low, 0)
			if v, ok := drawable(*c.Min); ok {
				low = v
			}
		}
		if c.Max != nil {
			if v, ok := drawable(*c.Max); ok && v > low {
				return low, v, measure.Step((v - low) / valueTicks)
			}
		}
	}
	given := false
	if low >= high { // all zero, or nothing at all
		high, given = low+1, true
	}
	step = measure.Step(max((high-low)/valueTicks, math.SmallestNonzeroFloat64*1e10))
	bottom := low
	if right || c.Min == nil {
		bottom = math.Floor(low/step) * step
	}
	top := bottom + math.Ceil((high-bottom)/step)*step
	if !given && top-high < step/20 { // a line along the edge is hard to see
		top += step / 4
	}
	return bottom, top, step
}

// valueTicks is about how many ticks the value axis has.
const valueTicks = 4

var timeSteps = [...]time.Duration{
	10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute,
	30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 48 * time.Hour, 7 * 24 * time.Hour,
}

// maxTimeTicks is how many time labels fit beside each other.
const maxTimeTicks = 7

// timeTicks are the round instants of the time axis and how to write them.
func (f *Frame) timeTicks() (ticks []time.Time, layout string) {
	span := f.To.Sub(f.From)
	step := span/(maxTimeTicks-1) + 1 // longer than all the round ones
	for _, s := range timeSteps {
		if span/s < maxTimeTicks {
			step = s
			break
		}
	}
	switch {
	case step < time.Minute:
		layout = "15:04:05"
	case step >= 24*time.Hour:
		layout = "2 Jan"
	case span > 24*time.Hour:
		layout = "2 Jan 15h"
	default:
		layout = "15:04"
	}
	for t := f.From.UTC().Truncate(step); !t.After(f.To); t = t.Add(step) {
		if !t.Before(f.From) {
			ticks = append(ticks, t)
		}
	}
	return ticks, layout
}
