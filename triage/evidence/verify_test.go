package evidence

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
)

// testBundle writes a bundle of three artifacts and returns its folder and head.
func testBundle(t testing.TB, sealed bool) (s *Store, dir, head string, v View) {
	t.Helper()
	s = openTestStore(t)
	v = testView()
	v.Sealed = sealed
	var last triage.Evidence
	for _, a := range []Artifact{
		{Name: "p95.json", MediaType: "application/json", Source: "query on http://prometheus:9090", Data: []byte(`{"v":0.5}`)},
		{Name: "p95.png", MediaType: "image/png", Source: "chart", Data: []byte("\x89PNG\r\n\x1a\n")},
		{Name: "readyz.txt", MediaType: "text/plain", Source: "GET http://app/readyz", Data: []byte("not ready, token=abc")},
	} {
		last = Chain(last, stage(t, s, strings.TrimSuffix(a.Name, filepath.Ext(a.Name)), a))
		v.Evidence = append(v.Evidence, last)
	}
	head, err := s.Publish(t.Context(), v, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, filepath.Join(s.dir, Folder(42)), head, v
}

func mustVerify(t *testing.T, dir, head string) Report {
	t.Helper()
	r, err := Verify(t.Context(), dir, head)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestABundleAsWrittenIsWhole(t *testing.T) {
	_, dir, head, _ := testBundle(t, true)
	for _, want := range []string{"", head, " " + strings.ToUpper(head) + "\n"} {
		r := mustVerify(t, dir, want)
		if !r.Whole() || !r.Sealed || r.Entries != 3 || r.Incident != 42 || r.Redactions != 1 || r.Head != head || len(r.Unlisted) != 0 {
			t.Errorf("with head %q: %+v", want, r)
		}
		text := r.String()
		if !strings.HasPrefix(text, "WHOLE: ") || !strings.Contains(text, head) {
			t.Errorf("summary: %s", text)
		}
		if shown := strings.Contains(text, "as expected"); shown != (want != "") {
			t.Errorf("summary with head %q: %s", want, text)
		}
	}
}

// editManifest changes the manifest as somebody would who knows its form; with
// reseal also its head is made to fit.
func editManifest(t *testing.T, dir string, reseal bool, edit func(*Manifest)) {
	t.Helper()
	name := filepath.Join(dir, ManifestName)
	m, err := decodeManifest(readFile(t, name))
	if err != nil {
		t.Fatal(err)
	}
	edit(m)
	if reseal {
		if err := m.seal(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, name, b)
}

func rechain(m *Manifest) {
	var last triage.Evidence
	for i, e := range m.Evidence {
		e.Seq, e.Prev = last.Seq+1, last.Hash
		e.Hash = entryHash(e)
		m.Evidence[i], last = e, e
	}
	m.Chain = last.Hash
}

func TestWhatWasChangedIsNamed(t *testing.T) {
	flip := func(name string) func(*testing.T, string, View) {
		return func(t *testing.T, dir string, _ View) {
			b := readFile(t, filepath.Join(dir, name))
			b[len(b)/2] ^= 1
			writeFile(t, filepath.Join(dir, name), b)
		}
	}
	artifact := func(v View, i int) string { return v.Evidence[i].Name }
	manifest := func(reseal bool, edit func(*Manifest)) func(*testing.T, string, View) {
		return func(t *testing.T, dir string, _ View) { editManifest(t, dir, reseal, edit) }
	}
	for _, tc := range []struct {
		name   string
		tamper func(t *testing.T, dir string, v View)
		want   []string // beginnings of the problems; % is the second artifact
	}{
		{"a byte of the report", flip(ReportName), []string{"changed: report.md"}},
		{"a byte of the timeline", flip(TimelineName), []string{"changed: timeline.ndjson"}},
		{"a byte of an artifact", func(t *testing.T, dir string, v View) { flip(artifact(v, 1))(t, dir, v) }, []string{"changed: %"}},
		{"an artifact cut short", func(t *testing.T, dir string, v View) {
			writeFile(t, filepath.Join(dir, artifact(v, 1)), nil)
		}, []string{"changed: %"}},
		{"an artifact deleted", func(t *testing.T, dir string, v View) {
			if err := os.Remove(filepath.Join(dir, artifact(v, 1))); err != nil {
				t.Fatal(err)
			}
		}, []string{"missing: %"}},
		{"an artifact replaced by a link to itself elsewhere", func(t *testing.T, dir string, v View) {
			name := filepath.Join(dir, artifact(v, 1))
			outside := filepath.Join(t.TempDir(), "copy")
			if err := os.Rename(name, outside); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(outside, name); err != nil {
				t.Fatal(err)
			}
		}, []string{"changed: %: it is no regular file"}},
		{"the report deleted", func(t *testing.T, dir string, _ View) {
			if err := os.Remove(filepath.Join(dir, ReportName)); err != nil {
				t.Fatal(err)
			}
		}, []string{"missing: report.md"}},
		{"the manifest deleted", func(t *testing.T, dir string, _ View) {
			if err := os.Remove(filepath.Join(dir, ManifestName)); err != nil {
				t.Fatal(err)
			}
		}, []string{"missing: manifest.json"}},
		{"the manifest emptied", func(t *testing.T, dir string, _ View) {
			writeFile(t, filepath.Join(dir, ManifestName), nil)
		}, []string{"edited: manifest.json: it is no JSON"}},
		{"a file added", func(t *testing.T, dir string, _ View) {
			writeFile(t, filepath.Join(dir, "notes.txt"), []byte("x"))
		}, []string{"added: notes.txt"}},
		{"a file added that fileblob hides", func(t *testing.T, dir string, _ View) {
			writeFile(t, filepath.Join(dir, "runs/9/x.attrs"), []byte("x"))
		}, []string{"added: runs/9/x.attrs"}},
		{"a file added under a made-up hash", func(t *testing.T, dir string, _ View) {
			writeFile(t, filepath.Join(dir, "runs/9/p95-00000000.json"), []byte("x"))
		}, []string{"added: runs/9/p95-00000000.json"}},
		{"space added to the manifest", func(t *testing.T, dir string, _ View) {
			name := filepath.Join(dir, ManifestName)
			writeFile(t, name, bytes.Replace(readFile(t, name), []byte(`"chain": `), []byte(`"chain":  `), 1))
		}, []string{"edited: manifest.json: its text"}},
		{"a key repeated in the manifest", func(t *testing.T, dir string, _ View) {
			name := filepath.Join(dir, ManifestName)
			writeFile(t, name, bytes.Replace(readFile(t, name), []byte(`"sealed": `), []byte(`"sealed": false, "sealed": `), 1))
		}, []string{"edited: manifest.json: its text"}},
		{"something after the manifest", func(t *testing.T, dir string, _ View) {
			name := filepath.Join(dir, ManifestName)
			writeFile(t, name, append(readFile(t, name), "{}"...))
		}, []string{"edited: manifest.json: it is no JSON"}},
		{"a key added to the manifest", func(t *testing.T, dir string, _ View) {
			name := filepath.Join(dir, ManifestName)
			writeFile(t, name, bytes.Replace(readFile(t, name), []byte(`"sealed": `), []byte(`"x": 1, "sealed": `), 1))
		}, []string{"edited: manifest.json: it does not have the form"}},
		{
			"a size edited", manifest(false, func(m *Manifest) { m.Evidence[1].Size++ }),
			[]string{"edited: manifest.json: its head", "edited: %: entry 2", "edited: manifest.json: % has 8 bytes"},
		},
		{
			"a source edited, the head made to fit", manifest(true, func(m *Manifest) { m.Evidence[1].Source = "elsewhere" }),
			[]string{"edited: %: entry 2"},
		},
		{"a redaction count edited and the entry's hash made to fit", manifest(true, func(m *Manifest) {
			m.Evidence[1].Redactions = 7
			m.Evidence[1].Hash = entryHash(m.Evidence[1])
		}), []string{"cut: readyz"}},
		{"two entries swapped", manifest(true, func(m *Manifest) {
			m.Evidence[1], m.Evidence[2] = m.Evidence[2], m.Evidence[1]
		}), []string{"reordered: readyz", "reordered: %", "cut: manifest.json: the chain should end"}},
		{
			"the first entry cut out", manifest(true, func(m *Manifest) { m.Evidence = m.Evidence[1:] }),
			[]string{"cut: %: entry 1 follows"},
		},
		{
			"the middle entry cut out", manifest(true, func(m *Manifest) { m.Evidence = append(m.Evidence[:1:1], m.Evidence[2]) }),
			[]string{"cut: readyz: entry 2 follows"},
		},
		{
			"the last entry cut off", manifest(true, func(m *Manifest) { m.Evidence = m.Evidence[:2] }),
			[]string{"cut: manifest.json: the chain should end"},
		},
		{
			"an entry repeated", manifest(true, func(m *Manifest) { m.Evidence = append(m.Evidence, m.Evidence[2]) }),
			[]string{"reordered: readyz", "edited: manifest.json: it lists readyz"},
		},
		{
			"an entry of another incident", manifest(true, func(m *Manifest) { m.Evidence[1].IncidentID = 41 }),
			[]string{"edited: %: entry 2 of the manifest says", "edited: %: entry 2 belongs to incident 41"},
		},
		{
			"an entry that leads out of the bundle", manifest(true, func(m *Manifest) { m.Evidence[1].Name = "../x" }),
			[]string{"edited: ../x: entry 2", "edited: manifest.json: it lists a file that cannot be"},
		},
		{"unsealed", manifest(false, func(m *Manifest) { m.Sealed = false }), []string{"edited: manifest.json: its head"}},
		{"the report and its hash rewritten", func(t *testing.T, dir string, _ View) {
			writeFile(t, filepath.Join(dir, ReportName), []byte("all is well"))
			editManifest(t, dir, false, func(m *Manifest) {
				for i := range m.Derived {
					if m.Derived[i].Name == ReportName {
						m.Derived[i] = DerivedFile{ReportName, 11, sha256Hex([]byte("all is well"))}
					}
				}
			})
		}, []string{"edited: manifest.json: its head"}},
		{
			"the report no longer listed", manifest(true, func(m *Manifest) { m.Derived = m.Derived[:1] }),
			[]string{"edited: manifest.json: it no longer lists report.md", "added: report.md"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, dir, _, v := testBundle(t, true)
			tc.tamper(t, dir, v)
			r := mustVerify(t, dir, "")
			replace := strings.NewReplacer(artifact(v, 1), "%", artifact(v, 2), "readyz")
			got := make([]string, len(r.Problems))
			for i, p := range r.Problems {
				got[i] = replace.Replace(p.String())
				if i < len(tc.want) && strings.HasPrefix(got[i], tc.want[i]) {
					got[i] = tc.want[i]
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if r.Whole() || !strings.HasPrefix(r.String(), "CHANGED: ") {
				t.Errorf("summary: %s", r)
			}
		})
	}
}

// Whoever rewrites a bundle as a whole makes everything in it fit; only the
// head that was posted elsewhere shows it.
func TestABundleRewrittenAsAWholeNeedsTheHeadFromOutside(t *testing.T) {
	_, dir, head, _ := testBundle(t, true)
	forged := []byte(`{"v":0.1}`)
	editManifest(t, dir, true, func(m *Manifest) {
		e := &m.Evidence[0]
		if err := os.Remove(filepath.Join(dir, e.Name)); err != nil {
			t.Fatal(err)
		}
		e.SHA256, e.Size = sha256Hex(forged), int64(len(forged))
		e.Name = "runs/9/p95-" + e.SHA256[:8] + ".json"
		writeFile(t, filepath.Join(dir, e.Name), forged)
		rechain(m)
	})
	if r := mustVerify(t, dir, ""); !r.Whole() || !strings.Contains(r.String(), "only that shows a bundle rewritten as a whole") {
		t.Errorf("a forgery that fits together, without the head: %s", r)
	}
	r := mustVerify(t, dir, head)
	if len(r.Problems) != 1 || r.Problems[0].Change != Rewritten {
		t.Errorf("with the head that was posted: %s", r)
	}
}

// Whatever byte of the manifest is flipped, it is never taken for whole.
func TestNoByteOfTheManifestCanBeFlippedUnseen(t *testing.T) {
	_, dir, head, _ := testBundle(t, true)
	whole := readFile(t, filepath.Join(dir, ManifestName))
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 1
		v := &verifier{bundle: memoryBundle{ManifestName: b}}
		m, err := v.manifest(t.Context())
		if m != nil {
			v.head(m, head)
		}
		if err == nil && v.report.Whole() {
			t.Fatalf("byte %d (%q) flipped, still whole", i, whole[i])
		}
	}
}

// memoryBundle is a bundle whose files are in memory.
type memoryBundle map[string][]byte

func (b memoryBundle) list(context.Context) ([]string, error) { return nil, nil }
func (b memoryBundle) open(_ context.Context, name string) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b[name])), nil
}
func (b memoryBundle) close() error { return nil }

// A process that dies between Stage and commit leaves a file that no row
// refers to. That is no tampering, and it is not hidden either.
func TestAnOrphanIsNamedButIsNoTampering(t *testing.T) {
	s, dir, head, _ := testBundle(t, true)
	orphan := stage(t, s, "p95", Artifact{Name: "p95.json", Data: []byte(`{"v":"of the attempt that died"}`)})
	temp := "runs/9/p95-3fa9c2d1.json.187b5c9f6a1d3e2f.tmp"
	writeFile(t, filepath.Join(dir, temp), []byte("{"))
	r := mustVerify(t, dir, head)
	if diff := cmp.Diff([]string{orphan.Name, temp}, r.Unlisted); diff != "" {
		t.Errorf("unlisted (-want +got):\n%s", diff)
	}
	if !r.Whole() || !strings.Contains(r.String(), "note: "+orphan.Name+" is not in the manifest") {
		t.Errorf("summary: %s", r)
	}
}

func TestWhatCannotBeVerified(t *testing.T) {
	foreign := t.TempDir()
	writeFile(t, filepath.Join(foreign, ManifestName), []byte(`{"format":"triagebot-evidence/0","files":[]}`))
	_, dir, _, _ := testBundle(t, false)
	other := t.TempDir()
	writeFile(t, filepath.Join(other, "notes.txt"), []byte("none"))
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		name, bundle, want string
		ctx                context.Context
	}{
		{"nothing there", filepath.Join(foreign, "none"), "no such file", t.Context()},
		{"an empty folder", t.TempDir(), "there is no file in it", t.Context()},
		{"a folder of other things", other, "no file in it is a bundle's", t.Context()},
		{"the folder of all bundles", filepath.Dir(dir), "no file in it is a bundle's", t.Context()},
		{"an older format", foreign, `it says "triagebot-evidence/0", this version verifies "triagebot-evidence/1"`, t.Context()},
		{"a bucket of no known kind", "ftp://h/x?secret=hunter2", "knows no ftp buckets", t.Context()},
		{"interrupted", dir, "canceled", canceled},
	} {
		_, err := Verify(tc.ctx, tc.bundle, "")
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q in it", tc.name, err, tc.want)
		}
	}
}

