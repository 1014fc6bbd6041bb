package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	logrustest "github.com/sirupsen/logrus/hooks/test"

	"triagebot/cmd/config"
)

func TestTheStartSaysWhichAlertmanagersArePolled(t *testing.T) {
	am := func(name, external string, every time.Duration) config.Alertmanager {
		return config.Alertmanager{
			Name: name, URL: "http://" + name + ".internal:9093", ExternalURL: external,
			HTTPConfig: &promconfig.HTTPClientConfig{}, PollInterval: model.Duration(every),
		}
	}
	log, hook := logrustest.NewNullLogger()
	a := &app{log: log, cfg: &config.Config{Alertmanagers: []config.Alertmanager{
		am("eu", "https://eu.example", time.Minute), am("us", "https://us.example", 0), am("asia", "https://asia.example", 2*time.Minute),
	}}}
	poller, every, err := a.poller()
	if err != nil || every != 2*time.Minute {
		t.Fatalf("polls every %s (%v), want the longest of those that are polled", every, err)
	}
	said := map[any]string{}
	for _, e := range hook.AllEntries() {
		said[e.Data["alertmanager"]], _, _ = strings.Cut(e.Message, " polled")
	}
	if diff := cmp.Diff(map[any]string{"eu": "is", "us": "is not", "asia": "is"}, said); diff != "" {
		t.Errorf("polled (-want +got):\n%s", diff)
	}
	for url, want := range map[string]bool{"https://eu.example/": true, "https://us.example": true, "https://africa.example": false} {
		if got := poller.Configured(url); got != want {
			t.Errorf("%s is configured: %v, want %v", url, got, want)
		}
	}
}

func TestWhomThePolledAlertmanagersAnswerFor(t *testing.T) {
	am := func(name, external string, every time.Duration) config.Alertmanager {
		return config.Alertmanager{Name: name, URL: "http://" + name + ".internal:9093", ExternalURL: external, PollInterval: model.Duration(every)}
	}
	for name, tc := range map[string]struct {
		ams  []config.Alertmanager
		want map[string]bool
	}{
		"one without an external URL answers for all": {
			[]config.Alertmanager{am("a", "", time.Minute)}, map[string]bool{"http://anything": true},
		},
		"one whose external URL is its URL, and says so, answers for its own": {
			[]config.Alertmanager{am("a", "http://a.internal:9093", time.Minute)},
			map[string]bool{"http://a.internal:9093/": true, "http://anything": false},
		},
		"one without an external URL is known by its URL beside one that has one": {
			[]config.Alertmanager{am("eu", "https://eu.example", time.Minute), am("us", "", time.Minute)},
			map[string]bool{"https://eu.example": true, "http://us.internal:9093": true, "https://us.example": false},
		},
		"with external URLs each for its own": {
			[]config.Alertmanager{am("eu", "https://eu.example", time.Minute), am("us", "https://us.example", time.Minute)},
			map[string]bool{"https://eu.example": true, "https://us.example/": true, "https://asia.example": false},
		},
		"one that is not polled leaves its incidents alone": {
			[]config.Alertmanager{am("eu", "https://eu.example", time.Minute), am("us", "https://us.example", 0)},
			map[string]bool{"https://eu.example": true, "https://us.example": false},
		},
		"nothing is polled": {[]config.Alertmanager{am("eu", "", 0)}, map[string]bool{"http://eu.internal:9093": false}},
	} {
		t.Run(name, func(t *testing.T) {
			answers := answersFor(tc.ams)
			for url, want := range tc.want {
				if got := answers == nil || answers(url); got != want {
					t.Errorf("%s: %v, want %v", url, got, want)
				}
			}
		})
	}
}
