// What people ask for. Each operation works in the transaction of its request,
// which the caller has fenced: a request that comes twice gets here once. Call
// them before the transaction locks an incident. Who may ask, the caller has
// checked.

package maintenance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"triagebot/triage"
	"triagebot/triage/store"
)

// minFor is the least length of a window, and of what it is extended by.
const minFor = time.Minute

// Announce tells the channel something about the service, in the person's words.
func (s *Service) Announce(ctx context.Context, tx *store.Tx, req triage.Request, text string) (triage.Reply, error) {
	if text = s.tidy(text); text == "" {
		return unclear("Say what to announce: maintenance announce We restart the workers at 14:00 UTC."), nil
	}
	if err := tx.LockMaintenance(ctx); err != nil {
		return triage.Reply{}, err
	}
	w, open, err := s.openWindow(ctx, tx)
	if err != nil {
		return triage.Reply{}, err
	}
	incident := req.Incident
	if err := lockIncidents(ctx, tx, &incident); err != nil {
		return triage.Reply{}, err
	}
	said := fmt.Sprintf("Announced by %s: %s", who(req.Actor), text)
	note := triage.Post{Note: &triage.NotePost{Text: said}}
	if err := tx.OweNotice(ctx, 0, s.Destination, "announce/"+req.ID, note, triage.PriorityAnswer); err != nil {
		return triage.Reply{}, err
	}
	if incident != 0 {
		entry := triage.TimelineEntry{IncidentID: incident, At: s.Now(), Kind: "announced", Actor: req.Actor.String(), Text: text}
		if err := tx.AppendTimeline(ctx, entry); err != nil {
			return triage.Reply{}, err
		}
	}
	if open { // one log has all that was said while it was on
		if _, err := tx.LockWindow(ctx, w.ID); err != nil {
			return triage.Reply{}, err
		}
		entry := triage.WindowEntry{WindowID: w.ID, At: s.Now(), Kind: "announced", Actor: req.Actor.String(), Text: text}
		if _, err := tx.AppendWindowLog(ctx, entry); err != nil {
			return triage.Reply{}, err
		}
	}
	return done("It is announced: %s", text), nil
}

// Enable asks for a window of the length; 0 is the default one. Nothing is done
// before it is confirmed: the reply says what that will have happen.
func (s *Service) Enable(ctx context.Context, tx *store.Tx, req triage.Request, length time.Duration, reason string) (triage.Reply, error) {
	length, reason = cmp.Or(length, s.DefaultFor), s.tidy(reason)
	switch {
	case reason == "":
		return unclear("Say why, for everybody reads it: maintenance enable for %s Workers restart in a loop.", span(length)), nil
	case length < minFor:
		return refused("Maintenance takes %s at least; it was asked for %s.", span(minFor), span(length)), nil
	case length > s.MaxFor:
		return refused("Maintenance may last %s at most; it was asked for %s. Ask for less, and extend it when it is needed.", span(s.MaxFor), span(length)), nil
	}
	if err := tx.LockMaintenance(ctx); err != nil {
		return triage.Reply{}, err
	}
	old, open, err := s.openWindow(ctx, tx)
	if err != nil {
		return triage.Reply{}, err
	}
	incident := req.Incident
	lapsing := open && s.isLapsed(old)
	if !lapsing {
		old.IncidentID = 0 // it is not touched
	}
	if err := lockIncidents(ctx, tx, &incident, &old.IncidentID); err != nil {
		return triage.Reply{}, err
	}
	switch {
	case lapsing:
		if err := s.lapse(ctx, tx, &old); err != nil {
			return triage.Reply{}, err
		}
	case open:
		reply := refused("There is a maintenance window already, number %d. %s", old.ID, s.said(old))
		reply.Choices = s.choices(old)
		return reply, nil
	}
	t, err := next(none, requested)
	if err != nil {
		return triage.Reply{}, err
	}
	now := s.Now()
	w := triage.Window{
		Service: s.Service, State: t.to, Reason: reason, For: length, By: req.Actor, IncidentID: incident, CreatedAt: now, ChangedAt: now,
	}
	if err := tx.OpenWindow(ctx, &w); err != nil {
		return triage.Reply{}, err
	}
	s.metrics.moved(w.State)
	asked := fmt.Sprintf("asked for maintenance of %s for %s: %s", w.Service, span(w.For), w.Reason)
	h := happening{kind: "proposed", actor: req.Actor.String(), log: asked}
	if err := s.tell(ctx, tx, w, h); err != nil {
		return triage.Reply{}, err
	}
	reply := done("Nothing is done yet: maintenance of %s for %s waits for your confirmation, until %s. Then this happens:",
		w.Service, span(w.For), s.clock(now.Add(s.ConfirmIn)))
	reply.Lines, reply.Choices = s.plan(w), s.choices(w)
	if s.SecondPerson {
		reply.Text = fmt.Sprintf("Nothing is done yet: maintenance of %s for %s waits until %s for somebody else than you to confirm it; the channel is asked. Then this happens:",
			w.Service, span(w.For), s.clock(now.Add(s.ConfirmIn)))
		reply.Choices = reply.Choices[1:] // to cancel it
	}
	if r := s.lastReading(); r.err != nil {
		reply.Lines = append(reply.Lines, fmt.Sprintf("Mind that the metric told nothing when it was last looked at, so that nothing could be verified: %v", r.err))
	}
	return reply, nil
}

