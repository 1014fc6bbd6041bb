package slacklocal

// The workspace's state: channels with their messages, and the changes that
// may happen to them. Each change goes to the journal before it is answered.

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Message is one message of a channel.
type Message struct {
	TS       string          `json:"ts"` // seconds and six digits, unique in the workspace
	ThreadTS string          `json:"thread_ts,omitempty"`
	Subtype  string          `json:"subtype,omitempty"`
	Text     string          `json:"text"`
	Blocks   json.RawMessage `json:"blocks,omitempty"` // array, as it was sent
	Metadata *Metadata       `json:"metadata,omitempty"`
	BotID    string          `json:"bot_id,omitempty"`
	User     string          `json:"user,omitempty"`
	Files    []string        `json:"files,omitempty"` // IDs
	Edits    int             `json:"edits,omitempty"`
	EditedTS string          `json:"edited_ts,omitempty"`
}

// Metadata is a message's metadata.
type Metadata struct {
	EventType    string         `json:"event_type"`
	EventPayload map[string]any `json:"event_payload"`
}

// Nonce is the delivery nonce that the message carries, "" without one.
func (m *Message) Nonce() string {
	if m.Metadata == nil {
		return ""
	}
	nonce, _ := m.Metadata.EventPayload["nonce"].(string)
	return nonce
}

// IsReply says whether the message stands in another one's thread.
func (m *Message) IsReply() bool { return m.ThreadTS != "" && m.ThreadTS != m.TS }

// broadcast is the subtype of a reply that is shown in its channel too.
const broadcast = "thread_broadcast"

// tombstone is the subtype of what is left of a deleted parent with replies.
const tombstone = "tombstone"

type channel struct {
	ID       string
	Name     string
	Archived bool
	NoBot    bool       // the bot was removed: not_in_channel
	messages []*Message // in order of ts
}

// find returns the message with the given ts, nil when there is none.
func (c *channel) find(ts string) *Message {
	i := sort.Search(len(c.messages), func(i int) bool { return c.messages[i].TS >= ts })
	if i < len(c.messages) && c.messages[i].TS == ts {
		return c.messages[i]
	}
	return nil
}

// replies returns a thread's replies, the oldest first.
func (c *channel) replies(ts string) []*Message {
	var out []*Message
	for _, m := range c.messages {
		if m.IsReply() && m.ThreadTS == ts {
			out = append(out, m)
		}
	}
	return out
}

// CreateChannel makes a channel, or returns the ID of the one that has the
// name already. A name has 1 to 80 of a-z, 0-9, '-' and '_'.
func (w *Workspace) CreateChannel(name string) (id string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.channelByName(name); c != nil {
		return c.ID, nil
	}
	if !validChannelName(name) {
		return "", fmt.Errorf("local channel: %q is no channel name: use 1 to 80 of a-z, 0-9, '-' and '_', without '#'", name)
	}
	if len(w.channels) >= maxChannels {
		return "", fmt.Errorf("local channel: cannot create #%s: there are %d channels already", name, maxChannels)
	}
	id = fmt.Sprintf("C0LOCAL%04d", len(w.order)+1)
	return id, w.apply(event{Op: opChannel, Channel: id, Name: name})
}

