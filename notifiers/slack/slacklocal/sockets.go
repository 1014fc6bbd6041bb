package slacklocal

// Socket Mode: the app opens up to ten connections to the workspace, and what
// people do goes to one of them.
// https://docs.slack.dev/apis/events-api/using-socket-mode

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// connectionsOpen is the method that an app-level token calls.
const connectionsOpen = "apps.connections.open"

const socketPath = "/socket"

const (
	maxConnections = 10
	maxOpenings    = 100      // URLs handed out and not used yet; the oldest goes first
	maxAck         = 20 << 10 // bytes; an acknowledgement of so many is dropped without a word
	openingFor     = time.Minute
	pingEvery      = 10 * time.Second
	pongWithin     = time.Minute      // a connection that is silent for longer is closed
	leaveWithin    = 10 * time.Second // what a connection has after it was told to go
	writeWithin    = 2 * time.Second
)

// sockets are the app's connections.
type sockets struct {
	faults *faults
	wg     sync.WaitGroup
	done   chan struct{}

	mu       sync.Mutex
	closed   bool
	openings []opening
	open     map[*socket]struct{}
	conns    []*socket                 // those that get something, in the order of their turns
	waiting  map[string]chan appAnswer // by envelope ID
}

// opening is a URL that was handed out, for one connection.
type opening struct {
	ticket string
	until  time.Time
}

type socket struct {
	conn    *websocket.Conn
	writing sync.Mutex
	leaving atomic.Bool // it was told to go
}

// send writes one message; an error is a dead connection.
func (s *socket) send(v any) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	return s.conn.WriteJSON(v)
}

func newSockets(f *faults) *sockets {
	return &sockets{faults: f, done: make(chan struct{}), open: make(map[*socket]struct{}), waiting: make(map[string]chan appAnswer)}
}

// end closes all connections and waits for them.
func (s *sockets) end() {
	s.mu.Lock()
	s.closed = true
	for c := range s.open {
		_ = c.conn.Close()
	}
	s.mu.Unlock()
	close(s.done)
	s.wg.Wait()
}

func (w *Workspace) openConnection(c *call) (answer, error) {
	ticket := rand.Text()
	s := w.sockets
	s.mu.Lock()
	defer s.mu.Unlock()
	s.openings = append(s.openings, opening{ticket, w.clock().Add(openingFor)})
	if over := len(s.openings) - maxOpenings; over > 0 {
		s.openings = slices.Delete(s.openings, 0, over)
	}
	return answer{"url": "ws://" + c.host + socketPath + "?ticket=" + ticket + "&app_id=" + AppID}, nil
}

// redeem takes a ticket in.
func (s *sockets) redeem(ticket string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.openings, func(o opening) bool { return o.ticket == ticket })
	if i < 0 || s.closed {
		return false
	}
	good := !now.After(s.openings[i].until)
	s.openings = slices.Delete(s.openings, i, i+1)
	return good
}

func (w *Workspace) serveSocket(rw http.ResponseWriter, r *http.Request) {
	if !w.sockets.redeem(r.URL.Query().Get("ticket"), w.clock()) {
		http.Error(rw, "the ticket is none, was used, or is too old: call apps.connections.open again", http.StatusForbidden)
		return
	}
	upgrader := websocket.Upgrader{
		WriteBufferSize: 64 << 10, // a message is one frame, as Slack's are
		// The ticket says who comes; slack-go names Slack's own site as its origin.
		CheckOrigin: func(*http.Request) bool { return true },
	}
	conn, err := upgrader.Upgrade(rw, r, nil)
	if err != nil {
		return // answered by the upgrader
	}
	w.sockets.serve(&socket{conn: conn})
}

// serve keeps a connection until it ends.
func (s *sockets) serve(c *socket) {
	defer c.conn.Close() //nolint:errcheck // it ends either way
	n := s.join(c)
	if n == 0 {
		_ = c.send(answer{"type": "disconnect", "reason": "too_many_websockets", "debug_info": answer{"host": "local"}})
		return
	}
	defer s.wg.Done()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, c)
	}()
	defer s.leave(c)
	hello := answer{
		"type": "hello", "num_connections": n, "connection_info": answer{"app_id": AppID},
		"debug_info": answer{"host": "local", "build_number": 1, "approximate_connection_time": 18060},
	}
	if c.send(hello) != nil {
		return
	}
	gone := make(chan struct{})
	pinging := make(chan struct{})
	go func() { defer close(pinging); s.ping(c, gone) }()
	s.read(c)
	close(gone)
	<-pinging
}

// join counts a connection in: how many there are, 0 for one too many.
func (s *sockets) join(c *socket) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= maxConnections || len(s.open) >= 3*maxConnections {
		return 0
	}
	s.wg.Add(1)
	s.open[c] = struct{}{}
	s.conns = append(s.conns, c)
	return len(s.conns)
}

func (s *sockets) leave(c *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = slices.DeleteFunc(s.conns, func(o *socket) bool { return o == c })
}

