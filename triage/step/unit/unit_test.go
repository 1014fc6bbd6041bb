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
		{None, 0, "0"},
		{None, 3, "3"},
		{None, 999999, "999999"},
		{None, 1234567, "1.23M"},
		{None, 5e9, "5G"},
		{None, 1e300, "1e+300"},
		{None, 0.25, "0.25"},
		{None, 12.345, "12.3"},
		{None, 99.96, "100"},
		{None, 123.456, "123"},
		{None, 0.00012345, "0.000123"},
		{None, 1e-9, "1e-09"},
		{None, -7.5, "-7.5"},
		{None, math.NaN(), "no value"},
		{None, math.Inf(1), "+Inf"},
		{None, math.Inf(-1), "-Inf"},
		{"", 3, "3"},
		{Millis, 0, "0 s"},
		{Millis, 0.05, "50 µs"},
		{Millis, 431.2, "431 ms"},
		{Millis, 1234, "1.23 s"},
		{Millis, 125000, "2m 5s"},
		{Seconds, 0.0123, "12.3 ms"},
		{Seconds, 7500, "2h 5m"},
		{Seconds, 3 * 86400, "3 d"},
		{Seconds, 1e300, "1e+300 s"},
		{Percent, 0.0512, "5.12%"},
		{Percent, 1, "100%"},
		{Bytes, 0, "0 B"},
		{Bytes, 1023, "1023 B"},
		{Bytes, 1536, "1.5 KiB"},
		{Bytes, 3 << 30, "3 GiB"},
		{Bytes, -2048, "-2 KiB"},
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
		{None, 1, 1}, {None, 1.1, 2}, {None, 3, 5}, {None, 7, 10}, {None, 0.03, 0.05},
		{Bytes, 300e6, 512 << 20}, {Bytes, 0.3, 0.5},
		{Millis, 70, 100}, {Millis, 50e3, 60e3}, {Seconds, 7, 10}, {Seconds, 1000, 1800}, {Seconds, 3, 5},
	} {
		if got := tt.unit.Step(tt.raw); math.Abs(got-tt.want) > 1e-12*tt.want {
			t.Errorf("%s: step for %v is %v, want %v", tt.unit, tt.raw, got, tt.want)
		}
	}
}
