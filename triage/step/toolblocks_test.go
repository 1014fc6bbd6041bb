package step

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/playbook"
)

// toolCallLines are the log of a tool call that ended so many seconds after
// 04:04:00: chunks ("2", "2 its text"), events of its buffer ("started"), and at
// last its access line.
func toolCallLines(id string, ended int, steps ...string) []string {
	line := func(i int, rest string) string {
		return fmt.Sprintf(`proto {"ts":"@%d.%03d","req_id":"%s","direction":"recv",%s}`, ended-1, i, id, rest)
	}
	lines := []string{fmt.Sprintf(`proto {"ts":"@%d","req_id":"%s","direction":"send","method":"turn/start"}`, ended-1, id)}
	for i, step := range steps {
		head, rest, more := strings.Cut(step, " ")
		switch {
		case head == "end":
			lines = append(lines, line(i+1, `"method":"turn/completed","seq":`+rest))
		case head[0] > '9' && more:
			lines = append(lines, line(i+1, fmt.Sprintf(`"method":"tool_buffer/%s","error":%s`, head, inJSON(rest))))
		case head[0] > '9':
			lines = append(lines, line(i+1, fmt.Sprintf(`"method":"tool_buffer/%s"`, head)))
		case more:
			lines = append(lines, line(i+1, fmt.Sprintf(`"method":"item/chunk","seq":%s,"text":%s`, head, inJSON(rest))))
		default:
			lines = append(lines, line(i+1, `"method":"item/chunk","seq":`+head))
		}
	}
	return append(lines, fmt.Sprintf(`access {"ts":"@%d","req_id":"%s","route":"/v1/tools","status":200,"latency_ms":900,"tool_call":true}`, ended, id))
}

func inJSON(text string) []byte {
	data, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return data
}

const toolblocksBad = "\nabnormal: 'bad > 0'"

