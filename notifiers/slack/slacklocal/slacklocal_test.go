package slacklocal

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// fixture is a workspace behind a server.
type fixture struct {
	*Workspace
	url   string
	clock *clock
}

func setUp(t *testing.T, o Options) *fixture {
	t.Helper()
	f := &fixture{clock: &clock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}}
	o.Clock = f.clock.now
	w, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	f.Workspace = w
	s := httptest.NewServer(w.Handler())
	f.url = s.URL
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return f
}

// reply is what the API answered.
type reply map[string]any

func (r reply) ok() bool            { return r["ok"] == true }
func (r reply) err() string         { s, _ := r["error"].(string); return s }
func (r reply) str(k string) string { s, _ := r[k].(string); return s }

func (r reply) messages() []map[string]any {
	var out []map[string]any
	list, _ := r["messages"].([]any)
	for _, m := range list {
		out = append(out, m.(map[string]any))
	}
	return out
}

func (r reply) next() string {
	m, _ := r["response_metadata"].(map[string]any)
	s, _ := m["next_cursor"].(string)
	return s
}

// call calls a method with a form, as the bot.
func (f *fixture) call(t *testing.T, method string, args ...string) reply {
	t.Helper()
	form := url.Values{"token": {DefaultToken}}
	for i := 0; i < len(args); i += 2 {
		form.Set(args[i], args[i+1])
	}
	return f.send(t, method, "application/x-www-form-urlencoded", form.Encode(), nil)
}

func (f *fixture) send(t *testing.T, method, mediaType, body string, header http.Header) reply {
	t.Helper()
	status, r, _ := f.raw(t, method, mediaType, body, header)
	if status != http.StatusOK {
		t.Fatalf("%s: status %d", method, status)
	}
	return r
}

func (f *fixture) raw(t *testing.T, method, mediaType, body string, header http.Header) (int, reply, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+"/api/"+method, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var r reply
	if err := json.Unmarshal(data, &r); err != nil {
		r = nil
	}
	return resp.StatusCode, r, resp.Header
}

// post posts and wants it to succeed.
func (f *fixture) post(t *testing.T, text string, args ...string) (ts string) {
	t.Helper()
	r := f.call(t, "chat.postMessage", append([]string{"channel", "incidents", "text", text}, args...)...)
	if !r.ok() {
		t.Fatalf("chat.postMessage: %v", r)
	}
	return r.str("ts")
}

func (f *fixture) id() string { return f.ChannelID("incidents") }

func TestACallIsAFormOrJSONAndShowsItsToken(t *testing.T) {
	f := setUp(t, Options{})
	bearer := http.Header{"Authorization": {"Bearer " + DefaultToken}}
	form, object := "application/x-www-form-urlencoded", "application/json; charset=utf-8"
	cases := map[string]struct {
		mediaType, body string
		header          http.Header
		err             string
	}{
		"form with the token":           {form, "token=" + DefaultToken + "&channel=incidents&text=a", nil, ""},
		"form with the header":          {form, "channel=incidents&text=a", bearer, ""},
		"form without a token":          {form, "channel=incidents&text=a", nil, "not_authed"},
		"form with another token":       {form, "token=xoxb-other&channel=incidents&text=a", nil, "invalid_auth"},
		"JSON with the header":          {object, `{"channel":"incidents","text":"a","blocks":[{"type":"divider"}],"metadata":{"event_type":"e","event_payload":{}}}`, bearer, ""},
		"JSON with a token in its body": {object, `{"token":"` + DefaultToken + `","channel":"incidents","text":"a"}`, nil, "not_authed"},
		"JSON that is none":             {object, `{"channel`, bearer, "invalid_json"},
		"another body":                  {"text/plain", "hello", bearer, "invalid_post_type"},
		"a body beyond the bound":       {form, "text=" + strings.Repeat("x", maxRequestBody), bearer, "request_too_large"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if r := f.send(t, "chat.postMessage", c.mediaType, c.body, c.header); r.err() != c.err || r.ok() != (c.err == "") {
				t.Errorf("answer %v, want the error %q", r, c.err)
			}
		})
	}
	if r := f.call(t, "chat.noSuchMethod"); r.err() != "unknown_method" {
		t.Errorf("answer %v", r)
	}
	if r := f.call(t, "auth.test"); !r.ok() || r.str("bot_id") != BotID || r.str("team_id") != TeamID {
		t.Errorf("auth.test: %v", r)
	}
	if r := f.call(t, "users.info", "user", UserID); !r.ok() {
		t.Errorf("users.info: %v", r)
	}
	if r := f.call(t, "users.info", "user", "U0NOBODY"); r.err() != "user_not_found" {
		t.Errorf("users.info: %v", r)
	}
}

