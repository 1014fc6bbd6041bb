// Asking Alertmanager, for a resolve may never arrive: it is lost when a
// silence mutes it or a restart forgets it.

package incident

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/alertmanager/api/v2/client"
	"github.com/prometheus/alertmanager/api/v2/client/alert"

	"triagebot/triage"
	"triagebot/triage/store"
)

// Lister lists the fingerprints of the alerts that an Alertmanager has now,
// silenced and inhibited ones included.
type Lister interface {
	Fingerprints(ctx context.Context) (map[string]bool, error)
}

// AlertmanagerAPI is the Lister of a real Alertmanager.
type AlertmanagerAPI struct{ Client *client.AlertmanagerAPI }

// Fingerprints implements Lister.
func (a AlertmanagerAPI) Fingerprints(ctx context.Context) (map[string]bool, error) {
	yes := true
	params := alert.NewGetAlertsParamsWithContext(ctx).WithActive(&yes).WithSilenced(&yes).WithInhibited(&yes).WithUnprocessed(&yes)
	reply, err := a.Client.Alert.GetAlerts(params)
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", err)
	}
	out := make(map[string]bool, len(reply.Payload))
	for _, item := range reply.Payload {
		if item.Fingerprint != nil {
			out[*item.Fingerprint] = true
		}
	}
	return out, nil
}

// RunPoller polls until ctx ends. It returns at once when there is nothing to ask.
func (c *Correlator) RunPoller(ctx context.Context, listers map[string]Lister, every time.Duration) error {
	if len(listers) == 0 {
		return nil
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		if err := c.Poll(ctx, listers, every); err != nil && ctx.Err() == nil {
			c.Log.WithError(err).Warn("asking Alertmanager which alerts are left failed; incidents stay as they are")
		}
	}
}

// Poll resolves the incidents that no Alertmanager knows any more. Each has to
// answer: one that does not may be the one that still has the alert. grace is
// how long an incident must not have been heard of, so that an alert on its
// way between the two is not taken for gone.
func (c *Correlator) Poll(ctx context.Context, listers map[string]Lister, grace time.Duration) error {
	known := map[string]bool{}
	for name, lister := range listers {
		fingerprints, err := lister.Fingerprints(ctx)
		if err != nil {
			return fmt.Errorf("alertmanager %s: %w", name, err)
		}
		for f := range fingerprints {
			known[f] = true
		}
	}
	now := c.Now()
	return c.Store.Tx(ctx, func(tx *store.Tx) error {
		if err := tx.LockCorrelation(ctx); err != nil {
			return err
		}
		candidates, err := tx.SilentIncidents(ctx, now.Add(-grace))
		if err != nil {
			return err
		}
		var gone []triage.Incident
		for _, inc := range candidates {
			alerts, err := tx.AlertsOf(ctx, inc.ID)
			if err != nil {
				return err
			}
			if !anyKnown(alerts, known) {
				gone = append(gone, inc)
			}
		}
		return c.moveAll(ctx, tx, gone, vanished, now)
	})
}

func anyKnown(alerts []triage.Alert, known map[string]bool) bool {
	for _, a := range alerts {
		if a.Status == triage.AlertFiring && known[a.Fingerprint] {
			return true
		}
	}
	return false
}
