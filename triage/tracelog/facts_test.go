package tracelog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// slowLines are the logs of a request whose worker was restarted.
var slowLines = []string{
	`proto {"ts":"2026-01-02T03:04:00.012Z","req_id":"req_9f","direction":"send","method":"turn/start","worker":"w3"}`,
	`engine {"ts":"2026-01-02T03:04:10.000Z","worker":"w3","event":"worker_exited","detail":"exit code 137"}`,
	`engine {"ts":"2026-01-02T03:04:10.250Z","worker":"w3","event":"worker_started"}`,
	`proto {"ts":"2026-01-02T03:04:38.912Z","req_id":"req_9f","direction":"recv","method":"item/chunk","seq":1,"worker":"w3"}`,
	`proto {"ts":"2026-01-02T03:04:39.500Z","req_id":"req_9f","direction":"recv","method":"item/chunk","seq":2,"worker":"w3"}`,
	`proto {"ts":"2026-01-02T03:04:41.100Z","req_id":"req_9f","direction":"recv","method":"item/chunk","seq":3,"worker":"w3"}`,
	`proto {"ts":"2026-01-02T03:04:41.190Z","req_id":"req_9f","direction":"recv","method":"turn/completed","seq":4,"worker":"w3"}`,
	`access {"ts":"2026-01-02T03:04:41.200Z","req_id":"req_9f","method":"POST","route":"/v1/chat/completions","status":200,"latency_ms":41200,"worker":"w3"}`,
}

