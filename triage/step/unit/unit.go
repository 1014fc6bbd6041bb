// Package unit formats measured values for people: three significant digits
// and the unit's own larger and smaller forms.
package unit

import (
	"fmt"
	"math"
	"strconv"
	"time"
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

// Format formats v, a value in u. NaN is "no value".
func (u Unit) Format(v float64) string {
	switch {
	case math.IsNaN(v):
		return "no value"
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	case v < 0:
		return "-" + u.positive(-v)
	default:
		return u.positive(v)
	}
}

func (u Unit) positive(v float64) string {
	switch u {
	case Millis:
		return seconds(v / 1000)
	case Seconds:
		return seconds(v)
	case Percent:
		return short(v*100) + "%"
	case Bytes:
		return bytes(v)
	case PerSec:
		return short(v) + " req/s"
	default:
		return short(v)
	}
}

// short keeps integers below a million whole and gives all else three
// significant digits, with an SI prefix from a million on.
func short(v float64) string {
	if v < 1e6 && v == math.Trunc(v) {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	for _, prefix := range []struct {
		factor float64
		name   string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}} {
		if v >= prefix.factor && v < 1e15 {
			return digits(v/prefix.factor) + prefix.name
		}
	}
	return digits(v)
}

// digits gives v three significant digits, or all of its integer part.
func digits(v float64) string {
	switch {
	case v >= 1e6 || v != 0 && v < 1e-3:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v == 0:
		return "0"
	}
	decimals := 2 - int(math.Floor(math.Log10(v)))
	return trimZeros(strconv.FormatFloat(v, 'f', decimals, 64))
}

func trimZeros(s string) string {
	for s[len(s)-1] == '0' {
		s = s[:len(s)-1]
	}
	if s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	return s
}

func seconds(s float64) string {
	const hour, day = 3600, 86400
	switch {
	case s == 0:
		return "0 s"
	case s < 1e-3:
		return digits(s*1e6) + " µs"
	case s < 1:
		return digits(s*1e3) + " ms"
	case s < 120:
		return digits(s) + " s"
	case s < 2*hour:
		return fmt.Sprintf("%dm %ds", int(s)/60, int(s)%60)
	case s < 2*day:
		return fmt.Sprintf("%dh %dm", int(s)/hour, int(s)%hour/60)
	case s < float64(math.MaxInt64/int64(time.Second)):
		return digits(s/day) + " d"
	default:
		return digits(s) + " s"
	}
}

func bytes(v float64) string {
	names := [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	i := 0
	for v >= 1024 && i < len(names)-1 {
		v /= 1024
		i++
	}
	return digits(v) + " " + names[i]
}

// Step is the least round step, in u, that is at least raw: 1, 2 or 5 times a
// power of ten, or of two for bytes, or what clocks are divided in for times
// of a minute and more. raw is positive.
func (u Unit) Step(raw float64) float64 {
	switch u {
	case Bytes:
		if raw > 1 {
			return math.Exp2(math.Ceil(math.Log2(raw)))
		}
	case Millis:
		if raw > 5000 {
			return Seconds.Step(raw/1000) * 1000
		}
	case Seconds:
		for _, s := range []float64{10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400} {
			if raw > 5 && raw <= s {
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
