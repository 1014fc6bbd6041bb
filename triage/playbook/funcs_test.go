package playbook

import (
	"math"
	"testing"
)

func TestValuesAreWrittenAsPeopleReadThem(t *testing.T) {
	for _, tt := range []struct {
		value float64
		unit  string
		want  string
	}{
		{0, "ms", "0ms"},
		{212.44, "ms", "212.4ms"},
		{1834, "ms", "1.834s"},
		{95_000, "ms", "1m 35s"},
		{0.25, "seconds", "250ms"},
		{12.3456, "seconds", "12.35s"},
		{3600, "seconds", "1h 0m 0s"},
		{0.05, "percent", "5%"},
		{0.99951, "percent", "99.95%"},
		{1536, "bytes", "1.5KiB"},
		{-2 << 30, "bytes", "-2GiB"},
		{1234.5, "", "1.234k"},
		{999, "", "999"},
		{0.00001234, "", "1.234e-05"},
		{5e18, "", "5000P"},
		{12, "widgets", "12"},
		{math.NaN(), "ms", "no data"},
		{math.NaN(), "", "no data"},
		{math.Inf(1), "bytes", "+Inf"},
		{math.Inf(-1), "percent", "-Inf"},
	} {
		if got := FormatValue(tt.value, tt.unit); got != tt.want {
			t.Errorf("FormatValue(%v, %q) = %q; want %q", tt.value, tt.unit, got, tt.want)
		}
	}
}

func TestNumberFunctions(t *testing.T) {
	for text, want := range map[string]string{
		`{{ 1500.0 | ms }}`:                    "1.5s",
		`{{ 0.5 | percent }}`:                  "50%",
		`{{ 2048 | bytes }}`:                   "2KiB",
		`{{ 90 | seconds }}`:                   "1m 30s",
		`{{ 90 | humanizeDuration }}`:          "1m 30s",
		`{{ 1200000 | humanize }}`:             "1.2M",
		`{{ 3.14159 | fixed 2 }}`:              "3.14",
		`{{ "0.25" | percent }}`:               "25%",
		`{{ .Labels.none | humanize }}`:        "no data",
		`{{ .Labels.job | toUpper }}`:          "API",
		`{{ stringSlice "a" "b" | join "+" }}`: "a+b",
	} {
		if got, err := compileAs(t, (*Compiler).Text, text).Render(dataWith("api")); err != nil || got != want {
			t.Errorf("%s gives %q, %v; want %q", text, got, err, want)
		}
	}
}
