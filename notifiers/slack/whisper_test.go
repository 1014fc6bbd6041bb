package slack

import (
	"strings"
	"testing"

	"github.com/slack-go/slack"
)

func TestAWhisperIsForOnePersonInTheirThread(t *testing.T) {
	a := &api{answer: func(int, apiCall) (int, string) { return 200, `{"ok":true,"message_ts":"1.2"}` }}
	w := Whisper{Channel: "C0INC0001", User: "U0ALICE01", Thread: "1.1", Text: "a &lt; b"}
	if err := notifierOn(t, a).Whisper(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	form := a.calls[0].form
	if a.calls[0].method != "chat.postEphemeral" || form.Get("user") != w.User || form.Get("thread_ts") != w.Thread || form.Get("text") != w.Text || form.Get("link_names") != "" {
		t.Errorf("it called %+v", a.calls[0])
	}
}

func TestADialogIsOpenedByItsTrigger(t *testing.T) {
	a := &api{answer: func(n int, _ apiCall) (int, string) {
		return 200, []string{`{"ok":true,"view":{}}`, `{"ok":false,"error":"expired_trigger_id"}`}[n-1]
	}}
	n := notifierOn(t, a)
	view := slack.ModalViewRequest{Type: slack.VTModal, Title: plainText("Silence")}
	if err := n.OpenDialog(t.Context(), "1.1", view); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(a.calls[0].body, `"trigger_id":"1.1"`) {
		t.Errorf("it called %+v", a.calls[0])
	}
	if err := n.OpenDialog(t.Context(), "1.1", view); err == nil || !strings.Contains(err.Error(), "expired_trigger_id") {
		t.Errorf("error %v", err)
	}
}
