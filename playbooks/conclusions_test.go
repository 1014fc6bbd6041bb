package playbooks_test

import (
	"slices"
	"strings"
	"testing"

	"triagebot/triage"
	"triagebot/triage/playbook"
)

// found is a step's finding in a test.
type found struct {
	verdict triage.Verdict
	vars    map[string]any
}

// conclude has a shipped playbook weigh findings; steps without one are normal.
func conclude(t *testing.T, name string, findings map[string]found) triage.Conclusion {
	t.Helper()
	p := load(t).ByName(name)
	steps := map[string]playbook.StepData{}
	for _, s := range p.Steps {
		f, given := findings[s.ID]
		if !given {
			f.verdict = triage.VerdictNormal
		}
		steps[s.ID] = playbook.StepData{Verdict: f.verdict, Headline: s.ID + " says so", Vars: f.vars}
	}
	return p.Conclude(&playbook.Data{Inputs: map[string]string{"route": "/v1"}, Steps: steps})
}

// changed is what the step `changes` has of a deploy and of a flag, each so many
// seconds before the onset; -1 for none.
func changed(deploy, flag float64) found {
	vars := map[string]any{"deploys": 0.0, "deploy_s": deploy, "deploy": "", "flags": 0.0, "flag_s": flag, "flag": "", "nearest": "the nearest"}
	f := found{triage.VerdictNormal, vars}
	if deploy >= 0 {
		f.verdict, vars["deploys"], vars["deploy"] = triage.VerdictAbnormal, 1.0, "version 1 → 2"
	}
	if flag >= 0 {
		f.verdict, vars["flags"], vars["flag"] = triage.VerdictAbnormal, 1.0, "flag new_scheduler 0 → 1"
	}
	return f
}

// TestADeployIsBlamedOnlyForWhatFollowsIt: what began an hour after a deploy did
// not come with it, and a flag is no deploy, though it be nearer.
func TestADeployIsBlamedOnlyForWhatFollowsIt(t *testing.T) {
	abnormal := found{verdict: triage.VerdictAbnormal}
	crash := found{triage.VerdictAbnormal, map[string]any{"top": "segfault in tokenizer", "telling": "segfault in tokenizer", "events": 6.0, "top_events": 6.0}}
	request := found{triage.VerdictAbnormal, map[string]any{"id": "req_1", "status": 502.0, "error": "reset", "outcome": "backend_error", "worker_exits": 0.0}}
	streams := found{triage.VerdictAbnormal, map[string]any{"bad": 2.0, "requests": 5.0, "sequence": "chunk 2 came twice"}}
	for name, findings := range map[string]map[string]found{
		"error-rate":          {"backend-share": abnormal, "error-ratio": abnormal, "failing-request": request},
		"worker-restarts":     {"restarts": abnormal, "exits": crash},
		"latency-slo-breach":  {"p95": abnormal, "recorded-baseline": abnormal, "slow-request": request},
		"tool-buffer-anomaly": {"anomaly": abnormal, "streams": streams},
	} {
		t.Run(name, func(t *testing.T) {
			findings["changes"] = changed(600, 30)
			c := conclude(t, name, findings)
			if c.Explanation != "bad-deploy" || !slices.Contains(c.For, "version 1 → 2") || strings.Contains(c.Sentence(), "new_scheduler") {
				t.Errorf("a deploy 10 minutes before, and then a flag: %s", c.Sentence())
			}
			findings["changes"] = changed(3000, 30)
			if c = conclude(t, name, findings); c.Explanation == "bad-deploy" {
				t.Errorf("a deploy 50 minutes before: %s", c.Sentence())
			}
			findings["changes"] = changed(-1, 30)
			if c = conclude(t, name, findings); c.Explanation == "bad-deploy" {
				t.Errorf("no deploy: %s", c.Sentence())
			}
		})
	}
}

// TestOnlyAnEngineThatSpeaksOfMemoryHasRunOutOfIt: whatever kills a worker with
// SIGKILL makes its exit code 137, as a supervisor does with one that hangs.
func TestOnlyAnEngineThatSpeaksOfMemoryHasRunOutOfIt(t *testing.T) {
	for telling, want := range map[string]string{
		"exit code 137: engine transport closed":                                             "crash",
		"exit code 137: engine transport closed; memory limit: rss 2.1GiB over 2GiB, killed": "out-of-memory",
		"fatal: Out of memory":                      "out-of-memory",
		"kernel: oom-kill: constraint=MEMCG":        "out-of-memory",
		"exit code 1; no room left in queue 137":    "crash",
		"liveness probe failed; exit code 137":      "crash",
		"OOM":                                       "out-of-memory",
		"heartbeat ok: rss 1180MiB of 2048MiB used": "crash",
	} {
		exits := found{triage.VerdictAbnormal, map[string]any{"top": "the top", "telling": telling, "events": 6.0, "top_events": 6.0}}
		c := conclude(t, "worker-restarts", map[string]found{"restarts": {verdict: triage.VerdictAbnormal}, "exits": exits, "changes": changed(-1, -1)})
		if c.Explanation != want {
			t.Errorf("%s: %s, want %s", telling, c.Sentence(), want)
		}
	}
}

// TestAQueueIsBlamedOnTrafficOnlyWhereThereIsMoreOfIt: a slow backend makes a
// queue as well, of as many requests as ever.
func TestAQueueIsBlamedOnTrafficOnlyWhereThereIsMoreOfIt(t *testing.T) {
	for _, tc := range []struct {
		traffic found
		want    string
	}{
		{found{triage.VerdictAbnormal, map[string]any{"value": 96.0, "baseline": 32.0}}, "overload"},
		{found{triage.VerdictNormal, map[string]any{"value": 33.0, "baseline": 32.0}}, "held-workers"},
		{found{triage.VerdictNormal, map[string]any{"value": 40.0, "baseline": 32.0}}, ""}, // enough of them to be it, or not
		{found{triage.VerdictUnknown, map[string]any{"value": 33.0}}, ""},
	} {
		c := conclude(t, "latency-slo-breach", map[string]found{
			"p95": {verdict: triage.VerdictAbnormal}, "recorded-baseline": {verdict: triage.VerdictAbnormal},
			"queue": {verdict: triage.VerdictAbnormal}, "traffic": tc.traffic, "changes": changed(-1, -1),
			"slow-request": {triage.VerdictNormal, map[string]any{"worker_exits": 0.0}},
		})
		if c.Explanation != tc.want {
			t.Errorf("traffic is %+v: %s, want %s", tc.traffic, c.Sentence(), tc.want)
		}
	}
}

// TestTheConclusionSaysThatSomebodyWasToldOnlyWhereThatIsSo: without contacts,
// and in a drill, an escalation tells nobody.
func TestTheConclusionSaysThatSomebodyWasToldOnlyWhereThatIsSo(t *testing.T) {
	abnormal := found{verdict: triage.VerdictAbnormal}
	for contacts, want := range map[float64]string{0: "tell the on-call; ", 2: "the on-call has been told; "} {
		c := conclude(t, "latency-slo-breach", map[string]found{
			"backoff": abnormal, "recorded-baseline": abnormal, "changes": changed(-1, -1),
			"page":         {triage.VerdictNormal, map[string]any{"to": "oncall", "contacts": contacts}},
			"slow-request": {triage.VerdictNormal, map[string]any{"worker_exits": 0.0}},
		})
		if c.Explanation != "worker-backoff" || !strings.HasPrefix(c.Next, want) {
			t.Errorf("%v contacts: %s", contacts, c.Sentence())
		}
	}
}
