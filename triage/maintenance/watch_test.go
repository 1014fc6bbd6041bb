package maintenance_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"triagebot/triage"
	"triagebot/triage/maintenance"
	"triagebot/triage/store"
)

func TestTheEndIsRemindedOfAndOverdueIsSaidLoudly(t *testing.T) {
	each(t, nil, func(w *world) {
		win := w.turnOn()
		said := len(w.told())
		w.ticks(win.Until.Add(-5*time.Minute).Sub(w.clock()) - 10*time.Second)
		if n := len(w.told()); n != said {
			t.Fatalf("said before it was time: %q", w.told()[said:])
		}
		w.ticks(70 * time.Minute) // until 65 minutes after the end
		want := []string{
			"!Maintenance of app ends in 5m, at 10:30 UTC. Extend it (maintenance extend 15m) or turn it off (maintenance disable).",
			"!@Maintenance of app is overdue. Its end, 10:30 UTC, has come. Turn it off (maintenance disable) or extend it (maintenance extend 15m).",
			"!@Maintenance of app is overdue. It was to end at 10:30 UTC, 15m ago. Turn it off (maintenance disable) or extend it (maintenance extend 15m).",
			"!@Maintenance of app is overdue. It was to end at 10:30 UTC, 30m ago. Turn it off (maintenance disable) or extend it (maintenance extend 15m).",
			"!@Maintenance of app is overdue. It was to end at 10:30 UTC, 45m ago. Turn it off (maintenance disable) or extend it (maintenance extend 15m).",
			"!@Maintenance of app is overdue. It was to end at 10:30 UTC, 1h ago. Turn it off (maintenance disable) or extend it (maintenance extend 15m).",
		}
		if diff := cmp.Diff(want, w.told()[said:]); diff != "" {
			t.Error(diff)
		}
		if p := w.post(); !p.Overdue || !strings.HasPrefix(p.Said, "Maintenance of app is overdue: it has been on since 10:00 UTC") {
			t.Errorf("%+v", p)
		}

		// An extension begins it all anew.
		w.asks(alice, w.extend(10*time.Minute))
		said = len(w.told())
		w.ticks(10 * time.Minute)
		if notes := w.told()[said:]; len(notes) != 2 || !strings.Contains(notes[0], "ends in") || !strings.Contains(notes[1], "overdue") {
			t.Errorf("after it was extended: %q", notes)
		}
	})
}

func TestAWindowShorterThanTheReminderHasNone(t *testing.T) {
	on(t, nil, func(w *world) {
		w.asks(alice, w.enable(2*time.Minute, "x"))
		w.asks(alice, w.confirm(1))
		w.works()
		w.ticks(3 * time.Minute)
		if w.count("ends in") != 0 || w.count("overdue") != 1 {
			t.Errorf("%q", w.told())
		}
	})
}

func TestAReplicaThatWasAwaySaysItOnce(t *testing.T) {
	on(t, nil, func(w *world) {
		w.turnOn()
		w.pass(10 * time.Hour)
		w.restart()
		other, err := maintenance.New(w.opts)
		if err != nil {
			t.Fatal(err)
		}
		w.ticks(0)
		if err := other.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		if w.count("overdue") != 1 || w.count("ends in") != 0 {
			t.Errorf("%q", w.told())
		}
	})
}

// flip has somebody set the flag without triagebot.
func (w *world) flip(on bool) {
	w.app.mu.Lock()
	defer w.app.mu.Unlock()
	w.app.flag = on
}

func TestAFlagThatIsTurnedOnOutsideIsAskedAbout(t *testing.T) {
	each(t, nil, func(w *world) {
		w.watches()
		if _, err := w.db.LatestWindow(t.Context(), "app"); err == nil {
			t.Fatal("a window without reason")
		}
		w.flip(true)
		w.watches()
		w.watches() // once
		win := w.inState(triage.WindowFound)
		want := []string{"!@Maintenance of app is on since about 10:00 UTC, and nobody announced it. Whose is it? Keep it for 30m (maintenance adopt 1), or turn it off (maintenance disable)."}
		if diff := cmp.Diff(want, w.told()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"maintenance adopt 1", "maintenance disable #1"}, commands(w.post().Choices)); diff != "" {
			t.Error(diff)
		}
		w.ticks(30 * time.Minute)
		if n := w.count("Whose is it?"); n != 3 { // until somebody answers
			t.Errorf("asked %d times", n)
		}
		w.is(w.asks(bob, w.enable(0, "x")), triage.OutcomeRefused, "There is a maintenance window already")
		w.is(w.asks(bob, w.adopt(1)), triage.OutcomeDone, "is yours until 11:00 UTC")
		if got := w.inState(triage.WindowOn); !got.Since.Equal(win.Since) || got.By.ID != bob.ID {
			t.Errorf("%+v", got)
		}
		w.is(w.asks(alice, w.adopt(1)), triage.OutcomeRefused, "is on since")
	})
}

