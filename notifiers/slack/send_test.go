package slack

import (
	"strings"
	"testing"
	"time"

	"triagebot/notifiers"
	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage"
)

func TestAnIncidentIsOneMessageWithAThread(t *testing.T) {
	f := setUp(t)
	parent := f.parent()
	r := f.send(t, parent)
	if r.Remote.Channel != f.ws.ChannelID("incidents") || r.Remote.ID == "" || r.Note != "" {
		t.Fatalf("receipt %+v", r)
	}
	reply := f.reply(r.Remote)
	f.send(t, reply)

	parent.Remote = r.Remote
	parent.Body.Parent.State = triage.IncidentResolved
	parent.Body.Parent.ResolvedAt = start.Add(11 * time.Minute)
	if edited := f.send(t, parent); edited.Remote != r.Remote {
		t.Errorf("the edit is at %+v, the message at %+v", edited.Remote, r.Remote)
	}

	threads := f.ws.Channel("incidents")
	if len(threads) != 1 || len(threads[0].Replies) != 1 {
		t.Fatalf("the channel shows %+v, want one parent with one reply", threads)
	}
	shown := threads[0]
	if shown.Edits != 1 || shown.Blocks == nil || !strings.Contains(shown.Text, "is resolved") {
		t.Errorf("the parent was edited %d times and says %q", shown.Edits, shown.Text)
	}
	if shown.Nonce() != parent.Nonce || shown.Replies[0].Nonce() != reply.Nonce {
		t.Errorf("nonces %q and %q, want those of the deliveries, also after an edit", shown.Nonce(), shown.Replies[0].Nonce())
	}
	if got := shown.Metadata.EventPayload["key"]; got != parent.Key {
		t.Errorf("key %v, want %s", got, parent.Key)
	}
}

func TestAMessageIsFoundAgain(t *testing.T) {
	f := setUp(t)
	parent := f.parent()
	f.absent(t, parent)
	r := f.send(t, parent)
	if got := f.found(t, parent); got.Remote != r.Remote {
		t.Errorf("found at %+v, want %+v", got.Remote, r.Remote)
	}
	reply := f.reply(r.Remote)
	f.absent(t, reply)
	sent := f.send(t, reply)
	if got := f.found(t, reply); got.Remote != sent.Remote {
		t.Errorf("found at %+v, want %+v", got.Remote, sent.Remote)
	}
	parent.Remote = r.Remote
	f.absent(t, parent) // an edit is sent again, not looked for
}

func TestAPostCutOffAfterItWasAcceptedIsAdopted(t *testing.T) {
	f := setUp(t)
	f.ws.Fail(methodPost, once(slacklocal.Fault{Accept: true, Cut: true}))
	d := f.parent()
	f.refused(t, d, notifiers.Ambiguous)
	adopted := f.found(t, d)
	if shown := f.ws.Channel("incidents"); len(shown) != 1 || shown[0].TS != adopted.Remote.ID {
		t.Errorf("adopted %+v, the channel shows %+v", adopted, shown)
	}
	if n := f.ws.PostsByNonce()[d.Nonce]; n != 1 {
		t.Errorf("%d posts for one delivery", n)
	}
}
