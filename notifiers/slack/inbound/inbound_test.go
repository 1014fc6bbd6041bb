package inbound

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
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
	whispers []slack.Whisper
	whisper  func(n int) error // what the n-th comes to, from 1; nil: success
	dialogs  []slackapi.ModalViewRequest
	noDialog error
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
	if said.ReplaceOriginal == nil || *said.ReplaceOriginal || said.ResponseType != "ephemeral" {
		return nil, fmt.Errorf("the answer replaces the message, or all see it: %s", body)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.posted = append(h.posted, hooked{r.URL.String(), message{Text: said.Text, ThreadTS: said.ThreadTS}, time.Now()})
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

	mu   sync.Mutex
	done []triage.Request
}

// requests are what was carried out so far, once all has come to rest.
func (f *fixture) requests() []triage.Request {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]triage.Request(nil), f.done...)
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
	return testutil.ToFloat64(f.Inbound.metrics.requests.WithLabelValues(string(v), string(k), string(r)))
}

// setUp has an Inbound that says "done: TEXT", or do's reply.
func setUp(t *testing.T, do func(context.Context, triage.Request) triage.Reply, change ...func(*Options)) *fixture {
	t.Helper()
	f := &fixture{workspace: &workspace{team: own}, hooks: &hooks{}}
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
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return f
}

// inBubble runs a test whose clock is its own.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func sign(r *http.Request, key string, body []byte, at time.Time) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(mac, "v0:%s:%s", stamp, body)
	r.Header.Set("X-Slack-Request-Timestamp", stamp)
	r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
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
	r := request(path, body)
	sign(r, secret, body, time.Now())
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
	return f.post(InteractionsPath, []byte(url.Values{"payload": {encode(payload)}}.Encode()))
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
	return f.post(EventsPath, []byte(encode(payload)))
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

func TestNewRefusesToWorkWithoutASecret(t *testing.T) {
	do := func(context.Context, triage.Request) triage.Reply { return triage.Reply{} }
	for name, o := range map[string]Options{
		"neither secret nor token": {Do: do, Workspace: &workspace{}},
		"no Do":                    {Workspace: &workspace{}, SigningSecret: secret},
		"no workspace":             {Do: do, SigningSecret: secret},
		"an API without slash":     {Do: do, Workspace: &workspace{}, SigningSecret: secret, APIURL: "https://slack.com/api"},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	// With an app token alone nothing may be sent by HTTP: an empty secret signs for anybody.
	i, err := New(Options{Do: do, Workspace: &workspace{}, AppToken: "xapp-1"})
	if err != nil {
		t.Fatal(err)
	}
	routes := mux.NewRouter()
	i.Register(routes)
	body := []byte(command("1.1", "status").Encode())
	r := request(CommandsPath, body)
	sign(r, "", body, time.Now())
	w := httptest.NewRecorder()
	routes.ServeHTTP(w, r)
	if w.Code != http.StatusNotFound {
		t.Errorf("status %d, want 404", w.Code)
	}
}

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

func TestASlowCommandIsAnsweredLater(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := setUp(t, func(ctx context.Context, r triage.Request) triage.Reply {
			select {
			case <-time.After(4 * time.Second): // Slack gives up after three
			case <-ctx.Done():
			}
			return triage.Reply{Text: "done: " + r.Text}
		})
		began := time.Now()
		if got := textOf(t, f.command("1.1", "trace req_1")); got != "Working on it; the answer follows." {
			t.Errorf("answered %q", got)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("Slack waited %s, want 1s", took)
		}
		time.Sleep(4 * time.Second) // of the bubble's clock
		posted := f.answers()
		if len(posted) != 1 || posted[0].said.Text != "done: triage trace req_1" || posted[0].url != "https://hooks.slack.com/commands/T0OWN0001/1/abc" {
			t.Errorf("posted %+v", posted)
		}
	})
}

func TestAFullPoolSaysSoAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		release := make(chan struct{})
		f := setUp(t, func(context.Context, triage.Request) triage.Reply {
			<-release
			return triage.Reply{Text: "done"}
		}, func(o *Options) { o.Workers, o.Queue = 2, 3 })
		for n := range 5 { // two are carried out, three wait
			if w := f.interact(click(fmt.Sprint("1.", n), "triage ack 7")); w.Code != http.StatusOK {
				t.Fatalf("click %d: status %d", n, w.Code)
			}
			synctest.Wait()
		}
		if posted := f.answers(); len(posted) != 0 {
			t.Fatalf("answered %+v while there was room", posted)
		}
		began := time.Now()
		if got := textOf(t, f.command("2.1", "status")); !strings.Contains(got, "busy") || time.Since(began) != 0 {
			t.Errorf("answered %q after %s, want at once that it is busy", got, time.Since(began))
		}
		f.interact(click("2.2", "triage ack 8"))
		if posted := f.answers(); len(posted) != 1 || !strings.Contains(posted[0].said.Text, "busy") {
			t.Errorf("the sixth click is answered %+v", posted)
		}
		said := mention("3.1", "<@U0BOT0001> ack")
		if w := f.event(said); w.Code != http.StatusServiceUnavailable {
			t.Errorf("the event's status is %d, want 503 so that Slack sends it again", w.Code)
		}
		close(release)
		synctest.Wait()
		time.Sleep(time.Second) // the retry is signed anew
		if w := f.event(said); w.Code != http.StatusOK {
			t.Errorf("the event sent again: status %d", w.Code)
		}
		if got := len(f.requests()); got != 6 {
			t.Errorf("%d requests were carried out, want 5 clicks and the mention", got)
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
			sign(r, secret, body, time.Now().Add(at))
			return r
		}
	}
	of := func(b []byte, path string, change func(*http.Request)) func() *http.Request {
		return func() *http.Request {
			r := request(path, b)
			sign(r, secret, b, time.Now())
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
		"another secret":             {of(body, CommandsPath, func(r *http.Request) { sign(r, "other", body, time.Now()) }), 401, resultUnsigned},
		"an empty secret":            {of(body, CommandsPath, func(r *http.Request) { sign(r, "", body, time.Now()) }), 401, resultUnsigned},
		"another body":               {of(body, CommandsPath, func(r *http.Request) { sign(r, secret, []byte("x"), time.Now()) }), 401, resultUnsigned},
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

func TestEachClickIsARequestOfItsOwn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := setUp(t, nil)
		f.interact(click("1.1", "triage ack 7"))
		time.Sleep(time.Second)
		f.interact(click("1.1", "triage ack 7")) // the same, sent again
		f.interact(click("1.2", "triage ack 7")) // a double click
		bob := click("1.3", "triage ack 7")
		bob["user"] = object{"id": "U0BOB0001", "name": "bob", "team_id": own}
		f.interact(bob)
		inThread := click("1.4", "triage run 7")
		inThread["container"].(object)["thread_ts"] = "1772366400.000001"
		f.interact(inThread)
		answered := click("1.5", "maintenance confirm 12") // on an answer that only they see
		answered["container"].(object)["is_ephemeral"] = true
		f.interact(answered)
		menu := click("1.6", "")
		menu["actions"] = []object{{"type": "static_select", "action_id": "triage.choice.1", "selected_option": object{"value": "triage silence 1h 7"}}}
		f.interact(menu)
		noTrigger := click("", "triage ack 7")
		f.interact(noTrigger)

		got := map[string]triage.Request{}
		for _, r := range f.requests() {
			if _, twice := got[r.ID]; twice {
				t.Errorf("%s was carried out twice", r.ID)
			}
			got[r.ID] = r
		}
		for id, want := range map[string]struct{ user, text, ts string }{
			"slack/click/1.1": {"alice", "triage ack 7", groupMsg},
			"slack/click/1.2": {"alice", "triage ack 7", groupMsg},
			"slack/click/1.3": {"bob", "triage ack 7", groupMsg},
			"slack/click/1.4": {"alice", "triage run 7", "1772366400.000001"},
			"slack/click/1.5": {"alice", "maintenance confirm 12", ""},
			"slack/click/1.6": {"alice", "triage silence 1h 7", groupMsg},
			"slack/click/C0INC0001/" + groupMsg + "/1.2/U0ALICE01": {"alice", "triage ack 7", groupMsg},
		} {
			r, ok := got[id]
			if !ok || r.Actor.Name != want.user || r.Text != want.text || r.Place != (triage.RemoteRef{Channel: "C0INC0001", ID: want.ts}) {
				t.Errorf("%s: %+v, want %+v", id, r, want)
			}
			delete(got, id)
		}
		if len(got) > 0 {
			t.Errorf("and %+v", got)
		}
		posted := f.answers()
		if len(posted) != 7 {
			t.Fatalf("%d answers, want one to each click", len(posted))
		}
		threads := 0
		for _, p := range posted {
			if p.url != hookURL {
				t.Errorf("answered at %s", p.url)
			}
			if p.said.ThreadTS == "1772366400.000001" {
				threads++
			}
		}
		if threads != 1 {
			t.Errorf("%d answers stand in the thread, want 1", threads)
		}
		if n := f.counted(t, viaHTTP, kindClick, resultDuplicate); n != 1 {
			t.Errorf("%v duplicates, want 1", n)
		}
	})
}

