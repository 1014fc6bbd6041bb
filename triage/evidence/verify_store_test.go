package evidence

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// publishEach writes a sealed bundle for each incident, and the index above.
func publishEach(t *testing.T, incidents ...int64) (s *Store, dir string) {
	t.Helper()
	s = openTestStore(t)
	for _, id := range incidents {
		v := testView()
		v.Incident.ID, v.Sealed, v.Timeline = id, true, nil
		if _, err := s.Publish(t.Context(), v, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.PublishIndex(t.Context(), Index{}, nil); err != nil {
		t.Fatal(err)
	}
	return s, s.dir
}

// verdicts are what VerifyStore says, by bundle.
func verdicts(t *testing.T, where string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := VerifyStore(t.Context(), where, func(r Report, err error) {
		switch name := filepath.Base(r.Bundle); {
		case err != nil:
			got[name] = "unreadable"
		case r.Whole():
			got[name] = "whole"
		default:
			got[name] = string(r.Problems[0].Change)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestEveryBundleOfAStoreIsVerified(t *testing.T) {
	_, dir := publishEach(t, 1, 2, 3, 1234567)
	writeFile(t, filepath.Join(dir, "dry-run.md"), []byte("of people\n"))
	writeFile(t, filepath.Join(dir, "incident-notes", "a.md"), []byte("of people\n"))
	writeFile(t, filepath.Join(dir, "incident-000001", ReportName), []byte("All is well.\n"))
	writeFile(t, filepath.Join(dir, "incident-000002", ManifestName), []byte(`{"format":"triagebot-evidence/9"}`))
	want := map[string]string{"incident-000001": "changed", "incident-000002": "unreadable", "incident-000003": "whole", "incident-1234567": "whole"}
	if diff := cmp.Diff(want, verdicts(t, dir)); diff != "" {
		t.Errorf("bundles (-want +got):\n%s", diff)
	}
}

// Else whoever may write into a bundle could have another verified in its place.
func TestABundleWithABundleInItIsNoStore(t *testing.T) {
	_, dir := publishEach(t, 7)
	bundle := filepath.Join(dir, "incident-000007")
	_, other := publishEach(t, 1)
	if err := os.CopyFS(bundle, os.DirFS(other)); err != nil {
		t.Fatal(err)
	}
	never := func(r Report, err error) { t.Errorf("verified %s: %v", r.Bundle, err) }
	t.Chdir(bundle)
	for _, where := range []string{bundle, bundle + "/", ".", "s3://b?region=x&prefix=a/incident-000007/"} {
		if err := VerifyStore(t.Context(), where, never); !errors.Is(err, ErrNoBundles) {
			t.Errorf("%s: %v, want that it has no bundles", where, err)
		}
	}
}

func TestStoresThatCannotBeVerified(t *testing.T) {
	_, dir := publishEach(t, 1)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	never := func(r Report, err error) { t.Errorf("verified %s: %v", r.Bundle, err) }
	if err := VerifyStore(t.Context(), t.TempDir(), never); !errors.Is(err, ErrNoBundles) {
		t.Errorf("an empty folder: %v", err)
	}
	if err := VerifyStore(t.Context(), filepath.Join(dir, "none"), never); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if err := VerifyStore(canceled, dir, never); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestBundlesInABucketAreFoundByTheirPrefix(t *testing.T) {
	s, _ := publishEach(t, 1, 2)
	folders, err := bucketFolders(t.Context(), s.bucket)
	if diff := cmp.Diff([]string{"incident-000001", "incident-000002"}, folders); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for where, want := range map[string]string{
		"s3://b?region=x":           "s3://b?prefix=incident-000002%2F&region=x",
		"s3://b?prefix=a/&region=x": "s3://b?prefix=a%2Fincident-000002%2F&region=x",
		"/data/evidence":            "/data/evidence/incident-000002",
	} {
		if got, err := bundleWithin(where, "incident-000002"); got != want || err != nil {
			t.Errorf("%s: %s (%v), want %s", where, got, err, want)
		}
	}
}
