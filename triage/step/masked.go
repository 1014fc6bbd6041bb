// Labels are masked as they come from Prometheus: what is drawn, or cut to a
// length, cannot be masked afterwards.

package step

import (
	"context"
	"time"

	"triagebot/triage"
	"triagebot/triage/promapi"
)

// maskedQuerier gives series whose labels have their secrets masked. Two series
// that differ in nothing but a secret look the same then. An exemplar's own
// labels stay: they hold the ids to look up.
type maskedQuerier struct {
	Querier
	redact triage.Redact
}

func (q maskedQuerier) Query(ctx context.Context, expr string, at time.Time) (*promapi.Result, error) {
	return q.masked(q.Querier.Query(ctx, expr, at))
}

func (q maskedQuerier) QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) (*promapi.Result, error) {
	return q.masked(q.Querier.QueryRange(ctx, expr, from, to, step))
}

func (q maskedQuerier) Exemplars(ctx context.Context, expr string, from, to time.Time) ([]promapi.Exemplar, error) {
	shared, err := q.Querier.Exemplars(ctx, expr, from, to)
	if err != nil {
		return nil, err
	}
	mask := q.masker()
	out := make([]promapi.Exemplar, len(shared))
	for i, e := range shared {
		e.Series = mask(e.Series)
		out[i] = e
	}
	return out, nil
}

// masked is a copy, for results are shared.
func (q maskedQuerier) masked(shared *promapi.Result, err error) (*promapi.Result, error) {
	if err != nil {
		return nil, err
	}
	r := *shared
	r.Series = make([]promapi.Series, len(shared.Series))
	mask := q.masker()
	for i, s := range shared.Series {
		r.Series[i] = promapi.Series{Labels: mask(s.Labels), Points: s.Points}
	}
	return &r, nil
}

// masker masks the labels of one answer. Its series share most of their labels,
// so each is looked at once.
func (q maskedQuerier) masker() func(triage.Labels) triage.Labels {
	type pair struct{ name, value string }
	known := map[pair]string{}
	return func(labels triage.Labels) triage.Labels {
		if labels == nil {
			return nil
		}
		out := make(triage.Labels, len(labels))
		for name, value := range labels {
			p := pair{name, value}
			masked, seen := known[p]
			if !seen {
				masked = q.redact.Value(name, value)
				known[p] = masked
			}
			out[name] = masked
		}
		return out
	}
}
