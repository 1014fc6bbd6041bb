package evidence

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
)

var update = flag.Bool("update", false, "write the golden files of this package anew")

func TestDerivedFilesReadAsInTestdata(t *testing.T) {
	_, dir, _, _ := testBundle(t, true)
	for _, name := range []string{ReportName, TimelineName, ManifestName} {
		golden := filepath.Join("testdata", "bundle", name)
		got := readFile(t, filepath.Join(dir, name))
		if *update {
			writeFile(t, golden, got)
		}
		if diff := cmp.Diff(string(readFile(t, golden)), string(got)); diff != "" {
			t.Errorf("%s (-want +got); go test -update writes it anew:\n%s", name, diff)
		}
		if strings.Contains(string(got), "hunter2") {
			t.Errorf("%s shows a password", name)
		}
	}
}

func TestTheSameViewGivesTheSameBytes(t *testing.T) {
	s, dir, head, v := testBundle(t, true)
	before := readFile(t, filepath.Join(dir, ManifestName))
	again, err := s.Publish(t.Context(), v, nil)
	if err != nil {
		t.Fatal(err)
	}
	if after := readFile(t, filepath.Join(dir, ManifestName)); string(after) != string(before) || again != head {
		t.Error("publishing the same twice gave another manifest")
	}
}

// A new entry goes on from what the last manifest says.
func TestPublishingAgainAfterMoreEvidence(t *testing.T) {
	s, dir, head, v := testBundle(t, false)
	last := v.Evidence[len(v.Evidence)-1]
	v.Evidence = append(v.Evidence, Chain(last, stage(t, s, "validate", Artifact{Name: "v.json", Data: []byte("{}")})))
	v.Sealed = true
	next, err := s.Publish(t.Context(), v, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := mustVerify(t, dir, next); !r.Whole() || r.Entries != 4 || next == head {
		t.Errorf("after more evidence: %s", r)
	}
	if r := mustVerify(t, dir, head); r.Whole() {
		t.Error("the head from before the new entry still fits")
	}
}

// The manifest is written last: it never speaks of files that are not there.
func TestTheManifestIsWrittenLast(t *testing.T) {
	s := openTestStore(t)
	var files []string
	s.sync = func(name string) error {
		if info, err := os.Stat(name); err == nil && !info.IsDir() {
			files = append(files, filepath.Base(name))
		}
		return syncPath(name)
	}
	if _, err := s.Publish(t.Context(), testView(), nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{TimelineName, ReportName, ManifestName}, files); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
}

// Whoever lost the bundle in between leaves what another wrote there since.
func TestAPublisherThatLostTheBundleWritesNothingMore(t *testing.T) {
	lost := errors.New("lost")
	for kept, name := range []string{TimelineName, ReportName, ManifestName} {
		s, dir, head, v := testBundle(t, true)
		v.Incident.Alertname, v.Timeline, v.Sealed = "Stale", nil, false
		asked := 0
		_, err := s.Publish(t.Context(), v, func(context.Context) error {
			if asked++; asked > kept {
				return lost
			}
			return nil
		})
		if !errors.Is(err, lost) || !strings.Contains(err.Error(), name) || asked != kept+1 {
			t.Errorf("lost before %s: %v after %d questions", name, err, asked)
		}
		if kept == 0 && !mustVerify(t, dir, head).Whole() {
			t.Error("something was written")
		}
		if m := string(readFile(t, filepath.Join(dir, ManifestName))); !strings.Contains(m, head) {
			t.Errorf("lost before %s: the manifest is another", name)
		}
	}
}

// What an alert says must not pass for the report's own words.
func TestTextInTheReportCannotActAsMarkdown(t *testing.T) {
	s := openTestStore(t)
	r := &reportWriter{store: s}
	for in, want := range map[string]string{
		"# Forged\n\n- x":              `\# Forged  - x`,
		"<script>alert(1)</script>":    `&lt;script&gt;alert\(1\)&lt;/script&gt;`,
		"[a](javascript:x) ![](http:)": `\[a\]\(javascript\:x\) \!\[\]\(http\:\)`,
		"a|b `c` *d* _e_ \\":           "a\\|b \\`c\\` \\*d\\* \\_e\\_ \\\\",
		"a\u202eb\x00c\xffd":           "a\ufffdb\ufffdc\ufffdd",
		"token=abc":                    `token=&lt;redacted\:token&gt;`,
		"50 % of 3.5-4":                "50 % of 3.5-4",
	} {
		if got := r.text(in); got != want {
			t.Errorf("%q became %s, want %s", in, got, want)
		}
	}
	if got := r.text(strings.Repeat("é", 1<<20)); len(got) > maxReportText+len("…") {
		t.Errorf("a megabyte became %d bytes", len(got))
	}
}

func TestAReportWithoutRunsSaysSo(t *testing.T) {
	s := openTestStore(t)
	got := string(s.report(View{Incident: triage.Incident{ID: 1, Alertname: "Up", State: triage.IncidentFiring}}))
	for _, want := range []string{"Nothing was looked at: no run has finished.", "not sealed", "None.", "Started: at an unknown time"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
