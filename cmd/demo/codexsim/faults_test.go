package codexsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// ask is what a GET answers, decoded.
func (s *simulation) ask(path string) map[string]any {
	s.Helper()
	rec := httptest.NewRecorder()
	s.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	var answer map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != http.StatusOK {
		s.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
	}
	return answer
}

// changes are the lines of the changes log, each in a word.
func (s *simulation) changes() (all []string) {
	s.Helper()
	for _, l := range s.lines("changes.ndjson") {
		all = append(all, fmt.Sprintf("%s by %s: %s", l["what"], l["who"], l["detail"]))
	}
	return all
}

// errorsOf counts the backend's errors in the proto log by what they say.
func (s *simulation) errorsOf() map[string]int {
	s.Helper()
	all := map[string]int{}
	for _, l := range s.lines("proto.ndjson") {
		if l["method"] == "error" {
			all[l["error"].(string)]++
		}
	}
	return all
}

func TestDeployFault(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		s.pass(5 * time.Second)
		s.fault(Deploy, true)
		if v := s.value("codex_build_info"); v != 1 || s.value("codex_build_info", "version", badRelease().version) != 1 {
			t.Errorf("%g releases after a deploy; want the new one alone", v)
		}
		if got := s.ask("/readyz")["version"]; got != badRelease().version {
			t.Errorf("/readyz says version %v", got)
		}
		before := s.value("codex_http_requests_total", "route", routeChat)
		s.pass(10 * time.Second)
		requests := s.value("codex_http_requests_total", "route", routeChat) - before
		if ratio := s.value("codex_http_request_errors_total", "reason", reasonBackend) / requests; ratio < 0.15 || ratio > 0.25 {
			t.Errorf("error ratio %g after a bad deploy, want about one in five", ratio)
		}
		if said := s.errorsOf(); said[badRelease().refused] < 50 || len(said) > 2 {
			t.Errorf("the proto log says %v", said)
		}

		s.fault(Deploy, false)
		s.pass(time.Second)
		if s.value("codex_build_info") != 1 || s.value("codex_build_info", "version", version) != 1 {
			t.Error("the rollback is not seen in codex_build_info")
		}
		before = s.value("codex_http_request_errors_total")
		s.pass(5 * time.Second)
		if failed := s.value("codex_http_request_errors_total") - before; failed > 1 {
			t.Errorf("%g errors after the rollback", failed)
		}
		if got, want := s.changes(), []string{
			"deploy by release-pipeline: deploy 0.9.5-sim (b7e93d2) in place of 0.9.4-sim",
			"deploy by release-pipeline: roll back 0.9.4-sim (4c1f0aa) in place of 0.9.5-sim",
		}; !slices.Equal(got, want) {
			t.Errorf("changes %q", got)
		}
	})
}

func TestOverloadIsNoSlowBackend(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		s.pass(10 * time.Second)
		usual, slow := s.value("codex_http_requests_total"), s.slower(500)
		s.fault(Overload, true)
		s.pass(10 * time.Second)
		if v := s.value("codex_queue_depth"); v < 20 {
			t.Errorf("%g turns wait under three times the traffic", v)
		}
		if v := s.value("codex_http_requests_total") - usual; v < 2*usual {
			t.Errorf("%g requests after %g in as long a time", v, usual)
		}
		if v := s.slower(500) - slow; v < 200 {
			t.Errorf("only %g completions over 500 ms", v)
		}
		for _, name := range []string{"codex_worker_backoff_ms", "codex_worker_restarts_total"} {
			if v := s.value(name); v != 0 {
				t.Errorf("%s = %g; no worker is in trouble", name, v)
			}
		}
		s.accessOf("a turn that waited for most of its time", func(l map[string]any) bool {
			waited, _ := l["queue_ms"].(float64)
			return waited > 0.8*l["latency_ms"].(float64)
		})

		s.fault(Overload, false)
		s.pass(5 * time.Second)
		slow = s.slower(500)
		s.pass(5 * time.Second)
		if after := s.slower(500); after != slow || s.value("codex_queue_depth") != 0 {
			t.Errorf("%g slow completions after the overload, %g wait", after-slow, s.value("codex_queue_depth"))
		}
	})
	simulate(t, Options{}, func(s *simulation) {
		s.fault(Slow, true)
		s.pass(10 * time.Second)
		if v := s.value("codex_queue_depth"); v != 0 {
			t.Errorf("%g turns wait behind a slow backend", v)
		}
	})
}