func TestWhatToolblocksSays(t *testing.T) {
	whole := []string{"1", "started", "2", "3", "completed", "end 4"}
	for _, tt := range []struct {
		name  string
		kind  string
		lines [][]string
		want  string
	}{
		{
			"all is well", "toolblocks: {pick: {by: tool_call, route: /v1/tools}}",
			[][]string{toolCallLines("req_a", 10, whole...), toolCallLines("req_b", 20, whole...)},
			"normal: 2 blocks opened and closed once, 6 chunks, none duplicated or missing (picked as the latest tool call on /v1/tools in the 15m before 04:05:00 UTC, and 1 more).\n",
		},
		{
			"one that is named", "toolblocks: {id: '{{ .Labels.req_id }}', pick: {}}",
			[][]string{toolCallLines("req_9f", 10, whole...), toolCallLines("req_b", 20, "1", "started", "3")},
			"normal: 1 block opened and closed once, 3 chunks, none duplicated or missing (named by the alert).\n",
		},
		{
			"a chunk twice, one never, a block without an end", "toolblocks: {pick: {}}",
			[][]string{toolCallLines("req_9f", 10, "1", "started", "2", "2", "4")},
			`abnormal: req_9f: chunks 1, 2, 2, 4: chunk 2 came twice, chunk 3 never, block opened at chunk 1 was never closed (picked as the latest tool call in the 15m before 04:05:00 UTC).
  req_9f | chunk 2 came twice, chunk 3 never, block opened at chunk 1 was never closed
`,
		},
		{
			"the worst of several", "toolblocks: {pick: {}, n: 3}",
			[][]string{
				toolCallLines("req_old", 5, "1", "1", "1"), // beyond n
				toolCallLines("req_a", 10, "1", "started", "3", "aborted truncated <use_tool> block", "end 4"),
				toolCallLines("req_b", 20, whole...),
				toolCallLines("req_c", 30, "1", "started", "2", "2", "3", "aborted", "end 4"),
			},
			`abnormal: req_c: chunks 1, 2, 2, 3: chunk 2 came twice, block opened at chunk 1 was aborted; 2 of 3 requests are not as they should be (picked as the latest tool call in the 15m before 04:05:00 UTC, and 2 more).
  req_c | chunk 2 came twice, block opened at chunk 1 was aborted
  req_a | chunk 2 never, block opened at chunk 1 was aborted (truncated <use_tool> block)
`,
		},
		{
			"blocks in the text, split across chunks", "toolblocks: {pick: {}}",
			[][]string{toolCallLines("req_9f", 10, "1 I call <use", "2 _tool>ls</use_tool", "3 > and <use_tool>cat", "4 </use_tool>", "end 5")},
			"normal: 2 blocks opened and closed once, 4 chunks, none duplicated or missing (picked as the latest tool call in the 15m before 04:05:00 UTC).\n",
		},
		{
			"the text says what the numbers do not", "toolblocks: {pick: {}}",
			[][]string{toolCallLines("req_9f", 10, "1 <use_tool>name: list_files", "2 <use_tool>name: list_files", "3 done", "end 4")},
			`abnormal: req_9f: chunks 1–3: chunk 2 has the text of the one before it, block opened at chunk 1 was opened again before it was closed, block opened at chunk 1 was never closed (picked as the latest tool call in the 15m before 04:05:00 UTC).
  req_9f | chunk 2 has the text of the one before it, block opened at chunk 1 was opened again before it was closed, block opened at chunk 1 was never closed
`,
		},
		{
			"a turn that was sent again", "toolblocks: {pick: {}}",
			[][]string{
				{`proto {"ts":"@1","req_id":"req_9f","direction":"send","method":"turn/start"}`, `proto {"ts":"@2","req_id":"req_9f","direction":"recv","method":"item/chunk","seq":1,"text":"<use_tool>"}`},
				toolCallLines("req_9f", 10, "1 <use_tool>", "2 </use_tool>", "end 3"),
			},
			"normal: 1 block opened and closed once, 3 chunks, none duplicated or missing (picked as the latest tool call in the 15m before 04:05:00 UTC).\n",
		},
		{
			"nothing to look at", "toolblocks: {id: req_m}",
			[][]string{{`access {"ts":"@1","req_id":"req_m","status":200}`}},
			`unknown: The logs have neither chunks nor tool-call blocks of req_m (named by the alert).
Next: Check that the request is a tool call, and that the log of its messages is in traces.logs with its fields event and seq.
`,
		},
		{
			"nobody", "toolblocks: {id: req_x}", nil,
			`unknown: Nothing was found of req_x (named by the alert).
Next: Check that the request is a tool call, and that the log of its messages is in traces.logs with its fields event and seq.
`,
		},
		{
			"nothing to pick", "toolblocks: {pick: {route: /v1/tools}}", nil,
			`unknown: No request to look up: the logs have no tool call on /v1/tools in the 15m before 04:05:00 UTC.
Next: Widen pick.within, and check that the logs are those of the service and call the route so.
`,
		},
		{
			"hostile text stays text", "toolblocks: {pick: {}}",
			[][]string{toolCallLines("req_9f", 10, "1", "started", "2", "aborted <!channel> \x1b[2J"+strings.Repeat("x", 9000), "end 3")},
			"abnormal: req_9f: chunks 1, 2: block opened at chunk 1 was aborted (<!channel> \\x1b[2J" + strings.Repeat("x", 199-len(`<!channel> \x1b[2J`)) + "…) (picked as the latest tool call in the 15m before 04:05:00 UTC).\n" +
				"  req_9f | block opened at chunk 1 was aborted (<!channel> \\x1b[2J" + strings.Repeat("x", 199-len(`<!channel> \x1b[2J`)) + "…)\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var lines []string
			for _, l := range tt.lines {
				lines = append(lines, l...)
			}
			home, _ := logs(t, lines...)
			s, e, out, err := looked(t, withTraces(home), triage.Labels{"req_id": "req_9f"}, tt.kind+toolblocksBad)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, told(t, s, e, out)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheVariablesOfToolblocks(t *testing.T) {
	lines := toolCallLines("req_a", 10, "1", "started", "3", "aborted cut", "end 4")
	lines = append(lines, toolCallLines("req_b", 20, "1", "started", "2", "2", "3", "aborted twice", "end 4")...)
	lines = append(lines, toolCallLines("req_c", 30, "1 <use_tool>", "started", "1 <use_tool>", "2 x", "end 3")...)
	home, dir := logs(t, lines...)
	s, _, out, err := looked(t, withTraces(home), nil, "toolblocks: {pick: {}}"+toolblocksBad)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"requests": int64(3), "blocks": int64(3), "opened_twice": int64(1), "unclosed": int64(1), "truncated": int64(1),
		"aborted": int64(2), "duplicated": int64(2), "missing": int64(1), "bad": int64(3),
		"sequence": "req_c: chunks 1, 1, 2: chunk 1 came twice, block opened at chunk 1 was opened again before it was closed, block opened at chunk 1 was never closed",
	}
	if diff := cmp.Diff(want, out.Rows[0].Vars); diff != "" {
		t.Error(diff)
	}
	for name := range out.Rows[0].Vars {
		if s.Action.Vars()[name] == nil {
			t.Errorf("%s is not declared", name)
		}
	}

	// What was not seen is held against nobody while a log is missing.
	if err := os.Remove(filepath.Join(dir, "usage.ndjson")); err != nil {
		t.Fatal(err)
	}
	s, e, out, err := looked(t, withTraces(home), nil, "toolblocks: {id: req_a}\nabnormal: 'unclosed > 0 || missing > 0 || truncated > 0'")
	if err != nil {
		t.Fatal(err)
	}
	got := told(t, s, e, out)
	for _, name := range []string{"unclosed", "truncated", "missing"} {
		if _, known := out.Rows[0].Vars[name]; known {
			t.Errorf("%s is said to be known", name)
		}
	}
	if !strings.HasPrefix(got, "unknown: req_a: chunks 1, 3: block opened at chunk 1 was aborted (cut) (named by the alert). Not complete: usage ") {
		t.Error(got)
	}
}

func TestSequencesAreShort(t *testing.T) {
	var whole, twice, late []string
	for i := range 90 {
		n := fmt.Sprint(i + 1)
		whole, twice, late = append(whole, n), append(twice, n, n), append(late, n)
		if i > 30 && i%2 == 0 {
			late = append(late, n)
		}
	}
	for _, tt := range []struct {
		steps []string
		want  string
	}{
		{whole, "No tool-call block in 90 chunks, none duplicated or missing (named by the alert)."},
		{twice[:60], "req_9f: chunks 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, …: chunks 1–30 came again (named by the alert)."},
		{late, "req_9f: chunks 1–33, 33–35, 35–37, 37–39, 39–41, 41–43, 43–45, 45–47, 47–49, 49–51, 51–53, 53–55, …: " +
			"chunk 33 came twice, chunk 35 came twice, chunk 37 came twice, chunk 39 came twice, chunk 41 came twice, chunk 43 came twice, and 14 more (named by the alert)."},
	} {
		home, _ := logs(t, toolCallLines("req_9f", 10, tt.steps...)...)
		_, _, out, err := looked(t, withTraces(home), nil, "toolblocks: {id: req_9f}")
		if err != nil {
			t.Fatal(err)
		}
		if out.Headline != tt.want {
			t.Errorf("%s\nwant %s", out.Headline, tt.want)
		}
	}
}

func TestTheEvidenceOfToolblocks(t *testing.T) {
	lines := toolCallLines("req_a", 10, "1 <use_tool>\u202e", "started", "3", "3", "aborted cut", "end 4")
	home, _ := logs(t, append(lines, toolCallLines("req_b", 20, "1", "started", "2", "completed", "end 3")...)...)
	_, _, out, err := looked(t, withTraces(home), nil, "toolblocks: {pick: {}}")
	if err != nil {
		t.Fatal(err)
	}
	text := string(out.Artifacts[0].Data)
	for _, want := range []string{
		"req_a: chunks 1, 3, 3: chunk 3 came twice, chunk 2 never, block opened at chunk 1 was aborted (cut)\n",
		"    2026-11-24 04:04:09.001 UTC  chunk 1  \"<use_tool>\\u202e\"\n    2026-11-24 04:04:09.002 UTC  tool_buffer/started\n",
		"  ! 2026-11-24 04:04:09.004 UTC  chunk 3, again\n  ! 2026-11-24 04:04:09.005 UTC  tool_buffer/aborted: cut\n",
		"req_b: 2 chunks, nothing wrong\n", "  Complete: everything was searched to its end.\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if n := strings.Count(string(out.Artifacts[1].Data), "\n"); n != 15 || out.Artifacts[1].MediaType != "application/x-ndjson" {
		t.Errorf("%d lines in %+v", n, out.Artifacts[1])
	}
}

func TestToolblocksProblems(t *testing.T) {
	for _, tt := range []struct{ yaml, want string }{
		{"{}", "toolblocks: names no request; write id: "},
		{"{pick: {by: fastest}}", `toolblocks.pick.by: "fastest" is not known`},
		{"{pick: {}, n: 21}", "toolblocks.n: 21 is out of bounds; write a number from 1 to 20"},
		{"{pick: {}, slack: 2d}", "toolblocks.slack: 2d is out of bounds"},
		{"{exemplar: {}}", "toolblocks.exemplar: unknown key"},
	} {
		if got := problemsOf(t, Deps{}, "toolblocks: "+tt.yaml); !strings.Contains(got, "test.yaml:6: steps[0]."+tt.want) {
			t.Errorf("%s: %s", tt.yaml, got)
		}
	}
	_, _, _, err := looked(t, Deps{}, nil, "toolblocks: {pick: {}}")
	var stepErr *playbook.StepError
	if !errors.As(err, &stepErr) || !strings.Contains(stepErr.NextStep, "traces section") {
		t.Errorf("%v", err)
	}
}
