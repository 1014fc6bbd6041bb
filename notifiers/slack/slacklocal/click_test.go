package slacklocal

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slack-go/slack"
)

const clickable = `[
	{"type":"section","text":{"type":"mrkdwn","text":"*hello*"}},
	{"type":"actions","block_id":"acts","elements":[
		{"type":"button","action_id":"ack","style":"primary","text":{"type":"plain_text","text":"Ack"},"value":"triage ack 7"},
		{"type":"static_select","action_id":"silence","placeholder":{"type":"plain_text","text":"Silence"},
		 "options":[{"text":{"type":"plain_text","text":"30 m"},"value":"30m"},{"text":{"type":"plain_text","text":"1 h"},"value":"1h"}]}]},
	{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"Nameless"}}]}]`

func (b *bot) postClickable(t *testing.T, args ...string) (ts string) {
	t.Helper()
	r := b.call(t, "chat.postMessage", append([]string{"channel", "incidents", "text", "hello", "blocks", clickable}, args...)...)
	if !r.ok() {
		t.Fatalf("chat.postMessage: %v", r)
	}
	return r.str("ts")
}

func (b *bot) click(t *testing.T, c Click) error {
	t.Helper()
	c.Channel = "incidents"
	return b.Click(t.Context(), you.ID, c)
}

