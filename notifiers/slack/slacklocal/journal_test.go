package slacklocal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// filled is a workspace with something of everything.
func filled(t *testing.T, journal string) *fixture {
	t.Helper()
	f := setUp(t, Options{Journal: journal, Channels: []string{"incidents", "old"}})
	ts := f.post(t, "parent", "metadata", `{"event_type":"e","event_payload":{"nonce":"p"}}`)
	f.post(t, "reply", "thread_ts", ts, "blocks", `[{"type":"divider"}]`)
	gone := f.post(t, "gone", "metadata", `{"event_type":"e","event_payload":{"nonce":"gone"}}`)
	f.call(t, "chat.delete", "channel", f.id(), "ts", gone)
	f.call(t, "chat.update", "channel", f.id(), "ts", ts, "text", "edited")
	f.uploadFile(t, "a.txt", "content", "thread_ts", ts)
	if err := f.Archive("old"); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTheChannelSurvivesRestarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	f := filled(t, path)
	want, posts := f.Channel("incidents"), f.PostsByNonce()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second reads what the first wrote anew
		f = setUp(t, Options{Journal: path})
		if diff := cmp.Diff(want, f.Channel("incidents")); diff != "" {
			t.Fatalf("after a restart (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(posts, f.PostsByNonce()); diff != "" {
			t.Errorf("posts after a restart (-before +after):\n%s", diff)
		}
		if got := f.file(t, "F0LOCAL000001"); got != "content" {
			t.Errorf("the file holds %q", got)
		}
		if r := f.call(t, "chat.postMessage", "channel", "old", "text", "x"); r.err() != "is_archived" {
			t.Errorf("the archived channel: %v", r)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	f = setUp(t, Options{Journal: path})
	last := want[0].Replies[len(want[0].Replies)-1].TS
	if ts := f.post(t, "next"); ts <= last {
		t.Errorf("ts %s after the restart, and %s before", ts, last)
	}
	if id := f.uploadFile(t, "b.txt", "more"); id != "F0LOCAL000002" {
		t.Errorf("the next file is %s", id)
	}
}

func TestALineCutOffByACrashIsLeftOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	f := setUp(t, Options{Journal: path})
	f.post(t, "whole")
	f.post(t, "cut off")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := 1; cut < 100; cut += 7 {
		if err := os.WriteFile(path, data[:len(data)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		f := setUp(t, Options{Journal: path})
		if shown := f.Channel("incidents"); len(shown) != 1 || shown[0].Text != "whole" {
			t.Errorf("%d bytes cut off: %+v", cut, shown)
		}
		f.post(t, "after")
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if f := setUp(t, Options{Journal: path}); len(f.Channel("incidents")) != 2 {
			t.Errorf("%d bytes cut off: what came after is lost", cut)
		}
	}
}

func TestAJournalThatIsNoneIsRefused(t *testing.T) {
	for name, content := range map[string]string{
		"not JSON":        "hello\n",
		"unknown change":  `{"op":"dance"}` + "\n",
		"unknown channel": `{"op":"post","channel":"C1","message":{"ts":"1.000000"}}` + "\n",
		"no message":      `{"op":"channel","channel":"C1","name":"a"}` + "\n" + `{"op":"post","channel":"C1"}` + "\n",
		"channel twice":   strings.Repeat(`{"op":"channel","channel":"C1","name":"a"}`+"\n", 2),
		"no file":         `{"op":"file"}` + "\n",
	} {
		path := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Options{Journal: path}); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%s: error %v, want one that names the file and line", name, err)
		}
	}
	if _, err := New(Options{Journal: filepath.Join(t.TempDir(), "no", "such", "folder")}); err == nil {
		t.Error("a folder that is not there is no error")
	}
}