// Confirm begins a window that was asked for: who asked does, or where a second
// person is needed, somebody else.
func (s *Service) Confirm(ctx context.Context, tx *store.Tx, req triage.Request, id int64) (triage.Reply, error) {
	w, reply, err := s.named(ctx, tx, id, triage.WindowProposed)
	if err != nil || reply.Text != "" {
		return reply, err
	}
	isAsker := req.Actor.Is(w.By)
	switch {
	case s.isLapsed(w):
		if err := s.lapse(ctx, tx, &w); err != nil {
			return triage.Reply{}, err
		}
		return refused("That comes too late: nobody confirmed maintenance window %d within %s. Ask for it again.", id, span(s.ConfirmIn)), nil
	case s.SecondPerson && req.Actor.Via == triage.ViaCtl:
		return refused("A second person must confirm maintenance window %d, in Slack: on the command line anybody can give any name, so it cannot be told who is the second.", id), nil
	case s.SecondPerson && isAsker:
		return refused("A second person must confirm maintenance window %d, for it was you who asked for it.", id), nil
	case !s.SecondPerson && !isAsker:
		return refused("Maintenance window %d is %s's to confirm. Ask for one yourself, once that is cancelled.", id, who(w.By)), nil
	}
	w.Confirmed = req.Actor
	by := "by " + who(w.By)
	if s.SecondPerson {
		by += ", confirmed by " + who(req.Actor)
	}
	h := happening{
		kind: "confirmed", actor: req.Actor.String(), log: "confirmed it; it is announced in " + s.place(), loud: true,
		note: fmt.Sprintf("Maintenance of %s begins now, for %s: %s (%s)", w.Service, span(w.For), w.Reason, by),
	}
	if err := s.move(ctx, tx, &w, confirmed, h); err != nil {
		return triage.Reply{}, err
	}
	return done("Maintenance of %s is announced in %s and is being turned on. What comes of it is said there.", w.Service, s.place()), nil
}

// Cancel takes back a window that is not confirmed.
func (s *Service) Cancel(ctx context.Context, tx *store.Tx, req triage.Request, id int64) (triage.Reply, error) {
	w, reply, err := s.named(ctx, tx, id, triage.WindowProposed)
	if err != nil || reply.Text != "" {
		return reply, err
	}
	if err := s.move(ctx, tx, &w, withdrawn, happening{kind: "cancelled", actor: req.Actor.String(), log: "cancelled the request"}); err != nil {
		return triage.Reply{}, err
	}
	return done("Maintenance window %d is cancelled; nothing was called.", id), nil
}

// Adopt makes a window of a flag that was turned on without triagebot.
func (s *Service) Adopt(ctx context.Context, tx *store.Tx, req triage.Request, id int64) (triage.Reply, error) {
	w, reply, err := s.named(ctx, tx, id, triage.WindowFound)
	if err != nil || reply.Text != "" {
		return reply, err
	}
	w.By, w.For = req.Actor, s.DefaultFor
	h := happening{
		kind: "adopted", actor: req.Actor.String(), log: fmt.Sprintf("said that it is theirs, and keeps it for %s", span(w.For)), loud: true,
		note: fmt.Sprintf("%s says that the maintenance of %s is theirs, and keeps it for %s.", who(req.Actor), w.Service, span(w.For)),
	}
	if err := s.move(ctx, tx, &w, adopted, h); err != nil {
		return triage.Reply{}, err
	}
	return done("Maintenance of %s is yours until %s. You are reminded %s before.", w.Service, s.clock(w.Until), span(s.RemindBefore)), nil
}

