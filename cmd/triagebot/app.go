// The wiring: every part of the running program and who feeds whom.

package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/sirupsen/logrus"
	logrusslog "github.com/sirupsen/logrus/hooks/slog"
	"golang.org/x/sync/errgroup"

	"triagebot/cmd/config"
	"triagebot/notifiers/slack/inbound"
	"triagebot/triage"
	"triagebot/triage/access"
	"triagebot/triage/command"
	"triagebot/triage/evidence"
	"triagebot/triage/incident"
	"triagebot/triage/maintenance"
	"triagebot/triage/playbook"
	"triagebot/triage/receive"
	"triagebot/triage/runner"
	"triagebot/triage/silence"
	"triagebot/triage/store"
	"triagebot/triage/tracelog"
	"triagebot/triage/tracelog/index"
)

// app is the running program.
type app struct {
	configFile string
	cfg        *config.Config // as at the start; what a reload changes is in live
	log        *logrus.Logger
	slog       *slog.Logger
	registry   *prometheus.Registry
	metrics    appMetrics
	listener   net.Listener
	reloading  sync.Mutex

	live        *live
	db          *store.DB
	redactor    *evidence.Redactor
	bundles     *evidence.Store
	signer      *evidence.Signer
	committer   *receive.GroupCommitter
	correlator  *incident.Correlator
	jobs        *store.Jobs
	traceIndex  *index.Index // nil for none
	slackCheck  slowCheck
	access      *access.Checker
	commands    *command.Core
	silences    *silence.Keeper
	inbound     *inbound.Inbound     // nil where nobody in Slack is listened to
	maintenance *maintenance.Service // nil for none
	channels
}

type appMetrics struct {
	reloadOK   prometheus.Gauge
	reloadTime prometheus.Gauge
}

// newApp opens and wires everything; run sets it going. close gives back what
// was opened, also after an error here.
func newApp(ctx context.Context, configFile string, cfg *config.Config, log *logrus.Logger) (*app, error) {
	a := &app{
		configFile: configFile, cfg: cfg, log: log, slog: slog.New(logrusslog.NewHandler(log, nil)),
		registry: prometheus.NewRegistry(), live: &live{}, redactor: evidence.NewRedactor(),
	}
	a.registerMetrics()
	for _, open := range []func(context.Context) error{a.openStore, a.openEvidence, a.openTraceIndex, a.openLive, a.openMaintenance, a.openChannels, a.wire, a.listen} {
		if err := open(ctx); err != nil {
			return nil, errors.Join(err, a.close())
		}
	}
	return a, nil
}

func (a *app) registerMetrics() {
	a.metrics = appMetrics{
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "triagebot_config_last_reload_successful", Help: "1 when the last reading of the configuration succeeded.",
		}),
		reloadTime: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "triagebot_config_last_reload_success_timestamp_seconds", Help: "When the configuration was last read with success.",
		}),
	}
	a.metrics.reloadOK.Set(1)
	a.metrics.reloadTime.SetToCurrentTime()
	a.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		versioncollector.NewCollector("triagebot"), a.metrics.reloadOK, a.metrics.reloadTime,
	)
}

func (a *app) openStore(ctx context.Context) (err error) {
	opts := store.Options{MaxBacklog: a.cfg.Storage.MaxBacklog, Log: a.log}
	if a.cfg.Storage.Postgres != nil {
		opts.PostgresURL = string(a.cfg.Storage.Postgres.URL)
	} else {
		opts.SQLitePath = a.cfg.Storage.SQLite.Path
	}
	if a.db, err = store.Open(ctx, opts); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	a.registry.MustRegister(newCollector(a.db, a.log))
	return nil
}

func (a *app) openEvidence(ctx context.Context) (err error) {
	a.bundles, err = evidence.Open(ctx, evidence.Options{
		Dir: a.cfg.Evidence.Dir, BucketURL: a.cfg.Evidence.BucketURL, Redactor: a.redactor, Log: a.log, Registerer: a.registry,
	})
	if err != nil {
		return err
	}
	key, err := a.db.Setting(ctx, "evidence_link_key", func() (string, error) {
		key := make([]byte, evidence.KeySize)
		_, err := rand.Read(key)
		return base64.StdEncoding.EncodeToString(key), err
	})
	if err != nil {
		return fmt.Errorf("key for evidence links: %w", err)
	}
	a.signer = &evidence.Signer{BaseURL: a.cfg.Server.ExternalURL, TTL: time.Duration(a.cfg.Server.EvidenceLinkTTL)}
	a.signer.Key, err = base64.StdEncoding.DecodeString(key)
	return err
}

func (a *app) openTraceIndex(context.Context) (err error) {
	a.traceIndex, err = openTraceIndex(&a.cfg.Traces)
	return err
}

func (a *app) openLive(context.Context) error {
	s, err := a.load(a.cfg)
	if err == nil {
		a.live.current.Store(s)
	}
	return err
}

