package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/store"
)

// window opens a maintenance window.
func (o *outboxTest) window() triage.Window {
	o.t.Helper()
	w := triage.Window{
		Service: "app", State: triage.WindowProposed, Reason: "restarts", For: 30 * time.Minute,
		By: triage.Actor{Via: triage.ViaSlack, Team: "T1", ID: "U1", Name: "alice"}, IncidentID: o.incident, CreatedAt: o.now, ChangedAt: o.now,
	}
	o.tx(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.LockMaintenance(ctx); err != nil {
			return err
		}
		return tx.OpenWindow(ctx, &w)
	})
	return w
}

func TestAWindowIsReadAsItWasSaved(t *testing.T) {
	eachOutbox(t, func(o *outboxTest) {
		w := o.window()
		w.State, w.Reason, w.For, w.Override, w.Attempt = triage.WindowOn, "other", time.Hour, true, 2
		w.Confirmed, w.Ender = triage.Actor{Via: triage.ViaCtl, ID: "bob"}, triage.Actor{Via: triage.ViaCtl, ID: "eve"}
		for i, at := range []*time.Time{&w.ChangedAt, &w.Since, &w.Until, &w.Ended, &w.VerifyUntil, &w.RemindedAt, &w.ShoutedAt} {
			*at = o.now.Add(time.Duration(i) * time.Minute)
		}
		o.tx(func(ctx context.Context, tx *store.Tx) error { return tx.SaveWindow(ctx, w) })
		got, err := o.db.Window(t.Context(), w.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, got); diff != "" {
			t.Error(diff)
		}
		if latest, err := o.db.LatestWindow(t.Context(), "app"); err != nil || latest.ID != w.ID {
			t.Errorf("the latest window is %d, %v", latest.ID, err)
		}
		if _, err := o.db.LatestWindow(t.Context(), "other"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("of another service: %v", err)
		}
	})
}

func TestAServiceHasOneWindowAtATime(t *testing.T) {
	eachOutbox(t, func(o *outboxTest) {
		w := o.window()
		second := w
		open := func(ctx context.Context, tx *store.Tx) error { return tx.OpenWindow(ctx, &second) }
		if err := o.db.Tx(t.Context(), func(tx *store.Tx) error { return open(t.Context(), tx) }); !store.IsPermanent(err) {
			t.Fatalf("a second window: %v", err)
		}
		for _, over := range []triage.WindowState{triage.WindowCancelled, triage.WindowOff, triage.WindowFailed} {
			w.State = over
			o.tx(func(ctx context.Context, tx *store.Tx) error { return tx.SaveWindow(ctx, w) })
			o.tx(open)
			w = second
		}
	})
}

// tell owes the window's message and a note in its thread.
func (o *outboxTest) tell(w triage.Window, said, note string) {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.OweWindow(ctx, w.ID, ops, triage.WindowPost{WindowID: w.ID, State: w.State, Said: said}, triage.PriorityState); err != nil {
			return err
		}
		return tx.OweWindowReply(ctx, w.ID, ops, note, triage.Post{Note: &triage.NotePost{WindowID: w.ID, Text: note}}, triage.PriorityState)
	})
}

func (o *outboxTest) windowLog(w triage.Window) (texts []string) {
	o.t.Helper()
	log, err := o.db.WindowLog(o.t.Context(), w.ID)
	if err != nil {
		o.t.Fatal(err)
	}
	for i, e := range log {
		if e.Seq != int64(i+1) {
			o.t.Errorf("line %d has the number %d", i+1, e.Seq)
		}
		texts = append(texts, e.Kind+": "+e.Text)
	}
	return texts
}

