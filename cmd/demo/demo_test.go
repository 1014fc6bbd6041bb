package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/template"
	"github.com/sirupsen/logrus"

	"triagebot/playbooks"
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
// fires, a notification comes and its playbook finds what is wrong; fault off,
// it is said to be resolved.
func TestEachFaultFiresItsAlert(t *testing.T) {
	const short = 10 * time.Minute
	for _, c := range []struct {
		fault, alertname string
		history          time.Duration
		explanation      string            // its playbook's conclusion
		want             map[string]string // verdicts of its playbook's steps
	}{
		{"slow", "CodexLatencySLOBreach", short, "worker-backoff", map[string]string{"p95": "abnormal", "recorded-baseline": "abnormal", "latency-panel": "abnormal", "restarts-panel": "abnormal", "backoff": "abnormal", "readyz": "abnormal", "metrics": "normal", "restarts": "normal", "slow-request": "normal"}},
		{"errors", "CodexErrorRateHigh", short, "backend", map[string]string{"error-ratio": "abnormal", "error-panel": "abnormal", "reasons": "normal", "maintenance": "normal", "readyz": "normal", "failing-request": "abnormal"}},
		{"restarts", "CodexWorkerRestarts", short, "out-of-memory", map[string]string{"restarts": "abnormal", "restarts-panel": "abnormal", "backoff": "abnormal", "backoff-policy": "normal", "exits": "abnormal", "persist": "abnormal", "readyz": "abnormal", "metrics": "normal"}},
		{"toolbuffer", "CodexToolBufferAnomaly", short, "settings", map[string]string{"anomaly": "abnormal", "tool-panel": "abnormal", "still": "abnormal", "settings": "abnormal", "streams": "abnormal", "readyz": "normal"}},
		{"maintenance", "CodexMaintenanceEnabled", short, "left-on", map[string]string{"flag": "abnormal", "flag-panel": "abnormal", "readyz": "normal", "refused": "abnormal", "backoff": "normal"}},
		// The same alerts from other causes: a release that was not there an hour ago,
		// and turns that wait although no worker backs off.
		{"deploy", "CodexErrorRateHigh", DefaultHistory, "bad-deploy", map[string]string{"error-ratio": "abnormal", "maintenance": "normal", "readyz": "normal", "changes": "abnormal", "failing-request": "abnormal"}},
		{"overload", "CodexLatencySLOBreach", short, "overload", map[string]string{"p95": "abnormal", "recorded-baseline": "abnormal", "backoff": "normal", "queue": "abnormal", "restarts": "normal"}},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			hook := newWebhook(t)
			var log bytes.Buffer
			logger := logrus.New()
			logger.SetOutput(&log)
			began := time.Now()
			lab, err := Start(ctx, Options{Dir: t.TempDir(), WebhookURL: hook.URL, BearerToken: "secret", Log: logger, History: c.history})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := lab.Close(); err != nil {
					t.Errorf("close: %v\n%s", err, &log)
				}
			}()
			started := time.Now()
			if err := lab.Fault(c.fault, true); err != nil {
				t.Fatal(err)
			}
			firing := hook.next(ctx, t, c.alertname, "firing")
			t.Logf("start took %s, first notification after %s", started.Sub(began).Round(time.Millisecond), time.Since(started).Round(time.Millisecond))
			checkNotification(t, lab, firing)

			got, conclusion := verdicts(ctx, t, lab, firing)
			if conclusion.Explanation != c.explanation {
				t.Errorf("it concludes %q, want %s", conclusion.Sentence(), c.explanation)
			}
			for id, want := range c.want {
				if got[id] != want {
					t.Errorf("step %s is %s, want %s", id, got[id], want)
				}
			}

			off := time.Now()
			if err := lab.Fault(c.fault, false); err != nil {
				t.Fatal(err)
			}
			hook.next(ctx, t, c.alertname, "resolved")
			t.Logf("resolved %s after the fault was over", time.Since(off).Round(time.Millisecond))
		})
	}
}

func checkNotification(t *testing.T, lab *Lab, firing template.Data) {
	t.Helper()
	if firing.CommonLabels["owner"] != "sre" || firing.CommonLabels["page_service"] != "codex-app" || firing.CommonAnnotations["summary"] == "" {
		t.Errorf("notification: %+v", firing)
	}
	// The link leads to the lab's own page and shows the rule as written.
	link, err := url.Parse(firing.Alerts[0].GeneratorURL)
	if err != nil || !strings.HasPrefix(link.String(), lab.PrometheusURL()+"/graph?") {
		t.Fatalf("generatorURL = %q (%v)", firing.Alerts[0].GeneratorURL, err)
	}
	rules, err := playbooks.Files.ReadFile(playbooks.AlertRules)
	if err != nil {
		t.Fatal(err)
	}
	if expr := link.Query().Get("g0.expr"); !strings.Contains(flat(string(rules)), flat(expr)) {
		t.Errorf("%s is not in the rules file", expr)
	}
	resp, err := http.Get(link.String())
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the link answers %s", resp.Status)
	}
}

// flat is text without white space, which PromQL does not care about.
func flat(s string) string { return strings.Join(strings.Fields(s), "") }
