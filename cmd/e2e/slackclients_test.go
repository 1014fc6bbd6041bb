//go:build e2e

// Slack's official clients, and a browser, on the local workspace: it must be
// enough of a Slack for them. They need `npm ci` in slackclients.

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"triagebot/cmd/internal/program"
	"triagebot/notifiers/slack/slacklocal"
)

// clientsDir holds the clients' tests and, after npm ci, the clients.
const clientsDir = "slackclients"

// runClient runs one of the clients' test files against a workspace of its
// own, which sends people's acts to an app at an address or, with sockets,
// over Socket Mode.
func runClient(t *testing.T, file string, sockets bool) {
	t.Helper()
	const signingSecret, appToken = "e2e-signing-secret", "xapp-e2e"
	opts := slacklocal.Options{
		Channels: []string{channelName}, Token: slackToken,
		Groups: map[string][]string{"S0SRE": {"U0PERSON1"}},
	}
	address := program.FreeAddress(t)
	if sockets {
		opts.AppToken = appToken
	} else {
		at := "http://" + address + "/slack/events"
		opts.App = &slacklocal.App{CommandsURL: at, InteractionsURL: at, EventsURL: at, SigningSecret: signingSecret}
	}
	workspace, url := program.Slack(t, opts, nil)
	node(t, []string{"--test", file},
		"SLACK_URL="+url, "SLACK_BOT_TOKEN="+slackToken, "SLACK_APP_TOKEN="+appToken, "SLACK_SIGNING_SECRET="+signingSecret,
		"SLACK_CHANNEL="+workspace.ChannelID(channelName), "APP_ADDRESS="+address, "SCREENSHOTS="+screenshots(t))
}

// screenshots is where the page's pictures go: TRIAGEBOT_SCREENSHOTS, to be
// looked at, or a folder that ends with the test.
func screenshots(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("TRIAGEBOT_SCREENSHOTS")
	if dir == "" {
		return t.TempDir()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// node runs node in the clients' folder.
func node(t *testing.T, args []string, env ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Dir = clientsDir
	cmd.Env = append(append(os.Environ(), env...), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
	// The tests run in a process below node's, and end their browser when asked to.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("node %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestSlacksWebClientDrivesTheWorkspace(t *testing.T) { runClient(t, "webapi.test.mjs", false) }

func TestSlacksSocketModeClientIsServed(t *testing.T) { runClient(t, "socketmode.test.mjs", true) }

func TestBoltVerifiesWhatTheWorkspaceSigns(t *testing.T) { runClient(t, "bolt.test.mjs", false) }

func TestThePageInABrowser(t *testing.T) { runClient(t, "page.test.mjs", false) }

// The notifier's golden messages are Block Kit as Slack's own types have it.
func TestGoldenMessagesAreOfSlacksTypes(t *testing.T) {
	compile(t, goldenMessages(t), "")
	compile(t, `const wrong: Message = {text: "x", blocks: [{type: "header", text: {type: "mrkdwn", text: "x"}}]};`, "mrkdwn")
}

// goldenMessages is TypeScript that holds each golden message to be a Message.
func goldenMessages(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("../../notifiers/slack/testdata/*.json")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d golden messages, %v", len(files), err)
	}
	var source strings.Builder
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(text) {
			t.Fatalf("%s is no JSON", file)
		}
		fmt.Fprintf(&source, "// %s\nexport const message%d: Message = %s;\n", filepath.Base(file), i, bytes.TrimSpace(text))
	}
	return source.String()
}

// compile type-checks TypeScript in which Message is a message of Slack's
// blocks. It must be right, or wrong with a complaint about want.
func compile(t *testing.T, source, want string) {
	t.Helper()
	dir := t.TempDir()
	clients, err := filepath.Abs(clientsDir)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "golden.ts", "import type { KnownBlock } from \"@slack/types\";\ninterface Message { text: string; plain?: string; blocks: KnownBlock[] }\n"+source)
	config, err := json.Marshal(map[string]any{
		"compilerOptions": map[string]any{
			"strict": true, "noEmit": true, "module": "nodenext", "types": []string{},
			"paths": map[string][]string{"@slack/types": {filepath.Join(clients, "node_modules/@slack/types")}},
		},
		"files": []string{"golden.ts"},
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join(clients, "node_modules/typescript/bin/tsc"), "-p", writeFile(t, dir, "tsconfig.json", string(config)))
	out, err := cmd.CombinedOutput()
	switch {
	case want == "" && err != nil:
		t.Errorf("tsc: %v\n%s", err, out)
	case want != "" && (err == nil || !strings.Contains(string(out), want)):
		t.Errorf("tsc: %v, want a complaint about %s\n%s", err, want, out)
	}
}
