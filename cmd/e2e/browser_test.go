//go:build e2e

// A person in a browser, on the local channel of the whole program. Needs
// `npm ci` in slackclients.

package e2e

import (
	"testing"

	"triagebot/cmd/internal/program"
)

// TestTheDemoInABrowser goes from the alert to maintenance and back.
func TestTheDemoInABrowser(t *testing.T) {
	t.Parallel() // most of it is waiting for the alert and the metric
	path, err := binary.Path()
	if err != nil {
		t.Fatal(err)
	}
	dir, address := t.TempDir(), program.FreeAddress(t)
	demo := start(t, dir, "demo", path, "demo", "--verbose", "--dir", dir, "--channel-listen", address)
	demo.answers(t, "http://"+address+"/c/"+channelName)
	inBrowser(t, "demo.test.mjs", "http://"+address)
}

// inBrowser runs a test file of the page of a local channel.
func inBrowser(t *testing.T, file, channelURL string) {
	t.Helper()
	node(t, []string{"--test", file}, "SLACK_URL="+channelURL, "SCREENSHOTS="+screenshots(t))
}
