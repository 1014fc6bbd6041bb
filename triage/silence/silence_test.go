package silence_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	logrustest "github.com/sirupsen/logrus/hooks/test"

	"triagebot/triage"
	"triagebot/triage/incident"
	"triagebot/triage/receive"
	"triagebot/triage/silence"
	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

var t0 = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

// alertmanager is one that makes another silence at each call, as the real one.
type alertmanager struct {
	made   []silence.Wanted
	over   map[string]bool
	down   error
	cutOff bool // it makes the silence, and the answer is lost
}

func (a *alertmanager) Find(_ context.Context, mark string) (string, error) {
	if a.down != nil {
		return "", a.down
	}
	for i, s := range a.made {
		if strings.Contains(s.Comment, mark) {
			return fmt.Sprint("s", i), nil
		}
	}
	return "", nil
}

func (a *alertmanager) Make(_ context.Context, s silence.Wanted) (string, error) {
	a.made = append(a.made, s)
	if a.cutOff {
		a.cutOff = false
		return "", errors.New("unexpected EOF")
	}
	return fmt.Sprint("s", len(a.made)-1), nil
}

func (a *alertmanager) Ended(_ context.Context, id string) (bool, error) { return a.over[id], a.down }

func (a *alertmanager) Link(id string) string { return "http://am.example/#/silences/" + id }

type world struct {
	*testing.T
	db   *store.DB
	inc  *incident.Correlator
	am   *alertmanager
	keep *silence.Keeper
	now  time.Time
}

// newWorld has one incident, for which a silence of two hours is wanted.
func newWorld(t *testing.T, where store.Options) *world {
	w := &world{T: t, now: t0, am: &alertmanager{over: map[string]bool{}}}
	clock := func() time.Time { return w.now }
	where.Now = clock
	w.db = storetest.Open(t, where)
	log, _ := logrustest.NewNullLogger()
	never := func(context.Context, int64) error { return nil }
	if _, err := w.db.NewJobs(store.JobsOptions{ReplicaID: "test", Run: never, Publish: never, Silence: never, Log: log}); err != nil {
		t.Fatal(err)
	}
	w.inc = incident.New(incident.Options{
		Store: w.db, Settings: func() incident.Settings { return incident.Settings{ReopenWithin: time.Hour} },
		Playbook: func(triage.Labels) (string, bool) { return "p", true },
		Destinations: func(triage.Labels) []triage.Destination {
			return []triage.Destination{{Notifier: "slack", Channel: "#inc"}}
		},
		Now: clock, Log: log,
	})
	w.keep = silence.New(silence.Options{
		Store: w.db, Incidents: w.inc, Now: clock, Log: log,
		Alertmanager: func(name string) silence.Alertmanager {
			if name != "main" {
				return nil
			}
			return w.am
		},
	})
	w.tells("firing", time.Time{})
	w.want("main")
	return w
}

// tells has Alertmanager tell of the alert.
func (w *world) tells(status string, ends time.Time) {
	w.Helper()
	body, err := json.Marshal(map[string]any{
		"version": "4", "status": status, "receiver": "t", "groupKey": "k", "groupLabels": map[string]string{}, "commonLabels": map[string]string{}, "commonAnnotations": map[string]string{},
		"alerts": []any{map[string]any{"status": status, "labels": map[string]string{"alertname": "Slow"}, "startsAt": t0, "endsAt": ends, "fingerprint": "00000000000000aa"}},
	})
	if err != nil {
		w.Fatal(err)
	}
	if err := w.db.CommitNotifications(w.Context(), []receive.Raw{{Body: body, ReceivedAt: w.now}}); err != nil {
		w.Fatal(err)
	}
	if err := w.inc.Drain(w.Context()); err != nil {
		w.Fatal(err)
	}
}

