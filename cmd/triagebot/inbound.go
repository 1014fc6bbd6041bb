// What people do in Slack, on its way to the command core: by HTTP, by Socket
// Mode, or in the local channel.

package main

import (
	"context"
	"net/http"
	"time"

	"triagebot/notifiers/slack/inbound"
	"triagebot/triage"
)

// openInbound has what people do in Slack reach the core. Without a signing
// secret and an app token nobody there is listened to, and nothing is offered.
func (a *app) openInbound() (err error) {
	if a.local != nil {
		a.inbound, err = a.local.listen(inbound.Options{Do: a.commands.Do, Workspace: a.slack, Log: a.log, Registerer: a.registry})
		return err
	}
	a.inbound, err = a.newInbound(a.commands.Do)
	return err
}

// newInbound makes the way in for people in Slack, whose requests do carries
// out; nil where neither of its two secrets is configured.
func (a *app) newInbound(do func(ctx context.Context, r triage.Request) triage.Reply) (*inbound.Inbound, error) {
	s := &a.cfg.Slack
	if s.SigningSecret == "" && s.AppToken == "" {
		return nil, nil
	}
	return inbound.New(inbound.Options{
		Do: do, Workspace: a.slack, SigningSecret: string(s.SigningSecret), AppToken: string(s.AppToken),
		APIURL: s.APIURL, HTTPClient: &http.Client{Timeout: time.Duration(s.Timeout)},
		Log: a.log, Registerer: a.registry,
	})
}

// slackWarnings say what is wrong with Slack, each in a sentence.
func (a *app) slackWarnings() (out []string) {
	if warning := a.slack.Warning(); warning != "" {
		out = append(out, warning)
	}
	if a.inbound != nil {
		if warning := a.inbound.Warning(); warning != "" {
			out = append(out, warning)
		}
	}
	return out
}
