package slacklocal

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// page posts an act as the page does.
func (b *bot) page(t *testing.T, what, body string, change func(*http.Request)) (int, actAnswer) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, here+"/act/"+what, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", here)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if change != nil {
		change(req)
	}
	rec := httptest.NewRecorder()
	b.Handler().ServeHTTP(rec, req)
	var said actAnswer
	_ = json.Unmarshal(rec.Body.Bytes(), &said)
	return rec.Code, said
}

func TestOnlyThePageItselfActs(t *testing.T) {
	const body = `{"as":"U0PERSON1","channel":"incidents","text":"hello"}`
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"the page":            {nil, http.StatusOK},
		"no browser":          {func(r *http.Request) { r.Header.Del("Origin"); r.Header.Del("Sec-Fetch-Site") }, http.StatusOK},
		"by localhost":        {func(r *http.Request) { r.Host = "localhost:8065"; r.Header.Set("Origin", "http://localhost:8065") }, http.StatusOK},
		"another site":        {header("Sec-Fetch-Site", "cross-site"), http.StatusForbidden},
		"another port":        {header("Sec-Fetch-Site", "same-site"), http.StatusForbidden},
		"an old browser":      {func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "https://evil.example") }, http.StatusForbidden},
		"an origin of no one": {func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "null") }, http.StatusForbidden},
		"a name that leads us": {func(r *http.Request) {
			r.Host = "evil.example:8065"
			r.Header.Set("Origin", "http://evil.example:8065")
		}, http.StatusForbidden},
		"a form":          {header("Content-Type", "application/x-www-form-urlencoded"), http.StatusForbidden},
		"plain text":      {header("Content-Type", "text/plain"), http.StatusForbidden},
		"a file of forms": {header("Content-Type", "multipart/form-data; boundary=application/json"), http.StatusForbidden},
		"no type":         {header("Content-Type", ""), http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			b := withBot(t, Options{})
			status, _ := b.page(t, "say", body, c.change)
			if said := len(b.Channel("incidents")); status != c.want || said == 1 != (c.want == http.StatusOK) {
				t.Errorf("%d, and %d messages", status, said)
			}
		})
	}
}

// The bot's token is no secret here, so that a page that knows it could call
// the Web API, by GET with an image.
func TestNoOtherSiteCallsTheWebAPI(t *testing.T) {
	b := withBot(t, Options{})
	for name, c := range map[string]struct {
		method, path string
		header       http.Header
		want         int
	}{
		"a client":                {http.MethodPost, "/api/auth.test?token=" + DefaultToken, nil, http.StatusOK},
		"a client, by GET":        {http.MethodGet, "/api/auth.test?token=" + DefaultToken, nil, http.StatusOK},
		"an image":                {http.MethodGet, "/api/auth.test?token=" + DefaultToken, http.Header{"Sec-Fetch-Site": {"cross-site"}}, http.StatusForbidden},
		"an image, by port":       {http.MethodGet, "/api/auth.test?token=" + DefaultToken, http.Header{"Sec-Fetch-Site": {"same-site"}}, http.StatusForbidden},
		"a form":                  {http.MethodPost, "/api/auth.test?token=" + DefaultToken, http.Header{"Origin": {"https://evil.example"}}, http.StatusForbidden},
		"a link to the page":      {http.MethodGet, "/c/incidents", http.Header{"Sec-Fetch-Site": {"cross-site"}}, http.StatusOK},
		"a form to a response":    {http.MethodPost, "/hook/X", http.Header{"Sec-Fetch-Site": {"cross-site"}}, http.StatusForbidden},
		"the page, by their name": {http.MethodGet, "http://evil.example/c/incidents", nil, http.StatusForbidden},
	} {
		target := c.path
		if !strings.HasPrefix(target, "http") {
			target = here + target
		}
		req := httptest.NewRequestWithContext(t.Context(), c.method, target, nil)
		for k, v := range c.header {
			req.Header[k] = v
		}
		rec := httptest.NewRecorder()
		b.Handler().ServeHTTP(rec, req)
		if rec.Code != c.want {
			t.Errorf("%s: %d, want %d", name, rec.Code, c.want)
		}
	}
}

