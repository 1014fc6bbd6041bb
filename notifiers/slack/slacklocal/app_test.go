package slacklocal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slack-go/slack"
)

const signingSecret = "local-signing-secret"

// heard is one request that reached the app.
type heard struct {
	url    string
	header http.Header
	body   []byte
	form   url.Values
	json   map[string]any // of an event, or of a payload
}

func (h *heard) at(path ...string) any {
	var v any = h.json
	for _, key := range path {
		switch in := v.(type) {
		case map[string]any:
			v = in[key]
		case []any:
			v = in[0].(map[string]any)[key]
		default:
			return nil
		}
	}
	return v
}

// bot is an app that a workspace tells of what people do. It runs within the
// test's own goroutines, without a network.
type bot struct {
	*Workspace
	mu     sync.Mutex
	heard  []heard
	answer func(h heard) (status int, mediaType, body string)
	block  bool // never answer
}

const (
	commandsURL     = "http://app.test/commands"
	interactionsURL = "http://app.test/interactions"
	eventsURL       = "http://app.test/events"
)

// RoundTrip takes a request, whose signature it checks as slack-go does.
func (b *bot) RoundTrip(r *http.Request) (*http.Response, error) {
	verifier, err := slack.NewSecretsVerifier(r.Header, signingSecret)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.TeeReader(r.Body, &verifier))
	if err != nil {
		return nil, err
	}
	if err := verifier.Ensure(); err != nil {
		return nil, err
	}
	h := heard{url: r.URL.String(), header: r.Header.Clone(), body: body}
	if r.Header.Get("Content-Type") == "application/json" {
		_ = json.Unmarshal(body, &h.json)
	} else if h.form, err = url.ParseQuery(string(body)); err == nil && h.form.Has("payload") {
		_ = json.Unmarshal([]byte(h.form.Get("payload")), &h.json)
	}
	b.mu.Lock()
	b.heard = append(b.heard, h)
	answer, block := b.answer, b.block
	b.mu.Unlock()
	if block {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	status, mediaType, text := http.StatusOK, "", ""
	if answer != nil {
		status, mediaType, text = answer(h)
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {mediaType}},
		Body: io.NopCloser(strings.NewReader(text)), Request: r,
	}, nil
}

// last is the newest request.
func (b *bot) last(t *testing.T) *heard {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.heard) == 0 {
		t.Fatal("the app heard nothing")
	}
	return &b.heard[len(b.heard)-1]
}

func (b *bot) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.heard)
}

// withBot is a workspace with an app, by the real clock or that of a bubble.
func withBot(t *testing.T, o Options) *bot {
	t.Helper()
	b := new(bot)
	o.App = &App{
		Client: &http.Client{Transport: b}, SigningSecret: signingSecret,
		CommandsURL: commandsURL, InteractionsURL: interactionsURL, EventsURL: eventsURL,
	}
	w, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	b.Workspace = w
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	b.call(t, "auth.test") // by which the workspace learns its own address
	return b
}

// call calls a method without a network.
func (b *bot) call(t *testing.T, method string, args ...string) reply {
	t.Helper()
	form := url.Values{"token": {DefaultToken}}
	for i := 0; i < len(args); i += 2 {
		form.Set(args[i], args[i+1])
	}
	_, r := b.send(t, "/api/"+method, "application/x-www-form-urlencoded", form.Encode())
	return r
}

func (b *bot) send(t *testing.T, target, mediaType, body string) (int, reply) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(body))
	req.Header.Set("Content-Type", mediaType)
	rec := httptest.NewRecorder()
	b.Handler().ServeHTTP(rec, req)
	var r reply
	_ = json.Unmarshal(rec.Body.Bytes(), &r)
	return rec.Code, r
}

// respond posts to a response_url.
func (b *bot) respond(t *testing.T, at, body string) (int, reply) {
	t.Helper()
	return b.send(t, at, "application/json", body)
}

func (b *bot) says(body string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = func(heard) (int, string, string) { return http.StatusOK, "application/json", body }
}

func (b *bot) types(t *testing.T, text string) error {
	t.Helper()
	return b.Say(t.Context(), you.ID, Place{Channel: "incidents"}, text)
}

func wantNotice(t *testing.T, err error, want string) {
	t.Helper()
	var n *Notice
	if !errors.As(err, &n) || !strings.Contains(n.Text, want) {
		t.Errorf("the person is told %v, want %q", err, want)
	}
}

