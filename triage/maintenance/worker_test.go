package maintenance_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/maintenance"
	"triagebot/triage/store"
)

func rollback(o *maintenance.Options) { o.OnFailure = maintenance.Rollback }

// fails is a toggle that answers and does nothing.
func fails(context.Context, *app, bool) (string, error) {
	return "", errors.New("answered 500: token=hunter2")
}

// hangs is one that answers when nobody waits any more, and does what it was
// asked for all the same.
func hangs(ctx context.Context, a *app, on bool) (string, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		return "", errors.New("a call without a deadline")
	}
	a.flag = on
	return "", errors.New("it did not answer in time")
}

// ignores is one that says yes and does nothing.
func ignores(context.Context, *app, bool) (string, error) { return "answered 200", nil }

type toggles = []func(context.Context, *app, bool) (string, error)

func TestATogglesFailureIsSaidAndThenRetried(t *testing.T) {
	const (
		begins = "!Maintenance of app begins now, for 30m: x (by alice)"
		isOn   = "!Maintenance of app is on, until 10:"
		failed = "!The call to turn maintenance of app on failed: answered 500: token=<redacted>. It is watched for 1m whether the metric follows all the same."
		late   = "!The call to turn maintenance of app on failed: it did not answer in time."
		again  = "!After the call to turn maintenance of app on, the metric codex_maintenance_mode did not say 1 within 1m. Calling again (call 2 of at most 2)."
		gaveUp = "!@Could not turn maintenance of app on: the metric codex_maintenance_mode did not say 1 within 1m. It is given up."
	)
	for name, story := range map[string]struct {
		toggle toggles
		state  triage.WindowState
		calls  int
		notes  []string
	}{
		"answers 500 once":               {toggles{fails}, triage.WindowOn, 2, []string{begins, failed, again, isOn}},
		"answers 500 always":             {toggles{fails, fails}, triage.WindowFailed, 2, []string{begins, failed, again, failed, gaveUp}},
		"does it, and answers too late":  {toggles{hangs}, triage.WindowOn, 1, []string{begins, late, isOn}},
		"says yes and does nothing once": {toggles{ignores}, triage.WindowOn, 2, []string{begins, again, isOn}},
		"says yes and never does it":     {toggles{ignores, ignores}, triage.WindowFailed, 2, []string{begins, again, gaveUp}},
	} {
		t.Run(name, func(t *testing.T) {
			on(t, nil, func(w *world) {
				w.app.answers = story.toggle
				w.asks(alice, w.enable(0, "x"))
				w.asks(alice, w.confirm(1))
				w.works()
				w.inState(story.state)
				if n := w.app.called(true); n != story.calls || w.app.called(false) != 0 {
					t.Errorf("called %q, want %d calls", w.app.calls, story.calls)
				}
				if len(w.app.calls) == 2 && w.app.calls[0] == w.app.calls[1] {
					t.Error("two calls have one key; a server that knows it would do nothing")
				}
				got := w.told()
				if len(got) != len(story.notes) || slices.ContainsFunc(slices.Collect(zip(story.notes, got)), func(p [2]string) bool { return !strings.HasPrefix(p[1], p[0]) }) {
					t.Errorf("told:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(story.notes, "\n"))
				}
			})
		})
	}
}

func zip(a, b []string) func(yield func([2]string) bool) {
	return func(yield func([2]string) bool) {
		for i := range min(len(a), len(b)) {
			if !yield([2]string{a[i], b[i]}) {
				return
			}
		}
	}
}

func TestAFailureIsRolledBack(t *testing.T) {
	each(t, rollback, func(w *world) {
		w.app.answers = toggles{ignores}
		w.asks(alice, w.enable(0, "x"))
		w.asks(alice, w.confirm(1))
		w.works()
		w.inState(triage.WindowFailed)
		if w.app.called(true) != 1 || w.app.called(false) != 1 {
			t.Errorf("called %q, want each once", w.app.calls)
		}
		want := []string{
			"!Maintenance of app begins now, for 30m: x (by alice)",
			"!Could not turn maintenance of app on: the metric codex_maintenance_mode did not say 1 within 1m. The opposite is called.",
			"!What was done to turn maintenance of app on is undone: the metric says 0.",
		}
		if diff := cmp.Diff(want, w.told()); diff != "" {
			t.Error(diff)
		}
		if p := w.post(); p.Said != "Maintenance of app could not be turned on, and was rolled back. It is off." {
			t.Error(p.Said)
		}
	})
	on(t, rollback, func(w *world) { // and that fails too
		w.app.answers = toggles{hangs, fails, fails}
		w.app.frozen = true
		w.asks(alice, w.enable(0, "x"))
		w.asks(alice, w.confirm(1))
		for w.isIn(triage.WindowEnabling) {
			w.work()
		}
		w.app.mu.Lock()
		w.app.frozen = false // it was only late: on it is
		w.app.mu.Unlock()
		w.works()
		w.inState(triage.WindowFailed)
		w.last("!@Could not turn maintenance of app off again: the metric codex_maintenance_mode did not say 0 within 1m. It is given up. Whether it is on now is for somebody to look at.")
		w.pass(time.Minute)
		w.watches()
		w.inState(triage.WindowFound) // and somebody is asked
	})
}

func (w *world) isIn(s triage.WindowState) bool { return w.window().State == s }

func TestADisableThatFailsLeavesTheWindowOn(t *testing.T) {
	on(t, rollback, func(w *world) {
		w.turnOn()
		w.app.answers = toggles{fails, ignores}
		w.asks(bob, w.disable("", false))
		w.works()
		win := w.inState(triage.WindowOn) // never rolled back: nobody asked for it to be turned on
		if w.app.called(true) != 1 || w.app.called(false) != 2 {
			t.Errorf("called %q", w.app.calls)
		}
		w.last("!@Could not turn maintenance of app off: the metric codex_maintenance_mode did not say 0 within 1m. Maintenance of app counts as on still")
		if win.Until.Sub(win.Since) != 30*time.Minute {
			t.Errorf("from %s until %s", win.Since, win.Until)
		}
		w.asks(bob, w.disable("", false))
		w.works()
		w.inState(triage.WindowOff)
	})
}

func TestAMetricThatCannotBeReadIsNoProof(t *testing.T) {
	on(t, nil, func(w *world) {
		w.app.blind = errors.New("Prometheus does not answer")
		w.asks(alice, w.enable(0, "x"))
		w.asks(alice, w.confirm(1))
		w.works()
		w.inState(triage.WindowFailed)
		w.last("!@Could not turn maintenance of app on: the metric codex_maintenance_mode did not tell within 1m (Prometheus does not answer)")
		if n := w.app.called(true); n != 1 {
			t.Errorf("called %d times, though nothing says that the first did nothing", n)
		}
	})
}

// A worker is killed after its call, and nobody can tell what came of it: the
// flag is not toggled again, neither way.
func TestKilledWhileTheMetricIsAwayTheToggleFiresOnce(t *testing.T) {
	on(t, nil, func(w *world) {
		w.asks(alice, w.enable(0, "x"))
		w.asks(alice, w.confirm(1))
		if !w.lives(2, func() { w.work() }) { // after the call, before its answer is recorded
			t.Fatal("not killed")
		}
		w.restart()
		w.app.blind = errors.New("Prometheus does not answer")
		w.works()
		w.inState(triage.WindowFailed)
		w.app.blind = nil
		w.pass(time.Minute)
		w.watches()
		w.inState(triage.WindowFound) // it was turned on, and somebody is asked
		w.app.blind = errors.New("Prometheus does not answer")
		w.asks(bob, w.disable("", false))
		w.works()
		w.inState(triage.WindowOn) // counts as on until the metric tells
		if w.app.called(true) != 1 || w.app.called(false) != 1 {
			t.Errorf("called %q", w.app.calls)
		}
		w.app.blind = nil
		w.pass(time.Minute)
		w.watches()
		w.inState(triage.WindowOff)
	})
}

func TestADisableIsRefusedWhileTheServiceIsNotReady(t *testing.T) {
	each(t, nil, func(w *world) {
		win := w.turnOn()
		w.app.notOK = errors.New("answered 503: unready")
		w.is(w.asks(bob, w.disable("done", false)), triage.OutcomeDone, "if GET http://app.example/readyz says that it is ready")
		w.works()
		if got := w.inState(triage.WindowOn); !got.Until.Equal(win.Until) {
			t.Errorf("its end moved to %s", got.Until)
		}
		if w.app.called(false) != 0 {
			t.Error("the toggle was called")
		}
		w.last("!Maintenance of app stays on, though bob asked to turn it off: the service is not ready. GET http://app.example/readyz: answered 503: unready.")

		w.is(w.asks(bob, w.disable("the probe is broken", true)), triage.OutcomeDone, "whether it is ready or not")
		w.last("!bob has maintenance of app turned off, whether it is ready or not: the probe is broken")
		w.works()
		w.inState(triage.WindowOff)
		log, err := w.db.WindowLog(t.Context(), win.ID)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, e := range log {
			if e.Kind == "refused" || e.Kind == "override" || e.Kind == "called" {
				lines = append(lines, e.Actor+": "+e.Text)
			}
		}
		want := []string{
			"triagebot: calls POST http://app.example/maintenance to turn maintenance of app on (call 1 of at most 2)",
			"triagebot: refused to turn it off: GET http://app.example/readyz: answered 503: unready",
			"slack:bob: asked to turn it off, whether the service is ready or not: the probe is broken",
			"triagebot: calls POST http://app.example/maintenance to turn maintenance of app off (call 1 of at most 2); the service is not ready, which was overridden: answered 503: unready",
		}
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Error(diff)
		}
	})
}

