package codexsim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// told is what the proto log says of a request, a word for each line.
func (s *simulation) told(id any) string {
	s.Helper()
	var words []string
	for _, l := range s.lines("proto.ndjson") {
		if l["req_id"] == id {
			word := l["method"].(string)
			if seq, ok := l["seq"]; ok {
				word += fmt.Sprint(seq)
			}
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// accessOf are the access lines for which the condition holds; there is one.
func (s *simulation) accessOf(what string, is func(l map[string]any) bool) []map[string]any {
	s.Helper()
	found := slices.DeleteFunc(s.lines("access.ndjson"), func(l map[string]any) bool { return !is(l) })
	if len(found) == 0 {
		s.Fatalf("no access line of %s", what)
	}
	return found
}

func TestARequestIsToldMessageByMessage(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		s.pass(3 * time.Second)
		chat := s.accessOf("a completion", func(l map[string]any) bool { return l["route"] == routeChat && l["tool_call"] == nil })
		if got, want := s.told(chat[0]["req_id"]), "turn/start item/chunk1 item/chunk2 item/chunk3 turn/completed4"; got != want {
			t.Errorf("a completion is told as %s", got)
		}
		tool := s.accessOf("a tool call", func(l map[string]any) bool { return l["tool_call"] == true })
		if got, want := s.told(tool[0]["req_id"]), "turn/start item/chunk1 tool_buffer/started item/chunk2 item/chunk3 tool_buffer/completed turn/completed4"; got != want {
			t.Errorf("a tool call is told as %s", got)
		}
	})
}

func TestTheAccessLineIsTheLastOfARequest(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		s.fault(Errors, true)
		s.pass(3 * time.Second)
		ended := map[any]string{}
		for _, l := range s.lines("access.ndjson") {
			ended[l["req_id"]] = l["ts"].(string)
		}
		for _, name := range []string{"proto.ndjson", "usage.ndjson"} {
			for _, l := range s.lines(name) {
				if end, ok := ended[l["req_id"]]; ok && l["ts"].(string) > end {
					t.Errorf("%s has %v after its access line of %s", name, l, end)
				}
			}
		}
	})
}

func TestTheToolBufferFaultLosesAndDoublesChunks(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		s.fault(ToolBuffer, true)
		s.pass(5 * time.Second)
		var all []string
		for _, l := range s.accessOf("a tool call", func(l map[string]any) bool { return l["tool_call"] == true }) {
			all = append(all, s.told(l["req_id"]))
		}
		for what, want := range map[string]string{
			"without one": "turn/start item/chunk1 tool_buffer/started item/chunk3 tool_buffer/aborted turn/completed4",
			"mixed up":    "turn/start item/chunk1 tool_buffer/started item/chunk2 item/chunk3 tool_buffer/aborted turn/completed4",
			"duplicated":  "turn/start item/chunk1 tool_buffer/started item/chunk2 item/chunk2 item/chunk3 tool_buffer/aborted turn/completed4",
			"unharmed":    "turn/start item/chunk1 tool_buffer/started item/chunk2 item/chunk3 tool_buffer/completed turn/completed4",
		} {
			if !slices.Contains(all, want) {
				t.Errorf("no tool call is %s", what)
			}
		}
	})
}

func TestARepeatedRequestNamesTheFirst(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		s.fault(Errors, true)
		s.pass(10 * time.Second)
		failed := s.accessOf("a failure", func(l map[string]any) bool { return l["error"] == reasonBackend })
		repeated := s.accessOf("a repetition", func(l map[string]any) bool { return l["retry_of"] != nil })
		for _, l := range repeated {
			if !slices.ContainsFunc(failed, func(f map[string]any) bool { return f["req_id"] == l["retry_of"] }) {
				t.Errorf("%v repeats a request that did not fail", l)
			}
		}
		if len(repeated) > len(failed)*2/3 {
			t.Errorf("%d of %d failures repeated, want about half", len(repeated), len(failed))
		}
		if got := s.told(failed[0]["req_id"]); got != "turn/start error" {
			t.Errorf("a failure is told as %s", got)
		}
	})
}

func TestATurnIsSentAgainWhenItsWorkerExits(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		s.pass(time.Second)
		s.fault(Restarts, true)
		s.pass(3 * time.Second)
		for _, l := range s.accessOf("an answer", func(l map[string]any) bool { return l["route"] == routeChat }) {
			told := s.told(l["req_id"])
			if strings.Count(told, "turn/start") < 2 {
				continue
			}
			if l["status"] != 200.0 || l["worker"] != "w0" || !strings.HasSuffix(told, "item/chunk3 turn/completed4") && l["tool_call"] == nil {
				t.Errorf("%v is told as %s", l, told)
			}
			// Its first worker exited and was started while it ran.
			end := l["ts"].(string)
			ended, err := time.Parse(time.RFC3339, end)
			if err != nil {
				t.Fatal(err)
			}
			began := ended.Add(-time.Duration(l["latency_ms"].(float64) * float64(time.Millisecond))).Format("2006-01-02T15:04:05.000Z")
			for _, event := range []string{"worker_exited", "worker_started"} {
				if !slices.ContainsFunc(s.lines("engine.ndjson"), func(e map[string]any) bool {
					ts := e["ts"].(string)
					return e["event"] == event && ts >= began && ts <= end
				}) {
					t.Errorf("no %s between %s and %s", event, began, end)
				}
			}
			return
		}
		t.Error("no turn was sent again")
	})
}

func TestLogsOfAMinuteAreFew(t *testing.T) {
	simulate(t, Options{LogBytes: 64 << 20}, func(s *simulation) {
		s.pass(time.Minute)
		// A trace step looks back some minutes: so much has to fit two files of
		// DefaultLogBytes.
		if n := len(s.lines("proto.ndjson")); n == 0 || n > 60*DefaultRate*8 {
			t.Errorf("%d lines of proto in a minute", n)
		}
	})
}
