package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"triagebot/triage"
)

var testTime = time.Date(2026, 11, 24, 4, 0, 0, 123456789, time.UTC)

func openTestStore(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: filepath.Join(t.TempDir(), "evidence"), Now: func() time.Time { return testTime }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func stage(t testing.TB, s *Store, step string, a Artifact) Staged {
	t.Helper()
	staged, err := s.Stage(t.Context(), 42, 9, step, a)
	if err != nil {
		t.Fatal(err)
	}
	return staged
}

func TestAnArtifactIsRedactedThenStoredUnderItsHash(t *testing.T) {
	registry := prometheus.NewRegistry()
	s, err := Open(t.Context(), Options{Dir: t.TempDir(), Registerer: registry, Now: func() time.Time { return testTime }})
	if err != nil {
		t.Fatal(err)
	}
	body := `{"status":"ok","password":"hunter2"}`
	got := stage(t, s, "readyz", Artifact{
		Name: "readyz.json", MediaType: "application/json", Data: []byte(body),
		Source: "GET http://bob:pw@app:8080/readyz",
	})
	stored := `{"status":"ok","password":"<redacted:password>"}`
	sum := sha256Hex([]byte(stored))
	want := Staged{
		IncidentID: 42, Name: "runs/9/readyz-" + sum[:8] + ".json", MediaType: "application/json",
		Size: int64(len(stored)), SHA256: sum, Source: "GET http://bob:<redacted:url-password>@app:8080/readyz",
		CreatedAt: testTime.Truncate(time.Millisecond), Redactions: 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("staged (-want +got):\n%s", diff)
	}
	r, size, err := s.Open(t.Context(), 42, got.Name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	if string(b) != stored || size != want.Size {
		t.Errorf("read back %d bytes: %s", size, b)
	}
	if n := testutil.ToFloat64(s.redactions); n != 2 {
		t.Errorf("triagebot_evidence_redactions_total is %v, want 2", n)
	}
	if n, err := testutil.GatherAndCount(registry); err != nil || n != 4 {
		t.Errorf("%d metrics, error %v", n, err)
	}
}

func TestArtifactNames(t *testing.T) {
	const sum = "3fa9c2d1aaaaaaaa"
	for _, tc := range []struct{ step, file, mediaType, want string }{
		{"p95", "p95.json", "application/json", "runs/9/p95-3fa9c2d1.json"},
		{"p95", "p95.PNG", "image/png", "runs/9/p95-3fa9c2d1.png"},
		{"p95", "p95-chart.png", "image/png", "runs/9/p95-chart-3fa9c2d1.png"},
		{"readyz", "response.txt", "text/plain", "runs/9/readyz-response-3fa9c2d1.txt"},
		{"readyz", "", "application/problem+json; charset=utf-8", "runs/9/readyz-3fa9c2d1.json"},
		{"x", "x.exe", "application/x-msdownload", "runs/9/x-3fa9c2d1.bin"},
		{"../../etc", "/etc/passwd", "text/plain", "runs/9/etc-passwd-3fa9c2d1.txt"},
		{"..", "../..", "", "runs/9/artifact-3fa9c2d1.bin"},
		{"a\x00b", "ü\n.json", "", "runs/9/a-b-3fa9c2d1.json"},
		{strings.Repeat("s", 500), strings.Repeat("f", 500) + ".json", "", "runs/9/" + strings.Repeat("s", 60) + "-" + strings.Repeat("f", 60) + "-3fa9c2d1.json"},
	} {
		got := artifactName(9, tc.step, tc.file, tc.mediaType, sum, 8)
		if got != tc.want {
			t.Errorf("step %.20q, file %.20q: named %s, want %s", tc.step, tc.file, got, tc.want)
		}
		if err := ValidateName(got); err != nil {
			t.Error(err)
		}
		if shortHash(got) != "3fa9c2d1" {
			t.Errorf("the hash in %s is read as %q", got, shortHash(got))
		}
	}
}

// The runner repeats a step whose process died; a committed row may refer to
// what the first attempt wrote.
func TestASecondAttemptOverwritesNothing(t *testing.T) {
	s := openTestStore(t)
	first := stage(t, s, "p95", Artifact{Name: "p95.json", Data: []byte(`{"v":1}`)})
	again := stage(t, s, "p95", Artifact{Name: "p95.json", Data: []byte(`{"v":1}`)})
	if first != again {
		t.Errorf("the same content was staged as %+v, then as %+v", first, again)
	}
	other := stage(t, s, "p95", Artifact{Name: "p95.json", Data: []byte(`{"v":2}`)})
	if other.Name == first.Name {
		t.Errorf("other content got the same name %s", other.Name)
	}

	// A name that is taken by other content, by a collision or a torn file.
	third := Artifact{Name: "p95.json", Data: []byte(`{"v":3}`)}
	sum := sha256Hex(third.Data)
	taken := filepath.Join(s.dir, "incident-000042", "runs", "9", "p95-"+sum[:8]+".json")
	if err := os.WriteFile(taken, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := stage(t, s, "p95", third); got.Name != "runs/9/p95-"+sum[:16]+".json" {
		t.Errorf("named %s beside a taken name", got.Name)
	}
	if b, err := os.ReadFile(taken); err != nil || string(b) != "torn" {
		t.Errorf("the taken name was overwritten: %q, %v", b, err)
	}
}

func TestNoFileButTheArtifactIsWritten(t *testing.T) {
	s := openTestStore(t)
	staged := stage(t, s, "p95", Artifact{Name: "p95.json", MediaType: "application/json", Data: []byte(`{}`)})
	var files []string
	err := filepath.WalkDir(s.dir, func(name string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(s.dir, name)
			files = append(files, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"incident-000042/" + staged.Name}, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// A row must never outlive its file, so everything from the file up is on disk
// before Stage returns: content first, then the names that lead to it.
func TestFileAndFoldersAreSyncedInOrder(t *testing.T) {
	s := openTestStore(t)
	var synced []string
	s.sync = func(name string) error {
		rel, _ := filepath.Rel(s.dir, name)
		synced = append(synced, filepath.ToSlash(rel))
		return syncPath(name)
	}
	a := Artifact{Name: "p95.json", Data: []byte(`{}`)}
	want := []string{"incident-000042/runs/9/p95-44136fa3.json", "incident-000042/runs/9", "incident-000042/runs", "incident-000042", "."}
	stage(t, s, "p95", a)
	if diff := cmp.Diff(want, synced); diff != "" {
		t.Errorf("synced (-want +got):\n%s", diff)
	}
	// The attempt before may have died between write and sync.
	synced = nil
	stage(t, s, "p95", a)
	if diff := cmp.Diff(want, synced); diff != "" {
		t.Errorf("synced for a file that was there (-want +got):\n%s", diff)
	}
}

func TestBundlesAreForTriagebotsUserAndGroupAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777|fs.ModeSetgid); err != nil { // as an older one may be
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	staged := stage(t, s, "p95", Artifact{Name: "p95.json", Data: []byte(`{}`)})
	if _, err := s.Publish(t.Context(), testView(), nil); err != nil {
		t.Fatal(err)
	}
	bundle := Folder(42)
	for name, most := range map[string]fs.FileMode{
		".": 0o770, bundle: 0o750, bundle + "/runs/9": 0o750,
		bundle + "/" + staged.Name: 0o640, bundle + "/" + ManifestName: 0o640, bundle + "/" + TimelineName: 0o640,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode&^most != 0 {
			t.Errorf("%s has the permissions %o, want %o at the most", name, mode, most)
		}
		if name == "." && info.Mode()&fs.ModeSetgid == 0 {
			t.Error("the folder no longer hands its group on")
		}
	}
	if err := os.Chmod(filepath.Join(dir, bundle, ManifestName), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := narrow(filepath.Join(dir, bundle, ManifestName), fileMode); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, bundle, ManifestName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a file of the user's alone was opened to the group: %v", info.Mode())
	}
}

func TestAFailingSyncFailsTheStage(t *testing.T) {
	s := openTestStore(t)
	full := errors.New("no space left on device")
	for fail := range 5 {
		n := 0
		s.sync = func(string) error {
			if n++; n == fail+1 {
				return full
			}
			return nil
		}
		if _, err := s.Stage(t.Context(), 42, 9, "p95", Artifact{Name: "p95.json", Data: []byte("x")}); !errors.Is(err, full) {
			t.Errorf("sync %d failed, Stage returned %v", fail, err)
		}
	}
	if n := testutil.ToFloat64(s.staged.WithLabelValues("error")); n != 5 {
		t.Errorf("counted %v errors, want 5", n)
	}
}

func TestWhatCannotBeStaged(t *testing.T) {
	s := openTestStore(t)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, try := range map[string]func() error{
		"too large": func() error {
			_, err := s.Stage(t.Context(), 42, 9, "a", Artifact{Name: "a.txt", Data: make([]byte, MaxArtifact+1)})
			return err
		},
		"no incident": func() error { _, err := s.Stage(t.Context(), 0, 9, "a", Artifact{}); return err },
		"no run":      func() error { _, err := s.Stage(t.Context(), 42, -1, "a", Artifact{}); return err },
		"canceled":    func() error { _, err := s.Stage(canceled, 42, 9, "a", Artifact{Name: "a.txt"}); return err },
	} {
		if try() == nil {
			t.Errorf("%s: staged", name)
		}
	}
}

func TestNamesThatLeadOutOfTheBundleAreRefused(t *testing.T) {
	s := openTestStore(t)
	stage(t, s, "p95", Artifact{Name: "p95.json", Data: []byte(`{}`)})
	outside := filepath.Join(filepath.Dir(s.dir), "secret.txt")
	if err := os.WriteFile(outside, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"", ".", "..", "/", "../secret.txt", "../../secret.txt", "runs/../../../secret.txt", "runs/9/../../../../secret.txt",
		"/etc/passwd", "runs//9", "runs/9/", "./runs", "runs/.hidden", `runs\9`, `..\secret.txt`, "runs/9/a\x00b", "runs/9/a\nb",
		"%2e%2e/secret.txt", "runs/9/ü", "runs/9/a b", "runs/9/a.attrs", strings.Repeat("a", 201), outside,
	} {
		if err := ValidateName(name); err == nil {
			t.Errorf("%.40q is a valid name", name)
		}
		if r, _, err := s.Open(t.Context(), 42, name); !errors.Is(err, ErrNotFound) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("opened %.40q: %v %v", name, r, err)
		}
	}
	for _, name := range []string{"runs", "runs/9", "runs/9/none.json"} {
		if _, _, err := s.Open(t.Context(), 42, name); !errors.Is(err, ErrNotFound) {
			t.Errorf("opened %s: %v", name, err)
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		o    Options
		want string
	}{
		{Options{}, "either a folder or a bucket URL"},
		{Options{Dir: "x", BucketURL: "y://z"}, "either a folder or a bucket URL"},
		{Options{Dir: file}, "is not a directory"},
		{Options{BucketURL: "bucket"}, "not a URL"},
		{Options{BucketURL: "ftp://user:hunter2@bucket?secret=hunter2"}, "knows no ftp buckets"},
		{Options{BucketURL: "file:///tmp/x"}, "give the folder as a folder"},
	} {
		_, err := Open(t.Context(), tc.o)
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%+v: %v, want %q in it", tc.o, err, tc.want)
		}
	}
}

func TestChainGrowsFromTheLastEntry(t *testing.T) {
	first := Chain(triage.Evidence{}, Staged{IncidentID: 42, Name: "runs/9/a-00000000.json", SHA256: "aa", CreatedAt: testTime})
	second := Chain(first, Staged{IncidentID: 42, Name: "runs/9/b-00000000.json", SHA256: "bb", CreatedAt: testTime})
	if first.Seq != 1 || first.Prev != "" || second.Seq != 2 || second.Prev != first.Hash || len(first.Hash) != 64 {
		t.Errorf("chained\n%+v\n%+v", first, second)
	}
	// A database gives times back in its own zone and precision.
	back := second
	back.CreatedAt = second.CreatedAt.In(time.FixedZone("x", 3600))
	if entryHash(back) != second.Hash {
		t.Error("the hash of an entry depends on its time's zone")
	}
}

func BenchmarkStage(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			s := openTestStore(b)
			unit := `{"metric":{"route":"/v1/chat/completions","le":"0.5"},"value":[1764000000.123,"12345"]},`
			body := strings.Repeat(unit, size/len(unit))
			b.SetBytes(int64(len(body)))
			n := 0
			for b.Loop() {
				n++
				stage(b, s, "p95", Artifact{Name: "p95.json", MediaType: "application/json", Data: fmt.Appendf(nil, "%s%d", body, n)})
			}
		})
	}
}
