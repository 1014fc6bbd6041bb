package playbook

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"text/template"

	amtemplate "github.com/prometheus/alertmanager/template"
	commontemplates "github.com/prometheus/common/helpers/templates"
)

// noData is how a number that there is not is written.
const noData = "no data"

// templateFuncs are Alertmanager's template functions and our own. Two of
// Alertmanager's are left out: now, for a run speaks of one instant even when
// it goes on after a crash, and routeLabels, which has no labels here.
func templateFuncs() template.FuncMap {
	funcs := template.FuncMap(maps.Clone(amtemplate.DefaultFuncs))
	delete(funcs, "now")
	delete(funcs, "since")
	delete(funcs, "routeLabels")
	funcs["asRegex"] = valueText // refused outside of PromQL, in words
	funcs["default"] = defaultTo
	funcs["fixed"] = func(digits int, v any) (string, error) {
		if digits < 0 || digits > 20 {
			return "", &valueError{fmt.Sprintf("fixed takes 0 to 20 digits, not %d", digits)}
		}
		return formatted(v, func(f float64) string { return strconv.FormatFloat(f, 'f', digits, 64) })
	}
	for _, unit := range Units() {
		if unit != "" {
			funcs[unit] = func(v any) (string, error) {
				return formatted(v, func(f float64) string { return FormatValue(f, unit) })
			}
		}
	}
	funcs["humanize"] = func(v any) (string, error) { return formatted(v, humanize) }
	funcs["humanizeDuration"] = func(v any) (string, error) { return formatted(v, seconds) }
	return funcs
}

// FunctionNames are the functions that templates have besides Go's own, sorted.
func FunctionNames() []string { return slices.Sorted(maps.Keys(templateFuncs())) }

// defaultTo is sprig's default: the fallback where the value is empty.
func defaultTo(fallback, v any) any {
	if v == nil || v == "" {
		return fallback
	}
	return v
}

func formatted(v any, format func(float64) string) (string, error) {
	switch v := v.(type) {
	case nil:
		return noData, nil
	case float64:
		return format(v), nil
	case int:
		return format(float64(v)), nil
	case int64:
		return format(float64(v)), nil
	case string:
		if v == "" {
			return noData, nil
		}
		if f, err := strconv.ParseFloat(v, 64); err == nil {
			return format(f), nil
		}
	}
	return "", &valueError{fmt.Sprintf("%q is not a number", plainText(valueText(v)))}
}

// Units are the units that FormatValue knows, each but "" a template function
// too: {{ .Value | ms }}.
func Units() []string { return []string{"", "bytes", "ms", "percent", "seconds"} }

// FormatValue writes a value as people read it: "ms" takes milliseconds,
// "seconds" seconds, "percent" a ratio (0.05 is 5%), "bytes" bytes, and "" or
// any other unit a plain number with an SI prefix. NaN is "no data".
func FormatValue(v float64, unit string) string {
	switch {
	case math.IsNaN(v):
		return noData
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	}
	switch unit {
	case "ms":
		if math.Abs(v) < 1000 {
			return significant(v) + "ms"
		}
		return seconds(v / 1000)
	case "seconds":
		return seconds(v)
	case "percent":
		return significant(v*100) + "%"
	case "bytes":
		return scaled(v, 1024, "B", "KiB", "MiB", "GiB", "TiB", "PiB")
	default:
		return humanize(v)
	}
}

func seconds(v float64) string {
	if math.IsNaN(v) {
		return noData
	}
	if abs := math.Abs(v); abs >= 1 && abs < 60 {
		return significant(v) + "s"
	}
	text, err := commontemplates.HumanizeDuration(v)
	if err != nil {
		return significant(v) + "s"
	}
	return text
}

func humanize(v float64) string {
	if math.IsNaN(v) {
		return noData
	}
	if abs := math.Abs(v); abs != 0 && abs < 0.001 {
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	return scaled(v, 1000, "", "k", "M", "G", "T", "P")
}

func scaled(v, base float64, suffixes ...string) string {
	i := 0
	for i < len(suffixes)-1 && math.Abs(v) >= base {
		v /= base
		i++
	}
	return significant(v) + suffixes[i]
}

// significant writes a number with four significant digits, and all of those
// before the point.
func significant(v float64) string {
	if math.Abs(v) >= 1000 {
		return strconv.FormatFloat(math.Round(v), 'f', -1, 64)
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	if err != nil {
		rounded = v
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}
