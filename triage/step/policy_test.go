package step

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/playbook"
	"triagebot/triage/promapi/promtest"
)

const backoffOf = `policy: {backoff: {expr: codex_worker_backoff_ms, first: 250ms, factor: 2, most: 5s, range: 15m}}
abnormal: 'violations > 0'`

// checkedAgainst runs a policy step a quarter of an hour after the samples begin.
func checkedAgainst(t *testing.T, d Deps, kind, base string) (*playbook.Step, *execution, *playbook.Outcome, error) {
	t.Helper()
	s := mustLoad(t, d, kind)
	e := newExecution(triage.Labels{"worker": "w3"})
	e.env.At = time.Unix(15*60, 0)
	e.env.Data.Services["app"] = base
	out, err := e.run(t.Context(), s)
	return s, e, out, err
}

// backoffs load samples of workers, so often apart.
func backoffs(every string, rows ...string) string {
	text := "load " + every + "\n"
	for _, r := range rows {
		worker, values, _ := strings.Cut(r, ": ")
		text += fmt.Sprintf("  codex_worker_backoff_ms{worker=%q,instance=\"a:1\",job=\"codex\"} %s\n", worker, values)
	}
	return text
}

func TestBackoffAgainstItsPolicy(t *testing.T) {
	for _, tt := range []struct {
		name, kind, series, want string
	}{
		{
			"every stage in its turn", backoffOf,
			backoffs("1s", "w3: 0 0 250 500 500 1000 2000 2000 4000x3 5000x880", "w0: 0x900"),
			"normal: w3 backs off 250ms → 500ms → 1s → 2s → 4s → 5s, as the policy says (250ms doubling to 5s).\n",
		},
		{
			"of several that back off the one with the most stages", backoffOf,
			backoffs("1s", "w1: 0 250 0x898", "w2: 0 250 500 0x897", "w3: 0 250 500 1000 0x896"),
			"normal: w3 backs off 250ms → 500ms → 1s, as the policy says (250ms doubling to 5s); so do 2 more.\n",
		},
		{
			"what passes between two samples", backoffOf,
			backoffs("15s", "w3: 0 1000 5000 5000 250 2000 0 5000 0x53"),
			"normal: w3 backs off 1s → 5s → 250ms → 2s, as the policy says (250ms doubling to 5s; stages that pass between two samples are not seen).\n",
		},
		{
			"a ladder that goes on where it was left", backoffOf,
			backoffs("1s", "w3: 0 250 500 0 1000 0 2000 0 250 0x891"),
			"normal: w3 backs off 250ms → 500ms, as the policy says (250ms doubling to 5s).\n",
		},
		{
			"nobody", backoffOf, backoffs("1s", "w0: 0x900", "w3: 0x900"),
			"normal: nothing backed off in the 15m before 00:15:00 UTC (2 series of codex_worker_backoff_ms stayed at 0).\n",
		},
		{
			"longer than the cap", backoffOf,
			backoffs("15s", "w1: 300 0x59", "w2: 8000 0x59", "w3: 0 250 7500 9000 0x56"),
			`abnormal: w3 waited 9s: the policy allows at most 5s; and 2 more against the policy.
  w3 | w3 waited 9s: the policy allows at most 5s
  w2 | w2 waited 8s: the policy allows at most 5s
  w1 | w1 waited 300ms: no stage of 250ms doubling to 5s
`,
		},
		{
			"stages that cannot have passed", backoffOf, backoffs("1s", "w3: 0 250 5000x898"),
			"abnormal: w3 went from 250ms to 5s within 1s: the policy has 500ms, 1s, 2s, 4s between, which take 7.5s.\n" +
				"  w3 | w3 went from 250ms to 5s within 1s: the policy has 500ms, 1s, 2s, 4s between, which take 7.5s\n",
		},
		{
			"from zero into the middle", backoffOf, backoffs("1s", "w3: 0 2000x899"),
			"abnormal: w3 went from 0ms to 2s within 1s: the policy has 250ms, 500ms, 1s between, which take 1.75s.\n" +
				"  w3 | w3 went from 0ms to 2s within 1s: the policy has 250ms, 500ms, 1s between, which take 1.75s\n",
		},
		{
			"a fall without a zero, which a slower scrape would hide", backoffOf, backoffs("1s", "w3: 2000 4000 5000 2000x897"),
			"abnormal: w3 went from 5s to 2s within 1s: after it worked the policy begins with 250ms, 500ms, 1s, which take 1.75s.\n" +
				"  w3 | w3 went from 5s to 2s within 1s: after it worked the policy begins with 250ms, 500ms, 1s, which take 1.75s\n",
		},
		{
			"a fall to the first stage may have hidden a zero", backoffOf, backoffs("1s", "w3: 2000 4000 250 500 1000x895"),
			"normal: w3 backs off 2s → 4s → 250ms → 500ms → 1s, as the policy says (250ms doubling to 5s; stages that pass between two samples are not seen).\n",
		},
		{
			"below zero and without end", backoffOf, backoffs("15s", "w1: -250 0x59", "w3: 0 Inf NaN 0x56"),
			`abnormal: w3 waited +Inf: the policy allows at most 5s; and 1 more against the policy.
  w3 | w3 waited +Inf: the policy allows at most 5s
  w1 | w1 waited -250ms: no stage of 250ms doubling to 5s
`,
		},
		{
			"seconds, and a factor of its own",
			"policy: {backoff: {expr: 'wait_seconds{worker=\"{{ .Labels.worker }}\"}', unit: s, first: 1s, factor: 1.5, most: 3s}}\nabnormal: 'violations > 0'",
			"load 5s\n  wait_seconds{worker=\"w3\"} 0 1 1.5 2.25 3x170\n  wait_seconds{worker=\"w4\"} 9x200\n",
			"normal: w3 backs off 1s → 1.5s → 2.25s → 3s, as the policy says (1s growing by the factor 1.5 to 3s).\n",
		},
		{
			"what is no plain series may be as old as a scrape",
			"policy: {backoff: {expr: 'max by (worker) (codex_worker_backoff_ms)', first: 250ms, most: 5s, scrape: 2s}}\nabnormal: 'violations > 0'",
			backoffs("1s", "w3: 0 2000 0 5000x897"),
			"abnormal: w3 went from 0ms to 5s within 3s: the policy has 4s between, which take 4s.\n" +
				"  w3 | w3 went from 0ms to 5s within 3s: the policy has 4s between, which take 4s\n",
		},
		{
			"no series", backoffOf, backoffs("1s", "w3: _x900"),
			"unknown: Not compared: the backoff, for codex_worker_backoff_ms has no values in Prometheus main in the 15m before 00:15:00 UTC.\nNext: Check that the series exists and that its target is scraped.\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, e, out, err := checkedAgainst(t, withProm(promtest.New(t, tt.series)), tt.kind, "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, told(t, s, e, out)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

const settingsOf = `policy:
  settings:
    url: '{{ .Services.app }}/settings'
    expect: {PROXY_STOP_AFTER_TOOLS_MODE: [burst, first], PROXY_TOOL_BLOCK_MAX: {min: 1, max: 16}, proxy.debug: false}
abnormal: 'violations > 0'`

func TestSettingsAgainstTheirPolicy(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{
			"as expected", `{"PROXY_STOP_AFTER_TOOLS_MODE":"burst","PROXY_TOOL_BLOCK_MAX":8,"proxy":{"debug":false},"TOKEN":"s3cret"}`,
			"normal: PROXY_STOP_AFTER_TOOLS_MODE is burst, PROXY_TOOL_BLOCK_MAX is 8, proxy.debug is false, as expected.\n",
		},
		{
			"numbers and booleans as text", `{"PROXY_STOP_AFTER_TOOLS_MODE":"first","PROXY_TOOL_BLOCK_MAX":"16.0","proxy.debug":"false"}`,
			"normal: PROXY_STOP_AFTER_TOOLS_MODE is first, PROXY_TOOL_BLOCK_MAX is 16.0, proxy.debug is false, as expected.\n",
		},
		{
			"each otherwise", `{"PROXY_STOP_AFTER_TOOLS_MODE":"","PROXY_TOOL_BLOCK_MAX":"0","proxy":{"debug":true},"TOKEN":"s3cret"}`,
			`abnormal: PROXY_STOP_AFTER_TOOLS_MODE is ""; expected burst or first; and 2 more against the policy.
  PROXY_STOP_AFTER_TOOLS_MODE | PROXY_STOP_AFTER_TOOLS_MODE is ""; expected burst or first
  PROXY_TOOL_BLOCK_MAX | PROXY_TOOL_BLOCK_MAX is 0; expected from 1 to 16
  proxy.debug | proxy.debug is true; expected false
`,
		},
		{
			"missing, null and no single value", `{"PROXY_STOP_AFTER_TOOLS_MODE":null,"PROXY_TOOL_BLOCK_MAX":["s3cret"],"proxy":"s3cret"}`,
			`abnormal: PROXY_TOOL_BLOCK_MAX is no single value; expected from 1 to 16; and 2 more against the policy.
  PROXY_TOOL_BLOCK_MAX | PROXY_TOOL_BLOCK_MAX is no single value; expected from 1 to 16
  PROXY_STOP_AFTER_TOOLS_MODE | PROXY_STOP_AFTER_TOOLS_MODE is not set; expected burst or first
  proxy.debug | proxy.debug is not set; expected false
`,
		},
		{
			"hostile", `{"PROXY_STOP_AFTER_TOOLS_MODE":"\u001b[2J\u202e\u0000","PROXY_TOOL_BLOCK_MAX":"NaN","proxy.debug":false}`,
			`abnormal: PROXY_STOP_AFTER_TOOLS_MODE is \x1b[2J\u202e\x00; expected burst or first; and 1 more against the policy.
  PROXY_STOP_AFTER_TOOLS_MODE | PROXY_STOP_AFTER_TOOLS_MODE is \x1b[2J\u202e\x00; expected burst or first
  PROXY_TOOL_BLOCK_MAX | PROXY_TOOL_BLOCK_MAX is NaN; expected from 1 to 16
`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, base := app(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, tt.body) })
			s, e, out, err := checkedAgainst(t, d, settingsOf, base)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, told(t, s, e, out)); diff != "" {
				t.Error(diff)
			}
			if all := fmt.Sprintf("%+v %s %s", out, out.Artifacts[0].Data, e.debugLog()); strings.Contains(all, "s3cret") {
				t.Errorf("shows a setting that was not asked for: %s", all)
			}
		})
	}
}

