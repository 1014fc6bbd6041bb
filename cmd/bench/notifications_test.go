// Notifications as Alertmanager posts them.

package bench

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"triagebot/triage"
)

// groups is how many groups the notifications of a load are about.
const groups = 200

// groupBodies are the notifications of as many groups, of so many alerts each.
func groupBodies(tb testing.TB, groups, alerts int) [][]byte {
	tb.Helper()
	bodies := make([][]byte, groups)
	for g := range groups {
		group := triage.Labels{"alertname": "Plain", "group": fmt.Sprintf("g%d", g)}
		list := make([]triage.Alert, alerts)
		for i := range list {
			list[i] = firing(group, triage.Labels{
				"instance": fmt.Sprintf("app-%d:8080", i), "job": "codex", "route": "/v1/chat/completions", "severity": "critical",
			})
		}
		bodies[g] = body(tb, group, list)
	}
	return bodies
}

// firing is an alert that fires now.
func firing(group, more triage.Labels) triage.Alert {
	labels, set := triage.Labels{}, model.LabelSet{}
	for _, from := range []triage.Labels{group, more} {
		for name, value := range from {
			labels[name] = value
			set[model.LabelName(name)] = model.LabelValue(value)
		}
	}
	return triage.Alert{
		Status: triage.AlertFiring, Fingerprint: set.Fingerprint().String(), Labels: labels,
		StartsAt: time.Now().UTC().Truncate(time.Millisecond),
		Annotations: triage.Labels{
			"summary":     "p95 latency 412 ms on /v1/chat/completions",
			"description": "p95 has been over its objective for 5 minutes.",
		},
		GeneratorURL: "http://prometheus.example/graph?g0.expr=up&g0.tab=1",
	}
}

// body is the notification of one group, in Alertmanager's JSON.
func body(tb testing.TB, group triage.Labels, alerts []triage.Alert) []byte {
	tb.Helper()
	data, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": "{}:" + group.String(), "truncatedAlerts": 0, "receiver": "triage",
		"status": alerts[0].Status, "alerts": alerts, "groupLabels": group,
		"commonLabels": group, "commonAnnotations": alerts[0].Annotations, "externalURL": "http://alertmanager.example",
	})
	if err != nil {
		tb.Fatal(err)
	}
	return data
}
