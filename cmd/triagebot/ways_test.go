package main

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"triagebot/cmd/internal/program"
	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage"
	"triagebot/triage/command"
)

// way is one of the ways in: it takes a command and gives the text of the answer
// as whoever asked sees it.
type way struct {
	name string
	open func(t *testing.T) (a *app, ask func(t *testing.T, text string) string)
}

const ctlToken = "a-token-for-the-tests-of-ctl"

// slackSays has a person type into a workspace, and waits for what they alone
// are shown.
func slackSays(w *slacklocal.Workspace, user string) func(t *testing.T, text string) string {
	return func(t *testing.T, text string) string {
		t.Helper()
		before := len(w.Ephemerals(user))
		if err := w.Say(t.Context(), user, slacklocal.Place{Channel: "incidents"}, "/"+strings.TrimPrefix(text, "/")); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		said := ""
		eventually(t, "an answer to "+text, func() bool {
			for _, shown := range w.Ephemerals(user)[before:] {
				if !strings.HasPrefix(shown.Text, "Working on it") { // on a busy machine
					said = shown.Text
				}
			}
			return said != ""
		})
		return said
	}
}

func ways() []way {
	return []way{
		{"ctl", func(t *testing.T) (*app, func(*testing.T, string) string) {
			t.Setenv("TRIAGEBOT_TEST_CTL_TOKEN", ctlToken)
			a := startApp(t, smallConfig(t, t.TempDir(), "access: {ctl_token_env: TRIAGEBOT_TEST_CTL_TOKEN}\n"))
			return a, func(t *testing.T, text string) string {
				t.Helper()
				t.Setenv(ctlTokenEnv, ctlToken)
				server := ctlServer{url: a.url()}
				body, err := json.Marshal(command.Asked{As: "you", Text: text})
				if err != nil {
					t.Fatal(err)
				}
				answer, err := server.call(t.Context(), http.MethodPost, command.CommandsPath, strings.NewReader(string(body)))
				if err != nil {
					t.Fatal(err)
				}
				var reply triage.Reply
				if err := json.Unmarshal(answer, &reply); err != nil {
					t.Fatal(err)
				}
				return reply.Text
			}
		}},
		{"the local channel", func(t *testing.T) (*app, func(*testing.T, string) string) {
			a := startApp(t, smallConfig(t, t.TempDir(), ""))
			return a, slackSays(a.local.workspace, person)
		}},
		{"HTTP", func(t *testing.T) (*app, func(*testing.T, string) string) {
			const secret = "0123456789abcdef0123456789abcdef"
			a, workspace := behindSlack(t, slacklocal.Options{}, "signing_secret_file", secret)
			if err := workspace.SetApp(program.App(a.url(), secret)); err != nil {
				t.Fatal(err)
			}
			return a, slackSays(workspace, person)
		}},
		{"Socket Mode", func(t *testing.T) (*app, func(*testing.T, string) string) {
			const token = "xapp-1-ways"
			a, workspace := behindSlack(t, slacklocal.Options{AppToken: token}, "app_token_file", token)
			eventually(t, "the socket is open", func() bool { return workspace.Connections() > 0 })
			return a, slackSays(workspace, person)
		}},
	}
}

// changing are instants and what hangs on them.
var changing = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d UTC|\d+h\d\dm|\d+[smhd]\b`)

// The same words have the same answer whichever way they come in, though each
// way's app has a database of its own.
func TestTheSameWordsEveryWay(t *testing.T) {
	data, err := os.ReadFile("../../triage/command/testdata/corpus.txt")
	if err != nil {
		t.Fatal(err)
	}
	var corpus []string
	for line := range strings.Lines(string(data)) {
		first, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "/"), " ")
		if first == "triage" || first == "maintenance" { // Slack knows no other slash commands
			corpus = append(corpus, strings.TrimSpace(line))
		}
	}
	if len(corpus) < 30 {
		t.Fatalf("only %d commands", len(corpus))
	}
	answers := map[string][]string{}
	for _, way := range ways() {
		t.Run(way.name, func(t *testing.T) {
			a, ask := way.open(t)
			for _, name := range []string{"Slow", "Errors"} {
				notify(t, a, name)
			}
			eventually(t, "both incidents are looked into and shown", func() bool {
				for id := range int64(2) {
					runs, err := a.db.RunsOf(t.Context(), id+1)
					if err != nil || len(runs) != 1 || runs[0].FinishedAt.IsZero() {
						return false
					}
				}
				states, err := a.db.DeliveryStates(t.Context())
				return err == nil && states[string(triage.DeliveryPending)]+states[string(triage.DeliverySending)] == 0
			})
			for _, text := range corpus {
				said := ask(t, text)
				said = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(said)
				said, _, _ = strings.Cut(said, "\n")
				answers[way.name] = append(answers[way.name], changing.ReplaceAllString(said, "T"))
			}
		})
	}
	want := answers["ctl"]
	for name, got := range answers {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s answers otherwise than ctl: %s", name, diff)
		}
	}
}
