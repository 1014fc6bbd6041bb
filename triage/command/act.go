package command

// What people do to incidents.

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"triagebot/triage"
	"triagebot/triage/incident"
	"triagebot/triage/safetext"
	"triagebot/triage/store"
	"triagebot/triage/strictyaml"
)

// lock finds the incident and keeps others off it; over is what to answer when
// it is closed.
func (c *Core) lock(ctx context.Context, tx *store.Tx, a *ask) (inc triage.Incident, over *triage.Reply, err error) {
	if inc, err = c.incident(ctx, tx, a); err != nil {
		return inc, nil, err
	}
	if inc, err = tx.LockIncident(ctx, inc.ID); err != nil {
		return inc, nil, err
	}
	if inc.State == triage.IncidentClosed {
		reply := refused("Incident %d, %s, is closed since %s and its evidence is sealed, so nothing is changed in it any more. Should it fire again, a new incident opens.", inc.ID, inc.Alertname, clock(inc.ClosedAt))
		reply.Links = c.Pages(inc)
		return inc, &reply, nil
	}
	return inc, nil, nil
}

// nothingLeft refuses words that a command has no use for.
func nothingLeft(a *ask) error {
	if a.rest == "" {
		return nil
	}
	return unclear(a.spec, "%s is not understood here.", shown(strings.Join(a.words(), " ")))
}

// doubleClick is how soon after each other the same words are taken for one wish
// of one person who clicks twice, or of two who click at once.
const doubleClick = 10 * time.Second

// twice refuses, for what adds up, what was done moments ago in the same words;
// nil where it was not. Call it under the lock of what is changed, with the
// incident found.
func (c *Core) twice(ctx context.Context, tx *store.Tx, a *ask) (*triage.Reply, error) {
	mine := store.Act{ID: a.act, Text: c.Redact.Text(a.Text), IncidentID: a.about}
	before, err := tx.SameAct(ctx, mine, a.At.Add(-doubleClick))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil //nolint:nilnil // nothing stands against it
	case err != nil:
		return nil, err
	}
	reply := refused("%s did this a moment ago, so it was not done again: %s If it shall be done twice, ask again in %s.", before.Actor.Label(), before.Reply.Text, doubleClick)
	return &reply, nil
}

func ackIncident(ctx context.Context, c *Core, tx *store.Tx, a *ask) (triage.Reply, error) {
	inc, over, err := c.lock(ctx, tx, a)
	if err != nil {
		return triage.Reply{}, err
	}
	if err := nothingLeft(a); err != nil {
		return triage.Reply{}, err
	}
	switch {
	case over != nil:
		return *over, nil
	case inc.AckedByKey == a.Actor.Key():
		return done("Incident %d is yours already, since %s.", inc.ID, clock(inc.AckedAt)), nil
	case inc.AckedBy != "":
		return refused("Incident %d is taken already: acknowledged by %s, %s.", inc.ID, inc.AckedBy, clock(inc.AckedAt)), nil
	case inc.RequestedBy != "":
		return refused("Incident %d, %s, was run by hand by %s; no alert fired, so there is nothing to take.", inc.ID, inc.Alertname, inc.RequestedBy), nil
	case inc.State == triage.IncidentResolved:
		return refused("Incident %d, %s, resolved %s ago: there is nothing to take. Should it fire again, it can be acknowledged then.", inc.ID, inc.Alertname, ago(c.Now(), inc.ResolvedAt)), nil
	}
	if err := c.Incidents.Acknowledge(ctx, tx, inc, a.Actor, a.At); err != nil {
		return triage.Reply{}, err
	}
	return done("Incident %d, %s, is yours. Its thread says so.", inc.ID, inc.Alertname), nil
}

// maxSilence is the longest silence that can be asked for.
const maxSilence = 7 * 24 * time.Hour

// sameSilence is how much longer than one that stands a silence must be to be
// another: of two clicks on the same length the later ends moments later.
func sameSilence(lasts time.Duration) time.Duration { return min(time.Minute, lasts/2) }

