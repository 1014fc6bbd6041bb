package slacklocal

// Clicks on a message's buttons and menus, and what the app is told of them.

import (
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
