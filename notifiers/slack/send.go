package slack

// Sending: a post, an edit, a reply.

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/slack-go/slack"

	"triagebot/notifiers"
	"triagebot/triage"
)

// eventType is the metadata type under which the nonce goes out.
const eventType = "triagebot_delivery"

// Methods by their names at Slack, which are the scopes of rate limits too.
const (
	methodPost     = "chat.postMessage"
	methodUpdate   = "chat.update"
	methodDelete   = "chat.delete"
	methodHistory  = "conversations.history"
	methodReplies  = "conversations.replies"
	methodList     = "conversations.list"
	methodGetURL   = "files.getUploadURLExternal"
	methodTransfer = "upload"
	methodComplete = "files.completeUploadExternal"
	methodFileInfo = "files.info"
)

// Send implements [notifiers.Notifier]. A delivery whose Remote is set is
// edited, a file is uploaded, all else is posted. The outcome of a post or an
// upload may be Ambiguous, that of an edit never: it is harmless to repeat.
func (n *Notifier) Send(ctx context.Context, d *triage.Delivery, checkpoint func(progress string) error) (notifiers.Receipt, error) {
	if uploads(d) {
		return result(n.upload(ctx, d, checkpoint))
	}
	r, err := n.say(ctx, d)
	if err == nil && d.Body.File != nil && d.ByLink {
		r.Note = join("file "+line(d.Body.File.Artifact.Name, maxTitle)+" could not be read: only its link is shown", r.Note)
	}
	return r, err
}

// say sends what is no upload.
func (n *Notifier) say(ctx context.Context, d *triage.Delivery) (notifiers.Receipt, error) {
	m, err := render(d.Body)
	if err != nil {
		return notifiers.Receipt{}, &notifiers.Error{Reason: notifiers.Permanent, Err: err}
	}
	if !d.MayRepeat.IsZero() {
		m = m.mayRepeat(d.MayRepeat)
	}
	if d.Remote.ID != "" {
		return result(n.edit(ctx, d, m))
	}
	return result(n.post(ctx, d, m))
}

// uploads says whether sending d is an upload. A file that may be shown already
// is only told of, for a second copy of it would be worse than none; and so is
// one that cannot be read.
func uploads(d *triage.Delivery) bool {
	return d.Body.File != nil && d.MayRepeat.IsZero() && !d.ByLink
}

// result keeps a nil *notifiers.Error from becoming an error that is not nil.
func result(r notifiers.Receipt, err *notifiers.Error) (notifiers.Receipt, error) {
	if err != nil {
		return notifiers.Receipt{}, err
	}
	return r, nil
}

func (n *Notifier) post(ctx context.Context, d *triage.Delivery, m message) (notifiers.Receipt, *notifiers.Error) {
	channel := d.Channel
	if d.Thread.ID != "" {
		channel = d.Thread.Channel
	}
	remote, note, err := n.postTo(ctx, channel, d, m)
	if err != nil && d.Thread.ID == "" && n.fallback != "" && n.fallback != channel && kindOf(code(err)) == noChannel {
		why := code(err)
		remote, note, err = n.postTo(ctx, n.fallback, d, m)
		if err == nil {
			n.metrics.fallbacks.WithLabelValues("channel").Inc()
			note = join(fmt.Sprintf("shown in #%s instead of #%s: %s", n.fallback, line(channel, maxName), why), note)
		}
	}
	if err != nil {
		return notifiers.Receipt{}, err
	}
	return notifiers.Receipt{Remote: remote, Note: note}, nil
}

func join(a, b string) string {
	if b == "" {
		return a
	}
	return a + "; " + b
}

// postTo posts into one channel, as plain text where Slack refuses the layout.
func (n *Notifier) postTo(ctx context.Context, channel string, d *triage.Delivery, m message) (triage.RemoteRef, string, *notifiers.Error) {
	remote, err := n.postOnce(ctx, channel, d, m, m.full())
	if err == nil || kindOf(code(err)) != badBlocks {
		return remote, "", err
	}
	note := n.refusedLayout(d, err)
	remote, err = n.postOnce(ctx, channel, d, m, m.textOnly())
	return remote, note, err
}

