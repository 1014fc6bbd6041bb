package slacklocal

// Clicks on a message's buttons and menus, and what the app is told of them.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
)

// Click is a press of a button, or a choice from a menu, in a message.
type Click struct {
	Channel string // name or ID
	TS      string // of the message
	Block   string // block_id; "b0" and so on, by place, where the app gave none
	Action  string // action_id; "a0" and so on, by place, where the app gave none
	Option  string // value of the menu's option that was chosen
}

// trouble is Slack's words beside a button whose click the app did not take.
func trouble(err error) error {
	u := (*undelivered)(nil)
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &u):
		return err
	case u.code == codeTimeout:
		return notice("Operation timed out. Apps need to respond within three seconds.")
	}
	return notice("This app responded with the error %q.", u.code)
}

// Click does what Slack does when a person clicks. The error is a *Notice,
// which is to be shown to the person.
func (w *Workspace) Click(ctx context.Context, user string, c Click) error {
	w.mu.Lock()
	told, err := w.clicked(user, c)
	w.mu.Unlock()
	if err != nil {
		return err
	}
	_, err = w.interact(ctx, told, false)
	return trouble(err)
}

// interact tells the app of an interaction.
func (w *Workspace) interact(ctx context.Context, payload answer, answers bool) (appAnswer, error) {
	encoded, err := json.Marshal(payload)
	if err != nil {
		return appAnswer{}, fmt.Errorf("local channel: cannot encode an interaction: %w", err)
	}
	return w.dispatch(ctx, act{
		kind: kindInteraction, payload: json.RawMessage(encoded),
		form: url.Values{"payload": {string(encoded)}}, answers: answers,
	})
}

// clicked is the payload of a click. Call with mu held.
func (w *Workspace) clicked(user string, c Click) (answer, error) {
	p, ch, err := w.stand(user, Place{Channel: c.Channel})
	if err != nil {
		return nil, err
	}
	hidden := w.ephemeral(user, c.TS)
	m := ch.find(c.TS)
	if hidden != nil {
		m = &hidden.Message
	}
	if m == nil || m.Subtype == tombstone {
		return nil, notice("This message was deleted.")
	}
	if !w.listens() {
		return nil, notice("Nobody listens: no app is connected.")
	}
	raw, blocks := named(m.Blocks)
	e := controlIn(blocks, c.Block, c.Action)
	if e == nil {
		return nil, notice("The message has changed: there is no such button any more.")
	}
	did, err := e.did(c, formatTS(w.clock().UnixMicro()))
	if err != nil {
		return nil, err
	}
	told := w.interaction("block_actions", p)
	container := answer{"type": "message", "message_ts": m.TS, "channel_id": ch.ID, "is_ephemeral": hidden != nil}
	if m.ThreadTS != "" {
		container["thread_ts"] = m.ThreadTS
	}
	told["container"] = container
	told["channel"] = answer{"id": ch.ID, "name": ch.Name}
	told["actions"] = []answer{did}
	told["state"] = answer{"values": chosenIn(blocks, c)}
	told["response_url"] = w.hook(ticket{user: p.ID, channel: ch.ID, thread: m.ThreadTS, source: m.TS})
	if hidden == nil { // of an ephemeral message Slack sends no copy
		message := w.wire(ch, m, true)
		message["blocks"], message["app_id"] = raw, AppID
		told["message"] = message
	}
	return told, nil
}

// interaction is what all interactions' payloads have.
func (w *Workspace) interaction(kind string, p Person) answer {
	return answer{
		"type": kind, "api_app_id": AppID, "token": verificationToken, "trigger_id": w.trigger(p.ID),
		"user": answer{"id": p.ID, "username": p.Name, "name": p.Name, "team_id": p.team()},
		"team": answer{"id": TeamID, "domain": TeamDomain}, "enterprise": nil, "is_enterprise_install": false,
	}
}

