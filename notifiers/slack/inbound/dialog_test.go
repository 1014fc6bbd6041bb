package inbound

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"triagebot/triage"
)

func TestOtherOpensADialogThatBecomesACommand(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := setUp(t, nil)
		f.interact(chosenOther())
		synctest.Wait()
		if len(f.workspace.dialogs) != 1 || len(f.requests()) != 0 {
			t.Fatalf("%d dialogs and %d requests, want one dialog", len(f.workspace.dialogs), len(f.done))
		}
		opened := f.workspace.dialogs[0]
		w := f.interact(submitted("9.2", opened.PrivateMetadata, " 1h 30m ", "deploy of  &lt;v2&gt;\nby bob"))
		if w.Code != http.StatusOK || w.Body.Len() != 0 {
			t.Fatalf("the dialog stays open: %d %s", w.Code, w.Body)
		}
		got := f.requests()
		if len(got) != 1 || got[0].Text != "triage silence 1h30m 7 deploy of  <v2> by bob" || got[0].Incident != 7 || got[0].ID != "slack/dialog/9.2" {
			t.Fatalf("requests %+v", got)
		}
		if said := f.whispers(); len(said) != 1 || !strings.HasPrefix(said[0].Text, "done: triage silence") || said[0].Channel != "C0INC0001" {
			t.Errorf("answered %+v", said)
		}
	})
}

func TestADialogSaysInItselfWhatIsWrong(t *testing.T) {
	wrong := func(w *httptest.ResponseRecorder) string {
		var said struct {
			Action string            `json:"response_action"`
			Errors map[string]string `json:"errors"`
		}
		if json.Unmarshal(w.Body.Bytes(), &said) != nil || said.Action != "errors" {
			return ""
		}
		return said.Errors[blockDuration]
	}
	const about = `{"incident":7,"channel":"C0INC0001"}`
	for _, duration := range []string{"", "2", "soon", "-1h", "0s", "1h; rm -rf /", strings.Repeat("9", 30) + "d"} {
		inBubble(t, func(t *testing.T) {
			f := setUp(t, nil)
			if got := wrong(f.interact(submitted("9.2", about, duration, ""))); !strings.Contains(got, "45m") {
				t.Errorf("%q: the dialog says %q", duration, got)
			}
			if got := f.requests(); len(got) != 0 {
				t.Errorf("%q: carried out %+v", duration, got)
			}
		})
	}
	t.Run("refused by the core", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			f := setUp(t, func(context.Context, triage.Request) triage.Reply {
				return triage.Reply{Text: "At most 7d & <not> more.", Outcome: triage.OutcomeRefused}
			})
			if got := wrong(f.interact(submitted("9.2", about, "30d", ""))); got != "At most 7d & <not> more." {
				t.Errorf("the dialog says %q", got)
			}
			if said := f.whispers(); len(said) != 0 {
				t.Errorf("and it is said again in the channel: %+v", said)
			}
		})
	})
	t.Run("the core is slow", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			release := make(chan struct{})
			f := setUp(t, func(context.Context, triage.Request) triage.Reply {
				<-release // Slack gives up after three seconds
				return triage.Reply{Text: "Alertmanager does not answer.", Outcome: triage.OutcomeFailed}
			})
			if w := f.interact(submitted("9.2", about, "1h", "")); w.Code != http.StatusOK || w.Body.Len() != 0 {
				t.Errorf("the dialog stays open: %d %s", w.Code, w.Body)
			}
			close(release)
			if said := f.whispers(); len(said) != 1 || said[0].Text != "Alertmanager does not answer." {
				t.Errorf("answered %+v", said)
			}
		})
	})
	t.Run("Slack does not open it", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			f := setUp(t, nil)
			f.workspace.noDialog = errors.New("expired_trigger_id")
			f.interact(chosenOther())
			if said := f.answers(); len(said) != 1 || !strings.Contains(said[0].said.Text, "did not open") {
				t.Errorf("answered %+v", said)
			}
		})
	})
	for _, metadata := range []string{"", "{", `{"incident":0}`, `{"incident":-1}`, `{"incident":"7"}`} {
		inBubble(t, func(t *testing.T) {
			f := setUp(t, nil)
			if w := f.interact(submitted("9.2", metadata, "1h", "")); w.Code != http.StatusBadRequest {
				t.Errorf("metadata %q: status %d, want 400", metadata, w.Code)
			}
		})
	}
}
