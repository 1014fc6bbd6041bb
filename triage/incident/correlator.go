// The service that takes notifications off the inbox, in order, and folds
// them. One replica at a time does so, under the correlation lock.

package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"triagebot/triage"
	"triagebot/triage/store"
)

// Settings are what the configuration says of incidents. They may change
// while the program runs.
type Settings struct {
	ReopenWithin time.Duration // a re-fire this soon after the resolve reopens the incident
	AlertTTL     time.Duration // an incident of which nothing is heard for this long counts as resolved
	RerunAfter   time.Duration // a reopened incident runs its playbook again when its last run is this old
	EditEvery    time.Duration // edits of a parent that are not urgent come at most this often
	// VanishedAfter is how long every Alertmanager must have been without an
	// alert, at each look, before it counts as gone.
	VanishedAfter time.Duration
	// How long closed incidents and notifications that were set aside are kept;
	// 0 keeps them for good.
	KeepIncidents, KeepFailed time.Duration
	KeepActs                  time.Duration // of the audit log; 0 for good
}

// Options wire a Correlator.
type Options struct {
	Store    *store.DB
	Settings func() Settings
	// Playbook names the playbook for an alert; matched is false for the fallback.
	Playbook func(labels triage.Labels) (name string, matched bool)
	// Destinations says where an incident is shown; never none.
	Destinations func(labels triage.Labels) []triage.Destination
	Parent       Parent
	Now          func() time.Time // time.Now when nil
	Log          logrus.FieldLogger
	Registerer   prometheus.Registerer // may be nil
}

// Correlator folds notifications into incidents.
type Correlator struct {
	Options
	metrics    *metrics
	forgetFrom store.PrunePlace // where the next sweep goes on; the sweeper's alone
}

// New prepares a Correlator; Run works.
func New(opts Options) *Correlator {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Correlator{Options: opts, metrics: newMetrics(opts.Registerer)}
}

const (
	// A transaction takes at most this much off the inbox, and folds no more than
	// batchWork of it, so that the writer is free again soon and memory is bounded.
	batchNotifications = 100
	batchBytes         = 8 << 20
	// Of the alerts of an incident that ended, this many are kept for people to
	// read, and all that ended lately: a late notification must find them.
	keptEnded      = 200
	endedForgotten = time.Hour
	// Rows that another replica committed, and died, wake nobody here.
	pollEvery = time.Second
)

