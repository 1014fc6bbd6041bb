package slack

// Finding a message again by the nonce in its metadata.

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/slack-go/slack"

	"triagebot/notifiers"
	"triagebot/triage"
)

const (
	pageSize = 200 // messages asked for at once
	maxPages = 50
	// clockSlack is how far Slack's clock may be behind ours.
	clockSlack = 5 * time.Minute
)

// Find implements [notifiers.Notifier]. Only a complete look that was answered
// throughout reports a message as absent. A delivery that has been shown is
// not looked for, but reported absent: sending an edit again does no harm. A
// Permanent error means that Slack does not let the bot read the channel.
func (n *Notifier) Find(ctx context.Context, d *triage.Delivery) (notifiers.Receipt, bool, error) {
	if d.Remote.ID != "" {
		return notifiers.Receipt{}, false, nil
	}
	var remote triage.RemoteRef
	var err *notifiers.Error
	switch {
	case uploads(d):
		remote, err = n.findFile(ctx, d)
	case d.Thread.ID != "":
		remote, err = n.findReply(ctx, d)
	default:
		remote, err = n.findParent(ctx, d)
	}
	if err != nil {
		return notifiers.Receipt{}, false, err
	}
	r := notifiers.Receipt{Remote: remote}
	if remote.ID != "" && n.inFallback(d, remote) {
		r.Note = "shown in #" + n.fallback + " instead of #" + line(d.Channel, maxName)
	}
	return r, remote.ID != "", nil
}

func (n *Notifier) inFallback(d *triage.Delivery, remote triage.RemoteRef) bool {
	return d.Thread.ID == "" && n.fallback != "" && n.fallback != d.Channel &&
		(n.fallback == remote.Channel || n.channels.of(n.fallback) == remote.Channel)
}

// findParent looks through the channel, and through the fallback where an
// earlier attempt may have gone.
func (n *Notifier) findParent(ctx context.Context, d *triage.Delivery) (triage.RemoteRef, *notifiers.Error) {
	names := []string{d.Channel}
	if n.fallback != "" && n.fallback != d.Channel {
		names = append(names, n.fallback)
	}
	for _, name := range names {
		id, err := n.channelID(ctx, name)
		if err != nil {
			return triage.RemoteRef{}, readable(err)
		}
		if id == "" {
			continue // no such channel, so no message in it
		}
		found, err := n.search(ctx, n.historyOf(id, d), lookFor(d, id))
		// Where there are two channels, one that the bot is not in is one that
		// it could not post to either.
		if err != nil && (len(names) == 1 || kindOf(code(err)) != noChannel) {
			return triage.RemoteRef{}, readable(err)
		}
		if found != nil {
			return triage.RemoteRef{Channel: id, ID: found.Timestamp}, nil
		}
	}
	return triage.RemoteRef{}, nil
}

// readable makes errors of a channel that the bot may not read Permanent:
// waiting does not help the look, whereas a bad token might be put right.
func readable(e *notifiers.Error) *notifiers.Error {
	switch code(e) {
	case "missing_scope", "no_permission", "access_denied", "not_allowed_token_type", "not_allowed":
		return &notifiers.Error{Reason: notifiers.Permanent, Err: e.Err}
	}
	return e
}

// findReply looks through the thread. Where its parent was deleted, an earlier
// attempt may have landed in the channel: that is taken back.
func (n *Notifier) findReply(ctx context.Context, d *triage.Delivery) (triage.RemoteRef, *notifiers.Error) {
	found, err := n.search(ctx, n.repliesOf(d), lookFor(d, d.Thread.ID))
	switch {
	case err != nil && code(err) == "thread_not_found":
		stray, err := n.search(ctx, n.historyOf(d.Thread.Channel, d), lookFor(d, d.Thread.Channel))
		if err != nil {
			return triage.RemoteRef{}, readable(err)
		}
		if stray != nil {
			return triage.RemoteRef{}, n.withdraw(ctx, triage.RemoteRef{Channel: d.Thread.Channel, ID: stray.Timestamp})
		}
		return triage.RemoteRef{}, &notifiers.Error{Reason: notifiers.Gone, Err: errors.New("the thread's parent was deleted")}
	case err != nil:
		return triage.RemoteRef{}, readable(err)
	case found == nil:
		return triage.RemoteRef{}, nil
	}
	return triage.RemoteRef{Channel: d.Thread.Channel, ID: found.Timestamp}, nil
}

// pager returns one page of messages, and the cursor of the next.
type pager func(ctx context.Context, cursor string) (page []slack.Message, next string, err *notifiers.Error)

// search looks for the bot's own message with the nonce; nil when it is not
// there. One that breaks off is taken up where it stood by the next search for
// the same: what is newer than its first page came after what it looks for.
func (n *Notifier) search(ctx context.Context, pages pager, l look) (*slack.Message, *notifiers.Error) {
	self, err := n.self(ctx)
	if err != nil {
		var e *notifiers.Error
		if errors.As(err, &e) {
			return nil, e
		}
		return nil, &notifiers.Error{Reason: notifiers.Transient, Err: err}
	}
	at := n.places.take(l)
	for ; at.pages < maxPages; at.pages++ {
		page, next, err := pages(ctx, at.cursor)
		if err != nil {
			if at.cursor != "" && code(err) != "invalid_cursor" { // which is one that Slack has forgotten
				n.places.keep(l, at)
			} else if at.cursor != "" {
				err.Reason = notifiers.Transient
			}
			return nil, err
		}
		for i := range page {
			m := &page[i]
			if m.BotID == self && m.Metadata.EventType == eventType && m.Metadata.EventPayload["nonce"] == l.nonce {
				return m, nil
			}
		}
		if next == "" {
			return nil, nil
		}
		at.cursor = next
	}
	return nil, &notifiers.Error{Reason: notifiers.Permanent, Err: fmt.Errorf("more than %d messages to look through", maxPages*pageSize)}
}

// since is from when on a delivery may have been shown: it is looked for from
// its latest attempt on, so that a page is enough.
func since(d *triage.Delivery) string {
	from := d.TriedAt
	if from.IsZero() {
		from = d.CreatedAt
	}
	if from.IsZero() {
		return "0"
	}
	return strconv.FormatInt(max(0, from.Add(-clockSlack).Unix()), 10)
}

func (n *Notifier) historyOf(channel string, d *triage.Delivery) pager {
	return func(ctx context.Context, cursor string) ([]slack.Message, string, *notifiers.Error) {
		r, err := n.client.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{
			ChannelID: channel, Cursor: cursor, Limit: pageSize, Oldest: since(d), IncludeAllMetadata: true,
		})
		if err == nil && !r.Ok {
			err = errors.New("neither an error nor ok in the answer")
		}
		if err != nil {
			return nil, "", n.failed(methodHistory, looking, err)
		}
		n.succeeded(methodHistory)
		return r.Messages, r.ResponseMetaData.NextCursor, nil
	}
}

func (n *Notifier) repliesOf(d *triage.Delivery) pager {
	return func(ctx context.Context, cursor string) ([]slack.Message, string, *notifiers.Error) {
		page, more, next, err := n.client.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{
			ChannelID: d.Thread.Channel, Timestamp: d.Thread.ID, Cursor: cursor, Limit: pageSize,
			Oldest: since(d), IncludeAllMetadata: true,
		})
		if err == nil && more && next == "" {
			err = errors.New("the answer has more but no cursor")
		}
		if err != nil {
			return nil, "", n.failed(methodReplies, looking, err)
		}
		n.succeeded(methodReplies)
		return page, next, nil
	}
}