// ping keeps the app from taking a quiet connection for dead.
func (s *sockets) ping(c *socket, gone <-chan struct{}) {
	beat := time.NewTicker(pingEvery)
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
			if s.faults.of("ping").Lost {
				continue
			}
			_ = c.conn.WriteControl(websocket.PingMessage, []byte("Ping from local"), time.Now().Add(writeWithin))
		case <-gone:
			return
		case <-s.done:
			return
		}
	}
}

// read takes acknowledgements until the connection ends.
func (s *sockets) read(c *socket) {
	alive := func(string) error {
		if c.leaving.Load() {
			return nil // its time was set when it was told
		}
		return c.conn.SetReadDeadline(time.Now().Add(pongWithin))
	}
	answerPing := c.conn.PingHandler()
	c.conn.SetPongHandler(alive)
	c.conn.SetPingHandler(func(data string) error {
		if err := alive(data); err != nil {
			return err
		}
		return answerPing(data)
	})
	c.conn.SetReadLimit(maxAnswer)
	_ = alive("")
	for {
		_, data, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		id, answered, ok := readAck(data)
		if !ok || s.faults.of("ack").Lost {
			continue
		}
		s.mu.Lock()
		if heard := s.waiting[id]; heard != nil {
			delete(s.waiting, id)
			heard <- answered // has room for it
		}
		s.mu.Unlock()
	}
}

// readAck reads an acknowledgement; ok is false for what is none.
func readAck(data []byte) (id string, a appAnswer, ok bool) {
	if len(data) >= maxAck {
		return "", appAnswer{}, false
	}
	var ack struct {
		ID      string          `json:"envelope_id"`
		Payload json.RawMessage `json:"payload"`
	}
	if json.Unmarshal(data, &ack) != nil || ack.ID == "" {
		return "", appAnswer{}, false
	}
	if string(ack.Payload) == "null" {
		ack.Payload = nil
	}
	if text := str(ack.Payload); text != "" {
		return ack.ID, appAnswer{body: []byte(text), text: true}, true
	}
	return ack.ID, appAnswer{body: ack.Payload}, true
}

// turn is the connection whose turn it is, nil without any.
func (s *sockets) turn() *socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) == 0 {
		return nil
	}
	c := s.conns[0]
	s.conns = append(s.conns[1:], c)
	return c
}

// dispatch sends an act to one connection and waits for the acknowledgement.
// The error is an *undelivered.
func (s *sockets) dispatch(ctx context.Context, a act) (appAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	id := rand.Text()
	envelope := answer{"envelope_id": id, "type": a.kind, "payload": a.payload, "accepts_response_payload": a.answers}
	if a.kind == kindEvent {
		envelope["retry_attempt"], envelope["retry_reason"] = a.attempt, socketReason(a)
	}
	heard := make(chan appAnswer, 1)
	s.mu.Lock()
	s.waiting[id] = heard
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.waiting, id)
	}()
	if !s.give(envelope) {
		return appAnswer{}, &undelivered{code: codeDispatch}
	}
	select {
	case answered := <-heard:
		if !a.answers {
			answered = appAnswer{}
		}
		return answered, nil
	case <-s.done:
		return appAnswer{}, &undelivered{code: codeDispatch, final: true}
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return appAnswer{}, &undelivered{code: codeTimeout}
		}
		return appAnswer{}, &undelivered{code: codeDispatch}
	}
}

// socketReason is why an event comes again: over a socket there is one word.
func socketReason(a act) string {
	if a.attempt == 0 {
		return ""
	}
	return "timeout"
}

// give sends an envelope to the connection whose turn it is; one that turns
// out to be dead is passed over.
func (s *sockets) give(envelope answer) bool {
	for range maxConnections {
		c := s.turn()
		if c == nil {
			return false
		}
		fault := s.faults.of("socket")
		switch {
		case fault.Lost:
			return true
		case fault.Cut:
			_ = c.conn.Close()
			return true
		}
		err := c.send(envelope)
		if err == nil && fault.Twice {
			err = c.send(envelope)
		}
		if err == nil {
			return true
		}
		s.leave(c)
		_ = c.conn.Close()
	}
	return false
}

// Disconnect asks the app to open its connections anew, as Slack does now and
// then; the reason is Slack's word: refresh_requested, warning or
// link_disabled. A connection that was told gets nothing more, except after a
// warning, and is closed 10 s later at the latest.
func (w *Workspace) Disconnect(reason string) {
	s := w.sockets
	s.mu.Lock()
	conns := slices.Clone(s.conns)
	if reason != "warning" {
		s.conns = nil
	}
	s.mu.Unlock()
	for _, c := range conns {
		_ = c.send(answer{"type": "disconnect", "reason": reason, "debug_info": answer{"host": "local"}})
		if reason != "warning" {
			c.leaving.Store(true)
			_ = c.conn.SetReadDeadline(time.Now().Add(leaveWithin))
		}
	}
}

// Connections counts the app's open Socket Mode connections.
func (w *Workspace) Connections() int {
	w.sockets.mu.Lock()
	defer w.sockets.mu.Unlock()
	return len(w.sockets.conns)
}
