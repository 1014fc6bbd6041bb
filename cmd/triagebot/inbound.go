// What people do in Slack, on its way to the command core: by HTTP, by Socket
// Mode, or in the local channel.

package main

import (
	"net/http"
	"time"

	"triagebot/notifiers/slack/inbound"
)

// openInbound has what people do in Slack reach the core. Without a signing
// secret and an app token nobody there is listened to, and nothing is offered.
func (a *app) openInbound() (err error) {
	slack := a.cfg.Slack
	opts := inbound.Options{
		Do: a.commands.Do, Refused: a.commands.Refused, Workspace: a.slack, HTTPClient: &http.Client{Timeout: time.Duration(slack.Timeout)},
		Log: a.log, Registerer: a.registry,
	}
	switch {
	case a.local != nil:
		a.inbound, err = a.local.listen(opts)
	case slack.SigningSecret != "" || slack.AppToken != "":
		opts.SigningSecret, opts.AppToken, opts.APIURL = string(slack.SigningSecret), string(slack.AppToken), slack.APIURL
		a.inbound, err = inbound.New(opts)
	}
	return err
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
