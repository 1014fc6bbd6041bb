package slacklocal

// The Web API's door: reading a call in either encoding, token, faults, rate
// limits, and the envelope of answers.

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"
)

// call is one call of a method: its arguments, structured ones as JSON text.
type call struct {
	args map[string]string
	host string // under which the caller knows the workspace
}

func (c *call) str(name string) string { return c.args[name] }

func (c *call) flag(name string) bool {
	switch c.args[name] {
	case "1", "true", "t":
		return true
	}
	return false
}

// count reads a number of things to return, within 1 and most.
func (c *call) count(name string, usual, most int) int {
	n, err := strconv.Atoi(c.args[name])
	if err != nil || n < 1 {
		return usual
	}
	return min(n, most)
}

// answer is a successful answer's fields, besides ok.
type answer map[string]any

// failure is an unsuccessful answer. It is the error of the methods below.
type failure struct {
	Error    string   `json:"error"`
	Errors   []string `json:"errors,omitempty"` // in detail, of invalid blocks
	Needed   string   `json:"needed,omitempty"`
	Provided string   `json:"provided,omitempty"`
}

// refusal is a failure as a Go error.
type refusal struct{ failure }

func (r *refusal) Error() string { return r.failure.Error }

func fail(code string, details ...string) error {
	return &refusal{failure{Error: code, Errors: details}}
}

// limited is a call refused for its rate.
type limited struct{ wait time.Duration }

func (l *limited) Error() string { return "ratelimited" }

// methods are what /api/ answers to.
func (w *Workspace) method(name string) func(*call) (answer, error) {
	switch name {
	case "auth.test":
		return w.authTest
	case "users.info":
		return w.usersInfo
	case "usergroups.list":
		return w.groupList
	case "usergroups.users.list":
		return w.groupUsers
	case "chat.postMessage":
		return w.postMessage
	case "chat.postEphemeral":
		return w.postEphemeral
	case "chat.update":
		return w.updateMessage
	case "chat.delete":
		return w.deleteMessage
	case "conversations.list":
		return w.listConversations
	case "conversations.info":
		return w.conversationInfo
	case "conversations.history":
		return w.history
	case "conversations.replies":
		return w.thread
	case "files.getUploadURLExternal":
		return w.uploadURL
	case "files.completeUploadExternal":
		return w.completeUpload
	case "files.info":
		return w.fileInfo
	case "views.open":
		return w.openView
	case "views.update":
		return w.updateView
	case connectionsOpen:
		return w.openConnection
	}
	return nil
}

func (w *Workspace) serveAPI(rw http.ResponseWriter, r *http.Request) {
	name := mux.Vars(r)["method"]
	c, token, err := readCall(rw, r)
	if err != nil {
		writeError(rw, err)
		return
	}
	fault := w.faults.of(name)
	if fault.Wait != nil {
		select {
		case <-fault.Wait:
		case <-r.Context().Done():
			if !fault.Accept {
				return
			}
		}
	}
	if !fault.Accept && fault.answer(rw) {
		return
	}
	answered, err := w.do(name, token, c, fault)
	if fault.Accept && fault.answer(rw) {
		return
	}
	if err != nil {
		writeError(rw, err)
		return
	}
	answered["ok"] = true
	if name != connectionsOpen {
		rw.Header().Set("X-OAuth-Scopes", w.scopes)
	}
	writeJSON(rw, answered)
}

// do checks the token and the method's rate, and carries the call out.
func (w *Workspace) do(name, token string, c *call, fault Fault) (answer, error) {
	method := w.method(name)
	if method == nil {
		return nil, fail("unknown_method")
	}
	if err := w.authenticate(name, token); err != nil {
		return nil, err
	}
	if err := w.permit(name); err != nil {
		return nil, err
	}
	if wait := w.limits.method(name, w.clock()); wait > 0 {
		return nil, &limited{wait}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.host = c.host
	if name == "files.completeUploadExternal" && fault.LateShare {
		c.args[lateShare] = "true"
	}
	return method(c)
}

// authenticate checks the token: the bot's, and for opening a connection the
// app's. Each is refused in the other's place.
func (w *Workspace) authenticate(method, token string) error {
	wanted, other := w.token, w.appToken
	if method == connectionsOpen {
		wanted, other = other, wanted
	}
	same := func(known string) bool {
		return known != "" && subtle.ConstantTimeCompare([]byte(token), []byte(known)) == 1
	}
	switch {
	case token == "":
		return fail("not_authed")
	case same(wanted):
		return nil
	case same(other):
		return fail("not_allowed_token_type")
	}
	return fail("invalid_auth")
}

// readCall reads a call's arguments from the query, a form or a JSON body. As
// at Slack, the token of a JSON call stands in the Authorization header.
func readCall(rw http.ResponseWriter, r *http.Request) (*call, string, error) {
	c := &call{args: make(map[string]string), host: r.Host}
	keep := func(values url.Values) {
		for name := range values {
			c.args[name] = values.Get(name)
		}
	}
	keep(r.URL.Query())
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequestBody))
	if err != nil {
		return nil, "", fail("request_too_large")
	}
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case len(body) == 0:
	case mediaType == "application/json":
		if err := readJSON(body, c.args); err != nil {
			return nil, "", fail("invalid_json", err.Error())
		}
		delete(c.args, "token")
	case mediaType == "application/x-www-form-urlencoded":
		values, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, "", fail("invalid_form_data", err.Error())
		}
		keep(values)
	default:
		return nil, "", fail("invalid_post_type")
	}
	if token == "" {
		token = c.args["token"]
	}
	delete(c.args, "token")
	return c, token, nil
}

// readJSON puts a JSON object's values into args, strings as they are and all
// else as JSON.
func readJSON(body []byte, args map[string]string) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil {
		return err
	}
	for name, raw := range object {
		var s string
		switch {
		case json.Unmarshal(raw, &s) == nil:
			args[name] = s // null too: ""
		default:
			args[name] = string(raw)
		}
	}
	return nil
}

func writeError(rw http.ResponseWriter, err error) {
	var r *refusal
	var l *limited
	switch {
	case errors.As(err, &l):
		seconds := int64((l.wait + time.Second - 1) / time.Second)
		rw.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
		rw.Header().Set("Content-Type", "application/json; charset=utf-8")
		rw.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(rw, `{"ok":false,"error":"ratelimited"}`)
	case errors.As(err, &r):
		writeJSON(rw, r.failure)
	default:
		writeJSON(rw, failure{Error: "fatal_error", Errors: []string{err.Error()}})
	}
}

// MarshalJSON adds what Slack adds to every failure.
func (f failure) MarshalJSON() ([]byte, error) {
	type plain failure
	details := make([]string, 0, len(f.Errors))
	for _, e := range f.Errors {
		details = append(details, "[ERROR] "+e)
	}
	return json.Marshal(struct {
		OK bool `json:"ok"`
		plain
		ResponseMetadata map[string]any `json:"response_metadata,omitempty"`
	}{plain: plain(f), ResponseMetadata: metadataOf(details)})
}

func metadataOf(messages []string) map[string]any {
	if len(messages) == 0 {
		return nil
	}
	return map[string]any{"messages": messages}
}

func writeJSON(rw http.ResponseWriter, v any) {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		http.Error(rw, fmt.Sprintf("cannot encode the answer: %v", err), http.StatusInternalServerError)
		return
	}
	rw.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = rw.Write(b.Bytes())
}