func TestEachMessageHasATimestampOfItsOwn(t *testing.T) {
	f := setUp(t, Options{})
	seen := make(map[string]bool)
	last := ""
	for range 50 { // while the clock stands still
		ts := f.post(t, "x")
		if seen[ts] || ts <= last || len(ts) != len("1772366400.000000") {
			t.Fatalf("ts %q after %q", ts, last)
		}
		seen[ts], last = true, ts
	}
	f.clock.add(-time.Hour)
	if ts := f.post(t, "x"); ts <= last {
		t.Errorf("ts %q after %q, though the clock went back", ts, last)
	}
}

func TestTextAtItsLimits(t *testing.T) {
	f := setUp(t, Options{})
	ts := f.post(t, strings.Repeat("é", maxPostText+1))
	if got := len([]rune(f.Channel("incidents")[0].Text)); got != maxPostText {
		t.Errorf("%d characters are kept, want %d", got, maxPostText)
	}
	for n, want := range map[int]string{maxUpdateText: "", maxUpdateText + 1: "msg_too_long"} {
		if r := f.call(t, "chat.update", "channel", f.id(), "ts", ts, "text", strings.Repeat("é", n)); r.err() != want {
			t.Errorf("an edit of %d characters: %q, want %q", n, r.err(), want)
		}
	}
	if r := f.call(t, "chat.postMessage", "channel", "incidents"); r.err() != "no_text" {
		t.Errorf("a message without anything: %v", r)
	}
	if r := f.call(t, "chat.postMessage", "channel", "incidents", "text", "\xff"); r.err() != "invalid_arguments" {
		t.Errorf("a text that is not UTF-8: %v", r)
	}
	if r := f.call(t, "chat.postMessage", "channel", "incidents", "text", "x", "metadata", `{"event_type":"e","event_payload":{"a":"`+strings.Repeat("x", maxMetadata)+`"}}`); r.err() != "metadata_too_large" {
		t.Errorf("huge metadata: %v", r)
	}
	if r := f.call(t, "chat.postMessage", "channel", "incidents", "text", "x", "metadata", `{"event_payload":{}}`); r.err() != "invalid_metadata_format" {
		t.Errorf("metadata without a type: %v", r)
	}
	attached := "[" + strings.TrimSuffix(strings.Repeat(`{},`, maxAttached+1), ",") + "]"
	if r := f.call(t, "chat.postMessage", "channel", "incidents", "text", "x", "attachments", attached); r.err() != "too_many_attachments" {
		t.Errorf("%d attachments: %v", maxAttached+1, r)
	}
}

func TestAnEditWithoutBlocksRemovesThem(t *testing.T) {
	f := setUp(t, Options{})
	const blocks = `[{"type":"header","text":{"type":"plain_text","text":"h"}}]`
	ts := f.post(t, "a", "blocks", blocks, "metadata", `{"event_type":"e","event_payload":{"nonce":"n"}}`)
	f.call(t, "chat.update", "channel", f.id(), "ts", ts, "text", "b")
	m := f.Channel("incidents")[0]
	if m.Blocks != nil || m.Text != "b" || m.Edits != 1 || m.Nonce() != "n" {
		t.Errorf("after the edit: %+v", m.Message)
	}
	f.call(t, "chat.update", "channel", f.id(), "ts", ts, "text", "c", "blocks", blocks)
	if m := f.Channel("incidents")[0]; m.Blocks == nil || m.Edits != 2 {
		t.Errorf("after the second edit: %+v", m.Message)
	}
}

func TestMetadataIsToldOnlyOnRequest(t *testing.T) {
	f := setUp(t, Options{})
	ts := f.post(t, "a", "metadata", `{"event_type":"e","event_payload":{"nonce":"n"}}`)
	for _, method := range []string{"conversations.history", "conversations.replies"} {
		without := f.call(t, method, "channel", f.id(), "ts", ts)
		if m := without.messages(); len(m) != 1 || m[0]["metadata"] != nil {
			t.Errorf("%s: %v", method, m)
		}
		with := f.call(t, method, "channel", f.id(), "ts", ts, "include_all_metadata", "1")
		if m := with.messages(); len(m) != 1 || m[0]["metadata"] == nil || m[0]["bot_id"] != BotID {
			t.Errorf("%s with include_all_metadata: %v", method, m)
		}
	}
}

