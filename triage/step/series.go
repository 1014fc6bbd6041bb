// From Prometheus's answer to rows: one value per series, its baseline beside
// it, the worst first.

package step

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"triagebot/triage"
	"triagebot/triage/promapi"
)

// measured is one series reduced to one value.
type measured struct {
	labels      triage.Labels
	key         string // of the labels, for matching and for a stable order
	value       float64
	baseline    float64 // NaN without one
	points      []promapi.Point
	basePoints  []promapi.Point
	hasBaseline bool
}

// measure reduces the series of value, matches those of baseline by their
// labels, and orders them: series with a value first, the worst of them first.
// withValue counts those.
func (a *queryAction) measure(value, baseline *promapi.Result) (all []measured, withValue int) {
	before := map[string][]promapi.Point{}
	if baseline != nil {
		for _, s := range baseline.Series {
			before[s.Labels.String()] = s.Points
		}
	}
	for _, s := range value.Series {
		m := measured{labels: s.Labels, key: s.Labels.String(), points: s.Points, value: a.reduced(s.Points)}
		m.basePoints = before[m.key]
		m.baseline = a.reduced(m.basePoints)
		m.hasBaseline = !math.IsNaN(m.baseline) && !math.IsInf(m.baseline, 0)
		if !math.IsNaN(m.value) {
			withValue++
		}
		all = append(all, m)
	}
	slices.SortFunc(all, a.compare)
	return all, withValue
}

// compare orders by badness: how far a value is from its baseline where both
// have one, else the value itself. Labels break ties.
func (a *queryAction) compare(x, y measured) int {
	if c := boolOrder(!math.IsNaN(x.value), !math.IsNaN(y.value)); c != 0 {
		return c
	}
	if c := boolOrder(x.hasBaseline, y.hasBaseline); c != 0 {
		return c
	}
	sign := -1
	if a.low {
		sign = 1
	}
	if x.hasBaseline {
		if c := cmp.Compare(change(x), change(y)); c != 0 {
			return sign * c
		}
	}
	if c := cmp.Compare(x.value, y.value); c != 0 {
		return sign * c
	}
	return strings.Compare(x.key, y.key)
}

func boolOrder(x, y bool) int {
	switch {
	case x == y:
		return 0
	case x:
		return -1
	default:
		return 1
	}
}

// change is the relative change from the baseline: for positive values it
// orders as their ratio does, and it is defined for all others.
func change(m measured) float64 {
	difference := m.value - m.baseline
	if difference == 0 {
		return 0
	}
	return difference / math.Abs(m.baseline) // ±Inf from zero
}

// reduced makes one value of a series' points. NaN points are no data; NaN is
// what is left when there is nothing else.
func (a *queryAction) reduced(points []promapi.Point) float64 {
	result, n := math.NaN(), 0
	for _, p := range points {
		if math.IsNaN(p.V) {
			continue
		}
		n++
		switch {
		case n == 1 || a.reduce == "last":
			result = p.V
		case a.reduce == "max":
			result = max(result, p.V)
		case a.reduce == "min":
			result = min(result, p.V)
		default: // avg and sum
			result += p.V
		}
	}
	if a.reduce == "avg" && n > 0 {
		result /= float64(n)
	}
	return result
}

// finite is v as conditions and JSON can take it.
func finite(v float64) float64 { return max(-math.MaxFloat64, min(math.MaxFloat64, v)) }

// Bounds of labels in rows: hostile ones may be of any size.
const (
	maxLabels     = 64
	maxLabelValue = 4 << 10 // bytes of one value in variables
	maxShownValue = 100     // runes of one value in a name
	maxShownName  = 300     // runes of a name
)

// seriesName names a series for people by its labels: route="/a", method="GET".
// What is not printable is shown escaped.
func seriesName(l triage.Labels) string {
	var parts []string
	for _, name := range l.Names() {
		if name == "__name__" && len(l) > 1 {
			continue
		}
		parts = append(parts, cut(name, maxShownValue)+"="+strconv.Quote(cut(l[name], maxShownValue)))
		if len(parts) == maxLabels {
			break
		}
	}
	return cut(strings.Join(parts, ", "), maxShownName)
}

// labelVars are a series' labels as variables: bounded, and text that any
// database takes.
func labelVars(l triage.Labels) map[string]any {
	vars := make(map[string]any, len(l))
	for _, name := range l.Names() {
		if len(vars) == maxLabels {
			break
		}
		value := l[name]
		vars[safeText(name)] = safeText(value[:min(len(value), maxLabelValue)])
	}
	return vars
}
