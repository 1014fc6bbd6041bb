// What is posted at sealing stays true: nothing comes into a bundle after it,
// and no publish writes over another's.

package runner_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	logrustest "github.com/sirupsen/logrus/hooks/test"

	"triagebot/triage"
	"triagebot/triage/evidence"
	"triagebot/triage/incident"
	"triagebot/triage/playbook"
	"triagebot/triage/runner"
	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

// shelf is a real evidence store with places to stop at.
type shelf struct {
	*evidence.Store
	dir       string
	staged    func()       // called when an artifact is on disk
	publishes func()       // called when a view is read and nothing is written yet
	indexes   func() error // called when the bundles are read and no index is written yet
}

func (s *shelf) Stage(ctx context.Context, incidentID, runID int64, step string, a evidence.Artifact) (evidence.Staged, error) {
	out, err := s.Store.Stage(ctx, incidentID, runID, step, a)
	if s.staged != nil {
		s.staged()
	}
	return out, err
}

func (s *shelf) Publish(ctx context.Context, v evidence.View, holds func(context.Context) error) (string, error) {
	if s.publishes != nil {
		s.publishes()
	}
	return s.Store.Publish(ctx, v, holds)
}

func (s *shelf) PublishIndex(ctx context.Context, x evidence.Index, holds func(context.Context) error) error {
	if s.indexes != nil {
		if err := s.indexes(); err != nil {
			return err
		}
	}
	return s.Store.PublishIndex(ctx, x, holds)
}

// shelve gives the runner a real evidence store.
func (w *world) shelve() *shelf {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), "evidence")
	s, err := evidence.Open(w.t.Context(), evidence.Options{Dir: dir, Now: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	out := &shelf{Store: s, dir: dir}
	w.r.Bundles = out
	return out
}

// otherReplica is a runner beside w.r: in a process of its own where the
// database admits one.
func (w *world) otherReplica() *runner.Runner {
	w.t.Helper()
	opts := w.r.Options
	if w.where.PostgresURL != "" {
		opts.Store = storetest.Open(w.t, w.where)
		log, _ := logrustest.NewNullLogger()
		if _, err := opts.Store.NewJobs(store.JobsOptions{ReplicaID: "other", Run: w.r.Execute, Publish: w.r.Publish, Log: log}); err != nil {
			w.t.Fatal(err)
		}
	}
	return runner.New(opts)
}

func (w *world) publish(r *runner.Runner) {
	w.t.Helper()
	if err := r.Publish(w.t.Context(), w.inc.ID); err != nil {
		w.t.Fatal(err)
	}
}

// setState makes the incident resolved or closed, as the correlator does.
func (w *world) setState(state triage.IncidentState) {
	w.t.Helper()
	err := w.db.Tx(w.t.Context(), func(tx *store.Tx) error {
		inc, err := tx.LockIncident(w.t.Context(), w.inc.ID)
		if err != nil {
			return err
		}
		inc.State, inc.ResolvedAt = state, w.now()
		return tx.SaveIncident(w.t.Context(), inc)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// verifyPosted proves the bundle whole by the head in the thread.
func (w *world) verifyPosted(s *shelf, entries int) evidence.Report {
	w.t.Helper()
	var heads []string
	_, others := w.deliveries()
	for _, d := range others {
		if note := d.Body.Note; note != nil && strings.HasPrefix(note.Text, "Closed.") {
			_, head, _ := strings.Cut(note.Text, "head ")
			heads = append(heads, head)
		}
	}
	if len(heads) != 1 {
		w.t.Fatalf("heads %v in the thread, want one", heads)
	}
	report, err := evidence.Verify(w.t.Context(), filepath.Join(s.dir, evidence.Folder(w.inc.ID)), heads[0])
	if err != nil {
		w.t.Fatal(err)
	}
	if !report.Whole() || !report.Sealed || report.Entries != entries {
		w.t.Errorf("with the head that was posted: %s", report)
	}
	return report
}

// artifact is an abnormal outcome with evidence.
func artifact() *playbook.Outcome {
	return value(9, playbook.Artifact{Name: "result.json", MediaType: "application/json", Data: []byte(`{"v":9}`)})
}

func TestARunThatOutlastsReopenWithinIsInTheSealedBundle(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		var passed atomic.Int64 // of a time.Duration; the other steps look at the clock too
		w.now = func() time.Time { return start.Add(time.Duration(passed.Load())) }
		s := w.shelve()
		const reopenWithin = time.Minute
		log, _ := logrustest.NewNullLogger()
		correlator := incident.New(incident.Options{
			Store:    w.db,
			Settings: func() incident.Settings { return incident.Settings{ReopenWithin: reopenWithin, AlertTTL: time.Hour} },
			Now:      w.now, Log: log,
		})
		state := func() triage.IncidentState {
			t.Helper()
			if err := correlator.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			inc, err := w.db.Incident(t.Context(), w.inc.ID)
			if err != nil {
				t.Fatal(err)
			}
			return inc.State
		}
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) {
			w.setState(triage.IncidentResolved)
			passed.Add(int64(2 * reopenWithin))
			if got := state(); got != triage.IncidentResolved {
				t.Errorf("the incident is %s under its run", got)
			}
			w.publish(w.r)
			return artifact(), nil
		}
		w.execute(w.open())
		if got := state(); got != triage.IncidentClosed {
			t.Fatalf("after its run the incident is %s", got)
		}
		for range 2 { // its closing's job, and its run's
			w.publish(w.r)
		}
		w.verifyPosted(s, 1)
	})
}

func TestEvidenceForASealedBundleIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name     string
		unlisted int // files that nothing refers to
		arrange  func(w *world, s *shelf, closeAndSeal func())
	}{
		{"closed while the step is at work", 0, func(w *world, _ *shelf, closeAndSeal func()) {
			w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) {
				closeAndSeal()
				return artifact(), nil
			}
		}},
		{"closed between its file and its row", 1, func(w *world, s *shelf, closeAndSeal func()) {
			w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) { return artifact(), nil }
			s.staged = closeAndSeal
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			each(t, fourSteps, func(w *world) {
				s := w.shelve()
				tc.arrange(w, s, func() {
					w.setState(triage.IncidentClosed)
					w.publish(w.r)
				})
				run := w.open()
				w.execute(run)
				w.publish(w.r)
				f := w.findings(run)["first"]
				if f.State() != triage.StepAbnormal || len(f.Evidence) != 0 || !strings.Contains(f.NextStep, "is not kept: its incident was closed") {
					t.Errorf("finding %+v, want its verdict, and its loss said", f)
				}
				report := w.verifyPosted(s, 0)
				if len(report.Unlisted) != tc.unlisted {
					t.Errorf("unlisted %v, want %d files", report.Unlisted, tc.unlisted)
				}
			})
		})
	}
}

