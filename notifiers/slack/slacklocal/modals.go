package slacklocal

// Modals: views.open, views.update, and what a person does in them. A person
// has one modal open at a time; there is no stack of them, and views.push is
// no method here.

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// Lengths within a view, in characters, and counts.
// https://docs.slack.dev/reference/views/modal-views
const (
	maxViewBytes    = 250_000
	maxViewBlocks   = 100
	maxViewTitle    = 24 // the buttons' texts too
	maxViewMetadata = 3_000
	maxInputLabel   = 2_000
	maxPlaceholder  = 150
	maxInputLength  = 3_000
)

// view is a modal as an app sends it.
type view struct {
	Type            string          `json:"type"`
	CallbackID      string          `json:"callback_id"`
	ExternalID      string          `json:"external_id"`
	Title           *textObject     `json:"title"`
	Submit          *textObject     `json:"submit"`
	Close           *textObject     `json:"close"`
	Blocks          json.RawMessage `json:"blocks"`
	PrivateMetadata string          `json:"private_metadata"`
	ClearOnClose    bool            `json:"clear_on_close"`
	NotifyOnClose   bool            `json:"notify_on_close"`

	id     string
	hash   string
	user   string
	blocks []block
}

// Modal is what a person sees of an open modal.
type Modal struct {
	ID     string
	Title  string
	Blocks json.RawMessage
}

// Modal returns what is open before a person; ok is false for nothing.
func (w *Workspace) Modal(user string) (m Modal, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := w.modals[user]
	if v == nil {
		return Modal{}, false
	}
	return Modal{ID: v.id, Title: v.Title.Text, Blocks: v.Blocks}, true
}

// readView reads a view and checks it as Slack does.
func readView(raw string) (*view, error) {
	if len(raw) > maxViewBytes {
		return nil, fail("view_too_large")
	}
	v := new(view)
	if !utf8.ValidString(raw) || json.Unmarshal([]byte(raw), v) != nil {
		return nil, fail("invalid_arguments", "view must be a JSON object [json-pointer:/view]")
	}
	blocks, err := parseBlocks(v.Blocks)
	if err != nil {
		return nil, fail("invalid_arguments", "blocks must be an array of blocks [json-pointer:/view/blocks]")
	}
	c := &checker{ids: make(map[string]bool), view: true}
	c.viewFields(v, blocks)
	if len(c.wrong) > 0 {
		return nil, fail("invalid_arguments", c.wrong...)
	}
	v.Blocks, v.blocks = named(v.Blocks)
	return v, nil
}

func (c *checker) viewFields(v *view, blocks []block) {
	if v.Type != "modal" {
		c.say("/view/type", "unsupported type: %s", v.Type)
	}
	c.object("/view/title", v.Title, maxViewTitle, false)
	if v.Submit != nil {
		c.object("/view/submit", v.Submit, maxViewTitle, false)
	}
	if v.Close != nil {
		c.object("/view/close", v.Close, maxViewTitle, false)
	}
	c.atMost("/view/private_metadata", v.PrivateMetadata, maxViewMetadata)
	c.atMost("/view/callback_id", v.CallbackID, maxID)
	c.atMost("/view/external_id", v.ExternalID, maxID)
	c.number("/view/blocks", len(blocks), maxViewBlocks)
	for i := range blocks {
		c.block(fmt.Sprintf("/view/blocks/%d", i), &blocks[i])
		if blocks[i].Type == "input" && v.Submit == nil {
			c.say("/view/submit", "missing required field: submit, for there is an input")
		}
	}
}

func (w *Workspace) openView(c *call) (answer, error) {
	v, err := readView(c.str("view"))
	if err != nil {
		return nil, err
	}
	user, err := w.exchange(c.str("trigger_id"))
	if err != nil {
		return nil, err
	}
	v.id, v.user = "V0"+rand.Text()[:10], user
	w.present(v)
	return answer{"view": v.wire(nil)}, nil
}

// present puts a view before its person. Call with mu held.
func (w *Workspace) present(v *view) {
	v.hash = formatTS(w.clock().UnixMicro()) + "." + rand.Text()[:8]
	w.modals[v.user] = v
	w.wake()
}

func (w *Workspace) updateView(c *call) (answer, error) {
	next, err := readView(c.str("view"))
	if err != nil {
		return nil, err
	}
	for _, v := range w.modals {
		if v.id != c.str("view_id") && (v.ExternalID == "" || v.ExternalID != c.str("external_id")) {
			continue
		}
		if hash := c.str("hash"); hash != "" && hash != v.hash {
			return nil, fail("hash_conflict")
		}
		next.id, next.user = v.id, v.user
		w.present(next)
		return answer{"view": next.wire(nil)}, nil
	}
	return nil, fail("not_found")
}

// wire is a view as Slack tells it, with the values of its inputs.
func (v *view) wire(values map[string]map[string]answer) answer {
	if values == nil {
		values = make(map[string]map[string]answer)
	}
	return answer{
		"id": v.id, "team_id": TeamID, "type": v.Type, "blocks": v.Blocks, "private_metadata": v.PrivateMetadata,
		"callback_id": v.CallbackID, "external_id": v.ExternalID, "state": answer{"values": values}, "hash": v.hash,
		"title": v.Title, "submit": v.Submit, "close": v.Close, "clear_on_close": v.ClearOnClose,
		"notify_on_close": v.NotifyOnClose, "previous_view_id": nil, "root_view_id": v.id, "app_id": AppID,
		"app_installed_team_id": TeamID, "bot_id": BotID,
	}
}