func TestWhatIsNotAskedOfTriagebotIsAcknowledgedOnly(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := setUp(t, nil)
		link := click("1.1", "x")
		link["actions"] = []object{{"type": "button", "action_id": "link", "value": "x"}}
		otherView := object{"type": "view_submission", "user": object{"id": "U1"}, "view": object{"callback_id": "another"}}
		closed := object{"type": "view_closed", "user": object{"id": "U1"}}
		for n, payload := range []object{link, otherView, closed} {
			if w := f.interact(payload); w.Code != http.StatusOK || w.Body.Len() != 0 {
				t.Errorf("%d: %d %s", n, w.Code, w.Body)
			}
		}
		byBot := mention("2.1", "<@U0BOT0001> ack")
		byBot["event"].(object)["bot_id"] = "B0OTHER01"
		bySelf := mention("2.2", "<@U0BOT0001> ack")
		bySelf["event"].(object)["user"] = "U0BOT0001"
		changed := mention("2.3", "<@U0BOT0001> ack")
		changed["event"].(object)["subtype"] = "message_changed"
		otherEvent := mention("2.4", "")
		otherEvent["event"].(object)["type"] = "message"
		for n, payload := range []object{byBot, bySelf, changed, otherEvent, {"type": "app_rate_limited"}} {
			if w := f.event(payload); w.Code != http.StatusOK {
				t.Errorf("event %d: %d %s", n, w.Code, w.Body)
			}
		}
		if w := f.post(CommandsPath, []byte("ssl_check=1&token=x")); w.Code != http.StatusOK {
			t.Errorf("ssl_check: %d", w.Code)
		}
		if got := f.requests(); len(got) != 0 {
			t.Errorf("carried out: %+v", got)
		}
	})
}

func TestAMentionIsAnsweredInItsThreadOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := setUp(t, nil)
		said := mention("5.1", "<@U0BOT0001> trace req_1")
		f.event(said)
		time.Sleep(time.Minute)
		f.event(said) // Slack had no answer in time
		edited := mention("5.1", "<@U0BOT0001> trace req_1 please")
		edited["event_id"] = "EvOther"
		f.event(edited)
		got := f.requests()
		if len(got) != 1 || got[0].Text != "triage trace req_1" || got[0].ID != "slack/mention/C0INC0001/5.1" || got[0].Place.ID != groupMsg {
			t.Fatalf("requests %+v", got)
		}
		whispers := f.whispers()
		if len(whispers) != 1 {
			t.Fatalf("%d answers, want 1", len(whispers))
		}
		w := whispers[0]
		if w.Channel != "C0INC0001" || w.User != "U0ALICE01" || w.Thread != groupMsg || w.Text != "done: triage trace req_1" || len(w.Blocks) == 0 {
			t.Errorf("answered %+v", w)
		}
	})
}

func TestWhatAMentionAsksFor(t *testing.T) {
	for text, want := range map[string]string{
		"<@U0BOT0001> trace req_1":                     "triage trace req_1",
		"<@U0BOT0001> maintenance status":              "maintenance status",
		"<@U0BOT0001> triage ack 7":                    "triage ack 7",
		"<@U0BOT0001> /maintenance status":             "maintenance status",
		"<@U0BOT0001>":                                 "triage help",
		"<@U0BOT0001>: help":                           "triage help",
		"hey <@U0BOB0001> and <@U0BOT0001|bot>, ack":   "triage ack",
		"<@U0BOT0001>\u00a0silence\n2h":                "triage silence 2h",
		"<@U0BOT0001> run X route=&lt;a&gt;":           "triage run X route=<a>",
		"<@U0BOT0001> trace <https://a.b/c>":           "triage trace https://a.b/c",
		"<@U0BOT0001> escalate to <!subteam^S01|@sre>": "triage escalate to <!subteam^S01|@sre>",
		"no mention at all":                            "triage no mention at all",
	} {
		if got := mentionText(text, "U0BOT0001"); got != want {
			t.Errorf("%q asks for %q, want %q", text, got, want)
		}
	}
	if got := mentionText("<@U0ANY0001> ack", ""); got != "triage ack" {
		t.Errorf("with a bot that is not known: %q", got)
	}
}

