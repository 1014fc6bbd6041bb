package inbound

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"github.com/slack-go/slack/socketmode"

	"triagebot/triage"
)

// slackSocket is Slack's end of Socket Mode.
type slackSocket struct {
	server *httptest.Server
	opens  chan struct{}        // a token per apps.connections.open
	conns  chan *websocket.Conn // those that were opened
	answer func() string        // to apps.connections.open; nil: where the socket is
}

func newSlackSocket(t *testing.T) *slackSocket {
	t.Helper()
	s := &slackSocket{opens: make(chan struct{}, 100), conns: make(chan *websocket.Conn, 100)}
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/apps.connections.open":
			s.opens <- struct{}{}
			w.Header().Set("Content-Type", "application/json")
			if r.Header.Get("Authorization") != "Bearer xapp-1" {
				fmt.Fprint(w, `{"ok":false,"error":"not_authed"}`)
				return
			}
			if s.answer != nil {
				fmt.Fprint(w, s.answer())
				return
			}
			fmt.Fprintf(w, `{"ok":true,"url":"ws://%s/link?ticket=SECRETTICKET"}`, r.Host)
		case "/link":
			conn, err := upgrader.Upgrade(w, r, nil)
			if err != nil {
				t.Errorf("upgrade: %v", err)
				return
			}
			s.conns <- conn
		case "/response":
			w.WriteHeader(http.StatusOK)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.server.Close)
	return s
}

// socketFixture is an Inbound on a socket, by the real clock: a socket is none
// of a bubble's.
type socketFixture struct {
	*Inbound
	*slackSocket
	workspace *workspace
	log       *test.Hook
	done      chan triage.Request
	ended     chan error
}

func setUpSocket(t *testing.T, slack *slackSocket, do func(triage.Request) triage.Reply, change ...func(*Options)) *socketFixture {
	t.Helper()
	f := &socketFixture{slackSocket: slack, workspace: &workspace{team: own}, done: make(chan triage.Request, 100), ended: make(chan error, 1)}
	logger, hook := test.NewNullLogger()
	logger.SetLevel(logrus.DebugLevel)
	f.log = hook
	o := Options{
		Workspace: f.workspace, AppToken: "xapp-1", APIURL: slack.server.URL + "/api/", Log: logger,
		Do: func(_ context.Context, r triage.Request) triage.Reply {
			defer func() { f.done <- r }()
			if do != nil {
				return do(r)
			}
			return triage.Reply{Text: "done: " + r.Text}
		},
	}
	for _, c := range change {
		c(&o)
	}
	var err error
	if f.Inbound, err = New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { f.ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-f.ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		for _, e := range hook.AllEntries() {
			if s, _ := e.String(); strings.Contains(s, "SECRETTICKET") || strings.Contains(s, "xapp-1") {
				t.Errorf("the log holds a secret: %s", s)
			}
		}
	})
	return f
}

// connected waits for a connection and greets it.
func (f *socketFixture) connected(t *testing.T) *websocket.Conn {
	t.Helper()
	conn := <-f.conns
	t.Cleanup(func() { _ = conn.Close() })
	send(t, conn, `{"type":"hello","num_connections":1}`)
	return conn
}