// Disable ends the window of that number; 0 is the one that is open. The worker
// calls nothing while the service is not ready, and says so; override has it call
// all the same. That takes a reason, and that the person may override, the caller
// has checked.
func (s *Service) Disable(ctx context.Context, tx *store.Tx, req triage.Request, id int64, reason string, override bool) (triage.Reply, error) {
	reason = s.tidy(reason)
	if override && reason == "" {
		return unclear("Say why it is to be turned off though the service may not be ready: maintenance disable override The probe itself is broken."), nil
	}
	w, reply, err := s.current(ctx, tx, id, ended)
	if err != nil || reply.Text != "" {
		return reply, err
	}
	w.Ender, w.Override = req.Actor, override
	because := ""
	if reason != "" {
		because = ": " + reason
	}
	h := happening{
		kind: "ended", actor: req.Actor.String(), log: "asked to turn it off" + because,
		note: fmt.Sprintf("%s has maintenance of %s turned off%s", who(req.Actor), w.Service, because),
	}
	answer := fmt.Sprintf("Maintenance of %s is being turned off, if %s says that it is ready. What comes of it is said in %s.", w.Service, s.Ready, s.place())
	if override {
		h.kind, h.loud = "override", true
		h.log = "asked to turn it off, whether the service is ready or not" + because
		h.note = fmt.Sprintf("%s has maintenance of %s turned off, whether it is ready or not%s", who(req.Actor), w.Service, because)
		answer = fmt.Sprintf("Maintenance of %s is being turned off, whether it is ready or not. What comes of it is said in %s.", w.Service, s.place())
	}
	if err := s.move(ctx, tx, &w, ended, h); err != nil {
		return triage.Reply{}, err
	}
	return done("%s", answer), nil
}

// Extend moves the end of the window of that number; 0 is the one that is open.
// One that is overdue ends so much later than now.
func (s *Service) Extend(ctx context.Context, tx *store.Tx, req triage.Request, id int64, by time.Duration) (triage.Reply, error) {
	if by < minFor {
		return refused("Maintenance is extended by %s at least.", span(minFor)), nil
	}
	w, reply, err := s.current(ctx, tx, id, extended)
	if err != nil || reply.Text != "" {
		return reply, err
	}
	from := w.Until
	if now := s.Now(); from.Before(now) {
		from = now
	}
	if until := from.Add(by); until.Sub(w.Since) > s.MaxFor {
		return refused("Maintenance may last %s at most, until %s; extended by %s it would last until %s. Turn it off, or ask for another window.",
			span(s.MaxFor), s.clock(w.Since.Add(s.MaxFor)), span(by), s.clock(until)), nil
	}
	w.Until, w.RemindedAt, w.ShoutedAt = from.Add(by), time.Time{}, time.Time{}
	until := s.clock(w.Until)
	h := happening{
		kind: "extended", actor: req.Actor.String(), log: fmt.Sprintf("extended it by %s, until %s", span(by), until),
		note: fmt.Sprintf("%s extended maintenance of %s by %s, until %s.", who(req.Actor), w.Service, span(by), until), loud: true,
	}
	if err := s.move(ctx, tx, &w, extended, h); err != nil {
		return triage.Reply{}, err
	}
	return done("Maintenance of %s ends at %s now.", w.Service, until), nil
}

// statusWindows is how many windows Status tells of.
const statusWindows = 5

// Status says how it stands, without asking anything over the network.
func (s *Service) Status(ctx context.Context, tx *store.Tx, _ triage.Request) (triage.Reply, error) {
	windows, err := tx.LatestWindows(ctx, s.Service, statusWindows)
	if err != nil {
		return triage.Reply{}, err
	}
	reply := done("No maintenance window of %s is open.", s.Service)
	if len(windows) > 0 && !isOver(windows[0].State) {
		w := windows[0]
		reply = done("Maintenance window %d. %s", w.ID, s.said(w))
		if w.State == triage.WindowProposed { // whose confirmation it is, is not known here
			reply.Choices = nil
		} else {
			reply.Choices = s.choices(w)
		}
		if w.Reason != "" {
			reply.Lines = append(reply.Lines, fmt.Sprintf("Reason: %s (%s)", w.Reason, who(w.By)))
		}
		windows = windows[1:]
	}
	reply.Lines = append(reply.Lines, s.metricNow())
	for _, w := range windows {
		reply.Lines = append(reply.Lines, fmt.Sprintf("Earlier, window %d: %s", w.ID, s.said(w)))
	}
	return reply, nil
}

// metricNow says what the metric said last.
func (s *Service) metricNow() string {
	r := s.lastReading()
	switch {
	case r.at.IsZero():
		return fmt.Sprintf("The metric %s was not looked at yet.", s.Metric)
	case r.err != nil:
		looks := "1 look"
		if r.vain > 1 {
			looks = fmt.Sprintf("%d looks in a row", r.vain)
		}
		return fmt.Sprintf("Whether it is on is not known: the metric %s told nothing at %s, after %s: %v", s.Metric, s.clock(r.at), looks, r.err)
	}
	return fmt.Sprintf("The metric %s said %s at %s.", s.Metric, wanted(r.on), s.clock(r.at))
}

// openWindow reads the window that is not over; false where there is none. Call
// it under LockMaintenance.
func (s *Service) openWindow(ctx context.Context, tx *store.Tx) (triage.Window, bool, error) {
	latest, err := tx.LatestWindows(ctx, s.Service, 1)
	if err != nil || len(latest) == 0 || isOver(latest[0].State) {
		return triage.Window{}, false, err
	}
	return latest[0], true, nil
}

// current locks the open window for an event that a person asks for; id is the
// one that they mean, 0 for whichever it is. A reply says why that cannot be.
func (s *Service) current(ctx context.Context, tx *store.Tx, id int64, ev event) (triage.Window, triage.Reply, error) {
	if err := tx.LockMaintenance(ctx); err != nil {
		return triage.Window{}, triage.Reply{}, err
	}
	w, open, err := s.openWindow(ctx, tx)
	if err != nil {
		return w, triage.Reply{}, err
	}
	if id != 0 && id != w.ID { // a button of another one, which is past it
		meant, err := tx.Window(ctx, id)
		switch {
		case errors.Is(err, store.ErrNotFound), err == nil && meant.Service != s.Service:
			return w, unknownWindow(id), nil
		case err != nil:
			return w, triage.Reply{}, err
		}
		return w, s.settled(meant), nil
	}
	if !open {
		reply := refused("No maintenance window of %s is open.", s.Service)
		reply.Lines = []string{s.metricNow(), fmt.Sprintf("Should it be on without a window, the channel is asked about it within %s.", span(s.WatchEvery+s.VerifyWithin))}
		return w, reply, nil
	}
	if !canHappen(w.State, ev) {
		return w, s.settled(w), nil
	}
	w, err = s.lock(ctx, tx, w.ID)
	return w, triage.Reply{}, err
}

// named locks the window of that number for what can be done in a state alone. A
// reply says why that cannot be.
func (s *Service) named(ctx context.Context, tx *store.Tx, id int64, state triage.WindowState) (triage.Window, triage.Reply, error) {
	w, err := s.lock(ctx, tx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return w, unknownWindow(id), nil
	case err != nil:
		return w, triage.Reply{}, err
	case w.State != state:
		return w, s.settled(w), nil
	}
	return w, triage.Reply{}, nil
}

// settled is the answer to what a window is past, or not at yet.
func (s *Service) settled(w triage.Window) triage.Reply {
	reply := refused("Nothing was done about maintenance window %d. %s", w.ID, s.said(w))
	if w.Confirmed.ID != "" {
		reply.Lines = []string{"It was confirmed by " + who(w.Confirmed) + "."}
	}
	return reply
}

func unknownWindow(id int64) triage.Reply {
	return refused("There is no maintenance window %d; maintenance status tells of those there are.", id)
}

// isLapsed says whether a request waited for too long.
func (s *Service) isLapsed(w triage.Window) bool {
	return w.State == triage.WindowProposed && !s.Now().Before(w.CreatedAt.Add(s.ConfirmIn))
}

func (s *Service) lapse(ctx context.Context, tx *store.Tx, w *triage.Window) error {
	return s.move(ctx, tx, w, lapsed, happening{
		kind: "lapsed", log: fmt.Sprintf("nobody confirmed it within %s; nothing was called", span(s.ConfirmIn)),
		said: fmt.Sprintf("Maintenance of %s was not begun: nobody confirmed it within %s.", w.Service, span(s.ConfirmIn)),
	})
}

// place is where windows are announced, as people say it.
func (s *Service) place() string { return cmp.Or(s.Destination.Channel, s.Destination.Notifier) }
