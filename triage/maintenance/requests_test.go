package maintenance_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/maintenance"
	"triagebot/triage/store"
)

func secondPerson(o *maintenance.Options) { o.SecondPerson = true }

func TestMaintenanceFromTheRequestToItsEnd(t *testing.T) {
	each(t, nil, func(w *world) {
		reply := w.asks(alice, w.enable(45*time.Minute, "workers restart, token=hunter2"))
		w.is(reply, triage.OutcomeDone, "Nothing is done yet: maintenance of app for 45m waits for your confirmation, until 10:10 UTC")
		want := []string{
			"1. It is announced in #incidents, with the reason: workers restart, token=<redacted>",
			"2. triagebot calls POST http://app.example/maintenance",
			"3. The metric codex_maintenance_mode must say 1 within 1m; if it does not, triagebot says so and calls again, at most 2 times in all",
			"4. It is on for 45m, with a reminder 5m before the end. Nothing turns it off by itself: when it is overdue, #incidents is told every 15m",
		}
		if diff := cmp.Diff(want, reply.Lines); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"maintenance confirm 1", "maintenance cancel 1"}, commands(reply.Choices)); diff != "" {
			t.Error(diff)
		}
		if w.post() != nil || len(w.app.calls) > 0 {
			t.Error("something happened before it was confirmed")
		}

		w.is(w.asks(alice, w.confirm(1)), triage.OutcomeDone, "announced in #incidents and is being turned on")
		if p := w.post(); p == nil || p.State != triage.WindowEnabling || len(w.app.calls) > 0 {
			t.Fatalf("announced: %+v; called: %v", p, w.app.calls)
		}
		w.works()
		win := w.inState(triage.WindowOn)
		if got := win.Until.Sub(win.Since); got != 45*time.Minute {
			t.Errorf("it is on for %s", got)
		}
		if p := w.post(); p.Said != "Maintenance of app is on since 10:00 UTC, until 10:45 UTC." || p.By != "alice" {
			t.Errorf("%+v", p)
		}
		if diff := cmp.Diff([]string{"maintenance extend #1 15m", "maintenance disable #1"}, commands(w.post().Choices)); diff != "" {
			t.Error(diff)
		}

		w.pass(20 * time.Minute)
		w.is(w.asks(bob, w.disable("all is well", false)), triage.OutcomeDone, "is being turned off, if GET http://app.example/readyz says that it is ready")
		w.works()
		w.inState(triage.WindowOff)
		if p := w.post(); p.Said != "Maintenance of app is over. It was on for 20m4s, from 10:00 UTC to 10:20 UTC." || p.Choices != nil {
			t.Errorf("%+v", p)
		}

		notes := []string{
			"!Maintenance of app begins now, for 45m: workers restart, token=<redacted> (by alice)",
			"!Maintenance of app is on, until 10:45 UTC: workers restart, token=<redacted>",
			"bob has maintenance of app turned off: all is well",
			"!Maintenance of app is over after 20m4s. It was turned off by bob.",
		}
		if diff := cmp.Diff(notes, w.told()); diff != "" {
			t.Error(diff)
		}
		kinds := []string{"proposed", "confirmed", "called", "answered", "on", "ended", "called", "answered", "off"}
		if diff := cmp.Diff(kinds, w.logged()); diff != "" {
			t.Error(diff)
		}
		// All of it stands in the timeline of the incident that it was asked for in.
		timeline, err := w.db.Timeline(t.Context(), w.incident)
		if err != nil {
			t.Fatal(err)
		}
		if len(timeline) != len(kinds) {
			t.Errorf("the timeline has %d lines, the log %d", len(timeline), len(kinds))
		}
		if first := timeline[0]; first.Actor != "slack:alice" || first.Text != "maintenance window 1: asked for maintenance of app for 45m: workers restart, token=<redacted>" {
			t.Errorf("%+v", first)
		}
	})
}

func TestAWindowAsShortAsItsReminderPromisesNone(t *testing.T) {
	each(t, nil, func(w *world) {
		reply := w.asks(alice, w.enable(5*time.Minute, "workers restart"))
		if last := reply.Lines[len(reply.Lines)-1]; !strings.HasPrefix(last, "4. It is on for 5m. Nothing turns it off by itself") {
			t.Errorf("it promises: %s", last)
		}
	})
}

