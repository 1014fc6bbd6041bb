package console

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"triagebot/triage"
	"triagebot/triage/store"
)

func TestTheAuditLogIsForWhoMaySeeAllIncidents(t *testing.T) {
	each(t, func(s *site) {
		s.let = true
		if _, body := s.get("/audit"); !strings.Contains(body, "Nobody has asked for anything yet") {
			t.Errorf("an empty log says\n%s", body)
		}
		err := s.db.Tx(t.Context(), func(tx *store.Tx) error {
			for i, text := range []string{"triage ack 7", "triage silence 1h 8 <script>alert(1)</script>"} {
				act := store.Act{Request: text, At: began, Actor: triage.Actor{Via: triage.ViaSlack, ID: "U1", Name: "<b>alice"}, Text: text}
				if _, err := tx.BeginAct(t.Context(), &act); err != nil {
					return err
				}
				act.IncidentID, act.Outcome, act.Reply = int64(7+i), triage.OutcomeDone, triage.Reply{Text: "You have it."}
				if err := tx.EndAct(t.Context(), act); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		_, body := s.get("/audit")
		for _, want := range []string{"triage ack 7", "slack:&lt;b&gt;alice", "You have it.", "&lt;script&gt;", `href="/incidents/7"`} {
			if !strings.Contains(body, want) {
				t.Errorf("%q is missing in\n%s", want, body)
			}
		}
		if _, body := s.get("/audit?incident=7"); strings.Contains(body, "silence") || !strings.Contains(body, "triage ack 7") {
			t.Errorf("of incident 7 it says\n%s", body)
		}
		s.let = false
		if resp, _ := s.get("/audit"); resp.StatusCode != http.StatusForbidden {
			t.Errorf("whoever asks is answered %s", resp.Status)
		}
		_, query, _ := strings.Cut(IncidentURL(s.signer, 7, s.now.Add(time.Hour)), "?")
		if resp, _ := s.get("/audit?" + query); resp.StatusCode != http.StatusForbidden {
			t.Errorf("the link of one incident opens it: %s", resp.Status)
		}
		_, query, _ = strings.Cut(ListURL(s.signer, s.now.Add(time.Hour)), "?")
		if resp, _ := s.get("/audit?" + query); resp.StatusCode != http.StatusOK {
			t.Errorf("the link of the list does not open it: %s", resp.Status)
		}
	})
}
