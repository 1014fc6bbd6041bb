package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/config"

	"triagebot/notifiers"
	"triagebot/triage"
)

var update = flag.Bool("update", false, "write the golden files anew")

// endpoint is a receiver that keeps what it was sent.
type endpoint struct {
	*httptest.Server
	requests []*http.Request
	bodies   []string
}

func listen(t *testing.T, answer http.HandlerFunc) *endpoint {
	t.Helper()
	e := &endpoint{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		e.requests, e.bodies = append(e.requests, r), append(e.bodies, string(body))
		answer(w, r)
	}))
	t.Cleanup(e.Close)
	return e
}

func ok(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func to(t *testing.T, url string) *Notifier {
	t.Helper()
	n, err := New(Options{Name: "hook", URL: url, HTTPClient: config.DefaultHTTPClientConfig})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func send(n *Notifier, d *triage.Delivery) (notifiers.Receipt, error) {
	return n.Send(context.Background(), d, func(string) error { return nil })
}

func note(text string) *triage.Delivery {
	return &triage.Delivery{
		Key: "incident/7/run/9/end", Nonce: "a1b2", Notifier: "hook", IncidentID: 7, Kind: triage.DeliveryReply, Version: 1,
		Thread: triage.RemoteRef{ID: "parent-nonce"},
		Body:   triage.Post{Note: &triage.NotePost{IncidentID: 7, Text: text}},
	}
}

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestTheBodyOfEachKind(t *testing.T) {
	for name, d := range map[string]*triage.Delivery{
		"parent": {
			Key: "incident/7/parent", Nonce: "a1b2", IncidentID: 7, Kind: triage.DeliveryParent, Version: 3, Channel: "ops",
			Body: triage.Post{Parent: &triage.ParentPost{
				IncidentID: 7, State: triage.IncidentFiring, Severity: "critical", Alertname: "CodexLatencySLOBreach",
				Impact: "p95 is over its objective", Fields: []triage.Field{{Name: "route", Value: "/v1/chat/completions"}},
				Playbook: "latency-slo-breach", Steps: []triage.StepMark{{ID: "p95", Title: "p95 latency", State: triage.StepAbnormal}},
				Links: []triage.Link{{Title: "Runbook", URL: "https://example.com/runbook?a=1&b=2"}}, StartedAt: at, Firing: 1, Alerts: 1,
			}},
		},
		"finding": {
			Key: "incident/7/run/9/step/p95", Nonce: "c3d4", IncidentID: 7, Kind: triage.DeliveryReply, Version: 1,
			Thread: triage.RemoteRef{ID: "a1b2"},
			Body: triage.Post{Finding: &triage.FindingPost{IncidentID: 7, RunID: 9007199254740993, Finding: triage.Finding{
				StepID: "p95", Title: "p95 latency", Kind: "query", Verdict: triage.VerdictAbnormal, Headline: "p95 is 2.1 s (480 ms a day ago)",
				Rows: []triage.Row{{Name: "p95", Value: "2.1 s", Baseline: "480 ms", Abnormal: true}},
				Vars: map[string]any{"value": 2100.0}, Debug: []string{"asked Prometheus"}, At: at, StartedAt: at, Took: 12 * time.Millisecond,
			}}},
		},
		"conclusion": {
			Key: "incident/7/run/9/conclusion", Nonce: "b7c8", IncidentID: 7, Kind: triage.DeliveryReply, Version: 1,
			Thread: triage.RemoteRef{ID: "a1b2"},
			Body: triage.Post{Conclusion: &triage.ConclusionPost{IncidentID: 7, RunID: 9, Conclusion: triage.Conclusion{
				Explanation: "backoff", Says: "workers are backing off", For: []string{"Worker backoff: 800 ms"},
				Against: []string{"Worker restarts: none"}, Rivals: []string{"the database is slow"}, Open: []string{"the network loses packets"},
				Unknown: []string{"A slow request, from log to log"}, Next: "Drain the worker.",
			}}},
		},
		"note": note("Run finished: 1 of 4 abnormal"),
		"escalation": {
			Key: "incident/7/run/9/step/page/escalated/1", Nonce: "f7a8", IncidentID: 7, Kind: triage.DeliveryNotice, Version: 1,
			Body: triage.Post{Escalation: &triage.EscalationPost{
				IncidentID: 7, Alertname: "CodexLatencySLOBreach", Severity: "critical", To: "oncall", Reason: "worker backoff during a latency breach",
				Links: []triage.Link{{Title: "Runbook", URL: "https://example.com/runbook"}},
			}},
		},
		"window": {
			Key: "window/3/parent", Nonce: "b9c0", WindowID: 3, Kind: triage.DeliveryParent, Version: 4,
			Body: triage.Post{Window: &triage.WindowPost{
				WindowID: 3, State: triage.WindowOn, Service: "app", Reason: "workers restart in a loop", By: "alice",
				Said:  "Maintenance of app is on since 10:00 UTC, until 10:30 UTC.",
				Since: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC), Until: time.Date(2026, 3, 1, 10, 30, 0, 0, time.UTC),
				Choices: []triage.Choice{{Label: "Disable", Command: "maintenance disable", Style: "danger", Confirm: "Turn maintenance of app off?"}},
			}},
		},
		"file": {
			Key: "incident/7/run/9/file/p95.png", Nonce: "e5f6", IncidentID: 7, Kind: triage.DeliveryFile, Version: 1,
			Thread: triage.RemoteRef{ID: "a1b2"},
			Body: triage.Post{File: &triage.FilePost{IncidentID: 7, Artifact: triage.EvidenceRef{
				Name: "run-9/p95.png", MediaType: "image/png", Alt: "p95 2.1 s, abnormal", URL: "https://triagebot.example.com/evidence/7/p95.png",
			}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := encode(d)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := json.Indent(&got, append(body, '\n'), "", "  "); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

// docs/webhook.md is what whoever writes a receiver has.
func TestThePageShowsTheBodyOfEachKind(t *testing.T) {
	page, err := os.ReadFile("../../docs/webhook.md")
	if err != nil {
		t.Fatal(err)
	}
	bodies, err := filepath.Glob("testdata/*.json")
	if err != nil || len(bodies) != 7 {
		t.Fatal(bodies, err)
	}
	for _, file := range bodies {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "```json\n"+string(body)+"```\n") {
			t.Errorf("docs/webhook.md does not show %s as it is; copy it there", file)
		}
	}
}

func TestARepeatedPostIsKnownByItsKeyAndAnEditIsNot(t *testing.T) {
	e := listen(t, ok)
	n := to(t, e.URL)
	d := note("text")
	for _, version := range []int64{1, 1, 2} {
		d.Version = version
		r, err := send(n, d)
		if err != nil {
			t.Fatal(err)
		}
		if r.Remote.ID != d.Nonce {
			t.Errorf("shown as %q; want the nonce %q", r.Remote.ID, d.Nonce)
		}
	}
	var keys []string
	for _, r := range e.requests {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
	}
	if diff := cmp.Diff([]string{"a1b2-1", "a1b2-1", "a1b2-2"}, keys); diff != "" {
		t.Errorf("Idempotency-Key (-want +got):\n%s", diff)
	}
	if e.bodies[0] != e.bodies[1] {
		t.Errorf("the same key came with two bodies:\n%s\n%s", e.bodies[0], e.bodies[1])
	}
}

func TestWhatAnAnswerMeans(t *testing.T) {
	for _, test := range []struct {
		status int
		header string // Retry-After
		want   string // reason; "" for success
		after  time.Duration
	}{
		{status: 200},
		{status: 201},
		{status: 204},
		{status: 304, want: "permanent"},
		{status: 400, want: "permanent"},
		{status: 401, want: "permanent"},
		{status: 404, want: "permanent"},
		{status: 408, want: "permanent"},
		{status: 410, want: "permanent"},
		{status: 413, want: "permanent"},
		{status: 429, want: "rate limited"},
		{status: 429, header: "17", want: "rate limited", after: 17 * time.Second},
		{status: 429, header: "Sun, 01 Mar 2026 12:01:00 GMT", want: "rate limited", after: time.Minute},
		{status: 429, header: "Sun, 01 Mar 2020 12:01:00 GMT", want: "rate limited"},
		{status: 429, header: "-5", want: "rate limited"},
		{status: 429, header: "4294967295", want: "rate limited", after: 24 * time.Hour},
		{status: 429, header: "soon", want: "rate limited"},
		{status: 500, want: "transient"},
		{status: 502, want: "transient"},
		{status: 503, want: "transient"},
		{status: 599, want: "transient"},
	} {
		t.Run(fmt.Sprint(test.status, " ", test.header), func(t *testing.T) {
			e := listen(t, func(w http.ResponseWriter, _ *http.Request) {
				if test.header != "" {
					w.Header().Set("Retry-After", test.header)
				}
				w.WriteHeader(test.status)
			})
			n := to(t, e.URL)
			n.now = func() time.Time { return at }
			_, err := send(n, note("text"))
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var failed *notifiers.Error
			if !errors.As(err, &failed) {
				t.Fatalf("error %v is not a *notifiers.Error", err)
			}
			if failed.Reason.String() != test.want || failed.After != test.after {
				t.Errorf("%v after %v; want %s after %v", failed.Reason, failed.After, test.want, test.after)
			}
			if !strings.Contains(err.Error(), fmt.Sprint(test.status)) {
				t.Errorf("error %q does not name the status", err)
			}
		})
	}
}

func reasonOf(t *testing.T, err error) notifiers.Reason {
	t.Helper()
	var failed *notifiers.Error
	if !errors.As(err, &failed) {
		t.Fatalf("error %v is not a *notifiers.Error", err)
	}
	return failed.Reason
}

func TestABrokenConnectionIsTriedAgainAndHidesTheURL(t *testing.T) {
	e := listen(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err := send(to(t, e.URL+"/T0KEN?key=s3cret"), note("text"))
	if got := reasonOf(t, err); got != notifiers.Transient {
		t.Errorf("reason %v; want transient", got)
	}
	for _, secret := range []string{"T0KEN", "s3cret"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %q holds the URL's secret", err)
		}
	}
}

func TestASlowReceiverIsTriedAgain(t *testing.T) {
	release := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	e := listen(t, func(http.ResponseWriter, *http.Request) {
		cancel() // the request has gone out, and the patience for its answer ends
		<-release
	})
	defer close(release)
	_, err := to(t, e.URL).Send(ctx, note("text"), nil)
	if got := reasonOf(t, err); got != notifiers.Transient {
		t.Errorf("reason %v; want transient", got)
	}
}

func TestARedirectIsFollowedOnlyAsAPost(t *testing.T) {
	for status, want := range map[int]bool{
		http.StatusMovedPermanently: false, http.StatusFound: false, http.StatusSeeOther: false,
		http.StatusTemporaryRedirect: true, http.StatusPermanentRedirect: true,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			e := listen(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/old" {
					http.Redirect(w, r, "/new", status)
				}
			})
			_, err := send(to(t, e.URL+"/old"), note("text"))
			if !want {
				if got := reasonOf(t, err); got != notifiers.Permanent {
					t.Errorf("reason %v; want permanent", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := e.requests[len(e.requests)-1]; got.Method != http.MethodPost || got.URL.Path != "/new" || e.bodies[1] != e.bodies[0] {
				t.Errorf("ended at %s %s with %q", got.Method, got.URL.Path, e.bodies[1])
			}
		})
	}
}

func TestARedirectLoopEnds(t *testing.T) {
	e := listen(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/again", http.StatusTemporaryRedirect)
	})
	_, err := send(to(t, e.URL), note("text"))
	if got := reasonOf(t, err); got != notifiers.Permanent {
		t.Errorf("reason %v; want permanent", got)
	}
}

func TestTheURLFileIsReadForEveryRequest(t *testing.T) {
	first, second := listen(t, ok), listen(t, ok)
	file := filepath.Join(t.TempDir(), "url")
	n, err := New(Options{Name: "hook", URLFile: file})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := send(n, note("text")); reasonOf(t, err) != notifiers.Transient {
		t.Errorf("without the file: %v; want transient", err)
	}
	for _, e := range []*endpoint{first, second} {
		if err := os.WriteFile(file, []byte(e.URL+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := send(n, note("text")); err != nil {
			t.Fatal(err)
		}
	}
	if len(first.bodies) != 1 || len(second.bodies) != 1 {
		t.Errorf("%d and %d requests; want one each", len(first.bodies), len(second.bodies))
	}
}

func TestCredentialsGoOut(t *testing.T) {
	e := listen(t, ok)
	n, err := New(Options{Name: "hook", URL: e.URL, HTTPClient: config.HTTPClientConfig{
		Authorization: &config.Authorization{Type: "Bearer", Credentials: "token"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := send(n, note("text")); err != nil {
		t.Fatal(err)
	}
	if got := e.requests[0].Header.Get("Authorization"); got != "Bearer token" {
		t.Errorf("Authorization %q", got)
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	for name, test := range map[string]struct {
		options Options
		want    string
	}{
		"no url":       {Options{}, "set one of url and url_file"},
		"two urls":     {Options{URL: "http://a", URLFile: "b"}, "set one of url and url_file"},
		"no scheme":    {Options{URL: "s3cret.example.com/hook"}, "write it like https://example.com/hook"},
		"control byte": {Options{URL: "http://s3cret\x7f"}, "write it like https://example.com/hook"},
		"two credentials": {Options{URL: "http://a", HTTPClient: config.HTTPClientConfig{
			BasicAuth: &config.BasicAuth{Username: "a"}, BearerToken: "b",
		}}, "its HTTP client"},
	} {
		t.Run(name, func(t *testing.T) {
			test.options.Name = "hook"
			_, err := New(test.options)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "webhook hook") || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("error %v; want one of webhook hook with %q, without the URL", err, test.want)
			}
		})
	}
}

func TestHostileTextIsBoundedAndStaysText(t *testing.T) {
	long := strings.Repeat("\u202e\"<é\xff", 1<<17)
	rows := make([]triage.Row, 1000)
	for i := range rows {
		rows[i] = triage.Row{Name: long[:900], Value: "</script>\x00"}
	}
	d := note(long)
	d.Body = triage.Post{Finding: &triage.FindingPost{Finding: triage.Finding{Headline: long, Rows: rows}}}
	body, err := encode(d)
	if err != nil {
		t.Fatal(err)
	}
	if len(body) > maxBody {
		t.Errorf("body of %d bytes; want at most %d", len(body), maxBody)
	}
	var m struct{ Post triage.Post }
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	if n := len(m.Post.Finding.Finding.Rows); n == 0 || n > 100 {
		t.Errorf("%d rows", n)
	}
	if got := m.Post.Finding.Finding.Headline; !strings.HasSuffix(got, "…") || !strings.HasPrefix(got, "\u202e\"<é\ufffd") {
		t.Errorf("headline %q", got)
	}
}

func TestWhatAReceiverAnswersIsBoundedInTheError(t *testing.T) {
	e := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, strings.Repeat("\x1b[31m\xff\n", 1<<17))
	})
	_, err := send(to(t, e.URL), note("text"))
	if n := len(err.Error()); n > 5000 {
		t.Errorf("error of %d bytes", n)
	}
	if strings.ContainsAny(err.Error(), "\x1b\n") {
		t.Errorf("error %q holds control characters", err)
	}
}

func TestFindNeverFinds(t *testing.T) {
	_, found, err := to(t, "http://localhost:1").Find(context.Background(), note("text"))
	if found || err != nil {
		t.Errorf("found %t, error %v; want not found, for the POST can be repeated", found, err)
	}
}

func FuzzCutText(f *testing.F) {
	f.Add("plain", 3)
	f.Add("é\xff\u202e𝄞", 2)
	f.Add("", 1)
	f.Fuzz(func(t *testing.T, s string, n int) {
		if n < 1 || n > 1<<16 {
			t.Skip()
		}
		got := cutText(s, n)
		if len([]rune(got)) > n {
			t.Errorf("cut %q to %d runes: %q", s, n, got)
		}
		if !strings.HasPrefix(s, strings.TrimSuffix(got, "…")) {
			t.Errorf("cut %q to %q", s, got)
		}
	})
}
