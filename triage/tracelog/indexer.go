// Keeping the index of local logs up to date, in the background.

package tracelog

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"triagebot/triage/tracelog/index"
)

// IndexerOptions wire an Indexer.
type IndexerOptions struct {
	Index *index.Index
	// Files are the logs to index, as configured now.
	Files      func() *Files
	Every      time.Duration
	Log        logrus.FieldLogger
	Registerer prometheus.Registerer // may be nil
}

// Indexer keeps an index up to date. Lookups do not wait for it: what it has
// not got to they scan.
type Indexer struct {
	IndexerOptions
	bytes   prometheus.Counter
	damaged prometheus.Counter
	failed  prometheus.Counter
	seconds prometheus.Counter
}

// NewIndexer prepares an Indexer; Run works.
func NewIndexer(opts IndexerOptions) *Indexer {
	x := &Indexer{
		IndexerOptions: opts,
		bytes:          counter("triagebot_trace_indexed_bytes_total", "Bytes of logs that were indexed."),
		damaged:        counter("triagebot_trace_index_damaged_total", "Index files that could not be used and were made anew."),
		failed:         counter("triagebot_trace_index_failures_total", "Logs that could not be indexed at a round."),
		seconds:        counter("triagebot_trace_index_seconds_total", "Seconds spent on indexing."),
	}
	if opts.Registerer != nil {
		opts.Registerer.MustRegister(x.bytes, x.damaged, x.failed, x.seconds)
	}
	return x
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

// pruneEvery is how many rounds lie between two prunings of what belongs to logs
// that are gone.
const pruneEvery = 100

// Run indexes until ctx ends, at once and then from time to time.
func (x *Indexer) Run(ctx context.Context) error {
	ticker := time.NewTicker(x.Every)
	defer ticker.Stop()
	for round := 0; ; round++ {
		began := time.Now()
		x.Update(ctx, round%pruneEvery == 0)
		x.seconds.Add(time.Since(began).Seconds())
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Indexed says what an update did.
type Indexed struct {
	Logs   int   // whose index is up to date
	Bytes  int64 // that were read for it
	Failed int   // logs that could not be indexed
}

// Update indexes once what the logs have and the index has not, and then
// forgets the logs that are gone, if it shall. A log that fails costs the
// others nothing.
func (x *Indexer) Update(ctx context.Context, prune bool) (done Indexed) {
	files, skipped := openFiles(x.Files().withIDs())
	defer func() {
		for _, f := range files {
			_ = f.Close() // it was only read from
		}
	}()
	var live []index.Live
	for _, f := range files {
		if ctx.Err() != nil {
			return done
		}
		if f.packed != unpacked {
			continue // to reach a line in it, all before it would have to be read
		}
		if info, err := f.Stat(); err == nil {
			live = append(live, index.Live{Info: info, Spec: f.source.spec()})
		}
		bytes, err := x.update(ctx, f.File, f.source.spec())
		done.Bytes += bytes
		switch {
		case err == nil:
			done.Logs++
		case ctx.Err() == nil:
			done.Failed++
			x.failed.Inc()
			x.Log.WithError(err).WithField("log", f.path).Warn("indexing a log failed; lookups scan it")
		}
		runtime.Gosched()
	}
	// A log that cannot be opened may be back later: only when all could is
	// what is missing known to be gone.
	if unopened := slices.ContainsFunc(skipped, func(p Part) bool { return !p.Complete }); !prune || unopened || ctx.Err() != nil {
		return done
	}
	if removed, err := x.Index.Prune(live); err != nil {
		x.Log.WithError(err).Warn("forgetting the index of logs that are gone failed; it only takes room")
	} else if removed > 0 {
		x.Log.WithField("logs", removed).Info("forgot the index of logs that are gone")
	}
	return done
}

func (x *Indexer) update(ctx context.Context, log *os.File, spec index.Spec) (int64, error) {
	updated, err := x.Index.Update(ctx, log, spec)
	x.bytes.Add(float64(updated.Bytes))
	x.damaged.Add(float64(updated.Damaged))
	if updated.Problem != nil {
		x.Log.WithField("log", log.Name()).Warnf("index files could not be used and were made anew: %v", updated.Problem)
	}
	if err != nil {
		return updated.Bytes, fmt.Errorf("update: %w", err)
	}
	return updated.Bytes, nil
}
