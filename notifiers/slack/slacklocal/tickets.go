package slacklocal

// What an app is handed along with a person's act, to be used for a while:
// triggers, which open a modal, and response URLs.

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"
)

// How long and how often an act's tickets are good.
// https://docs.slack.dev/interactivity/handling-user-interaction
const (
	triggerFor = 3 * time.Second
	hookFor    = 30 * time.Minute
	hookUses   = 5
	maxTickets = 2_000 // of each kind; the oldest goes first
)

// ticket is a trigger or a response URL.
type ticket struct {
	id    string
	until time.Time
	uses  int

	user    string
	channel string // ID; "" in a modal
	thread  string // in which the act was done
	source  string // ts of the message that was acted on; "" for a command
}

// tickets are those of one kind, the oldest first.
type tickets []*ticket

func (t *tickets) add(next *ticket) {
	*t = append(*t, next)
	if over := len(*t) - maxTickets; over > 0 {
		*t = slices.Delete(*t, 0, over)
	}
}

func (t tickets) find(id string) *ticket {
	i := slices.IndexFunc(t, func(k *ticket) bool { return k.id == id })
	if i < 0 {
		return nil
	}
	return t[i]
}

// trigger hands out a trigger_id for a person's act. Call with mu held.
func (w *Workspace) trigger(user string) string {
	id := strings.ToLower(formatTS(w.clock().UnixMicro()) + "." + rand.Text())
	w.triggers.add(&ticket{id: id, until: w.clock().Add(triggerFor), user: user})
	return id
}

// exchange takes a trigger in: whose act it was.
func (w *Workspace) exchange(id string) (user string, err error) {
	t := w.triggers.find(id)
	switch {
	case t == nil:
		return "", fail("invalid_trigger_id")
	case t.uses > 0:
		return "", fail("exchanged_trigger_id")
	case w.clock().After(t.until):
		return "", fail("expired_trigger_id")
	}
	t.uses++
	return t.user, nil
}

// hook hands out a response_url. Call with mu held.
func (w *Workspace) hook(t ticket) string {
	t.id, t.until = rand.Text(), w.clock().Add(hookFor)
	w.hooks.add(&t)
	return "http://" + w.host + "/hook/" + t.id
}

// serveHook takes what an app sends to a response_url.
func (w *Workspace) serveHook(rw http.ResponseWriter, r *http.Request) {
	fault := w.faults.of("response_url")
	if !fault.Accept && fault.answer(rw) {
		return
	}
	c, _, err := readCall(rw, r)
	if err == nil {
		err = w.respond(mux.Vars(r)["id"], c)
	}
	if fault.Accept && fault.answer(rw) {
		return
	}
	if err != nil {
		rw.Header().Set("Content-Type", "application/json; charset=utf-8")
		rw.WriteHeader(http.StatusNotFound)
		writeError(rw, err)
		return
	}
	_, _ = rw.Write([]byte("ok"))
}

func (w *Workspace) respond(id string, c *call) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.hooks.find(id)
	switch {
	case t == nil, w.clock().After(t.until):
		return fail("expired_url")
	case t.uses >= hookUses:
		return fail("used_url")
	}
	if err := w.tell(t, c); err != nil {
		return err
	}
	t.uses++
	return nil
}
