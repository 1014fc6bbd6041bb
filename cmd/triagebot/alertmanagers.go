// The configured Alertmanagers: which alerts they still have, and who of them
// silences what.

package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/go-openapi/strfmt"
	amclient "github.com/prometheus/alertmanager/api/v2/client"
	promconfig "github.com/prometheus/common/config"
	"github.com/sirupsen/logrus"

	httptransport "github.com/go-openapi/runtime/client"

	"triagebot/cmd/config"
	"triagebot/triage"
	"triagebot/triage/incident"
	"triagebot/triage/silence"
)

// alertmanagerClient is the client of an Alertmanager's API.
func alertmanagerClient(am config.Alertmanager) (*amclient.AlertmanagerAPI, error) {
	client, err := promconfig.NewClientFromConfig(*am.HTTPConfig, "alertmanager "+am.Name)
	if err != nil {
		return nil, fmt.Errorf("alertmanager %s: %w", am.Name, err)
	}
	client.Timeout = 10 * time.Second
	u, err := url.Parse(am.URL)
	if err != nil {
		return nil, fmt.Errorf("alertmanager %s: %w", am.Name, err)
	}
	return amclient.New(httptransport.NewWithClient(u.Host, u.JoinPath("/api/v2").Path, []string{u.Scheme}, client), strfmt.Default), nil
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

// silencers are the Alertmanagers by name, to be asked for silences.
func (a *app) silencers() (map[string]silence.Alertmanager, error) {
	silencers := map[string]silence.Alertmanager{}
	for _, am := range a.cfg.Alertmanagers {
		client, err := alertmanagerClient(am)
		if err != nil {
			return nil, err
		}
		silencers[am.Name] = silence.API{Client: client, ExternalURL: cmp.Or(am.ExternalURL, am.URL)}
	}
	return silencers, nil
}

// silencer is the Alertmanager that an incident came from, or the only one.
func (a *app) silencer(inc triage.Incident) (string, bool) {
	for _, am := range a.cfg.Alertmanagers {
		if am.Sends(inc.ExternalURL) {
			return am.Name, true
		}
	}
	if len(a.cfg.Alertmanagers) == 1 && a.cfg.Alertmanagers[0].ExternalURL == "" {
		return a.cfg.Alertmanagers[0].Name, true
	}
	return "", false
}
