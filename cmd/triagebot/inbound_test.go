package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"triagebot/notifiers/slack/inbound"
	"triagebot/notifiers/slack/slacklocal"
)

// signedBySlack posts a slash command as Slack does.
func signedBySlack(t *testing.T, address, secret, text string) (status int, said string) {
	t.Helper()
	body := url.Values{
		"command": {"/triage"}, "text": {text}, "trigger_id": {"1.1"}, "team_id": {slacklocal.TeamID}, "user_id": {person}, "channel_id": {"C0INC00001"},
	}.Encode()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+inbound.CommandsPath, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	slacklocal.Sign(r.Header, secret, time.Now(), []byte(body))
	return answer(t, r)
}

func TestPeopleInSlackAreHeardWhereASigningSecretIsSet(t *testing.T) {
	const secret = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"
	a, _ := behindSlack(t, slacklocal.Options{}, "signing_secret_file", secret)
	if status, said := signedBySlack(t, a.url(), "another", "help"); status != http.StatusUnauthorized {
		t.Errorf("signed with another secret: %d %s", status, said)
	}
	if status, said := signedBySlack(t, a.url(), secret, "help"); status != http.StatusOK {
		t.Errorf("help: %d %s", status, said)
	}
	// On a busy machine the reply is not in the answer, but follows.
	eventually(t, "the command is carried out", func() bool {
		_, metrics := request(t, http.MethodGet, a.url()+"/metrics", "")
		return strings.Contains(metrics, `triagebot_commands_total{command="triage help",outcome="done"} 1`)
	})
}

func TestNobodyInSlackIsHeardWithoutASecret(t *testing.T) {
	a, _ := behindSlack(t, slacklocal.Options{}, "", "")
	if status, said := signedBySlack(t, a.url(), "", "help"); status != http.StatusNotFound {
		t.Errorf("%d %s, want 404", status, said)
	}
}
