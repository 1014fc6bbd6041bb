// Package promlab is a small Prometheus inside the process, made of
// Prometheus's own engine, storage and rule manager: it scrapes one target,
// evaluates the real alert rules and answers the part of the HTTP API that
// triagebot uses.
//
// # Compressed time
//
// The real rules speak of minutes and days; a demo has seconds. The lab
// therefore divides every duration of the rules (for, keep_firing_for,
// evaluation intervals) and every range, offset and subquery step of every
// expression, in the rules and in the queries that come over the API, by one
// Factor. Nothing else of an expression is changed, and timestamps are real:
// with a factor of 60, `[5m]` reads the last 5 seconds and `for: 3m` holds for
// 3 seconds, but a query at yesterday's time reads yesterday. Links and the
// API show expressions as their author wrote them. A factor of 1 is an
// ordinary Prometheus.
package promlab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/notifier"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/sirupsen/logrus"
	slogrus "github.com/sirupsen/logrus/hooks/slog"
	"golang.org/x/sync/errgroup"
)

// Prometheus's usual intervals, which the factor divides.
const (
	usualScrapeInterval = 15 * time.Second
	usualEvalInterval   = 30 * time.Second
	usualResendDelay    = time.Minute
	leastScrapeInterval = 100 * time.Millisecond
)

// Bounds of queries.
const (
	queryTimeout    = 10 * time.Second
	maxQuerySamples = 5_000_000
)

// Options are how a Lab is made.
type Options struct {
	Dir    string // for the storage's chunk files; must exist and be empty
	Addr   string // host:port of the API; default 127.0.0.1:0
	Target Target
	Rules  []byte  // a rules file's text
	Factor float64 // divides time, at least 1; 0 means 1
	// Send takes the alerts that fire and resolve, as Prometheus sends them to
	// Alertmanager. It must not block. Nil drops them.
	Send func(alerts ...*notifier.Alert)
	Log  logrus.FieldLogger
}

// Target is what is scraped.
type Target struct {
	URL      string // of its metrics page
	Job      string
	Instance string // may be any name: the same in each run keeps series together
}

// Lab is a Prometheus in the process. Make it with New, fill in history with
// Seed, then call Run once.
type Lab struct {
	opts     Options
	log      *slog.Logger
	parser   parser.Parser
	db       *tsdb.DB
	engine   *promql.Engine
	rules    *ruleSet
	manager  *rules.Manager
	scraper  *scraper
	listener net.Listener
}

