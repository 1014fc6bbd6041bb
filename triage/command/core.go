package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"triagebot/triage"
	"triagebot/triage/access"
	"triagebot/triage/incident"
	"triagebot/triage/store"
)

// Playbook is a playbook as people are told of it.
type Playbook struct {
	Name, Title string
	Match       string // what its alerts look like, in Alertmanager's syntax
}

// Traces looks requests up in the configured logs and backends.
type Traces interface {
	// Trace is the request's timeline as text, its headline first; found is
	// false when there is none. Complete says whether everything was searched.
	Trace(ctx context.Context, id string) (text string, found, complete bool, err error)
	// Pick lists recent requests, the most telling first, a line each that
	// begins with the request's id. by is "slow" or "failing"; route may be "".
	Pick(ctx context.Context, by, route string) (lines []string, err error)
}

// Options wire a Core.
type Options struct {
	Store     *store.DB
	Incidents *incident.Correlator
	Access    *access.Checker
	// Silencer names the Alertmanager that can silence an incident; false where
	// none is configured.
	Silencer func(inc triage.Incident) (name string, ok bool)
	// Contacts are whom incidents may be escalated to, by name.
	Contacts    func() map[string][]triage.Contact
	Playbooks   func() []Playbook
	Traces      Traces      // nil where no logs or backends are configured
	Maintenance Maintenance // nil where none is configured
	// Pages are an incident's own pages, for links.
	Pages func(inc triage.Incident) []triage.Link
	// Waiting says what of triagebot itself is not well, for status; a line each.
	Waiting    func(ctx context.Context) []string
	Redact     triage.Redact
	Now        func() time.Time // time.Now when nil
	Log        logrus.FieldLogger
	Registerer prometheus.Registerer // may be nil
}

// Core does what people ask for. It is safe for concurrent use.
type Core struct {
	Options
	metrics *metrics
}

// New makes a Core.
func New(o Options) *Core {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Core{Options: o, metrics: newMetrics(o.Registerer)}
}

// ask is one request, understood.
type ask struct {
	triage.Request
	spec *spec
	rest string // what follows the command's name and is not taken up yet, as it was written
	act  int64  // its number in the audit log, while it is done
	// about is the incident that it turned out to be about, for the audit log.
	about int64
}

// words are those that are not taken up yet.
func (a *ask) words() []string { return strings.Fields(a.rest) }

// first is the first of them; "" where there is none.
func (a *ask) first() string {
	w, _ := word(a.rest)
	return w
}

// skip takes the first n of them off.
func (a *ask) skip(n int) {
	for range n {
		_, a.rest = word(a.rest)
	}
}

const (
	maxText    = 3000 // of a request, in bytes
	maxRequest = 200  // of a request's id
)

// Do carries a request out and says what to answer. It always answers: what
// goes wrong is said in the reply, and logged.
func (c *Core) Do(ctx context.Context, req triage.Request) triage.Reply {
	began := c.Now()
	if req.At.IsZero() {
		req.At = began
	}
	req.Text, req.Actor.ID, req.Actor.Name = kept(req.Text), kept(req.Actor.ID), kept(req.Actor.Name)
	name, reply := c.do(ctx, req)
	if reply.Outcome == "" {
		reply.Outcome = triage.OutcomeDone
	}
	c.redact(&reply)
	c.metrics.requests.WithLabelValues(name, string(reply.Outcome)).Inc()
	c.metrics.seconds.WithLabelValues(name).Observe(c.Now().Sub(began).Seconds())
	return reply
}