func TestFactsInWords(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{
			"a slow request whose worker restarted", slowLines,
			[]string{
				"req_9f took 41.2 s; 38.9 s of it between proto send and first chunk; worker w3 restarted in between",
				"Phases: the request's start, after 12 ms proto send, after 38.9 s first chunk, after 2.19 s last chunk, after 90 ms proto recv (turn/completed), after 10 ms the access line.",
				"3 chunks in proto, none duplicated or missing.",
				"Worker w3 exited 10.0 s after the request began and was started again 250 ms later.",
			},
		},
		{
			"maintenance",
			[]string{`access {"ts":"2026-01-02T03:04:00.000Z","req_id":"req_9f","status":503,"latency_ms":0.4,"error":"maintenance"}`},
			[]string{
				"req_9f was refused after 0.4 ms because of maintenance (503)",
				"It was a maintenance response, not a backend error.",
				"Error in access: maintenance.",
			},
		},
		{
			"a backend error, repeated twice",
			[]string{
				`proto {"ts":"2026-01-02T03:04:00.000Z","req_id":"first","direction":"send","method":"turn/start"}`,
				`access {"ts":"2026-01-02T03:04:01.000Z","req_id":"first","status":502,"latency_ms":1000,"error":"backend"}`,
				`proto {"ts":"2026-01-02T03:04:01.500Z","req_id":"req_9f","direction":"send","method":"turn/start"}`,
				`proto {"ts":"2026-01-02T03:04:02.000Z","req_id":"req_9f","direction":"send","method":"turn/start"}`,
				`proto {"ts":"2026-01-02T03:04:02.100Z","req_id":"req_9f","direction":"recv","method":"error","error":"backend: upstream connection reset"}`,
				`access {"ts":"2026-01-02T03:04:02.100Z","req_id":"req_9f","retry_of":"first","status":502,"latency_ms":600,"error":"backend"}`,
				`access {"ts":"2026-01-02T03:04:02.900Z","req_id":"third","retry_of":"req_9f","status":200,"latency_ms":1000}`,
			},
			[]string{
				"req_9f took 600 ms and failed with 502 (backend: upstream connection reset); 500 ms of it between proto send (turn/start) and proto send (turn/start)",
				"Error in access: backend.",
				"Error in proto error: backend: upstream connection reset.",
				"Phases: the request's start, after 0 ms proto send (turn/start), after 500 ms proto send (turn/start), after 100 ms proto recv (error), after 0 ms the access line.",
				"100 ms passed between proto send (turn/start) and proto recv (error).",
				"req_9f repeats first, which had ended with 502 after 1 s; it began 500 ms after that one's last record.",
				"third repeats req_9f, which ended with 502 after 600 ms; it began 200 ms before that one's last record.",
				"proto turn/start was sent 2 times.",
			},
		},
		{
			"tool calls and chunks gone wrong",
			[]string{
				`proto {"ts":"2026-01-02T03:04:00.00Z","req_id":"req_9f","direction":"recv","method":"tool_buffer/started"}`,
				`proto {"ts":"2026-01-02T03:04:00.10Z","req_id":"req_9f","direction":"recv","method":"item/chunk","seq":1}`,
				`proto {"ts":"2026-01-02T03:04:00.20Z","req_id":"req_9f","direction":"recv","method":"item/chunk","seq":2}`,
				`proto {"ts":"2026-01-02T03:04:00.20Z","req_id":"req_9f","direction":"recv","method":"item/chunk","seq":2}`,
				`proto {"ts":"2026-01-02T03:04:00.30Z","req_id":"req_9f","direction":"recv","method":"item/chunk","seq":7}`,
				`proto {"ts":"2026-01-02T03:04:00.30Z","req_id":"req_9f","direction":"recv","method":"item/chunk","seq":6}`,
				`proto {"ts":"2026-01-02T03:04:00.35Z","req_id":"req_9f","direction":"recv","method":"tool_buffer/aborted","error":"truncated <use_tool> block"}`,
				`proto {"ts":"2026-01-02T03:04:00.36Z","req_id":"req_9f","direction":"recv","method":"tool_buffer/started"}`,
				`proto {"ts":"2026-01-02T03:04:00.37Z","req_id":"req_9f","direction":"recv","method":"turn/completed","seq":9}`,
				`access {"ts":"2026-01-02T03:04:00.40Z","req_id":"req_9f","status":200,"latency_ms":400,"tool_call":true}`,
			},
			[]string{
				"req_9f took 400 ms; 100 ms of it between proto recv (tool_buffer/started) and first chunk; 1 tool-call block aborted; 1 chunk duplicated; 4 chunks missing",
				"Error in proto tool_buffer/aborted: truncated <use_tool> block.",
				"Phases: the request's start, after 0 ms proto recv (tool_buffer/started), after 100 ms first chunk, after 200 ms last chunk, after 50 ms proto recv (tool_buffer/aborted), after 10 ms proto recv (tool_buffer/started), after 10 ms proto recv (turn/completed), after 30 ms the access line.",
				"100 ms passed between first chunk and chunk 2.",
				"100 ms passed between chunk 2 and chunk 7.",
				"A tool-call block (proto tool_buffer) was aborted after 350 ms: truncated <use_tool> block.",
				"A tool-call block (proto tool_buffer) was opened and not closed.",
				"5 chunks in proto: 1 duplicated (2), 4 missing (3–5, 8), 1 out of order.",
			},
		},
		{
			"lines that share a chunk's millisecond, in the order of their sources",
			[]string{
				`proto {"ts":"2026-01-02T03:04:00.010Z","req_id":"req_9f","direction":"send","method":"turn/start"}`,
				`proto {"ts":"2026-01-02T03:04:00.100Z","req_id":"req_9f","direction":"recv","method":"item/chunk","seq":1}`,
				`usage {"ts":"2026-01-02T03:04:00.100Z","req_id":"req_9f"}`,
				`proto {"ts":"2026-01-02T03:04:00.110Z","req_id":"req_9f","direction":"recv","method":"item/chunk","seq":2}`,
				`engine {"ts":"2026-01-02T03:04:00.120Z","req_id":"req_9f","event":"tick"}`,
				`proto {"ts":"2026-01-02T03:04:00.120Z","req_id":"req_9f","direction":"recv","method":"item/chunk","seq":3}`,
				`access {"ts":"2026-01-02T03:04:00.130Z","req_id":"req_9f","status":200,"latency_ms":130}`,
				`proto {"ts":"2026-01-02T03:04:00.130Z","req_id":"req_9f","direction":"recv","method":"item/chunk","seq":4}`,
			},
			[]string{
				"req_9f took 130 ms; 90 ms of it between proto send and first chunk",
				"Phases: the request's start, after 10 ms proto send, after 90 ms first chunk, after 0 ms the usage line, after 20 ms engine tick, after 10 ms last chunk, after 0 ms the access line.",
				"10 ms passed between the request's start and proto send.",
				"10 ms passed between the usage line and chunk 2.",
				"4 chunks in proto, none duplicated or missing.",
			},
		},
		{
			"chunks with something else between them",
			[]string{
				`proto {"ts":"2026-01-02T03:04:00.010Z","req_id":"req_9f","direction":"recv","method":"item/chunk","seq":1}`,
				`proto {"ts":"2026-01-02T03:04:00.020Z","req_id":"req_9f","direction":"recv","method":"item/chunk","seq":2}`,
				`proto {"ts":"2026-01-02T03:04:00.020Z","req_id":"req_9f","direction":"recv","method":"heartbeat"}`,
				`proto {"ts":"2026-01-02T03:04:00.020Z","req_id":"req_9f","direction":"recv","method":"item/chunk","seq":3}`,
				`access {"ts":"2026-01-02T03:04:00.020Z","req_id":"req_9f","status":200,"latency_ms":15}`,
			},
			[]string{
				"req_9f took 15 ms; 10 ms of it between first chunk and chunk 2",
				"Phases: the request's start, after 5 ms first chunk, after 10 ms chunk 2, after 0 ms proto recv (heartbeat), after 0 ms last chunk, after 0 ms the access line.",
				"5 ms passed between the request's start and first chunk.",
				"3 chunks in proto, none duplicated or missing.",
			},
		},
		{
			"a clock that is behind",
			[]string{
				`proto {"ts":"2026-01-02T03:03:50.010Z","req_id":"req_9f","direction":"send","method":"turn/start"}`,
				`proto {"ts":"2026-01-02T03:03:50.900Z","req_id":"req_9f","direction":"recv","method":"turn/completed"}`,
				`access {"ts":"2026-01-02T03:04:01Z","req_id":"req_9f","status":200,"latency_ms":1000}`,
			},
			[]string{
				"req_9f took 1 s; 890 ms of it between proto send and proto recv (turn/completed)",
				"Its records span 11.0 s, more than the 1 s that access reports.",
				"Phases: the request's start, after 1 s the access line; by another clock, proto send, after 890 ms proto recv (turn/completed).",
				"The clock of proto is at least 9.99 s behind that of access: durations between the two are off by as much.",
			},
		},
		{
			"an answer before the question",
			[]string{
				`proto {"ts":"2026-01-02T03:04:00.000Z","req_id":"req_9f","direction":"recv","method":"turn/completed"}`,
				`proto {"ts":"2026-01-02T03:04:00.300Z","req_id":"req_9f","direction":"send","method":"turn/start"}`,
				`proto {"req_id":"req_9f","direction":"send","method":"turn/ack"}`,
			},
			[]string{
				"req_9f has no answer on record; its records span 300 ms",
				"300 ms passed between proto recv (turn/completed) and proto send (turn/start).",
				"In proto something is received 300 ms before anything is sent: its clock was set, or lines are missing.",
				"1 record has no time that can be read; they stand last.",
			},
		},
		{
			"nothing tells how long it took",
			[]string{`access {"req_id":"req_9f","status":200}`},
			[]string{
				"req_9f ended with 200; how long it took is not on record",
				"1 record has no time that can be read; they stand last.",
			},
		},
		{
			"nor how long it was until it failed",
			[]string{`access {"ts":"2026-01-02T03:04:02Z","req_id":"req_9f","status":502}`},
			[]string{"req_9f failed with 502"},
		},
		{
			"only what repeats it",
			[]string{`access {"ts":"2026-01-02T03:04:02Z","req_id":"second","retry_of":"req_9f","status":200,"latency_ms":1000}`},
			[]string{
				"Nothing was found of req_9f itself, only of requests that are linked with it (1 record)",
				"second repeats req_9f.",
			},
		},
		{"nothing", []string{`access {"req_id":"other"}`}, []string{"Nothing was found of req_9f"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := stitched(t, "req_9f", c.lines...).Facts().Sentences()
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOutcomes(t *testing.T) {
	for line, want := range map[string]Outcome{
		`access {"req_id":"a","status":200}`:                                  OutcomeOK,
		`access {"req_id":"a","status":200,"error":false}`:                    OutcomeOK,
		`access {"req_id":"a","status":503,"error":"maintenance"}`:            OutcomeMaintenance,
		`access {"req_id":"a","status":503,"error":{"type":"maintenance"}}`:   OutcomeMaintenance,
		`access {"req_id":"a","status":503,"error":"no_worker"}`:              OutcomeBackend,
		`access {"req_id":"a","status":500,"error":"maintenance"}`:            OutcomeBackend,
		`access {"req_id":"a","status":"504"}`:                                OutcomeBackend,
		`access {"req_id":"a","status":499,"error":"client_gone"}`:            OutcomeClient,
		`proto {"req_id":"a","error":"reset"}`:                                OutcomeBackend,
		`proto {"req_id":"a","method":"turn/start"}`:                          OutcomeUnanswered,
		`access {"req_id":"a","status":99999999999999999999,"latency_ms":-1}`: OutcomeUnanswered,
	} {
		if got := stitched(t, "a", line).Facts().Outcome; got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func TestClocks(t *testing.T) {
	access := func(status int) string {
		return fmt.Sprintf(`access {"ts":"2026-01-02T03:04:02.000Z","req_id":"a","status":%d,"latency_ms":1000}`, status)
	}
	proto := func(way, ts string) string {
		return fmt.Sprintf(`proto {"ts":"2026-01-02T03:04:%sZ","req_id":"a","direction":%q,"method":"m"}`, ts, way)
	}
	ahead := []ClockDiffer{{Source: "proto", Against: "access", By: 5 * time.Second}}
	behind := []ClockDiffer{{Source: "proto", Against: "access", By: -500 * time.Millisecond}}
	for _, c := range []struct {
		name  string
		lines []string
		want  []ClockDiffer
	}{
		{"within", []string{access(200), proto("send", "01.000"), proto("recv", "01.990")}, nil},
		{"as logs are late", []string{access(200), proto("send", "00.950"), proto("recv", "02.090")}, nil},
		{"ahead", []string{access(200), proto("send", "06.100"), proto("recv", "07.000")}, ahead},
		{"behind", []string{access(200), proto("send", "00.500"), proto("recv", "01.300")}, behind},
		{"longer than the request: no clock explains it", []string{access(200), proto("send", "01.500"), proto("recv", "07.000")}, nil},
		{"after the client was gone", []string{access(499), proto("send", "06.100"), proto("recv", "07.000")}, nil},
		{"no messages", []string{access(200), `usage {"ts":"2026-01-02T03:05:00Z","req_id":"a"}`}, nil},
	} {
		if diff := cmp.Diff(c.want, stitched(t, "a", c.lines...).Facts().Clocks); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// The time between two clocks that do not agree is nothing that passed.
func TestGapsBetweenClocksThatDifferAreNotSaid(t *testing.T) {
	const access = `access {"ts":"2026-01-02T03:04:02.000Z","req_id":"a","status":200,"latency_ms":1000}`
	proto := func(way, ts string) string {
		return fmt.Sprintf(`proto {"ts":"2026-01-02T%sZ","req_id":"a","direction":%q,"method":"m"}`, ts, way)
	}
	const between = "a took 1 s; 800 ms of it between proto send and proto recv (m)"
	for _, c := range []struct {
		name, want string
		lines      []string
	}{
		{"an hour ahead", between, []string{access, proto("send", "04:04:01.100"), proto("recv", "04:04:01.900")}},
		{"half a second behind", between, []string{access, proto("send", "03:04:00.500"), proto("recv", "03:04:01.300")}},
		{
			"a third source's clock agrees with the answer's", "a took 1 s; 900 ms of it between the usage line and the access line",
			[]string{access, proto("send", "04:04:01.100"), proto("recv", "04:04:01.200"), `usage {"ts":"2026-01-02T03:04:01.100Z","req_id":"a"}`},
		},
		{"no clock explains it, and it is more than the whole", "a took 1 s", []string{access, proto("send", "03:04:01.500"), proto("recv", "03:04:07.000")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := stitched(t, "a", c.lines...).Facts().Headline(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestTheAnswerIsWhatHasAStatus(t *testing.T) {
	f := stitched(
		t, "a",
		`usage {"ts":"2026-01-02T03:04:03Z","req_id":"a","latency_ms":5000}`,
		`access {"ts":"2026-01-02T03:04:02Z","req_id":"a","status":200,"latency_ms":1000}`,
	).Facts()
	if f.Answer != "access" || f.Reported != time.Second {
		t.Errorf("%+v", f)
	}
}

func TestARetryIsNotTakenForTheRequest(t *testing.T) {
	trace := stitched(
		t, "a",
		`access {"ts":"2026-01-02T03:04:01Z","req_id":"a","status":502,"latency_ms":10}`,
		`access {"ts":"2026-01-02T03:04:09Z","req_id":"b","retry_of":"a","status":200,"latency_ms":5000}`,
	)
	f := trace.Facts()
	if f.Status != 502 || f.Reported != 10*time.Millisecond || f.Records != 1 {
		t.Errorf("%+v", f)
	}
}

func TestAWholeTraceIsTheSubjectWhenItsIDIsAskedFor(t *testing.T) {
	f := stitched(
		t, "T",
		`access {"ts":"2026-01-02T03:04:01Z","req_id":"a","trace_id":"T","status":200,"latency_ms":10}`,
		`proto {"ts":"2026-01-02T03:04:09Z","req_id":"b","trace_id":"T"}`,
	).Facts()
	if f.Records != 2 || f.Total != 8*time.Second+10*time.Millisecond {
		t.Errorf("%+v", f)
	}
}

func TestChunkNumbers(t *testing.T) {
	const chunk, mark, send = "item/chunk", "turn/completed", "turn/start"
	type message struct {
		event string
		seq   string
	}
	for _, c := range []struct {
		name     string
		messages []message
		want     string
	}{
		{"from 0", []message{{chunk, "0"}, {chunk, "1"}}, "2 chunks in proto, none duplicated or missing."},
		{"from 1", []message{{chunk, "1"}}, "1 chunk in proto, none duplicated or missing."},
		{"the first missing", []message{{chunk, "3"}}, "1 chunk in proto: 2 missing (1–2)."},
		{"the last missing", []message{{chunk, "1"}, {mark, "3"}}, "1 chunk in proto: 1 missing (2)."},
		{"a mark with the last number", []message{{chunk, "1"}, {mark, "1"}}, "1 chunk in proto, none duplicated or missing."},
		{"as text", []message{{chunk, `"1"`}, {chunk, `"3"`}}, "2 chunks in proto: 1 missing (2)."},
		{"no number", []message{{chunk, `"x"`}, {chunk, "-1"}, {chunk, "1.5"}, {chunk, "null"}}, ""},
		{"thrice", []message{{chunk, "1"}, {chunk, "1"}, {chunk, "1"}, {chunk, "2"}}, "4 chunks in proto: 2 duplicated (1)."},
		{"sent again", []message{{send, ""}, {chunk, "1"}, {chunk, "2"}, {send, ""}, {chunk, "1"}}, "2 chunks in proto, none duplicated or missing.\n1 chunk in proto, none duplicated or missing."},
		{"sent in between", []message{{chunk, "1"}, {send, ""}, {chunk, "2"}}, "2 chunks in proto, none duplicated or missing."},
		{"far apart", []message{{chunk, "0"}, {chunk, "9223372036854775807"}}, "2 chunks in proto: 9223372036854775806 missing (1–9223372036854775806)."},
		{"turned around", []message{{chunk, "2"}, {chunk, "1"}, {chunk, "3"}}, "3 chunks in proto: 1 out of order."},
	} {
		var lines []string
		for i, m := range c.messages {
			way, seq := "recv", ""
			if m.event == send {
				way = "send"
			}
			if m.seq != "" {
				seq = `,"seq":` + m.seq
			}
			lines = append(lines, fmt.Sprintf(`proto {"ts":"2026-01-02T03:04:%02dZ","req_id":"a","direction":%q,"method":%q%s}`, i, way, m.event, seq))
		}
		var got []string
		f := stitched(t, "a", lines...).Facts()
		for _, s := range f.Streams {
			got = append(got, s.said("a", false))
		}
		if diff := cmp.Diff(c.want, strings.Join(got, "\n")); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestManyHolesAreCountedButNotListed(t *testing.T) {
	s := &numbers{times: map[int64]int{}}
	for n := range int64(1000) {
		s.add(2*n, true)
	}
	if got := s.judged(); got.Misses != 999 || len(got.Missing) != maxRanges {
		t.Errorf("%d missing, %d ranges", got.Misses, len(got.Missing))
	}
}

func TestEventsSayWhatBecameOfAThing(t *testing.T) {
	for event, want := range map[string]string{
		"tool_buffer/started": "tool_buffer opens",
		"tool_call.closed":    "tool_call closes",
		"toolBuffer:Aborted":  "toolBuffer aborts",
		"worker_exited":       "worker_exited ",
		"started":             " opens",
		"":                    " ",
		"/":                   "/ ",
	} {
		if thing, m := splitEvent(event); thing+" "+string(m) != want {
			t.Errorf("%q: %q %q", event, thing, m)
		}
	}
}

func TestWhatIsMissingMayNotHaveBeenSearched(t *testing.T) {
	trace := stitched(t, "a", `proto {"ts":"2026-01-02T03:04:01Z","req_id":"a","method":"item/chunk","seq":3}`)
	trace.LeftOut = 1
	if got := trace.Facts().Sentences(); !strings.Contains(strings.Join(got, "\n"), "2 missing (1–2), as far as was searched.") {
		t.Errorf("%q", got)
	}
}

func TestDurationsInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                      "0 ms",
		1234 * time.Nanosecond:                 "0 ms",
		9_870 * time.Microsecond:               "9.87 ms",
		312_400 * time.Microsecond:             "312 ms",
		9_994 * time.Millisecond:               "9.99 s",
		41_200 * time.Millisecond:              "41.2 s",
		110 * time.Second:                      "1 min 50 s",
		2*time.Hour + 59*time.Second:           "2 h 1 min",
		26*time.Hour + 30*time.Minute:          "26 h 30 min",
		time.Duration(1<<63 - 1):               "2562047 h 47 min",
		time.Hour - 400*time.Millisecond:       "60 min 0 s",
		100*time.Second - 400*time.Millisecond: "99.6 s",
	} {
		if got := inWords(d); got != want {
			t.Errorf("%d: %q, want %q", d, got, want)
		}
	}
}