// An override is for the one time that it was given for.
func TestAnOverrideIsSpent(t *testing.T) {
	on(t, nil, func(w *world) {
		w.turnOn()
		w.app.notOK = errors.New("answered 503")
		w.app.answers = toggles{fails, fails}
		w.asks(bob, w.disable("the probe is broken", true))
		w.works()
		w.inState(triage.WindowOn)
		calls := w.app.called(false)
		w.asks(bob, w.disable("", false))
		w.works()
		w.inState(triage.WindowOn)
		if w.app.called(false) != calls {
			t.Error("the toggle was called though the service is not ready")
		}
	})
}

// A worker that was held up between its record and its call does not call: by
// then another may have.
func TestAWorkerThatWasHeldUpDoesNotCall(t *testing.T) {
	on(t, nil, func(w *world) {
		w.asks(alice, w.enable(0, "x"))
		w.asks(alice, w.confirm(1))
		w.heldUp()
		w.works() // the next one does
		w.inState(triage.WindowOn)
		if n := w.app.called(true); n != 1 {
			t.Errorf("called %d times", n)
		}
	})
}

// Where the call was to be the only one, there is nothing to undo either.
func TestACallThatWasNotMadeIsNotRolledBack(t *testing.T) {
	on(t, rollback, func(w *world) {
		w.asks(alice, w.enable(0, "x"))
		w.asks(alice, w.confirm(1))
		w.heldUp()
		w.works()
		w.inState(triage.WindowFailed)
		if len(w.app.calls) != 0 {
			t.Errorf("called %q", w.app.calls)
		}
		w.last("!@Could not turn maintenance of app on: triagebot was held up, and more than 10s had passed since the call was recorded. Nothing was called; ask for it again.")
		if p := w.post(); p.Said != "Maintenance of app could not be turned on: nothing was called." {
			t.Error(p.Said)
		}
	})
}

