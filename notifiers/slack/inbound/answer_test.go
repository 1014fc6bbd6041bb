package inbound

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"triagebot/triage"
)

func TestAnswersGoToSlackOnly(t *testing.T) {
	for target, want := range map[string]bool{
		"https://hooks.slack.com/actions/T/1/x":     true,
		"https://slack.com/x":                       true,
		"http://hooks.slack.com/x":                  false,
		"https://hooks.slack.com.evil.example/x":    false,
		"https://evil.example/hooks.slack.com":      false,
		"https://hooks.slack.com@evil.example/x":    false,
		"https://user:pw@hooks.slack.com/x":         false,
		"https://hooks.slack.com:8443/x":            false,
		"http://127.0.0.1:9095/-/reload":            false,
		"http://169.254.169.254/latest/meta-data":   false,
		"file:///etc/passwd":                        false,
		"//hooks.slack.com/x":                       false,
		"":                                          false,
		"https://hooks.slack.com\x00.evil.example/": false,
	} {
		inBubble(t, func(t *testing.T) {
			f := setUp(t, nil)
			c := click("1.1", "triage ack 7")
			c["response_url"] = target
			f.interact(c)
			if got := len(f.answers()) == 1; got != want {
				t.Errorf("%q is called: %v, want %v", target, got, want)
			}
			if got := len(f.whispers()) == 1; got == want {
				t.Errorf("%q: answered in the channel: %v, want %v", target, got, !want)
			}
		})
	}
	// Of another API its own host will do, and hooks. beside it.
	for target, want := range map[string]bool{
		"https://hooks.slack-gov.com/x": true, "https://slack-gov.com/x": true, "http://slack-gov.com/x": false, "https://hooks.evil.example/x": false,
	} {
		i := &Inbound{opts: Options{APIURL: "https://slack-gov.com/api/"}}
		if got := i.ofSlack(target); got != want {
			t.Errorf("%q: %v, want %v", target, got, want)
		}
	}
	local := &Inbound{opts: Options{APIURL: "http://127.0.0.1:9096/api/"}}
	if !local.ofSlack("http://127.0.0.1:9096/response/1") || local.ofSlack("http://hooks.127.0.0.1:9096/x") || local.ofSlack("http://127.0.0.1:9095/x") {
		t.Error("the local channel's answers go to its own host and port, and nowhere else")
	}
}

// What an answer asked for stays as long as it can be done; then what came of it
// takes its place. A message that others see is never taken from them.
func TestAnAnswerThatIsDoneWithIsReplaced(t *testing.T) {
	for outcome, onAnswer := range map[triage.Outcome]bool{
		triage.OutcomeDone: true, triage.OutcomeRefused: false, triage.OutcomeUnclear: false, triage.OutcomeFailed: false,
	} {
		inBubble(t, func(t *testing.T) {
			f := setUp(t, func(context.Context, triage.Request) triage.Reply {
				return triage.Reply{Text: string(outcome), Outcome: outcome}
			})
			f.interact(click("1.1", "maintenance confirm 12"))
			answered := click("1.2", "maintenance confirm 12")
			answered["container"].(object)["is_ephemeral"] = true
			f.interact(answered)
			posted := f.answers()
			if len(posted) != 2 {
				t.Fatalf("%d answers, want 2", len(posted))
			}
			for i, want := range []bool{false, onAnswer} {
				if got := posted[i].said.ReplaceOriginal; got != want {
					t.Errorf("%s, click %d: replaced: %v, want %v", outcome, i+1, got, want)
				}
			}
		})
	}
}

func TestAnAnswerIsTriedAgainAFewTimes(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(n int) *http.Response
		posts  int
		after  time.Duration // of the last
		lost   float64
	}{
		"taken": {nil, 1, 0, 0},
		"limited, then taken": {func(n int) *http.Response {
			if n == 1 {
				return status(429, "", "Retry-After", "2")
			}
			return nil
		}, 2, 2 * time.Second, 0},
		"limited for an hour": {func(int) *http.Response { return status(429, "", "Retry-After", "3600") }, 3, 2 * longestWait, 1},
		"limited by no number": {func(n int) *http.Response {
			if n == 1 {
				return status(429, "", "Retry-After", "soon")
			}
			return nil
		}, 2, firstWait, 0},
		"down":       {func(int) *http.Response { return status(500, "oops") }, 3, 3 * firstWait, 1},
		"used up":    {func(int) *http.Response { return status(404, "used_url") }, 1, 0, 1},
		"a redirect": {func(int) *http.Response { return status(302, "", "Location", "http://127.0.0.1/") }, 1, 0, 1},
		"a layout that is refused": {func(n int) *http.Response {
			if n == 1 {
				return status(400, "invalid_blocks")
			}
			return nil
		}, 2, firstWait, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				// The one worker takes the second click up when it is done with the
				// first, however often that is tried.
				f := setUp(t, nil, func(o *Options) { o.Workers, o.Patience = 1, time.Hour })
				f.hooks.answer = func(n int) *http.Response {
					if n > c.posts || c.answer == nil {
						return nil
					}
					return c.answer(n)
				}
				began := time.Now()
				f.interact(click("1.1", "triage ack 7"))
				f.interact(click("1.2", "triage ack 8"))
				var posted []hooked
				for p := range f.hooks.came {
					if strings.HasSuffix(p.said.Text, "ack 8") {
						break
					}
					posted = append(posted, p)
				}
				if len(posted) != c.posts {
					t.Fatalf("%d tries, want %d", len(posted), c.posts)
				}
				if got := posted[len(posted)-1].at.Sub(began); got != c.after {
					t.Errorf("the last was after %s, want %s", got, c.after)
				}
				if got := testutil.ToFloat64(f.metrics.lost); got != c.lost {
					t.Errorf("%v lost, want %v", got, c.lost)
				}
				for _, e := range f.log.AllEntries() {
					if s, _ := e.String(); strings.Contains(s, "hooks.slack.com") {
						t.Errorf("the log holds the response_url: %s", s)
					}
				}
			})
		})
	}
}
