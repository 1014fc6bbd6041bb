package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// slackApp is a Web API that knows one app.
func slackApp(t *testing.T) (apiURL string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/api/auth.test":
			w.Header().Set("X-OAuth-Scopes", "chat:write,files:write,files:read,channels:read,channels:history,groups:read,groups:history,commands,app_mentions:read,users:read,usergroups:read")
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

// slackSecret is the app's signing secret.
const slackSecret = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"

// slackConfig is a configuration with an app.
func slackConfig(t *testing.T, apiURL, channel, more string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"token": "xoxb-1", "app-token": "xapp-1", "secret": slackSecret,
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