func TestASlashCommandIsSentAsSlackSendsIt(t *testing.T) {
	b := withBot(t, Options{})
	b.says(`{"text":"*helpful*"}`)
	if err := b.types(t, `/triage  run X <&> "a"`); err != nil {
		t.Fatal(err)
	}
	h := b.last(t)
	want := map[string]string{
		"command": "/triage", "text": `run X &lt;&amp;&gt; "a"`, "team_id": TeamID, "team_domain": TeamDomain, "channel_id": b.ChannelID("incidents"),
		"channel_name": "incidents", "user_id": you.ID, "user_name": you.Name, "api_app_id": AppID,
	}
	for field, value := range want {
		if h.form.Get(field) != value {
			t.Errorf("%s is %q, want %q", field, h.form.Get(field), value)
		}
	}
	for _, field := range []string{"token", "response_url", "trigger_id"} {
		if h.form.Get(field) == "" {
			t.Errorf("there is no %s", field)
		}
	}
	if h.url != commandsURL {
		t.Errorf("sent to %s", h.url)
	}
	if got := b.Ephemerals(you.ID); len(got) != 1 || got[0].Text != "*helpful*" || got[0].BotID != BotID {
		t.Errorf("the person sees %+v", got)
	}
	if r := b.call(t, "conversations.history", "channel", b.ChannelID("incidents")); len(r.messages()) != 0 {
		t.Errorf("an ephemeral answer is in the history: %v", r)
	}
}

func TestWhatAnAppAnswersToACommand(t *testing.T) {
	for name, c := range map[string]struct {
		mediaType, body string
		hidden, shown   string
		notice          string
	}{
		"nothing":                {},
		"plain text":             {mediaType: "text/plain; charset=utf-8", body: "hello", hidden: "hello"},
		"JSON":                   {mediaType: "application/json", body: `{"text":"hello"}`, hidden: "hello"},
		"JSON for all":           {mediaType: "application/json", body: `{"response_type":"in_channel","text":"hello"}`, shown: "hello"},
		"JSON of nothing":        {mediaType: "application/json", body: `{}`},
		"JSON that is none":      {mediaType: "application/json", body: `{"text`, notice: codeBadAnswer},
		"another JSON":           {mediaType: "application/json", body: `[1]`, notice: codeBadAnswer},
		"blocks beyond a limit":  {mediaType: "application/json", body: `{"blocks":[{"type":"header"}]}`, notice: codeBadAnswer},
		"an answer at the bound": {mediaType: "text/plain", body: strings.Repeat("x", maxAnswer), hidden: strings.Repeat("x", maxPostText)},
		"an answer beyond it":    {mediaType: "text/plain", body: strings.Repeat("x", maxAnswer+1), notice: codeBadAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			b := withBot(t, Options{})
			b.answer = func(heard) (int, string, string) { return http.StatusOK, c.mediaType, c.body }
			err := b.types(t, "/triage help")
			if c.notice != "" {
				wantNotice(t, err, `/triage failed with the error "`+c.notice+`"`)
			} else if err != nil {
				t.Error(err)
			}
			hidden, shown := "", ""
			if e := b.Ephemerals(you.ID); len(e) > 0 {
				hidden = e[0].Text
			}
			if all := b.Channel("incidents"); len(all) == 2 && all[0].Text == "/triage help" && all[0].User == you.ID {
				shown = all[1].Text
			} else if len(all) != 0 {
				t.Errorf("the channel shows %+v", all)
			}
			if hidden != c.hidden || shown != c.shown {
				t.Errorf("the person sees %.20q, everybody %.20q", hidden, shown)
			}
		})
	}
}

func TestACommandThatFailsIsToldAsSlackDoes(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		want   string
	}{
		"server": {503, codeService}, "client": {404, codeClient}, "redirect": {302, codeClient}, "no 200": {204, codeClient},
	} {
		t.Run(name, func(t *testing.T) {
			b := withBot(t, Options{})
			b.answer = func(heard) (int, string, string) { return c.status, "text/html", "<html>" }
			wantNotice(t, b.types(t, "/triage help"), `/triage failed with the error "`+c.want+`"`)
		})
	}
	t.Run("no connection", func(t *testing.T) {
		b := withBot(t, Options{})
		if err := b.SetApp(&App{Client: &http.Client{Transport: refusing{}}, SigningSecret: "s", CommandsURL: commandsURL}); err != nil {
			t.Fatal(err)
		}
		wantNotice(t, b.types(t, "/triage help"), `"dispatch_failed"`)
	})
	t.Run("no app", func(t *testing.T) {
		b := withBot(t, Options{})
		if err := b.SetApp(nil); err != nil {
			t.Fatal(err)
		}
		wantNotice(t, b.types(t, "/triage help"), `"dispatch_failed"`)
	})
	t.Run("no answer within 3 s", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := withBot(t, Options{})
			b.block = true
			from := time.Now()
			wantNotice(t, b.types(t, "/triage help"), `/triage failed with the error "operation_timeout"`)
			if waited := time.Since(from); waited != answerWithin {
				t.Errorf("waited %v", waited)
			}
		})
	})
}

type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("connection refused")
}

