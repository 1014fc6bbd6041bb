package inbound

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"triagebot/triage"
)

// sound fails for what no decoder may make of anything.
func sound(t *testing.T, a ask, err error) {
	t.Helper()
	if err != nil {
		if a.kind != "" {
			t.Errorf("an error and an ask: %+v", a)
		}
		return
	}
	if a.kind == kindOther {
		return
	}
	r := a.req
	switch {
	case r.ID == "" || len(r.ID) > maxID || strings.ContainsRune(r.ID, 0):
		t.Errorf("ID %q", r.ID)
	case r.Actor.ID == "" || r.Actor.Via != triage.ViaSlack:
		t.Errorf("actor %+v", r.Actor)
	case a.refused == nil && strings.TrimSpace(r.Text) == "":
		t.Errorf("it asks for nothing: %+v", a)
	case utf8.RuneCountInString(r.Text) > maxCommand:
		t.Errorf("a command of %d characters", utf8.RuneCountInString(r.Text))
	case strings.ContainsAny(r.Text, "\n\r") && a.kind != kindClick:
		t.Errorf("a command of two lines: %q", r.Text)
	}
}

func FuzzDecodeCommand(f *testing.F) {
	f.Add(command("1.1", "ack 7").Encode())
	f.Add(command("1.1", "run X route=&lt;a&gt; “b” <https://a.b/c|a.b/c>\n").Encode())
	f.Add("command=/&trigger_id=1&user_id=U&team_id=T")
	f.Add("command=%2Ftriage&text=%FF%00")
	f.Fuzz(func(t *testing.T, body string) {
		values, err := url.ParseQuery(body)
		if err != nil {
			return
		}
		a, err := decodeCommand(values.Get)
		sound(t, a, err)
	})
}

func FuzzDecodeInteraction(f *testing.F) {
	f.Add(encode(click("1.1", "triage ack 7")))
	f.Add(encode(chosenOther()))
	f.Add(encode(submitted("9.1", `{"incident":7,"channel":"C1"}`, "2h", "why")))
	f.Add(`{"type":"block_actions","user":{"id":"U1"},"team":null,"actions":[{"action_id":"triage.choice.0","value":"x","action_ts":"1"}],"container":{"message_ts":"1"}}`)
	f.Fuzz(func(t *testing.T, payload string) {
		a, err := decodeInteraction([]byte(payload))
		sound(t, a, err)
	})
}

func FuzzDecodeEvent(f *testing.F) {
	f.Add(encode(mention("5.1", "<@U0BOT0001> trace req_1")))
	f.Add(`{"type":"url_verification","challenge":"x"}`)
	f.Add(`{"type":"event_callback","team_id":"T","event":{"type":"app_mention","user":"U","channel":"C","ts":"1","text":"<@U>\n"}}`)
	f.Fuzz(func(t *testing.T, payload string) {
		a, challenge, err := decodeEvent([]byte(payload))
		if challenge == "" {
			sound(t, a, err)
		}
	})
}

func FuzzDecodeEnvelope(f *testing.F) {
	f.Add("slash_commands", encode(commandPayload("1.1", "ack 7")))
	f.Add("interactive", encode(click("1.1", "triage ack 7")))
	f.Add("events_api", encode(mention("5.1", "<@U0BOT0001> ack")))
	f.Add("hello", "")
	f.Fuzz(func(t *testing.T, kindOf, payload string) {
		a, err := decodeEnvelope(kindOf, []byte(payload))
		sound(t, a, err)
	})
}