func TestHistoryAndRepliesHavePages(t *testing.T) {
	f := setUp(t, Options{})
	var top, replies []string
	for i := range 7 {
		f.clock.add(time.Second)
		top = append(top, f.post(t, fmt.Sprint(i)))
	}
	for i := range 5 {
		f.clock.add(time.Second)
		replies = append(replies, f.post(t, fmt.Sprint(i), "thread_ts", top[0]))
	}
	walk := func(method string, args ...string) []string {
		var all []string
		cursor := ""
		for range 20 {
			r := f.call(t, method, append([]string{"channel", f.id(), "limit", "2", "cursor", cursor}, args...)...)
			if !r.ok() {
				t.Fatalf("%s: %v", method, r)
			}
			for _, m := range r.messages() {
				all = append(all, m["ts"].(string))
			}
			if cursor = r.next(); cursor == "" {
				return all
			}
		}
		t.Fatalf("%s has no end", method)
		return nil
	}
	reversed := func(s []string) []string {
		var out []string
		for i := range s {
			out = append(out, s[len(s)-1-i])
		}
		return out
	}
	same := func(what string, got, want []string) {
		t.Helper()
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	same("history, the newest first and without replies", walk("conversations.history"), reversed(top))
	same("replies with their parent, the oldest first", walk("conversations.replies", "ts", top[0]), append([]string{top[0]}, replies...))
	same("history since", walk("conversations.history", "oldest", top[4]), reversed(top[5:]))
	same("history since, inclusive", walk("conversations.history", "oldest", top[4], "inclusive", "1"), reversed(top[4:]))
	same("history until", walk("conversations.history", "latest", top[2]), reversed(top[:2]))
	for method, bad := range map[string][]string{
		"conversations.history": {"cursor", "bad"}, "conversations.replies": {"oldest", "yesterday"},
	} {
		if r := f.call(t, method, append([]string{"channel", f.id(), "ts", top[0]}, bad...)...); r.ok() {
			t.Errorf("%s with %v is ok", method, bad)
		}
	}
}

func TestABroadcastReplyStandsInThreadAndChannel(t *testing.T) {
	f := setUp(t, Options{})
	parent := f.post(t, "parent")
	f.clock.add(time.Second)
	reply := f.post(t, "told to all", "thread_ts", parent, "reply_broadcast", "true")
	f.clock.add(time.Second)
	f.post(t, "told to the thread", "thread_ts", parent)
	f.clock.add(time.Second)
	f.post(t, "no reply", "reply_broadcast", "true")
	var seen []string
	for _, m := range f.call(t, "conversations.history", "channel", f.id()).messages() {
		subtype, _ := m["subtype"].(string)
		seen = append(seen, fmt.Sprint(m["text"], " ", subtype))
	}
	if want := []string{"no reply ", "told to all thread_broadcast", "parent "}; !slices.Equal(seen, want) {
		t.Errorf("history %q, want %q", seen, want)
	}
	replies := f.call(t, "conversations.replies", "channel", f.id(), "ts", parent).messages()
	if len(replies) != 3 || replies[1]["ts"] != reply || replies[1]["thread_ts"] != parent {
		t.Errorf("replies %v", replies)
	}
}

func TestDeletingAParent(t *testing.T) {
	f := setUp(t, Options{})
	alone := f.post(t, "alone")
	busy := f.post(t, "busy")
	f.post(t, "reply", "thread_ts", busy)
	for _, ts := range []string{alone, busy} {
		if r := f.call(t, "chat.delete", "channel", f.id(), "ts", ts); !r.ok() {
			t.Fatalf("chat.delete: %v", r)
		}
	}
	threads := f.Channel("incidents")
	if len(threads) != 1 || threads[0].Subtype != tombstone || len(threads[0].Replies) != 1 {
		t.Fatalf("the channel shows %+v, want a tombstone with its reply", threads)
	}
	if r := f.call(t, "conversations.replies", "channel", f.id(), "ts", alone); r.err() != "thread_not_found" {
		t.Errorf("replies of what is gone: %v", r)
	}
	for _, ts := range []string{alone, busy} {
		f.post(t, "late", "thread_ts", ts)
		if r := f.call(t, "chat.update", "channel", f.id(), "ts", ts, "text", "x"); r.err() != "message_not_found" {
			t.Errorf("an edit of what is gone: %v", r)
		}
	}
	if threads := f.Channel("incidents"); len(threads) != 3 {
		t.Errorf("the channel shows %d threads; replies to deleted parents land in it", len(threads))
	}
}

func TestOnlyTheBotsOwnMessagesCanBeChanged(t *testing.T) {
	f := setUp(t, Options{})
	ts, err := f.Inject("incidents", Message{User: "U0PERSON1", Text: "hello"})
	if err != nil {
		t.Fatal(err)
	}
	if r := f.call(t, "chat.update", "channel", f.id(), "ts", ts, "text", "x"); r.err() != "cant_update_message" {
		t.Errorf("chat.update: %v", r)
	}
	if r := f.call(t, "chat.delete", "channel", f.id(), "ts", ts); r.err() != "cant_delete_message" {
		t.Errorf("chat.delete: %v", r)
	}
}

func TestChannelsByNameAndID(t *testing.T) {
	f := setUp(t, Options{Channels: []string{"incidents", "old", "private"}})
	if err := f.Archive("old"); err != nil {
		t.Fatal(err)
	}
	if err := f.RemoveBot("private"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, channel, want string }{
		{"chat.postMessage", "incidents", ""},
		{"chat.postMessage", "#incidents", ""},
		{"chat.postMessage", f.id(), ""},
		{"chat.postMessage", "nowhere", "channel_not_found"},
		{"chat.postMessage", "old", "is_archived"},
		{"chat.postMessage", "private", "not_in_channel"},
		{"conversations.history", "incidents", "channel_not_found"},
		{"conversations.history", f.id(), ""},
		{"conversations.history", f.ChannelID("old"), ""},
		{"conversations.history", f.ChannelID("private"), "not_in_channel"},
		{"conversations.info", f.id(), ""},
		{"conversations.info", "incidents", "channel_not_found"},
	} {
		if r := f.call(t, c.method, "channel", c.channel, "text", "x"); r.err() != c.want {
			t.Errorf("%s in %s: %q, want %q", c.method, c.channel, r.err(), c.want)
		}
	}
	first := f.call(t, "conversations.list", "limit", "2")
	second := f.call(t, "conversations.list", "limit", "2", "cursor", first.next())
	if n := len(first["channels"].([]any)) + len(second["channels"].([]any)); n != 3 || second.next() != "" {
		t.Errorf("the list has %d channels, then %q", n, second.next())
	}
	if r := f.call(t, "conversations.list", "exclude_archived", "true"); len(r["channels"].([]any)) != 2 {
		t.Errorf("without the archived: %v", r)
	}
	if _, err := f.CreateChannel("Not A Name"); err == nil {
		t.Error("any name makes a channel")
	}
}

func TestRatesAreLimitedPerChannelAndMethod(t *testing.T) {
	f := setUp(t, Options{Channels: []string{"incidents", "other"}, Limits: Limits{
		PostPerChannel: Rate{Every: 2 * time.Second, Burst: 2},
		Methods:        map[string]Rate{"auth.test": {Every: time.Minute, Burst: 1}},
	}})
	body := func(channel string) string { return "token=" + DefaultToken + "&text=x&channel=" + channel }
	post := func(channel string) (int, string) {
		t.Helper()
		status, _, header := f.raw(t, "chat.postMessage", "application/x-www-form-urlencoded", body(channel), nil)
		return status, header.Get("Retry-After")
	}
	for range 2 {
		if status, _ := post("incidents"); status != http.StatusOK {
			t.Fatalf("within the burst: %d", status)
		}
	}
	for range 3 { // being refused does not count
		if status, after := post("incidents"); status != http.StatusTooManyRequests || after != "2" {
			t.Errorf("beyond the burst: %d, Retry-After %q", status, after)
		}
	}
	if status, _ := post("other"); status != http.StatusOK {
		t.Errorf("another channel: %d", status)
	}
	f.clock.add(2 * time.Second)
	if status, _ := post("incidents"); status != http.StatusOK {
		t.Errorf("after the pause: %d", status)
	}
	if r := f.call(t, "auth.test"); !r.ok() {
		t.Errorf("auth.test: %v", r)
	}
	if status, _, header := f.raw(t, "auth.test", "application/x-www-form-urlencoded", body(""), nil); status != http.StatusTooManyRequests || header.Get("Retry-After") != "60" {
		t.Errorf("auth.test again: %d, Retry-After %q", status, header.Get("Retry-After"))
	}
}

func TestSlacksOwnRatesLetAShortBurstThrough(t *testing.T) {
	f := setUp(t, Options{Limits: SlackLimits()})
	f.post(t, "a")
	for i := range 49 {
		f.call(t, "conversations.history", "channel", f.id(), "limit", fmt.Sprint(i+1))
	}
	for i := range 3 {
		f.post(t, fmt.Sprint(i))
	}
	if status, _, _ := f.raw(t, "chat.postMessage", "application/x-www-form-urlencoded", "token="+DefaultToken+"&channel=incidents&text=x", nil); status != http.StatusTooManyRequests {
		t.Errorf("the fifth message at once: %d", status)
	}
}

func TestFaultsComeAsPlanned(t *testing.T) {
	f := setUp(t, Options{})
	f.Fail("chat.postMessage", func(n int) Fault {
		if n == 2 {
			return Fault{Error: "fatal_error", Accept: true}
		}
		return Fault{}
	})
	f.post(t, "1")
	if r := f.call(t, "chat.postMessage", "channel", "incidents", "text", "2"); r.err() != "fatal_error" {
		t.Errorf("the second call: %v", r)
	}
	f.post(t, "3")
	if n := len(f.Channel("incidents")); n != 3 {
		t.Errorf("%d messages, want the accepted one too", n)
	}
	f.Fail("*", func(int) Fault { return Fault{Status: 503} })
	if status, _, _ := f.raw(t, "auth.test", "application/x-www-form-urlencoded", "token="+DefaultToken, nil); status != http.StatusServiceUnavailable {
		t.Errorf("in an outage: %d", status)
	}
	f.Fail("*", nil)
	if r := f.call(t, "auth.test"); !r.ok() {
		t.Errorf("after the outage: %v", r)
	}
}

func TestDuplicatesAreSeen(t *testing.T) {
	f := setUp(t, Options{})
	tag := func(nonce string) string {
		return `{"event_type":"e","event_payload":{"nonce":"` + nonce + `"}}`
	}
	f.post(t, "a", "metadata", tag("once"))
	first := f.post(t, "b", "metadata", tag("twice"))
	f.post(t, "b", "metadata", tag("twice"))
	if got := f.Duplicates(); len(got) != 1 || got[0] != "twice" {
		t.Errorf("duplicates %v", got)
	}
	f.call(t, "chat.delete", "channel", f.id(), "ts", first)
	if got := f.Duplicates(); len(got) != 0 {
		t.Errorf("duplicates %v after one was deleted", got)
	}
	if got := f.PostsByNonce(); got["once"] != 1 || got["twice"] != 2 {
		t.Errorf("posts %v, want the deleted one counted", got)
	}
}

func TestAChannelKeepsTheNewestMessages(t *testing.T) {
	f := setUp(t, Options{})
	for i := range maxMessages + 5 {
		if _, err := f.Inject("incidents", Message{Text: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	threads := f.Channel("incidents")
	if len(threads) != maxMessages || threads[0].Text != "5" {
		t.Errorf("%d messages, the oldest is %q", len(threads), threads[0].Text)
	}
}

func TestOnlyTheLoopbackIsListenedOn(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "localhost:0", "127.0.0.1", "", "[::ffff:192.0.2.1]:0"} {
		if l, err := ListenLocal(addr); err == nil {
			_ = l.Close()
			t.Errorf("%q is listened on", addr)
		}
	}
	l, err := ListenLocal("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

func TestAClosedWorkspaceTakesNothing(t *testing.T) {
	f := setUp(t, Options{Journal: filepath.Join(t.TempDir(), "journal")})
	f.post(t, "a")
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if r := f.call(t, "chat.postMessage", "channel", "incidents", "text", "b"); r.err() != "fatal_error" {
		t.Errorf("answer %v", r)
	}
}
