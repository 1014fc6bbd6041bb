//go:build e2e

// What the shipped playbooks conclude: for each fault its cause, for a healthy
// service nothing, and for a fault whose logs are withheld that it cannot tell.

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triagebot/cmd/demo/codexsim"
	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage"
	"triagebot/triage/store"
)

// quick has each firing open an incident of its own.
func (s *story) quick(t *testing.T) {
	t.Helper()
	s.configure(t, 0)
	config, err := os.ReadFile(filepath.Join(s.botDir(), "triagebot.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, s.botDir(), "triagebot.yaml", strings.Replace(string(config), "reopen_within: 15m", "reopen_within: 1s", 1)+`
escalation:
  oncall: [{notifier: slack, channel: "#`+channelName+`"}]
`)
	s.serve()
}

// healthy waits until the latency has a baseline, and sees that nothing fired
// on the way there.
func (s *story) healthy(t *testing.T) {
	t.Helper()
	s.until(t, "the latency has a recorded baseline", func() error {
		return s.holds(`route:codex_http_latency_ms:p95_baseline{route="/v1/chat/completions"}`)
	})
	if threads := s.slack.Channel(channelName); len(threads) > 0 {
		t.Fatalf("a healthy service fills the channel:\n%s", s.channelText())
	}
}

// latest is the newest thread about an alert.
func (s *story) latest(alertname string) (slacklocal.Thread, error) {
	var found slacklocal.Thread
	for _, t := range s.slack.Channel(channelName) {
		if strings.Contains(t.Text, ", "+alertname+", is ") {
			found = t
		}
	}
	if found.TS == "" {
		return found, fmt.Errorf("there is no thread about %s", alertname)
	}
	return found, nil
}

// concludes waits for the last word about an alert.
func (s *story) concludes(t *testing.T, alertname string) (said string, thread slacklocal.Thread) {
	t.Helper()
	s.until(t, alertname+" comes to a conclusion", func() error {
		var err error
		if thread, err = s.latest(alertname); err != nil {
			return err
		}
		for _, reply := range thread.Replies {
			if strings.HasPrefix(reply.Text, "Conclusion on incident") {
				said = reply.Text
			}
		}
		if said == "" || !strings.Contains(thread.Text, ", is firing") {
			return fmt.Errorf("the thread has no conclusion yet: %s", thread.Text)
		}
		return nil
	})
	return said, thread
}

func (s *story) over(t *testing.T, alertname string) {
	t.Helper()
	s.until(t, alertname+" is resolved", func() error {
		thread, err := s.latest(alertname)
		if err == nil && !strings.Contains(thread.Text, ", is resolved.") && !strings.Contains(thread.Text, ", is closed.") {
			err = fmt.Errorf("the parent says %s", thread.Text)
		}
		return err
	})
}

// told is what the thread about a fault has to tell.
type told struct {
	fault      codexsim.Fault
	alertname  string
	conclusion string                    // which names the fault
	steps      map[string]triage.Verdict // what the runbook asks for, by the findings' titles
}

// Faults that make requests fail have a world each: rates over minutes would
// show the errors of the one before.
func TestEachFaultIsNamed(t *testing.T) {
	const latency, panel = "CodexLatencySLOBreach", "Panel Worker Restarts and Backoff"
	const good, bad = triage.VerdictNormal, triage.VerdictAbnormal
	const either = "" // of five real minutes, of which the fault lasts seconds
	for name, faults := range map[string][]told{
		"slow, crashing, damaged": {
			{codexsim.Slow, latency, "Most likely: workers back off", map[string]triage.Verdict{
				"p95 against its recorded baseline": bad, "Panel Latency p95/p99": bad, panel: bad, "A slow request, from log to log": good, "Worker backoff": bad, "/readyz": bad, "Escalate to on-call": good,
			}},
			{codexsim.Restarts, restartsAlert, "Most likely: workers run out of memory", map[string]triage.Verdict{
				"Restarts in 10 minutes": bad, panel: bad, "Engine logs around exits": bad, "Backoff against its policy": good, "/readyz": bad, "/metrics": good, "Escalate to on-call": good,
			}},
			{codexsim.ToolBuffer, "CodexToolBufferAnomaly", "Most likely: a setting is off", map[string]triage.Verdict{
				"Panel Tool Buffer": bad, "Tool-call settings": bad, "Recent tool calls, chunk by chunk": bad,
			}},
		},
		"backend": {{codexsim.Errors, errorsAlert, "Most likely: the backend fails requests", map[string]triage.Verdict{
			"Error ratio": either, "Panel Error Ratio": either, "/readyz": good, "A failing request, from log to log": bad, "Share of backend errors": bad, "Share of maintenance answers": good, "Maintenance flag": good,
		}}},
		"bad deploy": {{codexsim.Deploy, errorsAlert, "Most likely: a deploy brought backend errors", map[string]triage.Verdict{"What changed before": bad, "Share of backend errors": bad}}},
		"maintenance": {{codexsim.Maintenance, "CodexMaintenanceEnabled", "Most likely: the maintenance flag is on although the service is ready", map[string]triage.Verdict{
			"Maintenance flag": bad, "Panel Maintenance flag": bad, "/readyz": good, "A refused request, from log to log": good,
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is waiting for Prometheus and Alertmanager
			s := newStory(t)
			s.healthy(t)
			for _, want := range faults {
				s.tells(t, want)
			}
			if faults[0].fault == codexsim.Maintenance {
				if said, _ := s.concludes(t, errorsAlert); !strings.Contains(said, "Most likely: the service is in maintenance") {
					t.Errorf("of the errors it concludes %q", said)
				}
			}
			for _, want := range faults {
				s.fault(t, want.fault, false)
				s.over(t, want.alertname)
			}
			if t.Failed() {
				t.Logf("the channel shows\n%s", s.channelText())
			}
		})
	}
}

// newStory is a world with triagebot in it, on SQLite: the databases are alike
// to playbooks.
func newStory(t *testing.T) *story {
	t.Helper()
	s := &story{world: newWorld(t, store.Options{SQLitePath: filepath.Join(t.TempDir(), "triagebot.db")}), whole: t}
	s.quick(t)
	return s
}

// tells switches a fault on and reads the thread that it causes.
func (s *story) tells(t *testing.T, want told) {
	t.Helper()
	s.fault(t, want.fault, true)
	said, thread := s.concludes(t, want.alertname)
	number, _, _ := strings.Cut(strings.TrimPrefix(said, "Conclusion on incident "), ":")
	if !strings.Contains(said, want.conclusion) {
		t.Errorf("of %s it concludes %q; want %q", want.fault, said, want.conclusion)
	}
	for title, verdict := range want.steps {
		if !strings.Contains(replyTexts(thread), fmt.Sprintf("Step %s of incident %s is %s", title, number, verdict)) {
			t.Errorf("of %s there is no %s finding about %s in\n%s", want.fault, verdict, title, replyTexts(thread))
		}
	}
}

func TestTwoFaultsAtOnceHaveTwoThreads(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.fault(t, codexsim.ToolBuffer, true)
	s.fault(t, codexsim.Restarts, true)
	restarts, _ := s.concludes(t, restartsAlert)
	buffers, _ := s.concludes(t, "CodexToolBufferAnomaly")
	if !strings.Contains(restarts, "workers run out of memory") || !strings.Contains(buffers, "a setting is off") {
		t.Errorf("one concludes %q, the other %q", restarts, buffers)
	}
	for _, alertname := range []string{restartsAlert, "CodexToolBufferAnomaly"} {
		if _, err := s.thread(alertname); err != nil {
			t.Error(err)
		}
	}
}

// The metrics show that workers restart; only the engine's log says why.
func TestAFaultWhoseLogsAreWithheldIsNotNamed(t *testing.T) {
	t.Parallel()
	s := &story{world: newWorld(t, store.Options{SQLitePath: filepath.Join(t.TempDir(), "triagebot.db")}), whole: t}
	s.fault(t, codexsim.LogsOff, true)
	s.quick(t)
	s.fault(t, codexsim.Restarts, true)
	said, thread := s.concludes(t, restartsAlert)
	if !strings.Contains(said, "Cause unclear: too much is not known") || !strings.Contains(said, "Engine logs around exits") {
		t.Errorf("it concludes %q\n%s", said, replyTexts(thread))
	}
}