// Run folds until ctx ends.
func (c *Correlator) Run(ctx context.Context) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		if err := c.Drain(ctx); err != nil && ctx.Err() == nil {
			// The rows wait; the next tick tries again.
			c.Log.WithError(err).Error("folding notifications failed; they wait in the database")
		}
		select {
		case <-c.Store.Waiting(store.NotificationsWaiting):
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Drain folds everything that waits.
func (c *Correlator) Drain(ctx context.Context) error {
	limit := batchNotifications
	var begun *decoded
	for ctx.Err() == nil {
		n, err := c.foldBatch(ctx, limit, &begun)
		var bad *unfoldable
		switch {
		case errors.As(err, &bad) && limit > 1:
			// Its batch was rolled back with it. What came before it goes
			// first; then it stands alone, and shows whether it is to blame.
			limit = max(bad.before, 1)
			continue
		case bad != nil:
			if err := c.setAside(ctx, bad); err != nil {
				return err
			}
		case err != nil, n == 0:
			return err
		}
		limit = batchNotifications
	}
	return nil
}

// setAside takes a notification that cannot be folded out of the others' way.
func (c *Correlator) setAside(ctx context.Context, bad *unfoldable) error {
	c.Log.WithError(bad.err).WithField("notification", bad.id).Error("set a notification aside that cannot be folded; its body is kept")
	err := c.Store.Tx(ctx, func(tx *store.Tx) error { return tx.FailedNotification(ctx, bad.id, bad.err) })
	if err == nil {
		c.metrics.folded.WithLabelValues("failed").Inc()
	}
	return err
}

// unfoldable is an error that lies in the notification, not in the database's
// state: trying again would fail again.
type unfoldable struct {
	id     int64
	before int // notifications of its batch that were folded before it, and rolled back
	err    error
}

func (u *unfoldable) Error() string { return fmt.Sprintf("notification %d: %v", u.id, u.err) }
func (u *unfoldable) Unwrap() error { return u.err }

// foldBatch folds up to limit notifications in one transaction, or none, the
// last of them perhaps in part: that one is then what begun points to. An
// *unfoldable names the one that it failed at for good.
func (c *Correlator) foldBatch(ctx context.Context, limit int, begun **decoded) (n int, err error) {
	var results []string
	var partly *decoded
	tally := map[string]int{} // of alerts, by what came of them
	err = c.Store.Tx(ctx, func(tx *store.Tx) error {
		if err := tx.LockCorrelation(ctx); err != nil {
			return err
		}
		if *begun != nil {
			limit = 1
		}
		pending, err := tx.PendingNotifications(ctx, limit, batchBytes)
		if err != nil {
			return err
		}
		n = len(pending)
		work := batchWork
		for i, p := range pending {
			if work <= incidentWork {
				break
			}
			d, used, done, err := c.foldPending(ctx, tx, p, *begun, work, tally)
			switch {
			case store.IsPermanent(err):
				return &unfoldable{id: p.ID, before: i, err: err}
			case err != nil:
				return fmt.Errorf("notification %d: %w", p.ID, err)
			case !done:
				partly = d
				return nil
			}
			work -= used
			results = append(results, map[bool]string{true: "changed", false: "duplicate"}[d.changed])
		}
		return nil
	})
	if err != nil {
		return n, err
	}
	*begun = partly
	for _, r := range results {
		c.metrics.folded.WithLabelValues(r).Inc()
	}
	for result, alerts := range tally {
		c.metrics.alerts.WithLabelValues(result).Add(float64(alerts))
	}
	return n, nil
}

// foldPending folds what the work allows of a notification, tallies what came of
// its alerts, and takes it off the inbox when that was all. begun spares reading
// one again that is folded in part; it may be another, or nil.
func (c *Correlator) foldPending(ctx context.Context, tx *store.Tx, p store.PendingNotification, begun *decoded, work int, tally map[string]int) (d *decoded, used int, done bool, err error) {
	if d = begun; d == nil || d.id != p.ID {
		if d, err = decodePending(p); err != nil {
			return nil, 0, false, err
		}
	}
	parts, folded := d.next(p.Folded, work)
	for _, g := range parts {
		did, err := c.foldGroup(ctx, tx, d.note, g, tally)
		if err != nil {
			return nil, 0, false, err
		}
		d.changed = d.changed || did
		used += incidentWork + len(g.alerts)
	}
	if folded < len(d.note.Alerts) {
		return d, used, false, tx.FoldedPart(ctx, p.ID, folded)
	}
	return d, used, true, tx.FoldedNotification(ctx, p.ID)
}

// foldGroup folds alerts of one incident.
func (c *Correlator) foldGroup(ctx context.Context, tx *store.Tx, note triage.Notification, g group, tally map[string]int) (changed bool, err error) {
	inc, err := c.current(ctx, tx, g.key, note.ReceivedAt)
	if err != nil {
		return false, err
	}
	var known []triage.Alert
	if inc.ID != 0 {
		if known, err = knownAlerts(ctx, tx, inc.ID, g.alerts); err != nil {
			return false, err
		}
	}
	changes, after := fold(known, g.alerts, note.ReceivedAt)
	fires, _ := count(changes)
	if inc.ID == 0 && fires == 0 {
		tally[alertUnseen] += len(changes)
		return false, nil // the resolve of something that was never seen firing
	}
	for _, ch := range changes {
		tally[ch.result()]++
	}
	before := inc
	summarize(&inc, after)
	inc.Alerts += len(after) - len(known)
	inc.Truncated, inc.UpdatedAt = note.Truncated, note.ReceivedAt
	if inc.ExternalURL == "" { // the peers of an HA pair differ in it; the first stays
		inc.ExternalURL = note.ExternalURL
	}
	if inc.ID == 0 {
		return true, c.open(ctx, tx, &inc, note, g.key, changes, after)
	}
	if err := c.saveAlerts(ctx, tx, inc.ID, changes); err != nil {
		return false, err
	}
	if err := tx.HeardOf(ctx, inc.ID, note.ReceivedAt); err != nil {
		return false, err
	}
	// A truncated message may hide an alert that fires, so it clears nothing.
	clears := inc.State == triage.IncidentFiring && inc.Firing == 0 && note.Truncated == 0
	if !clears && before.Truncated == inc.Truncated && !anyChanged(changes) {
		return false, nil
	}
	if inc.Alerts > keptEnded {
		if err := tx.PruneAlerts(ctx, inc.ID, note.ReceivedAt.Add(-endedForgotten), keptEnded); err != nil {
			return false, err
		}
	}
	if err := c.logAlerts(ctx, tx, inc.ID, changes, note.ReceivedAt); err != nil {
		return false, err
	}
	switch {
	case inc.Firing > 0 && fires > 0:
		err = c.move(ctx, tx, &inc, fired, leadOf(after), note.ReceivedAt)
	case clears:
		err = c.move(ctx, tx, &inc, cleared, leadOf(after), note.ReceivedAt)
	default:
		err = c.update(ctx, tx, inc, false)
	}
	return true, err
}

// knownAlerts reads what fold has to know of an incident: the alerts that fire,
// and those that the notification names. The others do not change, however
// many a flapping alert has left behind.
func knownAlerts(ctx context.Context, tx *store.Tx, incidentID int64, incoming []triage.Alert) ([]triage.Alert, error) {
	known, err := tx.FiringAlerts(ctx, incidentID)
	if err != nil {
		return nil, err
	}
	firing := make(map[string][]time.Time, len(known)) // starts by fingerprint
	for _, a := range known {
		firing[a.Fingerprint] = append(firing[a.Fingerprint], a.StartsAt)
	}
	for _, a := range incoming {
		if slices.ContainsFunc(firing[a.Fingerprint], a.StartsAt.Equal) {
			continue
		}
		ended, err := tx.Alert(ctx, incidentID, a.Fingerprint, a.StartsAt)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return nil, err
		default:
			known = append(known, ended)
		}
	}
	return known, nil
}