func TestAFoundWindowIsDisabled(t *testing.T) {
	on(t, nil, func(w *world) {
		w.flip(true)
		w.watches()
		w.asks(bob, w.disable("", false))
		w.works()
		w.inState(triage.WindowOff)
		if w.app.called(false) != 1 || w.app.called(true) != 0 {
			t.Errorf("called %q", w.app.calls)
		}
	})
	on(t, nil, func(w *world) { // or cannot be: then it is overdue at once
		w.flip(true)
		w.watches()
		w.app.notOK = errors.New("answered 503")
		w.asks(bob, w.disable("", false))
		w.works()
		w.inState(triage.WindowOn)
		if !w.post().Overdue {
			t.Errorf("%+v", w.post())
		}
		w.ticks(16 * time.Minute)
		if n := w.count("is overdue"); n != 1 {
			t.Errorf("said %d times", n)
		}
	})
}

func TestAFlagThatIsTurnedOffOutsideEndsTheWindow(t *testing.T) {
	each(t, nil, func(w *world) {
		w.turnOn()
		w.pass(12 * time.Minute)
		w.flip(false)
		w.watches()
		w.watches()
		w.inState(triage.WindowOff)
		w.last("!Maintenance of app is over after 12m2s: it was switched off outside of triagebot.")
		if w.app.called(false) != 0 {
			t.Error("the toggle was called")
		}
	})
	on(t, nil, func(w *world) { // and so it does one that was only found
		w.flip(true)
		w.watches()
		w.pass(2 * time.Minute)
		w.flip(false)
		w.watches()
		w.inState(triage.WindowOff)
	})
}

func TestAFlagThatIsTurnedOnWhileARequestWaitsTakesItsPlace(t *testing.T) {
	each(t, secondPerson, func(w *world) {
		w.asks(alice, w.enable(0, "x"))
		w.pass(2 * time.Minute)
		w.flip(true)
		w.watches()
		w.inState(triage.WindowFound)
		w.is(w.asks(bob, w.confirm(1)), triage.OutcomeRefused, "Nothing was done")
		if kinds := w.logged(); kinds[0] != "found" || w.window().ID != 2 {
			t.Errorf("window %d: %q", w.window().ID, kinds)
		}
	})
}

// Soon after a window moved, the metric may be older than that.
func TestAValueThatMayBeOldChangesNothing(t *testing.T) {
	on(t, nil, func(w *world) {
		w.turnOn()
		w.flip(false)
		w.watches()
		w.inState(triage.WindowOn)
		w.flip(true)
		w.pass(20 * time.Minute)
		w.asks(bob, w.disable("", false))
		w.works()
		w.inState(triage.WindowOff)
		w.flip(true)
		w.watches()
		w.inState(triage.WindowOff)
		w.pass(time.Minute)
		w.watches()
		w.inState(triage.WindowFound)
	})
}

func TestWhatIsUnknownChangesNothingAndIsCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	on(t, func(o *maintenance.Options) { o.Registerer = registry }, func(w *world) {
		w.turnOn()
		w.pass(10 * time.Minute)
		w.app.blind = errors.New("no data")
		w.watches()
		w.watches()
		w.inState(triage.WindowOn)
		want := `
# HELP triagebot_maintenance_looks_total Looks at the maintenance metric, by what it said: on, off, unknown.
# TYPE triagebot_maintenance_looks_total counter
triagebot_maintenance_looks_total{result="off"} 0
triagebot_maintenance_looks_total{result="on"} 1
triagebot_maintenance_looks_total{result="unknown"} 2
# HELP triagebot_maintenance_mode What the maintenance metric said when this replica last looked: 1 on, 0 off, NaN unknown.
# TYPE triagebot_maintenance_mode gauge
triagebot_maintenance_mode NaN
# HELP triagebot_maintenance_overdue_seconds For how long maintenance has been on beyond its announced end; 0 when it is not.
# TYPE triagebot_maintenance_overdue_seconds gauge
triagebot_maintenance_overdue_seconds 0
`
		names := []string{"triagebot_maintenance_looks_total", "triagebot_maintenance_mode", "triagebot_maintenance_overdue_seconds"}
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want), names...); err != nil {
			t.Error(err)
		}
	})
}

// Run looks at the metric, keeps the clock and forgets what is old, by itself.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on(t, nil, func(w *world) {
			w.opts.Now = time.Now // the bubble's
			w.restart()
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- w.s.Run(ctx) }()
			lives := func(d time.Duration) {
				<-time.After(d)
				synctest.Wait()
			}
			w.flip(true)
			lives(time.Minute)
			w.inState(triage.WindowFound)
			w.asks(bob, w.adopt(1))
			lives(31 * time.Minute)
			if w.count("ends in 5m") != 1 || w.count("overdue") != 1 {
				t.Errorf("%q", w.told())
			}
			w.flip(false)
			lives(time.Minute)
			w.inState(triage.WindowOff)
			for { // as the outbox would
				c, err := w.db.Claim(t.Context(), store.Hold{Lane: store.Lane{Notifier: "slack", Channel: "#incidents"}, Owner: "a", Lease: time.Minute})
				if err != nil {
					t.Fatal(err)
				}
				if c.Delivery == nil {
					break
				}
				if err := w.db.Delivered(t.Context(), c.Delivery, triage.RemoteRef{ID: c.Delivery.Key}, ""); err != nil {
					t.Fatal(err)
				}
			}
			lives(26 * time.Hour)
			if states, err := w.db.WindowStates(t.Context()); len(states) != 0 || err != nil {
				t.Errorf("after a day there is %v, %v", states, err)
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	})
}
