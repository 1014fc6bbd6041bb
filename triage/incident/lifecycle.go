// The life of an incident: every transition there is, in one table.

package incident

import (
	"fmt"

	"triagebot/triage"
)

// event is what can happen to an incident.
type event string

const (
	fired    event = "fired"    // at least one of its alerts fires
	cleared  event = "cleared"  // a whole notification says that none fires any more
	vanished event = "vanished" // Alertmanager's API no longer lists its alerts
	silent   event = "silent"   // nothing was heard of it for alert_ttl
	expired  event = "expired"  // reopen_within has passed since it resolved, and no run of it is under way
)

// effect is what a transition causes beside the new state.
type effect string

const (
	nothing effect = ""
	opens   effect = "opens"   // parent posted, playbook run
	reopens effect = "reopens" // same thread; the playbook runs again if the last run is old
	settles effect = "settles" // the parent says resolved and for how long it fired
	closes  effect = "closes"  // evidence sealed; the next firing is another incident
)

// none is the state of an incident that does not exist.
const none triage.IncidentState = ""

type transition struct {
	from   triage.IncidentState
	on     event
	to     triage.IncidentState
	effect effect
}

// transitions are all there are; a pair that is not listed is a mistake in the
// program, except that an incident that does not exist ignores all but fired.
func transitions() []transition {
	const firing, resolved, closed = triage.IncidentFiring, triage.IncidentResolved, triage.IncidentClosed
	return []transition{
		{none, fired, firing, opens},
		{none, cleared, none, nothing}, // its firing was never seen, or it is closed

		{firing, fired, firing, nothing},
		{firing, cleared, resolved, settles},
		{firing, vanished, resolved, settles},
		{firing, silent, resolved, settles},

		{resolved, fired, firing, reopens},
		{resolved, cleared, resolved, nothing},
		{resolved, expired, closed, closes},
	}
}

// next looks the transition up.
func next(from triage.IncidentState, on event) (transition, error) {
	for _, t := range transitions() {
		if t.from == from && t.on == on {
			return t, nil
		}
	}
	return transition{}, fmt.Errorf("no transition from state %q on %q", from, on)
}

// resolution is how an event resolves an incident.
func (e event) resolution() triage.Resolution {
	switch e {
	case vanished:
		return triage.ResolvedByPoll
	case silent:
		return triage.ResolvedByTTL
	default:
		return triage.ResolvedByAlertmanager
	}
}