func (n *Notifier) postOnce(ctx context.Context, channel string, d *triage.Delivery, m message, content []slack.MsgOption) (triage.RemoteRef, *notifiers.Error) {
	options := append(slices.Clip(content), tagged(d))
	if d.Thread.ID != "" {
		options = append(options, slack.MsgOptionTS(d.Thread.ID))
		if m.broadcast {
			options = append(options, slack.MsgOptionBroadcast())
		}
	}
	id, ts, shown, err := n.client.PostMessageWithResponseContext(ctx, channel, options...)
	if err == nil && ts == "" { // slack-go takes {"ok":false} without an error for success
		err = errors.New("neither an error nor a ts in the answer")
	}
	if err != nil {
		return triage.RemoteRef{}, n.failed(methodPost, creating, err)
	}
	n.succeeded(methodPost)
	n.channels.learn(channel, id)
	remote := triage.RemoteRef{Channel: id, ID: ts}
	if d.Thread.ID != "" && shown.ThreadTimestamp != d.Thread.ID {
		return triage.RemoteRef{}, n.withdraw(ctx, remote)
	}
	return remote, nil
}

// withdraw deletes a reply that Slack put into the channel because its parent
// was deleted.
func (n *Notifier) withdraw(ctx context.Context, stray triage.RemoteRef) *notifiers.Error {
	if _, _, err := n.client.DeleteMessageContext(ctx, stray.Channel, stray.ID); err != nil {
		failed := n.failed(methodDelete, editing, err)
		return &notifiers.Error{Reason: notifiers.Gone, Err: fmt.Errorf("the thread's parent was deleted, and its reply %s stays in the channel: %w", stray.ID, failed)}
	}
	n.succeeded(methodDelete)
	return &notifiers.Error{Reason: notifiers.Gone, Err: errors.New("the thread's parent was deleted")}
}

func (n *Notifier) edit(ctx context.Context, d *triage.Delivery, m message) (notifiers.Receipt, *notifiers.Error) {
	note := ""
	err := n.editOnce(ctx, d, m.full())
	if err != nil && kindOf(code(err)) == badBlocks {
		note = n.refusedLayout(d, err)
		err = n.editOnce(ctx, d, m.textOnly())
	}
	if err != nil {
		return notifiers.Receipt{}, err
	}
	return notifiers.Receipt{Remote: d.Remote, Note: note}, nil
}

func (n *Notifier) editOnce(ctx context.Context, d *triage.Delivery, content []slack.MsgOption) *notifiers.Error {
	_, ts, _, err := n.client.UpdateMessageContext(ctx, d.Remote.Channel, d.Remote.ID, append(content, tagged(d))...)
	if err == nil && ts == "" {
		err = errors.New("neither an error nor a ts in the answer")
	}
	if err != nil {
		return n.failed(methodUpdate, editing, err)
	}
	n.succeeded(methodUpdate)
	return nil
}

// refusedLayout says that a message goes out as plain text.
func (n *Notifier) refusedLayout(d *triage.Delivery, why *notifiers.Error) string {
	n.metrics.fallbacks.WithLabelValues("plain_text").Inc()
	n.log.WithError(why).WithFields(map[string]any{"delivery": d.ID, "incident": d.IncidentID}).
		Warn("Slack refuses the message's layout; sending plain text")
	return "shown as plain text: Slack refused the layout (" + code(why) + ")"
}

// full is the message with its blocks. The text goes along always: without
// it there is nothing for notifications and screen readers.
func (m message) full() []slack.MsgOption {
	return append(quiet(m.sentence), slack.MsgOptionBlocks(m.blocks...))
}

// textOnly is the message without blocks; an edit needs the empty list to
// remove those of before.
func (m message) textOnly() []slack.MsgOption {
	if m.mention == "" {
		return append(quiet(m.long), slack.MsgOptionBlocks())
	}
	// Slack reads the mention as markup; what follows is escaped and pings nobody.
	text := m.mention + " " + escape(m.long, maxText-len(m.mention)-1)
	return append(still(text), slack.MsgOptionBlocks())
}

// quiet is a text that pings nobody and unfurls nothing.
func quiet(text string) []slack.MsgOption {
	return append(still(escape(text, maxText)), slack.MsgOptionDisableMarkdown())
}

// still is an escaped text in which Slack finds no names and unfurls nothing.
func still(escaped string) []slack.MsgOption {
	return []slack.MsgOption{
		slack.MsgOptionText(escaped, false),
		slack.MsgOptionParse(false),
		slack.MsgOptionDisableLinkUnfurl(),
		slack.MsgOptionDisableMediaUnfurl(),
	}
}

// tagged is the metadata by which the message can be found again.
func tagged(d *triage.Delivery) slack.MsgOption {
	return slack.MsgOptionMetadata(slack.SlackMetadata{
		EventType:    eventType,
		EventPayload: map[string]any{"nonce": d.Nonce, "key": d.Key},
	})
}
