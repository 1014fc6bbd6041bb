package unit

import (
	"math"
	"testing"
)

func TestFormat(t *testing.T) {
	for _, tt := range []struct {
		unit  Unit
		value float64
		want  string
	}{
		{None, 3, "3"},
		{"", 3, "3"},
		{None, 1234567, "1.235M"},
		{None, math.NaN(), "no data"},
		{PerSec, math.NaN(), "no data"},
		{None, math.Inf(-1), "-Inf"},
		{Millis, 431.2, "431.2ms"},
		{Seconds, 0.25, "250ms"},
		{Percent, 0.0512, "5.12%"},
		{Bytes, 1536, "1.5KiB"},
		{PerSec, 12.5, "12.5 req/s"},
	} {
		if got := tt.unit.Format(tt.value); got != tt.want {
			t.Errorf("%s: %v is %q, want %q", tt.unit, tt.value, got, tt.want)
		}
	}
}

func TestStepsAreRoundInTheirUnit(t *testing.T) {
	for _, tt := range []struct {
		unit      Unit
		raw, want float64
	}{
		{None, 1, 1},
		{None, 1.1, 2},
		{None, 3, 5},
		{None, 7, 10},
		{None, 0.03, 0.05},
		{Bytes, 300e6, 512 << 20},
		{Bytes, 0.3, 0.5},
		{Millis, 70, 100},
		{Millis, 50e3, 60e3},
		{Seconds, 7, 10},
		{Seconds, 1000, 1800},
		{Seconds, 3, 5},
	} {
		if got := tt.unit.Step(tt.raw); math.Abs(got-tt.want) > 1e-12*tt.want {
			t.Errorf("%s: step for %v is %v, want %v", tt.unit, tt.raw, got, tt.want)
		}
	}
}