func send(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// envelopeOf is an envelope of Slack's.
func envelopeOf(kind, id string, payload any) string {
	return encode(object{"type": kind, "envelope_id": id, "accepts_response_payload": kind != "events_api", "payload": payload})
}

type acknowledged struct {
	Envelope string          `json:"envelope_id"`
	Payload  json.RawMessage `json:"payload"`
}

func acked(t *testing.T, conn *websocket.Conn) acknowledged {
	t.Helper()
	_, data, err := conn.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	var a acknowledged
	if err := json.Unmarshal(data, &a); err != nil {
		t.Fatal(err)
	}
	if len(data) >= 20<<10 {
		t.Errorf("an acknowledgement has %d bytes, which Slack drops", len(data))
	}
	return a
}

// commandPayload is a slash command as it comes over Socket Mode.
func commandPayload(trigger, text string) object {
	payload := object{"is_enterprise_install": false}
	for name, value := range command(trigger, text) {
		payload[name] = value[0]
	}
	payload["response_url"] = "" // answered in the channel, where the test listens
	return payload
}

func TestWhatComesOverSocketModeIsTheSame(t *testing.T) {
	f := setUpSocket(t, newSlackSocket(t), nil)
	conn := f.connected(t)
	withoutURL := click("1.2", "triage ack 7")
	withoutURL["response_url"] = ""
	for n, c := range []struct {
		envelope string
		want     triage.Request
	}{
		{envelopeOf("slash_commands", "e0", commandPayload("1.1", "ack 7")), triage.Request{ID: "slack/command/1.1", Text: "triage ack 7", Place: triage.RemoteRef{Channel: "C0INC0001"}}},
		{envelopeOf("interactive", "e1", withoutURL), triage.Request{ID: "slack/click/1.2", Text: "triage ack 7", Place: triage.RemoteRef{Channel: "C0INC0001", ID: groupMsg}}},
		{envelopeOf("events_api", "e2", mention("5.1", "<@U0BOT0001> ack")), triage.Request{ID: "slack/mention/C0INC0001/5.1", Text: "triage ack", Place: triage.RemoteRef{Channel: "C0INC0001", ID: groupMsg}}},
	} {
		send(t, conn, c.envelope)
		if a := acked(t, conn); a.Envelope != fmt.Sprint("e", n) || len(a.Payload) != 0 {
			t.Errorf("acknowledged %+v, want e%d without payload", a, n)
		}
		got := <-f.done
		if got.ID != c.want.ID || got.Text != c.want.Text || got.Place != c.want.Place || got.Actor.ID != "U0ALICE01" || got.Actor.Team != own {
			t.Errorf("request %+v, want %+v", got, c.want)
		}
	}
	if got := testutil.ToFloat64(f.metrics.connected); got != 1 {
		t.Errorf("connected is %v", got)
	}
	if w := f.Warning(); w != "" {
		t.Errorf("warning %q", w)
	}
}

func TestAnEnvelopeSentTwiceIsCarriedOutOnce(t *testing.T) {
	f := setUpSocket(t, newSlackSocket(t), nil)
	conn := f.connected(t)
	for _, envelope := range []string{"e1", "e1", "e1-retried"} {
		send(t, conn, envelopeOf("slash_commands", envelope, commandPayload("1.1", "ack 7")))
		if a := acked(t, conn); a.Envelope != envelope {
			t.Errorf("acknowledged %q, want %q", a.Envelope, envelope)
		}
	}
	send(t, conn, envelopeOf("slash_commands", "e2", commandPayload("1.2", "status")))
	acked(t, conn)
	first, second := <-f.done, <-f.done
	if first.ID == second.ID {
		t.Errorf("%s was carried out twice", first.ID)
	}
}

func TestADialogIsAcknowledgedWithWhatIsWrong(t *testing.T) {
	f := setUpSocket(t, newSlackSocket(t), func(r triage.Request) triage.Reply {
		if strings.Contains(r.Text, "30d") {
			return triage.Reply{Text: strings.Repeat("At most 7d. ", 5000), Outcome: triage.OutcomeRefused}
		}
		return triage.Reply{Text: "done"}
	})
	conn := f.connected(t)
	for envelope, c := range map[string]struct{ duration, said string }{
		"e1": {"soon", "with a unit"}, "e2": {"30d", "At most 7d."}, "e3": {"2h", ""},
	} {
		send(t, conn, envelopeOf("interactive", envelope, submitted("9."+envelope, `{"incident":7,"channel":"C0INC0001"}`, c.duration, "")))
		a := acked(t, conn)
		if a.Envelope != envelope || !strings.Contains(string(a.Payload), c.said) || (len(a.Payload) == 0) != (c.said == "") {
			t.Errorf("%s: acknowledged %s %s, want %q", c.duration, a.Envelope, a.Payload, c.said)
		}
	}
}

func TestASlowDialogIsAcknowledgedInTime(t *testing.T) {
	release := make(chan struct{})
	f := setUpSocket(t, newSlackSocket(t), func(triage.Request) triage.Reply {
		<-release
		return triage.Reply{Text: "Alertmanager does not answer.", Outcome: triage.OutcomeFailed}
	}, func(o *Options) { o.AnswerWithin = time.Millisecond })
	conn := f.connected(t)
	send(t, conn, envelopeOf("interactive", "e1", submitted("9.1", `{"incident":7,"channel":"C0INC0001"}`, "2h", "")))
	if a := acked(t, conn); a.Envelope != "e1" || len(a.Payload) != 0 {
		t.Errorf("acknowledged %+v", a)
	}
	close(release)
	<-f.done
}

func TestWhatIsNotUnderstoodIsAcknowledgedAndHarmsNothing(t *testing.T) {
	f := setUpSocket(t, newSlackSocket(t), nil)
	conn := f.connected(t)
	for n, envelope := range []string{
		envelopeOf("interactive", "e0", object{"type": "block_actions"}),
		envelopeOf("interactive", "e1", "no object"),
		envelopeOf("slash_commands", "e2", object{}),
		envelopeOf("events_api", "e3", object{"type": "event_callback"}),
		envelopeOf("events_api", "e4", object{"type": "event_callback", "team_id": own, "event": object{"type": "brand_new_event"}}),
		envelopeOf("brand_new_kind", "e5", object{}),
		envelopeOf("events_api", "e6", nil),
	} {
		send(t, conn, envelope)
		if a := acked(t, conn); a.Envelope != fmt.Sprint("e", n) {
			t.Errorf("acknowledged %q, want e%d", a.Envelope, n)
		}
	}
	for _, junk := range []string{"", "{", "[]", `{"type":7}`, `{"type":"slash_commands"}`} {
		send(t, conn, junk)
	}
	send(t, conn, envelopeOf("slash_commands", "e9", commandPayload("1.1", "ack 7")))
	if a := acked(t, conn); a.Envelope != "e9" {
		t.Errorf("acknowledged %q, want e9", a.Envelope)
	}
	<-f.done
}

func TestAConnectionThatSlackEndsIsOpenedAnew(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *websocket.Conn){
		"asked to refresh": func(t *testing.T, c *websocket.Conn) {
			send(t, c, `{"type":"disconnect","reason":"refresh_requested","debug_info":{"host":"wss-1"}}`)
		},
		"warned": func(t *testing.T, c *websocket.Conn) { send(t, c, `{"type":"disconnect","reason":"warning"}`) },
		"closed": func(t *testing.T, c *websocket.Conn) {
			_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseGoingAway, ""), time.Now().Add(time.Second))
		},
		"cut off": func(t *testing.T, c *websocket.Conn) { _ = c.Close() },
		"a frame over the limit": func(t *testing.T, c *websocket.Conn) {
			_ = c.WriteMessage(websocket.TextMessage, make([]byte, maxFrame+1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			// It must not be the silence that has it opened anew.
			f := setUpSocket(t, newSlackSocket(t), nil, func(o *Options) { o.PingTimeout = time.Hour })
			end(t, f.connected(t))
			conn := f.connected(t)
			send(t, conn, envelopeOf("slash_commands", "e1", commandPayload("1.1", "ack 7")))
			if a := acked(t, conn); a.Envelope != "e1" {
				t.Errorf("acknowledged %q", a.Envelope)
			}
			<-f.done
		})
	}
}

