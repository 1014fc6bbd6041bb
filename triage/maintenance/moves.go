// What a transition does: the window's row, its log, and the messages that
// follow, all in the caller's transaction.

package maintenance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"triagebot/triage"
	"triagebot/triage/store"
)

// happening is what is said of something that happened to a window.
type happening struct {
	kind  string // of the log's line
	actor string // "" is triagebot
	log   string // the log's line
	note  string // in the window's thread; "" says nothing there
	loud  bool   // the note is seen in the channel too
	ping  bool   // and it pings whom the configuration names
	said  string // the window's message; "" is what its state says
}

// lock takes the locks of a window and reads it. A window of another service is
// not found. Call it before the transaction locks an incident.
func (s *Service) lock(ctx context.Context, tx *store.Tx, id int64) (triage.Window, error) {
	if err := tx.LockMaintenance(ctx); err != nil {
		return triage.Window{}, err
	}
	w, err := tx.Window(ctx, id)
	if err == nil && w.Service != s.Service {
		err = store.ErrNotFound
	}
	if err != nil {
		return w, err
	}
	incident := w.IncidentID
	if err := lockIncidents(ctx, tx, &incident); err != nil {
		return w, err
	}
	w, err = tx.LockWindow(ctx, id)
	w.IncidentID = incident
	return w, err
}

// lockIncidents locks incidents in the order of their numbers, and sets the
// number of one that is closed, whose evidence is sealed, or forgotten to 0.
func lockIncidents(ctx context.Context, tx *store.Tx, ids ...*int64) error {
	slices.SortFunc(ids, func(a, b *int64) int { return cmp.Compare(*a, *b) })
	for _, id := range ids {
		if *id == 0 {
			continue
		}
		switch inc, err := tx.LockIncident(ctx, *id); {
		case errors.Is(err, store.ErrNotFound), err == nil && inc.State == triage.IncidentClosed:
			*id = 0
		case err != nil:
			return err
		}
	}
	return nil
}

// move takes a window through the transition on ev. Call it under lock.
func (s *Service) move(ctx context.Context, tx *store.Tx, w *triage.Window, ev event, h happening) error {
	t, err := next(w.State, ev)
	if err != nil {
		return fmt.Errorf("maintenance window %d: %w", w.ID, err)
	}
	now := s.Now()
	if t.to != t.from {
		w.State, w.ChangedAt = t.to, now
		w.Attempt, w.VerifyUntil = 0, time.Time{}
		s.metrics.moved(t.to)
	}
	switch t.effect {
	case works:
		if err := tx.EnqueueWindow(ctx, w.ID); err != nil {
			return err
		}
	case starts:
		if w.Since.IsZero() {
			w.Since = now
		}
		w.Until = now.Add(w.For)
		w.RemindedAt, w.ShoutedAt = time.Time{}, time.Time{}
	case stays:
		w.Override = false
		if w.Until.IsZero() { // it was found, and is to be off
			w.Until, w.ShoutedAt = now, now
		}
	case ends:
		w.Ended = now
	case nothing:
	}
	if err := tx.SaveWindow(ctx, *w); err != nil {
		return err
	}
	if w.IncidentID != 0 { // its evidence has the times
		if err := tx.EnqueuePublish(ctx, w.IncidentID); err != nil {
			return err
		}
	}
	return s.tell(ctx, tx, *w, h)
}

// log writes a line of the window's log, and of its incident's timeline. Call it
// under lock.
func (s *Service) log(ctx context.Context, tx *store.Tx, w triage.Window, h happening) (seq int64, err error) {
	now, actor := s.Now(), cmp.Or(h.actor, "triagebot")
	s.Log.WithField("window", w.ID).WithField("by", actor).Info("maintenance: " + h.log)
	seq, err = tx.AppendWindowLog(ctx, triage.WindowEntry{WindowID: w.ID, At: now, Kind: h.kind, Actor: actor, Text: h.log})
	if err != nil || w.IncidentID == 0 {
		return seq, err
	}
	text := fmt.Sprintf("maintenance window %d: %s", w.ID, h.log)
	return seq, tx.AppendTimeline(ctx, triage.TimelineEntry{IncidentID: w.IncidentID, At: now, Kind: "maintenance", Actor: actor, Text: text})
}

// tell is log that has the window's message say how it is now, and notes in its
// thread what happened.
func (s *Service) tell(ctx context.Context, tx *store.Tx, w triage.Window, h happening) error {
	seq, err := s.log(ctx, tx, w, h)
	if err != nil {
		return err
	}
	if !s.isShown(w) {
		return nil
	}
	priority := triage.PriorityAnswer
	if h.ping {
		priority = triage.PriorityEscalation
	}
	if err := tx.OweWindow(ctx, w.ID, s.Destination, s.post(w, h.said), priority); err != nil {
		return err
	}
	if h.note == "" {
		return nil
	}
	note := triage.NotePost{WindowID: w.ID, Text: h.note, Broadcast: h.loud}
	if h.ping {
		note.Mention = s.Mention
	}
	key := fmt.Sprintf("window/%d/%d", w.ID, seq)
	return tx.OweWindowReply(ctx, w.ID, s.Destination, key, triage.Post{Note: &note}, priority)
}

// saveAndTell is for what happens to a window without moving it.
func (s *Service) saveAndTell(ctx context.Context, tx *store.Tx, w triage.Window, h happening) error {
	if err := tx.SaveWindow(ctx, w); err != nil {
		return err
	}
	return s.tell(ctx, tx, w, h)
}

// isShown says whether the channel has a message of the window. What waits for
// the very person who asked, or was taken back by them, concerns nobody else.
func (s *Service) isShown(w triage.Window) bool {
	switch w.State {
	case triage.WindowProposed, triage.WindowCancelled:
		return s.SecondPerson
	}
	return true
}

// post is the window's message as it is now.
func (s *Service) post(w triage.Window, said string) triage.WindowPost {
	return triage.WindowPost{
		WindowID: w.ID, State: w.State, Service: w.Service, Reason: w.Reason, By: who(w.By),
		Said: cmp.Or(said, s.said(w)), Since: w.Since, Until: w.Until, Ended: w.Ended,
		Overdue: s.isOverdue(w), Choices: s.choices(w),
	}
}

func (s *Service) isOverdue(w triage.Window) bool {
	return w.State == triage.WindowOn && !w.Until.IsZero() && !s.Now().Before(w.Until)
}