func silenceIncident(ctx context.Context, c *Core, tx *store.Tx, a *ask) (triage.Reply, error) {
	if a.rest == "" {
		return triage.Reply{}, unclear(a.spec, "For how long? Write 30m, 2h or 1d.")
	}
	lasts, is := length(a.first())
	if !is {
		return triage.Reply{}, unclear(a.spec, "For how long? %s is no duration; write 30m, 2h or 1d.", shown(a.first()))
	}
	if lasts > maxSilence {
		return triage.Reply{}, unclear(a.spec, "A silence lasts at most 7d here; a longer one is made in Alertmanager itself, where it is seen.")
	}
	a.skip(1)
	inc, over, err := c.lock(ctx, tx, a)
	if err != nil {
		return triage.Reply{}, err
	}
	if over != nil {
		return *over, nil
	}
	name, can := c.Silencer(inc)
	if !can {
		reply := refused("No Alertmanager that incident %d came from is configured under alertmanagers, so it cannot be silenced from here; its parent message links to Alertmanager's form.", inc.ID)
		return reply, nil
	}
	ends := a.At.Add(lasts)
	silences, err := tx.SilencesOf(ctx, inc.ID)
	if err != nil {
		return triage.Reply{}, err
	}
	for _, s := range silences {
		if (s.State == store.SilenceWanted || s.State == store.SilenceActive) && ends.Sub(s.EndsAt) < sameSilence(lasts) {
			return refused("%s silenced incident %d already, until %s.", s.Author, inc.ID, clock(s.EndsAt)), nil
		}
	}
	matchers := triage.Labels{"alertname": inc.Alertname}
	maps.Copy(matchers, inc.GroupLabels)
	matchers["alertname"] = inc.Alertname
	comment := c.Redact.Text(a.rest)
	if comment == "" {
		comment = "silenced from triagebot"
	}
	s := store.Silence{
		IncidentID: inc.ID, Alertmanager: name, Matchers: matchers, Author: a.Actor.Label(),
		Comment: comment, CreatedAt: a.At, EndsAt: ends,
	}
	if err := tx.WantSilence(ctx, &s); err != nil {
		return triage.Reply{}, err
	}
	return done("Silencing incident %d, %s, until %s. The silence's id and link come in its thread as soon as Alertmanager has it.", inc.ID, inc.Alertname, clock(ends)), nil
}

func rerunIncident(ctx context.Context, c *Core, tx *store.Tx, a *ask) (triage.Reply, error) {
	about, err := takeAt(a)
	if err != nil {
		return triage.Reply{}, err
	}
	inc, over, err := c.lock(ctx, tx, a)
	if err != nil {
		return triage.Reply{}, err
	}
	if err := nothingLeft(a); err != nil {
		return triage.Reply{}, err
	}
	if over != nil {
		return *over, nil
	}
	under, err := c.Incidents.RunUnderWay(ctx, tx, inc, a.At)
	if err != nil {
		return triage.Reply{}, err
	}
	if under {
		return refused("The playbook of incident %d is running already; its findings come in the thread.", inc.ID), nil
	}
	if err := c.Incidents.Rerun(ctx, tx, inc, a.Actor, about, a.At); err != nil {
		return triage.Reply{}, err
	}
	return done("Playbook %s runs again for incident %d; its findings come in the thread.", inc.Playbook, inc.ID), nil
}

// takeAt takes "at TIME" off the end of the words; the time of the request
// where there is none.
func takeAt(a *ask) (time.Time, error) {
	words := a.words()
	n := len(words)
	if n > 0 && words[n-1] == "at" {
		return a.At, unclear(a.spec, "At which time? Write 2026-01-02T15:04:05Z, 15:04 (UTC), or 10m for ten minutes ago.")
	}
	if n < 2 || words[n-2] != "at" {
		return a.At, nil
	}
	at, ok := instant(words[n-1], a.At)
	if !ok {
		return a.At, unclear(a.spec, "%s is no time in the past; write 2026-01-02T15:04:05Z, 15:04 (UTC), or 10m for ten minutes ago.", shown(words[n-1]))
	}
	a.rest = strings.Join(words[:n-2], " ")
	return at, nil
}

