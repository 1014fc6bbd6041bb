package slacklocal

// conversations.list, .info, .history and .replies.

import (
	"encoding/base64"
	"math"
	"slices"
)

func (w *Workspace) listConversations(c *call) (answer, error) {
	start, err := w.listStart(c.str("cursor"))
	if err != nil {
		return nil, err
	}
	limit := c.count("limit", 100, 1000)
	list := []answer{}
	next := ""
	for _, id := range w.order[start:] {
		ch := w.channels[id]
		if ch.Archived && c.flag("exclude_archived") {
			continue
		}
		if len(list) == limit {
			next = cursor(id)
			break
		}
		list = append(list, ch.wire())
	}
	return answer{"channels": list, "response_metadata": answer{"next_cursor": next}}, nil
}

func (w *Workspace) listStart(given string) (int, error) {
	if given == "" {
		return 0, nil
	}
	id, ok := uncursor(given)
	i := slices.Index(w.order, id)
	if !ok || i < 0 {
		return 0, fail("invalid_cursor")
	}
	return i, nil
}

func (c *channel) wire() answer {
	return answer{
		"id": c.ID, "name": c.Name, "name_normalized": c.Name,
		"is_channel": true, "is_archived": c.Archived, "is_member": !c.NoBot,
	}
}

func (w *Workspace) conversationInfo(c *call) (answer, error) {
	ch, err := w.channelFor(c.str("channel"), false)
	if err != nil {
		return nil, err
	}
	return answer{"channel": ch.wire()}, nil
}

// period is the part of time that a call asks about, in microseconds.
type period struct {
	oldest, latest int64
	inclusive      bool
}

func (c *call) period() (period, error) {
	s := period{oldest: 0, latest: math.MaxInt64, inclusive: c.flag("inclusive")}
	for name, at := range map[string]*int64{"oldest": &s.oldest, "latest": &s.latest} {
		if given := c.str(name); given != "" {
			ts, ok := parseTS(given)
			if !ok {
				return s, fail("invalid_ts_" + name)
			}
			*at = ts
		}
	}
	return s, nil
}

func (p period) holds(m *Message) bool {
	ts, _ := parseTS(m.TS)
	if p.inclusive {
		return ts >= p.oldest && ts <= p.latest
	}
	return ts > p.oldest && ts < p.latest
}

// history returns the top-level messages, and the replies that were broadcast,
// the newest first.
func (w *Workspace) history(c *call) (answer, error) {
	ch, err := w.readable(c)
	if err != nil {
		return nil, err
	}
	var top []*Message
	for _, m := range slices.Backward(ch.messages) {
		if !m.IsReply() || m.Subtype == broadcast {
			top = append(top, m)
		}
	}
	return w.page(c, ch, top, 100)
}

// thread returns a parent and its replies, the oldest first.
func (w *Workspace) thread(c *call) (answer, error) {
	ch, err := w.readable(c)
	if err != nil {
		return nil, err
	}
	parent := ch.find(c.str("ts"))
	if parent == nil {
		return nil, fail("thread_not_found")
	}
	if parent.IsReply() {
		return w.page(c, ch, []*Message{parent}, 1000)
	}
	return w.page(c, ch, append([]*Message{parent}, ch.replies(parent.TS)...), 1000)
}

func (w *Workspace) readable(c *call) (*channel, error) {
	ch, err := w.channelFor(c.str("channel"), false)
	if err != nil {
		return nil, err
	}
	if ch.NoBot {
		return nil, fail("not_in_channel")
	}
	return ch, nil
}

// page answers with those messages that the call's span and cursor select.
func (w *Workspace) page(c *call, ch *channel, messages []*Message, usual int) (answer, error) {
	s, err := c.period()
	if err != nil {
		return nil, err
	}
	if given := c.str("cursor"); given != "" {
		from, ok := uncursor(given)
		i := slices.IndexFunc(messages, func(m *Message) bool { return m.TS == from })
		if !ok || i < 0 {
			return nil, fail("invalid_cursor")
		}
		messages = messages[i:]
	}
	limit := c.count("limit", usual, 999)
	list := []answer{}
	next := ""
	for _, m := range messages {
		if !s.holds(m) {
			continue
		}
		if len(list) == limit {
			next = cursor(m.TS)
			break
		}
		list = append(list, w.wire(ch, m, c.flag("include_all_metadata")))
	}
	return answer{"messages": list, "has_more": next != "", "response_metadata": answer{"next_cursor": next}}, nil
}

func cursor(from string) string { return base64.StdEncoding.EncodeToString([]byte("next:" + from)) }

func uncursor(s string) (from string, ok bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) < 5 || string(b[:5]) != "next:" {
		return "", false
	}
	return string(b[5:]), true
}

// wire is a message as the API tells it. Metadata is told only on request.
func (w *Workspace) wire(ch *channel, m *Message, metadata bool) answer {
	a := answer{"type": "message", "ts": m.TS, "text": m.Text, "team": TeamID}
	if m.Blocks != nil {
		a["blocks"] = m.Blocks
	}
	for name, value := range map[string]string{
		"subtype": m.Subtype, "bot_id": m.BotID, "user": m.User, "thread_ts": m.ThreadTS,
	} {
		if value != "" {
			a[name] = value
		}
	}
	if replies := ch.replies(m.TS); !m.IsReply() && len(replies) > 0 {
		a["thread_ts"], a["reply_count"], a["latest_reply"] = m.TS, len(replies), replies[len(replies)-1].TS
	}
	if m.Edits > 0 {
		a["edited"] = answer{"user": UserID, "ts": m.EditedTS}
	}
	if metadata && m.Metadata != nil {
		a["metadata"] = m.Metadata
	}
	if len(m.Files) > 0 {
		files := []answer{}
		for _, id := range m.Files {
			if f := w.files[id]; f != nil {
				files = append(files, w.fileWire(f, ""))
			}
		}
		a["files"] = files
	}
	return a
}
