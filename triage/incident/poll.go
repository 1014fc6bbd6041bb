// Asking Alertmanager, for a resolve may never arrive: it is lost when a
// silence mutes it or a restart forgets it.

package incident

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/api/v2/client"
	"github.com/prometheus/alertmanager/api/v2/client/alert"

	"triagebot/triage"
	"triagebot/triage/store"
)

// Lister lists the alerts that an Alertmanager has now, silenced and inhibited
// ones included.
type Lister interface {
	// Alerts gives the start of each alert by its fingerprint.
	Alerts(ctx context.Context) (map[string]time.Time, error)
}

// AlertmanagerAPI is the Lister of a real Alertmanager.
type AlertmanagerAPI struct{ Client *client.AlertmanagerAPI }

// Alerts implements Lister. The starts are cut to milliseconds, as the API has them.
func (a AlertmanagerAPI) Alerts(ctx context.Context) (map[string]time.Time, error) {
	yes := true
	params := alert.NewGetAlertsParamsWithContext(ctx).WithActive(&yes).WithSilenced(&yes).WithInhibited(&yes).WithUnprocessed(&yes)
	reply, err := a.Client.Alert.GetAlerts(params)
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", err)
	}
	out := make(map[string]time.Time, len(reply.Payload))
	for _, item := range reply.Payload {
		if item.Fingerprint != nil && item.StartsAt != nil {
			out[*item.Fingerprint] = time.Time(*item.StartsAt)
		}
	}
	return out, nil
}

// Poller asks the Alertmanagers which alerts they have. An Alertmanager forgets
// its alerts at a restart, and Prometheus takes a minute to send them again
// (--rules.alert.resend-delay), so one look proves nothing: an incident is over
// when look after look, for as long as Settings.VanishedAfter, found none of its
// alerts.
//
// Since when is kept in memory. A restart begins to count anew, and so does each
// replica for itself: whichever has seen enough first moves the incident, under
// the correlation lock, and the others find it moved.
type Poller struct {
	// Answers says whether the Alertmanagers that are asked are those that an
	// incident came from, by its external URL; nil means that they always are.
	// Of an incident that came from another nothing is concluded.
	Answers func(externalURL string) bool
	// Configured says whether an Alertmanager of the configuration, polled or
	// not, has the external URL; nil means that any has. That an incident came
	// from another is warned of, once for each URL.
	Configured func(externalURL string) bool

	correlator *Correlator
	listers    map[string]Lister
	absent     map[int64]time.Time // by incident: the first of the looks in a row that found none of its alerts
	warned     map[string]bool     // by external URL, at most maxWarned
}

// maxWarned bounds the external URLs that are warned of, for notifications name
// what they like.
const maxWarned = 100

// NewPoller makes a Poller of the Alertmanagers, by name. It serves one
// goroutine at a time.
func NewPoller(c *Correlator, listers map[string]Lister) *Poller {
	return &Poller{correlator: c, listers: listers, warned: map[string]bool{}}
}

// Run polls until ctx ends. It returns at once when there is nothing to ask.
func (p *Poller) Run(ctx context.Context, every time.Duration) error {
	if len(p.listers) == 0 {
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
		if err := p.Poll(ctx); err != nil && ctx.Err() == nil {
			p.correlator.Log.WithError(err).Warn("asking Alertmanager which alerts are left failed; incidents stay as they are")
		}
	}
}

// Poll looks once: it resolves the incidents whose alerts have vanished, and
// reopens those that count as over and are not. Each Alertmanager
// has to answer, for one that does not may be the one that still has the alert;
// a look that fails begins the count anew.
func (p *Poller) Poll(ctx context.Context) error {
	asked := p.correlator.Now()
	listed, err := p.list(ctx)
	if err == nil {
		// What was sent before the answer may wait in the inbox.
		err = p.correlator.Drain(ctx)
	}
	if err == nil {
		err = p.decide(ctx, listed, asked)
	}
	if err != nil {
		p.absent = nil
	}
	return err
}

// list is what any Alertmanager has, with the earliest start of each.
func (p *Poller) list(ctx context.Context) (map[string]time.Time, error) {
	listed := map[string]time.Time{}
	for name, lister := range p.listers {
		alerts, err := lister.Alerts(ctx)
		if err != nil {
			if ctx.Err() == nil {
				p.correlator.metrics.polls.WithLabelValues("failed").Inc()
			}
			return nil, fmt.Errorf("alertmanager %s: %w", name, err)
		}
		p.correlator.metrics.polls.WithLabelValues("ok").Inc()
		for fingerprint, start := range alerts {
			if earliest, known := listed[fingerprint]; !known || start.Before(earliest) {
				listed[fingerprint] = start
			}
		}
	}
	return listed, nil
}