func testView() View {
	at := testTime
	return View{
		Incident: triage.Incident{
			ID: 42, Key: `CodexLatencySLOBreach{route="/v1"}`, Alertname: "CodexLatencySLOBreach", State: triage.IncidentResolved,
			Severity: "critical", Labels: triage.Labels{"route": "/v1/chat", "api_token": "abc"},
			Annotations: triage.Labels{"summary": "p95 <b>is</b> [high](http://evil)"},
			Playbook:    "latency-slo-breach", GeneratorURL: "http://prometheus:9090/graph?g0.expr=up&g0.tab=1",
			Alerts: 2, Resolution: triage.ResolvedByAlertmanager, Reopened: 1, Truncated: 3,
			StartedAt: at.Add(-time.Minute), OpenedAt: at, ResolvedAt: at.Add(9 * time.Minute),
		},
		Runs: []RunView{{
			Run: triage.Run{
				ID: 9, IncidentID: 42, Playbook: "latency-slo-breach", Trigger: triage.TriggerAlert, State: triage.RunFinished,
				At: at, StartedAt: at, FinishedAt: at.Add(2 * time.Second),
			},
			Findings: []triage.Finding{
				{StepID: "ready", Title: "Readiness", Verdict: triage.VerdictNormal, Headline: "ready", At: at, Took: 12 * time.Millisecond},
				{StepID: "trace", Title: "Trace", Verdict: triage.VerdictUnknown, Headline: "Tempo did not answer: dial http://bob:hunter2@tempo", NextStep: "look at tempo | its log", At: at, Took: time.Second},
				{StepID: "page", Title: "page", Skipped: "its when was false"},
				{
					StepID: "p95", Title: "p95 latency", Verdict: triage.VerdictAbnormal, Headline: "p95 on /v1/chat is 512 ms (200 ms a day ago)", At: at, Took: 35 * time.Millisecond,
					Rows:     []triage.Row{{Name: `{route="/v1|chat"}`, Value: "512 ms", Baseline: "200 ms", Abnormal: true}, {Name: "b", Value: "1 ms"}},
					Omitted:  4,
					Links:    []triage.Link{{Title: "graph", URL: "http://prometheus:9090/graph?g0.expr=up"}, {Title: "bad", URL: "javascript:alert(1)"}},
					Evidence: []triage.EvidenceRef{{Name: "runs/9/p95-3fa9c2d1.json"}, {Name: "../../etc/passwd"}},
				},
			},
		}},
		Timeline: []triage.TimelineEntry{
			{IncidentID: 42, Seq: 1, At: at, Kind: "opened", Actor: "alertmanager", Text: "2 alerts"},
			{IncidentID: 42, Seq: 2, At: at.Add(time.Second), Kind: "acked", Actor: "bob\n# Forged", Text: "password=hunter2 \u202egnp.exe"},
		},
	}
}
