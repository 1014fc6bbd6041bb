package slacklocal

// chat.postMessage, chat.update and chat.delete.

import (
	"encoding/json"
	"unicode/utf8"
)

// Lengths of a message's text, in characters.
const (
	maxPostText   = 40_000 // cut there
	maxUpdateText = 4_000  // refused beyond
	maxAttached   = 100
)

// maxMetadata is how many bytes a message's metadata may have, as JSON.
const maxMetadata = 16 << 10

// channelFor finds the channel that a call names. Names are taken only where
// Slack takes them: by chat.postMessage.
func (w *Workspace) channelFor(name string, names bool) (*channel, error) {
	c := w.channels[name]
	if c == nil && names {
		c = w.channelByName(name)
	}
	if c == nil {
		return nil, fail("channel_not_found")
	}
	return c, nil
}

// writable says whether the bot may write into the channel.
func (c *channel) writable() error {
	switch {
	case c.Archived:
		return fail("is_archived")
	case c.NoBot:
		return fail("not_in_channel")
	}
	return nil
}

func (w *Workspace) postMessage(c *call) (answer, error) {
	ch, err := w.channelFor(c.str("channel"), true)
	if err != nil {
		return nil, err
	}
	if err := ch.writable(); err != nil {
		return nil, err
	}
	m := &Message{BotID: BotID, User: UserID}
	if err := c.content(m); err != nil {
		return nil, err
	}
	m.Text = cut(m.Text, maxPostText)
	if wait := w.limits.post(ch.ID, w.clock()); wait > 0 {
		return nil, &limited{wait}
	}
	m.ThreadTS = ch.threadFor(c.str("thread_ts"))
	if m.IsReply() && c.flag("reply_broadcast") {
		m.Subtype = broadcast
	}
	if err := w.post(ch, m); err != nil {
		return nil, err
	}
	return answer{"channel": ch.ID, "ts": m.TS, "message": w.wire(ch, m, false)}, nil
}

// post gives the message its ts and shows it. Call with mu held.
func (w *Workspace) post(ch *channel, m *Message) error {
	m.TS = w.nextTS()
	return w.apply(event{Op: opPost, Channel: ch.ID, Message: m})
}

// threadFor is the thread that a message for thread_ts lands in: none when the
// parent was deleted, the parent's when a reply is named.
func (c *channel) threadFor(ts string) string {
	parent := c.find(ts)
	switch {
	case parent == nil, parent.Subtype == tombstone:
		return ""
	case parent.IsReply():
		return parent.ThreadTS
	}
	return ts
}

// content reads text, blocks and metadata into m and checks them.
func (c *call) content(m *Message) error {
	m.Text = c.str("text")
	if !utf8.ValidString(m.Text) {
		return fail("invalid_arguments")
	}
	if raw := c.str("blocks"); raw != "" {
		blocks, err := parseBlocks([]byte(raw))
		if err != nil {
			return fail("invalid_blocks_format", err.Error())
		}
		if err := check(blocks); err != nil {
			return err
		}
		m.Blocks = json.RawMessage(raw)
		if len(blocks) == 0 {
			m.Blocks = nil
		}
	}
	if raw := c.str("attachments"); raw != "" {
		var attached []json.RawMessage
		if json.Unmarshal([]byte(raw), &attached) != nil {
			return fail("invalid_attachments")
		}
		if len(attached) > maxAttached {
			return fail("too_many_attachments")
		}
	}
	if raw := c.str("metadata"); raw != "" {
		if len(raw) > maxMetadata {
			return fail("metadata_too_large")
		}
		m.Metadata = new(Metadata)
		if json.Unmarshal([]byte(raw), m.Metadata) != nil || m.Metadata.EventType == "" {
			return fail("invalid_metadata_format")
		}
	}
	if m.Text == "" && m.Blocks == nil {
		return fail("no_text")
	}
	return nil
}

func (w *Workspace) updateMessage(c *call) (answer, error) {
	ch, old, err := w.own(c, "cant_update_message")
	if err != nil {
		return nil, err
	}
	m := *old
	m.Blocks = nil // an edit without blocks removes them
	if err := c.content(&m); err != nil {
		return nil, err
	}
	if utf8.RuneCountInString(m.Text) > maxUpdateText {
		return nil, fail("msg_too_long")
	}
	m.Edits++
	m.EditedTS = formatTS(w.clock().UnixMicro())
	if err := w.apply(event{Op: opUpdate, Channel: ch.ID, Message: &m}); err != nil {
		return nil, err
	}
	return answer{"channel": ch.ID, "ts": m.TS, "text": m.Text, "message": w.wire(ch, &m, false)}, nil
}

func (w *Workspace) deleteMessage(c *call) (answer, error) {
	ch, m, err := w.own(c, "cant_delete_message")
	if err != nil {
		return nil, err
	}
	if err := w.delete(ch, m); err != nil {
		return nil, err
	}
	return answer{"channel": ch.ID, "ts": m.TS}, nil
}

// own finds the bot's own message that a call names.
func (w *Workspace) own(c *call, otherwise string) (*channel, *Message, error) {
	ch, err := w.channelFor(c.str("channel"), false)
	if err != nil {
		return nil, nil, err
	}
	if err := ch.writable(); err != nil {
		return nil, nil, err
	}
	m := ch.find(c.str("ts"))
	switch {
	case m == nil, m.Subtype == tombstone:
		return nil, nil, fail("message_not_found")
	case m.BotID != BotID:
		return nil, nil, fail(otherwise)
	}
	return ch, m, nil
}

// delete removes a message. Of a parent with replies a tombstone stays, which
// takes no new replies.
func (w *Workspace) delete(ch *channel, m *Message) error {
	if !m.IsReply() && len(ch.replies(m.TS)) > 0 {
		return w.apply(event{Op: opUpdate, Channel: ch.ID, Message: &Message{
			TS: m.TS, ThreadTS: m.TS, Subtype: tombstone, Text: "This message was deleted.",
		}})
	}
	return w.apply(event{Op: opDelete, Channel: ch.ID, Message: &Message{TS: m.TS}})
}

// cut shortens s to n characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
