package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"triagebot/cmd/internal/program"
	"triagebot/notifiers/slack/slacklocal"
)

// slackConfig is a configuration with an app.
func slackConfig(t *testing.T, apiURL, channel, more string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "token", "xoxb-1")
	write(t, dir, "app-token", "xapp-1")
	return write(t, dir, "triagebot.yaml", fmt.Sprintf("prometheus: {url: \"http://127.0.0.1:9\"}\nroutes: [{notifier: slack, channel: %q}]\nslack: {token_file: token, api_url: %q%s}\n", channel, apiURL, more))
}

func TestCheckSlackSaysWhatIsAmissAndWhatToDo(t *testing.T) {
	workspace, url := program.Slack(t, slacklocal.Options{Token: "xoxb-1", AppToken: "xapp-1", Channels: []string{"incidents", "sre"}}, nil)
	if err := workspace.RemoveBot("sre"); err != nil {
		t.Fatal(err)
	}
	api := url + "/api/"
	local := write(t, t.TempDir(), "local.yaml", "prometheus: {url: \"http://127.0.0.1:9\"}\nroutes: [{notifier: slack, channel: \"#incidents\"}]\n")
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