// callback is the payload as slack-go reads it, which knows no other form.
func (h *heard) callback(t *testing.T) slack.InteractionCallback {
	t.Helper()
	var c slack.InteractionCallback
	if err := json.Unmarshal([]byte(h.form.Get("payload")), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAClickIsSentAsSlackSendsIt(t *testing.T) {
	b := withBot(t, Options{})
	parent := b.call(t, "chat.postMessage", "channel", "incidents", "text", "parent").str("ts")
	ts := b.postClickable(t, "thread_ts", parent, "metadata", `{"event_type":"e","event_payload":{"nonce":"n"}}`)
	if err := b.click(t, Click{TS: ts, Block: "acts", Action: "ack"}); err != nil {
		t.Fatal(err)
	}
	h := b.last(t)
	c := h.callback(t)
	if h.url != interactionsURL || c.Type != slack.InteractionTypeBlockActions || c.User.ID != you.ID || c.Team.ID != TeamID || c.APIAppID != AppID || c.TriggerID == "" || c.ResponseURL == "" {
		t.Errorf("sent to %s: %s", h.url, h.form.Get("payload"))
	}
	if c.Channel.ID != b.ChannelID("incidents") || c.Container.MessageTs != ts || c.Container.ThreadTs != parent || c.Container.IsEphemeral || c.Message.Timestamp != ts || c.Message.ThreadTimestamp != parent || len(c.Message.Blocks.BlockSet) != 3 {
		t.Errorf("of the message: %s", h.form.Get("payload"))
	}
	action := c.ActionCallback.BlockActions[0]
	if action.ActionID != "ack" || action.BlockID != "acts" || action.Value != "triage ack 7" || action.Text.Text != "Ack" || action.Type != "button" || action.ActionTs == "" || h.at("actions", "style") != "primary" {
		t.Errorf("the action: %+v", action)
	}
	if err := b.click(t, Click{TS: ts, Block: "acts", Action: "silence", Option: "1h"}); err != nil {
		t.Fatal(err)
	}
	h = b.last(t)
	c = h.callback(t)
	if got := c.ActionCallback.BlockActions[0]; got.SelectedOption.Value != "1h" || got.SelectedOption.Text.Text != "1 h" || got.Type != "static_select" {
		t.Errorf("the choice: %+v", got)
	}
	if got := c.BlockActionState.Values["acts"]["silence"].SelectedOption.Value; got != "1h" {
		t.Errorf("the state: %q", got)
	}
	if err := b.click(t, Click{TS: ts, Block: "b2", Action: "a0"}); err != nil {
		t.Errorf("a button without names: %v", err)
	}
}

func TestClicksThatComeToNothing(t *testing.T) {
	b := withBot(t, Options{})
	ts := b.postClickable(t)
	for name, c := range map[string]struct {
		click Click
		want  string
	}{
		"no message": {Click{TS: "1.000000", Block: "acts", Action: "ack"}, "message was deleted"},
		"no block":   {Click{TS: ts, Block: "other", Action: "ack"}, "no such button"},
		"no action":  {Click{TS: ts, Block: "acts", Action: "other"}, "no such button"},
		"no option":  {Click{TS: ts, Block: "acts", Action: "silence", Option: "9h"}, "no such choice"},
	} {
		t.Run(name, func(t *testing.T) { wantNotice(t, b.click(t, c.click), c.want) })
	}
	if n := b.count(); n != 0 {
		t.Errorf("the app heard %d times", n)
	}
	b.answer = func(heard) (int, string, string) { return http.StatusInternalServerError, "", "" }
	wantNotice(t, b.click(t, Click{TS: ts, Block: "acts", Action: "ack"}), "responded with the error")
	if err := b.SetApp(nil); err != nil {
		t.Fatal(err)
	}
	wantNotice(t, b.click(t, Click{TS: ts, Block: "acts", Action: "ack"}), "no app is connected")
	synctest.Test(t, func(t *testing.T) {
		b := withBot(t, Options{})
		ts := b.postClickable(t)
		b.block = true
		wantNotice(t, b.click(t, Click{TS: ts, Block: "acts", Action: "ack"}), "Apps need to respond within three seconds")
	})
}

func TestAMessageIsReplacedThroughItsClicksURL(t *testing.T) {
	b := withBot(t, Options{})
	ts := b.postClickable(t, "metadata", `{"event_type":"e","event_payload":{"nonce":"n"}}`)
	if err := b.click(t, Click{TS: ts, Block: "acts", Action: "ack"}); err != nil {
		t.Fatal(err)
	}
	at := b.last(t).callback(t).ResponseURL
	if status, r := b.respond(t, at, `{"replace_original":true,"text":"acknowledged"}`); status != http.StatusOK {
		t.Fatalf("replace_original: %d %v", status, r)
	}
	if m := b.Channel("incidents")[0]; m.Text != "acknowledged" || m.Blocks != nil || m.Edits != 1 || m.Nonce() != "n" {
		t.Errorf("the message: %+v", m.Message)
	}
	if status, _ := b.respond(t, at, `{"text":"aside"}`); status != http.StatusOK || len(b.Ephemerals(you.ID)) != 1 {
		t.Errorf("an ephemeral answer: %d", status)
	}
	if status, _ := b.respond(t, at, `{"delete_original":true}`); status != http.StatusOK || len(b.Channel("incidents")) != 0 {
		t.Errorf("delete_original: %d", status)
	}
	if status, _ := b.respond(t, at, `{"replace_original":true,"text":"too late"}`); status != http.StatusOK || len(b.Channel("incidents")) != 0 {
		t.Errorf("after the deletion: %d", status)
	}
}

func TestAnEphemeralMessageIsOnePersonsAndCanBeClicked(t *testing.T) {
	b := withBot(t, Options{People: []Person{you, {ID: "U0PERSON2", Name: "ann"}}})
	parent := b.call(t, "chat.postMessage", "channel", "incidents", "text", "parent").str("ts")
	r := b.call(t, "chat.postEphemeral", "channel", "incidents", "user", you.ID, "text", "sure?", "blocks", clickable, "thread_ts", parent)
	ts := r.str("message_ts")
	if !r.ok() || ts == "" {
		t.Fatalf("chat.postEphemeral: %v", r)
	}
	if len(b.Ephemerals(you.ID)) != 1 || len(b.Ephemerals("U0PERSON2")) != 0 {
		t.Error("it is not one person's")
	}
	for _, method := range []string{"conversations.history", "conversations.replies"} {
		if r := b.call(t, method, "channel", b.ChannelID("incidents"), "ts", parent); len(r.messages()) != 1 {
			t.Errorf("%s tells of it: %v", method, r)
		}
	}
	if r := b.call(t, "chat.update", "channel", b.ChannelID("incidents"), "ts", ts, "text", "x"); r.err() != "message_not_found" {
		t.Errorf("it can be updated: %v", r)
	}
	wantNotice(t, b.Click(t.Context(), "U0PERSON2", Click{Channel: "incidents", TS: ts, Block: "acts", Action: "ack"}), "deleted")
	if err := b.click(t, Click{TS: ts, Block: "acts", Action: "ack"}); err != nil {
		t.Fatal(err)
	}
	h := b.last(t)
	c := h.callback(t)
	if !c.Container.IsEphemeral || c.Container.ThreadTs != parent || h.at("message") != nil {
		t.Errorf("the payload: %s", h.form.Get("payload"))
	}
	if status, _ := b.respond(t, c.ResponseURL, `{"replace_original":true,"text":"done"}`); status != http.StatusOK || b.Ephemerals(you.ID)[0].Text != "done" {
		t.Errorf("replaced: %d %+v", status, b.Ephemerals(you.ID))
	}
	if status, _ := b.respond(t, c.ResponseURL, `{"text":"and more"}`); status != http.StatusOK || b.Ephemerals(you.ID)[1].ThreadTS != parent {
		t.Errorf("an answer in the thread: %d %+v", status, b.Ephemerals(you.ID))
	}
	if status, _ := b.respond(t, c.ResponseURL, `{"delete_original":true}`); status != http.StatusOK || len(b.Ephemerals(you.ID)) != 1 {
		t.Errorf("deleted: %d", status)
	}
	b.Forget(you.ID, b.Ephemerals(you.ID)[0].TS)
	if len(b.Ephemerals(you.ID)) != 0 {
		t.Error("it was not dismissed")
	}
	for user, want := range map[string]string{"U0NOBODY": "user_not_in_channel", "": "user_not_in_channel"} {
		if r := b.call(t, "chat.postEphemeral", "channel", "incidents", "user", user, "text", "x"); r.err() != want {
			t.Errorf("to %q: %v", user, r)
		}
	}
}

func TestTheOldestEphemeralMessagesGo(t *testing.T) {
	b := withBot(t, Options{})
	for range maxEphemerals + 1 {
		b.call(t, "chat.postEphemeral", "channel", "incidents", "user", you.ID, "text", "x")
	}
	if n := len(b.Ephemerals(you.ID)); n != maxEphemerals {
		t.Errorf("%d are kept", n)
	}
}

func TestTheOldestTicketsGo(t *testing.T) {
	var all tickets
	for i := range maxTickets + 1 {
		all.add(&ticket{id: time.Duration(i).String()})
	}
	if len(all) != maxTickets || all.find("0s") != nil || all.find("1ns") == nil {
		t.Errorf("%d are kept", len(all))
	}
}

// FuzzNamed holds that whatever an app posts as blocks is given names without
// losing or inventing blocks.
func FuzzNamed(f *testing.F) {
	f.Add([]byte(clickable))
	f.Add([]byte(`[{"type":"actions","elements":[null,1,"x"]},null]`))
	f.Add([]byte(`[{"type":"actions","Elements":[{"type":"button"}]}]`))
	f.Add([]byte(`[{"accessory":{"type":"button","value":1e400}}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		before, err := parseBlocks(raw)
		out, blocks := named(raw)
		if !json.Valid(out) {
			t.Fatalf("%s", out)
		}
		if err == nil && len(blocks) != 0 && len(blocks) != len(before) {
			t.Errorf("%d blocks became %d", len(before), len(blocks))
		}
		for i := range blocks {
			for _, e := range blocks[i].controls() {
				if e.Type != "" && (blocks[i].BlockID == "" || e.ActionID == "") {
					t.Errorf("a control in block %d cannot be named", i)
				}
			}
		}
	})
}
