// A notification may hold tens of thousands of alerts. One transaction folds as
// much as keeps the writer free for acknowledgements and notes how far it came;
// the next goes on from there, in this process or after a kill in another.

package incident

import (
	"slices"

	"triagebot/triage"
	"triagebot/triage/receive"
	"triagebot/triage/store"
)

const (
	// batchWork bounds what one transaction folds, counted in alerts: some
	// tenths of a second.
	batchWork = 4000
	// incidentWork is what an incident costs beside its alerts: with its run,
	// its timeline and its messages it is some twenty statements to open.
	incidentWork = 20
	// partAlerts are the most of one incident's alerts that are folded at once.
	partAlerts = batchWork - incidentWork
)

// decoded is a notification as it is folded.
type decoded struct {
	id     int64
	note   triage.Notification
	groups []group
	// changed says that a part of it did something; for the metric alone.
	changed bool
}

// group is alerts of one incident.
type group struct {
	key    string
	alerts []triage.Alert
}

// decodePending reads a notification and sorts its alerts into incidents, for
// one group of Alertmanager's may mix alertnames. The order is the same each
// time: it is what a count of folded alerts refers to.
func decodePending(p store.PendingNotification) (*decoded, error) {
	note, err := receive.Decode(p.Body, p.ReceivedAt)
	if err != nil {
		return nil, err
	}
	note.ID = p.ID
	d := &decoded{id: p.ID, note: note}
	byName := map[string]int{}
	for _, a := range note.Alerts {
		i, known := byName[a.Name()]
		if !known {
			i = len(d.groups)
			byName[a.Name()] = i
			d.groups = append(d.groups, group{key: triage.IncidentKey(a.Name(), note.GroupLabels)})
		}
		d.groups[i].alerts = append(d.groups[i].alerts, a)
	}
	for _, g := range d.groups {
		if len(g.alerts) > partAlerts {
			slices.SortStableFunc(g.alerts, speaksFirst)
		}
	}
	return d, nil
}

// speaksFirst orders alerts that are folded in parts. What fires comes first,
// or for a moment nothing would, and the incident resolve; and the worst of it,
// for the first part may open the incident and start its run.
func speaksFirst(a, b triage.Alert) int {
	switch {
	case leads(a, b):
		return -1
	case leads(b, a):
		return 1
	default:
		return 0
	}
}

// next are the alerts to fold now, when so many are folded already and there is
// room for so much work, and how many are folded after them. Only an incident
// that no transaction could fold whole is split. With room for batchWork there
// is always something.
func (d *decoded) next(folded, work int) (parts []group, after int) {
	after = folded
	for _, g := range d.groups {
		if folded >= len(g.alerts) {
			folded -= len(g.alerts)
			continue
		}
		rest, room := g.alerts[folded:], work-incidentWork
		folded = 0
		if room <= 0 || len(rest) > room && len(g.alerts) <= partAlerts {
			break
		}
		n := min(len(rest), room)
		parts = append(parts, group{key: g.key, alerts: rest[:n]})
		after += n
		work -= n + incidentWork
		if n < len(rest) {
			break
		}
	}
	return parts, after
}