func TestTheQueueIsBounded(t *testing.T) {
	q := &queue{}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	taken := 0
	for ; taken < 10_000; taken++ {
		until, ok := q.place(now)
		if !ok {
			break
		}
		if until > mostQueued {
			t.Fatalf("place %d is %s away", taken, until)
		}
	}
	if want := int((mostQueued+handOutAhead)/handOutEvery) + 1; taken != want {
		t.Errorf("%d places at once, want %d", taken, want)
	}
	if _, ok := q.place(now.Add(time.Second)); !ok {
		t.Error("a second later there is no place yet")
	}
}

func TestSettingsTellWhyToolCallsAreHarmed(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		healthy := map[string]any{"PROXY_STOP_AFTER_TOOLS": true, "PROXY_STOP_AFTER_TOOLS_MODE": "burst", "PROXY_TOOL_BLOCK_MAX": 4.0}
		if got := s.ask("/settings"); fmt.Sprint(got) != fmt.Sprint(healthy) {
			t.Errorf("/settings answers %v", got)
		}
		s.fault(ToolBuffer, true)
		if got := s.ask("/settings")["PROXY_TOOL_BLOCK_MAX"]; got != 0.0 {
			t.Errorf("PROXY_TOOL_BLOCK_MAX is %v under the fault", got)
		}
		if v := s.value("codex_feature_flag", "flag", flagToolBlockCap); v != 0 {
			t.Errorf("the flag of the cap is %g under the fault", v)
		}
		s.fault(ToolBuffer, false)
		if got := s.ask("/settings"); fmt.Sprint(got) != fmt.Sprint(healthy) {
			t.Errorf("/settings answers %v after the fault", got)
		}
		if got, want := s.changes(), []string{
			"flag by operator: PROXY_TOOL_BLOCK_MAX=0 (was 4)",
			"flag by operator: PROXY_TOOL_BLOCK_MAX=4 (was 0)",
		}; !slices.Equal(got, want) {
			t.Errorf("changes %q", got)
		}
	})
	// It is the setting that harms, whatever set it.
	for n := uint64(0); n < 64; n += toolCallEvery {
		if h := settingsWith(false).harmTo(n); h != unharmed {
			t.Errorf("the tool call of completion %d is harmed within the limit: %s", n, h)
		}
	}
}

// TestToolCallsCanBeReadFromTheirChunks follows the text of blocks over chunks.
func TestToolCallsCanBeReadFromTheirChunks(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		s.fault(ToolBuffer, true)
		s.pass(10 * time.Second)
		texts, ended := map[any]string{}, map[string]any{}
		for _, l := range s.lines("proto.ndjson") {
			switch l["method"] {
			case "item/chunk":
				text, _ := l["text"].(string)
				if text == "" || len(text) > 200 {
					t.Fatalf("a chunk's text is %q", text)
				}
				texts[l["req_id"]] += text
			case "tool_buffer/aborted":
				ended[l["error"].(string)] = l["req_id"]
			case "tool_buffer/completed":
				ended[""] = l["req_id"]
			}
		}
		for _, c := range []struct {
			harm                  harm
			opened, closed, names int
			arguments             int
		}{
			{unharmed, 1, 1, 1, 1},
			{loses, 1, 1, 1, 0},
			{duplicates, 1, 1, 1, 2},
			{truncates, 1, 0, 1, 1},
			{opensTwice, 2, 1, 2, 1},
		} {
			text := texts[ended[string(c.harm)]]
			got := []int{strings.Count(text, "<use_tool>"), strings.Count(text, "</use_tool>"), strings.Count(text, "<name>"), strings.Count(text, "<args>")}
			if !slices.Equal(got, []int{c.opened, c.closed, c.names, c.arguments}) {
				t.Errorf("%q: opened, closed, names, arguments are %v in %q", c.harm, got, text)
			}
		}
	})
}

