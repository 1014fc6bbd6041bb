package maintenance

import (
	"testing"

	"triagebot/triage"
)

// TestEveryTransition goes through all pairs of state and event, so that a
// state or an event that is added has to be thought through.
func TestEveryTransition(t *testing.T) {
	const (
		proposed, cancelled = triage.WindowProposed, triage.WindowCancelled
		enabling, undoing   = triage.WindowEnabling, triage.WindowUndoing
		on, disabling       = triage.WindowOn, triage.WindowDisabling
		off, failed, found  = triage.WindowOff, triage.WindowFailed, triage.WindowFound
	)
	type result struct {
		to     triage.WindowState
		effect effect
	}
	want := map[triage.WindowState]map[event]result{
		none:      {requested: {proposed, nothing}, appeared: {found, nothing}},
		proposed:  {confirmed: {enabling, works}, withdrawn: {cancelled, nothing}, lapsed: {cancelled, nothing}, appeared: {cancelled, nothing}},
		enabling:  {followed: {on, starts}, exhausted: {failed, nothing}, spoilt: {undoing, nothing}},
		undoing:   {followed: {failed, nothing}, exhausted: {failed, nothing}},
		on:        {extended: {on, nothing}, ended: {disabling, works}, vanished: {off, ends}},
		disabling: {followed: {off, ends}, exhausted: {on, stays}, unready: {on, stays}},
		found:     {adopted: {on, starts}, ended: {disabling, works}, vanished: {off, ends}},
		cancelled: {}, off: {}, failed: {}, // final
	}
	events := []event{
		requested, confirmed, withdrawn, lapsed, followed, exhausted, spoilt, ended, unready, extended, appeared, adopted, vanished,
	}
	for from, outcomes := range want {
		for _, ev := range events {
			got, err := next(from, ev)
			expected, possible := outcomes[ev]
			switch {
			case possible && err != nil:
				t.Errorf("%q on %q: %v", from, ev, err)
			case !possible && err == nil:
				t.Errorf("%q on %q goes to %q, want it refused", from, ev, got.to)
			case possible && (got.to != expected.to || got.effect != expected.effect):
				t.Errorf("%q on %q: %q %q, want %q %q", from, ev, got.to, got.effect, expected.to, expected.effect)
			}
		}
		if _, atWork := calls(from); isOver(from) && (atWork || len(outcomes) > 0) {
			t.Errorf("%q is over, and yet something happens to it", from)
		}
		if len(outcomes) == 0 && !isOver(from) {
			t.Errorf("nothing can happen to %q, and yet it is not over", from)
		}
	}
	known := map[event]bool{}
	for _, tr := range transitions() {
		known[tr.on] = true
		if tr.effect == works {
			if _, atWork := calls(tr.to); !atWork {
				t.Errorf("%q on %q has a job work, which has nothing to do in %q", tr.from, tr.on, tr.to)
			}
		}
	}
	if len(known) != len(events) {
		t.Errorf("the table knows %d events, the test %d", len(known), len(events))
	}
}