// A window's thread has nothing to do with the incident of the same number.
func TestAWindowHasAThreadOfItsOwn(t *testing.T) {
	eachOutbox(t, func(o *outboxTest) {
		w := o.window()
		if w.ID != o.incident {
			t.Fatalf("window %d and incident %d; the test wants one number for both", w.ID, o.incident)
		}
		o.parent("incident", triage.PriorityCriticalParent, 0)
		o.reply("of the incident")
		o.tell(w, "on", "note")
		o.tell(w, "on still", "note") // owed once

		var shown []string
		for range 4 {
			d := o.claim("a").Delivery
			if d == nil {
				t.Fatal("less is owed than was told")
			}
			if isWindow := d.Body.Window != nil || d.Key == "note"; isWindow != (d.WindowID == w.ID && d.IncidentID == 0) {
				t.Errorf("%s is of window %d and incident %d", d.Key, d.WindowID, d.IncidentID)
			}
			if d.Kind == triage.DeliveryReply && d.Thread.ID == "" {
				t.Errorf("%s has no thread", d.Key)
			}
			shown = append(shown, d.Key+" in "+d.Thread.ID)
			if err := o.db.Delivered(t.Context(), d, triage.RemoteRef{Channel: "C1", ID: d.Key}, ""); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([]string{"incident/1/parent in ", "window/1/parent in ", "note in window/1/parent", "of the incident in incident/1/parent"}, shown); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"posted: Posted to chat/ops"}, o.windowLog(w)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAWindowWhoseMessageWasDeletedSaysSoInItsLog(t *testing.T) {
	eachOutbox(t, func(o *outboxTest) {
		w := o.window()
		o.tell(w, "on", "first")
		d := o.claim("a").Delivery
		if err := o.db.Delivered(t.Context(), d, triage.RemoteRef{Channel: "C1", ID: "1"}, ""); err != nil {
			t.Fatal(err)
		}
		if parked, err := o.db.Gone(t.Context(), o.claim("a").Delivery); err != nil || parked != 1 {
			t.Fatalf("%d parked, %v", parked, err)
		}
		o.tell(w, "off", "second")
		if c := o.claim("a"); c.Delivery != nil || c.Parked != 1 {
			t.Errorf("after the thread is gone: %+v", c)
		}
		want := []string{"posted: Posted to chat/ops", "undelivered: The window's message in chat/ops was deleted; nothing more is shown there"}
		if diff := cmp.Diff(want, o.windowLog(w)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAWindowThatCannotBeShownParksItsNotes(t *testing.T) {
	eachOutbox(t, func(o *outboxTest) {
		w := o.window()
		o.tell(w, "on", "first")
		if parked, err := o.db.Park(t.Context(), o.claim("a").Delivery, errors.New("no such channel")); err != nil || parked != 2 {
			t.Errorf("%d parked, %v", parked, err)
		}
		if diff := cmp.Diff([]string{"undelivered: Could not show window/1/parent in chat/ops: no such channel"}, o.windowLog(w)); diff != "" {
			t.Error(diff)
		}
	})
}

// An announcement is about no incident: there is no log to write and none to lock.
func TestANoticeAboutNothingIsDelivered(t *testing.T) {
	eachOutbox(t, func(o *outboxTest) {
		owe := func(key string) {
			o.tx(func(ctx context.Context, tx *store.Tx) error {
				return tx.OweNotice(ctx, 0, ops, key, triage.Post{Note: &triage.NotePost{Text: "deploys stop at noon"}}, triage.PriorityAnswer)
			})
		}
		owe("announce/1")
		if err := o.db.Delivered(t.Context(), o.claim("a").Delivery, triage.RemoteRef{ID: "1"}, "shown as plain text"); err != nil {
			t.Error(err)
		}
		owe("announce/2")
		if _, err := o.db.Park(t.Context(), o.claim("a").Delivery, errors.New("no such channel")); err != nil {
			t.Error(err)
		}
		owe("announce/3")
		if err := o.db.PruneNotices(t.Context(), o.now.Add(time.Hour), 10); err != nil {
			t.Error(err)
		}
		if d := o.claim("a").Delivery; d == nil || d.Key != "announce/3" {
			t.Errorf("what is owed was forgotten: %v", d)
		}
		if states, err := o.db.DeliveryStates(t.Context()); err != nil || states["parked"] != 0 {
			t.Errorf("%v, %v; want the parked one forgotten", states, err)
		}
	})
}

func TestWindowsThatAreLongOverAreForgotten(t *testing.T) {
	eachOutbox(t, func(o *outboxTest) {
		owing := o.window()
		o.tell(owing, "cancelled", "note")
		owing.State = triage.WindowCancelled
		o.tx(func(ctx context.Context, tx *store.Tx) error { return tx.SaveWindow(ctx, owing) })
		over := o.window()
		over.State = triage.WindowOff
		o.tx(func(ctx context.Context, tx *store.Tx) error {
			if _, err := tx.AppendWindowLog(ctx, triage.WindowEntry{WindowID: over.ID, At: o.now, Kind: "off", Text: "x"}); err != nil {
				return err
			}
			return tx.SaveWindow(ctx, over)
		})
		open := o.window()
		if n, err := o.db.PruneWindows(t.Context(), o.now, 10); n != 0 || err != nil {
			t.Errorf("too early: %d, %v", n, err)
		}
		if n, err := o.db.PruneWindows(t.Context(), o.now.Add(time.Hour), 10); n != 1 || err != nil {
			t.Errorf("forgot %d, %v", n, err)
		}
		states, err := o.db.WindowStates(t.Context())
		if diff := cmp.Diff(map[string]int{"cancelled": 1, "proposed": 1}, states); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if _, err := o.db.Window(t.Context(), open.ID); err != nil {
			t.Error(err)
		}
	})
}
