package slack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"triagebot/notifiers"
	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage"
)

// inThread sets up a notifier with a parent shown.
func inThread(t *testing.T) (*fixture, triage.RemoteRef) {
	f := setUp(t)
	return f, f.send(t, f.parent()).Remote
}

// files are the messages with files in the one thread.
func (f *fixture) files(t *testing.T) []slacklocal.Message {
	t.Helper()
	threads := f.ws.Channel("incidents")
	if len(threads) != 1 {
		t.Fatalf("the channel shows %d threads, want 1", len(threads))
	}
	return threads[0].Replies
}

func TestAnArtifactIsUploadedIntoTheThread(t *testing.T) {
	f, thread := inThread(t)
	d := f.file(thread)
	r := f.send(t, d)
	shown := f.files(t)
	if len(shown) != 1 || shown[0].TS != r.Remote.ID || len(shown[0].Files) != 1 || !strings.Contains(string(shown[0].Blocks), "p95 over the last hour") {
		t.Fatalf("the thread shows %+v, the receipt says %+v", shown, r)
	}
	if len(f.progress) != 1 || f.progress[0] != shown[0].Files[0] {
		t.Errorf("noted %q, want the file's ID %s", f.progress, shown[0].Files[0])
	}
	info, _, _, err := f.client.GetFileInfo(f.progress[0], 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if info.AltTxt != d.Body.File.Artifact.Alt || info.Title != "p95 latency" || info.Name != "p95.png" {
		t.Errorf("file %q, %q, alt %q", info.Name, info.Title, info.AltTxt)
	}
	var got bytes.Buffer
	if err := f.client.GetFile(info.URLPrivate, &got); err != nil || got.String() != string(f.artifacts["p95.png"]) {
		t.Errorf("the file holds %q, %v", got.String(), err)
	}
	if again := f.found(t, d); again.Remote != r.Remote {
		t.Errorf("found at %+v, want %+v", again.Remote, r.Remote)
	}
}

func TestAFileIsNotedBeforeItIsShared(t *testing.T) {
	f, thread := inThread(t)
	d := f.file(thread)
	_, err := f.Send(t.Context(), d, func(string) error {
		if n := len(f.files(t)); n != 0 {
			t.Errorf("%d files are shared before the note", n)
		}
		return errors.New("the disk is full")
	})
	reasonOf(t, err, notifiers.Transient, "Send")
	if n := len(f.files(t)); n != 0 {
		t.Errorf("%d files are shared though the note failed", n)
	}
}

func TestAnUploadCutOffAnywhereIsSharedOnce(t *testing.T) {
	cases := map[string]struct {
		method string
		fault  slacklocal.Fault
		reason notifiers.Reason
		found  bool // by the look after it
	}{
		"before the URL":         {methodGetURL, slacklocal.Fault{Cut: true}, notifiers.Transient, false},
		"after the URL":          {methodGetURL, slacklocal.Fault{Accept: true, Cut: true}, notifiers.Transient, false},
		"before the bytes":       {methodTransfer, slacklocal.Fault{Cut: true}, notifiers.Transient, false},
		"after the bytes":        {methodTransfer, slacklocal.Fault{Accept: true, Cut: true}, notifiers.Transient, false},
		"before it is complete":  {methodComplete, slacklocal.Fault{Cut: true}, notifiers.Ambiguous, false},
		"after it is complete":   {methodComplete, slacklocal.Fault{Accept: true, Cut: true}, notifiers.Ambiguous, true},
		"fatal_error, complete":  {methodComplete, slacklocal.Fault{Accept: true, Error: "fatal_error"}, notifiers.Ambiguous, true},
		"before the last look":   {methodFileInfo, slacklocal.Fault{Cut: true}, notifiers.Ambiguous, true},
		"500 to the last look":   {methodFileInfo, slacklocal.Fault{Status: 500}, notifiers.Ambiguous, true},
		"limited the last look":  {methodFileInfo, slacklocal.Fault{Status: 429, RetryAfter: "1"}, notifiers.Ambiguous, true},
		"refused when completed": {methodComplete, slacklocal.Fault{Error: "invalid_auth"}, notifiers.Transient, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f, thread := inThread(t)
			d := f.file(thread)
			f.ws.Fail(c.method, once(c.fault))
			f.refused(t, d, c.reason)
			r, found, err := f.Find(t.Context(), d)
			if err != nil || found != c.found {
				t.Fatalf("Find = %+v, %v, %v; want found %v", r, found, err, c.found)
			}
			if !found {
				r = f.send(t, d)
			}
			if shown := f.files(t); len(shown) != 1 || shown[0].TS != r.Remote.ID {
				t.Errorf("the thread shows %+v, the receipt says %+v", shown, r)
			}
		})
	}
}

