// The ways out: the notifiers and the outbox that feeds them.

package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"triagebot/cmd/config"
	"triagebot/notifiers"
	"triagebot/notifiers/outbox"
	"triagebot/notifiers/slack"
	"triagebot/notifiers/webhook"
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
