package slack

// What one person alone is shown: a message, or a dialog.

import (
	"context"

	"github.com/slack-go/slack"
)

// Whisper is a message that one person sees, in a channel or a thread of it.
type Whisper struct {
	Channel, User string // ids
	Thread        string // ts of the thread's parent; "" for none
	Text          string // as RenderReply makes it
	Blocks        []slack.Block
}

// Whisper shows a message to one person. Nothing tells whether they have seen
// it. A rate limit is a *notifiers.Error that says how long to wait.
func (n *Notifier) Whisper(ctx context.Context, w Whisper) error {
	const method = "chat.postEphemeral"
	options := []slack.MsgOption{slack.MsgOptionText(w.Text, false), slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl()}
	if w.Thread != "" {
		options = append(options, slack.MsgOptionTS(w.Thread))
	}
	if len(w.Blocks) > 0 {
		options = append(options, slack.MsgOptionBlocks(w.Blocks...))
	}
	if _, err := n.client.PostEphemeralContext(ctx, w.Channel, w.User, options...); err != nil {
		return n.failed(method, editing, err)
	}
	n.succeeded(method)
	return nil
}

// OpenDialog opens a dialog for the person whose click gave the trigger, which
// is good for three seconds.
func (n *Notifier) OpenDialog(ctx context.Context, trigger string, view slack.ModalViewRequest) error {
	const method = "views.open"
	if _, err := n.client.OpenViewContext(ctx, trigger, view); err != nil {
		return n.failed(method, editing, err)
	}
	n.succeeded(method)
	return nil
}
