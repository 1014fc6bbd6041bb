// What keeps a resolved incident from being closed: its evidence is sealed with
// it, so a run that is still at work must be allowed to end.

package incident

import (
	"context"
	"time"

	"triagebot/triage"
	"triagebot/triage/store"
)

// runHolds bounds how long a run holds its incident open, from its creation. A
// playbook has an hour at most, and the runner lets a run begin up to 15
// minutes late; a run that is older was lost, and would hold for ever.
const runHolds = 90 * time.Minute

// RunUnderWay says whether a run of the incident is under way, and not lost.
// Call it under LockIncident.
func (c *Correlator) RunUnderWay(ctx context.Context, tx *store.Tx, inc triage.Incident, at time.Time) (bool, error) {
	return tx.RunUnderWay(ctx, inc.ID, at.Add(-runHolds))
}