func TestBodiesThatAreNoActs(t *testing.T) {
	b := withBot(t, Options{})
	for name, c := range map[string]struct {
		what, body string
		want       int
	}{
		"no JSON":        {"say", `{`, http.StatusBadRequest},
		"nothing":        {"say", ``, http.StatusBadRequest},
		"two values":     {"say", `{}{}`, http.StatusBadRequest},
		"unknown field":  {"say", `{"admin":true}`, http.StatusBadRequest},
		"too much":       {"say", `{"text":"` + strings.Repeat("x", maxActBody) + `"}`, http.StatusBadRequest},
		"an unknown act": {"dance", `{}`, http.StatusNotFound},
	} {
		if status, _ := b.page(t, c.what, c.body, nil); status != c.want {
			t.Errorf("%s: %d", name, status)
		}
	}
}

func TestWhatAPersonDoesOnThePage(t *testing.T) {
	b := withBot(t, Options{})
	do := func(what, body string) actAnswer {
		t.Helper()
		status, said := b.page(t, what, body, nil)
		if status != http.StatusOK {
			t.Fatalf("%s: %d", what, status)
		}
		return said
	}
	if said := do("say", `{"as":"U0PERSON1","channel":"incidents","text":"/nothing"}`); !strings.Contains(said.Notice, "not a valid command") {
		t.Errorf("%+v", said)
	}
	if said := do("say", `{"as":"U0PERSON1","channel":"incidents","text":"/triage help"}`); said.Notice != "" {
		t.Errorf("%+v", said)
	}
	ts := b.postClickable(t)
	if said := do("click", `{"as":"U0PERSON1","channel":"incidents","ts":"`+ts+`","block":"acts","action":"ack"}`); said.Notice != "" {
		t.Errorf("%+v", said)
	}
	if r := b.call(t, "views.open", "trigger_id", b.last(t).callback(t).TriggerID, "view", silenceView); !r.ok() {
		t.Fatalf("views.open: %v", r)
	}
	m, _ := b.Modal(you.ID)
	if said := do("submit", `{"as":"U0PERSON1","view":"`+m.ID+`","values":{"who":"sre"}}`); said.Errors["for"] == "" {
		t.Errorf("%+v", said)
	}
	if said := do("close", `{"as":"U0PERSON1","view":"`+m.ID+`"}`); said.Notice != "" {
		t.Errorf("%+v", said)
	}
	hidden := b.call(t, "chat.postEphemeral", "channel", "incidents", "user", you.ID, "text", "x").str("message_ts")
	do("forget", `{"as":"U0PERSON1","ts":"`+hidden+`"}`)
	if len(b.Ephemerals(you.ID)) != 0 {
		t.Error("it was not dismissed")
	}
}

