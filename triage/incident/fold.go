// The rules by which an alert of a notification joins, changes or leaves the
// alerts of an incident. Pure: no I/O, no clock.

package incident

import (
	"maps"
	"slices"
	"time"

	"triagebot/triage"
)

// staleWithin is how long after an alert's end a notification that still says
// it fires counts as a late one of an HA peer (their peer-timeout is 15 s)
// rather than as a new firing of the same alert. It goes for ends that
// Alertmanager reported: one that was presumed was wrong. Should it have been a
// new firing, a poll that finds the alert after that time takes the end back.
const staleWithin = time.Minute

// change is what one alert of a notification does to one that is known.
type change struct {
	alert       triage.Alert // as it is to be stored
	wasStartsAt time.Time    // under which it is stored now; alert.StartsAt for a new one
	seenOnly    bool         // nothing but the count changes
	late        bool         // and it was dropped: a firing within staleWithin of its end
	fires       bool         // it did not fire before, and does now
	ends        bool         // it fired before, and does no longer
}

// fold works out what the alerts of one notification change among those that
// are known of the incident. It returns the changes and the alerts as they are
// afterwards.
func fold(known, incoming []triage.Alert, at time.Time) (changes []change, after []triage.Alert) {
	r := newRoster(known)
	for _, a := range incoming {
		for _, c := range r.fold(a, at) {
			changes = append(changes, c)
			r.apply(c)
		}
	}
	return changes, r.alerts
}

func (r *roster) fold(a triage.Alert, at time.Time) []change {
	if i, is := r.byIdentity[identityOf(a.Fingerprint, a.StartsAt)]; is {
		return []change{foldSame(r.alerts[i], a, at)}
	}
	firing := r.firing[a.Fingerprint]
	if len(firing) == 0 {
		return []change{{alert: a, wasStartsAt: a.StartsAt, fires: a.Status == triage.AlertFiring}}
	}
	k := r.alerts[firing[0]]
	switch {
	case a.Status == triage.AlertResolved && !a.EndsAt.IsZero() && !a.EndsAt.After(k.StartsAt):
		// The late resolve of an earlier firing; the one that fires now goes on.
		return []change{{alert: a, wasStartsAt: a.StartsAt}}
	case a.StartsAt.Before(k.StartsAt), a.Status == triage.AlertResolved:
		// Alertmanager moved the start of the alert that we know.
		c := foldSame(k, a, at)
		c.wasStartsAt, c.seenOnly = k.StartsAt, false
		return []change{c}
	default:
		// It fires anew and the resolve in between was lost.
		ended := k
		ended.Status, ended.EndsAt = triage.AlertResolved, a.StartsAt
		return []change{
			{alert: ended, wasStartsAt: k.StartsAt, ends: true},
			{alert: a, wasStartsAt: a.StartsAt, fires: true},
		}
	}
}

// foldSame handles an alert whose identity is known as k.
func foldSame(k, a triage.Alert, at time.Time) change {
	c := change{alert: a, wasStartsAt: k.StartsAt}
	switch {
	case k.Status == a.Status:
		c.seenOnly = k.StartsAt.Equal(a.StartsAt) && maps.Equal(k.Annotations, a.Annotations) && k.GeneratorURL == a.GeneratorURL &&
			k.EndsAt.IsZero() == a.EndsAt.IsZero() // an end that was presumed is reported after all
		if c.seenOnly {
			c.alert = k
		}
	case a.Status == triage.AlertResolved:
		c.ends = true
	case !k.EndsAt.IsZero() && at.Sub(k.EndsAt) < staleWithin:
		c.alert, c.seenOnly, c.late = k, true, true
	default:
		c.fires = true
	}
	return c
}

// What came of an alert of a notification, for the counter.
const (
	alertFired     = "fired"
	alertEnded     = "ended"
	alertChanged   = "changed"   // what is said of it, or an earlier firing's late end
	alertDuplicate = "duplicate" // said before
	alertLate      = "late"      // a firing within staleWithin of its end: dropped
	alertUnseen    = "unseen"    // the end of one of which no firing was seen, and no incident is open: dropped
)

