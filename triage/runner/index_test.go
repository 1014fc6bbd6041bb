// The index of all bundles follows every publish, whoever writes it and however
// often they are interrupted.

package runner_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triagebot/triage"
	"triagebot/triage/evidence"
	"triagebot/triage/playbook"
	"triagebot/triage/runner"
	"triagebot/triage/store"
)

func (w *world) publishIndex(r *runner.Runner) {
	w.t.Helper()
	if err := r.PublishIndex(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// indexLine is the line of w's incident in the index, "" for none.
func (w *world) indexLine(s *shelf) string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "README.md"))
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "]("+evidence.Folder(w.inc.ID)+"/") {
			return line
		}
	}
	return ""
}

func TestTheIndexShowsABundleAsItWasPublishedLast(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		s := w.shelve()
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) {
			return value(9, playbook.Artifact{Name: "chart.png", MediaType: "image/png", Data: []byte("\x89PNG")}), nil
		}
		w.execute(w.open())
		w.publish(w.r)
		w.publishIndex(w.r)
		line := w.indexLine(s)
		for _, want := range []string{"| Slow |", "| still fires |", "| latency |", "| 1 | – | – | – |"} {
			if !strings.Contains(line, want) {
				t.Errorf("no %q in %q", want, line)
			}
		}
		w.setState(triage.IncidentClosed)
		w.publish(w.r)
		w.publishIndex(w.r)
		if line := w.indexLine(s); !strings.Contains(line, "| 2026-03-01 03:00:00 UTC |") || strings.Contains(line, "fires") {
			t.Errorf("of a closed incident the index says %q", line)
		}
		w.verifyPosted(s, 1)
	})
}

func TestTheIndexIsNotWrittenAgainBeforeSomethingChanges(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		s := w.shelve()
		w.publishIndex(w.r) // nothing was ever published
		if _, err := os.Stat(filepath.Join(s.dir, "README.md")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("an index without bundles: %v", err)
		}
		w.execute(w.open())
		w.publish(w.r)
		written := 0
		s.indexes = func() error { written++; return nil }
		for range 3 {
			w.publishIndex(w.r)
		}
		if written != 1 {
			t.Errorf("written %d times for one change", written)
		}
	})
}

// Whoever comes while the index is written may know of a change that it lacks.
func TestAChangeWhileTheIndexIsWrittenIsNotLost(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		s := w.shelve()
		other := w.otherReplica()
		w.execute(w.open())
		w.publish(w.r)
		s.indexes = func() error {
			s.indexes = nil
			w.setState(triage.IncidentClosed)
			w.publish(other)
			var later *store.Later
			if err := other.PublishIndex(t.Context()); !errors.As(err, &later) || later.After <= 0 {
				t.Errorf("a second index beside the first: %v, want it put back into the queue", err)
			}
			return nil
		}
		w.publishIndex(w.r)
		if line := w.indexLine(s); !strings.Contains(line, "still fires") {
			t.Fatalf("the first wrote %q", line)
		}
		w.publishIndex(other)
		if line := w.indexLine(s); strings.Contains(line, "still fires") {
			t.Errorf("the index stays at %q", line)
		}
	})
}

// What a stalled writer read is older than what stands.
func TestAnIndexThatWakesLateDoesNotWriteOverANewerOne(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		s := w.shelve()
		other := w.otherReplica()
		var clock time.Duration
		w.now = func() time.Time { return start.Add(clock) }
		w.execute(w.open())
		w.publish(w.r)
		s.indexes = func() error { // stalls for longer than its lease
			s.indexes = nil
			w.setState(triage.IncidentClosed)
			clock += 30 * time.Second
			w.publish(other)
			w.publishIndex(other)
			return nil
		}
		if err := w.r.PublishIndex(t.Context()); !errors.Is(err, store.ErrPublishing) {
			t.Errorf("it ends with %v, want that it lost its claim", err)
		}
		w.publishIndex(w.r)
		if line := w.indexLine(s); strings.Contains(line, "still fires") {
			t.Errorf("the index says %q", line)
		}
	})
}

func TestAnIndexThatCouldNotBeWrittenIsOwedStill(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		s := w.shelve()
		var clock time.Duration
		w.now = func() time.Time { return start.Add(clock) }
		w.execute(w.open())
		w.publish(w.r)
		full := errors.New("no space left")
		s.indexes = func() error { return full }
		if err := w.r.PublishIndex(t.Context()); !errors.Is(err, full) {
			t.Errorf("it ends with %v, want %v", err, full)
		}
		s.indexes = nil
		clock += 30 * time.Second // what was sent may arrive until then
		w.publishIndex(w.r)
		if w.indexLine(s) == "" {
			t.Error("the incident is not in the index")
		}
	})
}

func TestAnIndexBesideForeignFilesIsDoneWith(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		s := w.shelve()
		for _, name := range []string{"README.md", "incidents.md"} {
			if err := os.WriteFile(filepath.Join(s.dir, name), []byte("# Ours\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		w.execute(w.open())
		w.publish(w.r)
		for range 2 { // the second finds nothing to do, not a claim that fails for ever
			w.publishIndex(w.r)
		}
	})
}