func TestThePageIsOnePersons(t *testing.T) {
	b := withBot(t, Options{People: []Person{you, {ID: "U0PERSON2", Name: "ann"}}})
	ts := b.postClickable(t)
	b.call(t, "chat.postEphemeral", "channel", "incidents", "user", you.ID, "text", "for you")
	b.call(t, "chat.postEphemeral", "channel", "incidents", "user", you.ID, "text", "whispered there", "thread_ts", ts)
	if err := b.Click(t.Context(), you.ID, Click{Channel: "incidents", TS: ts, Block: "acts", Action: "ack"}); err != nil {
		t.Fatal(err)
	}
	if r := b.call(t, "views.open", "trigger_id", b.last(t).callback(t).TriggerID, "view", silenceView); !r.ok() {
		t.Fatalf("views.open: %v", r)
	}
	page := func(as string) string {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, here+"/c/incidents?as="+as, nil)
		rec := httptest.NewRecorder()
		b.Handler().ServeHTTP(rec, req)
		return rec.Body.String()
	}
	for _, want := range []string{
		`You are <b>you</b>`, `<a href="?as=U0PERSON2">ann</a>`, `href="/?as=U0PERSON1"`, "Only visible to you", "for you", "whispered there",
		`data-block="acts" data-action="ack" data-key="act-acts-ack"`, `data-option="30m"`, `data-block="b2" data-action="a0"`,
		`<dialog data-view="V0`, `<h2 id="modal-title">Silence</h2>`, `<label for="in-for">For</label>`, `value="1h"`, `<textarea id="in-why"`, `<option value="sre">SRE</option>`,
	} {
		if !strings.Contains(page(you.ID), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	for _, other := range []string{"Only visible to you", "for you", "whispered there", "<dialog data-view"} {
		if strings.Contains(page("U0PERSON2"), other) {
			t.Errorf("somebody else sees %q", other)
		}
	}
	if strings.Contains(page("nobody"), "<b>ann</b>") {
		t.Error("a page for nobody is not the first person's")
	}
}

func TestNothingThatAnAppSendsRunsOnThePage(t *testing.T) {
	b := withBot(t, Options{})
	const evil = `\"'><script>alert(1)</script>`
	text := `{"type":"plain_text","text":"` + evil + `"}`
	blocks := `[{"type":"actions","block_id":"` + evil + `","elements":[
		{"type":"button","action_id":"` + evil + `","style":"danger","text":` + text + `,"url":"javascript:alert(1)"},
		{"type":"button","action_id":"q","text":` + text + `,"confirm":{"title":` + text + `,"text":` + text + `,"confirm":{"type":"plain_text","text":"y"},"deny":{"type":"plain_text","text":"n"}}},
		{"type":"static_select","placeholder":` + text + `,"options":[{"text":` + text + `,"value":"` + evil + `"}]}]}]`
	if r := b.call(t, "chat.postMessage", "channel", "incidents", "text", evil, "blocks", blocks); !r.ok() {
		t.Fatal(r)
	}
	if err := b.types(t, "/triage help"); err != nil {
		t.Fatal(err)
	}
	view := `{"type":"modal","title":{"type":"plain_text","text":"<script>"},"submit":{"type":"plain_text","text":"<script>"},"blocks":[
		{"type":"input","block_id":"` + evil + `","label":` + text + `,"hint":` + text + `,"element":{"type":"plain_text_input","placeholder":` + text + `,"initial_value":"` + evil + `"}}]}`
	if r := b.call(t, "views.open", "trigger_id", b.last(t).form.Get("trigger_id"), "view", view); !r.ok() {
		t.Fatal(r)
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, here+"/c/incidents", nil)
	rec := httptest.NewRecorder()
	b.Handler().ServeHTTP(rec, req)
	body := rec.Body.String()
	if strings.Contains(body, "<script>alert") || strings.Contains(body, "javascript:") || strings.Contains(body, `"'>`) || strings.Count(body, "<script") != 2 {
		t.Errorf("the page: %s", body)
	}
	if !strings.Contains(body, "&lt;script&gt;alert(1)") {
		t.Error("the text is not shown as it is")
	}
}

// FuzzReadAct holds that whatever is posted to the page is refused or an act.
func FuzzReadAct(f *testing.F) {
	f.Add(`{"as":"U0PERSON1","channel":"incidents","text":"/triage help"}`)
	f.Add(`{"as":"U0PERSON1","view":"V1","values":{"for":"1h"}}`)
	f.Add(`{"values":null}{}`)
	w, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = w.Close() })
	f.Fuzz(func(t *testing.T, raw string) {
		body, err := readAct(strings.NewReader(raw))
		if err != nil {
			return
		}
		_ = w.Say(t.Context(), body.As, Place{Channel: body.Channel, Thread: body.Thread}, body.Text)
		_ = w.Click(t.Context(), body.As, Click{body.Channel, body.TS, body.Block, body.Action, body.Option})
	})
}
