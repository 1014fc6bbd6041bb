package main

import (
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"triagebot/cmd/config"
)

func TestWhomThePolledAlertmanagersAnswerFor(t *testing.T) {
	am := func(name, external string, every time.Duration) config.Alertmanager {
		url := "http://" + name + ".internal:9093"
		if external == "" {
			external = url // as the configuration fills it in
		}
		return config.Alertmanager{Name: name, URL: url, ExternalURL: external, PollInterval: model.Duration(every)}
	}
	for name, tc := range map[string]struct {
		ams  []config.Alertmanager
		want map[string]bool
	}{
		"one without an external URL answers for all": {
			[]config.Alertmanager{am("a", "", time.Minute)}, map[string]bool{"http://anything": true},
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
