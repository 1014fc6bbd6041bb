package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"triagebot/cmd/config"
	"triagebot/cmd/demo/codexsim"
	"triagebot/triage"
	"triagebot/triage/store"
)

// startSim runs the simulated app until the test ends.
func startSim(t *testing.T, token string) *codexsim.App {
	t.Helper()
	sim, err := codexsim.New(codexsim.Options{LogDir: t.TempDir(), AdminToken: token})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- sim.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return sim
}

// prometheusOf answers every query with the simulated app's maintenance metric
// as it is now.
func prometheusOf(t *testing.T, sim *codexsim.App) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		resp, err := http.Get(sim.URL() + "/metrics")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		for line := range strings.Lines(string(text)) {
			if value, is := strings.CutPrefix(line, "codex_maintenance_mode "); is {
				fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[%d,%q]}]}}`, time.Now().Unix(), strings.TrimSpace(value))
			}
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestMaintenanceOfTheSimulatedApp(t *testing.T) {
	const token = "t0psecret"
	sim := startSim(t, token)
	dir := t.TempDir()
	write(t, dir, "admin-token", token)
	a := startApp(t, smallConfig(t, dir, fmt.Sprintf(`
datasources: {sim: {url: %q}}
maintenance:
  service: codex
  channel: "#maintenance"
  toggle: {url: "%s/admin/maintenance?by=triagebot", http_config: {authorization: {credentials_file: admin-token}}, body_on: '{"enabled":true}', body_off: '{"enabled":false}'}
  metric: max(codex_maintenance_mode)
  datasource: sim
  ready_url: %s/readyz
`, prometheusOf(t, sim), sim.URL(), sim.URL())))
	ask := func(id string, do func(ctx context.Context, tx *store.Tx, req triage.Request) (triage.Reply, error)) triage.Reply {
		t.Helper()
		var reply triage.Reply
		err := a.db.Tx(t.Context(), func(tx *store.Tx) (err error) {
			reply, err = do(t.Context(), tx, triage.Request{ID: id, Actor: triage.Actor{Via: triage.ViaCtl, ID: "alice"}, At: time.Now()})
			return err
		})
		if err != nil || reply.Outcome != triage.OutcomeDone {
			t.Fatalf("%s: %+v, %v", id, reply, err)
		}
		return reply
	}
	plan := ask("enable", func(ctx context.Context, tx *store.Tx, req triage.Request) (triage.Reply, error) {
		return a.maintenance.Enable(ctx, tx, req, 0, "a drill")
	})
	if text, _ := json.Marshal(plan); strings.Contains(string(text), token) || !strings.Contains(plan.Lines[1], "POST "+sim.URL()+"/admin/maintenance") || strings.Contains(plan.Lines[1], "?") {
		t.Errorf("the plan is %s", text)
	}
	shown := func(text string) func() bool {
		return func() bool {
			for _, thread := range a.local.workspace.Channel("maintenance") {
				if strings.Contains(thread.Text, text) {
					return true
				}
			}
			return false
		}
	}
	ask("confirm", func(ctx context.Context, tx *store.Tx, req triage.Request) (triage.Reply, error) {
		return a.maintenance.Confirm(ctx, tx, req, 1)
	})
	eventually(t, "the channel sees it on", shown("is on since"))
	if n := sim.MaintenanceCalls(); n != 1 {
		t.Errorf("the toggle was called %d times", n)
	}
	ask("disable", func(ctx context.Context, tx *store.Tx, req triage.Request) (triage.Reply, error) {
		return a.maintenance.Disable(ctx, tx, req, 0, "", false)
	})
	eventually(t, "the channel sees it over", shown("is over"))
	if n := sim.MaintenanceCalls(); n != 2 {
		t.Errorf("the toggle was called %d times", n)
	}
	if replies := a.local.workspace.Channel("maintenance")[0].Replies; len(replies) < 3 {
		t.Errorf("%d notes in the thread", len(replies))
	}
}

func TestReadinessBehindAPrivateCA(t *testing.T) {
	ca := newAuthority(t)
	certPEM, keyPEM := ca.issue(t)
	cert, err := tls.X509KeyPair([]byte(certPEM), []byte(keyPEM))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the readiness is shown the toggle's credentials")
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it says that it was not trusted
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	t.Cleanup(server.Close)
	for _, c := range []struct{ name, more, wrong string }{
		{"named", "ready_http_config: {tls_config: {ca_file: ca.pem}}", ""},
		{"not named", "", "unknown authority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "ca.pem", ca.pem)
			write(t, dir, "admin-token", "t0psecret")
			cfg, err := config.Load(smallConfig(t, dir, fmt.Sprintf(`
maintenance:
  service: codex
  channel: "#maintenance"
  toggle: {url: %[1]s, http_config: {authorization: {credentials_file: admin-token}}, body_on: "on"}
  metric: flag
  ready_url: %[1]s
  %[2]s
`, server.URL, c.more)))
			if err != nil {
				t.Fatal(err)
			}
			ready, err := maintenanceReady(cfg.Maintenance)
			if err != nil {
				t.Fatal(err)
			}
			switch err := ready.Ready(t.Context()); {
			case c.wrong == "" && err != nil:
				t.Errorf("not ready: %v", err)
			case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
				t.Errorf("ready with %v, want %q in it", err, c.wrong)
			}
		})
	}
}

func TestACAThatIsNoneIsFoundByTheCheck(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "ca.pem", "no certificate")
	file := smallConfig(t, dir, `
maintenance:
  service: codex
  channel: "#maintenance"
  toggle: {url: "http://127.0.0.1:9", body_on: "on"}
  metric: flag
  ready_url: https://127.0.0.1:9
  ready_http_config: {tls_config: {ca_file: ca.pem}}
`)
	if status, _, stderr := run(t, "check", "config", file); status != 1 || !strings.Contains(stderr, "maintenance.ready_http_config: ") {
		t.Errorf("exit status %d: %s", status, stderr)
	}
}
