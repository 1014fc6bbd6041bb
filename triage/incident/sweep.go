// What time alone does to incidents: closing those that stayed resolved, and
// resolving those of which nothing is heard any more.

package incident

import (
	"context"
	"time"

	"triagebot/triage"
	"triagebot/triage/store"
)

const (
	sweepEvery = 5 * time.Second
	// Folded notifications are kept for a while to answer "did it arrive?".
	keepNotifications = 7 * 24 * time.Hour
	prunedAtOnce      = 1000
	// A sweep forgets at most so many incidents, each with all its rows. The next
	// goes on behind them, whether they could be forgotten or not.
	incidentsAtOnce = 50
)

// RunSweeper sweeps until ctx ends. Every replica may: the transitions hold
// whoever makes them.
func (c *Correlator) RunSweeper(ctx context.Context) error {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		if err := c.Sweep(ctx); err != nil && ctx.Err() == nil {
			c.Log.WithError(err).Error("sweeping incidents failed; trying again")
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Sweep makes the transitions that are due now, and forgets what is old. It
// serves one goroutine at a time.
func (c *Correlator) Sweep(ctx context.Context) error {
	now, settings := c.Now(), c.Settings()
	if err := c.sweep(ctx, settings, now); err != nil {
		return err
	}
	if settings.KeepIncidents == 0 {
		return nil
	}
	n, next, err := c.Store.PruneIncidents(ctx, now.Add(-settings.KeepIncidents), c.forgetFrom, incidentsAtOnce)
	c.forgetFrom = next
	if n > 0 {
		c.Log.WithField("incidents", n).Info("forgot incidents that were closed longer ago than retention.incidents; their evidence files stay")
	}
	return err
}

func (c *Correlator) sweep(ctx context.Context, settings Settings, now time.Time) error {
	return c.Store.Tx(ctx, func(tx *store.Tx) error {
		if err := tx.LockCorrelation(ctx); err != nil {
			return err
		}
		resolved, err := tx.ResolvedIncidents(ctx, now.Add(-settings.ReopenWithin))
		if err != nil {
			return err
		}
		if err := c.moveAll(ctx, tx, resolved, expired, now); err != nil {
			return err
		}
		quiet, err := tx.SilentIncidents(ctx, now.Add(-settings.AlertTTL))
		if err != nil {
			return err
		}
		if err := c.moveAll(ctx, tx, quiet, silent, now); err != nil {
			return err
		}
		if settings.KeepFailed > 0 {
			if _, err := tx.PruneFailedNotifications(ctx, now.Add(-settings.KeepFailed), prunedAtOnce); err != nil {
				return err
			}
		}
		if settings.KeepActs > 0 {
			if _, err := tx.PruneActs(ctx, now.Add(-settings.KeepActs), prunedAtOnce); err != nil {
				return err
			}
		}
		_, err = tx.PruneNotifications(ctx, now.Add(-keepNotifications), prunedAtOnce)
		return err
	})
}

// moveAll takes incidents through the same transition. One that moved since it
// was read is left alone.
func (c *Correlator) moveAll(ctx context.Context, tx *store.Tx, incidents []triage.Incident, ev event, now time.Time) error {
	for _, seen := range incidents {
		inc, err := tx.LockIncident(ctx, seen.ID)
		if err != nil {
			return err
		}
		if inc.State != seen.State {
			continue
		}
		if ev == expired {
			if held, err := c.RunUnderWay(ctx, tx, inc, now); err != nil {
				return err
			} else if held {
				continue
			}
		} else if err := c.endAlerts(ctx, tx, &inc); err != nil {
			return err
		}
		if err := c.move(ctx, tx, &inc, ev, triage.Alert{}, now); err != nil {
			return err
		}
	}
	return nil
}

// endAlerts marks all alerts of an incident as over. Nobody reported their end,
// so they get none: should one be heard of again, the presumption was wrong.
func (c *Correlator) endAlerts(ctx context.Context, tx *store.Tx, inc *triage.Incident) error {
	alerts, err := tx.FiringAlerts(ctx, inc.ID)
	if err != nil {
		return err
	}
	for _, a := range alerts {
		a.Status, a.EndsAt = triage.AlertResolved, time.Time{}
		if err := tx.SaveAlert(ctx, inc.ID, a, a.StartsAt); err != nil {
			return err
		}
	}
	inc.Firing = 0
	return nil
}
