// The worker: what a confirmation or a disable has begun, taken to its end. Each
// call of the toggle is recorded before it is made. A worker that finds one
// recorded that it did not make looks at the metric, and calls again only when
// that says for as long as it may take that nothing followed: where it says
// nothing, another call might be a second one for the same thing.

package maintenance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"triagebot/triage"
	"triagebot/triage/store"
)

const (
	// pollEvery is how often the metric is looked at after a call.
	pollEvery = 2 * time.Second
	// recordTimeout bounds the record of a call's answer, which is made even
	// when the worker is being stopped: what is known now need not be found out.
	recordTimeout = 5 * time.Second
)

// Work takes a window a step further: it is the job that store.JobsOptions
// asks for. It may be called twice at once, and after a crash.
func (s *Service) Work(ctx context.Context, id int64) error {
	w, err := s.Store.Window(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil // it was over for so long that it is forgotten
	case err != nil:
		return fmt.Errorf("maintenance window %d: %w", id, err)
	case w.Service != s.Service:
		return &store.Later{After: time.Minute, Why: "the configuration is about the maintenance of another service"}
	}
	on, atWork := calls(w.State)
	if !atWork {
		return nil
	}
	if err := s.step(ctx, w, on); err != nil && !errors.Is(err, errMoved) {
		return fmt.Errorf("maintenance window %d, %s: %w", id, w.State, err)
	}
	return &store.Later{After: pollEvery, Why: "the metric is to follow"}
}

// step looks, and then settles the window, waits, or calls.
func (s *Service) step(ctx context.Context, w triage.Window, on bool) error {
	if w.Attempt > 0 {
		is, err := s.look(ctx)
		switch {
		case err == nil && is == on:
			return s.follow(ctx, w)
		case s.Now().Before(w.VerifyUntil):
			return nil
		case err != nil, w.Attempt >= s.attempts(w.State):
			return s.giveUp(ctx, w, s.missing(on, err))
		}
	}
	var overridden error
	if w.State == triage.WindowDisabling {
		if err := s.ready(ctx); err != nil && !w.Override {
			return s.refuse(ctx, w, err)
		} else {
			overridden = err
		}
	}
	return s.call(ctx, w, on, overridden)
}

// attempts is how many calls are made in a state.
func (s *Service) attempts(state triage.WindowState) int {
	if s.rollsBack(state) {
		return 1
	}
	return s.Attempts
}

// rollsBack says whether a call that does not do it is followed by the opposite.
func (s *Service) rollsBack(state triage.WindowState) bool {
	return state == triage.WindowEnabling && s.OnFailure == Rollback
}

func (s *Service) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return s.Ready.Ready(ctx)
}

// missing says that the metric did not follow.
func (s *Service) missing(on bool, unread error) string {
	if unread != nil {
		return fmt.Sprintf("the metric %s did not tell within %s (%v)", s.Metric, span(s.VerifyWithin), unread)
	}
	return fmt.Sprintf("the metric %s did not say %s within %s", s.Metric, wanted(on), span(s.VerifyWithin))
}

// errMoved says that a window is not as it was read: another worker was quicker.
var errMoved = errors.New("the window moved meanwhile")

// change runs fn on the window if that is still as it was read.
func (s *Service) change(ctx context.Context, seen triage.Window, fn func(tx *store.Tx, w *triage.Window) error) error {
	return s.Store.Tx(ctx, func(tx *store.Tx) error {
		w, err := s.lock(ctx, tx, seen.ID)
		if err != nil {
			return err
		}
		if !isSame(seen, w) {
			return errMoved
		}
		return fn(tx, &w)
	})
}

// isSame says whether nothing happened to a window's calls meanwhile.
func isSame(a, b triage.Window) bool {
	return a.State == b.State && a.ChangedAt.Equal(b.ChangedAt) && a.Attempt == b.Attempt && a.VerifyUntil.Equal(b.VerifyUntil)
}

// call records that the toggle is called, calls it, and records what came of it.
func (s *Service) call(ctx context.Context, seen triage.Window, on bool, overridden error) error {
	var claimed triage.Window
	// Judged by the wall clock: the monotonic one stands still while a machine
	// is suspended.
	began := s.Now().Round(0).Truncate(time.Microsecond) // as the database keeps it
	err := s.change(ctx, seen, func(tx *store.Tx, w *triage.Window) error {
		h := happening{kind: "called", log: fmt.Sprintf("calls %s to %s (call %d of at most %d)", s.Toggle, purpose(*w), w.Attempt+1, s.attempts(w.State))}
		if w.Attempt > 0 {
			h.loud = true
			h.note = fmt.Sprintf("After the call to %s, %s. Calling again (call %d of at most %d).",
				purpose(*w), s.missing(on, nil), w.Attempt+1, s.attempts(w.State))
		}
		if overridden != nil {
			h.log += "; the service is not ready, which was overridden: " + s.tidy(overridden.Error())
		}
		w.Attempt++
		w.VerifyUntil = began.Add(s.CallTimeout + s.VerifyWithin)
		claimed = *w
		return s.saveAndTell(ctx, tx, *w, h)
	})
	if err != nil {
		return err
	}
	// Beyond this instant somebody else may look, find nothing, and call.
	left := began.Add(s.CallTimeout).Sub(s.Now().Round(0))
	if left <= 0 {
		s.metrics.called(on, callStale)
		return s.heldUp(ctx, claimed)
	}
	answer, err := s.toggle(ctx, left, on, fmt.Sprintf("triagebot-window-%d-%d-%d", claimed.ID, claimed.ChangedAt.UnixMicro(), claimed.Attempt))
	took := s.Now().Sub(began).Round(time.Millisecond)
	if err == nil {
		s.metrics.called(on, callDone)
		return s.answered(ctx, claimed, happening{kind: "answered", log: fmt.Sprintf("%s %s after %s", s.Toggle, s.tidy(answer), took)})
	}
	s.metrics.called(on, callFailed)
	failed := s.tidy(err.Error())
	return s.answered(ctx, claimed, happening{
		kind: "failed", log: fmt.Sprintf("the call to %s failed after %s: %s", purpose(claimed), took, failed), loud: true,
		note: fmt.Sprintf("The call to %s failed: %s. It is watched for %s whether the metric follows all the same.", purpose(claimed), failed, span(s.VerifyWithin)),
	})
}