func TestOnePublishAtATime(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		s := w.shelve()
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) { return artifact(), nil }
		run := w.open()
		other := w.otherReplica()

		// The first has read that there is no evidence when the other comes.
		read, goOn := make(chan struct{}), make(chan struct{})
		s.publishes = func() {
			s.publishes = nil
			close(read)
			<-goOn
		}
		older := make(chan error, 1)
		go func() { older <- w.r.Publish(context.WithoutCancel(t.Context()), w.inc.ID) }()
		select {
		case <-read:
		case err := <-older:
			t.Fatalf("the first publish: %v", err)
		}
		w.execute(run)
		w.setState(triage.IncidentClosed)
		var later *store.Later
		if err := other.Publish(t.Context(), w.inc.ID); !errors.As(err, &later) || later.After <= 0 {
			t.Errorf("a publish beside another: %v, want it put back into the queue", err)
		}
		close(goOn)
		if err := <-older; err != nil {
			t.Error(err)
		}
		w.publish(other)
		w.publish(w.r)
		w.verifyPosted(s, 1)
	})
}

func TestAPublishThatWasTakenForDeadSealsNothing(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		s := w.shelve()
		run := w.open()
		w.execute(run)
		w.setState(triage.IncidentClosed)
		other := w.otherReplica()
		var clock time.Duration
		w.now = func() time.Time { return start.Add(clock) }
		s.publishes = func() { // stalls for longer than its lease
			s.publishes = nil
			clock += 30 * time.Second
			w.publish(other)
		}
		if err := w.r.Publish(t.Context(), w.inc.ID); !errors.Is(err, store.ErrPublishing) {
			t.Errorf("it ends with %v, want that it lost its claim", err)
		}
		w.verifyPosted(s, 0)
	})
}

// What the late one read is older than the seal, and so is its manifest.
func TestAPublishThatWakesLateDoesNotWriteOverASealedBundle(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		s := w.shelve()
		other := w.otherReplica()
		var clock time.Duration
		w.now = func() time.Time { return start.Add(clock) }
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) { return artifact(), nil }
		run := w.open()
		s.publishes = func() { // stalls while the rest of the incident happens
			s.publishes = nil
			w.execute(run)
			w.setState(triage.IncidentClosed)
			clock += 30 * time.Second
			w.publish(other)
		}
		if err := w.r.Publish(t.Context(), w.inc.ID); !errors.Is(err, store.ErrPublishing) {
			t.Errorf("it ends with %v, want that it lost its claim", err)
		}
		w.publish(w.r) // its job is worked again, and finds the seal
		w.verifyPosted(s, 1)
	})
}
