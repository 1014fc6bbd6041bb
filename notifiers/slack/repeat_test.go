package slack

import (
	"strings"
	"testing"
	"time"

	"triagebot/notifiers/slack/slacklocal"
)

// everything is what the channel shows, replies after their parents.
func (f *fixture) everything() (shown []slacklocal.Message) {
	for _, thread := range f.ws.Channel("incidents") {
		shown = append(append(shown, thread.Message), thread.Replies...)
	}
	return shown
}

func TestAMessageThatMayRepeatAnotherSaysSo(t *testing.T) {
	const said = "may repeat a message sent at 2026-03-01 12:00:00 UTC: its delivery could not be confirmed"
	f := setUp(t)
	parent := f.parent()
	parent.MayRepeat = start
	thread := f.send(t, parent).Remote
	reply := f.reply(thread)
	reply.MayRepeat = start.Add(time.Millisecond)
	f.send(t, reply)
	parent.Remote = thread
	f.send(t, parent) // the edit of a repeated message says it too

	for i, m := range f.everything() {
		if !strings.Contains(m.Text, said) {
			t.Errorf("message %d says %q, want it to say that it %s", i, m.Text, said)
		}
		if !strings.Contains(string(m.Blocks), "its delivery could not be confirmed") {
			t.Errorf("the blocks of message %d do not say it: %s", i, m.Blocks)
		}
	}
}

func TestAFileThatMayBeShownIsToldOfAndNotUploadedAgain(t *testing.T) {
	f := setUp(t)
	thread := f.send(t, f.parent()).Remote
	d := f.file(thread)
	d.Body.File.Artifact.URL = "http://triage.example/evidence/7/p95.png?sig=abc"
	d.MayRepeat, d.Progress = start, "F0EARLIER"
	sent := f.send(t, d)
	if got := f.found(t, d); got.Remote != sent.Remote {
		t.Errorf("found at %+v, want %+v", got.Remote, sent.Remote)
	}
	for _, m := range f.everything() {
		if len(m.Files) > 0 {
			t.Errorf("the file was uploaded again: %+v", m)
		}
		if m.TS == sent.Remote.ID && (m.ThreadTS != thread.ID || !strings.Contains(string(m.Blocks), d.Body.File.Artifact.URL)) {
			t.Errorf("the message is not in the thread or lacks the link: %+v", m)
		}
	}

	d = f.file(thread) // one without a page of its own
	d.MayRepeat = start
	f.send(t, d)
}
