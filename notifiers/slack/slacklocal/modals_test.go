package slacklocal

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"
)

const silenceView = `{"type":"modal","callback_id":"silence","private_metadata":"7","notify_on_close":true,
	"title":{"type":"plain_text","text":"Silence"},"submit":{"type":"plain_text","text":"Create"},
	"blocks":[
		{"type":"section","text":{"type":"mrkdwn","text":"*Which* alerts"}},
		{"type":"input","block_id":"for","label":{"type":"plain_text","text":"For"},"hint":{"type":"plain_text","text":"45m, 2h"},
		 "element":{"type":"plain_text_input","action_id":"duration","min_length":2,"max_length":5,"initial_value":"1h"}},
		{"type":"input","block_id":"why","optional":true,"label":{"type":"plain_text","text":"Comment"},
		 "element":{"type":"plain_text_input","multiline":true}},
		{"type":"input","block_id":"who","label":{"type":"plain_text","text":"Who"},
		 "element":{"type":"static_select","action_id":"team","options":[{"text":{"type":"plain_text","text":"SRE"},"value":"sre"}]}}]}`

// opened is a workspace in which a person has the modal before them.
func opened(t *testing.T) (*bot, Modal) {
	t.Helper()
	b := withBot(t, Options{})
	if err := b.types(t, "/triage silence"); err != nil {
		t.Fatal(err)
	}
	if r := b.call(t, "views.open", "trigger_id", b.last(t).form.Get("trigger_id"), "view", silenceView); !r.ok() {
		t.Fatalf("views.open: %v", r)
	}
	m, ok := b.Modal(you.ID)
	if !ok || m.Title != "Silence" {
		t.Fatalf("the person sees %+v", m)
	}
	return b, m
}

func TestATriggerOpensOneModalWithin3s(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := withBot(t, Options{})
		trigger := func() string {
			if err := b.types(t, "/triage silence"); err != nil {
				t.Fatal(err)
			}
			return b.last(t).form.Get("trigger_id")
		}
		open := func(id string) string { return b.call(t, "views.open", "trigger_id", id, "view", silenceView).err() }
		used := trigger()
		pass(triggerFor)
		if got := open(used); got != "" {
			t.Errorf("after 3 s: %q", got)
		}
		if got := open(used); got != "exchanged_trigger_id" {
			t.Errorf("a second time: %q", got)
		}
		late := trigger()
		pass(triggerFor + time.Millisecond)
		if got := open(late); got != "expired_trigger_id" {
			t.Errorf("after more than 3 s: %q", got)
		}
		if got := open("1.2.3"); got != "invalid_trigger_id" {
			t.Errorf("one that was never given: %q", got)
		}
		bad := trigger()
		if r := b.call(t, "views.open", "trigger_id", bad, "view", `{}`); r.err() != "invalid_arguments" {
			t.Errorf("a bad view: %v", r)
		}
		if got := open(bad); got != "" {
			t.Errorf("a refused view used the trigger up: %q", got)
		}
	})
}

func TestASubmissionIsSentAsSlackSendsIt(t *testing.T) {
	b, m := opened(t)
	b.says("")
	wrong, err := b.Submit(t.Context(), you.ID, m.ID, Submission{"for": "45m", "who": "sre"})
	if err != nil || len(wrong) != 0 {
		t.Fatalf("%v, %v", wrong, err)
	}
	h := b.last(t)
	c := h.callback(t)
	if c.Type != slack.InteractionTypeViewSubmission || c.View.ID != m.ID || c.View.CallbackID != "silence" || c.View.PrivateMetadata != "7" || c.User.ID != you.ID || c.TriggerID == "" || c.View.Hash == "" {
		t.Errorf("the payload: %s", h.form.Get("payload"))
	}
	values := c.View.State.Values
	if values["for"]["duration"].Value != "45m" || values["who"]["team"].SelectedOption.Value != "sre" {
		t.Errorf("the values: %+v", values)
	}
	if v, there := h.json["view"].(map[string]any)["state"].(map[string]any)["values"].(map[string]any)["why"].(map[string]any)["a0"].(map[string]any)["value"]; !there || v != nil {
		t.Errorf("an empty input has the value %v, want null", v)
	}
	if _, open := b.Modal(you.ID); open {
		t.Error("the modal is still open")
	}
	if _, err := b.Submit(t.Context(), you.ID, m.ID, Submission{"for": "45m", "who": "sre"}); err == nil {
		t.Error("it can be submitted twice")
	}
}