func TestWhatIsRefusedSaysWhy(t *testing.T) {
	on(t, nil, func(w *world) {
		w.is(w.asks(alice, w.enable(0, " \x00 ")), triage.OutcomeUnclear, "Say why")
		w.is(w.asks(alice, w.enable(30*time.Second, "x")), triage.OutcomeRefused, "takes 1m at least")
		w.is(w.asks(alice, w.enable(4*time.Hour+time.Second, "x")), triage.OutcomeRefused, "may last 4h at most")
		w.is(w.asks(alice, w.announce("")), triage.OutcomeUnclear, "Say what to announce")
		w.is(w.asks(alice, w.confirm(7)), triage.OutcomeRefused, "no maintenance window 7")
		w.is(w.asks(alice, w.cancel(7)), triage.OutcomeRefused, "no maintenance window 7")
		w.is(w.asks(alice, w.adopt(7)), triage.OutcomeRefused, "no maintenance window 7")
		for _, do := range []operation{w.disable("", false), w.extend(time.Hour)} {
			w.is(w.asks(alice, do), triage.OutcomeRefused, "No maintenance window of app is open")
		}
		w.is(w.asks(alice, w.disable("", true)), triage.OutcomeUnclear, "Say why")

		w.asks(alice, w.enable(4*time.Hour, "x")) // at the bound
		again := w.asks(bob, w.enable(0, "y"))
		w.is(again, triage.OutcomeRefused, "There is a maintenance window already, number 1. Maintenance of app is asked for by alice")
		w.is(w.asks(bob, w.confirm(1)), triage.OutcomeRefused, "is alice's to confirm")
		w.is(w.asks(alice, w.adopt(1)), triage.OutcomeRefused, "Nothing was done")
		w.is(w.asks(alice, w.extend(time.Hour)), triage.OutcomeRefused, "waits for a confirmation")
		w.is(w.asks(bob, w.cancel(1)), triage.OutcomeDone, "nothing was called")
		w.is(w.asks(alice, w.confirm(1)), triage.OutcomeRefused, "was cancelled")
		if w.post() != nil {
			t.Error("the channel was told of a request that was taken back")
		}
	})
}

func TestARequestThatNobodyConfirmsLapses(t *testing.T) {
	each(t, nil, func(w *world) {
		w.asks(alice, w.enable(0, "x"))
		w.pass(10*time.Minute - time.Microsecond)
		w.ticks(0)
		w.inState(triage.WindowProposed)
		w.pass(time.Microsecond)
		w.is(w.asks(alice, w.confirm(1)), triage.OutcomeRefused, "comes too late")
		w.inState(triage.WindowCancelled)

		w.asks(alice, w.enable(0, "x"))
		w.pass(10 * time.Minute)
		w.ticks(0)
		w.inState(triage.WindowCancelled)

		w.asks(alice, w.enable(0, "x"))
		w.pass(10 * time.Minute)
		w.is(w.asks(bob, w.enable(0, "y")), triage.OutcomeDone, "Nothing is done yet") // in its place
		if w.window().ID != 4 || len(w.app.calls) > 0 {
			t.Errorf("window %d, calls %v", w.window().ID, w.app.calls)
		}
	})
}

func TestASecondPersonConfirms(t *testing.T) {
	on(t, secondPerson, func(w *world) {
		reply := w.asks(alice, w.enable(0, "x"))
		w.is(reply, triage.OutcomeDone, "somebody else than you to confirm it")
		if diff := cmp.Diff([]string{"maintenance cancel 1"}, commands(reply.Choices)); diff != "" {
			t.Error(diff)
		}
		// The channel is asked.
		if diff := cmp.Diff([]string{"maintenance confirm 1", "maintenance cancel 1"}, commands(w.post().Choices)); diff != "" {
			t.Error(diff)
		}
		w.is(w.asks(alice, w.confirm(1)), triage.OutcomeRefused, "second person")
		renamed := alice
		renamed.Name = "somebody else"
		w.is(w.asks(renamed, w.confirm(1)), triage.OutcomeRefused, "second person")
		// Who holds the command line's token is whoever they say.
		for _, name := range []string{"alice", "bob", bob.ID} {
			said := triage.Actor{Via: triage.ViaCtl, ID: name}
			w.is(w.asks(said, w.confirm(1)), triage.OutcomeRefused, "in Slack: on the command line anybody can give any name")
		}
		w.inState(triage.WindowProposed)
		w.is(w.asks(bob, w.confirm(1)), triage.OutcomeDone, "is being turned on")
		w.last("!Maintenance of app begins now, for 30m: x (by alice, confirmed by bob)")
		w.works()
		w.inState(triage.WindowOn)
	})
	on(t, secondPerson, func(w *world) {
		w.asks(alice, w.enable(0, "x"))
		w.pass(time.Hour)
		w.ticks(0)
		if p := w.post(); p.Said != "Maintenance of app was not begun: nobody confirmed it within 10m." || p.Choices != nil {
			t.Errorf("%+v", p)
		}
	})
}

