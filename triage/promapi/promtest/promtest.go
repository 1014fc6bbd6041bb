// Package promtest gives tests a Prometheus: its own engine in process, over
// series that the test writes down.
package promtest

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"

	"triagebot/triage/promapi"
)

// Engine is Prometheus's own engine over series of a test.
type Engine struct {
	*promql.Engine
	storage.Queryable
}

// New loads series, in promtool's notation.
func New(t testing.TB, series string) *Engine {
	t.Helper()
	s := promqltest.LoadedStorage(t, series)
	t.Cleanup(func() { s.Close() })
	return &Engine{promqltest.NewTestEngine(t, false, 5*time.Minute, promqltest.DefaultMaxSamplesPerQuery), s}
}

// Query evaluates at an instant; the result must be a vector.
func (e *Engine) Query(ctx context.Context, expr string, at time.Time) (*promapi.Result, error) {
	q, err := e.NewInstantQuery(ctx, e.Queryable, nil, expr, at)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	vector, err := q.Exec(ctx).Vector()
	r := &promapi.Result{Type: "vector"}
	for _, s := range vector {
		r.Series = append(r.Series, promapi.Series{Labels: s.Metric.Map(), Points: []promapi.Point{{T: at, V: s.F}}})
	}
	return r, err
}

// Exemplars has none, as a Prometheus without the feature.
func (*Engine) Exemplars(context.Context, string, time.Time, time.Time) ([]promapi.Exemplar, error) {
	return nil, nil
}

// QueryRange evaluates over a range.
func (e *Engine) QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) (*promapi.Result, error) {
	q, err := e.NewRangeQuery(ctx, e.Queryable, nil, expr, from, to, step)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	matrix, err := q.Exec(ctx).Matrix()
	r := &promapi.Result{Type: "matrix"}
	for _, s := range matrix {
		series := promapi.Series{Labels: s.Metric.Map()}
		for _, p := range s.Floats {
			series.Points = append(series.Points, promapi.Point{T: time.UnixMilli(p.T), V: p.F})
		}
		r.Series = append(r.Series, series)
	}
	return r, err
}