func TestWhatIsEnteredIsCheckedBeforeItIsSent(t *testing.T) {
	b, m := opened(t)
	before := b.count()
	for name, c := range map[string]struct {
		entered Submission
		want    map[string]string
	}{
		"nothing":       {nil, map[string]string{"for": "Please complete this required field.", "who": "Please complete this required field."}},
		"too little":    {Submission{"for": "1", "who": "sre"}, map[string]string{"for": "Please enter at least 2 characters."}},
		"too much":      {Submission{"for": "123456", "who": "sre"}, map[string]string{"for": "Please enter at most 5 characters."}},
		"another":       {Submission{"for": "12345", "who": "them"}, map[string]string{"who": "Please choose one of the options."}},
		"more than all": {Submission{"for": "12", "who": "sre", "why": x(maxInputLength + 1)}, map[string]string{"why": "Please enter at most 3000 characters."}},
	} {
		wrong, err := b.Submit(t.Context(), you.ID, m.ID, c.entered)
		if diff := cmp.Diff(c.want, wrong); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	if b.count() != before {
		t.Error("the app was told")
	}
	if wrong, err := b.Submit(t.Context(), you.ID, m.ID, Submission{"for": "12345", "who": "sre", "why": x(maxInputLength)}); err != nil || len(wrong) > 0 {
		t.Errorf("as much as is allowed: %v %v", wrong, err)
	}
}

func TestWhatAnAppAnswersToASubmission(t *testing.T) {
	const trouble = "trouble connecting"
	for name, c := range map[string]struct {
		status      int
		body        string
		open        string // title of what is open afterwards
		wrong, want string
	}{
		"nothing":          {body: ""},
		"clear":            {body: `{"response_action":"clear"}`},
		"errors":           {body: `{"response_action":"errors","errors":{"for":"no such duration"}}`, open: "Silence", wrong: "no such duration"},
		"errors elsewhere": {body: `{"response_action":"errors","errors":{"b0":"x"}}`, open: "Silence", want: trouble},
		"no errors":        {body: `{"response_action":"errors"}`, open: "Silence", want: trouble},
		"update":           {body: `{"response_action":"update","view":` + strings.Replace(silenceView, `"Silence"`, `"Next"`, 1) + `}`, open: "Next"},
		"a bad update":     {body: `{"response_action":"update","view":{}}`, open: "Silence", want: trouble},
		"push":             {body: `{"response_action":"push","view":{}}`, open: "Silence", want: trouble},
		"no JSON":          {body: `{`, open: "Silence", want: trouble},
		"an error":         {status: 500, open: "Silence", want: trouble},
	} {
		t.Run(name, func(t *testing.T) {
			b, m := opened(t)
			b.answer = func(heard) (int, string, string) { return max(c.status, http.StatusOK), "application/json", c.body }
			wrong, err := b.Submit(t.Context(), you.ID, m.ID, Submission{"for": "45m", "who": "sre"})
			if c.want != "" {
				wantNotice(t, err, c.want)
			} else if err != nil || wrong["for"] != c.wrong {
				t.Errorf("%v, %v", wrong, err)
			}
			if m, _ := b.Modal(you.ID); m.Title != c.open {
				t.Errorf("open is %q, want %q", m.Title, c.open)
			}
		})
	}
}

func TestClosingAModalIsToldWhereWished(t *testing.T) {
	b, m := opened(t)
	if err := b.CloseModal(t.Context(), you.ID, m.ID); err != nil {
		t.Fatal(err)
	}
	h := b.last(t)
	if c := h.callback(t); c.Type != slack.InteractionTypeViewClosed || c.View.ID != m.ID || h.at("trigger_id") != nil {
		t.Errorf("the payload: %s", h.form.Get("payload"))
	}
	wantNotice(t, b.CloseModal(t.Context(), you.ID, m.ID), "no longer open")
}

func TestAModalIsUpdatedUnlessItChanged(t *testing.T) {
	b, m := opened(t)
	next := strings.Replace(silenceView, `"Silence"`, `"Updated"`, 1)
	if r := b.call(t, "views.update", "view_id", m.ID, "hash", "old", "view", next); r.err() != "hash_conflict" {
		t.Errorf("another hash: %v", r)
	}
	if r := b.call(t, "views.update", "view_id", m.ID, "view", next); !r.ok() {
		t.Errorf("without a hash: %v", r)
	}
	if m, _ := b.Modal(you.ID); m.Title != "Updated" {
		t.Errorf("open is %q", m.Title)
	}
	if r := b.call(t, "views.update", "view_id", "V0NONE", "view", next); r.err() != "not_found" {
		t.Errorf("no such view: %v", r)
	}
}

func TestViewsAtTheirLimits(t *testing.T) {
	build := func(field string, value any) string {
		var v map[string]any
		if err := json.Unmarshal([]byte(silenceView), &v); err != nil {
			t.Fatal(err)
		}
		v[field] = value
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	plain := func(n int) any { return map[string]any{"type": "plain_text", "text": x(n)} }
	input := func(field string, value any) string {
		element := map[string]any{"type": "plain_text_input"}
		block := map[string]any{"type": "input", "label": plain(1), "element": element}
		if field == "label" || field == "hint" {
			block[field] = value
		} else {
			element[field] = value
		}
		return build("blocks", []any{block})
	}
	for name, c := range map[string]struct {
		n    int
		view func(n int) string
	}{
		"title":       {maxViewTitle, func(n int) string { return build("title", plain(n)) }},
		"submit":      {maxViewTitle, func(n int) string { return build("submit", plain(n)) }},
		"close":       {maxViewTitle, func(n int) string { return build("close", plain(n)) }},
		"metadata":    {maxViewMetadata, func(n int) string { return build("private_metadata", x(n)) }},
		"callback_id": {maxID, func(n int) string { return build("callback_id", x(n)) }},
		"external_id": {maxID, func(n int) string { return build("external_id", x(n)) }},
		"blocks": {maxViewBlocks, func(n int) string {
			return build("blocks", json.RawMessage("["+repeated(n, `{"type":"divider"}`)+"]"))
		}},
		"label":         {maxInputLabel, func(n int) string { return input("label", plain(n)) }},
		"hint":          {maxInputLabel, func(n int) string { return input("hint", plain(n)) }},
		"placeholder":   {maxPlaceholder, func(n int) string { return input("placeholder", plain(n)) }},
		"initial_value": {maxInputLength, func(n int) string { return input("initial_value", x(n)) }},
		"min_length":    {maxInputLength, func(n int) string { return input("min_length", n) }},
		"max_length":    {maxInputLength, func(n int) string { return input("max_length", n) }},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readView(c.view(c.n)); err != nil {
				t.Errorf("%d: %v", c.n, err)
			}
			if _, err := readView(c.view(c.n + 1)); err == nil || err.Error() != "invalid_arguments" {
				t.Errorf("%d: error %v", c.n+1, err)
			}
		})
	}
	filled := build("private_metadata", "")
	filled = strings.TrimSuffix(filled, "}") + `,"pad":"` + strings.Repeat("x", maxViewBytes-len(filled)-len(`,"pad":""`)) + `"}`
	if _, err := readView(filled); err != nil || len(filled) != maxViewBytes {
		t.Errorf("%d bytes: %v", len(filled), err)
	}
	if _, err := readView(filled + " "); err == nil || err.Error() != "view_too_large" {
		t.Errorf("%d bytes: %v", len(filled)+1, err)
	}
}