func TestSettingsThatCannotBeRead(t *testing.T) {
	for _, tt := range []struct {
		status     int
		body, want string
	}{
		{200, "burst", "the answer is no JSON object"},
		{200, "null", "the answer is no JSON object"},
		{200, `["burst"]`, "the answer is no JSON object"},
		{200, `{"a":1}{"b":2}`, "the answer is no JSON object"},
		{200, `{"a":"` + strings.Repeat("x", maxSettings) + `"}`, "the answer is longer than 256 KiB"},
		{404, "{}", "it answered 404 and no settings"},
		{302, "{}", "it answered 302 and no settings"},
	} {
		d, base := app(t, func(w http.ResponseWriter, _ *http.Request) {
			if tt.status == http.StatusFound {
				w.Header().Set("Location", "http://127.0.0.1:1/elsewhere?token=s3cret")
			}
			w.WriteHeader(tt.status)
			io.WriteString(w, tt.body)
		})
		want := tt.want
		if tt.status == http.StatusFound {
			want = "it redirects to http://127.0.0.1:1/elsewhere?…, which is not followed"
		}
		_, _, _, err := checkedAgainst(t, d, settingsOf, base)
		var stepErr *playbook.StepError
		if !errors.As(err, &stepErr) || !strings.Contains(err.Error(), "GET "+base+"/settings: "+want) || stepErr.NextStep == "" {
			t.Errorf("%d %.20s: %v", tt.status, tt.body, err)
		}
	}
}

