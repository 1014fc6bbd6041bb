package slacklocal

// The side for tests: what the channels show, and what a person may do to them.

import (
	"fmt"
	"maps"
	"slices"
)

// Thread is a top-level message with its replies, the oldest first.
type Thread struct {
	Message
	Replies []Message
}

// Channel returns what a channel shows, the oldest first. A channel that does
// not exist shows nothing.
func (w *Workspace) Channel(name string) []Thread {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.channelByName(name)
	if c == nil {
		return nil
	}
	return c.threads()
}

// threads copies the channel's messages as threads. Replies whose parent is no
// more are left out, as Slack does not show them.
func (c *channel) threads() []Thread {
	var out []Thread
	at := make(map[string]int)
	for _, m := range c.messages {
		if !m.IsReply() {
			at[m.TS] = len(out)
			out = append(out, Thread{Message: *m})
		} else if i, ok := at[m.ThreadTS]; ok {
			out[i].Replies = append(out[i].Replies, *m)
		}
	}
	return out
}

// PostsByNonce counts the posts and shares that carried each nonce since the
// workspace began, the deleted ones too.
func (w *Workspace) PostsByNonce() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.postCount)
}

// Duplicates lists the nonces that more than one message shown now carries, sorted.
func (w *Workspace) Duplicates() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := make(map[string]int)
	for _, c := range w.channels {
		for _, m := range c.messages {
			if nonce := m.Nonce(); nonce != "" {
				seen[nonce]++
			}
		}
	}
	maps.DeleteFunc(seen, func(_ string, n int) bool { return n < 2 })
	return slices.Sorted(maps.Keys(seen))
}

// ChannelID returns a channel's ID, "" when there is none of that name.
func (w *Workspace) ChannelID(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.channelByName(name); c != nil {
		return c.ID
	}
	return ""
}

// Archive archives a channel, as a person would.
func (w *Workspace) Archive(name string) error {
	return w.mark(name, func(e *event) { e.Archived = true })
}

// RemoveBot takes the bot out of a channel, as a person would.
func (w *Workspace) RemoveBot(name string) error {
	return w.mark(name, func(e *event) { e.NoBot = true })
}

func (w *Workspace) mark(name string, set func(*event)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.channelByName(name)
	if c == nil {
		return fmt.Errorf("local channel: there is no #%s", name)
	}
	e := event{Op: opMark, Channel: c.ID, Archived: c.Archived, NoBot: c.NoBot}
	set(&e)
	return w.apply(e)
}

// Delete deletes a message, as a person would.
func (w *Workspace) Delete(name, ts string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.channelByName(name)
	if c == nil || c.find(ts) == nil {
		return fmt.Errorf("local channel: there is no message %s in #%s", ts, name)
	}
	return w.delete(c, c.find(ts))
}

// Inject posts a message as somebody else; m.TS is given by the workspace.
func (w *Workspace) Inject(name string, m Message) (ts string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.channelByName(name)
	if c == nil {
		return "", fmt.Errorf("local channel: there is no #%s", name)
	}
	m.TS = w.nextTS()
	return m.TS, w.apply(event{Op: opPost, Channel: c.ID, Message: &m})
}