// closes has the incident end, and be closed.
func (w *world) closes() {
	w.Helper()
	w.tells("resolved", w.now)
	if err := w.db.Tx(w.Context(), func(tx *store.Tx) error { // its run would hold it open
		_, err := tx.EndRun(w.Context(), 1, triage.RunFinished, "", w.now)
		return err
	}); err != nil {
		w.Fatal(err)
	}
	w.now = w.now.Add(time.Hour)
	if err := w.inc.Sweep(w.Context()); err != nil {
		w.Fatal(err)
	}
	if inc, err := w.db.Incident(w.Context(), 1); err != nil || inc.State != triage.IncidentClosed {
		w.Fatal(inc.State, err)
	}
}

func (w *world) want(name string) int64 {
	w.Helper()
	s := store.Silence{IncidentID: 1, Alertmanager: name, Matchers: triage.Labels{"alertname": "Slow"}, Author: "alice", Comment: "deploying", CreatedAt: w.now, EndsAt: w.now.Add(2 * time.Hour)}
	if err := w.db.Tx(w.Context(), func(tx *store.Tx) error { return tx.WantSilence(w.Context(), &s) }); err != nil {
		w.Fatal(err)
	}
	return s.ID
}

// work works the silence once, and says whether its job is over.
func (w *world) work(id int64) bool {
	w.Helper()
	err := w.keep.Work(w.Context(), id)
	var later *store.Later
	switch {
	case err == nil:
		return true
	case !errors.As(err, &later):
		w.Fatal(err)
	case later.After <= 0 || later.After > time.Minute:
		w.Fatalf("again after %s", later.After)
	}
	return false
}

func (w *world) said() (texts []string) {
	w.Helper()
	all, err := w.db.DeliveriesOf(w.Context(), 1)
	if err != nil {
		w.Fatal(err)
	}
	for _, d := range all {
		if d.Body.Note != nil {
			texts = append(texts, d.Body.Note.Text)
		}
	}
	return texts
}

func (w *world) until() time.Time {
	w.Helper()
	inc, err := w.db.Incident(w.Context(), 1)
	if err != nil {
		w.Fatal(err)
	}
	return inc.SilencedUntil
}

func TestASilenceFromTheWishToItsEnd(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		w := newWorld(t, where)
		if w.work(1) {
			t.Fatal("nobody watches over it")
		}
		s := w.am.made[0]
		if s.Author != "alice" || s.Matchers.String() != `{alertname="Slow"}` || !s.End.Equal(t0.Add(2*time.Hour)) {
			t.Errorf("made %+v", s)
		}
		if !w.until().Equal(t0.Add(2 * time.Hour)) {
			t.Errorf("the incident is silenced until %s", w.until())
		}
		w.now = t0.Add(time.Hour)
		w.work(1)
		w.now = t0.Add(2*time.Hour + time.Second)
		w.am.over["s0"] = true
		if !w.work(1) {
			t.Error("its job goes on after its end")
		}
		want := []string{"Silenced until 2026-03-01 05:00 UTC by alice (deploying): silence s0.", "The silence s0 is over. Its alerts still fire, and notify again."}
		if got := w.said(); !slices.Equal(got, want) {
			t.Errorf("said %q", got)
		}
		if !w.until().IsZero() {
			t.Errorf("silenced until %s", w.until())
		}
		if !w.work(1) || len(w.said()) != 2 || len(w.am.made) != 1 {
			t.Error("working it again does something")
		}
	})
}

// Alertmanager has no keys for idempotence: the answer that is lost, or the kill
// before it was written down, must not make a second silence.
func TestASilenceWhoseAnswerWasLostIsFound(t *testing.T) {
	w := newWorld(t, storetest.Durable(t))
	w.am.cutOff = true
	w.work(1)
	if len(w.said()) != 0 {
		t.Errorf("said %q of a silence that may not be", w.said())
	}
	w.work(1)
	if len(w.am.made) != 1 || len(w.said()) != 1 {
		t.Errorf("made %d, said %q", len(w.am.made), w.said())
	}
}

