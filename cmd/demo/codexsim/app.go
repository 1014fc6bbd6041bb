// Package codexsim simulates the codex app server that the shipped playbooks
// are about: it serves real HTTP on loopback, answers its own steady traffic,
// and what it shows in /metrics, /readyz and its NDJSON logs is what it really
// did. Faults can be switched on and off while it runs. See
// docs/codex-signals.md for the metrics and log formats.
package codexsim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"
)

// Defaults of Options.
const (
	DefaultRate     = 40      // requests a second
	DefaultLogBytes = 8 << 20 // of one log file
)

// Options are how an App is made. The zero value is good apart from LogDir.
type Options struct {
	Addr     string  // host:port to listen on, loopback only; default 127.0.0.1:0
	LogDir   string  // folder for the NDJSON logs; made when missing
	LogBytes int64   // a log file is rotated before it grows beyond this; one old file is kept
	Rate     float64 // requests a second of its own traffic
	Seed     uint64  // shifts the pattern of latencies; the same seed gives the same ones
	Log      logrus.FieldLogger
	// AdminToken is the bearer token of the maintenance endpoint; "" lets nobody in.
	AdminToken string
	// Transport carries the App's own traffic; default is HTTP over loopback.
	Transport http.RoundTripper
}

// App is one simulated app server. Make it with New, then call Run once.
type App struct {
	opts     Options
	listener net.Listener
	metrics  *metrics
	faults   *faults
	pool     *pool
	buffers  *toolBuffers
	queue    *queue
	logs     *logs
	served   atomic.Uint64 // requests to the chat route, the index into the latency pattern
	serial   atomic.Uint64 // for request ids

	maintenanceCalls atomic.Int64

	switching sync.Mutex // one fault after the other, so that metrics end up as the last one left them
}

// New opens the logs and listens. The caller must call Run, which closes both.
func New(opts Options) (*App, error) {
	opts.Addr = cmp.Or(opts.Addr, "127.0.0.1:0")
	opts.Rate = cmp.Or(opts.Rate, DefaultRate)
	opts.LogBytes = cmp.Or(opts.LogBytes, DefaultLogBytes)
	if opts.Log == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		opts.Log = silent
	}
	if err := checkLoopback(opts.Addr); err != nil {
		return nil, err
	}
	logs, err := openLogs(opts.LogDir, opts.LogBytes)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", opts.Addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("simulated app: listen on %s: %w", opts.Addr, err), logs.Close())
	}
	return assemble(opts, listener, logs), nil
}

// assemble puts the parts together; listener may be nil where the transport
// does not need one.
func assemble(opts Options, listener net.Listener, logs *logs) *App {
	metrics := newMetrics()
	faults := newFaults()
	return &App{
		opts:     opts,
		listener: listener,
		metrics:  metrics,
		faults:   faults,
		pool:     newPool(metrics, faults, logs),
		buffers:  &toolBuffers{metrics: metrics},
		queue:    &queue{depth: metrics.queued},
		logs:     logs,
	}
}

// URL is the base URL, without a slash at its end.
func (a *App) URL() string { return "http://" + a.listener.Addr().String() }

// Run serves, makes traffic and lives through the faults until ctx is done or
// the server fails. It closes the listener and the logs.
func (a *App) Run(ctx context.Context) error {
	server := &http.Server{
		Handler:           a.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("simulated app: serve: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		return server.Close()
	})
	group.Go(func() error { a.live(ctx); return nil })
	err := group.Wait()
	return errors.Join(err, a.logs.Close())
}

// live is everything but the HTTP server: the workers and the traffic.
func (a *App) live(ctx context.Context) {
	var group errgroup.Group
	for _, w := range a.pool.workers {
		group.Go(func() error { a.pool.run(ctx, w); return nil })
	}
	group.Go(func() error { a.makeTraffic(ctx); return nil })
	_ = group.Wait() // none of them fails
}

// Fault switches the named fault on or off; any may be on at once. An unknown
// name is an error that lists the known ones.
func (a *App) Fault(name string, on bool) error {
	fault, err := ParseFault(name)
	if err != nil {
		return err
	}
	a.switching.Lock()
	defer a.switching.Unlock()
	if a.faults.is(fault) == on {
		return nil
	}
	a.announce(fault, on) // first: what was changed stands before what came of it
	a.faults.set(fault, on)
	if fault == LogsOff {
		a.logs.withheld.Store(on)
	}
	a.opts.Log.WithFields(logrus.Fields{"fault": name, "on": on}).Info("simulated app: fault switched")
	return nil
}

func checkLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("simulated app: address %q: %w", addr, err)
	}
	if !isLoopback(host) {
		return fmt.Errorf("simulated app: address %q is not a loopback address; use 127.0.0.1:PORT", addr)
	}
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func boolToFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