func TestTheEngineSaysWhatAWorkerDiesOf(t *testing.T) {
	events := func(s *simulation, worker string) (all []string) {
		for _, l := range s.lines("engine.ndjson") {
			if l["worker"] == worker {
				all = append(all, fmt.Sprintf("%s %s", l["level"], l["event"]))
			}
		}
		return all
	}
	simulate(t, Options{}, func(s *simulation) {
		s.pass(11 * time.Second)
		usual := events(s, "w1")
		if want := strings.Fields("heartbeat heartbeat heartbeat heartbeat heartbeat cache_trimmed"); strings.ReplaceAll(strings.Join(usual, " "), "info ", "") != strings.Join(want, " ") {
			t.Errorf("a healthy worker says %q", usual)
		}
		s.fault(Restarts, true)
		s.pass(time.Second)
		got := events(s, "w1")[len(usual):]
		if want := []string{"warning heartbeat_missed", "error memory_limit", "error worker_exited", "info worker_started", "warning heartbeat_missed"}; len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
			t.Errorf("a dying worker says %q", got)
		}

		// The engine's own print says the same, a line for a line.
		printed, err := os.ReadFile(filepath.Join(s.dir, "engine.log"))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(printed), "\n"), "\n")
		if len(lines) != len(s.lines("engine.ndjson")) {
			t.Errorf("%d lines printed, %d in engine.ndjson", len(lines), len(s.lines("engine.ndjson")))
		}
		format := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO   |WARNING|ERROR  ) \[w\d\] [a-z_]+(: .+)?$`)
		for _, line := range lines {
			if !format.MatchString(line) {
				t.Errorf("printed %q", line)
			}
		}
		if !strings.Contains(string(printed), "memory limit: rss 2.1GiB over 2GiB, killed (exit 137)") {
			t.Error("the print does not say of what a worker died")
		}
	})
}

func TestLogsCanBeWithheld(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		s.pass(3 * time.Second)
		sizes := func() (all []int64) {
			entries, err := os.ReadDir(s.dir)
			if err != nil || len(entries) != logCount {
				t.Fatalf("%d files, %v", len(entries), err)
			}
			for _, e := range entries {
				info, err := e.Info()
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, info.Size())
			}
			return all
		}
		s.fault(LogsOff, true)
		before, requests := sizes(), s.value("codex_http_requests_total")
		for _, f := range []Fault{Restarts, ToolBuffer, Deploy} {
			s.fault(f, true)
		}
		s.pass(10 * time.Second)
		if got := sizes(); !slices.Equal(got, before) {
			t.Errorf("the logs had %v bytes and have %v", before, got)
		}
		if s.value("codex_http_requests_total") < requests+300 || s.value("codex_worker_restarts_total") == 0 || s.value("codex_build_info", "version", version) != 0 {
			t.Error("the metrics do not go on")
		}
		s.fault(LogsOff, false)
		s.pass(3 * time.Second)
		if got := sizes(); slices.Equal(got, before) {
			t.Error("the logs do not go on")
		}
	})
}

func TestAForgottenFlagStandsInTheChanges(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		s.fault(Maintenance, true)
		s.fault(Maintenance, true) // it is on already: no change
		s.pass(time.Second)
		if v := s.value("codex_feature_flag", "flag", flagMaintenance); v != 1 {
			t.Errorf("the flag's metric is %g", v)
		}
		if got, want := s.changes(), []string{"flag by operator: maintenance=true (was false)"}; !slices.Equal(got, want) {
			t.Errorf("changes %q", got)
		}
	})
}

// TestFaultsCombine has each fault show what it shows alone, beside any other.
// Maintenance is left out: where every turn is refused, none can be slow.
func TestFaultsCombine(t *testing.T) {
	shows := map[Fault]func(s *simulation) bool{
		Slow: func(s *simulation) bool {
			return s.slower(500) > 50 && s.value("codex_worker_backoff_ms", "worker", "w0") > 0
		},
		Errors:     func(s *simulation) bool { return s.errorsOf()["backend: upstream connection reset"] > 20 },
		Restarts:   func(s *simulation) bool { return s.value("codex_worker_restarts_total") > 9 },
		ToolBuffer: func(s *simulation) bool { return s.value("codex_tool_buffer_anomaly") > 5 },
		Deploy:     func(s *simulation) bool { return s.errorsOf()[badRelease().refused] > 20 },
		Overload:   func(s *simulation) bool { return s.value("codex_queue_depth") > 10 && s.slower(500) > 50 },
	}
	for i, one := range Faults() {
		for _, other := range Faults()[i+1:] {
			if shows[one] == nil || shows[other] == nil {
				continue
			}
			t.Run(string(one)+" and "+string(other), func(t *testing.T) {
				t.Parallel()
				simulate(t, Options{}, func(s *simulation) {
					s.fault(one, true)
					s.fault(other, true)
					s.pass(5 * time.Second)
					for _, f := range []Fault{one, other} {
						if !shows[f](s) {
							t.Errorf("%s does not show", f)
						}
					}
					// What the one leaves behind is the other's alone.
					s.fault(one, false)
					s.pass(5 * time.Second)
					if !shows[other](s) {
						t.Errorf("%s does not show after %s ended", other, one)
					}
				})
			})
		}
	}
}