func TestOnlyMembersOfTheOwnWorkspaceAreServed(t *testing.T) {
	connect := func(change func(event object)) object {
		m := mention("6.1", "<@U0BOT0001> ack")
		m["is_ext_shared_channel"] = true
		change(m["event"].(object))
		return m
	}
	guest := click("1.1", "triage ack 7")
	guest["user"].(object)["team_id"] = foreign
	elsewhere := click("1.1", "triage ack 7")
	elsewhere["team"] = object{"id": foreign}
	nowhere := click("1.1", "triage ack 7")
	nowhere["user"] = object{"id": "U0ALICE01"}
	nowhere["team"] = nil
	otherView := object{
		"type": "view_submission", "trigger_id": "1.1", "user": object{"id": "U0ALICE01", "team_id": own}, "team": object{"id": own},
		"view": object{
			"callback_id": silenceDialog, "private_metadata": `{"incident":7,"channel":"C0INC0001"}`, "app_installed_team_id": foreign,
			"state": object{"values": object{blockDuration: object{inputAction: object{"value": "2h"}}}},
		},
	}
	ofCommand := command("1.1", "ack 7")
	ofCommand.Set("team_id", foreign)
	otherInstall := mention("6.1", "<@U0BOT0001> ack")
	otherInstall["authorizations"] = []object{{"team_id": foreign, "user_id": "U0BOT0001"}}

	for name, send := range map[string]func(*fixture) *httptest.ResponseRecorder{
		"a command of another workspace": func(f *fixture) *httptest.ResponseRecorder {
			return f.post(CommandsPath, []byte(ofCommand.Encode()))
		},
		"a guest's click":              func(f *fixture) *httptest.ResponseRecorder { return f.interact(guest) },
		"a click in another workspace": func(f *fixture) *httptest.ResponseRecorder { return f.interact(elsewhere) },
		"a click from nowhere":         func(f *fixture) *httptest.ResponseRecorder { return f.interact(nowhere) },
		"a dialog of another install":  func(f *fixture) *httptest.ResponseRecorder { return f.interact(otherView) },
		"a mention of another install": func(f *fixture) *httptest.ResponseRecorder { return f.event(otherInstall) },
		"a guest's mention": func(f *fixture) *httptest.ResponseRecorder {
			return f.event(connect(func(e object) { e["user_team"] = foreign }))
		},
		"a guest's mention, said otherwise": func(f *fixture) *httptest.ResponseRecorder {
			return f.event(connect(func(e object) { e["team"] = foreign }))
		},
		"a mention that says no team at all": func(f *fixture) *httptest.ResponseRecorder {
			return f.event(connect(func(e object) { delete(e, "team") }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				f := setUp(t, nil)
				w := send(f)
				if w.Code != http.StatusOK {
					t.Fatalf("status %d: %s", w.Code, w.Body)
				}
				if got := f.requests(); len(got) != 0 {
					t.Fatalf("carried out: %+v", got)
				}
				said := w.Body.String()
				for _, a := range f.answers() {
					said += a.said.Text
				}
				for _, a := range f.whispers() {
					said += a.Text
				}
				if strings.Count(said, "Only members of triagebot's own workspace") < 1 {
					t.Errorf("they are told %q", said)
				}
			})
		})
	}
	t.Run("a member in a channel that is shared", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			f := setUp(t, nil)
			f.event(connect(func(e object) { e["source_team"] = foreign }))
			if n := len(f.requests()); n != 1 {
				t.Errorf("carried out %d times, want once", n)
			}
		})
	})
	t.Run("Slack does not say whose workspace it is", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			f := setUp(t, nil)
			f.workspace.teamErr = errors.New("auth.test: 500")
			if got := textOf(t, f.command("1.1", "ack 7")); !strings.Contains(got, "cannot be told") {
				t.Errorf("answered %q", got)
			}
			if n := len(f.requests()); n != 0 {
				t.Errorf("carried out %d times", n)
			}
		})
	})
}