func (p *Poller) decide(ctx context.Context, listed map[string]time.Time, asked time.Time) error {
	c, now := p.correlator, p.correlator.Now()
	absent := map[int64]time.Time{}
	var firing []triage.Incident
	err := c.Store.Tx(ctx, func(tx *store.Tx) error {
		if err := tx.LockCorrelation(ctx); err != nil {
			return err
		}
		if err := p.reopenListed(ctx, tx, listed, asked); err != nil {
			return err
		}
		var err error
		if firing, err = tx.SilentIncidents(ctx, now); err != nil {
			return err
		}
		for _, inc := range firing {
			if !p.answers(inc) {
				continue
			}
			alerts, err := tx.FiringAlerts(ctx, inc.ID)
			if err != nil {
				return err
			}
			if anyListed(alerts, listed) {
				if err := tx.HeardOf(ctx, inc.ID, now); err != nil { // or alert_ttl would end it under a long silence
					return err
				}
				continue
			}
			absent[inc.ID] = now
			if since, before := p.absent[inc.ID]; before {
				absent[inc.ID] = since
			}
		}
		return c.resolveVanished(ctx, tx, absent, now)
	})
	p.absent = absent
	p.warnOfUnknown(firing)
	return err
}

// warnOfUnknown says which incidents came from an external URL that nobody
// configured: most likely it is missing in the configuration.
func (p *Poller) warnOfUnknown(incidents []triage.Incident) {
	for _, inc := range incidents {
		from := inc.ExternalURL
		if p.Configured == nil || p.Configured(from) || p.warned[from] || len(p.warned) == maxWarned {
			continue
		}
		p.warned[from] = true
		if u, err := url.Parse(from); err == nil && from != "" {
			p.correlator.Log.WithField("external_url", p.correlator.Parent.Redact.Text(u.Redacted())).Warn(
				"incidents come from an external URL that no configured Alertmanager has; set external_url of its entry in alertmanagers, or polling cannot tell whose they are")
		}
	}
}

// answers says whether what was listed tells anything of an incident.
func (p *Poller) answers(inc triage.Incident) bool {
	return p.Answers == nil || p.Answers(inc.ExternalURL)
}

// resolveVanished resolves the incidents that have been absent for long enough,
// and of which no notification spoke meanwhile.
func (c *Correlator) resolveVanished(ctx context.Context, tx *store.Tx, absent map[int64]time.Time, now time.Time) error {
	since := now.Add(-c.Settings().VanishedAfter)
	silent, err := tx.SilentIncidents(ctx, since)
	if err != nil {
		return err
	}
	gone := slices.DeleteFunc(silent, func(inc triage.Incident) bool {
		first, isAbsent := absent[inc.ID]
		return !isAbsent || first.After(since)
	})
	return c.moveAll(ctx, tx, gone, vanished, now)
}

// reopenListed reopens the incidents that count as over and of which an
// Alertmanager, when it was asked, had an alert after all.
func (p *Poller) reopenListed(ctx context.Context, tx *store.Tx, listed map[string]time.Time, asked time.Time) error {
	if len(listed) == 0 {
		return nil
	}
	c, now := p.correlator, p.correlator.Now()
	resolved, err := tx.ResolvedIncidents(ctx, now)
	if err != nil {
		return err
	}
	for _, seen := range resolved {
		if now.Sub(seen.ResolvedAt) > c.Settings().ReopenWithin || !p.answers(seen) {
			continue
		}
		ended, err := tx.EndedAlerts(ctx, seen.ID, maxEnded)
		if err != nil {
			return err
		}
		changes := reappeared(ended, listed, asked)
		if len(changes) == 0 {
			continue // and its row stays unlocked: of most there is nothing to say, look after look
		}
		inc, err := tx.LockIncident(ctx, seen.ID)
		if err != nil {
			return err
		}
		if inc.State == triage.IncidentResolved {
			if err := c.reappear(ctx, tx, inc, changes, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxEnded bounds the alerts of one incident that a look considers. Any of
// them reopens it; the others come with the next notification.
const maxEnded = 1000

// reappeared are the alerts, of those that ended, the latest first, that are
// listed with the same start. A later start is another firing, which a
// notification tells of. An end that was reported stands for staleWithin: the
// peer that has not heard of it yet lists the alert as well.
func reappeared(ended []triage.Alert, listed map[string]time.Time, asked time.Time) (changes []change) {
	done := map[string]bool{} // the latest of a fingerprint is the one that is listed
	for _, a := range ended {
		start, isListed := listed[a.Fingerprint]
		// The API cuts starts to milliseconds, and Alertmanager may have moved it earlier.
		if !isListed || done[a.Fingerprint] || start.After(a.StartsAt) {
			continue
		}
		done[a.Fingerprint] = true
		if !a.EndsAt.IsZero() && asked.Sub(a.EndsAt) < staleWithin {
			continue
		}
		a.Status, a.EndsAt = triage.AlertFiring, time.Time{}
		changes = append(changes, change{alert: a, wasStartsAt: a.StartsAt, fires: true})
	}
	return changes
}

func (c *Correlator) reappear(ctx context.Context, tx *store.Tx, inc triage.Incident, changes []change, now time.Time) error {
	if err := c.saveAlerts(ctx, tx, inc.ID, changes); err != nil {
		return err
	}
	if err := tx.HeardOf(ctx, inc.ID, now); err != nil {
		return err
	}
	if err := c.logAlerts(ctx, tx, inc.ID, changes, now); err != nil {
		return err
	}
	firing, err := tx.FiringAlerts(ctx, inc.ID)
	if err != nil {
		return err
	}
	summarize(&inc, firing)
	return c.move(ctx, tx, &inc, fired, leadOf(firing), now)
}

func anyListed(alerts []triage.Alert, listed map[string]time.Time) bool {
	return slices.ContainsFunc(alerts, func(a triage.Alert) bool {
		_, known := listed[a.Fingerprint]
		return known
	})
}
