package slack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"

	"triagebot/notifiers"
	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fixture is a notifier in front of a local workspace.
type fixture struct {
	*Notifier
	ws        *slacklocal.Workspace
	server    *httptest.Server
	log       *test.Hook
	metrics   *prometheus.Registry
	artifacts map[string][]byte
	progress  []string // what was checkpointed
	nonce     int
}

func setUp(t *testing.T, change ...func(*Options, *slacklocal.Options)) *fixture {
	t.Helper()
	f := &fixture{metrics: prometheus.NewRegistry(), artifacts: map[string][]byte{"p95.png": []byte("\x89PNG not really")}}
	logger, hook := test.NewNullLogger()
	logger.SetLevel(logrus.DebugLevel)
	f.log = hook
	o := Options{
		Token:      slacklocal.DefaultToken,
		Log:        logger,
		Registerer: f.metrics,
		Open: func(_ context.Context, _ int64, name string) (io.ReadCloser, int64, error) {
			data, ok := f.artifacts[name]
			if !ok {
				return nil, 0, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
			}
			return io.NopCloser(bytes.NewReader(data)), int64(len(data)), nil
		},
	}
	lo := slacklocal.Options{Channels: []string{"incidents", "fallback"}, Clock: func() time.Time { return start }}
	for _, c := range change {
		c(&o, &lo)
	}
	ws, err := slacklocal.New(lo)
	if err != nil {
		t.Fatal(err)
	}
	f.ws = ws
	f.server = httptest.NewServer(ws.Handler())
	t.Cleanup(func() {
		_ = ws.Close()
		f.server.Close()
	})
	o.APIURL = f.server.URL + "/api/"
	if f.Notifier, err = New(o); err != nil {
		t.Fatal(err)
	}
	return f
}

func withFallback(o *Options, _ *slacklocal.Options) { o.FallbackChannel = "#fallback" }

func (f *fixture) delivery(kind triage.DeliveryKind, body triage.Post) *triage.Delivery {
	f.nonce++
	return &triage.Delivery{
		ID: int64(f.nonce), Key: fmt.Sprintf("incident/7/%s/%d", kind, f.nonce), Nonce: fmt.Sprintf("nonce-%d", f.nonce),
		Notifier: "slack", Channel: "incidents", IncidentID: 7, Kind: kind, Body: body, Version: 1, CreatedAt: start,
	}
}

func (f *fixture) parent() *triage.Delivery {
	return f.delivery(triage.DeliveryParent, triage.Post{Parent: parentPost()})
}

func (f *fixture) reply(thread triage.RemoteRef) *triage.Delivery {
	d := f.delivery(triage.DeliveryReply, triage.Post{Finding: findingPost()})
	d.Thread = thread
	return d
}

func (f *fixture) file(thread triage.RemoteRef) *triage.Delivery {
	d := f.delivery(triage.DeliveryFile, triage.Post{File: &triage.FilePost{
		IncidentID: 7, Comment: "p95 over the last hour",
		Artifact: triage.EvidenceRef{Name: "p95.png", Title: "p95 latency", MediaType: "image/png", Alt: "p95 1.2 s against 0.8 s a day ago: abnormal"},
	}})
	d.Thread = thread
	return d
}

func (f *fixture) checkpoint(d *triage.Delivery) func(string) error {
	return func(progress string) error {
		f.progress = append(f.progress, progress)
		d.Progress = progress
		return nil
	}
}

// send sends and wants it to succeed.
func (f *fixture) send(t *testing.T, d *triage.Delivery) notifiers.Receipt {
	t.Helper()
	r, err := f.Send(t.Context(), d, f.checkpoint(d))
	if err != nil {
		t.Fatalf("Send(%s): %v", d.Key, err)
	}
	return r
}

// refused sends and wants it to fail for the given reason.
func (f *fixture) refused(t *testing.T, d *triage.Delivery, want notifiers.Reason) *notifiers.Error {
	t.Helper()
	r, err := f.Send(t.Context(), d, f.checkpoint(d))
	return reasonOf(t, err, want, fmt.Sprintf("Send(%s) = %+v", d.Key, r))
}

