package command

// Which incident a request is about.

import (
	"context"
	"errors"
	"fmt"
	"time"

	"triagebot/triage"
	"triagebot/triage/store"
)

// listedIncidents is how many are listed where one has to be chosen.
const listedIncidents = 10

// incidents are where incidents are found: the database, or the transaction of a
// request that changes something. One that looked beside its transaction would
// hold two connections, and many at once would wait for each other's for ever.
type incidents interface {
	Incident(ctx context.Context, id int64) (triage.Incident, error)
	IncidentAt(ctx context.Context, place triage.RemoteRef) (int64, error)
	OpenIncidentsIn(ctx context.Context, channel string, limit int) ([]triage.Incident, error)
}

// incident finds the incident that a request is about: the number in its words,
// which it takes off them, or the thread or button that it came from,
// or the one that fires in its channel.
func (c *Core) incident(ctx context.Context, in incidents, a *ask) (triage.Incident, error) {
	id, named := number(a.first())
	if named {
		a.skip(1)
	} else {
		var err error
		if id, err = askedIn(ctx, in, a); err != nil {
			return triage.Incident{}, err
		}
	}
	if id == 0 {
		return c.onlyIncident(ctx, in, a)
	}
	inc, err := in.Incident(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return inc, unclear(a.spec, "There is no incident %d. /triage incidents lists them.", id)
	}
	a.about = inc.ID
	return inc, err
}

// askedIn is the incident in whose thread, or on whose buttons, a request was
// made; 0 for none.
func askedIn(ctx context.Context, in incidents, a *ask) (int64, error) {
	if a.Incident != 0 || a.Place.ID == "" {
		return a.Incident, nil
	}
	id, err := in.IncidentAt(ctx, a.Place)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	return id, err
}

// onlyIncident is the one that fires in the channel; where there are more, or
// none, it says what there is.
func (c *Core) onlyIncident(ctx context.Context, in incidents, a *ask) (triage.Incident, error) {
	firing, err := in.OpenIncidentsIn(ctx, a.Place.Channel, listedIncidents)
	if err != nil {
		return triage.Incident{}, err
	}
	switch len(firing) {
	case 1:
		a.about = firing[0].ID
		return firing[0], nil
	case 0:
		return triage.Incident{}, unclear(a.spec, "Which incident? None fires here now; say its number. /triage incidents lists them.")
	}
	err = unclear(a.spec, "Which incident? %d fire here; say its number.", len(firing))
	var u *unclearError
	errors.As(err, &u)
	for i := range firing {
		u.reply.Lines = append(u.reply.Lines, c.line(&firing[i]))
	}
	return triage.Incident{}, err
}

// line is an incident in a list.
func (c *Core) line(inc *triage.Incident) string {
	text := fmt.Sprintf("#%d %s", inc.ID, inc.Alertname)
	switch {
	case inc.RequestedBy != "": // nothing fired, so nothing resolved
		text += " · run by hand by " + inc.RequestedBy + " " + ago(c.Now(), inc.OpenedAt) + " ago"
	case inc.State == triage.IncidentFiring:
		text += " · firing for " + ago(c.Now(), inc.StartedAt)
	default:
		text += fmt.Sprintf(" · %s %s ago", inc.State, ago(c.Now(), inc.ResolvedAt))
	}
	if inc.Severity != "" {
		text += " · " + inc.Severity
	}
	if inc.AckedBy != "" {
		text += " · acked by " + inc.AckedBy
	}
	if inc.SilencedUntil.After(c.Now()) {
		text += " · silenced until " + clock(inc.SilencedUntil)
	}
	return text
}

// ago is how long something has been, as people say it.
func ago(now, at time.Time) string {
	d := max(now.Sub(at), 0)
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}

// clock is an instant as people read it.
func clock(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }
