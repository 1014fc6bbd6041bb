package evidence

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
)

// minimumView is an incident with each part of the minimum set, or the reason
// why it is missing.
func minimumView() View {
	v := testView()
	v.Alerts = []triage.Alert{
		{Status: triage.AlertFiring, Labels: triage.Labels{"alertname": "CodexLatencySLOBreach", "route": "/v1/chat", "instance": "a|b", "password": "hunter2"}, StartsAt: testTime.Add(-time.Minute)},
		{Status: triage.AlertResolved, Labels: triage.Labels{"alertname": "CodexLatencySLOBreach", "route": "/v1/chat"}, StartsAt: testTime.Add(-time.Hour), EndsAt: testTime},
		{Status: triage.AlertResolved, Labels: triage.Labels{"alertname": "CodexLatencySLOBreach", "route": "/v1/chat"}, StartsAt: testTime.Add(-2 * time.Hour)},
	}
	v.Incident.Alerts = 5
	finding := func(step, kind, name, mediaType string) triage.Finding {
		return triage.Finding{StepID: step, Title: "The " + step, Kind: kind, Verdict: triage.VerdictNormal, Headline: "fine", Evidence: []triage.EvidenceRef{{Name: name, Title: "File", MediaType: mediaType}}}
	}
	v.Runs[0].Run.Conclusion = &triage.Conclusion{Explanation: "worker", Says: "worker 2 | backs off. It began at 3"}
	v.Runs[0].Findings = []triage.Finding{
		finding("panel", "panel", "runs/9/panel-00000001.png", "image/png"),
		finding("slow-request", "trace", "runs/9/slow-request-00000002.txt", "text/plain"),
		finding("ready", "capture", "runs/9/ready-00000003.txt", "text/plain"),
		finding("settings", "capture", "runs/9/settings-00000004.txt", "text/plain"),
		finding("blocks", "toolblocks", "runs/9/blocks-00000005.txt", "text/plain"),
		{StepID: "metrics", Title: "/metrics", Kind: "capture", Skipped: "no worker backs off"},
	}
	for i, source := range []string{"prometheus", "access.ndjson", "GET http://app:1/x/readyz", "GET http://app:1/settings?readyz", "proto.ndjson"} {
		v.Evidence = append(v.Evidence, triage.Evidence{Name: v.Runs[0].Findings[i].Evidence[0].Name, Source: source})
	}
	return v
}

func TestAReportOpensWithTheMinimumSet(t *testing.T) {
	s := openTestStore(t)
	report := string(s.report(minimumView()))
	_, opening, _ := strings.Cut(report, "## Minimum set\n\n")
	opening, _, found := strings.Cut(opening, "\n## Incident")
	want := `| alert | fired | cleared |
|---|---|---|
| CodexLatencySLOBreach\{instance="a\|b",password="&lt;redacted\:password&gt;"\} | 2026-11-24 03:59:00 UTC | still fires |
| CodexLatencySLOBreach | 2026-11-24 03:00:00 UTC | 2026-11-24 04:00:00 UTC |
| CodexLatencySLOBreach | 2026-11-24 02:00:00 UTC | presumed over, no end was told |

2 more fired and cleared.

- Panels (1): [The panel, File](runs/9/panel-00000001.png)
- Trace of a request (2): [The slow-request, File](runs/9/slow-request-00000002.txt) · [The blocks, File](runs/9/blocks-00000005.txt)
- /readyz (1): [The ready, File](runs/9/ready-00000003.txt)
- /metrics: **missing**, /metrics was skipped\: no worker backs off
`
	if diff := cmp.Diff(want, opening); !found || diff != "" {
		t.Errorf("minimum set (-want +got):\n%s", diff)
	}
}

// A finding may name a file that was refused, or another's.
func TestOnlyWhatTheBundleHasCountsForTheMinimumSet(t *testing.T) {
	v := minimumView()
	v.Evidence = v.Evidence[:1]
	if got, want := v.Summary().Minimum, (triage.MinimumSet{Panels: 1}); got != want {
		t.Errorf("minimum set %+v, want %+v", got, want)
	}
}

func TestTheIndexTellsWhatEachBundleHasAndLacks(t *testing.T) {
	s := openTestStore(t)
	sum := minimumView().Summary()
	sum.State = triage.IncidentClosed
	bare := triage.BundleSummary{IncidentID: 41, Alertname: "Up | [x](http://evil)", State: triage.IncidentFiring, FiredAt: testTime, Playbook: "up", Conclusion: "token=abc"}
	if err := s.PublishIndex(t.Context(), Index{Bundles: []triage.BundleSummary{sum, bare}, Total: 9}, nil); err != nil {
		t.Fatal(err)
	}
	want := indexMark + `# Evidence of incidents

| incident | alert | fired | cleared | playbook | conclusion | panels | trace | /readyz | /metrics |
|---|---|---|---|---|---|---|---|---|---|
| [000042](incident-000042/report.md) | CodexLatencySLOBreach | 2026-11-24 03:59:00 UTC | 2026-11-24 04:09:00 UTC | latency-slo-breach | Most likely\: worker 2 \| backs off | 1 | ✓ | ✓ | – |
| [000041](incident-000041/report.md) | Up \| \[x\]\(http\://evil\) | 2026-11-24 04:00:00 UTC | still fires | up | token=&lt;redacted\:token&gt; | – | – | – | – |

✓ is in the bundle, – is not: its report says why. Times are as of the bundle's last change.

7 earlier incidents are not listed.

The bundles of incidents before 000041, where they were kept, stand in folders of the same form beside this file.

` + "`triagebot evidence verify` on this folder proves every bundle whole.\n"
	if diff := cmp.Diff(want, string(readFile(t, filepath.Join(s.dir, "README.md")))); diff != "" {
		t.Errorf("README.md (-want +got):\n%s", diff)
	}
}

func TestTheIndexTakesNobodysFile(t *testing.T) {
	s := openTestStore(t)
	publish := func() error { return s.PublishIndex(t.Context(), Index{Total: 0}, nil) }
	theirs := []byte("# Evidence of story 3.4\n")
	writeFile(t, filepath.Join(s.dir, "README.md"), theirs)
	for range 2 { // the second time over its own
		if err := publish(); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.HasPrefix(string(readFile(t, filepath.Join(s.dir, "incidents.md"))), indexMark) {
		t.Error("no index stands beside it")
	}
	writeFile(t, filepath.Join(s.dir, "incidents.md"), theirs)
	if err := publish(); !errors.Is(err, ErrForeignIndex) {
		t.Errorf("with both names taken: %v, want %v", err, ErrForeignIndex)
	}
	for _, name := range indexNames {
		if string(readFile(t, filepath.Join(s.dir, name))) != string(theirs) {
			t.Errorf("%s was overwritten", name)
		}
	}
	if err := os.Remove(filepath.Join(s.dir, "README.md")); err != nil {
		t.Fatal(err)
	}
	if err := publish(); err != nil {
		t.Errorf("once a name is free: %v", err)
	}
}

func TestTheLastWordOfAnIncident(t *testing.T) {
	run := func(state triage.RunState, c *triage.Conclusion, failed string) RunView {
		return RunView{Run: triage.Run{State: state, Conclusion: c, Error: failed, Playbook: "p"}, Findings: []triage.Finding{{Verdict: triage.VerdictAbnormal}, {Skipped: "x"}}}
	}
	clear, unclear := &triage.Conclusion{Explanation: "x", Says: "a deploy"}, &triage.Conclusion{Says: strings.Repeat("é", maxConclusion)}
	for want, runs := range map[string][]RunView{
		"no run has finished": {run(triage.RunRunning, nil, "")},
		"Most likely: a deploy": {
			run(triage.RunFinished, unclear, ""), run(triage.RunFinished, clear, ""), run(triage.RunRunning, nil, ""),
		},
		"no conclusion: 1 abnormal, 0 unknown, 0 normal": {run(triage.RunFinished, nil, "")},
		"could not be executed: no playbook":             {run(triage.RunFinished, clear, ""), run(triage.RunFailed, nil, "no playbook")},
	} {
		if got := (View{Runs: runs}).Summary().Conclusion; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	long := View{Runs: []RunView{run(triage.RunFinished, unclear, "")}}.Summary().Conclusion
	if len(long) > maxConclusion+len("…") || !strings.HasSuffix(long, "é…") {
		t.Errorf("a long one is %d bytes: %q", len(long), long)
	}
}