func TestASilentConnectionIsOpenedAnew(t *testing.T) {
	f := setUpSocket(t, newSlackSocket(t), nil, func(o *Options) { o.PingTimeout = 20 * time.Millisecond })
	f.connected(t) // which never pings
	f.connected(t)
}

func TestAConnectionThatDoesNotHoldIsLeftAloneForAWhile(t *testing.T) {
	f := setUpSocket(t, newSlackSocket(t), nil)
	for range maxConnects + 1 {
		conn := <-f.conns
		_ = conn.Close()
	}
	for !strings.Contains(f.Warning(), "not connected") {
		select {
		case conn := <-f.conns: // one may be on its way
			_ = conn.Close()
		case <-t.Context().Done():
			t.Fatal("it goes on without a pause")
		default:
			runtime.Gosched()
		}
	}
}

func TestATokenThatSlackRefusesIsSaidAndNotTriedAgain(t *testing.T) {
	for _, code := range []string{"invalid_auth", "account_inactive", "not_authed", "token_revoked"} {
		t.Run(code, func(t *testing.T) {
			slack := newSlackSocket(t)
			slack.answer = func() string { return fmt.Sprintf(`{"ok":false,"error":%q}`, code) }
			f := setUpSocket(t, slack, nil)
			<-slack.opens
			for !strings.Contains(f.Warning(), code) {
				runtime.Gosched()
			}
			if got := f.Warning(); !strings.Contains(got, "connections:write") {
				t.Errorf("warning %q, want what to do", got)
			}
			if len(slack.opens) != 0 {
				t.Error("it was tried again")
			}
			if got := testutil.ToFloat64(f.metrics.connected); got != 0 {
				t.Errorf("connected is %v", got)
			}
		})
	}
}

