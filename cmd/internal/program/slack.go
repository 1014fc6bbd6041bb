// The Slack around the program.

package program

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"triagebot/notifiers/slack/inbound"
	"triagebot/notifiers/slack/slacklocal"
)

// Slack is a workspace served over HTTP until the test ends, and where. after
// is called when a request has been answered; nil stands for nothing to do.
func Slack(tb testing.TB, opts slacklocal.Options, after func()) (workspace *slacklocal.Workspace, url string) {
	tb.Helper()
	workspace, err := slacklocal.New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	api := workspace.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		api.ServeHTTP(w, r)
		if after != nil {
			after()
		}
	}))
	tb.Cleanup(func() {
		if err := workspace.Close(); err != nil {
			tb.Error(err)
		}
		server.Close()
	})
	return workspace, server.URL
}

// App is triagebot as a workspace's app: it takes what people do at its URL.
func App(url, signingSecret string) *slacklocal.App {
	return &slacklocal.App{
		CommandsURL: url + inbound.CommandsPath, InteractionsURL: url + inbound.InteractionsPath, EventsURL: url + inbound.EventsPath,
		SigningSecret: signingSecret,
	}
}

// Channels are the names of so many channels.
func Channels(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("incidents-%d", i)
	}
	return names
}

// Routes is a configuration's section that sends an incident to the channel
// that its label channel names, and the rest to the first.
func Routes(channels []string) string {
	var b strings.Builder
	b.WriteString("routes:\n")
	for _, channel := range channels[1:] {
		fmt.Fprintf(&b, "  - {match: ['channel=%q'], notifier: slack, channel: %q}\n", channel, "#"+channel)
	}
	fmt.Fprintf(&b, "  - {notifier: slack, channel: %q}\n", "#"+channels[0])
	return b.String()
}
