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
	var err error
	for _, family := range families {
		err = errors.Join(err, samples(family, func(sample sample) error {
			ls := s.target.series(sample)
			now[ls.Hash()] = ls
			return add(ls, sample.value)
		}))
	}
	for hash, ls := range s.seen {
		if _, still := now[hash]; !still && err == nil {
			err = add(ls, math.Float64frombits(value.StaleNaN))
		}
	}
	if err == nil {
		err = add(s.target.series(sample{name: "up", le: math.NaN()}), up)
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

// sample is one sample of a metrics page. Its label pairs are the page's own,
// without the target's.
type sample struct {
	name, suffix string // of a histogram's series: _bucket, _sum, _count
	pairs        []*dto.LabelPair
	le           float64 // a bucket's bound; NaN for everything else
	value        float64
}

// series are the labels under which the sample is stored.
func (t Target) series(s sample) labels.Labels {
	b := labels.NewScratchBuilder(len(s.pairs) + 4)
	b.Add(model.MetricNameLabel, s.name+s.suffix)
	b.Add("instance", t.Instance)
	b.Add("job", t.Job)
	for _, l := range s.pairs {
		b.Add(l.GetName(), l.GetValue())
	}
	if !math.IsNaN(s.le) {
		b.Add("le", strconv.FormatFloat(s.le, 'g', -1, 64))
	}
	b.Sort()
	return b.Labels()
}

// samples calls add with every sample of the family.
func samples(family *dto.MetricFamily, add func(s sample) error) error {
	for _, m := range family.GetMetric() {
		s := sample{name: family.GetName(), pairs: m.GetLabel(), le: math.NaN()}
		var err error
		switch kind := family.GetType(); kind {
		case dto.MetricType_COUNTER:
			s.value = m.GetCounter().GetValue()
			err = add(s)
		case dto.MetricType_GAUGE:
			s.value = m.GetGauge().GetValue()
			err = add(s)
		case dto.MetricType_UNTYPED:
			s.value = m.GetUntyped().GetValue()
			err = add(s)
		case dto.MetricType_HISTOGRAM:
			err = histogramSamples(s, m.GetHistogram(), add)
		default:
			err = fmt.Errorf("a metric of type %s is not supported", kind)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", family.GetName(), err)
		}
	}
	return nil
}

func histogramSamples(s sample, h *dto.Histogram, add func(s sample) error) error {
	count := float64(h.GetSampleCount())
	plain := s
	s.suffix = "_bucket"
	for _, b := range h.GetBucket() {
		s.le, s.value = b.GetUpperBound(), float64(b.GetCumulativeCount())
		if err := add(s); err != nil {
			return err
		}
	}
	if !math.IsInf(s.le, 1) { // a gathered family leaves it out, a parsed one has it
		s.le, s.value = math.Inf(1), count
		if err := add(s); err != nil {
			return err
		}
	}
	plain.suffix, plain.value = "_sum", h.GetSampleSum()
	if err := add(plain); err != nil {
		return err
	}
	plain.suffix, plain.value = "_count", count
	return add(plain)
}