func validChannelName(name string) bool {
	if name == "" || len(name) > 80 {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// channelByName finds a channel by name, with or without '#'. Call with mu held.
func (w *Workspace) channelByName(name string) *channel {
	name = strings.TrimPrefix(name, "#")
	for _, id := range w.order {
		if c := w.channels[id]; c.Name == name {
			return c
		}
	}
	return nil
}

// nextTS gives the next message timestamp: now, to the microsecond, but never
// one that was given before. Call with mu held.
func (w *Workspace) nextTS() string {
	w.lastTS = max(w.lastTS+1, w.clock().UnixMicro())
	return formatTS(w.lastTS)
}

func formatTS(micros int64) string {
	return fmt.Sprintf("%010d.%06d", micros/1e6, micros%1e6)
}

// parseTS reads a timestamp, also one with fewer decimals, as microseconds.
func parseTS(ts string) (int64, bool) {
	whole, frac, _ := strings.Cut(ts, ".")
	if len(whole) > 11 || len(frac) > 6 {
		return 0, false
	}
	s, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return 0, false
	}
	us, err := strconv.ParseInt((frac + "000000")[:6], 10, 64)
	if err != nil {
		return 0, false
	}
	return s*1e6 + us, true
}

// op is the kind of a change.
type op string

const (
	opChannel op = "channel" // created
	opMark    op = "mark"    // archived, bot removed
	opPost    op = "post"
	opUpdate  op = "update"
	opDelete  op = "delete"
	opFile    op = "file" // uploaded, completed or shared
	opCount   op = "count"
)

// event is one change: a line of the journal.
type event struct {
	Op       op       `json:"op"`
	Channel  string   `json:"channel,omitempty"`
	Name     string   `json:"name,omitempty"`
	Archived bool     `json:"archived,omitempty"`
	NoBot    bool     `json:"no_bot,omitempty"`
	Message  *Message `json:"message,omitempty"`
	File     *file    `json:"file,omitempty"`
	Count    int      `json:"count,omitempty"`
}

var errClosed = errors.New("the local channel is closed")

// apply writes the change to the journal, makes it, and tells the pages. Call
// with mu held.
func (w *Workspace) apply(e event) error {
	if w.closed {
		return errClosed
	}
	if w.journal != nil {
		if err := w.journal.append(e); err != nil {
			return err
		}
	}
	w.change(e)
	if w.journal != nil && w.journal.full() {
		if err := w.journal.rewrite(w.snapshot()); err != nil {
			return err
		}
	}
	w.wake()
	return nil
}

// wake tells the pages that something has changed. Call with mu held.
func (w *Workspace) wake() {
	for c := range w.watchers {
		select {
		case c <- struct{}{}:
		default: // it has a change to look at already
		}
	}
}

// change makes a change in memory, within the bounds. Call with mu held.
func (w *Workspace) change(e event) {
	c := w.channels[e.Channel]
	switch e.Op {
	case opChannel:
		w.channels[e.Channel] = &channel{ID: e.Channel, Name: e.Name}
		w.order = append(w.order, e.Channel)
	case opMark:
		c.Archived, c.NoBot = e.Archived, e.NoBot
	case opPost:
		if ts, ok := parseTS(e.Message.TS); ok {
			w.lastTS = max(w.lastTS, ts)
		}
		c.messages = append(c.messages, e.Message)
		if over := len(c.messages) - maxMessages; over > 0 {
			c.messages = slices.Delete(c.messages, 0, over)
		}
		w.countPost(e.Message.Nonce(), 1)
	case opUpdate:
		if m := c.find(e.Message.TS); m != nil {
			*m = *e.Message
		}
	case opDelete:
		c.messages = slices.DeleteFunc(c.messages, func(m *Message) bool { return m.TS == e.Message.TS })
	case opFile:
		w.keepFile(e.File)
	case opCount:
		w.countPost(e.Name, e.Count)
	}
}

// countPost counts the posts that carried a nonce, for as many nonces as a
// channel has messages.
func (w *Workspace) countPost(nonce string, n int) {
	if nonce == "" {
		return
	}
	if _, ok := w.postCount[nonce]; !ok {
		w.postOrder = append(w.postOrder, nonce)
		if len(w.postOrder) > maxMessages {
			delete(w.postCount, w.postOrder[0])
			w.postOrder = w.postOrder[1:]
		}
	}
	w.postCount[nonce] += n
}

// snapshot is the state as the shortest list of changes that leads to it.
// Call with mu held.
func (w *Workspace) snapshot() []event {
	var events []event
	posts := make(map[string]int)
	for _, id := range w.order {
		c := w.channels[id]
		events = append(events, event{Op: opChannel, Channel: id, Name: c.Name})
		if c.Archived || c.NoBot {
			events = append(events, event{Op: opMark, Channel: id, Archived: c.Archived, NoBot: c.NoBot})
		}
		for _, m := range c.messages {
			events = append(events, event{Op: opPost, Channel: id, Message: m})
			posts[m.Nonce()]++
		}
	}
	for _, nonce := range w.postOrder {
		if gone := w.postCount[nonce] - posts[nonce]; gone > 0 {
			events = append(events, event{Op: opCount, Name: nonce, Count: gone})
		}
	}
	for _, id := range w.fileOrder {
		events = append(events, event{Op: opFile, File: w.files[id]})
	}
	return events
}
