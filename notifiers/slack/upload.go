package slack

// Uploading an artifact into the thread: read it, ask for a URL, send the
// bytes, complete and share. The file's ID is noted before the last, so that an
// attempt after a crash shares the same file instead of another one.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/slack-go/slack"

	"triagebot/notifiers"
	"triagebot/triage"
	"triagebot/triage/safetext"
)

// maxFile bounds an artifact, in bytes; larger ones stay in the bundle, which
// has none of more than about half of it.
const maxFile = 16 << 20

func (n *Notifier) upload(ctx context.Context, d *triage.Delivery, checkpoint func(string) error) (notifiers.Receipt, *notifiers.Error) {
	u := renderFile(d.Body.File)
	channel, err := n.fileChannel(ctx, d)
	if err != nil {
		return notifiers.Receipt{}, err
	}
	id := d.Progress
	if id != "" {
		if remote, err := n.shown(ctx, d, id, channel); err != nil || remote.ID != "" {
			return notifiers.Receipt{Remote: remote}, err
		}
		err := n.complete(ctx, d, id, channel, u)
		if err == nil {
			return n.shared(ctx, d, id, channel)
		}
		if code(err) != "file_not_found" {
			return notifiers.Receipt{}, err
		}
		// Slack dropped the bytes of the earlier attempt.
	}
	if id, err = n.transfer(ctx, d, u); err != nil {
		return notifiers.Receipt{}, err
	}
	if err := checkpoint(id); err != nil {
		return notifiers.Receipt{}, &notifiers.Error{Reason: notifiers.Transient, Err: fmt.Errorf("cannot note the uploaded file: %w", err)}
	}
	if err := n.complete(ctx, d, id, channel, u); err != nil {
		return notifiers.Receipt{}, err
	}
	return n.shared(ctx, d, id, channel)
}

func (n *Notifier) fileChannel(ctx context.Context, d *triage.Delivery) (string, *notifiers.Error) {
	if d.Thread.Channel != "" {
		return d.Thread.Channel, nil
	}
	id, err := n.channelID(ctx, d.Channel)
	if err == nil && id == "" {
		err = &notifiers.Error{Reason: notifiers.Permanent, Err: fmt.Errorf(
			"no channel #%s%s", line(d.Channel, maxName), channelAdvice("channel_not_found"))}
	}
	return id, err
}

// transfer brings the artifact's bytes to Slack, where nobody sees them yet.
func (n *Notifier) transfer(ctx context.Context, d *triage.Delivery, u upload) (id string, _ *notifiers.Error) {
	data, unread := n.read(ctx, d)
	if unread != nil {
		return "", unread
	}
	to, err := n.client.GetUploadURLExternalContext(ctx, slack.GetUploadURLExternalParameters{
		FileName: u.name, FileSize: len(data), AltTxt: u.alt,
	})
	if err == nil && (to.FileID == "" || to.UploadURL == "") {
		err = errors.New("neither an error nor an upload URL in the answer")
	}
	if err != nil {
		return "", n.failed(methodGetURL, editing, err)
	}
	n.succeeded(methodGetURL)

	err = n.client.UploadToURL(ctx, slack.UploadToURLParameters{UploadURL: to.UploadURL, Reader: bytes.NewReader(data), Filename: u.name})
	if err != nil {
		return "", n.failed(methodTransfer, editing, hide(err, to.UploadURL))
	}
	n.succeeded(methodTransfer)
	return to.FileID, nil
}

// read reads the artifact whole before Slack hears of it: slack-go would pass
// a part of a file for the whole when reading fails, and whose fault an upload
// is that does not go on could not be told.
func (n *Notifier) read(ctx context.Context, d *triage.Delivery) ([]byte, *notifiers.Error) {
	name := d.Body.File.Artifact.Name
	got, err := n.reads.do(ctx, func(ctx context.Context) (content, error) { return n.readAll(ctx, d.IncidentID, name) })
	failed := func(reason notifiers.Reason, err error) *notifiers.Error {
		return &notifiers.Error{Reason: reason, Err: fmt.Errorf("artifact %s: %w", line(name, maxTitle), err)}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, failed(notifiers.Permanent, err)
	case err != nil && ctx.Err() != nil: // stopped: not the file's fault
		return nil, failed(notifiers.Transient, err)
	case err != nil:
		return nil, failed(notifiers.Unreadable, err)
	case got.size < 1 || got.size > maxFile:
		return nil, failed(notifiers.Permanent, fmt.Errorf("it has %d bytes; what is uploaded has 1 to %d", got.size, maxFile))
	case int64(len(got.data)) != got.size:
		return nil, failed(notifiers.Unreadable, fmt.Errorf("%d bytes were read instead of %d", len(got.data), got.size))
	}
	return got.data, nil
}

