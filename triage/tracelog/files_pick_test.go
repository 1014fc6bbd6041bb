package tracelog

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"triagebot/triage/tracelog/index"
)

// Whether there is no index, one of a part of the log or one of all of it:
// what is picked is what parsing every line gives.
func TestPickingWithTheIndexIsPickingWithout(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 2))
		dir := t.TempDir()
		path := filepath.Join(dir, "access.ndjson")
		source := accessSource()
		source.Files = []string{path}
		log := randomLog(r, 400+r.IntN(800))
		half := strings.LastIndexByte(log[:len(log)/2], '\n') + 1
		x := openIndex(t, index.Options{MaxSegment: 16 << 10, Buffer: 512})
		ways := map[string]*Files{
			"without": NewFiles(FilesOptions{Sources: []Source{*source}}),
			"with":    NewFiles(FilesOptions{Sources: []Source{*source}, Index: x}),
		}
		write(t, path, []byte(log[:half]))
		indexNow(t, x, source, path)
		write(t, path, []byte(log))
		check := func(state string) {
			everyPick(func(p Pick) {
				want, _ := naivePick(p, pickLog{source, path, log})
				for way, h := range ways {
					picked, err := h.Pick(t.Context(), p)
					if err != nil {
						t.Fatal(err)
					}
					if diff := gocmp.Diff(want, picked.Candidates); diff != "" || !picked.Coverage.Complete {
						t.Fatalf("seed %d, %s the index, %s, %+v:\n%s%+v", seed, way, state, p, diff, picked.Coverage)
					}
				}
			})
		}
		check("half indexed")
		indexNow(t, x, source, path)
		check("indexed")
	}
}

func TestPickingFromAWindowReadsLittleOfTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.ndjson")
	source := accessSource()
	source.Files = []string{path}
	var b strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&b, `{"ts":%q,"req_id":"req_%06d","status":200,"latency_ms":%d}`+"\n", pickAt.Add(time.Duration(i-200_000)*time.Second).Format(time.RFC3339), i, i%1000)
	}
	write(t, path, []byte(b.String()))
	x := openIndex(t, index.Options{})
	indexNow(t, x, source, path)
	p := Pick{By: PickSlowest, At: pickAt.Add(-20 * time.Hour), Within: time.Hour, N: 3}
	want, _ := naivePick(p, pickLog{source, path, b.String()})
	for how, x := range map[How]*index.Index{HowWindow: nil, HowIndex: x} {
		picked, err := NewFiles(FilesOptions{Sources: []Source{*source}, Index: x}).Pick(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		part := picked.Coverage.Parts[0]
		if diff := gocmp.Diff(want, picked.Candidates); diff != "" || part.How != how || part.Bytes > part.Size/5 {
			t.Errorf("%s: %s%+v", how, diff, part)
		}
	}
}

// Lines without a time are in "everything", wherever they stand and however the
// log is read.
func TestPickingEverythingGivesLinesWithoutATime(t *testing.T) {
	dir := t.TempDir()
	plain, packed := filepath.Join(dir, "access.ndjson"), filepath.Join(dir, "access.ndjson.gz")
	var b strings.Builder
	for i := range 10_000 {
		if i == 9_000 {
			b.WriteString(`{"req_id":"timeless","status":200,"latency_ms":99999}` + "\n")
		}
		fmt.Fprintf(&b, `{"ts":%q,"req_id":"req_%d","status":200,"latency_ms":5}`+"\n", pickAt.Add(time.Duration(i)*time.Second).Format(time.RFC3339), i)
	}
	write(t, plain, []byte(b.String()))
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	if _, err := w.Write([]byte(b.String())); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, packed, gz.Bytes())
	x := openIndex(t, index.Options{})
	source := accessSource()
	source.Files = []string{plain}
	indexNow(t, x, source, plain)
	for way, opts := range map[string]FilesOptions{"scanned": {}, "by the index": {Index: x}, "compressed": {}} {
		source := *source
		if way == "compressed" {
			source.Files = []string{packed}
		}
		opts.Sources = []Source{source}
		picked, err := NewFiles(opts).Pick(t.Context(), Pick{By: PickSlowest, At: pickAt.Add(time.Minute), N: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(picked.Candidates) != 1 || picked.Candidates[0].ID != "timeless" || !picked.Coverage.Complete {
			t.Errorf("%s: %+v", way, picked)
		}
	}
}

// A file's time of change is not to be trusted to the minute. Where a file is
// left out because of it, that is said.
func TestAFileThatChangedLongBeforeTheWindowIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.ndjson")
	write(t, path, []byte(fmt.Sprintf(`{"ts":%q,"req_id":"a","status":200,"latency_ms":5}`+"\n", pickAt.Format(time.RFC3339))))
	source := accessSource()
	source.Files = []string{path}
	p := Pick{By: PickSlowest, At: pickAt, Within: time.Minute, N: 1}
	for _, c := range []struct {
		before time.Duration // the window
		found  int
		note   string
	}{
		{50 * time.Minute, 1, ""},
		{70 * time.Minute, 0, "not read: it was written to for the last time at 2026-01-02T13:49:00Z, before the window"},
	} {
		changed := pickAt.Add(-p.Within - c.before)
		if err := os.Chtimes(path, changed, changed); err != nil {
			t.Fatal(err)
		}
		picked, err := NewFiles(FilesOptions{Sources: []Source{*source}}).Pick(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if part := picked.Coverage.Parts[0]; len(picked.Candidates) != c.found || part.Note != c.note || !part.Complete {
			t.Errorf("changed %s before: %+v", c.before, picked)
		}
	}
}

// Whoever reads by time goes by the same slack.
func TestAFileWhoseTimeOfChangeIsAnHourOffIsReadByTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "engine.ndjson")
	write(t, path, []byte(fmt.Sprintf(`{"ts":%q,"worker":"w1","event":"exit"}`+"\n", pickAt.Format(time.RFC3339))))
	h := NewFiles(FilesOptions{Sources: []Source{eventLog(path)}})
	for before, want := range map[time.Duration]int{50 * time.Minute: 1, 70 * time.Minute: 0} {
		must(t, os.Chtimes(path, pickAt, pickAt.Add(-before)))
		found, err := h.Around(t.Context(), pickAt, pickAt, "w1")
		must(t, err)
		n := 0
		lines, err := h.Between(t.Context(), LineQuery{Source: "engine", From: pickAt, To: pickAt}, func(*Record) bool { n++; return true })
		must(t, err)
		if len(found.Records) != want || n != want {
			t.Errorf("changed %s before: %d events around, %d lines between", before, len(found.Records), n)
		}
		for _, part := range slices.Concat(found.Coverage.Parts, lines.Coverage.Parts) {
			if !part.Complete || (want == 0) != strings.HasPrefix(part.Note, "not read: it was written to for the last time") {
				t.Errorf("changed %s before: %+v", before, part)
			}
		}
	}
}

func TestPickingSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		source Source
		pick   Pick
		want   string
	}{
		"none":                {*accessSource(), Pick{By: PickSlowest}, "from 1 to 100"},
		"too many":            {*accessSource(), Pick{By: PickSlowest, N: MaxPick + 1}, "from 1 to 100"},
		"no field to pick by": {Source{Name: "usage", Keys: []string{"req_id"}, Roles: Roles{Time: "ts"}}, Pick{By: PickSlowest, N: 1}, "usage"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewFiles(FilesOptions{Sources: []Source{c.source}}).Pick(t.Context(), c.pick)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// eventLog is a source of workers' events, which name no request.
func eventLog(path string) Source {
	return Source{Name: "engine", Files: []string{path}, Roles: Roles{Time: "ts", Worker: "worker", Event: "event"}}
}

func TestWhatBefellAWorkerInAWindow(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "engine.ndjson")
	write(t, path, []byte(`{"ts":"2026-01-02T14:59:00Z","worker":"w1","event":"before"}
{"ts":"2026-01-02T15:00:00Z","worker":"w1","event":"first"}
{"ts":"2026-01-02T15:00:01Z","worker":"w12","event":"another's"}
{"ts":"2026-01-02T15:00:02Z","worker":"w2","event":"about w1 only"}
{"ts":"2026-01-02T15:00:01Z","worker":"w1","event":"late"}
{"ts":"2026-01-02T15:00:03Z","worker":"w1","event":"torn
{"ts":"2026-01-02T15:00:04Z","worker":"w1","event":"last"}
{"ts":"2026-01-02T15:00:05Z","worker":"w1","event":"after"}
{"worker":"w1","event":"without a time"}
`))
	write(t, filepath.Join(dir, "access.ndjson"), []byte(`{"ts":"2026-01-02T15:00:01Z","worker":"w1","req_id":"req_1"}`+"\n"))
	requests := access(filepath.Join(dir, "access.ndjson"))
	requests.Roles.Worker = "worker"
	h := NewFiles(FilesOptions{Sources: []Source{requests, eventLog(path)}})
	found, err := h.Around(t.Context(), pickAt, pickAt.Add(4*time.Second), "w1")
	if err != nil {
		t.Fatal(err)
	}
	var events []string
	for i := range found.Records {
		events = append(events, found.Records[i].event())
	}
	if want := []string{"first", "late", "last"}; !slices.Equal(events, want) || !found.Coverage.Complete || len(found.Coverage.Parts) != 1 {
		t.Errorf("got %q, want %q; %+v", events, want, found.Coverage)
	}
}

func TestAWorkerWithoutEndOfEventsIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "engine.ndjson")
	write(t, path, []byte(strings.Repeat(`{"ts":"2026-01-02T15:00:00Z","worker":"w1","event":"restart"}`+"\n", maxAround+1)))
	found, err := NewFiles(FilesOptions{Sources: []Source{eventLog(path)}}).Around(t.Context(), pickAt, pickAt, "w1")
	if err != nil {
		t.Fatal(err)
	}
	if part := found.Coverage.Parts[0]; len(found.Records) != maxAround || found.Coverage.Complete || !strings.Contains(part.Note, "first 200") {
		t.Errorf("%d records, %+v", len(found.Records), part)
	}
}

func TestLogsOfEventsThatAreNotSearchedAreSaidSo(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.gz"), []byte("\x1f\x8bpacked"))
	old := filepath.Join(dir, "old")
	write(t, old, []byte(`{"ts":"2026-01-02T15:00:00Z","worker":"w1"}`+"\n"))
	must(t, os.Chtimes(old, time.Time{}, pickAt.Add(-2*time.Hour)))
	found, err := NewFiles(FilesOptions{Sources: []Source{eventLog(filepath.Join(dir, "*"))}}).Around(t.Context(), pickAt, pickAt, "w1")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range found.Coverage.Parts {
		// What was last written before the window has nothing of it.
		wasWritten := filepath.Base(part.Name) == "old"
		if part.Complete != wasWritten || part.Bytes != 0 || strings.Contains(part.Note, "compressed") == wasWritten {
			t.Errorf("got %+v", part)
		}
	}
	if len(found.Coverage.Parts) != 2 || len(found.Records) != 0 {
		t.Errorf("got %+v", found)
	}
}