// heldUp has a worker work whose record takes eleven seconds to be committed.
func (w *world) heldUp() {
	w.Helper()
	held := w.opts
	looks := 0
	held.Now = func() time.Time {
		if w.committed().Attempt > 0 {
			if looks++; looks == 1 {
				w.pass(11 * time.Second)
			}
		}
		return w.clock()
	}
	slow, err := maintenance.New(held)
	if err != nil {
		w.Fatal(err)
	}
	var later *store.Later
	if err := slow.Work(w.Context(), 1); !errors.As(err, &later) {
		w.Fatal(err)
	}
	if len(w.app.calls) != 0 {
		w.Errorf("called %q", w.app.calls)
	}
	if kinds := w.logged(); kinds[len(kinds)-1] != "held up" {
		w.Errorf("logged %q", kinds)
	}
}

// committed reads the newest window, also from within a transaction of another.
func (w *world) committed() triage.Window {
	got, err := w.db.LatestWindow(context.Background(), "app")
	if err != nil {
		w.Fatal(err)
	}
	return got
}

// Two workers of one window make one call.
func TestTwoWorkersMakeOneCall(t *testing.T) {
	each(t, nil, func(w *world) {
		w.asks(alice, w.enable(0, "x"))
		w.asks(alice, w.confirm(1))
		done := make(chan error)
		for range 4 {
			go func() { done <- w.s.Work(w.Context(), 1) }()
		}
		for range 4 {
			var later *store.Later
			if err := <-done; err != nil && !errors.As(err, &later) {
				t.Error(err)
			}
		}
		w.works()
		if n := w.app.called(true); n != 1 || w.count("is on, until") != 1 {
			t.Errorf("called %d times, said %d times", n, w.count("is on, until"))
		}
	})
}

