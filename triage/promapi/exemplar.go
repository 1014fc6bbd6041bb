// Exemplars: single measurements that Prometheus keeps beside a series, with
// the id of the request that each was of.

package promapi

import (
	"context"
	"slices"
	"strings"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"triagebot/triage"
)

// Exemplar is one measurement of a series.
type Exemplar struct {
	Series triage.Labels // of the series, with __name__
	Labels triage.Labels // of the exemplar itself: trace_id
	Point
}

// Exemplars are those of all series that expr selects, from one instant to
// another, both included, to the millisecond, in the order of time. There are
// none where Prometheus runs without --enable-feature=exemplar-storage: it
// answers as if none had come. The result may be shared with other callers and
// must not be changed. Errors are *Error, or those of ctx.
func (c *Client) Exemplars(ctx context.Context, expr string, from, to time.Time) ([]Exemplar, error) {
	from, to = from.Truncate(time.Millisecond), to.Truncate(time.Millisecond)
	key := millis(from) + " " + millis(to) + " " + expr
	return shared(ctx, c, &c.exemplars, key, func(ctx context.Context) ([]Exemplar, error) {
		answer, err := c.api.QueryExemplars(ctx, expr, from, to)
		if err != nil {
			return nil, err
		}
		return newExemplars(answer), nil
	})
}

func newExemplars(answer []promv1.ExemplarQueryResult) []Exemplar {
	var all []Exemplar
	for _, series := range answer {
		of := labels(model.Metric(series.SeriesLabels))
		for _, e := range series.Exemplars {
			all = append(all, Exemplar{Series: of, Labels: labels(model.Metric(e.Labels)), Point: point(e.Timestamp, e.Value)})
		}
	}
	slices.SortStableFunc(all, func(a, b Exemplar) int {
		if c := a.T.Compare(b.T); c != 0 {
			return c
		}
		return strings.Compare(a.Series.String(), b.Series.String())
	})
	return all
}
