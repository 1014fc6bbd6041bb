// Package demo is the world around triagebot in its demo: a simulated codex app
// server whose faults can be switched on, a Prometheus inside the process that
// evaluates the real alert rules on it, and a sender that posts notifications
// as Alertmanager would. Time is compressed, see package promlab.
package demo

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	dto "github.com/prometheus/client_model/go"

	"triagebot/cmd/demo/alertsender"
	"triagebot/cmd/demo/codexsim"
	"triagebot/cmd/demo/promlab"
	"triagebot/playbooks"
)

// DefaultFactor is how much faster than the rules' minutes the demo's time
// runs: 3 minutes become 3 seconds.
const DefaultFactor = 60

// How the simulated app is called in the metrics' labels: the same in each
// run, so that series and alerts keep their identity.
const (
	job      = "codex-app"
	instance = "codex-app-0"
)

// leastGroupWait keeps a step's queries, which ask for whole seconds, from
// asking for an instant before the alert fired.
const leastGroupWait = time.Second

// DefaultHistory is how much of the past is made up before the start: enough
// for a chart of the last hour and for the latency's baseline. The same time
// around yesterday's start is made up too.
const DefaultHistory = 75 * time.Minute

const (
	historySeed    = 7
	recordedBefore = time.Minute // the first rates have no data
)

// Options are how a Lab is started.
type Options struct {
	Dir         string  // for the app's logs and Prometheus's storage; made when missing
	WebhookURL  string  // where notifications are posted; triagebot's own address
	BearerToken string  // for the webhook; "" for none
	Factor      float64 // divides the rules' durations; 0 means DefaultFactor
	// History is how much of the past is made up, and for how long a baseline of
	// a day ago can be found; 0 means DefaultHistory.
	History  time.Duration
	AppAddr  string // host:port of the app, loopback only; default any free port
	PromAddr string // host:port of Prometheus; default any free port on loopback
	Log      logrus.FieldLogger
}

// Lab is the running world. It must be closed.
type Lab struct {
	app    *codexsim.App
	prom   *promlab.Lab
	logDir string
	// adminToken is what the app's maintenance endpoint must be shown.
	adminToken string

	cancel context.CancelFunc
	done   chan struct{}
	err    error // of the parts; read after done
}

// Start makes up the history and starts everything. The lab lives until ctx is
// done or it is closed.
func Start(ctx context.Context, opts Options) (*Lab, error) {
	opts.Factor = cmp.Or(opts.Factor, DefaultFactor)
	opts.History = cmp.Or(opts.History, DefaultHistory)
	if opts.Log == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		opts.Log = silent
	}
	rules, err := playbooks.Files.ReadFile(playbooks.AlertRules)
	if err != nil {
		return nil, fmt.Errorf("demo: alert rules: %w", err)
	}
	storage, err := makeStorage(opts.Dir)
	if err != nil {
		return nil, err
	}
	lab := &Lab{logDir: filepath.Join(opts.Dir, "codex-logs"), done: make(chan struct{}), adminToken: rand.Text()}
	if err := lab.assemble(ctx, opts, rules, storage); err != nil {
		return nil, errors.Join(err, os.RemoveAll(storage))
	}
	return lab, nil
}

func makeStorage(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("demo: folder: %w", err)
	}
	storage, err := os.MkdirTemp(dir, "prometheus-*")
	if err != nil {
		return "", fmt.Errorf("demo: folder for Prometheus: %w", err)
	}
	return storage, nil
}