// A worker that hears of its call late, when another has seen the metric follow,
// adds a line to the log and nothing else.
func TestAnAnswerThatComesAfterTheEndIsOnlyLogged(t *testing.T) {
	on(t, nil, func(w *world) {
		w.asks(alice, w.enable(0, "x"))
		w.asks(alice, w.confirm(1))
		other, err := maintenance.New(w.opts)
		if err != nil {
			t.Fatal(err)
		}
		w.app.answers = toggles{func(_ context.Context, a *app, _ bool) (string, error) {
			a.flag = true
			a.mu.Unlock() // while it does not answer, another worker looks
			defer a.mu.Lock()
			var later *store.Later
			if err := other.Work(t.Context(), 1); !errors.As(err, &later) {
				t.Error(err)
			}
			return "", errors.New("it did not answer in time")
		}}
		w.work()
		win := w.inState(triage.WindowOn)
		if !win.VerifyUntil.IsZero() || w.count("failed") != 0 {
			t.Errorf("%+v, told %q", win, w.told())
		}
		if diff := cmp.Diff([]string{"proposed", "confirmed", "called", "on", "failed"}, w.logged()); diff != "" {
			t.Error(diff)
		}
	})
}

// lives has the process live until it is killed at the point; false says that it
// was not.
func (w *world) lives(killAt int, life func()) (wasKilled bool) {
	w.app.mu.Lock()
	w.app.points, w.app.killAt = 0, killAt
	w.app.mu.Unlock()
	defer func() {
		w.app.killAt = 0
		if p := recover(); p != nil {
			if p != any(errKilled) {
				panic(p)
			}
			wasKilled = true
		}
	}()
	life()
	return false
}

// However a process ends between two steps, another takes the window to its end:
// the flag is toggled once each way, and each thing is announced once.
func TestKilledAtAnyPointTheToggleFiresOnce(t *testing.T) {
	each(t, nil, func(w *world) {
		w.app.lag = 3 * time.Second // so that the first look after a call tells nothing
		points := 0
		for killAt := 1; ; killAt++ {
			w.app.mu.Lock()
			w.app.calls = nil
			w.app.mu.Unlock()
			toEnd := func() {
				if w.window().State == triage.WindowEnabling {
					w.works()
				}
				if w.window().State == triage.WindowOn {
					w.asks(bob, w.disable("", false))
				}
				w.works()
			}
			w.asks(alice, w.enable(0, "x"))
			w.asks(alice, w.confirm(w.window().ID))
			wasKilled := w.lives(killAt, toEnd)
			if wasKilled {
				points++
				w.restart()
				toEnd()
			}
			w.inState(triage.WindowOff)
			if w.app.called(true) != 1 || w.app.called(false) != 1 {
				t.Errorf("killed at point %d: called %q", killAt, w.app.calls)
			}
			for _, said := range []string{"begins now", "is on, until", "has maintenance of app turned off", "is over after"} {
				if n := w.count(said); n != 1 {
					t.Errorf("killed at point %d: %q was said %d times", killAt, said, n)
				}
			}
			if !wasKilled {
				break
			}
		}
		if want := 2*2 + 4*2 + 1; points != want { // a call and two looks each way, the readiness
			t.Errorf("killed at %d points; want %d", points, want)
		}
	})
}

// The job engine works a window from its confirmation on.
func TestTheJobEngineTakesAWindowOn(t *testing.T) {
	each(t, nil, func(w *world) {
		w.where.Now = nil
		w.opts.Now = time.Now
		w.restart()
		jobs, err := w.db.NewJobs(store.JobsOptions{ReplicaID: "me", Run: never, Publish: never, Window: w.s.Work, Log: silent()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- jobs.Run(ctx, time.Second) }()
		w.asks(alice, w.enable(0, "x"))
		w.asks(alice, w.confirm(1))
		for w.window().State != triage.WindowOn {
			<-w.db.Waiting(store.DeliveriesWaiting) // a step has committed
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n := w.app.called(true); n != 1 {
			t.Errorf("called %d times", n)
		}
	})
}