func (c change) result() string {
	switch {
	case c.fires:
		return alertFired
	case c.ends:
		return alertEnded
	case c.late:
		return alertLate
	case c.seenOnly:
		return alertDuplicate
	default:
		return alertChanged
	}
}

// identity is what makes an alert the same alert, to the microsecond that the
// database keeps.
type identity struct {
	fingerprint string
	startsAt    int64
}

func identityOf(fingerprint string, startsAt time.Time) identity {
	return identity{fingerprint, startsAt.UnixMicro()}
}

// roster is the alerts of an incident, which may be tens of thousands, with
// where in them each stands.
type roster struct {
	alerts     []triage.Alert
	byIdentity map[identity]int
	firing     map[string][]int // by fingerprint; one, but for what two writers may leave
}

func newRoster(alerts []triage.Alert) *roster {
	r := &roster{alerts: slices.Clone(alerts), byIdentity: make(map[identity]int, len(alerts)), firing: map[string][]int{}}
	for i, a := range r.alerts {
		r.enter(i, a)
	}
	return r
}

func (r *roster) enter(i int, a triage.Alert) {
	r.byIdentity[identityOf(a.Fingerprint, a.StartsAt)] = i
	if a.Status == triage.AlertFiring {
		r.firing[a.Fingerprint] = append(r.firing[a.Fingerprint], i)
	}
}

func (r *roster) apply(c change) {
	was := identityOf(c.alert.Fingerprint, c.wasStartsAt)
	i, known := r.byIdentity[was]
	if known {
		delete(r.byIdentity, was)
		r.firing[was.fingerprint] = slices.DeleteFunc(r.firing[was.fingerprint], func(k int) bool { return k == i })
		r.alerts[i] = c.alert
	} else {
		i = len(r.alerts)
		r.alerts = append(r.alerts, c.alert)
	}
	r.enter(i, c.alert)
}

// summarize sets what an incident says of its alerts as a whole. alerts are all
// that fire and some that ended, at least one; what the others said of it
// stands in the incident already.
func summarize(inc *triage.Incident, alerts []triage.Alert) {
	inc.Firing = 0
	worst := ""
	for _, a := range alerts {
		if a.Status == triage.AlertFiring {
			inc.Firing++
			worst = triage.WorseSeverity(worst, a.Labels["severity"])
		}
		if inc.StartedAt.IsZero() || a.StartsAt.Before(inc.StartedAt) {
			inc.StartedAt = a.StartsAt
		}
	}
	if inc.Labels == nil {
		inc.Labels = alerts[0].Labels
	}
	inc.Labels = commonLabels(inc.Labels, alerts)
	if inc.Firing > 0 { // a resolved incident keeps what it said
		lead := leadOf(alerts)
		inc.Severity, inc.Annotations, inc.GeneratorURL = worst, lead.Annotations, lead.GeneratorURL
	}
}

// leads says whether a rather than b speaks for the incident: firing before
// resolved, then the worse severity, then the earlier.
func leads(a, b triage.Alert) bool {
	if (a.Status == triage.AlertFiring) != (b.Status == triage.AlertFiring) {
		return a.Status == triage.AlertFiring
	}
	if ra, rb := triage.SeverityRank(a.Labels["severity"]), triage.SeverityRank(b.Labels["severity"]); ra != rb {
		return ra < rb
	}
	return a.StartsAt.Before(b.StartsAt)
}

// leadOf is the alert that speaks for an incident; alerts is not empty.
func leadOf(alerts []triage.Alert) triage.Alert {
	lead := alerts[0]
	for _, a := range alerts[1:] {
		if leads(a, lead) {
			lead = a
		}
	}
	return lead
}

// commonLabels are those of labels on which all alerts agree.
func commonLabels(labels triage.Labels, alerts []triage.Alert) triage.Labels {
	out := maps.Clone(labels)
	maps.DeleteFunc(out, func(name, value string) bool {
		return slices.ContainsFunc(alerts, func(a triage.Alert) bool { return a.Labels[name] != value })
	})
	return out
}
