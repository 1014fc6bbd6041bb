package incident_test

import (
	"testing"

	"triagebot/triage"
	"triagebot/triage/store"
)

// endRuns ends every run there is.
func (w *world) endRuns() {
	w.t.Helper()
	for _, inc := range w.incidents() {
		runs, err := w.db.RunsOf(w.t.Context(), inc.ID)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, run := range runs {
			err := w.db.Tx(w.t.Context(), func(tx *store.Tx) error {
				_, err := tx.EndRun(w.t.Context(), run.ID, triage.RunFinished, "", w.now)
				return err
			})
			if err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// sweep sweeps at the minute, and gives the state of the one incident.
func (w *world) sweepTo(minute float64) triage.IncidentState {
	w.t.Helper()
	w.now = at(minute)
	if err := w.c.Sweep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return w.only().State
}

func TestAnIncidentIsNotClosedUnderARun(t *testing.T) {
	each(t, func(w *world) {
		w.notify(1, 0, alert("Slow", "a", 0, 0))
		w.notify(3, 0, alert("Slow", "a", 0, 3))
		if got := w.sweepTo(40); got != triage.IncidentResolved {
			t.Fatalf("with a run that is pending it is %s", got)
		}
		runs, err := w.db.RunsOf(t.Context(), w.only().ID)
		if err != nil {
			t.Fatal(err)
		}
		err = w.db.Tx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.BeginRun(t.Context(), runs[0].ID, "", nil, w.now)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := w.sweepTo(60); got != triage.IncidentResolved {
			t.Fatalf("with a run that is under way it is %s", got)
		}
		w.endRuns()
		if got := w.sweepTo(60.1); got != triage.IncidentClosed {
			t.Errorf("once its run is over it is %s", got)
		}
	})
}

func TestARefireUnderALongRunIsTheSameThread(t *testing.T) {
	each(t, func(w *world) {
		w.notify(1, 0, alert("Slow", "a", 0, 0))
		w.notify(3, 0, alert("Slow", "a", 0, 3))
		w.notify(30, 0, alert("Slow", "a", 30, 0)) // long after reopen_within
		if inc := w.only(); inc.State != triage.IncidentFiring || inc.Reopened != 1 {
			t.Errorf("incident %+v, want it reopened, for its first run may still add evidence", inc)
		}
	})
}

func TestARunThatWasLostDoesNotHoldItsIncidentForEver(t *testing.T) {
	each(t, func(w *world) {
		w.notify(1, 0, alert("Slow", "a", 0, 0))
		w.notify(3, 0, alert("Slow", "a", 0, 3))
		if got := w.sweepTo(90); got != triage.IncidentResolved {
			t.Fatalf("89 minutes after its run was created it is %s", got)
		}
		if got := w.sweepTo(91); got != triage.IncidentClosed {
			t.Errorf("90 minutes after its run was created it is %s", got)
		}
	})
}
