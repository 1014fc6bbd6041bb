package inbound

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	slackapi "github.com/slack-go/slack"

	"triagebot/notifiers/slack"
	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage"
)

const (
	secret   = "8f742231b10e8888abcd99yyyzzz85a5"
	own      = "T0OWN0001"
	foreign  = "T0FOREIGN"
	hookURL  = "https://hooks.slack.com/actions/T0OWN0001/1/abc"
	groupMsg = "1772366400.000100"
)

// workspace is a Slack that remembers what it was asked for.
type workspace struct {
	mu       sync.Mutex
	team     string
	teamErr  error
	noName   error
	whispers []slack.Whisper
	whisper  func(n int) error // what the n-th comes to, from 1; nil: success
	dialogs  []slackapi.ModalViewRequest
	noDialog error
}

func (w *workspace) Name(_ context.Context, user string) (string, error) {
	if w.noName != nil {
		return "", w.noName
	}
	return "name of " + user, nil
}

func (w *workspace) Team(context.Context) (string, error) { return w.team, w.teamErr }

func (w *workspace) Whisper(_ context.Context, said slack.Whisper) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.whispers = append(w.whispers, said)
	if w.whisper == nil {
		return nil
	}
	return w.whisper(len(w.whispers))
}

func (w *workspace) OpenDialog(_ context.Context, _ string, view slackapi.ModalViewRequest) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dialogs = append(w.dialogs, view)
	return w.noDialog
}

// hooks answers what is posted to a response_url.
type hooks struct {
	came   chan hooked // each, where the test waits for it
	mu     sync.Mutex
	posted []hooked
	answer func(n int) *http.Response // to the n-th, from 1; nil: 200
}

type hooked struct {
	url  string
	said message
	at   time.Time
}