func TestAFileThatIsSharedLateIsNotSharedTwice(t *testing.T) {
	f, thread := inThread(t)
	f.ws.Fail(methodComplete, once(slacklocal.Fault{LateShare: true}))
	d := f.file(thread)
	f.refused(t, d, notifiers.Ambiguous)
	f.absent(t, d)
	if n, err := f.ws.ReleaseShares(); n != 1 || err != nil {
		t.Fatalf("released %d, %v", n, err)
	}
	r := f.found(t, d)
	if again := f.send(t, d); again.Remote != r.Remote {
		t.Errorf("sent again to %+v, want the share that is there, %+v", again.Remote, r.Remote)
	}
	if n := len(f.files(t)); n != 1 {
		t.Errorf("%d shares", n)
	}
}

func TestAFileThatIsNeverSharedIsSharedByTheNextAttempt(t *testing.T) {
	f, thread := inThread(t)
	f.ws.Fail(methodComplete, once(slacklocal.Fault{LateShare: true}))
	d := f.file(thread)
	f.refused(t, d, notifiers.Ambiguous)
	first := d.Progress
	f.absent(t, d)
	f.send(t, d)
	if shown := f.files(t); len(shown) != 1 || shown[0].Files[0] != first {
		t.Errorf("the thread shows %+v, want the file %s once", shown, first)
	}
}

func TestAFileThatSlackDroppedIsUploadedAgain(t *testing.T) {
	f, thread := inThread(t)
	d := f.file(thread)
	d.Progress = "F0LOCAL999999"
	f.absent(t, d)
	f.send(t, d)
	if shown := f.files(t); len(shown) != 1 || shown[0].Files[0] == "F0LOCAL999999" {
		t.Errorf("the thread shows %+v", shown)
	}
}

func TestAFileForADeletedParentIsTakenBack(t *testing.T) {
	f, thread := inThread(t)
	if err := f.ws.Delete("incidents", thread.ID); err != nil {
		t.Fatal(err)
	}
	f.refused(t, f.file(thread), notifiers.Gone)
	if shown := f.ws.Channel("incidents"); len(shown) != 0 {
		t.Errorf("the file stays in the channel: %+v", shown)
	}
}

func TestAnArtifactThatCannotBeRead(t *testing.T) {
	t.Run("is not there", func(t *testing.T) {
		f, thread := inThread(t)
		delete(f.artifacts, "p95.png")
		f.refused(t, f.file(thread), notifiers.Permanent)
	})
	t.Run("is empty", func(t *testing.T) {
		f, thread := inThread(t)
		f.artifacts["p95.png"] = nil
		f.refused(t, f.file(thread), notifiers.Permanent)
	})
	t.Run("cannot be opened", func(t *testing.T) {
		f, thread := inThread(t)
		f.open = func(context.Context, int64, string) (io.ReadCloser, int64, error) {
			return nil, 0, errors.New("the bucket is down")
		}
		f.refused(t, f.file(thread), notifiers.Unreadable)
	})
	t.Run("fails while it is read", func(t *testing.T) {
		f, thread := inThread(t)
		f.open = func(context.Context, int64, string) (io.ReadCloser, int64, error) {
			half := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errors.New("the bucket is down")))
			return io.NopCloser(half), 8, nil
		}
		f.refused(t, f.file(thread), notifiers.Unreadable)
	})
	t.Run("is not read to its end because of a stop", func(t *testing.T) {
		f, thread := inThread(t)
		ctx, stop := context.WithCancel(t.Context())
		f.open = func(ctx context.Context, _ int64, _ string) (io.ReadCloser, int64, error) {
			stop()
			return nil, 0, ctx.Err()
		}
		d := f.file(thread)
		_, err := f.Send(ctx, d, f.checkpoint(d))
		reasonOf(t, err, notifiers.Transient, "Send")
	})
	t.Run("breaks off", func(t *testing.T) {
		f, thread := inThread(t)
		f.open = func(context.Context, int64, string) (io.ReadCloser, int64, error) {
			return io.NopCloser(strings.NewReader("half")), 8, nil
		}
		f.refused(t, f.file(thread), notifiers.Unreadable)
		if n := len(f.files(t)); n != 0 {
			t.Errorf("%d files are shared", n)
		}
	})
	t.Run("is larger than Slack takes", func(t *testing.T) {
		f, thread := inThread(t)
		f.open = func(context.Context, int64, string) (io.ReadCloser, int64, error) {
			return io.NopCloser(strings.NewReader("")), maxFile + 1, nil
		}
		f.refused(t, f.file(thread), notifiers.Permanent)
	})
}
