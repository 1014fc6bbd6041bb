// The life of a maintenance window: every transition there is, in one table.

package maintenance

import (
	"fmt"

	"triagebot/triage"
)

// event is what can happen to a window.
type event string

const (
	requested event = "requested" // a person asks for maintenance
	confirmed event = "confirmed" // who has to confirm it does
	withdrawn event = "withdrawn" // a person takes it back
	lapsed    event = "lapsed"    // nobody confirmed it in time
	followed  event = "followed"  // the metric says what the call was for
	exhausted event = "exhausted" // it does not, and no further call is to be made
	spoilt    event = "spoilt"    // likewise, and what may have been done is to be undone
	ended     event = "ended"     // a person has it disabled
	unready   event = "unready"   // the service is not ready to go without maintenance
	extended  event = "extended"  // a person moves its end
	appeared  event = "appeared"  // the metric says 1, and triagebot had no part in it
	adopted   event = "adopted"   // a person says that it is theirs
	vanished  event = "vanished"  // the metric says 0, and triagebot had no part in it
)

// effect is what a transition causes beside the new state.
type effect string

const (
	nothing effect = ""
	works   effect = "works"  // a job calls the toggle
	starts  effect = "starts" // the clock runs
	stays   effect = "stays"  // it could not be disabled: the clock runs on
	ends    effect = "ends"   // it is off
)

// none is the state of a service without a window that is not over.
const none triage.WindowState = ""

type transition struct {
	from   triage.WindowState
	on     event
	to     triage.WindowState
	effect effect
}

// transitions are all there are; a pair that is not listed is refused.
func transitions() []transition {
	return []transition{
		{none, requested, triage.WindowProposed, nothing},
		{none, appeared, triage.WindowFound, nothing},

		{triage.WindowProposed, confirmed, triage.WindowEnabling, works},
		{triage.WindowProposed, withdrawn, triage.WindowCancelled, nothing},
		{triage.WindowProposed, lapsed, triage.WindowCancelled, nothing},
		{triage.WindowProposed, appeared, triage.WindowCancelled, nothing}, // and what appeared is found

		{triage.WindowEnabling, followed, triage.WindowOn, starts},
		{triage.WindowEnabling, exhausted, triage.WindowFailed, nothing},
		{triage.WindowEnabling, spoilt, triage.WindowUndoing, nothing}, // the same job goes on

		{triage.WindowUndoing, followed, triage.WindowFailed, nothing},
		{triage.WindowUndoing, exhausted, triage.WindowFailed, nothing},

		{triage.WindowOn, extended, triage.WindowOn, nothing},
		{triage.WindowOn, ended, triage.WindowDisabling, works},
		{triage.WindowOn, vanished, triage.WindowOff, ends},

		{triage.WindowDisabling, followed, triage.WindowOff, ends},
		{triage.WindowDisabling, exhausted, triage.WindowOn, stays},
		{triage.WindowDisabling, unready, triage.WindowOn, stays},

		{triage.WindowFound, adopted, triage.WindowOn, starts},
		{triage.WindowFound, ended, triage.WindowDisabling, works},
		{triage.WindowFound, vanished, triage.WindowOff, ends},
	}
}

// next looks the transition up.
func next(from triage.WindowState, on event) (transition, error) {
	for _, t := range transitions() {
		if t.from == from && t.on == on {
			return t, nil
		}
	}
	return transition{}, fmt.Errorf("no transition from state %q on %q", from, on)
}

// canHappen says whether there is such a transition.
func canHappen(from triage.WindowState, on event) bool {
	_, err := next(from, on)
	return err == nil
}

// isOver says whether nothing can happen to a window any more.
func isOver(s triage.WindowState) bool {
	return s == triage.WindowCancelled || s == triage.WindowOff || s == triage.WindowFailed
}

// calls says whether a job is at work on a window in the state, and whether the
// flag is to be on.
func calls(s triage.WindowState) (on, atWork bool) {
	switch s {
	case triage.WindowEnabling:
		return true, true
	case triage.WindowDisabling, triage.WindowUndoing:
		return false, true
	}
	return false, false
}
