// Package chart draws time series as the PNG that a finding shows: large type,
// because Slack shows it at less than half its size, a time axis in UTC, and a
// value axis that includes zero, so that a small change does not look big.
//
// It draws with the painter of go-analyze/charts and not with its line chart,
// which has no time axis, no dashed series and no vertical mark.
package chart

import (
	"fmt"
	"math"
	"time"

	"triagebot/triage"
	"triagebot/triage/step/unit"
)

// MaxSeries is how many series are drawn.
const MaxSeries = 10

// Chart is what to draw.
type Chart struct {
	Title        string
	Unit         unit.Unit
	From, To     time.Time     // of the time axis; From is before To
	Step         time.Duration // between points; a longer distance is a gap
	Series       []Series      // the most important first; MaxSeries at most
	Omitted      int           // series that there are besides, for the legend
	BaselineName string        // what a dashed line is: "1d before"
	Threshold    *float64      // a horizontal line, where one is known
	Marker       time.Time     // a vertical line at the alert's moment; zero for none
	Verdict      triage.Verdict
}

// Series is one line.
type Series struct {
	Name     string
	Points   []Point // by time; NaN and infinite values are gaps
	Baseline []Point // the same series some time ago, moved to now; drawn dashed; may be empty
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

// valueRange is the range of the value axis, which includes zero, and the
// distance of its ticks.
func (c *Chart) valueRange() (low, high, step float64) {
	take := func(v float64) {
		if v, ok := drawable(v); ok {
			low, high = min(low, v), max(high, v)
		}
	}
	for _, s := range c.shown() {
		for _, points := range [...][]Point{s.Points, s.Baseline} {
			for _, p := range points {
				if !p.T.Before(c.From) && !p.T.After(c.To) {
					take(p.V)
				}
			}
		}
	}
	if c.Threshold != nil {
		take(*c.Threshold)
	}
	if low == high { // all zero, or nothing at all
		high = 1
	}
	step = c.Unit.Step(max((high-low)/valueTicks, math.SmallestNonzeroFloat64*1e10))
	return math.Floor(low/step) * step, math.Ceil(high/step) * step, step
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
func (c *Chart) timeTicks() (ticks []time.Time, layout string) {
	span := c.To.Sub(c.From)
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
	for t := c.From.UTC().Truncate(step); !t.After(c.To); t = t.Add(step) {
		if !t.Before(c.From) {
			ticks = append(ticks, t)
		}
	}
	return ticks, layout
}

// dates says in which day or days, and in which zone, the times are.
func (c *Chart) dates() string {
	from, to := c.From.UTC().Format("2 Jan 2006"), c.To.UTC().Format("2 Jan 2006")
	if from == to {
		return to + ", UTC"
	}
	return fmt.Sprintf("%s – %s, UTC", from, to)
}