func TestAnswersGoToSlackOnly(t *testing.T) {
	for target, want := range map[string]bool{
		"https://hooks.slack.com/actions/T/1/x":     true,
		"https://slack.com/x":                       true,
		"http://hooks.slack.com/x":                  false,
		"https://hooks.slack.com.evil.example/x":    false,
		"https://evil.example/hooks.slack.com":      false,
		"https://hooks.slack.com@evil.example/x":    false,
		"https://user:pw@hooks.slack.com/x":         false,
		"https://hooks.slack.com:8443/x":            false,
		"http://127.0.0.1:9095/-/reload":            false,
		"http://169.254.169.254/latest/meta-data":   false,
		"file:///etc/passwd":                        false,
		"//hooks.slack.com/x":                       false,
		"":                                          false,
		"https://hooks.slack.com\x00.evil.example/": false,
	} {
		inBubble(t, func(t *testing.T) {
			f := setUp(t, nil)
			c := click("1.1", "triage ack 7")
			c["response_url"] = target
			f.interact(c)
			if got := len(f.answers()) == 1; got != want {
				t.Errorf("%q is called: %v, want %v", target, got, want)
			}
			if got := len(f.whispers()) == 1; got == want {
				t.Errorf("%q: answered in the channel: %v, want %v", target, got, !want)
			}
		})
	}
	// Of another API its own host will do, and hooks. beside it.
	for target, want := range map[string]bool{
		"https://hooks.slack-gov.com/x": true, "https://slack-gov.com/x": true, "http://slack-gov.com/x": false, "https://hooks.evil.example/x": false,
	} {
		i := &Inbound{opts: Options{APIURL: "https://slack-gov.com/api/"}}
		if got := i.ofSlack(target); got != want {
			t.Errorf("%q: %v, want %v", target, got, want)
		}
	}
	local := &Inbound{opts: Options{APIURL: "http://127.0.0.1:9096/api/"}}
	if !local.ofSlack("http://127.0.0.1:9096/response/1") || local.ofSlack("http://hooks.127.0.0.1:9096/x") || local.ofSlack("http://127.0.0.1:9095/x") {
		t.Error("the local channel's answers go to its own host and port, and nowhere else")
	}
}

func TestAnAnswerIsTriedAgainAFewTimes(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(n int) *http.Response
		posts  int
		after  time.Duration // of the last
		lost   float64
	}{
		"taken": {nil, 1, 0, 0},
		"limited, then taken": {func(n int) *http.Response {
			if n == 1 {
				return status(429, "", "Retry-After", "2")
			}
			return nil
		}, 2, 2 * time.Second, 0},
		"limited for an hour": {func(int) *http.Response { return status(429, "", "Retry-After", "3600") }, 3, 2 * longestWait, 1},
		"limited by no number": {func(n int) *http.Response {
			if n == 1 {
				return status(429, "", "Retry-After", "soon")
			}
			return nil
		}, 2, firstWait, 0},
		"down":       {func(int) *http.Response { return status(500, "oops") }, 3, 3 * firstWait, 1},
		"used up":    {func(int) *http.Response { return status(404, "used_url") }, 1, 0, 1},
		"a redirect": {func(int) *http.Response { return status(302, "", "Location", "http://127.0.0.1/") }, 1, 0, 1},
		"a layout that is refused": {func(n int) *http.Response {
			if n == 1 {
				return status(400, "invalid_blocks")
			}
			return nil
		}, 2, firstWait, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				f := setUp(t, nil)
				f.hooks.answer = c.answer
				began := time.Now()
				f.interact(click("1.1", "triage ack 7"))
				time.Sleep(answerFor)
				posted := f.answers()
				if len(posted) != c.posts {
					t.Fatalf("%d tries, want %d", len(posted), c.posts)
				}
				if got := posted[len(posted)-1].at.Sub(began); got != c.after {
					t.Errorf("the last was after %s, want %s", got, c.after)
				}
				if got := testutil.ToFloat64(f.Inbound.metrics.lost); got != c.lost {
					t.Errorf("%v lost, want %v", got, c.lost)
				}
				for _, e := range f.log.AllEntries() {
					if s, _ := e.String(); strings.Contains(s, "hooks.slack.com") {
						t.Errorf("the log holds the response_url: %s", s)
					}
				}
			})
		})
	}
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
			f := setUp(t, func(context.Context, triage.Request) triage.Reply {
				time.Sleep(4 * time.Second)
				return triage.Reply{Text: "Alertmanager does not answer.", Outcome: triage.OutcomeFailed}
			})
			if w := f.interact(submitted("9.2", about, "1h", "")); w.Code != http.StatusOK || w.Body.Len() != 0 {
				t.Errorf("the dialog stays open: %d %s", w.Code, w.Body)
			}
			time.Sleep(4 * time.Second)
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

