// What time and the metric alone do to windows: requests that lapse, reminders,
// what is overdue, and a flag that changed without triagebot. Every replica may
// run this; each transition is made under the lock, by whoever comes first.

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
	clockEvery  = time.Second
	forgetEvery = time.Hour
	// forgotten bounds what is forgotten at once.
	forgotten = 100
)

// Run watches until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	ticks, looks, hours := time.NewTicker(clockEvery), time.NewTicker(s.WatchEvery), time.NewTicker(forgetEvery)
	defer ticks.Stop()
	defer looks.Stop()
	defer hours.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
			err = s.Tick(ctx)
		case <-looks.C:
			err = s.Watch(ctx)
		case <-hours.C:
			err = s.forget(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.Log.WithError(err).Error("watching over maintenance failed; trying again")
		}
	}
}

// latest reads the newest window; the zero one where there is none.
func (s *Service) latest(ctx context.Context) (triage.Window, error) {
	w, err := s.Store.LatestWindow(ctx, s.Service)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return w, err
}

// deed is what the clock has to do about a window.
type deed func(ctx context.Context, tx *store.Tx, w *triage.Window) error

// Tick does what is due by the clock.
func (s *Service) Tick(ctx context.Context) error {
	w, err := s.latest(ctx)
	if err != nil {
		return err
	}
	s.metrics.overdue.Set(0)
	if s.isOverdue(w) {
		s.metrics.overdue.Set(s.Now().Sub(w.Until).Seconds())
	}
	if s.due(w) == nil { // most often: no transaction, for each is a sync of the disk
		return nil
	}
	return s.Store.Tx(ctx, func(tx *store.Tx) error {
		w, err := s.lock(ctx, tx, w.ID)
		if err != nil {
			return err
		}
		if do := s.due(w); do != nil { // or another replica was quicker
			return do(ctx, tx, &w)
		}
		return nil
	})
}

// due is what has to be done about a window now; nil for nothing.
func (s *Service) due(w triage.Window) deed {
	now := s.Now()
	again := now.Sub(w.ShoutedAt) >= s.OverdueEvery
	switch {
	case s.isLapsed(w):
		return s.lapse
	case w.State == triage.WindowFound && again:
		return s.askAgain
	case s.isOverdue(w):
		if again {
			return s.shout
		}
	case w.State == triage.WindowOn && w.RemindedAt.IsZero() && !now.Before(w.Until.Add(-s.RemindBefore)) && w.Until.Sub(w.ChangedAt) > s.RemindBefore:
		return s.remind
	}
	return nil
}

func (s *Service) remind(ctx context.Context, tx *store.Tx, w *triage.Window) error {
	w.RemindedAt = s.Now()
	left := about(w.Until.Sub(w.RemindedAt))
	return s.saveAndTell(ctx, tx, *w, happening{
		kind: "reminded", log: "reminded that it ends in " + left, loud: true,
		note: fmt.Sprintf("Maintenance of %s ends in %s, at %s. Extend it (maintenance extend 15m) or turn it off (maintenance disable).", w.Service, left, s.clock(w.Until)),
	})
}

func (s *Service) shout(ctx context.Context, tx *store.Tx, w *triage.Window) error {
	w.ShoutedAt = s.Now()
	late := about(w.ShoutedAt.Sub(w.Until))
	over := "Its end, " + s.clock(w.Until) + ", has come."
	if w.ShoutedAt.Sub(w.Until) >= minFor {
		over = fmt.Sprintf("It was to end at %s, %s ago.", s.clock(w.Until), late)
	}
	return s.saveAndTell(ctx, tx, *w, happening{
		kind: "overdue", log: "overdue for " + late, loud: true, ping: true,
		note: fmt.Sprintf("Maintenance of %s is overdue. %s Turn it off (maintenance disable) or extend it (maintenance extend 15m).", w.Service, over),
	})
}

func (s *Service) askAgain(ctx context.Context, tx *store.Tx, w *triage.Window) error {
	w.ShoutedAt = s.Now()
	return s.saveAndTell(ctx, tx, *w, happening{kind: "asked", log: "asked again whose it is", loud: true, ping: true, note: s.whose(*w)})
}

