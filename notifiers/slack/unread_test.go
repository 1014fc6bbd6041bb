package slack

import (
	"strings"
	"testing"

	"triagebot/notifiers"
	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage/evidence"
)

// shelf opens the evidence store in the folder.
func shelf(t *testing.T, dir string) *evidence.Store {
	t.Helper()
	s, err := evidence.Open(t.Context(), evidence.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The program gives the notifier the evidence store's own Open, so it is that
// whose errors must be told apart.
func TestWhatTheEvidenceStoreSaysOfAFileDecidesAboutIt(t *testing.T) {
	dir := t.TempDir()
	s := shelf(t, dir)
	f := setUp(t, func(o *Options, _ *slacklocal.Options) { o.Open = s.Open })
	thread := f.send(t, f.parent()).Remote
	d := f.file(thread)

	missing := f.refused(t, d, notifiers.Permanent)
	if !strings.Contains(missing.Error(), "not in the bundle") {
		t.Errorf("the error is %q, want why", missing)
	}
	d.Body.File.Artifact.Name = "../../etc/passwd"
	f.refused(t, d, notifiers.Permanent)

	staged, err := s.Stage(t.Context(), d.IncidentID, 1, "p95", evidence.Artifact{Name: "p95.png", MediaType: "image/png", Data: []byte("png")})
	if err != nil {
		t.Fatal(err)
	}
	d.Body.File.Artifact.Name = staged.Name
	if err := s.Close(); err != nil { // the store is gone
		t.Fatal(err)
	}
	f.refused(t, d, notifiers.Unreadable)
	if n := len(f.files(t)); n != 0 {
		t.Errorf("%d files are shown", n)
	}

	again := shelf(t, dir)
	t.Cleanup(func() { again.Close() })
	f.open = again.Open
	f.send(t, d)
	if n := len(f.files(t)); n != 1 {
		t.Errorf("%d files are shown once it is back, want 1", n)
	}
}

func TestAFileThatWasNeverReadIsToldOfByItsLink(t *testing.T) {
	s := shelf(t, t.TempDir())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f := setUp(t, func(o *Options, _ *slacklocal.Options) { o.Open = s.Open })
	thread := f.send(t, f.parent()).Remote
	d := f.file(thread)
	d.Body.File.Artifact.URL = "http://triage.example/evidence/7/p95.png?sig=abc"
	d.ByLink = true
	f.absent(t, d)
	sent := f.send(t, d)
	if !strings.Contains(sent.Note, "p95.png could not be read: only its link is shown") {
		t.Errorf("the timeline is told %q", sent.Note)
	}
	if got := f.found(t, d); got.Remote != sent.Remote {
		t.Errorf("found at %+v, want %+v", got.Remote, sent.Remote)
	}
	shown := f.files(t)
	if len(shown) != 1 || len(shown[0].Files) != 0 || !strings.Contains(string(shown[0].Blocks), d.Body.File.Artifact.URL) {
		t.Fatalf("the thread shows %+v, want the link", shown)
	}
	if strings.Contains(shown[0].Text, "may repeat") {
		t.Errorf("it says that it may repeat another: %q", shown[0].Text)
	}
}
