package inbound

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage"
)

func TestASlashCommandIsAnsweredAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := setUp(t, nil)
		if got := textOf(t, f.command("1.1", "ack 7")); got != "done: triage ack 7" {
			t.Errorf("answered %q", got)
		}
		values := command("1.2", " &lt;x&gt; &amp;  “a b” <http://example.com/x|example.com/x> ")
		values.Set("command", "/maintenance-staging")
		f.post(CommandsPath, []byte(values.Encode()))
		got := f.requests()
		if len(got) != 2 {
			t.Fatalf("%d requests, want 2", len(got))
		}
		want := triage.Request{
			ID: "slack/command/1.1", Text: "triage ack 7", Place: triage.RemoteRef{Channel: "C0INC0001"}, At: time.Now(),
			Actor: triage.Actor{Via: triage.ViaSlack, Team: own, ID: "U0ALICE01", Name: "alice"},
		}
		if got[0] != want {
			t.Errorf("request %+v, want %+v", got[0], want)
		}
		if want := `maintenance <x> &  "a b" example.com/x`; got[1].Text != want {
			t.Errorf("text %q, want %q", got[1].Text, want)
		}
		if posted := f.answers(); len(posted) != 0 {
			t.Errorf("it was answered a second time: %+v", posted)
		}
		if n := f.counted(t, viaHTTP, kindCommand, "done"); n != 2 {
			t.Errorf("%v counted, want 2", n)
		}
	})
}

func TestOnlyWhatSlackSignedNowAndOnceIsTaken(t *testing.T) {
	body := []byte(command("1.1", "ack 7").Encode())
	big := func(n int) []byte {
		v := command("1.1", "ack 7")
		v.Set("pad", "")
		v.Set("pad", strings.Repeat("x", n-len(v.Encode())))
		return []byte(v.Encode())
	}
	signed := func(at time.Duration) func() *http.Request {
		return func() *http.Request {
			r := request(CommandsPath, body)
			slacklocal.Sign(r.Header, secret, time.Now().Add(at), body)
			return r
		}
	}
	of := func(b []byte, path string, change func(*http.Request)) func() *http.Request {
		return func() *http.Request {
			r := request(path, b)
			slacklocal.Sign(r.Header, secret, time.Now(), b)
			if change != nil {
				change(r)
			}
			return r
		}
	}
	for name, c := range map[string]struct {
		request func() *http.Request
		status  int
		result  result
	}{
		"signed now":                 {signed(0), 200, ""},
		"five minutes old":           {signed(-5 * time.Minute), 200, ""},
		"a second older":             {signed(-5*time.Minute - time.Second), 401, resultStale},
		"five minutes ahead":         {signed(5 * time.Minute), 200, ""},
		"a second further":           {signed(5*time.Minute + time.Second), 401, resultStale},
		"unsigned":                   {func() *http.Request { return request(CommandsPath, body) }, 401, resultUnsigned},
		"another secret":             {of(body, CommandsPath, func(r *http.Request) { slacklocal.Sign(r.Header, "other", time.Now(), body) }), 401, resultUnsigned},
		"an empty secret":            {of(body, CommandsPath, func(r *http.Request) { slacklocal.Sign(r.Header, "", time.Now(), body) }), 401, resultUnsigned},
		"another body":               {of(body, CommandsPath, func(r *http.Request) { slacklocal.Sign(r.Header, secret, time.Now(), []byte("x")) }), 401, resultUnsigned},
		"a signature that is no hex": {of(body, CommandsPath, func(r *http.Request) { r.Header.Set("X-Slack-Signature", "v0=zz") }), 401, resultUnsigned},
		"a time that is no number":   {of(body, CommandsPath, func(r *http.Request) { r.Header.Set("X-Slack-Request-Timestamp", "now") }), 401, resultUnsigned},
		"a GET":                      {of(body, CommandsPath, func(r *http.Request) { r.Method = http.MethodGet }), 405, resultInvalid},
		"JSON for a form":            {of(body, CommandsPath, func(r *http.Request) { r.Header.Set("Content-Type", jsonType) }), 415, resultInvalid},
		"a form for JSON":            {of(body, EventsPath, func(r *http.Request) { r.Header.Set("Content-Type", formType) }), 415, resultInvalid},
		"no content type":            {of(body, CommandsPath, func(r *http.Request) { r.Header.Del("Content-Type") }), 415, resultInvalid},
		"as large as allowed":        {of(big(maxBody), CommandsPath, nil), 200, ""},
		"a byte more":                {of(big(maxBody+1), CommandsPath, nil), 413, resultInvalid},
		"no form":                    {of([]byte("%zz"), CommandsPath, nil), 400, ""},
		"no fields":                  {of([]byte("a=b"), CommandsPath, nil), 400, ""},
		"parameters in the query":    {of([]byte("a=b"), CommandsPath+"?"+string(body), nil), 400, ""},
		"no payload":                 {of([]byte("a=b"), InteractionsPath, nil), 400, resultInvalid},
		"a payload that is no JSON":  {of([]byte("payload={"), InteractionsPath, nil), 400, resultInvalid},
		"an empty payload":           {of([]byte("payload={}"), InteractionsPath, nil), 400, resultInvalid},
		"an event that is no JSON":   {of([]byte("{"), EventsPath, nil), 400, resultInvalid},
		"an empty event":             {of([]byte("{}"), EventsPath, nil), 400, resultInvalid},
		"a list for an event":        {of([]byte("[]"), EventsPath, nil), 400, resultInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				f := setUp(t, nil)
				w := f.serve(c.request())
				if w.Code != c.status {
					t.Fatalf("status %d, want %d: %s", w.Code, c.status, w.Body)
				}
				if c.status == 200 {
					if w := f.serve(c.request()); w.Code != http.StatusConflict {
						t.Errorf("played again it gets %d, want 409", w.Code)
					}
					if n := len(f.requests()); n != 1 {
						t.Errorf("carried out %d times, want once", n)
					}
					return
				}
				if got := w.Body.String(); len(got) < 10 || strings.Contains(got, secret) {
					t.Errorf("the refusal says %q", got)
				}
				if c.status == 405 && w.Header().Get("Allow") != http.MethodPost {
					t.Error("405 without Allow")
				}
				if n := len(f.requests()); n != 0 {
					t.Errorf("it was carried out %d times", n)
				}
				if c.result != "" && f.counted(t, viaHTTP, kindUnknown, c.result) != 1 {
					t.Errorf("not counted as %s", c.result)
				}
			})
		})
	}
}

func TestTheUrlOfEventsIsVerified(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := setUp(t, nil)
		w := f.event(object{"type": "url_verification", "challenge": "3eZbrw1aB"})
		if w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != `{"challenge":"3eZbrw1aB"}` {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
		// Unsigned, anybody could use it to find out that triagebot is there.
		if w := f.serve(request(EventsPath, []byte(`{"type":"url_verification","challenge":"x"}`))); w.Code != http.StatusUnauthorized {
			t.Errorf("unsigned: %d", w.Code)
		}
	})
}