func (s *Service) toggle(ctx context.Context, within time.Duration, on bool, key string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return s.Toggle.Switch(ctx, on, key)
}

// heldUp records that the call was not made. Where it was to be the only one, the
// window has failed: there is nothing to wait for, and nothing to undo.
func (s *Service) heldUp(ctx context.Context, claimed triage.Window) error {
	why := fmt.Sprintf("more than %s had passed since the call was recorded", span(s.CallTimeout))
	h := happening{kind: "held up", log: "did not call: " + why}
	if !s.rollsBack(claimed.State) {
		return s.answered(ctx, claimed, h)
	}
	h.loud, h.ping = true, true
	h.note = fmt.Sprintf("Could not %s: triagebot was held up, and %s. Nothing was called; ask for it again.", purpose(claimed), why)
	h.said = fmt.Sprintf("Maintenance of %s could not be turned on: nothing was called.", claimed.Service)
	ctx, cancel := recording(ctx)
	defer cancel()
	return s.change(ctx, claimed, func(tx *store.Tx, w *triage.Window) error { return s.move(ctx, tx, w, exhausted, h) })
}

// recording is for what is recorded even when the worker is being stopped.
func recording(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
}

// answered records what came of a call, from when on the metric is to follow.
func (s *Service) answered(ctx context.Context, claimed triage.Window, h happening) error {
	ctx, cancel := recording(ctx)
	defer cancel()
	return s.Store.Tx(ctx, func(tx *store.Tx) error {
		w, err := s.lock(ctx, tx, claimed.ID)
		if err != nil {
			return err
		}
		if !isSame(claimed, w) { // another worker has seen the metric follow
			_, err := s.log(ctx, tx, w, h)
			return err
		}
		w.VerifyUntil = s.Now().Add(s.VerifyWithin)
		return s.saveAndTell(ctx, tx, w, h)
	})
}

// follow settles a window whose metric says what it is to say.
func (s *Service) follow(ctx context.Context, seen triage.Window) error {
	return s.change(ctx, seen, func(tx *store.Tx, w *triage.Window) error {
		now := s.Now()
		switch w.State {
		case triage.WindowEnabling:
			return s.move(ctx, tx, w, followed, happening{
				kind: "on", log: fmt.Sprintf("the metric %s says 1: maintenance is on for %s", s.Metric, span(w.For)), loud: true,
				note: fmt.Sprintf("Maintenance of %s is on, until %s: %s", w.Service, s.clock(now.Add(w.For)), w.Reason),
			})
		case triage.WindowUndoing:
			return s.move(ctx, tx, w, followed, happening{
				kind: "undone", log: fmt.Sprintf("the metric %s says 0: what was done is undone", s.Metric), loud: true,
				note: fmt.Sprintf("What was done to turn maintenance of %s on is undone: the metric says 0.", w.Service),
				said: fmt.Sprintf("Maintenance of %s could not be turned on, and was rolled back. It is off.", w.Service),
			})
		}
		lasted := span(now.Sub(w.Since))
		return s.move(ctx, tx, w, followed, happening{
			kind: "off", log: fmt.Sprintf("the metric %s says 0: maintenance is over after %s", s.Metric, lasted), loud: true,
			note: fmt.Sprintf("Maintenance of %s is over after %s. It was turned off by %s.", w.Service, lasted, who(w.Ender)),
		})
	})
}

// giveUp settles a window whose metric did not follow, as configured.
func (s *Service) giveUp(ctx context.Context, seen triage.Window, why string) error {
	return s.change(ctx, seen, func(tx *store.Tx, w *triage.Window) error {
		failed := fmt.Sprintf("Could not %s: %s.", purpose(*w), why)
		h := happening{kind: "given up", log: fmt.Sprintf("could not %s: %s", purpose(*w), why), loud: true, ping: true}
		switch {
		case s.rollsBack(w.State):
			h.kind, h.ping = "rolls back", false
			h.note = failed + " The opposite is called."
			return s.move(ctx, tx, w, spoilt, h)
		case w.State == triage.WindowDisabling:
			h.note = failed + fmt.Sprintf(" Maintenance of %s counts as on still: look at the service, and try again with maintenance disable.", w.Service)
		default:
			h.note = failed + " It is given up. Whether it is on now is for somebody to look at."
			h.said = fmt.Sprintf("Maintenance of %s could not be turned on. Whether it is on now is not known: somebody must look.", w.Service)
		}
		return s.move(ctx, tx, w, exhausted, h)
	})
}

// refuse leaves maintenance on, for the service is not ready.
func (s *Service) refuse(ctx context.Context, seen triage.Window, cause error) error {
	return s.change(ctx, seen, func(tx *store.Tx, w *triage.Window) error {
		why := s.tidy(cause.Error())
		return s.move(ctx, tx, w, unready, happening{
			kind: "refused", log: fmt.Sprintf("refused to turn it off: %s: %s", s.Ready, why), loud: true,
			note: fmt.Sprintf("Maintenance of %s stays on, though %s asked to turn it off: the service is not ready. %s: %s. Who may can turn it off all the same, with a reason: maintenance disable override REASON",
				w.Service, who(w.Ender), s.Ready, why),
		})
	})
}