// readAll reads a file of which size is said; nothing of one that is too large.
func (n *Notifier) readAll(ctx context.Context, incidentID int64, name string) (c content, err error) {
	r, size, err := n.open(ctx, incidentID, name)
	if err != nil {
		return content{}, err
	}
	defer r.Close()
	if c.size = size; size > maxFile {
		return c, nil
	}
	c.data, err = io.ReadAll(io.LimitReader(r, size+1))
	return c, err
}

// hide takes a secret out of an error's text, for errors that slack-go makes
// with the URL in them.
func hide(err error, secret string) error {
	if !strings.Contains(safetext.WithoutURL(err).Error(), secret) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), secret, "<upload URL>"))
}

// complete ends the upload and asks for the file to be shared.
func (n *Notifier) complete(ctx context.Context, d *triage.Delivery, id, channel string, u upload) *notifiers.Error {
	_, err := n.client.CompleteUploadExternalContext(ctx, slack.CompleteUploadExternalParameters{
		Files:   []slack.FileSummary{{ID: id, Title: u.title}},
		Channel: channel, ThreadTimestamp: d.Thread.ID,
		Blocks: slack.Blocks{BlockSet: u.comment},
	})
	if err != nil {
		return n.failed(methodComplete, creating, err)
	}
	n.succeeded(methodComplete)
	return nil
}

// shared makes the receipt of a completed upload. Slack may say ok and share
// the file later, or never: then the outbox looks again.
func (n *Notifier) shared(ctx context.Context, d *triage.Delivery, id, channel string) (notifiers.Receipt, *notifiers.Error) {
	remote, err := n.shown(ctx, d, id, channel)
	if err != nil && err.Reason == notifiers.Gone {
		return notifiers.Receipt{}, err
	}
	if err == nil && remote.ID != "" {
		return notifiers.Receipt{Remote: remote}, nil
	}
	not := errors.New("the file is not shared yet")
	if err != nil {
		not = fmt.Errorf("cannot see whether the file is shared: %w", err.Err)
	}
	return notifiers.Receipt{}, &notifiers.Error{Reason: notifiers.Ambiguous, Err: not}
}

// findFile looks whether the noted file is shared.
func (n *Notifier) findFile(ctx context.Context, d *triage.Delivery) (triage.RemoteRef, *notifiers.Error) {
	if d.Progress == "" {
		return triage.RemoteRef{}, nil // no attempt came as far as sharing
	}
	channel, err := n.fileChannel(ctx, d)
	if err != nil {
		return triage.RemoteRef{}, err
	}
	remote, err := n.shown(ctx, d, d.Progress, channel)
	if err != nil {
		return triage.RemoteRef{}, readable(err)
	}
	return remote, nil
}

// shown is the message that shares a file, empty when none does. A file that
// landed in the channel for want of its thread is taken back.
func (n *Notifier) shown(ctx context.Context, d *triage.Delivery, id, channel string) (triage.RemoteRef, *notifiers.Error) {
	f, _, _, err := n.client.GetFileInfoContext(ctx, id, 1, 1)
	if err != nil {
		if code(err) == "file_not_found" { // not completed, or deleted
			n.succeeded(methodFileInfo)
			return triage.RemoteRef{}, nil
		}
		return triage.RemoteRef{}, n.failed(methodFileInfo, looking, err)
	}
	n.succeeded(methodFileInfo)
	for _, shares := range []map[string][]slack.ShareFileInfo{f.Shares.Public, f.Shares.Private} {
		if len(shares[channel]) == 0 {
			continue
		}
		share := shares[channel][0]
		remote := triage.RemoteRef{Channel: channel, ID: share.Ts}
		if d.Thread.ID != "" && share.ThreadTs != d.Thread.ID {
			return triage.RemoteRef{}, n.withdraw(ctx, remote)
		}
		return remote, nil
	}
	return triage.RemoteRef{}, nil
}