// whose asks about a flag that is on.
func (s *Service) whose(w triage.Window) string {
	return fmt.Sprintf("%s Keep it for %s (maintenance adopt %d), or turn it off (maintenance disable).", s.said(w), span(s.DefaultFor), w.ID)
}

// Watch looks at the metric once, and acts on a flag that changed without
// triagebot. A look that tells nothing changes nothing.
func (s *Service) Watch(ctx context.Context) error {
	asked := s.Now()
	on, err := s.look(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.Log.WithError(err).Warn("whether maintenance is on is not known; windows stay as they are")
		}
		return nil //nolint:nilerr // counted by look, and said by Status
	}
	w, err := s.latest(ctx)
	if err != nil || s.flip(w, on, asked) == "" {
		return err
	}
	return s.Store.Tx(ctx, func(tx *store.Tx) error {
		if err := tx.LockMaintenance(ctx); err != nil {
			return err
		}
		latest, err := tx.LatestWindows(ctx, s.Service, 1)
		if err != nil {
			return err
		}
		var w triage.Window
		if len(latest) > 0 {
			if w, err = s.lock(ctx, tx, latest[0].ID); err != nil {
				return err
			}
		}
		switch s.flip(w, on, asked) { // which another replica may have acted on
		case appeared:
			return s.appear(ctx, tx, w)
		case vanished:
			return s.vanish(ctx, tx, w)
		}
		return nil
	})
}

// flip is what the metric's value says has happened to the newest window without
// triagebot; "" for nothing. Soon after a window moved a value may be older than
// that: of two Prometheus servers one may not have scraped since.
func (s *Service) flip(w triage.Window, on bool, asked time.Time) event {
	if w.ID != 0 && asked.Sub(w.ChangedAt) < s.VerifyWithin {
		return ""
	}
	ev, state := vanished, w.State
	if on {
		ev = appeared
		if isOver(state) {
			state = none
		}
	}
	if !canHappen(state, ev) {
		return "" // as it should be, or a worker is at it
	}
	return ev
}

// appear opens a window of a flag that is on, in place of a request that waits.
func (s *Service) appear(ctx context.Context, tx *store.Tx, waiting triage.Window) error {
	if waiting.State == triage.WindowProposed {
		err := s.move(ctx, tx, &waiting, appeared, happening{
			kind: "overtaken", log: "cancelled: maintenance was turned on outside of triagebot meanwhile",
			said: fmt.Sprintf("Maintenance of %s was turned on outside of triagebot; the request is cancelled.", s.Service),
		})
		if err != nil {
			return err
		}
	}
	t, err := next(none, appeared)
	if err != nil {
		return err
	}
	now := s.Now()
	w := triage.Window{Service: s.Service, State: t.to, Reason: "turned on outside of triagebot", CreatedAt: now, ChangedAt: now, Since: now, ShoutedAt: now}
	if err := tx.OpenWindow(ctx, &w); err != nil {
		return err
	}
	s.metrics.moved(w.State)
	return s.tell(ctx, tx, w, happening{
		kind: "found", log: fmt.Sprintf("the metric %s says 1, and nobody announced it", s.Metric), loud: true, ping: true, note: s.whose(w),
	})
}

// vanish ends a window whose flag was turned off by somebody else.
func (s *Service) vanish(ctx context.Context, tx *store.Tx, w triage.Window) error {
	lasted := span(s.Now().Sub(w.Since))
	return s.move(ctx, tx, &w, vanished, happening{
		kind: "off", log: fmt.Sprintf("the metric %s says 0: maintenance was switched off outside of triagebot, after %s", s.Metric, lasted), loud: true,
		note: fmt.Sprintf("Maintenance of %s is over after %s: it was switched off outside of triagebot.", w.Service, lasted),
	})
}

func (s *Service) forget(ctx context.Context) error {
	if s.Keep == 0 {
		return nil
	}
	before := s.Now().Add(-s.Keep)
	_, err := s.Store.PruneWindows(ctx, before, forgotten)
	return errors.Join(err, s.Store.PruneNotices(ctx, before, forgotten))
}