func TestViewsThatAreNone(t *testing.T) {
	title, block := `"title":{"type":"plain_text","text":"t"}`, `{"type":"divider"}`
	input := `{"type":"input","label":{"type":"plain_text","text":"l"},"element":{"type":"plain_text_input"}}`
	for name, view := range map[string]string{
		"no JSON":           `{`,
		"not UTF-8":         `{"type":"modal",` + title + `,"blocks":[` + block + `],"callback_id":"` + "\xff" + `"}`,
		"a home tab":        `{"type":"home",` + title + `,"blocks":[` + block + `]}`,
		"no title":          `{"type":"modal","blocks":[` + block + `]}`,
		"no blocks":         `{"type":"modal",` + title + `}`,
		"empty blocks":      `{"type":"modal",` + title + `,"blocks":[]}`,
		"no submit":         `{"type":"modal",` + title + `,"blocks":[` + input + `]}`,
		"buttons":           `{"type":"modal",` + title + `,"blocks":[{"type":"actions","elements":[` + button("b", "v") + `]}]}`,
		"an odd input":      `{"type":"modal",` + title + `,"submit":{"type":"plain_text","text":"s"},"blocks":[` + strings.Replace(input, "plain_text_input", "dial", 1) + `]}`,
		"min above max":     `{"type":"modal",` + title + `,"submit":{"type":"plain_text","text":"s"},"blocks":[` + strings.Replace(input, `"plain_text_input"`, `"plain_text_input","min_length":5,"max_length":4`, 1) + `]}`,
		"no element at all": `{"type":"modal",` + title + `,"submit":{"type":"plain_text","text":"s"},"blocks":[{"type":"input","label":{"type":"plain_text","text":"l"}}]}`,
	} {
		if _, err := readView(view); err == nil || err.Error() != "invalid_arguments" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzView holds that whatever an app sends as a view is refused, or can be
// shown and submitted.
func FuzzView(f *testing.F) {
	f.Add(silenceView)
	f.Add(`{"type":"modal","title":{"type":"plain_text","text":"t"},"blocks":[{"type":"divider"}]}`)
	f.Add(`{"blocks":[null]}`)
	w, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = w.Close() })
	p := pages{w: w, templates: w.pageTemplates()}
	f.Fuzz(func(t *testing.T, raw string) {
		v, err := readView(raw)
		if err != nil {
			return
		}
		v.id, v.user = "V1", you.ID
		w.mu.Lock()
		w.present(v)
		shown := w.modalView(you.ID)
		w.mu.Unlock()
		if err := p.templates.ExecuteTemplate(&strings.Builder{}, "modal", shown); err != nil {
			t.Error(err)
		}
		if _, err := json.Marshal(v.wire(nil)); err != nil {
			t.Error(err)
		}
		if values, _ := v.values(nil); values == nil {
			t.Error(fmt.Errorf("no values"))
		}
	})
}
