package incident

import (
	"testing"

	"triagebot/triage"
)

// TestEveryTransition goes through all pairs of state and event, so that a
// state or an event that is added has to be thought through.
func TestEveryTransition(t *testing.T) {
	const f, r, c = triage.IncidentFiring, triage.IncidentResolved, triage.IncidentClosed
	type result struct {
		to     triage.IncidentState
		effect effect
	}
	want := map[triage.IncidentState]map[event]result{
		none: {fired: {f, opens}, cleared: {none, nothing}},
		f:    {fired: {f, nothing}, cleared: {r, settles}, vanished: {r, settles}, silent: {r, settles}},
		r:    {fired: {f, reopens}, cleared: {r, nothing}, expired: {c, closes}},
		c:    {}, // final
	}
	for from, on := range want {
		for _, ev := range []event{fired, cleared, vanished, silent, expired} {
			got, err := next(from, ev)
			expected, possible := on[ev]
			switch {
			case possible && err != nil:
				t.Errorf("%q on %q: %v", from, ev, err)
			case !possible && err == nil:
				t.Errorf("%q on %q goes to %q, want it refused", from, ev, got.to)
			case possible && (got.to != expected.to || got.effect != expected.effect):
				t.Errorf("%q on %q: %q %q, want %q %q", from, ev, got.to, got.effect, expected.to, expected.effect)
			}
		}
	}
}

func TestResolutionSaysHowItWasKnown(t *testing.T) {
	for ev, want := range map[event]triage.Resolution{
		cleared: triage.ResolvedByAlertmanager, vanished: triage.ResolvedByPoll, silent: triage.ResolvedByTTL,
	} {
		if got := ev.resolution(); got != want {
			t.Errorf("%s: %s, want %s", ev, got, want)
		}
	}
}