func TestWhatCannotBeTyped(t *testing.T) {
	b := withBot(t, Options{Channels: []string{"incidents", "old"}})
	if err := b.Archive("old"); err != nil {
		t.Fatal(err)
	}
	parent := b.call(t, "chat.postMessage", "channel", "incidents", "text", "parent").str("ts")
	for name, c := range map[string]struct {
		user, channel, thread, text, want string
	}{
		"nothing":                {you.ID, "incidents", "", " \n ", "nothing to send"},
		"too much":               {you.ID, "incidents", "", strings.Repeat("é", maxSaid+1), "too long"},
		"no text":                {you.ID, "incidents", "", "a\xff", "characters that are none"},
		"a zero":                 {you.ID, "incidents", "", "a\x00", "characters that are none"},
		"nobody":                 {"U0NOBODY", "incidents", "", "/triage help", "nobody with the ID"},
		"the bot":                {UserID, "incidents", "", "/triage help", "nobody with the ID"},
		"nowhere":                {you.ID, "nowhere", "", "/triage help", "no channel"},
		"an archived channel":    {you.ID, "old", "", "/triage help", "archived"},
		"an unknown command":     {you.ID, "incidents", "", "/shrug x", "/shrug is not a valid command"},
		"a longer command":       {you.ID, "incidents", "", "/triages", "/triages is not a valid command"},
		"a command in a thread":  {you.ID, "incidents", parent, "/triage ack", "/triage is not supported in threads. Sorry!"},
		"into a lost thread":     {you.ID, "incidents", "1.000000", "hello", "thread was deleted"},
		"an unknown one, thread": {you.ID, "incidents", parent, "/shrug", "/shrug is not supported in threads"},
	} {
		t.Run(name, func(t *testing.T) {
			wantNotice(t, b.Say(t.Context(), c.user, Place{c.channel, c.thread}, c.text), c.want)
		})
	}
	if n := b.count(); n != 0 {
		t.Errorf("the app heard %d times", n)
	}
	if err := b.types(t, strings.Repeat("é", maxSaid)); err != nil {
		t.Errorf("as much as is allowed: %v", err)
	}
}

func TestAResponseURLIsGoodFiveTimesInHalfAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := withBot(t, Options{})
		if err := b.types(t, "/triage help"); err != nil {
			t.Fatal(err)
		}
		at := b.last(t).form.Get("response_url")
		if status, r := b.respond(t, at, `{"text":""}`); status != http.StatusNotFound || r.err() != "no_text" {
			t.Errorf("an empty message: %d %v", status, r)
		}
		for i := range hookUses {
			if status, _ := b.respond(t, at, `{"text":"x"}`); status != http.StatusOK {
				t.Errorf("use %d: %d", i+1, status)
			}
		}
		if status, r := b.respond(t, at, `{"text":"x"}`); status != http.StatusNotFound || r.err() != "used_url" {
			t.Errorf("one use more: %d %v", status, r)
		}
		if n := len(b.Ephemerals(you.ID)); n != hookUses {
			t.Errorf("the person sees %d messages", n)
		}
		if err := b.types(t, "/triage help"); err != nil {
			t.Fatal(err)
		}
		at = b.last(t).form.Get("response_url")
		pass(hookFor)
		if status, _ := b.respond(t, at, `{"text":"x"}`); status != http.StatusOK {
			t.Errorf("after half an hour: %d", status)
		}
		pass(time.Second)
		if status, r := b.respond(t, at, `{"text":"x"}`); status != http.StatusNotFound || r.err() != "expired_url" {
			t.Errorf("a second later: %d %v", status, r)
		}
		if status, r := b.respond(t, "/hook/NONE", `{"text":"x"}`); status != http.StatusNotFound || r.err() != "expired_url" {
			t.Errorf("a URL that was never given: %d %v", status, r)
		}
	})
}

