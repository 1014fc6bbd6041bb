// The notifiers and the outbox that feeds them; and, without a Slack token,
// the local channel.

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/sirupsen/logrus"

	"triagebot/cmd/config"
	"triagebot/notifiers"
	"triagebot/notifiers/outbox"
	"triagebot/notifiers/slack"
	"triagebot/notifiers/slack/inbound"
	"triagebot/notifiers/slack/slacklocal"
	"triagebot/notifiers/webhook"
	"triagebot/triage/incident"
	"triagebot/triage/store"
)

// channels are the ways out of the program.
type channels struct {
	slack     *slack.Notifier
	local     *localChannel // nil when a Slack token is configured
	outbox    *outbox.Outbox
	notifiers map[string]notifiers.Notifier
	pace      map[string]store.Pace
}

func (a *app) openChannels(context.Context) error {
	a.notifiers, a.pace = map[string]notifiers.Notifier{}, map[string]store.Pace{}
	opts := slack.Options{
		Token: string(a.cfg.Slack.Token), APIURL: a.cfg.Slack.APIURL, FallbackChannel: a.cfg.Slack.FallbackChannel,
		HTTPClient: &http.Client{Timeout: time.Duration(a.cfg.Slack.Timeout)},
		Open:       a.bundles.Open, Log: a.log, Registerer: a.registry,
	}
	if opts.Token == "" {
		local, err := newLocalChannel(a.cfg.Slack.Local.Listen, a.cfg.Slack.Local.Journal, slackChannels(a.cfg))
		if err != nil {
			return err
		}
		a.local = local
		opts.Token, opts.APIURL = localToken, local.url()+"/api/"
	} else {
		a.pace[config.NotifierSlack] = outbox.SlackPace()
	}
	var err error
	if a.slack, err = slack.New(opts); err != nil {
		return err
	}
	a.notifiers[config.NotifierSlack] = a.slack
	for _, w := range a.cfg.Webhooks {
		opts := webhook.Options{Name: w.Name, URL: string(w.URL), HTTPClient: *w.HTTPConfig, Timeout: time.Duration(w.Timeout)}
		if w.URLFile != "" {
			opts.URL, opts.URLFile = "", w.URLFile
		}
		if a.notifiers[w.Name], err = webhook.New(opts); err != nil {
			return err
		}
	}
	return nil
}