func escalateIncident(ctx context.Context, c *Core, tx *store.Tx, a *ask) (triage.Reply, error) {
	inc, over, err := c.lock(ctx, tx, a)
	if err != nil {
		return triage.Reply{}, err
	}
	if over != nil {
		return *over, nil
	}
	contacts := c.Contacts()
	names := slices.Sorted(maps.Keys(contacts))
	if len(names) == 0 {
		return refused("Nobody is configured to escalate to; the escalation section of the configuration names them."), nil
	}
	to, words := "", a.words()
	switch {
	case len(words) > 1 && words[0] == "to":
		to = words[1]
		a.skip(2)
	case len(words) == 1 && words[0] == "to":
		return triage.Reply{}, unclear(a.spec, "To whom? There are %s.", strings.Join(names, ", "))
	case len(names) == 1:
		to = names[0]
	default:
		return triage.Reply{}, &unclearError{triage.Reply{
			Text: fmt.Sprintf("To whom shall incident %d be escalated?", inc.ID), Lines: a.spec.example(),
			Choices: escalationChoices(inc.ID, names), Outcome: triage.OutcomeUnclear,
		}}
	}
	if len(contacts[to]) == 0 {
		near := strictyaml.Nearest(to, names)
		if near != "" {
			near = " Did you mean " + near + "?"
		}
		return triage.Reply{}, unclear(a.spec, "Nobody is called %s.%s There are %s.", shown(to), near, strings.Join(names, ", "))
	}
	switch again, err := c.twice(ctx, tx, a); {
	case err != nil:
		return triage.Reply{}, err
	case again != nil:
		return *again, nil
	}
	reason := strings.Join(a.words(), " ")
	if reason == "" {
		reason = "asked for by " + a.Actor.Label()
	}
	e := incident.Escalation{To: to, Contacts: contacts[to], Reason: reason, Links: c.Pages(inc)}
	if err := c.Incidents.Escalate(ctx, tx, inc, a.Actor, e, a.At); err != nil {
		return triage.Reply{}, err
	}
	return done("Incident %d is escalated to %s. Its thread says so.", inc.ID, to), nil
}

const maxChoices = 20

func escalationChoices(id int64, names []string) (out []triage.Choice) {
	for _, name := range names[:min(len(names), maxChoices)] {
		out = append(out, triage.Choice{Label: name, Command: fmt.Sprintf("triage escalate %d to %s", id, name)})
	}
	return out
}

// Bounds of the labels that a run by hand is given.
const (
	maxLabels     = 30
	maxLabelValue = 1000
)

// selector is how people write an alert: Slow{route="/v1"}.
func selector(labels triage.Labels) string {
	rest := maps.Clone(labels)
	delete(rest, "alertname")
	if len(rest) == 0 {
		return labels["alertname"]
	}
	return labels["alertname"] + rest.String()
}

func runByHand(ctx context.Context, c *Core, tx *store.Tx, a *ask) (triage.Reply, error) {
	about, err := takeAt(a)
	if err != nil {
		return triage.Reply{}, err
	}
	words := a.words()
	if len(words) == 0 {
		return triage.Reply{}, unclear(a.spec, "For which alert? Say its alertname. /triage playbooks lists what there is.")
	}
	labels := triage.Labels{"alertname": words[0]}
	for _, w := range words[1:] {
		name, value, is := strings.Cut(w, "=")
		value = strings.Trim(value, `"`)
		switch {
		case !is || !model.LegacyValidation.IsValidLabelName(name):
			return triage.Reply{}, unclear(a.spec, "%s is no label; write name=value.", shown(w))
		case len(value) > maxLabelValue:
			return triage.Reply{}, unclear(a.spec, "The value of %s is too long.", name)
		case labels[name] != "":
			return triage.Reply{}, unclear(a.spec, "%s is given twice.", name)
		case len(labels) >= maxLabels:
			return triage.Reply{}, unclear(a.spec, "At most %d labels.", maxLabels)
		}
		labels[name] = value
	}
	alert := safetext.Line(selector(labels), 200)
	if _, matched := c.Incidents.Playbook(labels); !matched {
		return refused("No playbook is for an alert %s. /triage playbooks lists them and the labels that they ask for.", alert), nil
	}
	inc, err := c.Incidents.ByHand(ctx, tx, labels, a.Actor, a.ID, about, a.At)
	if err != nil {
		return triage.Reply{}, err
	}
	a.about = inc.ID
	reply := done("Playbook %s runs for %s as incident %d; its thread comes in the incident channel. Nobody is paged by it.", inc.Playbook, alert, inc.ID)
	reply.Links = c.Pages(inc)
	return reply, nil
}