// pass lets time pass in a bubble, and all that is due then happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestMentionsReachTheAppAsEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := withBot(t, Options{People: []Person{you, {ID: "U0PERSON2", Name: "ann"}}})
		parent := b.call(t, "chat.postMessage", "channel", "incidents", "text", "parent").str("ts")
		said := "@triagebot trace <req_1>, see https://x.example/a?b=1&c and @ann, mail a@ann"
		if err := b.Say(t.Context(), you.ID, Place{"incidents", parent}, said); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		h := b.last(t)
		want := "<@" + UserID + "> trace &lt;req_1&gt;, see <https://x.example/a?b=1&amp;c> and <@U0PERSON2>, mail a@ann"
		reply := b.Channel("incidents")[0].Replies[0]
		for _, c := range []struct {
			want any
			path []string
		}{
			{"event_callback", []string{"type"}},
			{"app_mention", []string{"event", "type"}},
			{want, []string{"event", "text"}},
			{you.ID, []string{"event", "user"}},
			{parent, []string{"event", "thread_ts"}},
			{reply.TS, []string{"event", "ts"}},
			{b.ChannelID("incidents"), []string{"event", "channel"}},
			{UserID, []string{"authorizations", "user_id"}},
			{TeamID, []string{"team_id"}},
		} {
			if got := h.at(c.path...); got != c.want {
				t.Errorf("%v is %v, want %v", c.path, got, c.want)
			}
		}
		if h.url != eventsURL || h.at("event_id") == "" || h.at("event_time") != float64(time.Now().Unix()) || h.header.Get("X-Slack-Retry-Num") != "" {
			t.Errorf("%s: %s %v", h.url, h.body, h.header)
		}
		if err := b.types(t, "hello to nobody, @nobody"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := b.count(); n != 1 {
			t.Errorf("the app heard %d times; a message without a mention is not its business", n)
		}
		if err := b.RemoveBot("incidents"); err != nil {
			t.Fatal(err)
		}
		if err := b.types(t, "@triagebot are you here?"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := b.count(); n != 1 {
			t.Error("the app heard from a channel that it is not in")
		}
	})
}

func TestAnEventThatWasNotTakenComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := withBot(t, Options{})
		var at []time.Duration
		from := time.Now()
		b.answer = func(heard) (int, string, string) {
			at = append(at, time.Since(from))
			return http.StatusServiceUnavailable, "", ""
		}
		if err := b.types(t, "@triagebot hello"); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		want := []time.Duration{0, time.Second, time.Minute + time.Second, 6*time.Minute + time.Second}
		if len(at) != len(want) {
			t.Fatalf("sent after %v", at)
		}
		id := b.heard[0].at("event_id")
		for i, h := range b.heard {
			num, reason := h.header.Get("X-Slack-Retry-Num"), h.header.Get("X-Slack-Retry-Reason")
			if at[i] != want[i] || h.at("event_id") != id || (i > 0 && (num != string(rune('0'+i)) || reason != "http_error")) {
				t.Errorf("attempt %d after %v: %q, %q", i, at[i], num, reason)
			}
		}
	})
}

func TestAsManyEventsAsAllowedAreOnTheirWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := withBot(t, Options{})
		b.block = true
		for range maxDeliveries {
			if err := b.types(t, "@triagebot hello"); err != nil {
				t.Fatal(err)
			}
		}
		wantNotice(t, b.types(t, "@triagebot hello"), "on their way already")
		if err := b.Close(); err != nil { // gives them up
			t.Fatal(err)
		}
	})
}

func TestTheEventsURLIsVerified(t *testing.T) {
	b := withBot(t, Options{})
	b.answer = func(h heard) (int, string, string) {
		return http.StatusOK, "text/plain", h.at("challenge").(string)
	}
	if err := b.VerifyEvents(t.Context()); err != nil {
		t.Error(err)
	}
	b.answer = func(h heard) (int, string, string) {
		return http.StatusOK, "application/json", `{"challenge":"` + h.at("challenge").(string) + `"}`
	}
	if err := b.VerifyEvents(t.Context()); err != nil {
		t.Error(err)
	}
	b.says(`{"challenge":"another"}`)
	if err := b.VerifyEvents(t.Context()); err == nil {
		t.Error("any answer will do")
	}
	b.answer = func(heard) (int, string, string) { return http.StatusForbidden, "", "" }
	if err := b.VerifyEvents(t.Context()); err == nil {
		t.Error("a refusal will do")
	}
}

func TestAnAppNeedsASigningSecret(t *testing.T) {
	b := withBot(t, Options{})
	if err := b.SetApp(&App{CommandsURL: commandsURL}); err == nil {
		t.Error("requests would be signed with nothing")
	}
	if _, err := New(Options{App: new(App)}); err == nil {
		t.Error("New takes an app without a signing secret")
	}
}

// What one app's requests are signed with is no other's, and a changed body
// does not pass.
func TestATamperedRequestDoesNotVerify(t *testing.T) {
	body := []byte("command=%2Ftriage")
	header := http.Header{}
	Sign(header, signingSecret, time.Now(), body)
	for name, c := range map[string]struct {
		secret string
		body   []byte
		ok     bool
	}{
		"as sent": {signingSecret, body, true}, "another body": {signingSecret, []byte("command=%2Fother"), false}, "another secret": {"other", body, false},
	} {
		v, err := slack.NewSecretsVerifier(header, c.secret)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(&v, bytes.NewReader(c.body))
		if err := v.Ensure(); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnActEndsWithWhoAskedForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := withBot(t, Options{})
		b.block = true
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantNotice(t, b.Say(ctx, you.ID, Place{Channel: "incidents"}, "/triage help"), "dispatch_failed")
	})
}