// current finds the incident of a key that is not over at the instant; the
// zero incident when there is none.
func (c *Correlator) current(ctx context.Context, tx *store.Tx, key string, at time.Time) (triage.Incident, error) {
	inc, err := tx.OpenIncidentByKey(ctx, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return triage.Incident{}, nil
	case err != nil:
		return inc, err
	}
	if inc, err = tx.LockIncident(ctx, inc.ID); err != nil {
		return inc, err
	}
	if inc.State == triage.IncidentResolved && at.Sub(inc.ResolvedAt) > c.Settings().ReopenWithin {
		if held, err := c.RunUnderWay(ctx, tx, inc, at); held || err != nil {
			return inc, err
		}
		return triage.Incident{}, c.move(ctx, tx, &inc, expired, triage.Alert{}, at)
	}
	return inc, nil
}

func (c *Correlator) saveAlerts(ctx context.Context, tx *store.Tx, incidentID int64, changes []change) error {
	for _, ch := range changes {
		var err error
		if ch.seenOnly {
			err = tx.SawAlert(ctx, incidentID, ch.alert.Fingerprint, ch.alert.StartsAt)
		} else {
			err = tx.SaveAlert(ctx, incidentID, ch.alert, ch.wasStartsAt)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// logAlerts writes what fired and what ended to the timeline. A large group
// is one line, not hundreds.
func (c *Correlator) logAlerts(ctx context.Context, tx *store.Tx, incidentID int64, changes []change, at time.Time) error {
	const each = 5
	fires, ends := count(changes)
	for _, kind := range []struct {
		name string
		n    int
		is   func(change) bool
	}{
		{"fired", fires, func(ch change) bool { return ch.fires }},
		{"ended", ends, func(ch change) bool { return ch.ends }},
	} {
		if kind.n > each {
			text := fmt.Sprintf("%d alerts %s", kind.n, kind.name)
			if err := tx.AppendTimeline(ctx, triage.TimelineEntry{IncidentID: incidentID, At: at, Kind: kind.name, Actor: "alertmanager", Text: text}); err != nil {
				return err
			}
			continue
		}
		for _, ch := range changes {
			if !kind.is(ch) {
				continue
			}
			when, text := ch.alert.StartsAt, fmt.Sprintf("%s fires", ch.alert.Labels)
			if ch.ends {
				when, text = ch.alert.EndsAt, fmt.Sprintf("%s no longer fires", ch.alert.Labels)
			}
			text = c.Parent.Redact.Text(text + " (" + when.UTC().Format(time.RFC3339) + ")")
			if err := tx.AppendTimeline(ctx, triage.TimelineEntry{IncidentID: incidentID, At: at, Kind: kind.name, Actor: "alertmanager", Text: text}); err != nil {
				return err
			}
		}
	}
	return nil
}

func count(changes []change) (fires, ends int) {
	for _, ch := range changes {
		if ch.fires {
			fires++
		}
		if ch.ends {
			ends++
		}
	}
	return fires, ends
}

func anyChanged(changes []change) bool {
	for _, ch := range changes {
		if !ch.seenOnly {
			return true
		}
	}
	return false
}
