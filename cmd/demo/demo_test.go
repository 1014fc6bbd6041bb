package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/template"
	"github.com/sirupsen/logrus"
)

// webhook collects what is posted to it.
type webhook struct {
	*httptest.Server
	got chan template.Data
}

func newWebhook(t *testing.T) *webhook {
	w := &webhook{got: make(chan template.Data, 100)}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var data template.Data
		if r.Header.Get("Authorization") != "Bearer secret" {
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&data); err != nil {
			t.Errorf("notification: %v", err)
		}
		w.got <- data
	}))
	t.Cleanup(w.Close)
	return w
}

// next waits for a notification of the alertname with the status; others are
// passed over.
func (w *webhook) next(ctx context.Context, t *testing.T, alertname, status string) template.Data {
	t.Helper()
	for {
		select {
		case data := <-w.got:
			if data.GroupLabels["alertname"] == alertname && data.Status == status {
				return data
			}
			t.Logf("passed over: %s %s", data.GroupLabels["alertname"], data.Status)
		case <-ctx.Done():
			t.Fatalf("no notification that %s is %s", alertname, status)
		}
	}
}

// TestEachFaultFiresItsAlert drives the whole lab: fault on, the real rule
// fires, a notification comes; fault off, it is said to be resolved.
func TestEachFaultFiresItsAlert(t *testing.T) {
	for fault, alertname := range map[string]string{
		"slow":        "CodexLatencySLOBreach",
		"errors":      "CodexErrorRateHigh",
		"restarts":    "CodexWorkerRestarts",
		"toolbuffer":  "CodexToolBufferAnomaly",
		"maintenance": "CodexMaintenanceEnabled",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			hook := newWebhook(t)
			var log bytes.Buffer
			logger := logrus.New()
			logger.SetOutput(&log)
			began := time.Now()
			lab, err := Start(ctx, Options{Dir: t.TempDir(), WebhookURL: hook.URL, BearerToken: "secret", Log: logger})
			if err != nil {
				t.Fatal(err)
			}
			started := time.Now()
			if err := lab.Fault(fault, true); err != nil {
				t.Fatal(err)
			}
			firing := hook.next(ctx, t, alertname, "firing")
			fired := time.Now()
			if err := lab.Fault(fault, false); err != nil {
				t.Fatal(err)
			}
			hook.next(ctx, t, alertname, "resolved")
			t.Logf("start took %s, first notification after %s, resolved after %s more",
				started.Sub(began).Round(time.Millisecond), fired.Sub(started).Round(time.Millisecond), time.Since(fired).Round(time.Millisecond))

			if firing.CommonLabels["owner"] != "sre" || firing.CommonLabels["page_service"] != "codex-app" || firing.CommonAnnotations["summary"] == "" {
				t.Errorf("notification: %+v", firing)
			}
			if err := lab.Close(); err != nil {
				t.Errorf("close: %v\n%s", err, &log)
			}
		})
	}
}