// Submission is what a person entered in a modal: the text of a text input,
// the value of a menu's option, by block_id.
type Submission map[string]string

// Submit does what Slack does when a person submits a modal. wrong are the
// complaints about what was entered, by block_id, the modal stays open for
// them. The error is a *Notice, which is to be shown to the person.
func (w *Workspace) Submit(ctx context.Context, user, viewID string, entered Submission) (wrong map[string]string, err error) {
	w.mu.Lock()
	v, p, err := w.modalOf(user, viewID)
	if err != nil {
		w.mu.Unlock()
		return nil, err
	}
	values, wrong := v.values(entered)
	if len(wrong) > 0 {
		w.mu.Unlock()
		return wrong, nil
	}
	told := w.interaction("view_submission", p)
	told["view"], told["response_urls"] = v.wire(values), []answer{}
	w.mu.Unlock()
	answered, err := w.interact(ctx, told, true)
	if err != nil {
		return nil, notice("We had some trouble connecting. Try again?")
	}
	return w.submitted(v, answered)
}

// submitted does what the app answered to a submission.
func (w *Workspace) submitted(v *view, a appAnswer) (wrong map[string]string, err error) {
	var said struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
		View   json.RawMessage   `json:"view"`
	}
	if body := bytes.TrimSpace(a.body); len(body) > 0 && !a.text {
		if json.Unmarshal(body, &said) != nil {
			return nil, notice("We had some trouble connecting. Try again?")
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.modals[v.user] == nil || w.modals[v.user].id != v.id {
		return nil, nil // closed meanwhile
	}
	switch said.Action {
	case "", "clear":
		delete(w.modals, v.user)
		w.wake()
		return nil, nil
	case "errors":
		for id := range said.Errors {
			if b := blockIn(v.blocks, id); b == nil || b.Type != "input" {
				return nil, notice("We had some trouble connecting. Try again?")
			}
		}
		if len(said.Errors) > 0 {
			return said.Errors, nil
		}
	case "update":
		next, err := readView(string(said.View))
		if err == nil {
			next.id, next.user = v.id, v.user
			w.present(next)
			return nil, nil
		}
	}
	return nil, notice("We had some trouble connecting. Try again?")
}

// CloseModal closes a modal without submitting it; the app is told where it
// wished to be.
func (w *Workspace) CloseModal(ctx context.Context, user, viewID string) error {
	w.mu.Lock()
	v, p, err := w.modalOf(user, viewID)
	if err != nil {
		w.mu.Unlock()
		return err
	}
	delete(w.modals, user)
	w.wake()
	told := w.interaction("view_closed", p)
	delete(told, "trigger_id")
	told["view"], told["is_cleared"] = v.wire(nil), false
	w.mu.Unlock()
	if !v.NotifyOnClose {
		return nil
	}
	_, err = w.interact(ctx, told, false)
	return trouble(err)
}

// modalOf is the modal that a person acts in. Call with mu held.
func (w *Workspace) modalOf(user, id string) (*view, Person, error) {
	p, ok := w.person(user)
	v := w.modals[user]
	if !ok || v == nil || v.id != id {
		return nil, p, notice("This dialog is no longer open.")
	}
	return v, p, nil
}

// values are a submission's values as the app is told them, and what is wrong
// with them before it is.
func (v *view) values(entered Submission) (values map[string]map[string]answer, wrong map[string]string) {
	values, wrong = make(map[string]map[string]answer), make(map[string]string)
	for i := range v.blocks {
		b := &v.blocks[i]
		if b.Type != "input" || b.Input == nil {
			continue
		}
		value, complaint := b.Input.entered(entered[b.BlockID], b.Optional)
		if complaint != "" {
			wrong[b.BlockID] = complaint
		}
		values[b.BlockID] = map[string]answer{b.Input.ActionID: value}
	}
	return values, wrong
}

// entered is an input's value as the app is told it.
func (e *element) entered(text string, optional bool) (value answer, complaint string) {
	n := utf8.RuneCountInString(text)
	if n == 0 && !optional {
		return nil, "Please complete this required field."
	}
	if e.Type != "plain_text_input" {
		chosen := e.option(text)
		if chosen == nil && n > 0 {
			return nil, "Please choose one of the options."
		}
		return answer{"type": e.Type, "selected_option": chosen}, ""
	}
	most := maxInputLength
	if e.MaxLength > 0 {
		most = e.MaxLength
	}
	switch {
	case n > most:
		return nil, fmt.Sprintf("Please enter at most %d characters.", most)
	case n > 0 && n < e.MinLength:
		return nil, fmt.Sprintf("Please enter at least %d characters.", e.MinLength)
	case n == 0:
		return answer{"type": e.Type, "value": nil}, ""
	}
	return answer{"type": e.Type, "value": text}, ""
}
