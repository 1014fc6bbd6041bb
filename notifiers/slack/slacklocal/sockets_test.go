package slacklocal

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

const appToken = "xapp-local"

// line is a listener whose connections are pipes, so that time in a bubble
// passes over them.
type line struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *line) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *line) Close() error   { close(l.done); return nil }
func (l *line) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (l *line) dial(string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	l.conns <- theirs
	return ours, nil
}

// phone is a workspace that is reached over Socket Mode.
type phone struct {
	*bot
	line *line
}

func withPhone(t *testing.T) *phone {
	t.Helper()
	b := withBot(t, Options{AppToken: appToken})
	if err := b.SetApp(nil); err != nil {
		t.Fatal(err)
	}
	p := &phone{bot: b, line: &line{conns: make(chan net.Conn), done: make(chan struct{})}}
	server := &http.Server{Handler: b.Handler()}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(p.line) }()
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		_ = server.Close()
		<-served
	})
	return p
}

// ring is one connection of the app's.
type ring struct {
	t    *testing.T
	conn *websocket.Conn
	got  chan map[string]any // closed at the end
}

func (p *phone) ticket(t *testing.T) string {
	t.Helper()
	_, r := p.send(t, "/api/"+connectionsOpen, "application/x-www-form-urlencoded", "token="+appToken)
	if !r.ok() || !strings.HasPrefix(r.str("url"), "ws://") {
		t.Fatalf("%s: %v", connectionsOpen, r)
	}
	return r.str("url")
}

func (p *phone) dial(t *testing.T, at string) (*ring, error) {
	t.Helper()
	dialer := websocket.Dialer{NetDial: p.line.dial}
	conn, resp, err := dialer.Dial(at, nil)
	if err != nil {
		if resp != nil {
			return nil, fmt.Errorf("%w: %s", err, resp.Status)
		}
		return nil, err
	}
	r := &ring{t: t, conn: conn, got: make(chan map[string]any, 16)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(r.got)
		for {
			var m map[string]any
			if conn.ReadJSON(&m) != nil {
				return
			}
			r.got <- m
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-ended })
	return r, nil
}

// join opens a connection and takes its hello.
func (p *phone) join(t *testing.T) *ring {
	t.Helper()
	r, err := p.dial(t, p.ticket(t))
	if err != nil {
		t.Fatal(err)
	}
	if hello := <-r.got; hello["type"] != "hello" || hello["connection_info"].(map[string]any)["app_id"] != AppID || hello["num_connections"] != float64(p.Connections()) {
		t.Errorf("hello: %v", hello)
	}
	return r
}

func (r *ring) ack(envelope map[string]any, payload string) {
	r.t.Helper()
	body := `{"envelope_id":"` + envelope["envelope_id"].(string) + `"`
	if payload != "" {
		body += `,"payload":` + payload
	}
	if err := r.conn.WriteMessage(websocket.TextMessage, []byte(body+"}")); err != nil {
		r.t.Error(err)
	}
}

// asks types a command in the background: what the person is told comes back.
func (p *phone) asks(t *testing.T, text string) <-chan error {
	told := make(chan error, 1)
	go func() { told <- p.Say(t.Context(), you.ID, Place{Channel: "incidents"}, text) }()
	return told
}

func TestACommandOverSocketMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := withPhone(t)
		r := p.join(t)
		told := p.asks(t, "/triage help")
		envelope := <-r.got
		payload := envelope["payload"].(map[string]any)
		if envelope["type"] != kindCommand || envelope["accepts_response_payload"] != true || payload["command"] != "/triage" || payload["text"] != "help" || payload["trigger_id"] == "" || payload["response_url"] == "" {
			t.Errorf("the envelope: %v", envelope)
		}
		r.ack(envelope, `{"text":"helpful"}`)
		if err := <-told; err != nil {
			t.Error(err)
		}
		if e := p.Ephemerals(you.ID); len(e) != 1 || e[0].Text != "helpful" {
			t.Errorf("the person sees %+v", e)
		}
	})
}

func TestClicksAndModalsOverSocketMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := withPhone(t)
		r := p.join(t)
		ts := p.postClickable(t)
		told := make(chan error, 1)
		go func() {
			told <- p.Click(t.Context(), you.ID, Click{Channel: "incidents", TS: ts, Block: "acts", Action: "ack"})
		}()
		envelope := <-r.got
		payload := envelope["payload"].(map[string]any)
		if envelope["type"] != kindInteraction || envelope["accepts_response_payload"] != false || payload["type"] != "block_actions" {
			t.Errorf("the envelope: %v", envelope)
		}
		if got := p.call(t, "views.open", "trigger_id", payload["trigger_id"].(string), "view", silenceView); !got.ok() {
			t.Errorf("views.open: %v", got)
		}
		r.ack(envelope, "")
		if err := <-told; err != nil {
			t.Error(err)
		}
		m, _ := p.Modal(you.ID)
		wrong := make(chan map[string]string, 1)
		go func() {
			w, err := p.Submit(t.Context(), you.ID, m.ID, Submission{"for": "45m", "who": "sre"})
			if err != nil {
				t.Error(err)
			}
			wrong <- w
		}()
		envelope = <-r.got
		if envelope["accepts_response_payload"] != true || envelope["payload"].(map[string]any)["type"] != "view_submission" {
			t.Errorf("the envelope: %v", envelope)
		}
		r.ack(envelope, `{"response_action":"errors","errors":{"for":"too short"}}`)
		if got := <-wrong; got["for"] != "too short" {
			t.Errorf("the person is told %v", got)
		}
	})
}

func TestACommandThatIsNotAcknowledgedTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := withPhone(t)
		wantNotice(t, <-p.asks(t, "/triage help"), "dispatch_failed") // no connection
		r := p.join(t)
		told := p.asks(t, "/triage help")
		<-r.got
		wantNotice(t, <-told, "operation_timeout")
		for name, ack := range map[string]string{"no JSON": "{", "no envelope": "{}", "another envelope": `{"envelope_id":"x"}`} {
			told := p.asks(t, "/triage help")
			<-r.got
			if err := r.conn.WriteMessage(websocket.TextMessage, []byte(ack)); err != nil {
				t.Fatal(err)
			}
			t.Log(name)
			wantNotice(t, <-told, "operation_timeout")
		}
	})
}

func TestAnAcknowledgementOf20KBIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := withPhone(t)
		r := p.join(t)
		for n, want := range map[int]string{maxAck - 1: "", maxAck: "operation_timeout"} {
			told := p.asks(t, "/triage help")
			envelope := <-r.got
			id, _ := json.Marshal(envelope["envelope_id"])
			frame := `{"envelope_id":` + string(id) + `,"payload":{"text":"`
			frame += strings.Repeat("x", n-len(frame)-len(`"}}`)) + `"}}`
			if err := r.conn.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
				t.Fatal(err)
			}
			if err := <-told; want == "" && err != nil {
				t.Errorf("%d bytes: %v", n, err)
			} else if want != "" {
				wantNotice(t, err, want)
			}
		}
	})
}

func TestAnEventThatIsNotAcknowledgedComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := withPhone(t)
		r := p.join(t)
		if err := p.types(t, "@triagebot hello"); err != nil {
			t.Fatal(err)
		}
		var first map[string]any
		for attempt := range 4 {
			envelope := <-r.got
			if attempt == 0 {
				first = envelope
			}
			same := envelope["payload"].(map[string]any)["event_id"] == first["payload"].(map[string]any)["event_id"]
			if envelope["type"] != kindEvent || envelope["retry_attempt"] != float64(attempt) || !same || (attempt > 0 && envelope["envelope_id"] == first["envelope_id"]) {
				t.Errorf("attempt %d: %v", attempt, envelope)
			}
		}
		pass(time.Hour)
		select {
		case more := <-r.got:
			t.Errorf("and again: %v", more)
		default:
		}
	})
}

func TestEachPayloadGoesToOneOfTheConnectionsInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := withPhone(t)
		a, b := p.join(t), p.join(t)
		for range 2 {
			for _, r := range []*ring{a, b} {
				told := p.asks(t, "/triage help")
				r.ack(<-r.got, "")
				if err := <-told; err != nil {
					t.Error(err)
				}
			}
		}
		_ = a.conn.Close()
		synctest.Wait()
		told := p.asks(t, "/triage help")
		b.ack(<-b.got, "")
		if err := <-told; err != nil {
			t.Error(err)
		}
	})
}

func TestAsManyConnectionsAsAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := withPhone(t)
		for range maxConnections {
			p.join(t)
		}
		r, err := p.dial(t, p.ticket(t))
		if err != nil {
			t.Fatal(err)
		}
		if said := <-r.got; said["type"] != "disconnect" || said["reason"] != "too_many_websockets" {
			t.Errorf("one more: %v", said)
		}
		if _, open := <-r.got; open || p.Connections() != maxConnections {
			t.Errorf("there are %d connections", p.Connections())
		}
	})
}

func TestATicketIsForOneConnectionAndAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := withPhone(t)
		used := p.ticket(t)
		if _, err := p.dial(t, used); err != nil {
			t.Fatal(err)
		}
		late := p.ticket(t)
		pass(openingFor + time.Second)
		oldest := p.ticket(t)
		for range maxOpenings {
			p.ticket(t)
		}
		for name, at := range map[string]string{"used": used, "late": late, "pushed out": oldest, "none": "ws://local" + socketPath} {
			if _, err := p.dial(t, at); err == nil || !strings.Contains(err.Error(), "403") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestAConnectionIsPingedAndASilentOneClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := withPhone(t)
		r := p.join(t)
		pings := 0
		p.Fail("ping", func(n int) Fault { pings = n; return Fault{} })
		pass(10*pingEvery + time.Second) // longer than a silent one is kept
		if pings != 10 || p.Connections() != 1 {
			t.Errorf("%d pings and %d connections", pings, p.Connections())
		}
		p.Fail("ping", func(int) Fault { return Fault{Lost: true} })
		pass(pongWithin)
		if _, open := <-r.got; open || p.Connections() != 0 {
			t.Error("a connection without a word is kept")
		}
	})
}

func TestAConnectionIsAskedToBeOpenedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := withPhone(t)
		old := p.join(t)
		told := p.asks(t, "/triage help")
		envelope := <-old.got
		p.Disconnect("warning")
		if said := <-old.got; said["reason"] != "warning" || p.Connections() != 1 {
			t.Errorf("a warning: %v", said)
		}
		p.Disconnect("refresh_requested")
		if said := <-old.got; said["type"] != "disconnect" || said["reason"] != "refresh_requested" || p.Connections() != 0 {
			t.Errorf("a request: %v", said)
		}
		old.ack(envelope, `{"text":"in time"}`) // what it has is still answered
		if err := <-told; err != nil || len(p.Ephemerals(you.ID)) != 1 {
			t.Error(err)
		}
		next := p.join(t)
		told = p.asks(t, "/triage help")
		next.ack(<-next.got, "")
		if err := <-told; err != nil {
			t.Error(err)
		}
		pass(leaveWithin)
		if _, open := <-old.got; open {
			t.Error("the old connection is kept")
		}
	})
}

func TestFaultsOfSocketMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := withPhone(t)
		r := p.join(t)
		p.Fail("socket", func(int) Fault { return Fault{Twice: true} })
		told := p.asks(t, "/triage help")
		first, second := <-r.got, <-r.got
		if first["envelope_id"] != second["envelope_id"] {
			t.Error("twice is not the same")
		}
		r.ack(first, "")
		r.ack(second, "")
		if err := <-told; err != nil {
			t.Error(err)
		}
		p.Fail("socket", func(int) Fault { return Fault{Lost: true} })
		wantNotice(t, <-p.asks(t, "/triage help"), "operation_timeout")
		p.Fail("socket", nil)
		p.Fail("ack", func(int) Fault { return Fault{Lost: true} })
		told = p.asks(t, "/triage help")
		r.ack(<-r.got, "")
		wantNotice(t, <-told, "operation_timeout")
		p.Fail("ack", nil)
		p.Fail("socket", func(int) Fault { return Fault{Cut: true} })
		wantNotice(t, <-p.asks(t, "/triage help"), "operation_timeout")
		if _, open := <-r.got; open {
			t.Error("the connection was not cut")
		}
	})
}

// FuzzReadAck holds that no frame of an app's breaks the workspace.
func FuzzReadAck(f *testing.F) {
	f.Add([]byte(`{"envelope_id":"a","payload":{"text":"x"}}`))
	f.Add([]byte(`{"envelope_id":"a","payload":"text"}`))
	f.Add([]byte(`{"envelope_id":1}`))
	f.Add([]byte(`{"envelope_id":"a","payload":null}`))
	f.Fuzz(func(t *testing.T, frame []byte) {
		id, a, ok := readAck(frame)
		if ok && (id == "" || len(frame) >= maxAck || (len(a.body) > 0 && !a.text && !json.Valid(a.body))) {
			t.Errorf("%q is taken as %q with %q", frame, id, a.body)
		}
	})
}