// One part that cannot be compared keeps the verdict open, but not what the
// other found.
func TestHalfAPolicyIsNoneThatHolds(t *testing.T) {
	both := "policy:\n  backoff: {expr: codex_worker_backoff_ms, first: 250ms, most: 5s}\n" + strings.TrimPrefix(settingsOf, "policy:\n")
	body := `{"PROXY_STOP_AFTER_TOOLS_MODE":"burst","PROXY_TOOL_BLOCK_MAX":8,"proxy.debug":false}`
	answering, base := app(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })

	d := withProm(promtest.New(t, backoffs("1s", "w3: 0 250 7500x898")))
	_, _, out, err := checkedAgainst(t, d, both, "http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	if !out.Partial || !strings.HasPrefix(out.Headline, "w3 waited 7.5s: the policy allows at most 5s. Not compared: GET http://127.0.0.1:1/settings: ") || !strings.Contains(out.NextStep, "Check that the service runs") {
		t.Errorf("%s %s", out.Headline, out.NextStep)
	}
	if diff := cmp.Diff(map[string]any{"checked": int64(1), "violations": int64(1), "worst": "w3 waited 7.5s: the policy allows at most 5s"}, out.Rows[0].Vars); diff != "" {
		t.Error(diff)
	}

	s, e, out, err := checkedAgainst(t, answering, both, base)
	if err != nil {
		t.Fatal(err)
	}
	if got := told(t, s, e, out); !strings.HasPrefix(got, "unknown: PROXY_STOP_AFTER_TOOLS_MODE is burst") || !strings.Contains(got, ". Not compared: no Prometheus is configured.") {
		t.Error(got)
	}

	_, _, _, err = checkedAgainst(t, Deps{}, both, "http://127.0.0.1:1")
	var stepErr *playbook.StepError
	if !errors.As(err, &stepErr) || !strings.HasPrefix(err.Error(), "no Prometheus is configured; GET http://127.0.0.1:1/settings: ") || stepErr.Transient {
		t.Errorf("%v", err)
	}
}

