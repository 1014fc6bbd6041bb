package inbound

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"triagebot/triage"
)

func TestEachClickIsARequestOfItsOwn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := setUp(t, nil)
		f.interact(click("1.1", "triage ack 7"))
		f.interactAt(time.Now().Add(time.Second), click("1.1", "triage ack 7")) // the same, sent again
		f.interact(click("1.2", "triage ack 7"))                                // a double click
		bob := click("1.3", "triage ack 7")
		bob["user"] = object{"id": "U0BOB0001", "name": "bob", "team_id": own}
		f.interact(bob)
		inThread := click("1.4", "triage run 7")
		inThread["container"].(object)["thread_ts"] = "1772366400.000001"
		f.interact(inThread)
		answered := click("1.5", "maintenance confirm 12") // on an answer that only they see
		answered["container"].(object)["is_ephemeral"] = true
		f.interact(answered)
		menu := click("1.6", "")
		menu["actions"] = []object{{"type": "static_select", "action_id": "triage.choice.1", "selected_option": object{"value": "triage silence 1h 7"}}}
		f.interact(menu)
		noTrigger := click("", "triage ack 7")
		f.interact(noTrigger)

		got := map[string]triage.Request{}
		for _, r := range f.requests() {
			if _, twice := got[r.ID]; twice {
				t.Errorf("%s was carried out twice", r.ID)
			}
			got[r.ID] = r
		}
		for id, want := range map[string]struct{ user, text, ts string }{
			"slack/click/1.1": {"alice", "triage ack 7", groupMsg},
			"slack/click/1.2": {"alice", "triage ack 7", groupMsg},
			"slack/click/1.3": {"bob", "triage ack 7", groupMsg},
			"slack/click/1.4": {"alice", "triage run 7", "1772366400.000001"},
			"slack/click/1.5": {"alice", "maintenance confirm 12", ""},
			"slack/click/1.6": {"alice", "triage silence 1h 7", groupMsg},
			"slack/click/C0INC0001/" + groupMsg + "/1.2/U0ALICE01": {"alice", "triage ack 7", groupMsg},
		} {
			r, ok := got[id]
			if !ok || r.Actor.Name != want.user || r.Text != want.text || r.Place != (triage.RemoteRef{Channel: "C0INC0001", ID: want.ts}) {
				t.Errorf("%s: %+v, want %+v", id, r, want)
			}
			delete(got, id)
		}
		if len(got) > 0 {
			t.Errorf("and %+v", got)
		}
		posted := f.answers()
		if len(posted) != 7 {
			t.Fatalf("%d answers, want one to each click", len(posted))
		}
		threads := 0
		for _, p := range posted {
			if p.url != hookURL {
				t.Errorf("answered at %s", p.url)
			}
			if p.said.ThreadTS == "1772366400.000001" {
				threads++
			}
		}
		if threads != 1 {
			t.Errorf("%d answers stand in the thread, want 1", threads)
		}
		if n := f.counted(t, viaHTTP, kindClick, resultDuplicate); n != 1 {
			t.Errorf("%v duplicates, want 1", n)
		}
	})
}

func TestWhatIsNotAskedOfTriagebotIsAcknowledgedOnly(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := setUp(t, nil)
		link := click("1.1", "x")
		link["actions"] = []object{{"type": "button", "action_id": "link", "value": "x"}}
		otherView := object{"type": "view_submission", "user": object{"id": "U1"}, "view": object{"callback_id": "another"}}
		closed := object{"type": "view_closed", "user": object{"id": "U1"}}
		for n, payload := range []object{link, otherView, closed} {
			if w := f.interact(payload); w.Code != http.StatusOK || w.Body.Len() != 0 {
				t.Errorf("%d: %d %s", n, w.Code, w.Body)
			}
		}
		byBot := mention("2.1", "<@U0BOT0001> ack")
		byBot["event"].(object)["bot_id"] = "B0OTHER01"
		bySelf := mention("2.2", "<@U0BOT0001> ack")
		bySelf["event"].(object)["user"] = "U0BOT0001"
		changed := mention("2.3", "<@U0BOT0001> ack")
		changed["event"].(object)["subtype"] = "message_changed"
		otherEvent := mention("2.4", "")
		otherEvent["event"].(object)["type"] = "message"
		for n, payload := range []object{byBot, bySelf, changed, otherEvent, {"type": "app_rate_limited"}} {
			if w := f.event(payload); w.Code != http.StatusOK {
				t.Errorf("event %d: %d %s", n, w.Code, w.Body)
			}
		}
		if w := f.post(CommandsPath, []byte("ssl_check=1&token=x")); w.Code != http.StatusOK {
			t.Errorf("ssl_check: %d", w.Code)
		}
		if got := f.requests(); len(got) != 0 {
			t.Errorf("carried out: %+v", got)
		}
	})
}

func TestAMentionIsAnsweredInItsThreadOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := setUp(t, nil)
		said := mention("5.1", "<@U0BOT0001> trace req_1")
		f.event(said)
		f.eventAt(time.Now().Add(time.Minute), said) // Slack had no answer in time
		edited := mention("5.1", "<@U0BOT0001> trace req_1 please")
		edited["event_id"] = "EvOther"
		f.event(edited)
		got := f.requests()
		if len(got) != 1 || got[0].Text != "triage trace req_1" || got[0].ID != "slack/mention/C0INC0001/5.1" || got[0].Place.ID != groupMsg || got[0].Actor.Name != "name of U0ALICE01" {
			t.Fatalf("requests %+v", got)
		}
		whispers := f.whispers()
		if len(whispers) != 1 {
			t.Fatalf("%d answers, want 1", len(whispers))
		}
		w := whispers[0]
		if w.Channel != "C0INC0001" || w.User != "U0ALICE01" || w.Thread != groupMsg || w.Text != "done: triage trace req_1" || len(w.Blocks) == 0 {
			t.Errorf("answered %+v", w)
		}
	})
}

func TestAMentionIsHeardThoughNobodyKnowsAName(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := setUp(t, nil)
		f.workspace.noName = errors.New("missing_scope")
		f.event(mention("5.1", "<@U0BOT0001> ack"))
		if got := f.requests(); len(got) != 1 || got[0].Actor.Name != "" {
			t.Errorf("requests %+v", got)
		}
	})
}

func TestWhatAMentionAsksFor(t *testing.T) {
	for text, want := range map[string]string{
		"<@U0BOT0001> trace req_1":                     "triage trace req_1",
		"<@U0BOT0001> maintenance status":              "maintenance status",
		"<@U0BOT0001> triage ack 7":                    "triage ack 7",
		"<@U0BOT0001> /maintenance status":             "maintenance status",
		"<@U0BOT0001>":                                 "triage help",
		"<@U0BOT0001>: help":                           "triage help",
		"hey <@U0BOB0001> and <@U0BOT0001|bot>, ack":   "triage ack",
		"<@U0BOT0001>\u00a0silence\n2h":                "triage silence 2h",
		"<@U0BOT0001> run X route=&lt;a&gt;":           "triage run X route=<a>",
		"<@U0BOT0001> trace <https://a.b/c>":           "triage trace https://a.b/c",
		"<@U0BOT0001> escalate to <!subteam^S01|@sre>": "triage escalate to <!subteam^S01|@sre>",
		"no mention at all":                            "triage no mention at all",
	} {
		if got := mentionText(text, "U0BOT0001"); got != want {
			t.Errorf("%q asks for %q, want %q", text, got, want)
		}
	}
	if got := mentionText("<@U0ANY0001> ack", ""); got != "triage ack" {
		t.Errorf("with a bot that is not known: %q", got)
	}
}

func TestTextsAtTheirLimits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := setUp(t, func(context.Context, triage.Request) triage.Reply { return triage.Reply{Text: "done"} })
		fits := maxCommand - len("triage ")
		if got := textOf(t, f.command("1.1", strings.Repeat("é", fits))); got != "done" {
			t.Errorf("at the limit: %q", got)
		}
		if got := textOf(t, f.command("1.2", strings.Repeat("é", fits+1))); !strings.Contains(got, "too long") {
			t.Errorf("one character more: %q", got)
		}
		long := strings.Repeat("t", 5000)
		f.command(long, "ack")
		if got := f.requests(); len(got) != 2 || len(got[1].ID) > maxID {
			t.Errorf("an ID has %d bytes", len(got[1].ID))
		}
		// Differing triggers keep differing IDs, however long they are.
		if requestID(kindClick, long+"a") == requestID(kindClick, long+"b") {
			t.Error("two long ids became one")
		}
	})
}