// kept is a text as every database keeps it: PostgreSQL refuses what is no UTF-8,
// and the character 0.
func kept(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// do returns the command's name as well, "unclear" for none.
func (c *Core) do(ctx context.Context, req triage.Request) (string, triage.Reply) {
	if len(req.ID) == 0 || len(req.ID) > maxRequest {
		return unclearName, triage.Reply{Text: "The request has no usable id.", Outcome: triage.OutcomeFailed}
	}
	a, reply := parse(req)
	if a == nil {
		return unclearName, *reply
	}
	name := a.spec.full()
	log := c.Log.WithFields(logrus.Fields{"command": name, "actor": req.Actor.String(), "request": req.ID})
	if err := c.may(ctx, a); err != nil {
		reply := refused("%v", err)
		c.audit(ctx, a, reply, log)
		return name, reply
	}
	answer, err := c.carryOut(ctx, a)
	var unclear *unclearError
	switch {
	case errors.As(err, &unclear):
		return name, unclear.reply
	case err != nil:
		log.WithError(err).Error("a command failed; nothing was done")
		reply := triage.Reply{Text: "triagebot could not do that, and did nothing: its database or what it asked did not answer. Try again in a moment; its log says more.", Outcome: triage.OutcomeFailed}
		c.audit(ctx, a, reply, log)
		return name, reply
	}
	return name, answer
}

// may says whether the person may have this done. It asks over the network, so it
// is not called in a transaction.
func (c *Core) may(ctx context.Context, a *ask) error {
	if err := c.Access.May(ctx, a.Actor, a.spec.needs); err != nil || a.spec.also == nil {
		return err
	}
	if right, takes := a.spec.also(a); takes {
		return c.Access.May(ctx, a.Actor, right)
	}
	return nil
}

func (c *Core) carryOut(ctx context.Context, a *ask) (triage.Reply, error) {
	if a.spec.look != nil {
		return a.spec.look(ctx, c, a)
	}
	var reply triage.Reply
	err := c.Store.Tx(ctx, func(tx *store.Tx) error {
		row := store.Act{Request: requestKey(a.Request), At: a.At, Actor: a.Actor, Text: c.Redact.Text(a.Text)}
		first, err := tx.BeginAct(ctx, &row)
		if err != nil {
			return err
		}
		if !first {
			reply = row.Reply
			return nil
		}
		a.act = row.ID
		if reply, err = a.spec.act(ctx, c, tx, a); err != nil {
			return err
		}
		if reply.Outcome == "" {
			reply.Outcome = triage.OutcomeDone
		}
		c.redact(&reply)
		row.IncidentID, row.Outcome, row.Reply = a.about, reply.Outcome, reply
		return tx.EndAct(ctx, row)
	})
	return reply, err
}

// Refused writes to the audit log what the way in refused before it came here,
// such as a request of somebody from another workspace.
func (c *Core) Refused(ctx context.Context, req triage.Request, reply triage.Reply) {
	if req.At.IsZero() {
		req.At = c.Now()
	}
	log := c.Log.WithFields(logrus.Fields{"actor": req.Actor.String(), "request": req.ID})
	c.audit(ctx, &ask{Request: req}, reply, log)
}

// audit notes what was not done, on its own: there is no change that it could
// stand with.
func (c *Core) audit(ctx context.Context, a *ask, reply triage.Reply, log logrus.FieldLogger) {
	err := c.Store.Tx(ctx, func(tx *store.Tx) error {
		row := store.Act{Request: requestKey(a.Request), At: a.At, Actor: a.Actor, Text: c.Redact.Text(a.Text)}
		if first, err := tx.BeginAct(ctx, &row); err != nil || !first {
			return err
		}
		row.IncidentID, row.Outcome, row.Reply = cmp.Or(a.about, a.Incident), reply.Outcome, reply
		return tx.EndAct(ctx, row)
	})
	if err != nil {
		log.WithError(err).Error("a request that was not carried out could not be written to the audit log")
	}
}

// requestKey keeps the ids of different ways in apart.
func requestKey(req triage.Request) string { return string(req.Actor.Via) + "/" + req.ID }

func (c *Core) redact(r *triage.Reply) {
	r.Text = c.Redact.Text(r.Text)
	for i := range r.Lines {
		r.Lines[i] = c.Redact.Text(r.Lines[i])
	}
}

func done(format string, args ...any) triage.Reply {
	return triage.Reply{Text: fmt.Sprintf(format, args...)}
}

func refused(format string, args ...any) triage.Reply {
	return triage.Reply{Text: fmt.Sprintf(format, args...), Outcome: triage.OutcomeRefused}
}

// unclearError is a request that was not understood well enough to be done.
type unclearError struct{ reply triage.Reply }

func (u *unclearError) Error() string { return u.reply.Text }

func unclear(s *spec, format string, args ...any) error {
	return &unclearError{triage.Reply{Text: fmt.Sprintf(format, args...), Lines: s.example(), Outcome: triage.OutcomeUnclear}}
}