func (h *hooks) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var said struct {
		ResponseType    string `json:"response_type"`
		ReplaceOriginal *bool  `json:"replace_original"`
		ThreadTS        string `json:"thread_ts"`
		Text            string `json:"text"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return nil, err
	}
	if said.ReplaceOriginal == nil || said.ResponseType != "ephemeral" {
		return nil, fmt.Errorf("the answer may replace the message, or all see it: %s", body)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	post := hooked{r.URL.String(), message{Text: said.Text, ThreadTS: said.ThreadTS, ReplaceOriginal: *said.ReplaceOriginal}, time.Now()}
	h.posted = append(h.posted, post)
	select {
	case h.came <- post:
	default: // nobody waits for so many
	}
	if h.answer != nil {
		if resp := h.answer(len(h.posted)); resp != nil {
			return resp, nil
		}
	}
	return status(http.StatusOK, "ok"), nil
}

func status(code int, body string, header ...string) *http.Response {
	resp := &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
	for i := 0; i+1 < len(header); i += 2 {
		resp.Header.Set(header[i], header[i+1])
	}
	return resp
}

// fixture is an Inbound at work, within a bubble of synctest.
type fixture struct {
	*Inbound
	workspace *workspace
	hooks     *hooks
	log       *test.Hook
	routes    *mux.Router

	end  func() // lets what is under way end, and returns after it
	mu   sync.Mutex
	done []triage.Request
	not  []triage.Request // refused before they were carried out
}

// requests are what was carried out so far, once all has come to rest.
func (f *fixture) requests() []triage.Request {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]triage.Request(nil), f.done...)
}

// refused are those that were audited as refused.
func (f *fixture) refused() []triage.Request {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]triage.Request(nil), f.not...)
}

func (f *fixture) answers() []hooked {
	synctest.Wait()
	f.hooks.mu.Lock()
	defer f.hooks.mu.Unlock()
	return append([]hooked(nil), f.hooks.posted...)
}

func (f *fixture) whispers() []slack.Whisper {
	synctest.Wait()
	f.workspace.mu.Lock()
	defer f.workspace.mu.Unlock()
	return append([]slack.Whisper(nil), f.workspace.whispers...)
}

func (f *fixture) counted(t *testing.T, v via, k kind, r result) float64 {
	t.Helper()
	synctest.Wait()
	return testutil.ToFloat64(f.metrics.requests.WithLabelValues(string(v), string(k), string(r)))
}

// setUp has an Inbound that says "done: TEXT", or do's reply.
func setUp(t *testing.T, do func(context.Context, triage.Request) triage.Reply, change ...func(*Options)) *fixture {
	t.Helper()
	f := &fixture{workspace: &workspace{team: own}, hooks: &hooks{came: make(chan hooked, 10)}}
	logger, hook := test.NewNullLogger()
	logger.SetLevel(logrus.DebugLevel)
	f.log = hook
	if do == nil {
		do = func(_ context.Context, r triage.Request) triage.Reply { return triage.Reply{Text: "done: " + r.Text} }
	}
	o := Options{
		Do: func(ctx context.Context, r triage.Request) triage.Reply {
			f.mu.Lock()
			f.done = append(f.done, r)
			f.mu.Unlock()
			return do(ctx, r)
		},
		Refused: func(_ context.Context, r triage.Request, reply triage.Reply) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if reply.Outcome == triage.OutcomeRefused {
				f.not = append(f.not, r)
			}
		},
		Workspace: f.workspace, SigningSecret: secret, HTTPClient: &http.Client{Transport: f.hooks}, Log: logger,
	}
	for _, c := range change {
		c(&o)
	}
	var err error
	if f.Inbound, err = New(o); err != nil {
		t.Fatal(err)
	}
	f.routes = mux.NewRouter()
	f.Register(f.routes)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	f.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(f.end)
	return f
}

// inBubble runs a test whose clock is its own.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func request(path string, body []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", formType)
	if path == EventsPath {
		r.Header.Set("Content-Type", jsonType)
	}
	return r
}

// post sends what Slack would, signed.
func (f *fixture) post(path string, body []byte) *httptest.ResponseRecorder {
	return f.postAt(time.Now(), path, body)
}

// postAt sends what Slack would, signed at the instant: what it sends again it
// signs anew.
func (f *fixture) postAt(at time.Time, path string, body []byte) *httptest.ResponseRecorder {
	r := request(path, body)
	slacklocal.Sign(r.Header, secret, at, body)
	return f.serve(r)
}

func (f *fixture) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	f.routes.ServeHTTP(w, r)
	return w
}

func command(trigger, text string) url.Values {
	return url.Values{
		"command": {"/triage"}, "text": {text}, "trigger_id": {trigger}, "team_id": {own}, "user_id": {"U0ALICE01"},
		"user_name": {"alice"}, "channel_id": {"C0INC0001"}, "response_url": {"https://hooks.slack.com/commands/T0OWN0001/1/abc"},
	}
}

func (f *fixture) command(trigger, text string) *httptest.ResponseRecorder {
	return f.post(CommandsPath, []byte(command(trigger, text).Encode()))
}

type object = map[string]any

// click is a click on a button of a parent.
func click(trigger, value string) object {
	return object{
		"type": "block_actions", "trigger_id": trigger, "response_url": hookURL,
		"user": object{"id": "U0ALICE01", "username": "alice", "team_id": own}, "team": object{"id": own, "domain": "ours"},
		"channel":   object{"id": "C0INC0001", "name": "incidents"},
		"container": object{"type": "message", "channel_id": "C0INC0001", "message_ts": groupMsg, "is_ephemeral": false},
		"message":   object{"ts": groupMsg, "blocks": []object{{"type": "something_new", "elements": 7}}},
		"actions":   []object{{"type": "button", "block_id": "b", "action_id": "triage.choice.0", "action_ts": "1.2", "value": value}},
	}
}

func (f *fixture) interact(payload object) *httptest.ResponseRecorder {
	return f.interactAt(time.Now(), payload)
}

func (f *fixture) interactAt(at time.Time, payload object) *httptest.ResponseRecorder {
	return f.postAt(at, InteractionsPath, []byte(url.Values{"payload": {encode(payload)}}.Encode()))
}

func encode(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func mention(ts, text string) object {
	return object{
		"type": "event_callback", "team_id": own, "event_id": "Ev" + ts, "api_app_id": "A1",
		"authorizations": []object{{"team_id": own, "user_id": "U0BOT0001", "is_bot": true}},
		"event": object{
			"type": "app_mention", "user": "U0ALICE01", "team": own, "text": text, "ts": ts,
			"thread_ts": groupMsg, "channel": "C0INC0001",
		},
	}
}

func (f *fixture) event(payload object) *httptest.ResponseRecorder {
	return f.eventAt(time.Now(), payload)
}

func (f *fixture) eventAt(at time.Time, payload object) *httptest.ResponseRecorder {
	return f.postAt(at, EventsPath, []byte(encode(payload)))
}

func textOf(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	var m struct {
		ResponseType string `json:"response_type"`
		Text         string `json:"text"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || m.ResponseType != "ephemeral" {
		t.Fatalf("%v: the body is no ephemeral message: %s", err, w.Body)
	}
	return m.Text
}

// chosenOther is a click on Other… in a parent's menu.
func chosenOther() object {
	c := click("9.1", "")
	c["actions"] = []object{{"type": "static_select", "action_id": "triage.choice.1", "selected_option": object{"value": "other:7"}}}
	return c
}

// submitted is the dialog sent off, as it was opened.
func submitted(trigger, metadata, duration, comment string) object {
	value := func(s string) object { return object{inputAction: object{"type": "plain_text_input", "value": s}} }
	return object{
		"type": "view_submission", "trigger_id": trigger, "team": object{"id": own},
		"user": object{"id": "U0ALICE01", "username": "alice", "team_id": own},
		"view": object{
			"id": "V1", "hash": "1.abc", "callback_id": silenceDialog, "private_metadata": metadata, "app_installed_team_id": own,
			"state": object{"values": object{blockDuration: value(duration), blockComment: value(comment)}},
		},
	}
}
