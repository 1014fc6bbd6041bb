package inbound

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	slackapi "github.com/slack-go/slack"
	"go.yaml.in/yaml/v3"

	"triagebot/notifiers/slack"
)

// The app that people make from the manifests is the one that the code needs.
func TestTheManifestsAreOfTheAppThatTheCodeNeeds(t *testing.T) {
	var needed []string
	for _, s := range slack.Scopes() {
		needed = append(needed, s.Name)
	}
	page, err := os.ReadFile("../../../docs/slack.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range slack.Scopes() {
		if !strings.Contains(string(page), "| `"+s.Name+"` | "+s.Why+" |") {
			t.Errorf("docs/slack.md lacks the row | `%s` | %s |", s.Name, s.Why)
		}
	}
	const host = "https://triagebot.example.org"
	for file, overHTTP := range map[string]bool{"slack-manifest.yaml": false, "slack-manifest-http.yaml": true} {
		data, err := os.ReadFile(filepath.Join("../../../docs", file))
		if err != nil {
			t.Fatal(err)
		}
		var m slackapi.Manifest
		dec := yaml.NewDecoder(bytes.NewReader(data))
		dec.KnownFields(true) // Slack refuses keys that it does not know
		if err := dec.Decode(&m); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if !slices.Equal(m.OAuthConfig.Scopes.Bot, needed) || len(m.OAuthConfig.Scopes.User) > 0 {
			t.Errorf("%s: scopes %v, the code needs %v", file, m.OAuthConfig.Scopes, needed)
		}
		url := func(path string) string {
			if overHTTP {
				return host + path
			}
			return ""
		}
		var names []string
		for _, c := range m.Features.SlashCommands {
			names = append(names, c.Command)
			if c.Url != url(CommandsPath) || c.Description == "" || c.ShouldEscape {
				t.Errorf("%s: command %+v", file, c)
			}
		}
		if !slices.Equal(names, []string{"/triage", "/maintenance"}) {
			t.Errorf("%s: commands %v", file, names)
		}
		if e := m.Settings.EventSubscriptions; !slices.Equal(e.BotEvents, []string{"app_mention"}) || e.RequestUrl != url(EventsPath) {
			t.Errorf("%s: events %+v", file, e)
		}
		if i := m.Settings.Interactivity; !i.IsEnabled || i.RequestUrl != url(InteractionsPath) {
			t.Errorf("%s: interactivity %+v", file, i)
		}
		if m.Settings.SocketModeEnabled == overHTTP {
			t.Errorf("%s: Socket Mode %v", file, m.Settings.SocketModeEnabled)
		}
	}
}
