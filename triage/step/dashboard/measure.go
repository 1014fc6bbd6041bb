// Grafana's units, in those of package unit.

package dashboard

import (
	"math"
	"regexp"
	"strconv"

	"triagebot/triage/step/unit"
)

// Measure writes values of one of Grafana's units. It is what package chart
// draws axes with.
type Measure struct {
	Unit     unit.Unit
	Scale    float64 // of a value, to be in Unit
	Suffix   string
	Decimals *int
	names    [2]string // of 0 and of anything else, for a boolean
}

// measures are the units that are known.
func measures() map[string]Measure {
	return map[string]Measure{
		"": {Unit: unit.None, Scale: 1}, "none": {Unit: unit.None, Scale: 1}, "short": {Unit: unit.None, Scale: 1},
		"percent": {Unit: unit.Percent, Scale: 0.01}, "percentunit": {Unit: unit.Percent, Scale: 1},
		"ns": {Unit: unit.Millis, Scale: 1e-6}, "µs": {Unit: unit.Millis, Scale: 1e-3}, "us": {Unit: unit.Millis, Scale: 1e-3},
		"ms": {Unit: unit.Millis, Scale: 1}, "s": {Unit: unit.Seconds, Scale: 1}, "dtdurations": {Unit: unit.Seconds, Scale: 1},
		"dtdurationms": {Unit: unit.Millis, Scale: 1},
		"m":            {Unit: unit.Seconds, Scale: 60}, "h": {Unit: unit.Seconds, Scale: 3600}, "d": {Unit: unit.Seconds, Scale: 86400},
		"bytes": {Unit: unit.Bytes, Scale: 1}, "decbytes": {Unit: unit.Bytes, Scale: 1}, "kbytes": {Unit: unit.Bytes, Scale: 1 << 10},
		"mbytes": {Unit: unit.Bytes, Scale: 1 << 20}, "gbytes": {Unit: unit.Bytes, Scale: 1 << 30},
		"binBps": {Unit: unit.Bytes, Scale: 1, Suffix: "/s"}, "Bps": {Unit: unit.Bytes, Scale: 1, Suffix: "/s"},
		"reqps": {Unit: unit.PerSec, Scale: 1}, "ops": {Unit: unit.None, Scale: 1, Suffix: " ops/s"},
		"cps": {Unit: unit.None, Scale: 1, Suffix: "/s"}, "rps": {Unit: unit.None, Scale: 1, Suffix: " rd/s"},
		"wps": {Unit: unit.None, Scale: 1, Suffix: " wr/s"}, "eps": {Unit: unit.None, Scale: 1, Suffix: " evt/s"},
		"mps": {Unit: unit.None, Scale: 1, Suffix: " msg/s"}, "opm": {Unit: unit.None, Scale: 1, Suffix: " ops/min"},
		"rpm": {Unit: unit.None, Scale: 1, Suffix: " rd/min"}, "cpm": {Unit: unit.None, Scale: 1, Suffix: "/min"},
		"hertz": {Unit: unit.None, Scale: 1, Suffix: "Hz"}, "celsius": {Unit: unit.None, Scale: 1, Suffix: "°C"},
		"bool":        {Unit: unit.None, Scale: 1, names: [2]string{"False", "True"}},
		"bool_on_off": {Unit: unit.None, Scale: 1, names: [2]string{"Off", "On"}},
		"bool_yes_no": {Unit: unit.None, Scale: 1, names: [2]string{"No", "Yes"}},
	}
}

// Measure is how the field's values are written. A unit that is not known gives
// plain numbers and false.
func (f *Field) Measure() (Measure, bool) {
	m, known := measures()[f.Unit]
	if !known {
		m = Measure{Unit: unit.None, Scale: 1}
	}
	m.Decimals = f.Decimals
	return m, known
}

// Text writes one value: mapped, or with its unit and decimals.
func (f *Field) Text(v float64) string {
	if m, found := f.mapped(v); found && m.text != "" {
		return m.text
	}
	m, _ := f.Measure()
	return m.Format(v)
}

// number is the number at the start of a formatted value that has no other.
var number = regexp.MustCompile(`^(-?[0-9]+(?:\.[0-9]+)?)([^0-9]*)$`)

const maxDecimals = 10

// Format writes a value.
func (m Measure) Format(v float64) string {
	if m.names[0] != "" && !math.IsNaN(v) {
		if v == 0 {
			return m.names[0]
		}
		return m.names[1]
	}
	text := m.Unit.Format(v * m.Scale)
	if parts := number.FindStringSubmatch(text); m.Decimals != nil && parts != nil {
		if n, err := strconv.ParseFloat(parts[1], 64); err == nil {
			text = strconv.FormatFloat(n, 'f', max(0, min(*m.Decimals, maxDecimals)), 64) + parts[2]
		}
	}
	return text + m.Suffix
}

// Axis is m for the labels of an axis, which have as many decimals as they need.
func (m Measure) Axis() Measure {
	m.Decimals = nil
	return m
}

// Step is the least round step of an axis that is at least raw, which is
// positive.
func (m Measure) Step(raw float64) float64 {
	return m.Unit.Step(raw*m.Scale) / m.Scale
}