func TestASilenceThatCannotBeMadeIsSaid(t *testing.T) {
	w := newWorld(t, storetest.Durable(t))
	w.am.down = errors.New("connection refused")
	if w.work(1) {
		t.Fatal("given up at once")
	}
	w.now = t0.Add(11 * time.Minute)
	if !w.work(1) {
		t.Error("tried for ever")
	}
	if got := w.said(); len(got) != 1 || !strings.Contains(got[0], "could not be made: connection refused") {
		t.Errorf("said %q", got)
	}
	gone := w.want("decommissioned")
	if !w.work(gone) {
		t.Error("an Alertmanager that is gone from the configuration is waited for")
	}
	if got := w.said(); len(got) != 2 || !strings.Contains(got[1], `no Alertmanager "decommissioned" any more`) {
		t.Errorf("said %q", got)
	}
}

func TestASilenceThatSomebodyEndedIsSaid(t *testing.T) {
	w := newWorld(t, storetest.Durable(t))
	w.work(1)
	w.now, w.am.over["s0"] = t0.Add(30*time.Minute), true
	if !w.work(1) {
		t.Error("its job goes on")
	}
	if got := w.said(); len(got) != 2 || !strings.Contains(got[1], "ended in Alertmanager, 1h30m0s before its time") {
		t.Errorf("said %q", got)
	}
}

func TestAnAlertmanagerThatIsAwayAtTheEndHoldsNothingUp(t *testing.T) {
	w := newWorld(t, storetest.Durable(t))
	w.work(1)
	w.am.down = errors.New("away")
	w.now = t0.Add(2*time.Hour + time.Minute)
	if w.work(1) {
		t.Fatal("concluded at once")
	}
	w.now = t0.Add(2*time.Hour + 6*time.Minute)
	if !w.work(1) || !strings.Contains(w.said()[1], "should be over") {
		t.Errorf("said %q", w.said())
	}
}

func TestTheLongestOfSilencesIsShown(t *testing.T) {
	w := newWorld(t, storetest.Durable(t))
	w.work(1)
	w.now = t0.Add(time.Hour)
	second := w.want("main")
	w.work(second)
	if !w.until().Equal(t0.Add(3 * time.Hour)) {
		t.Errorf("until %s", w.until())
	}
	w.now, w.am.over["s0"] = t0.Add(2*time.Hour), true
	w.work(1)
	if !w.until().Equal(t0.Add(3 * time.Hour)) {
		t.Errorf("the end of one ended the other: until %s", w.until())
	}
	if said := w.said()[2]; said != "The silence s0 is over. Another silences its alerts until "+t0.Add(3*time.Hour).Format("2006-01-02 15:04 UTC")+"." {
		t.Errorf("said %q", said)
	}
}

// It silences what fires next, so somebody is to hear of its end.
func TestTheEndOfASilenceThatOutlivesItsIncidentIsToldInTheChannel(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		w := newWorld(t, where)
		w.work(1)
		w.closes()
		if w.work(1) {
			t.Fatal("nobody watches over it any more")
		}
		before, err := w.db.Timeline(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		w.now, w.am.over["s0"] = t0.Add(2*time.Hour), true
		for range 2 { // told once, however often it is worked
			if !w.work(1) {
				t.Error("its job goes on after its end")
			}
		}
		all, err := w.db.DeliveriesOf(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		var notices []string
		for _, d := range all {
			if d.Kind == triage.DeliveryNotice {
				notices = append(notices, d.Channel+" "+d.Body.Note.Text)
			}
		}
		if want := []string{"#inc Of incident 1, Slow, which is closed: The silence s0 is over."}; !slices.Equal(notices, want) {
			t.Errorf("the channel is told %q", notices)
		}
		if after, err := w.db.Timeline(t.Context(), 1); err != nil || len(after) != len(before) {
			t.Errorf("the sealed timeline went on: %+v, %v", after[len(before):], err)
		}
	})
}

func TestASilenceThatIsForgottenIsNoWork(t *testing.T) {
	if w := newWorld(t, storetest.Durable(t)); !w.work(999) {
		t.Error("its job goes on")
	}
}
