// What Prometheus answers, in one shape for vectors, scalars and matrices.

package promapi

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"triagebot/triage"
)

// Result is the answer to a query.
type Result struct {
	// Type is Prometheus's resultType: vector, scalar or matrix.
	Type string
	// Series are sorted by their labels. Those of a vector or a scalar have
	// one point each.
	Series []Series
	// Warnings are Prometheus's own, and what had to be left out of Series.
	Warnings []string
}

// Series is one time series.
type Series struct {
	Labels triage.Labels // with __name__ where the expression keeps it; empty for a scalar
	Points []Point       // by time; at least one
}

// Point is one value of a series. The value may be NaN or infinite.
type Point struct {
	T time.Time // UTC, to the millisecond
	V float64
}

// newResult converts a value. Native histograms have no single value and are
// left out with a warning. A string never comes here: client_golang refuses it.
func newResult(value model.Value, warnings []string) (*Result, error) {
	r := &Result{Warnings: slices.Clone(warnings)}
	histograms := 0
	switch v := value.(type) {
	case *model.Scalar:
		r.Type = "scalar"
		r.Series = []Series{{Labels: triage.Labels{}, Points: []Point{point(v.Timestamp, v.Value)}}}
	case model.Vector:
		r.Type = "vector"
		for _, s := range v {
			if s.Histogram != nil {
				histograms++
				continue
			}
			r.Series = append(r.Series, Series{Labels: labels(s.Metric), Points: []Point{point(s.Timestamp, s.Value)}})
		}
	case model.Matrix:
		r.Type = "matrix"
		for _, s := range v {
			if len(s.Values) == 0 {
				histograms++
				continue
			}
			points := make([]Point, len(s.Values))
			for i, p := range s.Values {
				points[i] = point(p.Timestamp, p.Value)
			}
			r.Series = append(r.Series, Series{Labels: labels(s.Metric), Points: points})
		}
	default:
		return nil, fmt.Errorf("%w: a result of type %T", errShape, value)
	}
	if histograms > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d series left out: a native histogram has no single value; use histogram_quantile, histogram_sum or histogram_count", histograms))
	}
	r.sort()
	return r, nil
}

// sort orders the series by their labels: Prometheus promises no order.
func (r *Result) sort() {
	type keyed struct {
		key    string
		series Series
	}
	all := make([]keyed, len(r.Series))
	for i, s := range r.Series {
		all[i] = keyed{s.Labels.String(), s}
	}
	slices.SortFunc(all, func(a, b keyed) int { return strings.Compare(a.key, b.key) })
	for i := range all {
		r.Series[i] = all[i].series
	}
}

func point(t model.Time, v model.SampleValue) Point {
	return Point{T: t.Time().UTC(), V: float64(v)}
}

func labels(m model.Metric) triage.Labels {
	l := make(triage.Labels, len(m))
	for name, value := range m {
		l[string(name)] = string(value)
	}
	return l
}