func TestTwoConfirmAtOnceAndSeeOneOutcome(t *testing.T) {
	each(t, nil, func(w *world) {
		w.asks(alice, w.enable(0, "x"))
		replies := make([]triage.Reply, 8)
		var all sync.WaitGroup
		for i := range replies {
			all.Go(func() {
				var err error
				if replies[i], err = w.try(alice, w.confirm(1)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		first := 0
		for _, r := range replies {
			if r.Outcome == triage.OutcomeDone {
				first++
			} else {
				w.is(r, triage.OutcomeRefused, "is being turned on")
				if diff := cmp.Diff([]string{"It was confirmed by alice."}, r.Lines); diff != "" {
					t.Error(diff)
				}
			}
		}
		if first != 1 || w.count("begins now") != 1 {
			t.Errorf("%d confirmations, announced %d times", first, w.count("begins now"))
		}
		w.works()
		if n := w.app.called(true); n != 1 {
			t.Errorf("called %d times", n)
		}
	})
}

func TestTwoAskAtOnceAndGetOneWindow(t *testing.T) {
	each(t, nil, func(w *world) {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if _, err := w.try(alice, w.enable(0, "x")); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		states, err := w.db.WindowStates(t.Context())
		if diff := cmp.Diff(map[string]int{"proposed": 1}, states); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

func TestAnAnnouncementStandsOnItsOwn(t *testing.T) {
	each(t, nil, func(w *world) {
		w.is(w.asks(alice, w.announce("we restart at noon, password=hunter2")), triage.OutcomeDone, "It is announced: we restart at noon, password=<redacted>")
		w.turnOn()
		w.asks(bob, w.announce("half of it is done"))
		var texts []string
		for {
			c, err := w.db.Claim(t.Context(), store.Hold{Lane: store.Lane{Notifier: "slack", Channel: "#incidents"}, Owner: "a", Lease: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			if c.Delivery == nil {
				break
			}
			if n := c.Delivery.Body.Note; n != nil && c.Delivery.Kind == triage.DeliveryNotice {
				texts = append(texts, n.Text)
			}
			if err := w.db.Delivered(t.Context(), c.Delivery, triage.RemoteRef{Channel: "C1", ID: c.Delivery.Key}, ""); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{"Announced by alice: we restart at noon, password=<redacted>", "Announced by bob: half of it is done"}
		if diff := cmp.Diff(want, texts); diff != "" {
			t.Error(diff)
		}
		if kinds := strings.Join(w.logged(), " "); !strings.Contains(kinds, "announced") {
			t.Errorf("the window's log is %s", kinds)
		}
	})
}

func TestExtending(t *testing.T) {
	on(t, nil, func(w *world) {
		win := w.turnOn()
		w.is(w.asks(bob, w.extend(15*time.Minute)), triage.OutcomeDone, "ends at 10:45 UTC now")
		if got := w.window().Until.Sub(win.Until); got != 15*time.Minute {
			t.Errorf("moved by %s", got)
		}
		w.is(w.asks(bob, w.extend(time.Second)), triage.OutcomeRefused, "by 1m at least")
		w.is(w.asks(bob, w.extend(3*time.Hour+15*time.Minute)), triage.OutcomeDone, "ends at 14:00 UTC now") // 4 h in all
		w.is(w.asks(bob, w.extend(time.Minute)), triage.OutcomeRefused, "may last 4h at most, until 14:00 UTC")
	})
	on(t, nil, func(w *world) {
		win := w.turnOn()
		w.pass(40 * time.Minute) // overdue for ten
		w.asks(alice, w.extend(15*time.Minute))
		if got := w.window().Until; !got.Equal(win.Since.Add(55*time.Minute)) && !got.Equal(w.clock().Add(15*time.Minute)) {
			t.Errorf("until %s", got)
		}
		if w.post().Overdue {
			t.Error("overdue still")
		}
	})
}

// A button is for the window that it was made for, however late the click: a
// message that only one person sees is never edited.
func TestAButtonOfAPastWindowLeavesTheNextAlone(t *testing.T) {
	on(t, nil, func(w *world) {
		w.turnOn()
		w.asks(bob, w.disable("", false))
		w.works()
		next := w.turnOn()
		for name, click := range map[string]operation{
			"disable": func(ctx context.Context, tx *store.Tx, req triage.Request) (triage.Reply, error) {
				return w.s.Disable(ctx, tx, req, 1, "", false)
			},
			"extend": func(ctx context.Context, tx *store.Tx, req triage.Request) (triage.Reply, error) {
				return w.s.Extend(ctx, tx, req, 1, time.Hour)
			},
		} {
			t.Log(name)
			w.is(w.asks(bob, click), triage.OutcomeRefused, "Nothing was done about maintenance window 1. Maintenance of app is over.")
		}
		if got := w.inState(triage.WindowOn); got.ID != 2 || !got.Until.Equal(next.Until) {
			t.Errorf("%+v", got)
		}
		w.is(w.asks(bob, func(ctx context.Context, tx *store.Tx, req triage.Request) (triage.Reply, error) {
			return w.s.Disable(ctx, tx, req, 99, "", false)
		}), triage.OutcomeRefused, "There is no maintenance window 99")
		w.is(w.asks(bob, func(ctx context.Context, tx *store.Tx, req triage.Request) (triage.Reply, error) {
			return w.s.Disable(ctx, tx, req, 2, "", false)
		}), triage.OutcomeDone, "is being turned off")
	})
}

func TestStatus(t *testing.T) {
	on(t, nil, func(w *world) {
		reply := w.asks(alice, w.status())
		w.is(reply, triage.OutcomeDone, "No maintenance window of app is open.")
		if diff := cmp.Diff([]string{"The metric codex_maintenance_mode was not looked at yet."}, reply.Lines); diff != "" {
			t.Error(diff)
		}
		w.app.blind = errors.New("no data")
		w.watches()
		w.watches()
		if got, want := w.asks(alice, w.status()).Lines[0], "Whether it is on is not known: the metric codex_maintenance_mode told nothing at 10:00 UTC, after 2 looks in a row: no data"; got != want {
			t.Error(got)
		}
		lines := w.asks(alice, w.enable(0, "x")).Lines
		if got := lines[len(lines)-1]; !strings.HasPrefix(got, "Mind that the metric told nothing") {
			t.Error(got)
		}
		w.asks(alice, w.cancel(1))
		w.app.blind = nil
		w.turnOn()
		reply = w.asks(bob, w.status())
		w.is(reply, triage.OutcomeDone, "Maintenance window 2. Maintenance of app is on since 10:00 UTC, until 10:30 UTC.")
		want := []string{
			"Reason: workers restart (alice)", "The metric codex_maintenance_mode said 1 at 10:00 UTC.",
			"Earlier, window 1: Maintenance of app was not begun: the request was cancelled.",
		}
		if diff := cmp.Diff(want, reply.Lines); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"maintenance extend #2 15m", "maintenance disable #2"}, commands(reply.Choices)); diff != "" {
			t.Error(diff)
		}
	})
}

// An incident that is forgotten by now takes no line; the window goes on.
func TestAWindowOutlivesItsIncident(t *testing.T) {
	each(t, nil, func(w *world) {
		w.asks(alice, w.enable(0, "x"))
		w.tx(func(ctx context.Context, tx *store.Tx) error {
			inc, err := tx.LockIncident(ctx, w.incident)
			if err != nil {
				return err
			}
			inc.State, inc.ClosedAt = triage.IncidentClosed, w.clock()
			return tx.SaveIncident(ctx, inc)
		})
		sealed := w.timeline()
		w.asks(alice, w.announce("soon"))
		w.asks(alice, w.cancel(1))
		w.asks(alice, w.enable(0, "x"))
		if got := w.timeline(); got != sealed {
			w.Errorf("%d entries were added to the timeline of a closed incident", got-sealed)
		}
		if n, _, err := w.db.PruneIncidents(t.Context(), w.clock().Add(time.Hour), store.PrunePlace{}, 10); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		w.asks(alice, w.confirm(2))
		w.works()
		w.inState(triage.WindowOn)
	})
}

// timeline is how many entries that of the incident has.
func (w *world) timeline() int {
	w.Helper()
	entries, err := w.db.Timeline(w.Context(), w.incident)
	if err != nil {
		w.Fatal(err)
	}
	return len(entries)
}