func reasonOf(t *testing.T, err error, want notifiers.Reason, what string) *notifiers.Error {
	t.Helper()
	var e *notifiers.Error
	if !errors.As(err, &e) {
		t.Fatalf("%s, error %v (%T), want a %s *notifiers.Error", what, err, err, want)
	}
	if e.Reason != want {
		t.Fatalf("%s, error %v, want the reason %q", what, e, want)
	}
	if strings.Contains(e.Error(), slacklocal.DefaultToken) {
		t.Errorf("the error holds the token: %v", e)
	}
	if strings.Contains(e.Error(), "/upload/") {
		t.Errorf("the error holds an upload URL: %v", e)
	}
	return e
}

// found looks and wants to find exactly the message in remote.
func (f *fixture) found(t *testing.T, d *triage.Delivery) notifiers.Receipt {
	t.Helper()
	r, found, err := f.Find(t.Context(), d)
	if err != nil || !found {
		t.Fatalf("Find(%s) = %+v, %v, %v; want it found", d.Key, r, found, err)
	}
	return r
}

func (f *fixture) absent(t *testing.T, d *triage.Delivery) {
	t.Helper()
	if r, found, err := f.Find(t.Context(), d); err != nil || found {
		t.Fatalf("Find(%s) = %+v, %v, %v; want it absent", d.Key, r, found, err)
	}
}

// once is a fault of the first call only.
func once(fault slacklocal.Fault) func(int) slacklocal.Fault {
	return func(n int) slacklocal.Fault {
		if n == 1 {
			return fault
		}
		return slacklocal.Fault{}
	}
}

func parentPost() *triage.ParentPost {
	return &triage.ParentPost{
		IncidentID: 7, State: triage.IncidentFiring, Severity: "critical", Alertname: "CodexLatencySLOBreach",
		Impact:   "p95 latency of /v1/chat/completions is above its SLO",
		Fields:   []triage.Field{{Name: "Service", Value: "codex"}, {Name: "Route", Value: "/v1/chat/completions"}},
		Playbook: "latency-slo-breach",
		Steps: []triage.StepMark{
			{ID: "p95", Title: "p95 latency", State: triage.StepAbnormal},
			{ID: "backoff", Title: "Worker backoff", State: triage.StepNormal},
			{ID: "readyz", Title: "Readiness", State: triage.StepRunning},
			{ID: "page", Title: "Page", State: triage.StepWaiting},
		},
		Links: []triage.Link{
			{Title: "Runbook", URL: "https://wiki.example/incident-runbook#latency"},
			{Title: "Prometheus", URL: "http://prometheus.example:9090/graph?g0.expr=up&g0.tab=1"},
		},
		StartedAt: start.Add(-time.Minute), Firing: 2, Alerts: 3,
	}
}

func findingPost() *triage.FindingPost {
	return &triage.FindingPost{IncidentID: 7, RunID: 9, Finding: triage.Finding{
		StepID: "p95", Title: "p95 latency", Kind: "query", Verdict: triage.VerdictAbnormal,
		Headline: "p95 on /v1/chat/completions is 1.20 s (0.80 s a day ago)",
		Rows: []triage.Row{
			{Name: `{route="/v1/chat/completions"}`, Value: "1.20 s", Baseline: "0.80 s", Abnormal: true},
			{Name: `{route="/v1/models"}`, Value: "40 ms", Baseline: "41 ms"},
		},
		Links:    []triage.Link{{Title: "Prometheus", URL: "http://prometheus.example:9090/graph?g0.expr=up"}},
		Evidence: []triage.EvidenceRef{{Name: "p95/p95.json", Title: "p95.json", MediaType: "application/json", URL: "http://triage.example/evidence/7/p95.json?sig=abc"}},
		At:       start, Took: 320 * time.Millisecond,
	}}
}
