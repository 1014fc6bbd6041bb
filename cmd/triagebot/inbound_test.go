package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// signedBySlack posts a slash command as Slack does.
func signedBySlack(t *testing.T, address, secret, text string) (status int, said string) {
	t.Helper()
	body := url.Values{
		"command": {"/triage"}, "text": {text}, "trigger_id": {"1.1"}, "team_id": {"T0123456"}, "user_id": {"U0ALICE01"}, "channel_id": {"C0INC00001"},
	}.Encode()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/slack/commands", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "v0:%s:%s", stamp, body)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Slack-Request-Timestamp", stamp)
	r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func TestPeopleInSlackAreHeardWhereASigningSecretIsSet(t *testing.T) {
	const more = ", signing_secret_file: secret}\nserver: {listen: \"127.0.0.1:0\"}\naccess: {look: {users: [\"*\"]}"
	a := startApp(t, slackConfig(t, slackApp(t), "#incidents", more))
	if status, said := signedBySlack(t, a.url(), "another", "help"); status != http.StatusUnauthorized {
		t.Errorf("signed with another secret: %d %s", status, said)
	}
	if status, said := signedBySlack(t, a.url(), slackSecret, "help"); status != http.StatusOK {
		t.Errorf("help: %d %s", status, said)
	}
	// On a busy machine the reply is not in the answer, but follows.
	eventually(t, "the command is carried out", func() bool {
		_, metrics := request(t, http.MethodGet, a.url()+"/metrics", "")
		return strings.Contains(metrics, `triagebot_commands_total{command="triage help",outcome="done"} 1`)
	})
}

func TestNobodyInSlackIsHeardWithoutASecret(t *testing.T) {
	a := startApp(t, slackConfig(t, slackApp(t), "#incidents", "}\nserver: {listen: \"127.0.0.1:0\""))
	if status, said := signedBySlack(t, a.url(), "", "help"); status != http.StatusNotFound {
		t.Errorf("%d %s, want 404", status, said)
	}
}