func TestAFullPoolLeavesAMentionToBeSentAgain(t *testing.T) {
	release := make(chan struct{})
	f := setUpSocket(t, newSlackSocket(t), func(triage.Request) triage.Reply {
		<-release
		return triage.Reply{}
	}, func(o *Options) { o.Workers, o.Queue = 1, 1 })
	conn := f.connected(t)
	for n := range 2 { // one is carried out, one waits
		send(t, conn, envelopeOf("slash_commands", fmt.Sprint("e", n), commandPayload(fmt.Sprint("1.", n), "ack")))
		acked(t, conn)
		for len(f.jobs) != n {
			runtime.Gosched()
		}
	}
	send(t, conn, envelopeOf("events_api", "e2", mention("5.1", "<@U0BOT0001> ack")))
	send(t, conn, envelopeOf("slash_commands", "e3", commandPayload("1.3", "ack")))
	if a := acked(t, conn); a.Envelope != "e3" {
		t.Errorf("acknowledged %q, want only the command e3", a.Envelope)
	}
	close(release)
	<-f.done
	<-f.done
	send(t, conn, envelopeOf("events_api", "e4", mention("5.1", "<@U0BOT0001> ack")))
	if a := acked(t, conn); a.Envelope != "e4" {
		t.Errorf("acknowledged %q, want e4", a.Envelope)
	}
	if got := <-f.done; got.Text != "triage ack" || !strings.HasPrefix(got.ID, "slack/mention/") {
		t.Errorf("request %+v", got)
	}
}

// fakeAcker takes acknowledgements.
type fakeAcker struct {
	mu    sync.Mutex
	acks  []string
	panic bool
	err   error
}

func (a *fakeAcker) AckCtx(_ context.Context, id string, _ any) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.panic {
		panic("boom")
	}
	a.acks = append(a.acks, id)
	return a.err
}

func TestAPanicInTheLoopCostsOneEvent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := setUp(t, nil)
		payload := json.RawMessage(encode(commandPayload("1.1", "ack")))
		event := socketmode.Event{Type: socketmode.EventTypeSlashCommand, Request: &socketmode.Request{Type: "slash_commands", EnvelopeID: "e1", Payload: payload}}
		f.heard(t.Context(), &fakeAcker{panic: true}, event)
		f.heard(t.Context(), &fakeAcker{}, socketmode.Event{Type: socketmode.EventTypeSlashCommand}) // without a request
		good := &fakeAcker{err: errors.New("the connection is gone")}
		event.Request.Payload = json.RawMessage(encode(commandPayload("1.2", "ack")))
		f.heard(t.Context(), good, event)
		synctest.Wait()
		if n := len(f.requests()); n != 1 || len(good.acks) != 1 {
			t.Errorf("%d requests and %d acknowledgements, want one each", n, len(good.acks))
		}
	})
}

func TestNobodyListensWhereSlackIsNotReached(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	slack := &slackSocket{server: &httptest.Server{URL: "http://" + listener.Addr().String()}}
	_ = listener.Close()
	f := setUpSocket(t, slack, nil)
	for !strings.Contains(f.Warning(), "cannot be opened") {
		runtime.Gosched()
	}
}