func TestThePolicysEvidence(t *testing.T) {
	d, base := app(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"PROXY_STOP_AFTER_TOOLS_MODE":"burst","PROXY_TOOL_BLOCK_MAX":99,"proxy.debug":false}`)
	})
	d.Prometheus, d.DefaultDatasource = withProm(promtest.New(t, backoffs("15s", "w1: 0x60", "w3: 0x55 250 1000 7500 0 0"))).Prometheus, "main"
	both := "policy:\n  backoff: {expr: codex_worker_backoff_ms, first: 250ms, most: 5s}\n" + strings.TrimPrefix(settingsOf, "policy:\n")
	_, _, out, err := checkedAgainst(t, d, both, base)
	if err != nil {
		t.Fatal(err)
	}
	want := `Backoff: codex_worker_backoff_ms in Prometheus main, the 15m before 00:15:00 UTC
Meant: 0 or 250ms, 500ms, 1s, 2s, 4s, 5s
w1
  1970-01-01 00:00:00.000 UTC 0ms

w3
  1970-01-01 00:00:00.000 UTC 0ms
  1970-01-01 00:14:00.000 UTC 250ms
  1970-01-01 00:14:15.000 UTC 1s (stages between were not seen)
! 1970-01-01 00:14:30.000 UTC 7.5s against the policy
  1970-01-01 00:14:45.000 UTC 0ms

Settings: GET ` + base + `/settings at 2026-11-24 04:05:00.123 UTC
  PROXY_STOP_AFTER_TOOLS_MODE is burst, as expected (burst or first)
! PROXY_TOOL_BLOCK_MAX is 99; expected from 1 to 16
  proxy.debug is false, as expected (false)
`
	if diff := cmp.Diff(want, string(out.Artifacts[0].Data)); diff != "" {
		t.Error(diff)
	}
}

func TestPolicyProblems(t *testing.T) {
	backoff := func(options string) string { return "{backoff: {expr: x, " + options + "}}" }
	expect := func(e string) string { return "{settings: {url: 'http://app', expect: " + e + "}}" }
	for _, tt := range []struct{ yaml, want string }{
		{"{}", ": compares nothing; write backoff: "},
		{"{backoff: {first: 1s, most: 5s}}", ".backoff.expr: is missing"},
		{backoff("most: 5s"), ".backoff.first: is missing; write how long is waited first"},
		{backoff("first: 1s"), ".backoff.most: is missing"},
		{backoff("first: 5s, most: 1s"), ".backoff.first: 5s is longer than most, 1s; swap them"},
		{backoff("first: 0s, most: 1s"), ".backoff.first: 0s is out of bounds"},
		{backoff("first: 1s, most: 5s, factor: 1"), ".backoff.factor: 1 is out of bounds; write a number from 1.1 to 100"},
		{backoff("first: 1s, most: 5s, factor: .nan"), ".backoff.factor: NaN is out of bounds"},
		{backoff("first: 1ms, most: 1d, factor: 1.1"), ".backoff.factor: 1.1 makes more than 100 stages of 1ms to 1d"},
		{backoff("first: 1s, most: 5s, range: 7h"), ".backoff.range: 7h is out of bounds"},
		{backoff("first: 1s, most: 5s, unit: m"), `.backoff.unit: "m" is not known; write one of ms, s`},
		{backoff("first: 1s, most: 5s, scrape: x"), `.backoff.scrape: "x" is no duration`},
		{"{settings: {expect: {A: 1}}}", ".settings.url: is missing"},
		{"{settings: {url: 'http://app'}}", ".settings.expect: is missing"},
		{expect("{A: }"), ".settings.expect.A: is no expectation; write a value, a list"},
		{expect("{A: []}"), ".settings.expect.A: is no expectation"},
		{expect("{A: [[1]]}"), ".settings.expect.A: is no expectation"},
		{expect("{A: {}}"), ".settings.expect.A: it has no bounds; write"},
		{expect("{A: {low: 1}}"), `.settings.expect.A: unknown key "low"`},
		{expect("{A: {min: x}}"), ".settings.expect.A: its bounds are no numbers"},
		{expect("{A: {min: 2, max: 1}}"), ".settings.expect.A: min is above max"},
	} {
		if got := problemsOf(t, Deps{}, "policy: "+tt.yaml); !strings.Contains(got, "test.yaml:6: steps[0].policy"+tt.want) {
			t.Errorf("%s: %s", tt.yaml, got)
		}
	}
}