// New opens the storage, loads the rules and listens. The caller must call
// Run, which closes all of it, or Close.
func New(opts Options) (*Lab, error) {
	opts.Addr = cmp.Or(opts.Addr, "127.0.0.1:0")
	opts.Factor = cmp.Or(opts.Factor, 1)
	if opts.Factor < 1 {
		return nil, fmt.Errorf("time factor %g: want 1 or more", opts.Factor)
	}
	if opts.Send == nil {
		opts.Send = func(...*notifier.Alert) {}
	}
	l := &Lab{opts: opts, log: slogOf(opts.Log), parser: parser.NewParser(parser.Options{})}
	var err error
	if l.rules, err = loadRules(opts.Rules, opts.Factor, l.parser); err != nil {
		return nil, err
	}
	if l.db, err = openStorage(opts.Dir, l.log); err != nil {
		return nil, err
	}
	l.engine = promql.NewEngine(promql.EngineOpts{
		Logger:               l.log,
		MaxSamples:           maxQuerySamples,
		Timeout:              queryTimeout,
		EnableAtModifier:     true,
		EnableNegativeOffset: true,
		Parser:               l.parser,
		NoStepSubqueryIntervalFn: func(int64) int64 {
			return opts.interval(usualEvalInterval).Milliseconds()
		},
	})
	l.scraper = newScraper(l.db, opts.Target, max(opts.interval(usualScrapeInterval), leastScrapeInterval), l.log)
	if l.listener, err = net.Listen("tcp", opts.Addr); err != nil {
		return nil, errors.Join(fmt.Errorf("prometheus lab: listen on %s: %w", opts.Addr, err), l.db.Close())
	}
	if l.manager, err = l.newManager(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// interval is one of Prometheus's intervals in the lab's time.
func (o *Options) interval(d time.Duration) time.Duration { return divide(d, o.Factor) }

// openStorage opens a storage that keeps everything in one head block: the
// seeded day must stay appendable, and a demo runs for hours at most.
func openStorage(dir string, log *slog.Logger) (*tsdb.DB, error) {
	const tenDays = int64(10 * 24 * time.Hour / time.Millisecond)
	opts := tsdb.DefaultOptions()
	opts.WALSegmentSize = -1 // nothing here outlives the process
	opts.MinBlockDuration, opts.MaxBlockDuration = tenDays, tenDays
	opts.RetentionDuration = 2 * tenDays
	opts.StripeSize = 1 << 10
	opts.HeadChunksWriteBufferSize = 64 << 10
	opts.NoLockfile = true
	db, err := tsdb.Open(dir, log, nil, opts, nil)
	if err != nil {
		return nil, fmt.Errorf("prometheus lab: open storage in %s: %w", dir, err)
	}
	return db, nil
}

// URL is the API's base URL, without a slash at its end.
func (l *Lab) URL() string { return "http://" + l.listener.Addr().String() }

func (l *Lab) newManager() (*rules.Manager, error) {
	external, err := url.Parse(l.URL())
	if err != nil {
		return nil, fmt.Errorf("prometheus lab: own URL: %w", err)
	}
	send := rules.SendAlerts(sender(l.opts.Send), l.URL())
	return rules.NewManager(&rules.ManagerOptions{
		ExternalURL:  external,
		QueryFunc:    rules.EngineQueryFunc(l.engine, l.db),
		AppendableV2: l.db,
		Queryable:    l.db,
		Logger:       l.log,
		ResendDelay:  l.opts.interval(usualResendDelay),
		GroupLoader:  l.rules,
		Parser:       l.parser,
		NotifyFunc: func(ctx context.Context, expr string, alerts ...*rules.Alert) {
			send(ctx, l.rules.written(expr), alerts...)
		},
	}), nil
}

// sender lets a function be a rules.Sender.
type sender func(alerts ...*notifier.Alert)

// Send implements rules.Sender.
func (s sender) Send(alerts ...*notifier.Alert) { s(alerts...) }

// Run scrapes, evaluates and serves until ctx is done or the server fails,
// then closes the storage.
func (l *Lab) Run(ctx context.Context) error {
	// Not earlier: a manager that has rules must be run before it can be stopped.
	if err := l.manager.Update(l.opts.interval(usualEvalInterval), []string{rulesFile}, labels.EmptyLabels(), l.URL(), nil); err != nil {
		return errors.Join(fmt.Errorf("prometheus lab: %w", err), l.Close())
	}
	server := &http.Server{
		Handler:           l.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * queryTimeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(l.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("prometheus lab: serve: %w", err)
		}
		return nil
	})
	group.Go(func() error { l.manager.Run(); return nil })
	group.Go(func() error { l.scraper.run(ctx); return nil })
	group.Go(func() error {
		<-ctx.Done()
		l.manager.Stop()
		return server.Close()
	})
	err := group.Wait()
	return errors.Join(err, l.db.Close())
}

// Close releases what New opened. It is for a Lab whose Run was never called.
func (l *Lab) Close() error {
	return errors.Join(l.listener.Close(), l.db.Close())
}

// slogOf gives Prometheus's parts a logger of their kind. Their everyday
// remarks are kept out: a warning is what a person should see.
func slogOf(log logrus.FieldLogger) *slog.Logger {
	var logger *logrus.Logger
	switch l := log.(type) {
	case *logrus.Logger:
		logger = l
	case *logrus.Entry:
		logger = l.Logger
	default:
		logger = logrus.New()
		logger.SetOutput(io.Discard)
	}
	return slog.New(warnings{slogrus.NewHandler(logger, nil)})
}

// warnings lets only warnings and worse pass.
type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}

func (w warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{w.Handler.WithAttrs(attrs)}
}
func (w warnings) WithGroup(name string) slog.Handler { return warnings{w.Handler.WithGroup(name)} }
