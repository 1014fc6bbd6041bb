// Notifications as Alertmanager posts them.

package bench

import (
	"fmt"
	"maps"
	"testing"

	"triagebot/cmd/internal/program"
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

// firing is an alert of a group that fires now.
func firing(group, more triage.Labels) triage.Alert {
	labels := maps.Clone(group)
	maps.Copy(labels, more)
	a := program.Firing(labels)
	a.Annotations = triage.Labels{
		"summary":     "p95 latency 412 ms on /v1/chat/completions",
		"description": "p95 has been over its objective for 5 minutes.",
	}
	return a
}

// body is the notification of one group.
func body(tb testing.TB, group triage.Labels, alerts []triage.Alert) []byte {
	tb.Helper()
	return program.Notification(tb, "http://alertmanager.example", group, alerts...)
}
