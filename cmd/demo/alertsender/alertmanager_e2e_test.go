//go:build e2e

// The sender against the real Alertmanager: the same alert must give the same
// notification.

package alertsender

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/notifier"
)

// newSince are fields that Debian's Alertmanager (0.25) does not have yet: both
// came with 0.33.
var newSince = []string{"notification_reason", "routeLabels"}

const externalURL = "http://alertmanager.example:9093"

// inbox is a webhook that decodes what it is sent into plain JSON values.
func inbox(t *testing.T) (address string, got <-chan map[string]any) {
	t.Helper()
	messages := make(chan map[string]any, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m map[string]any
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Errorf("notification: %v", err)
		}
		m["(content type)"] = r.Header.Get("Content-Type")
		messages <- m
	}))
	t.Cleanup(server.Close)
	return server.URL, messages
}

func next(ctx context.Context, t *testing.T, from <-chan map[string]any) map[string]any {
	t.Helper()
	select {
	case m := <-from:
		return m
	case <-ctx.Done():
		t.Fatal("no notification came")
		return nil
	}
}

// alertmanager starts the real one on loopback and returns its base URL.
func alertmanager(ctx context.Context, t *testing.T, webhook string) string {
	t.Helper()
	binary, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		t.Fatalf("%v; install Debian's prometheus-alertmanager", err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "alertmanager.yml")
	text := fmt.Sprintf(`
route:
  receiver: triage.bot
  group_by: [alertname, page_service]
  group_wait: 1s
  group_interval: 1s
receivers:
  - name: triage.bot
    webhook_configs: [{url: '%s', send_resolved: true}]
`, webhook)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	var log bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, "--config.file="+config, "--storage.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--web.external-url="+externalURL, "--web.route-prefix=/", "--cluster.listen-address=")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
		if t.Failed() {
			t.Logf("alertmanager:\n%s", &log)
		}
	})
	base := "http://" + address
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		if resp, err := http.Get(base + "/-/ready"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return base
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatal("alertmanager does not become ready")
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// tell sends alerts to the real Alertmanager as Prometheus does.
func tell(t *testing.T, base string, alerts ...*notifier.Alert) {
	t.Helper()
	body, err := json.Marshal(alerts)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(base+"/api/v2/alerts", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(resp.Body)
		t.Fatalf("alertmanager answered %s: %s", resp.Status, answer)
	}
}

func TestSameAsTheRealAlertmanager(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	realURL, fromReal := inbox(t)
	ownURL, fromOwn := inbox(t)
	am := alertmanager(ctx, t, realURL)
	s, err := New(Options{
		URL: ownURL, Receiver: "triage.bot", ExternalURL: externalURL, GroupBy: []string{"alertname", "page_service"},
		GroupWait: time.Second, GroupInterval: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	runCtx, stop := context.WithCancel(ctx)
	go func() { ended <- s.Run(runCtx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()

	// Whole milliseconds: more, Alertmanager's API does not keep.
	now := time.Now().UTC().Truncate(time.Millisecond)
	one := firing("CodexLatencySLOBreach", "page_service", "codex-app", "route", "/v1/chat/completions", "weird", "a \"b\" \\ <c> é")
	two := firing("CodexLatencySLOBreach", "page_service", "codex-app", "route", "/v1/models")
	for _, a := range []*notifier.Alert{one, two} {
		a.StartsAt, a.EndsAt = now, now.Add(time.Hour)
	}
	gone := func(a *notifier.Alert) *notifier.Alert {
		b := *a
		b.EndsAt = time.Now().UTC().Truncate(time.Millisecond)
		return &b
	}
	for _, stage := range []struct {
		name   string
		alerts func() []*notifier.Alert
		status string
	}{
		{"two fire", func() []*notifier.Alert { return []*notifier.Alert{one, two} }, "firing"},
		{"one resolves", func() []*notifier.Alert { return []*notifier.Alert{gone(one), two} }, "firing"},
		{"the last resolves", func() []*notifier.Alert { return []*notifier.Alert{gone(two)} }, "resolved"},
	} {
		alerts := stage.alerts()
		tell(t, am, alerts...)
		s.Send(alerts...)
		theirs, ours := next(ctx, t, fromReal), next(ctx, t, fromOwn)
		if theirs["status"] != stage.status {
			t.Errorf("%s: status %v, want %s", stage.name, theirs["status"], stage.status)
		}
		for _, field := range newSince {
			if _, both := theirs[field]; !both {
				delete(ours, field)
			} else if field == "notification_reason" && ours[field] != theirs[field] {
				t.Errorf("%s: reason %v, the real one's %v", stage.name, ours[field], theirs[field])
			}
		}
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("%s: the real Alertmanager's notification differs from ours (-real +ours):\n%s", stage.name, diff)
		}
	}
}