// assemble makes the parts, each needing the address of the one before, and
// sets them going.
func (l *Lab) assemble(ctx context.Context, opts Options, rules []byte, storage string) error {
	ctx, cancel := context.WithCancel(ctx)
	l.cancel = cancel
	sender, err := alertsender.New(alertsender.Options{
		URL: opts.WebhookURL, BearerToken: opts.BearerToken,
		ExternalURL:    "http://alertmanager.demo.invalid", // nothing is there to link to
		GroupBy:        []string{"alertname", "page_service"},
		GroupWait:      max(compressed(alertsender.DefaultGroupWait, opts.Factor), leastGroupWait),
		GroupInterval:  compressed(alertsender.DefaultGroupInterval, opts.Factor),
		RepeatInterval: compressed(alertsender.DefaultRepeatInterval, opts.Factor),
		Log:            opts.Log,
	})
	if err != nil {
		cancel()
		return fmt.Errorf("demo: %w", err)
	}
	if l.app, err = codexsim.New(codexsim.Options{Addr: opts.AppAddr, LogDir: l.logDir, AdminToken: l.adminToken, Log: opts.Log}); err != nil {
		cancel()
		return fmt.Errorf("demo: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.app.Run(ctx) })
	l.prom, err = promlab.New(promlab.Options{
		Dir: storage, Addr: opts.PromAddr, Rules: rules, Factor: opts.Factor, Send: sender.Send, Log: opts.Log,
		Target: promlab.Target{URL: l.app.URL() + "/metrics", Job: job, Instance: instance},
	})
	if err == nil {
		if err = makeHistory(ctx, l.prom, opts.History); err != nil {
			err = errors.Join(err, l.prom.Close())
		}
	}
	if err != nil {
		cancel()
		return errors.Join(fmt.Errorf("demo: %w", err), group.Wait())
	}
	group.Go(func() error { return l.prom.Run(ctx) })
	group.Go(func() error { return sender.Run(ctx) })
	go func() {
		defer close(l.done)
		l.err = errors.Join(group.Wait(), os.RemoveAll(storage))
	}()
	return nil
}

func compressed(d time.Duration, factor float64) time.Duration {
	return time.Duration(float64(d) / factor)
}

// makeHistory fills in the made-up past.
func makeHistory(ctx context.Context, prom *promlab.Lab, length time.Duration) error {
	now := time.Now()
	yesterday := now.Add(-24 * time.Hour)
	spans := []struct{ from, to time.Time }{
		{yesterday.Add(-length), yesterday.Add(length)},
		{now.Add(-length), time.Time{}}, // until now
	}
	for _, span := range spans {
		err := prom.Seed(ctx, func(add func(time.Time, []*dto.MetricFamily) error) error {
			return codexsim.History(codexsim.HistoryOptions{
				From: span.from, To: span.to, Step: prom.SeedStep(), Seed: historySeed,
			}, add)
		})
		if err != nil {
			return err
		}
	}
	for _, span := range spans {
		to := span.to
		if to.IsZero() {
			to = now
		}
		if err := prom.SeedRecordings(ctx, span.from.Add(recordedBefore), to); err != nil {
			return err
		}
	}
	return nil
}

// AppURL is the simulated app's base URL.
func (l *Lab) AppURL() string { return l.app.URL() }

// PrometheusURL is the base URL of Prometheus's API.
func (l *Lab) PrometheusURL() string { return l.prom.URL() }

// LogDir is the folder of the app's NDJSON logs.
func (l *Lab) LogDir() string { return l.logDir }

// AdminToken is what the app's maintenance endpoint must be shown.
func (l *Lab) AdminToken() string { return l.adminToken }

// Faults are the names of the faults that raise an alert. Fault knows others
// too, which the app lists under /faults.
func Faults() []string {
	var names []string
	for _, f := range codexsim.Faults() {
		if len(f.Alerts()) > 0 {
			names = append(names, string(f))
		}
	}
	return names
}

// Fault switches a fault of the app on or off.
func (l *Lab) Fault(name string, on bool) error { return l.app.Fault(name, on) }

// Done is closed when the lab has ended, by Close or because a part failed;
// Close then returns why.
func (l *Lab) Done() <-chan struct{} { return l.done }

// Close stops everything, waits for it and removes Prometheus's storage. The
// app's logs stay.
func (l *Lab) Close() error {
	l.cancel()
	<-l.done
	return l.err
}
