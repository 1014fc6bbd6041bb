// Package silence makes the silences that people ask for in Alertmanager, and
// watches over them until they end. A silence is made once, however often its
// job is worked: one whose making has no known end is looked for by its mark.
package silence

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"triagebot/triage"
	"triagebot/triage/incident"
	"triagebot/triage/safetext"
	"triagebot/triage/store"
)

// Alertmanager keeps silences.
type Alertmanager interface {
	// Find looks for a silence that has the mark in its comment and is not over;
	// "" where there is none.
	Find(ctx context.Context, mark string) (id string, err error)
	// Make makes one and returns its id.
	Make(ctx context.Context, s Wanted) (id string, err error)
	// Ended says whether a silence is over; one that is not there any more is.
	Ended(ctx context.Context, id string) (bool, error)
	// Link is where people see a silence.
	Link(id string) string
}

// Wanted is a silence to be made. It matches alerts whose labels are equal to
// all of Matchers.
type Wanted struct {
	Matchers      triage.Labels
	Author        string
	Comment       string // with the mark
	StartsAt, End time.Time
}

// Options wire a Keeper.
type Options struct {
	Store     *store.DB
	Incidents *incident.Correlator
	// Alertmanager is one of the configuration's, by name; nil where there is
	// none of that name any more.
	Alertmanager func(name string) Alertmanager
	Now          func() time.Time // time.Now when nil
	Log          logrus.FieldLogger
}

// Keeper works silences.
type Keeper struct{ Options }

// New makes a Keeper.
func New(o Options) *Keeper {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Keeper{o}
}

const (
	// Making one is given up after this long: by then people have done it by hand.
	giveUpAfter = 10 * time.Minute
	tryEvery    = 5 * time.Second
	// A silence that stands is looked at this often, for somebody may end it in
	// Alertmanager.
	lookEvery = time.Minute
	// One that cannot be looked at counts as ended this long after its time.
	endedAnyway = 5 * time.Minute
	callTimeout = 10 * time.Second
)

// Work takes a silence a step further. It returns nil once the silence is over;
// a *store.Later says when to call again.
func (k *Keeper) Work(ctx context.Context, id int64) error {
	s, err := k.Store.Silence(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil // its incident is forgotten, and it with that
	case err != nil:
		return fmt.Errorf("silence %d: %w", id, err)
	}
	am := k.Alertmanager(s.Alertmanager)
	switch s.State {
	case store.SilenceWanted:
		return k.begin(ctx, s, am)
	case store.SilenceActive:
		return k.watch(ctx, s, am)
	case store.SilenceEnded, store.SilenceFailed:
	}
	return nil
}

// begin makes the silence, or finds it made.
func (k *Keeper) begin(ctx context.Context, s store.Silence, am Alertmanager) error {
	remote, err := k.stand(ctx, s, am)
	now := k.Now()
	late := !now.Before(s.EndsAt) || now.Sub(s.CreatedAt) > giveUpAfter
	switch {
	case err == nil:
		s.State, s.RemoteID = store.SilenceActive, remote
		text := fmt.Sprintf("Silenced until %s by %s (%s): silence %s.", clock(s.EndsAt), s.Author, s.Comment, remote)
		if err := k.move(ctx, s, store.SilenceWanted, s.EndsAt, text, []triage.Link{{Title: "Silence", URL: am.Link(remote)}}); err != nil {
			return err
		}
		return k.next(s)
	case late || am == nil:
		s.State, s.LastError = store.SilenceFailed, safetext.Line(safetext.WithoutURL(err).Error(), 300)
		text := fmt.Sprintf("The silence that %s asked for could not be made: %s. Its alerts go on; silence it in Alertmanager by hand.", s.Author, s.LastError)
		return k.move(ctx, s, store.SilenceWanted, time.Time{}, text, nil)
	}
	k.Log.WithError(err).WithFields(logrus.Fields{"silence": s.ID, "incident": s.IncidentID}).Warn("Alertmanager did not take a silence; trying again")
	return &store.Later{After: tryEvery, Why: "Alertmanager did not take the silence"}
}

// stand makes the silence where it does not stand yet. Alertmanager makes another
// one at each call, so one that may have been made before is looked for.
func (k *Keeper) stand(ctx context.Context, s store.Silence, am Alertmanager) (string, error) {
	if am == nil {
		return "", fmt.Errorf("the configuration has no Alertmanager %q any more", s.Alertmanager)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	mark := fmt.Sprintf("[triagebot incident %d, silence %d of %s]", s.IncidentID, s.ID, s.CreatedAt.UTC().Format(time.RFC3339Nano))
	id, err := am.Find(ctx, mark)
	if err != nil || id != "" {
		return id, err
	}
	return am.Make(ctx, Wanted{
		Matchers: s.Matchers, Author: s.Author, Comment: strings.TrimSpace(s.Comment + " " + mark),
		StartsAt: s.CreatedAt, End: s.EndsAt,
	})
}

// watch waits for the end.
func (k *Keeper) watch(ctx context.Context, s store.Silence, am Alertmanager) error {
	now := k.Now()
	text := ""
	if am != nil {
		callCtx, cancel := context.WithTimeout(ctx, callTimeout)
		ended, err := am.Ended(callCtx, s.RemoteID)
		cancel()
		switch {
		case err != nil:
			k.Log.WithError(err).WithField("silence", s.ID).Debug("a silence could not be looked at")
		case ended && now.Before(s.EndsAt.Add(-lookEvery)):
			text = fmt.Sprintf("The silence %s was ended in Alertmanager, %s before its time.", s.RemoteID, s.EndsAt.Sub(now).Round(time.Minute))
		case ended:
			text = fmt.Sprintf("The silence %s is over.", s.RemoteID)
		}
	}
	if text == "" && now.After(s.EndsAt.Add(endedAnyway)) {
		text = fmt.Sprintf("The silence %s should be over since %s; Alertmanager was not there to ask.", s.RemoteID, clock(s.EndsAt))
	}
	if text == "" {
		return k.next(s)
	}
	s.State = store.SilenceEnded
	return k.move(ctx, s, store.SilenceActive, time.Time{}, text, nil)
}

// next is when a silence that stands is looked at again.
func (k *Keeper) next(s store.Silence) error {
	after := lookEvery
	if left := s.EndsAt.Sub(k.Now()); left > 0 {
		after = min(after, left)
	} else {
		after = tryEvery
	}
	return &store.Later{After: max(after, time.Second), Why: "the silence goes on"}
}

// move writes what became of a silence, with what is told of it.
func (k *Keeper) move(ctx context.Context, s store.Silence, from store.SilenceState, until time.Time, text string, links []triage.Link) error {
	return k.Store.Tx(ctx, func(tx *store.Tx) error {
		inc, err := tx.LockIncident(ctx, s.IncidentID)
		if err != nil {
			return err
		}
		moved, err := tx.MoveSilence(ctx, s, from)
		if err != nil || !moved {
			return err
		}
		all, err := tx.SilencesOf(ctx, s.IncidentID)
		if err != nil {
			return err
		}
		for _, other := range all {
			if other.State == store.SilenceActive && other.EndsAt.After(until) {
				until = other.EndsAt
			}
		}
		now := k.Now()
		switch {
		case from != store.SilenceActive || inc.State != triage.IncidentFiring:
		case until.After(now):
			text += " Another silences its alerts until " + clock(until) + "."
		default:
			text += " Its alerts still fire, and notify again."
		}
		return k.Incidents.Silenced(ctx, tx, inc, until, fmt.Sprintf("silence/%d/%s", s.ID, s.State), text, links, now)
	})
}

func clock(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }
