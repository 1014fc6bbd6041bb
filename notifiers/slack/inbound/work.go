package inbound

// The workers: a bounded number, which carry out what comes in by either way.

import (
	"context"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"triagebot/triage"
)

// job is an ask on its way through the workers.
type job struct {
	ask ask
	via via
	at  time.Time
	// early takes the reply where Slack still waits for it; nil where it never
	// does. Whoever sets taken first answers: the worker by early, or whoever
	// ends the waiting, after which the worker answers by the late way.
	early func(triage.Reply)
	taken atomic.Bool
	reply triage.Reply // of courtesy
	// long tells whoever asked that the reply takes its time; nil where nothing
	// is said meanwhile.
	long *time.Timer
}

const nameTimeout = 2 * time.Second

var (
	replyLong     = triage.Reply{Text: "Working on it; the answer follows.", Outcome: triage.OutcomeDone}
	replyBusy     = triage.Reply{Text: "triagebot is busy and did not take this in. Nothing was done; try again in a moment.", Outcome: triage.OutcomeFailed}
	replyStopping = triage.Reply{Text: "triagebot is restarting and did not get to this. Nothing was done; ask again in a moment.", Outcome: triage.OutcomeFailed}
	replyPanic    = triage.Reply{Text: "triagebot failed at this; its log says why. Look at the incident before you ask again.", Outcome: triage.OutcomeFailed}
	replyNoTeam   = triage.Reply{Text: "It cannot be told for now which workspace triagebot belongs to, so nothing was done. Try again in a moment.", Outcome: triage.OutcomeRefused}
	replyForeign  = triage.Reply{Text: "Only members of triagebot's own workspace may use it. You are here as a guest from another one, so nothing was done; ask somebody of the team in this channel.", Outcome: triage.OutcomeRefused}
	replyNoDialog = triage.Reply{Text: "Slack did not open the dialog. Click again, or write /triage silence 45m with the incident's number.", Outcome: triage.OutcomeFailed}
)

// submit gives a job to the workers; false when as many wait as may, or nobody
// works any more.
func (i *Inbound) submit(j *job) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stopped {
		return false
	}
	if j.ask.kind != kindDialog {
		j.long = time.AfterFunc(i.opts.Patience, func() { i.say(j, replyLong) })
	}
	select {
	case i.jobs <- j:
		return true
	default:
		j.hurry()
		return false
	}
}

// hurry has nothing said any more of how long it takes.
func (j *job) hurry() {
	if j.long != nil {
		j.long.Stop()
	}
}

// say has a short answer sent by the late way, without a worker's time. Where
// too many of those wait as well it is lost, and counted.
func (i *Inbound) say(j *job, r triage.Reply) {
	j.reply = r
	select {
	case i.courtesy <- j:
	default:
		i.metrics.lost.Inc()
	}
}

func (i *Inbound) worker(ctx, working context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-i.jobs:
			if ctx.Err() != nil { // both were ready
				i.finish(working, j, replyStopping)
				return
			}
			bounded, cancel := context.WithTimeout(working, i.opts.DoTimeout)
			r, became := i.carryOut(bounded, j)
			cancel()
			i.metrics.count(j.via, j.ask.kind, became)
			i.metrics.seconds.WithLabelValues(string(j.via), string(j.ask.kind)).Observe(i.opts.Now().Sub(j.at).Seconds())
			i.finish(working, j, r)
		}
	}
}

// courteous sends the answers of those that no worker took.
func (i *Inbound) courteous(ctx, working context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-i.courtesy:
			i.answer(working, &j.ask, j.reply)
		}
	}
}

// carryOut does what is asked. A panic costs its own request only.
func (i *Inbound) carryOut(ctx context.Context, j *job) (r triage.Reply, became result) {
	defer func() {
		if p := recover(); p != nil {
			i.log.WithField("panic", p).WithField("stack", string(debug.Stack())).Error("carrying out a request panicked; this is a bug")
			r, became = replyPanic, result(triage.OutcomeFailed)
		}
	}()
	a := &j.ask
	team, err := i.opts.Workspace.Team(ctx)
	switch {
	case err != nil || team == "":
		i.log.WithError(err).Warn("a request was refused: Slack does not say which workspace the token is of")
		return i.refuse(ctx, j, replyNoTeam), result(triage.OutcomeRefused)
	case a.req.Actor.Team != team, slices.ContainsFunc(a.install, func(t string) bool { return t != team }):
		i.log.WithField("user", a.req.Actor.ID).WithField("team", a.req.Actor.Team).Warn("a request from another workspace was refused")
		return i.refuse(ctx, j, replyForeign), resultForeign
	case a.refused != nil:
		return *a.refused, result(a.refused.Outcome)
	case a.other != 0:
		return i.openDialog(ctx, a)
	}
	req := a.req
	req.At = j.at
	if req.Actor.Name == "" { // as in a mention
		req.Actor.Name = i.nameOf(ctx, req.Actor.ID)
	}
	r = i.opts.Do(ctx, req)
	if r.Outcome == "" {
		r.Outcome = triage.OutcomeDone
	}
	return r, result(r.Outcome)
}

// refuse has the refusal of a request audited.
func (i *Inbound) refuse(ctx context.Context, j *job, r triage.Reply) triage.Reply {
	if i.opts.Refused != nil {
		req := j.ask.req
		req.At = j.at
		i.opts.Refused(ctx, req, r)
	}
	return r
}

// nameOf is what people call somebody; "" where Slack does not say in time. It
// is for people to read and decides nothing.
func (i *Inbound) nameOf(ctx context.Context, user string) string {
	ctx, cancel := context.WithTimeout(ctx, nameTimeout)
	defer cancel()
	name, err := i.opts.Workspace.Name(ctx, user)
	if err != nil {
		i.log.WithError(err).Debug("a person's name was not told")
		return ""
	}
	return name
}

func (i *Inbound) openDialog(ctx context.Context, a *ask) (triage.Reply, result) {
	about := dialogFor{Incident: a.other, Channel: a.req.Place.Channel, Thread: a.thread}
	if err := i.opts.Workspace.OpenDialog(ctx, a.trigger, dialogView(about)); err != nil {
		i.log.WithError(err).Warn("a dialog could not be opened")
		return replyNoDialog, result(triage.OutcomeFailed)
	}
	return triage.Reply{}, resultOpened
}

// finish hands a reply to whoever waits for it, or else has it shown.
func (i *Inbound) finish(ctx context.Context, j *job, r triage.Reply) {
	j.hurry()
	if j.early != nil && j.taken.CompareAndSwap(false, true) {
		j.early(r)
		// A dialog closes without a word of what came of it.
		if j.ask.kind != kindDialog || refuses(r) {
			return
		}
	}
	i.answer(ctx, &j.ask, r)
}

// refuses says whether nothing came of a request.
func refuses(r triage.Reply) bool { return r.Outcome != "" && r.Outcome != triage.OutcomeDone }
