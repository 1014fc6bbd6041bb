// Scraping: one target's metrics page into the storage, with `up` and the
// staleness markers that Prometheus would write.

package promlab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
)

// maxPage bounds a metrics page, in bytes.
const maxPage = 4 << 20

type scraper struct {
	into     storage.AppendableV2
	target   Target
	interval time.Duration
	log      *slog.Logger
	client   *http.Client
	seen     map[uint64]labels.Labels // the series of the last scrape, by hash
}

func newScraper(into storage.AppendableV2, target Target, interval time.Duration, log *slog.Logger) *scraper {
	return &scraper{
		into: into, target: target, interval: interval, log: log,
		client: &http.Client{Timeout: max(interval, 2*time.Second), Transport: &http.Transport{MaxIdleConns: 1}},
	}
}

// run scrapes at every interval until ctx is done.
func (s *scraper) run(ctx context.Context) {
	defer s.client.CloseIdleConnections()
	ticker := time.NewTicker(s.interval)
	defer ticker.Stop()
	for {
		if err := s.scrape(ctx, time.Now()); err != nil && ctx.Err() == nil {
			s.log.Warn("scrape failed", "target", s.target.URL, "err", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// scrape reads the page once and stores it as of at. A page that cannot be
// read is stored as up = 0, with every series of the last page ended.
func (s *scraper) scrape(ctx context.Context, at time.Time) error {
	families, failure := s.page(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	app := s.into.AppenderV2(ctx)
	t := at.UnixMilli()
	add := func(ls labels.Labels, v float64) error {
		_, err := app.Append(0, ls, 0, t, v, nil, nil, storage.AOptions{})
		return err
	}
	now := map[uint64]labels.Labels{}
	up := 1.0
	if failure != nil {
		up = 0
	}
	err := samples(families, s.target, func(ls labels.Labels, v float64) error {
		now[ls.Hash()] = ls
		return add(ls, v)
	})
	for hash, ls := range s.seen {
		if _, still := now[hash]; !still && err == nil {
			err = add(ls, math.Float64frombits(value.StaleNaN))
		}
	}
	if err == nil {
		err = add(s.target.labels("up").Labels(), up)
	}
	if err != nil {
		return errors.Join(failure, fmt.Errorf("store scrape: %w", err), app.Rollback())
	}
	s.seen = now
	return errors.Join(failure, app.Commit())
}

func (s *scraper) page(ctx context.Context) (map[string]*dto.MetricFamily, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.target.URL, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/plain; version=0.0.4")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // nothing is written
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %s", resp.Status)
	}
	text := expfmt.NewTextParser(model.UTF8Validation)
	return text.TextToMetricFamilies(io.LimitReader(resp.Body, maxPage))
}

// labels begins the labels of a series of the target.
func (t Target) labels(name string) *labels.Builder {
	return labels.NewBuilder(labels.FromStrings(labels.MetricName, name, "instance", t.Instance, "job", t.Job))
}

// samples calls add with every sample of the families.
func samples(families map[string]*dto.MetricFamily, target Target, add func(ls labels.Labels, v float64) error) error {
	for name, family := range families {
		for _, m := range family.GetMetric() {
			if err := samplesOf(name, family.GetType(), m, target, add); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func samplesOf(name string, kind dto.MetricType, m *dto.Metric, target Target, add func(ls labels.Labels, v float64) error) error {
	series := func(suffix, extra, extraValue string) labels.Labels {
		b := target.labels(name + suffix)
		for _, l := range m.GetLabel() {
			b.Set(l.GetName(), l.GetValue())
		}
		if extra != "" {
			b.Set(extra, extraValue)
		}
		return b.Labels()
	}
	switch kind {
	case dto.MetricType_COUNTER:
		return add(series("", "", ""), m.GetCounter().GetValue())
	case dto.MetricType_GAUGE:
		return add(series("", "", ""), m.GetGauge().GetValue())
	case dto.MetricType_UNTYPED:
		return add(series("", "", ""), m.GetUntyped().GetValue())
	case dto.MetricType_HISTOGRAM:
		h := m.GetHistogram()
		infinite := false
		for _, b := range h.GetBucket() {
			infinite = infinite || math.IsInf(b.GetUpperBound(), 1)
			le := strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64)
			if err := add(series("_bucket", "le", le), float64(b.GetCumulativeCount())); err != nil {
				return err
			}
		}
		if !infinite { // a gathered family leaves it out, a parsed one has it
			if err := add(series("_bucket", "le", "+Inf"), float64(h.GetSampleCount())); err != nil {
				return err
			}
		}
		if err := add(series("_sum", "", ""), h.GetSampleSum()); err != nil {
			return err
		}
		return add(series("_count", "", ""), float64(h.GetSampleCount()))
	default:
		return fmt.Errorf("a metric of type %s is not supported", kind)
	}
}
