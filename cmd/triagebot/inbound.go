// How people in Slack are heard.

package main

import (
	"context"
	"net/http"
	"time"

	"triagebot/notifiers/slack/inbound"
	"triagebot/triage"
)

// newInbound makes the way in for people in Slack, whose requests do carries
// out; nil where neither of its two secrets is configured. Its Run works until
// its context ends, Register adds its paths to the server's, and Warning is for
// readiness.
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
