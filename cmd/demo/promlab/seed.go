// Filling in history, so that baselines and charts have data in a lab that has
// just begun.

package promlab

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
)

// SeedStep is how far apart seeded samples may lie so that a rate over 5
// minutes, divided by the factor, still finds two of them.
func (l *Lab) SeedStep() time.Duration { return l.opts.interval(2 * time.Minute) }

// Seed lets fill append scrapes of the past, in order of time, before Run.
// What it appends is synthetic and looks like scrapes of the lab's target.
func (l *Lab) Seed(ctx context.Context, fill func(add func(at time.Time, families []*dto.MetricFamily) error) error) error {
	var past pages
	err := fill(func(at time.Time, families []*dto.MetricFamily) error {
		app := l.db.AppenderV2(ctx)
		past.next = 0
		for _, family := range families {
			err := samples(family, func(s sample) error { return past.append(app, l.opts.Target, at, s) })
			if err != nil {
				return errors.Join(err, app.Rollback())
			}
		}
		return app.Commit()
	})
	if err != nil {
		return fmt.Errorf("prometheus lab: seed history: %w", err)
	}
	return nil
}

// pages remembers the series of made-up pages: each page lists the same
// samples in the same order, so that their labels need not be made anew.
type pages struct {
	known []knownSeries
	next  int // the place in the present page
}

type knownSeries struct {
	sample
	labels labels.Labels
	ref    storage.SeriesRef
}

func (p *pages) append(app storage.AppenderV2, target Target, at time.Time, s sample) error {
	if p.next == len(p.known) {
		p.known = append(p.known, knownSeries{})
	}
	known := &p.known[p.next]
	p.next++
	if !known.is(s) {
		*known = knownSeries{sample: s, labels: target.series(s)}
	}
	ref, err := app.Append(known.ref, known.labels, 0, at.UnixMilli(), s.value, nil, nil, storage.AOptions{})
	known.ref = ref
	return err
}

// is says whether s is a sample of the series.
func (k *knownSeries) is(s sample) bool {
	sameBound := k.le == s.le || math.IsNaN(k.le) && math.IsNaN(s.le)
	return k.name == s.name && k.suffix == s.suffix && sameBound &&
		slices.EqualFunc(k.pairs, s.pairs, func(a, b *dto.LabelPair) bool {
			return a.GetName() == b.GetName() && a.GetValue() == b.GetValue()
		})
}

// SeedRecordings evaluates the recording rules over seeded history, as
// `promtool tsdb create-blocks-from rules` does, at five times SeedStep.
func (l *Lab) SeedRecordings(ctx context.Context, from, to time.Time) error {
	for _, group := range l.rules.groups.Groups {
		for _, rule := range group.Rules {
			if rule.Record == "" {
				continue
			}
			if err := l.seedRecording(ctx, rule.Record, rule.Expr, rule.Labels, from, to); err != nil {
				return fmt.Errorf("prometheus lab: seed %s: %w", rule.Record, err)
			}
		}
	}
	return nil
}

func (l *Lab) seedRecording(ctx context.Context, name, expr string, extra map[string]string, from, to time.Time) error {
	query, err := l.engine.NewRangeQuery(ctx, l.db, nil, expr, from, to, 5*l.SeedStep())
	if err != nil {
		return err
	}
	defer query.Close()
	matrix, err := query.Exec(ctx).Matrix()
	if err != nil {
		return err
	}
	app := l.db.AppenderV2(ctx)
	for _, series := range matrix {
		b := labels.NewBuilder(series.Metric).Set(model.MetricNameLabel, name)
		for k, v := range extra {
			b.Set(k, v)
		}
		if err := appendFloats(app, b.Labels(), series.Floats); err != nil {
			return errors.Join(err, app.Rollback())
		}
	}
	return app.Commit()
}

func appendFloats(app storage.AppenderV2, ls labels.Labels, points []promql.FPoint) error {
	for _, p := range points {
		if _, err := app.Append(0, ls, 0, p.T, p.F, nil, nil, storage.AOptions{}); err != nil {
			return err
		}
	}
	return nil
}
