// Package unit knows what values are measured in: how a value is written, and
// which steps of an axis are round.
package unit

import (
	"math"

	"triagebot/triage/playbook"
)

// Unit is what a value is measured in, as playbooks name it.
type Unit string

// The units.
const (
	None    Unit = "none"
	Millis  Unit = "ms"      // milliseconds
	Seconds Unit = "s"       // seconds
	Percent Unit = "percent" // a ratio: 1 is 100%
	Bytes   Unit = "bytes"
	PerSec  Unit = "reqps" // requests per second
)

// Names lists the units, as a playbook may write them.
func Names() []string {
	return []string{string(None), string(Millis), string(Seconds), string(Percent), string(Bytes), string(PerSec)}
}

// Format writes v as people read it, the way of a playbook's own templates.
func (u Unit) Format(v float64) string {
	switch {
	case u == Seconds:
		return playbook.FormatValue(v, "seconds")
	case u == PerSec && !math.IsNaN(v):
		return playbook.FormatValue(v, "") + " req/s"
	default:
		return playbook.FormatValue(v, string(u))
	}
}

// Step is the least round step, in u, that is at least raw: 1, 2 or 5 times a
// power of ten, or of two for bytes, or what clocks are divided in for times
// of a minute and more. raw is positive.
func (u Unit) Step(raw float64) float64 {
	switch {
	case u == Bytes && raw > 1:
		return math.Exp2(math.Ceil(math.Log2(raw)))
	case u == Millis && raw > 5000:
		return Seconds.Step(raw/1000) * 1000
	case u == Seconds && raw > 5:
		for _, s := range []float64{10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400} {
			if raw <= s {
				return s
			}
		}
	}
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if raw <= m*power {
			return m * power
		}
	}
	return 10 * power
}