// did is the entry of a payload's actions for a click on the element.
func (e *element) did(c Click, at string) (answer, error) {
	a := answer{"type": e.Type, "action_id": c.Action, "block_id": c.Block, "action_ts": at}
	if e.Type == "button" {
		a["text"] = e.Text
		if value := str(e.Value); value != "" {
			a["value"] = value
		}
		if style := str(e.Style); style != "" {
			a["style"] = style
		}
		return a, nil
	}
	o := e.option(c.Option)
	if o == nil {
		return nil, notice("The message has changed: there is no such choice any more.")
	}
	a["selected_option"] = o
	if e.Placeholder != nil {
		a["placeholder"] = e.Placeholder
	}
	return a, nil
}

func (e *element) option(value string) *option {
	for i := range e.Options {
		if e.Options[i].Value == value {
			return &e.Options[i]
		}
	}
	return nil
}

// chosenIn is the state of a message's menus: what was just chosen, and what
// each began with.
func chosenIn(blocks []block, c Click) map[string]map[string]answer {
	values := make(map[string]map[string]answer)
	for i := range blocks {
		for _, e := range blocks[i].controls() {
			if e.Type != "static_select" {
				continue
			}
			chosen := e.InitialOption
			if blocks[i].BlockID == c.Block && e.ActionID == c.Action {
				chosen = e.option(c.Option)
			}
			if values[blocks[i].BlockID] == nil {
				values[blocks[i].BlockID] = make(map[string]answer)
			}
			values[blocks[i].BlockID][e.ActionID] = answer{"type": e.Type, "selected_option": chosen}
		}
	}
	return values
}

// controls are the block's buttons, menus and inputs.
func (b *block) controls() []*element {
	var out []*element
	switch {
	case b.Type == "actions":
		for i := range b.Elements {
			out = append(out, &b.Elements[i])
		}
	case b.Accessory != nil:
		out = append(out, b.Accessory)
	case b.Input != nil:
		out = append(out, b.Input)
	}
	return out
}

func controlIn(blocks []block, blockID, actionID string) *element {
	for i := range blocks {
		for _, e := range blocks[i].controls() {
			if blocks[i].BlockID == blockID && e.ActionID == actionID && e.Type != "plain_text_input" {
				return e
			}
		}
	}
	return nil
}

// giveNames gives blocks, and elements that people act on, the ids that Slack
// makes up where the app gave none: by their place.
func giveNames(blocks []block) {
	for i := range blocks {
		if blocks[i].BlockID == "" {
			blocks[i].BlockID = fmt.Sprint("b", i)
		}
		for j, e := range blocks[i].controls() {
			if e.ActionID == "" {
				e.ActionID = fmt.Sprint("a", j)
			}
		}
	}
}

// named reads blocks and gives them names, in what was read and in the JSON. Of
// what are no blocks it makes none.
func named(raw json.RawMessage) (json.RawMessage, []block) {
	none := json.RawMessage("[]")
	blocks, err := parseBlocks(raw)
	if err != nil {
		return none, nil
	}
	giveNames(blocks)
	var objects []map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&objects) != nil {
		return none, nil
	}
	set := func(object any, field, name string) {
		if o, ok := object.(map[string]any); ok && o != nil {
			o[field] = name
		}
	}
	for i, o := range objects {
		set(o, "block_id", blocks[i].BlockID)
		elements, _ := o["elements"].([]any)
		for j, e := range blocks[i].controls() {
			switch e {
			case blocks[i].Accessory:
				set(o["accessory"], "action_id", e.ActionID)
			case blocks[i].Input:
				set(o["element"], "action_id", e.ActionID)
			default:
				if j < len(elements) { // a struct is read from "Elements" too
					set(elements[j], "action_id", e.ActionID)
				}
			}
		}
	}
	out, err := json.Marshal(objects)
	if err != nil {
		return none, nil
	}
	return out, blocks
}