// slackChannels are the channels that routes, contacts and maintenance name, for the local channel to have.
func slackChannels(cfg *config.Config) (names []string) {
	for _, r := range cfg.Routes {
		if r.Notifier == config.NotifierSlack {
			names = append(names, strings.TrimPrefix(r.Channel, "#"))
		}
	}
	for _, contacts := range cfg.Escalation {
		for _, c := range contacts {
			if c.Notifier == config.NotifierSlack {
				names = append(names, strings.TrimPrefix(c.Channel, "#"))
			}
		}
	}
	if m := cfg.Maintenance; m != nil && m.Notifier == config.NotifierSlack {
		names = append(names, strings.TrimPrefix(m.Channel, "#"))
	}
	if f := cfg.Slack.FallbackChannel; f != "" {
		names = append(names, strings.TrimPrefix(f, "#"))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (a *app) openOutbox(replica string) (err error) {
	owner := replica
	if a.cfg.Storage.Postgres == nil {
		owner = "sqlite" // the file's lock admits one process: it gets its lanes back at once
	}
	a.outbox, err = outbox.New(outbox.Options{
		Store: a.db, Notifiers: a.notifiers, Owner: owner, Pace: a.pace, Log: a.log, Registerer: a.registry,
	})
	return err
}

// greetSlack has what is wrong with the token said at the start, not at the
// first message.
func (a *app) greetSlack(ctx context.Context) {
	if err := a.slack.Check(ctx); err != nil && ctx.Err() == nil {
		a.log.WithError(err).Warn("Slack does not take triagebot's greeting; messages wait in the outbox")
	}
}

func (a *app) closeChannels() error {
	if a.local == nil {
		return nil
	}
	return a.local.close()
}

// poller asks the configured Alertmanagers which alerts they have, and says how
// often it is to ask. All that are polled are asked together, for an incident
// is over only when none of them has its alerts any more.
func (a *app) poller() (*incident.Poller, time.Duration, error) {
	listers := map[string]incident.Lister{}
	every := time.Duration(0)
	for _, am := range a.cfg.Alertmanagers {
		if am.PollInterval == 0 {
			a.log.WithField("alertmanager", am.Name).Info("is not polled: its poll_interval is 0s; its incidents end by resolves and alert_ttl")
			continue
		}
		every = max(every, time.Duration(am.PollInterval))
		client, err := alertmanagerClient(am)
		if err != nil {
			return nil, 0, err
		}
		listers[am.Name] = incident.AlertmanagerAPI{Client: client}
	}
	poller := incident.NewPoller(a.correlator, listers)
	poller.Answers = answersFor(a.cfg.Alertmanagers)
	poller.Configured = func(externalURL string) bool {
		return slices.ContainsFunc(a.cfg.Alertmanagers, func(am config.Alertmanager) bool {
			return am.Sends(externalURL)
		})
	}
	for _, name := range slices.Sorted(maps.Keys(listers)) {
		whose := "those that came from its external_url"
		if poller.Answers == nil {
			whose = "all, for no external_url tells them apart"
		}
		a.log.WithFields(logrus.Fields{"alertmanager": name, "every": every, "incidents": whose}).Info("is polled for what still fires")
	}
	return poller, every, nil
}

// answersFor says which incidents the polled Alertmanagers answer for: those
// that came from one of them, by its external URL. Where all are polled and none
// is given an external URL, that cannot be told, and they answer for all: the
// result is then nil.
func answersFor(ams []config.Alertmanager) func(externalURL string) bool {
	tellable := slices.ContainsFunc(ams, func(am config.Alertmanager) bool {
		return am.PollInterval == 0 || am.ExternalURL != ""
	})
	if !tellable {
		return nil
	}
	return func(externalURL string) bool {
		return slices.ContainsFunc(ams, func(am config.Alertmanager) bool {
			return am.PollInterval > 0 && am.Sends(externalURL)
		})
	}
}

// localToken is what the Slack notifier shows the local channel. It is no
// secret: the channel listens on loopback and guards nothing.
const localToken = "xoxb-local"

// localChannel is the Slack workspace inside the process.
type localChannel struct {
	workspace *slacklocal.Workspace
	listener  net.Listener
	routes    *mux.Router // the workspace's, and where it sends what people do
}

func newLocalChannel(listen, journal string, names []string) (*localChannel, error) {
	listener, err := slacklocal.ListenLocal(listen)
	if err != nil {
		return nil, fmt.Errorf("slack.local.listen: %w", err)
	}
	workspace, err := slacklocal.New(slacklocal.Options{Journal: journal, Channels: names, Token: localToken})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return &localChannel{workspace, listener, mux.NewRouter()}, nil
}

// listen has what people do in the channel come in as from Slack: over HTTP and
// signed, with a secret of this process only.
func (l *localChannel) listen(opts inbound.Options) (*inbound.Inbound, error) {
	opts.SigningSecret, opts.APIURL = rand.Text(), l.url()+"/api/"
	in, err := inbound.New(opts)
	if err != nil {
		return nil, err
	}
	in.Register(l.routes)
	return in, l.workspace.SetApp(&slacklocal.App{
		CommandsURL: l.url() + inbound.CommandsPath, InteractionsURL: l.url() + inbound.InteractionsPath,
		EventsURL: l.url() + inbound.EventsPath, SigningSecret: opts.SigningSecret,
	})
}

func (l *localChannel) url() string { return "http://" + l.listener.Addr().String() }

// run serves the workspace until ctx ends.
func (l *localChannel) run(ctx context.Context) error {
	l.routes.PathPrefix("/").Handler(l.workspace.Handler())
	server := &http.Server{Handler: l.routes, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: idleTimeout}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l.listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("local channel: %w", err)
	case <-ctx.Done():
	}
	err := l.workspace.Close() // ends the live pages, so that Shutdown has nothing to wait for
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err = errors.Join(err, server.Shutdown(drain))
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func (l *localChannel) close() error {
	err := l.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, l.workspace.Close())
}