func TestTextsAtTheirLimits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := setUp(t, func(context.Context, triage.Request) triage.Reply { return triage.Reply{Text: "done"} })
		fits := maxCommand - len("triage ")
		if got := textOf(t, f.command("1.1", strings.Repeat("é", fits))); got != "done" {
			t.Errorf("at the limit: %q", got)
		}
		if got := textOf(t, f.command("1.2", strings.Repeat("é", fits+1))); !strings.Contains(got, "too long") {
			t.Errorf("one character more: %q", got)
		}
		long := strings.Repeat("t", 5000)
		f.command(long, "ack")
		if got := f.requests(); len(got) != 2 || len(got[1].ID) > maxID {
			t.Errorf("an ID has %d bytes", len(got[1].ID))
		}
		// Differing triggers keep differing IDs, however long they are.
		if requestID(kindClick, long+"a") == requestID(kindClick, long+"b") {
			t.Error("two long ids became one")
		}
	})
}

func TestAPanicCostsItsOwnRequestOnly(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := setUp(t, func(_ context.Context, r triage.Request) triage.Reply {
			if strings.Contains(r.Text, "boom") {
				panic("boom")
			}
			return triage.Reply{Text: "fine"}
		}, func(o *Options) { o.Workers = 1 })
		if got := textOf(t, f.command("1.1", "boom")); !strings.Contains(got, "log says why") {
			t.Errorf("answered %q", got)
		}
		if got := textOf(t, f.command("1.2", "ack")); got != "fine" {
			t.Errorf("the next is answered %q", got)
		}
	})
}

func TestAtTheEndNobodyIsLeftWaiting(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		began, release := make(chan struct{}), make(chan struct{})
		ws, posts := &workspace{team: own}, &hooks{}
		i, err := New(Options{
			Workers: 1, Workspace: ws, SigningSecret: secret, HTTPClient: &http.Client{Transport: posts},
			Do: func(context.Context, triage.Request) triage.Reply {
				close(began)
				<-release
				return triage.Reply{Text: "done"}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		f := &fixture{Inbound: i, workspace: ws, hooks: posts, routes: mux.NewRouter()}
		i.Register(f.routes)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- i.Run(ctx) }()
		f.interact(click("1.1", "triage ack 7"))
		<-began
		f.interact(click("1.2", "triage ack 8"))
		cancel()
		synctest.Wait()
		if got := textOf(t, f.command("1.3", "status")); !strings.Contains(got, "busy") {
			t.Errorf("after the end: %q", got)
		}
		close(release)
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		said := f.answers()
		if len(said) != 2 || said[0].said.Text != "done" || !strings.Contains(said[1].said.Text, "restarting") {
			t.Errorf("answered %+v", said)
		}
	})
}

func TestARequestThatHangsIsCutShortAtTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		i, err := New(Options{
			Workspace: &workspace{team: own}, SigningSecret: secret, HTTPClient: &http.Client{Transport: &hooks{}},
			Do: func(ctx context.Context, _ triage.Request) triage.Reply {
				<-ctx.Done()
				return triage.Reply{Text: "cut"}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		f := &fixture{Inbound: i, routes: mux.NewRouter()}
		i.Register(f.routes)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- i.Run(ctx) }()
		f.interact(click("1.1", "triage ack 7"))
		synctest.Wait()
		cancel()
		stopping := time.Now()
		<-ended
		if took := time.Since(stopping); took != stopGrace {
			t.Errorf("it took %s to stop, want %s", took, stopGrace)
		}
	})
}

func TestWhatWasSeenIsForgottenInTime(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := newSeen(3, time.Minute)
	for _, step := range []struct {
		key   string
		after time.Duration
		first bool
	}{
		{"a", 0, true},
		{"a", time.Minute, false},
		{"b", 0, true},
		{"a", time.Second, true}, // its minute is over
		{"c", 0, true},           // the third: the oldest, b, goes
		{"d", 0, true},
		{"a", 0, false},
		{"b", 0, true},
	} {
		now = now.Add(step.after)
		if got := s.first(step.key, now); got != step.first {
			t.Errorf("%+v: first %v", step, got)
		}
		if len(s.order) > 3 || len(s.at) > 3 {
			t.Fatalf("%d are remembered, want 3 at most", len(s.order))
		}
	}
	s.forget("b")
	if !s.first("b", now) {
		t.Error("what was forgotten does not come for the first time")
	}
}
