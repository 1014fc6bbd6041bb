package slacklocal

// What an app says back to a person: the answer to a slash command, a message
// through a response URL, and chat.postEphemeral. Ephemeral messages are shown
// to one person, are in no history and do not survive a restart.

import "slices"

// maxEphemerals is how many ephemeral messages are kept; the oldest goes first.
const maxEphemerals = 200

// Ephemeral is a message that one person sees.
type Ephemeral struct {
	Message
	For     string // user ID
	Channel string // ID
}

// Ephemerals lists what a person alone sees, the oldest first.
func (w *Workspace) Ephemerals(user string) []Ephemeral {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Ephemeral
	for _, e := range w.ephemerals {
		if e.For == user {
			out = append(out, *e)
		}
	}
	return out
}

// Forget dismisses an ephemeral message.
func (w *Workspace) Forget(user, ts string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ephemerals = slices.DeleteFunc(w.ephemerals, func(e *Ephemeral) bool { return e.For == user && e.TS == ts })
	w.wake()
}

// ephemeral finds what a person alone sees. Call with mu held.
func (w *Workspace) ephemeral(user, ts string) *Ephemeral {
	i := slices.IndexFunc(w.ephemerals, func(e *Ephemeral) bool { return e.For == user && e.TS == ts })
	if i < 0 {
		return nil
	}
	return w.ephemerals[i]
}

// whisper shows an ephemeral message. Call with mu held.
func (w *Workspace) whisper(e *Ephemeral) {
	e.TS = w.nextTS()
	w.ephemerals = append(w.ephemerals, e)
	if over := len(w.ephemerals) - maxEphemerals; over > 0 {
		w.ephemerals = slices.Delete(w.ephemerals, 0, over)
	}
	w.wake()
}

func (w *Workspace) postEphemeral(c *call) (answer, error) {
	ch, err := w.channelFor(c.str("channel"), true)
	if err != nil {
		return nil, err
	}
	if err := ch.writable(); err != nil {
		return nil, err
	}
	if _, ok := w.person(c.str("user")); !ok {
		return nil, fail("user_not_in_channel")
	}
	m := Message{BotID: BotID, User: UserID}
	if err := c.content(&m); err != nil {
		return nil, err
	}
	m.Text = cut(m.Text, maxPostText)
	m.ThreadTS = ch.threadFor(c.str("thread_ts"))
	e := &Ephemeral{Message: m, For: c.str("user"), Channel: ch.ID}
	w.whisper(e)
	return answer{"message_ts": e.TS}, nil
}

// tell shows what an app sent in answer to an act: to the person, to the
// channel, or in place of the message that was acted on. Call with mu held.
func (w *Workspace) tell(t *ticket, c *call) error {
	ch := w.channels[t.channel]
	if ch == nil {
		return fail("channel_not_found")
	}
	if c.flag("delete_original") {
		return w.replace(ch, t, nil)
	}
	m := Message{BotID: BotID, User: UserID}
	if err := c.content(&m); err != nil {
		return err
	}
	m.Text = cut(m.Text, maxPostText)
	if c.flag("replace_original") && t.source != "" {
		return w.replace(ch, t, &m)
	}
	thread := c.str("thread_ts")
	if thread == "" {
		thread = t.thread
	}
	m.ThreadTS = ch.threadFor(thread)
	if c.str("response_type") == "in_channel" {
		if ch.Archived {
			return fail("is_archived")
		}
		return w.post(ch, &m)
	}
	w.whisper(&Ephemeral{Message: m, For: t.user, Channel: ch.ID})
	return nil
}

// replace puts a message's new content in the place of the one that was acted
// on, nil deletes it. What is gone already stays gone, as at Slack.
func (w *Workspace) replace(ch *channel, t *ticket, next *Message) error {
	if e := w.ephemeral(t.user, t.source); e != nil {
		if next == nil {
			w.ephemerals = slices.DeleteFunc(w.ephemerals, func(o *Ephemeral) bool { return o == e })
		} else {
			e.Text, e.Blocks = next.Text, next.Blocks
			e.Edits++
		}
		w.wake()
		return nil
	}
	m := ch.find(t.source)
	if m == nil || m.Subtype == tombstone || m.BotID != BotID {
		return nil
	}
	if next == nil {
		return w.delete(ch, m)
	}
	edited := *m
	edited.Text, edited.Blocks = next.Text, next.Blocks
	if next.Metadata != nil {
		edited.Metadata = next.Metadata
	}
	edited.Edits++
	edited.EditedTS = formatTS(w.clock().UnixMicro())
	return w.apply(event{Op: opUpdate, Channel: ch.ID, Message: &edited})
}

// hear takes the body by which an app answers a slash command: nothing, plain
// text, or a message. Call with mu held; the error is what Slack calls it.
func (w *Workspace) hear(t *ticket, a appAnswer, typed string) error {
	if len(a.body) == 0 {
		return nil
	}
	c := &call{args: map[string]string{"text": string(a.body)}}
	if !a.text {
		c.args = make(map[string]string)
		if err := readJSON(a.body, c.args); err != nil {
			return &undelivered{code: codeBadAnswer}
		}
		if len(c.args) == 0 {
			return nil
		}
	}
	if c.str("response_type") == "in_channel" {
		m := &Message{User: t.user, Text: escape(typed)}
		if err := w.post(w.channels[t.channel], m); err != nil {
			return err
		}
	}
	if err := w.tell(t, c); err != nil {
		return &undelivered{code: codeBadAnswer}
	}
	return nil
}
