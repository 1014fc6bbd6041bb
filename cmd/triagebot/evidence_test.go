package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triagebot/triage"
	"triagebot/triage/evidence"
)

// twoBundles is a folder with the bundles of incidents 1 and 2.
func twoBundles(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	store, err := evidence.Open(t.Context(), evidence.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // its files are looked at
	for id := range int64(2) {
		view := evidence.View{Incident: triage.Incident{ID: id + 1, Alertname: "Up", State: triage.IncidentClosed}, Sealed: true}
		if _, err := store.Publish(t.Context(), view, nil); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestVerifyingAFolderOfBundlesSaysALineEach(t *testing.T) {
	dir := twoBundles(t)
	verify := func(wantStatus int, want ...string) {
		t.Helper()
		status, stdout, stderr := run(t, "evidence", "verify", dir)
		if status != wantStatus {
			t.Errorf("exit status %d, want %d", status, wantStatus)
		}
		for _, part := range want {
			if !strings.Contains(stdout, part) {
				t.Errorf("%q is not in\n%s%s", part, stdout, stderr)
			}
		}
		if lines := strings.Count(stdout, "incident-00000"); lines < 2 {
			t.Errorf("a bundle is not named:\n%s", stdout)
		}
	}
	verify(0, "incident-000001: incident 1", "incident-000002: incident 2", "2 bundles: 2 whole, 0 changed, 0 unreadable")

	second := filepath.Join(dir, "incident-000002")
	write(t, second, evidence.ManifestName, `{"format":"of another time"}`)
	verify(2, "WHOLE", "UNREADABLE", "2 bundles: 1 whole, 0 changed, 1 unreadable")

	if err := os.Remove(filepath.Join(dir, "incident-000001", evidence.ReportName)); err != nil {
		t.Fatal(err)
	}
	verify(1, "CHANGED", "missing: report.md", "UNREADABLE", "2 bundles: 0 whole, 1 changed, 1 unreadable")
}

// A head is that of one bundle.
func TestAHeadIsNotLookedForInAFolderOfBundles(t *testing.T) {
	status, stdout, stderr := run(t, "evidence", "verify", twoBundles(t), "--head", "ab")
	if status != 2 || stdout != "" || !strings.Contains(stderr, "give a bundle's own folder") {
		t.Errorf("exit status %d, %q, %q", status, stdout, stderr)
	}
}
