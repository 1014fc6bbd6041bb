package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"triagebot/cmd/config"
	"triagebot/notifiers/slack"
	"triagebot/triage"
)

// slackApp is a Web API that knows one app.
func slackApp(t *testing.T) (apiURL string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/api/auth.test":
			w.Header().Set("X-OAuth-Scopes", "chat:write,files:write,files:read,channels:read,channels:history,groups:read,groups:history,commands,app_mentions:read,usergroups:read")
			fmt.Fprint(w, `{"ok":true,"user":"triagebot","team":"acme","team_id":"T0123456","bot_id":"B1"}`)
		case "/api/conversations.list":
			fmt.Fprint(w, `{"ok":true,"channels":[{"id":"C0INC00001","name":"incidents","is_member":true},{"id":"C0SRE00001","name":"sre"}]}`)
		case "/api/apps.connections.open":
			fmt.Fprint(w, `{"ok":true,"url":"wss://socket.example/"}`)
		default:
			fmt.Fprint(w, `{"ok":false,"error":"unknown_method"}`)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/api/"
}

// slackConfig is a configuration with an app.
func slackConfig(t *testing.T, apiURL, channel, more string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"token": "xoxb-1", "app-token": "xapp-1", "secret": strings.Repeat("0a", 16),
		"triagebot.yaml": fmt.Sprintf("prometheus: {url: \"http://127.0.0.1:9\"}\nroutes: [{notifier: slack, channel: %q}]\nslack: {token_file: token, api_url: %q%s}\n", channel, apiURL, more),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "triagebot.yaml")
}

func TestCheckSlackSaysWhatIsAmissAndWhatToDo(t *testing.T) {
	api := slackApp(t)
	local := filepath.Join(t.TempDir(), "local.yaml")
	if err := os.WriteFile(local, []byte("prometheus: {url: \"http://127.0.0.1:9\"}\nroutes: [{notifier: slack, channel: \"#incidents\"}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file   string
		status int
		says   []string
	}{
		"all is well":     {slackConfig(t, api, "#incidents", ", app_token_file: app-token"), 0, []string{"ok       the bot token is good", "ok       the bot is in #incidents", "ok       the app token opens Socket Mode"}},
		"not invited":     {slackConfig(t, api, "#sre", ", app_token_file: app-token"), 1, []string{"error    the bot is not in #sre", "→ write /invite @triagebot"}},
		"nobody is heard": {slackConfig(t, api, "#incidents", ""), 0, []string{"warning  people in Slack are not heard"}},
		"no app":          {local, 1, []string{"slack.token_file", "docs/slack.md"}},
		"no file":         {filepath.Join(t.TempDir(), "none.yaml"), 1, []string{"does not exist"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if got := execute(t.Context(), []string{"triagebot", "check", "slack", "--config.file", c.file}, &out, &out); got != c.status {
				t.Errorf("exit status %d, want %d", got, c.status)
			}
			for _, want := range c.says {
				if !strings.Contains(out.String(), want) {
					t.Errorf("it lacks %q:\n%s", want, out.String())
				}
			}
		})
	}
}

func TestPeopleInSlackAreHeardWhereASecretIsSet(t *testing.T) {
	api := slackApp(t)
	asked := make(chan triage.Request, 1)
	wire := func(more string) *app {
		cfg, err := config.Load(slackConfig(t, api, "#incidents", more))
		if err != nil {
			t.Fatal(err)
		}
		log := logrus.New()
		log.SetOutput(io.Discard)
		a := &app{cfg: cfg, log: log, registry: prometheus.NewRegistry()}
		a.slack, err = slack.New(slack.Options{Token: "xoxb-1", APIURL: api, Log: log, Open: func(context.Context, int64, string) (io.ReadCloser, int64, error) {
			return nil, 0, io.EOF
		}})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	do := func(_ context.Context, r triage.Request) triage.Reply {
		asked <- r
		return triage.Reply{Text: "Incident 7 is yours."}
	}
	if in, err := wire("").newInbound(do); in != nil || err != nil {
		t.Errorf("without a secret: %v, %v", in, err)
	}
	in, err := wire(", signing_secret_file: secret").newInbound(do)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx) }()
	routes := mux.NewRouter()
	in.Register(routes)

	body := url.Values{"command": {"/triage"}, "text": {"ack 7"}, "trigger_id": {"1.1"}, "team_id": {"T0123456"}, "user_id": {"U1"}}.Encode()
	r := httptest.NewRequest(http.MethodPost, "/slack/commands", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(strings.Repeat("0a", 16)))
	fmt.Fprintf(mac, "v0:%s:%s", stamp, body)
	r.Header.Set("X-Slack-Request-Timestamp", stamp)
	r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	w := httptest.NewRecorder()
	routes.ServeHTTP(w, r)
	if got := <-asked; got.Text != "triage ack 7" || got.Actor.Team != "T0123456" {
		t.Errorf("asked %+v", got)
	}
	if w.Code != http.StatusOK {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