// wire makes the parts that work on the database.
func (a *app) wire(context.Context) error {
	replica, err := replicaID()
	if err != nil {
		return err
	}
	parent := a.parent()
	a.committer = receive.NewGroupCommitter(receive.GroupOptions{Committer: a.db, Log: a.log, Registerer: a.registry})
	a.correlator = incident.New(incident.Options{
		Store:        a.db,
		Settings:     func() incident.Settings { return a.live.get().incidents() },
		Playbook:     func(l triage.Labels) (string, bool) { return a.live.get().playbookFor(l) },
		Destinations: func(l triage.Labels) []triage.Destination { return a.live.get().destinations(l) },
		Parent:       parent,
		Log:          a.log,
		Registerer:   a.registry,
	})
	run := runner.New(runner.Options{
		Store:       a.db,
		Bundles:     a.bundles,
		Redact:      a.redact,
		Playbook:    func(name string) *playbook.Playbook { return a.live.get().playbook(name) },
		Services:    func() map[string]string { return a.live.get().services },
		Replies:     func(l triage.Labels) runner.Replies { return a.live.get().replies(l) },
		Parent:      parent,
		EvidenceURL: a.signer.URL,
		EditEvery:   func() time.Duration { return a.live.get().incidents().EditEvery },
		Log:         a.log,
		Registerer:  a.registry,
	})
	if err := a.openCommands(); err != nil {
		return err
	}
	jobs := store.JobsOptions{
		ReplicaID: replica, Run: run.Execute, Publish: run.Publish, Index: run.PublishIndex, Silence: a.silences.Work, Log: a.log,
	}
	if a.maintenance != nil {
		jobs.Window = a.maintenance.Work
	}
	a.jobs, err = a.db.NewJobs(jobs)
	if err != nil {
		return err
	}
	return a.openOutbox(replica)
}

// replicaID is unique among all processes that ever share a database.
func replicaID() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("this machine's name: %w", err)
	}
	return host + "-" + strings.ToLower(rand.Text()[:10]), nil
}

// redact masks secrets in text that is posted.
func (a *app) redact(text string) string {
	out, _ := a.redactor.RedactString(text)
	return out
}

func (a *app) listen(ctx context.Context) (err error) {
	var lc net.ListenConfig
	if a.listener, err = lc.Listen(ctx, "tcp", a.cfg.Server.Listen); err != nil {
		return fmt.Errorf("server.listen: %w", err)
	}
	return nil
}

// url is where this process is reached on this machine.
func (a *app) url() string { return listenURL(a.listener, a.cfg.Server.WebConfigFile != "") }

const jobGrace = 10 * time.Second // for runs under way at the end; the rest is worked at the next start

// run works until ctx ends or a part fails. Then the webhook stops first, so
// that nothing is accepted that is not written; the rest follows.
func (a *app) run(ctx context.Context) error {
	handler, err := a.routes()
	if err != nil {
		return err
	}
	poller, every, err := a.poller()
	if err != nil {
		return err
	}
	parts, partsCtx := errgroup.WithContext(context.WithoutCancel(ctx))
	partsCtx, stop := context.WithCancel(partsCtx)
	defer stop()
	parts.Go(func() error { return a.committer.Run(partsCtx) })
	parts.Go(func() error { return a.correlator.Run(partsCtx) })
	parts.Go(func() error { return a.correlator.RunSweeper(partsCtx) })
	parts.Go(func() error { return poller.Run(partsCtx, every) })
	parts.Go(func() error { return a.jobs.Run(partsCtx, jobGrace) })
	parts.Go(func() error { return a.outbox.Run(partsCtx) })
	if a.maintenance != nil {
		parts.Go(func() error { return a.maintenance.Run(partsCtx) })
	}
	if a.traceIndex != nil {
		indexer := tracelog.NewIndexer(tracelog.IndexerOptions{
			Index: a.traceIndex, Files: func() *tracelog.Files { return a.live.get().traceLogs },
			Every: time.Duration(a.cfg.Traces.Index.Every), Log: a.log, Registerer: a.registry,
		})
		parts.Go(func() error { return indexer.Run(partsCtx) })
	}
	if a.inbound != nil {
		parts.Go(func() error { return a.inbound.Run(partsCtx) })
	}
	if a.local != nil {
		parts.Go(func() error { return a.local.run(partsCtx) })
	} else {
		parts.Go(func() error { a.greetSlack(partsCtx); return nil })
	}
	web, webCtx := errgroup.WithContext(ctx)
	web.Go(func() error { return a.serveHTTP(webCtx, a.listener, handler) })
	web.Go(func() error {
		select { // a part that fails takes the server down with it
		case <-partsCtx.Done():
			return context.Cause(partsCtx)
		case <-webCtx.Done():
			return nil
		}
	})
	err = web.Wait()
	stop()
	return errors.Join(err, parts.Wait())
}

// close gives back what newApp opened.
func (a *app) close() error {
	var errs []error
	if a.listener != nil {
		if err := a.listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	errs = append(errs, a.closeChannels())
	if a.bundles != nil {
		errs = append(errs, a.bundles.Close())
	}
	if a.traceIndex != nil {
		errs = append(errs, a.traceIndex.Close())
	}
	if a.db != nil {
		errs = append(errs, a.db.Close())
	}
	return errors.Join(errs...)
}
