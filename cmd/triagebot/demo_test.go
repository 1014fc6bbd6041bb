package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triagebot/notifiers/slack/slacklocal"
)

func TestADemoLeavesTheOneBeforeItAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	for _, demo := range []struct{ want, leaves string }{
		{dir, demoDatabase}, {filepath.Join(dir, "demo-2"), filepath.Join(demoEvidence, "x")}, {filepath.Join(dir, "demo-3"), demoDatabase},
	} {
		got, err := demoDir(dir)
		if err != nil || got != demo.want {
			t.Fatalf("the demo goes into %s (%v), want %s", got, err, demo.want)
		}
		write(t, got, demo.leaves, "")
	}
	if _, err := demoDir(write(t, t.TempDir(), "file", "")); err == nil {
		t.Error("a file was taken for the demo's folder")
	}
}

func TestTheDemoFollowsTheIncidentOfItsOwnFault(t *testing.T) {
	a := startApp(t, smallConfig(t, t.TempDir(), ""))
	fire := func(alertname string) {
		t.Helper()
		notify(t, a, alertname)
	}
	fire("Before")
	before := &demoShow{app: a}
	if inc, err := before.untilFiring(t.Context()); err != nil || inc.Alertname != "Before" {
		t.Fatalf("%q fires (%v), want Before", inc.Alertname, err)
	}

	d := &demoShow{app: a, since: time.Now()}
	fire("Own")
	if inc, err := d.untilFiring(t.Context()); err != nil || inc.Alertname != "Own" {
		t.Errorf("follows %q (%v), want Own", inc.Alertname, err)
	}
}

func TestADemoWhoseMessageIsGivenUpOnFails(t *testing.T) {
	a := startApp(t, smallConfig(t, t.TempDir(), ""))
	a.local.workspace.Fail("chat.postMessage", func(int) slacklocal.Fault { return slacklocal.Fault{Error: "is_archived"} })
	notify(t, a, "Slow")
	d := &demoShow{app: a}
	inc, err := d.untilFiring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.untilShown(t.Context(), inc.ID); err == nil || !strings.Contains(err.Error(), "is_archived") {
		t.Errorf("the demo ends with %v, want the message that was given up on, and why", err)
	}
}

// The last words of a demo are a command to be copied.
func TestTheDemoNamesAProgramThatIsThere(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		executable string
		err        error
		want       string
	}{
		{"/src/triagebot/.cache/triagebot", nil, "/src/triagebot/.cache/triagebot"},
		{"/tmp/go-build123/b001/exe/triagebot", nil, "go run ./cmd/triagebot"},
		{self, nil, "go run ./cmd/triagebot"}, // go test builds as go run does
		{"", errors.New("no /proc"), "triagebot"},
	} {
		t.Run(fmt.Sprint(tc.executable, tc.err), func(t *testing.T) {
			if got := ownCommand(tc.executable, tc.err); got != tc.want {
				t.Errorf("called as %q, want %q", got, tc.want)
			}
		})
	}
}
