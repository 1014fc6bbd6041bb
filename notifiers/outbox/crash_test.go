// What kill -9 does to the outbox: a worker dies at every one of its steps in
// turn, before or after the step's effect, and another takes over.

package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"triagebot/notifiers"
	"triagebot/triage"
	"triagebot/triage/store"
)

var errKilled = errors.New("killed")

// mortal counts the steps of a worker that leave something behind, and kills
// it at one of them. From then on nothing that it does has an effect.
type mortal struct {
	mu     sync.Mutex
	steps  int
	at     int  // dies at this step, from 1
	after  bool // the step's effect, instead of before
	dead   bool
	killed chan struct{}
}

func (m *mortal) step(effect func() error) error {
	m.mu.Lock()
	if m.dead {
		m.mu.Unlock()
		return errKilled
	}
	m.steps++
	here := m.steps == m.at
	if here {
		m.dead = true
		close(m.killed)
	}
	m.mu.Unlock()
	if here && !m.after {
		return errKilled
	}
	err := effect()
	if here {
		return errKilled
	}
	return err
}

// mortalStore is the database as the worker that dies reaches it.
type mortalStore struct {
	*store.DB
	*mortal
}

func (s mortalStore) LanesWithWork(ctx context.Context) ([]store.LaneWork, error) {
	s.mu.Lock()
	dead := s.dead
	s.mu.Unlock()
	if dead {
		return nil, errKilled
	}
	return s.DB.LanesWithWork(ctx)
}

func (s mortalStore) Claim(ctx context.Context, h store.Hold) (c store.Claim, err error) {
	err = s.step(func() (err error) { c, err = s.DB.Claim(ctx, h); return err })
	return c, err
}

func (s mortalStore) RenewLane(ctx context.Context, lane store.Lane, owner string, lease time.Duration) (ours bool, err error) {
	err = s.step(func() (err error) { ours, err = s.DB.RenewLane(ctx, lane, owner, lease); return err })
	return ours, err
}

func (s mortalStore) ReleaseLanes(ctx context.Context, owner string) error {
	return s.step(func() error { return s.DB.ReleaseLanes(ctx, owner) })
}

func (s mortalStore) Delivered(ctx context.Context, d *triage.Delivery, remote triage.RemoteRef, note string) error {
	return s.step(func() error { return s.DB.Delivered(ctx, d, remote, note) })
}

func (s mortalStore) Adopt(ctx context.Context, d *triage.Delivery, remote triage.RemoteRef, note string) error {
	return s.step(func() error { return s.DB.Adopt(ctx, d, remote, note) })
}

func (s mortalStore) Retry(ctx context.Context, d *triage.Delivery, cause error, note string) error {
	return s.step(func() error { return s.DB.Retry(ctx, d, cause, note) })
}

func (s mortalStore) Doubt(ctx context.Context, d *triage.Delivery, lookAt time.Time, cause error) error {
	return s.step(func() error { return s.DB.Doubt(ctx, d, lookAt, cause) })
}

func (s mortalStore) LookAgain(ctx context.Context, d *triage.Delivery, at time.Time, cause error) error {
	return s.step(func() error { return s.DB.LookAgain(ctx, d, at, cause) })
}

func (s mortalStore) Repeat(ctx context.Context, d *triage.Delivery, at time.Time, cause error, note string) error {
	return s.step(func() error { return s.DB.Repeat(ctx, d, at, cause, note) })
}

func (s mortalStore) Checkpoint(ctx context.Context, d *triage.Delivery, progress string) error {
	return s.step(func() error { return s.DB.Checkpoint(ctx, d, progress) })
}

// mortalNotifier is the channel as the worker that dies reaches it.
type mortalNotifier struct {
	*fakeChannel
	*mortal
}

func (n mortalNotifier) Send(ctx context.Context, d *triage.Delivery, checkpoint func(string) error) (r notifiers.Receipt, err error) {
	err = n.step(func() (err error) { r, err = n.fakeChannel.Send(ctx, d, checkpoint); return err })
	return r, err
}

func (n mortalNotifier) Find(ctx context.Context, d *triage.Delivery) (r notifiers.Receipt, found bool, err error) {
	err = n.step(func() (err error) { r, found, err = n.fakeChannel.Find(ctx, d); return err })
	return r, found, err
}

func TestAWorkerKilledAtAnyStepLosesAndDoublesNothing(t *testing.T) {
	eachDatabase(t, func(w *world) {
		died := 0
		for at := 1; ; at++ {
			for _, after := range []bool{false, true} {
				m := &mortal{at: at, after: after, killed: make(chan struct{})}
				w.channel = &fakeChannel{
					// The first attempt at a reply ends in doubt, so that
					// looking is among the steps.
					after: failing(1, fails(notifiers.Ambiguous), isReply),
				}
				incident := w.open("ops", triage.PriorityParent)
				w.reply(incident, "p95", triage.PriorityFinding)
				w.file(incident, "chart.png")
				w.notice(incident, "page", "oncall")
				w.edit(incident, "newer", 2*time.Second)

				stop := w.work(fmt.Sprintf("first %d %t", at, after), func(o *Options) {
					o.Store = mortalStore{w.db, m}
					o.Notifiers = map[string]notifiers.Notifier{"chat": mortalNotifier{w.channel, m}}
				})
				select {
				case <-m.killed:
					died++
				case <-time.After(time.Minute): // it came through alive
				}
				stop()
				stop = w.work(fmt.Sprintf("second %d %t", at, after))
				elapse(2 * time.Minute)
				stop()

				what := fmt.Sprintf("killed at step %d, after its effect %t: ", at, after)
				// What is looked for may be overtaken, but not a parent by its replies.
				thread := slices.DeleteFunc(w.channel.shown(), func(m message) bool { return m.key == keyOf(incident, "page") })
				expect(w.t, what+"first message", thread[0].key, keyOf(incident, "parent"))
				expect(w.t, what+"text", thread[0].text, "newer")
				expect(w.t, what+"messages", slices.Sorted(slices.Values(w.channel.keys())),
					[]string{keyOf(incident, "chart.png"), keyOf(incident, "p95"), keyOf(incident, "page"), keyOf(incident, "parent")})
				expect(w.t, what+"states", w.states(incident), map[string]triage.DeliveryState{"parent": "sent", "p95": "sent", "chart.png": "sent", "page": "sent"})
				expect(w.t, what+"timeline", w.timeline(incident), []string{"Posted to chat/ops"})
				if w.t.Failed() {
					return
				}
				if m.steps < at {
					if died < 20 {
						w.t.Errorf("the worker died %d times only: the steps are not covered", died)
					}
					return // every step was the last of some worker
				}
			}
		}
	})
}

func TestAStoppedWorkerLeavesItsAttemptToTheNext(t *testing.T) {
	for name, shown := range map[string]bool{"shown": true, "not shown": false} {
		t.Run(name, func(t *testing.T) {
			eachDatabase(t, func(w *world) {
				entered := make(chan struct{})
				hang := func(ctx context.Context, c channelCall) error {
					if c.n > 0 {
						return nil
					}
					close(entered)
					<-ctx.Done()
					return ctx.Err()
				}
				if shown {
					w.channel.after = hang
				} else {
					w.channel.before = hang
				}
				incident := w.open("ops", triage.PriorityParent)
				stop := w.work("first")
				<-entered
				stop()
				expect(w.t, "state", w.states(incident)["parent"], triage.DeliverySending)

				start := time.Now()
				defer w.work("second")() // the lane was given back: no need to wait for the lease
				elapse(10 * time.Second)
				expect(w.t, "messages", w.channel.keys(), []string{keyOf(incident, "parent")})
				if waited := w.channel.first().at.Sub(start); waited > 10*time.Second {
					w.t.Errorf("shown %v after the next worker started", waited)
				}
			})
		})
	}
}

func TestALaneIsKeptThroughASendThatOutlastsTheLease(t *testing.T) {
	eachDatabase(t, func(w *world) {
		w.channel.before = func(_ context.Context, c channelCall) error {
			if c.n == 0 {
				<-time.After(5 * time.Minute)
			}
			return nil
		}
		incident := w.open("ops", triage.PriorityParent)
		patient := func(o *Options) { o.SendTimeout = time.Hour }
		stop := w.work("first", patient)
		elapse(time.Second)
		defer w.work("second", patient)()
		elapse(4 * time.Minute)
		expect(w.t, "calls while the first waits", w.channel.calls(), 1)
		elapse(2 * time.Minute)
		expect(w.t, "messages", w.channel.keys(), []string{keyOf(incident, "parent")})
		stop()
	})
}

// deafStore loses its connection for renewals only.
type deafStore struct{ *store.DB }

func (deafStore) RenewLane(context.Context, store.Lane, string, time.Duration) (bool, error) {
	return false, errors.New("connection refused")
}

func TestAWorkerThatCannotRenewStopsBeforeAnotherTakesOver(t *testing.T) {
	eachDatabase(t, func(w *world) {
		stopped := make(chan time.Time, 1)
		w.channel.before = func(ctx context.Context, c channelCall) error {
			if c.n == 0 {
				<-ctx.Done()
				stopped <- time.Now()
				return ctx.Err()
			}
			return nil
		}
		incident := w.open("ops", triage.PriorityParent)
		start := time.Now()
		stop := w.work("first", func(o *Options) {
			o.Store, o.SendTimeout = deafStore{w.db}, time.Hour
		})
		elapse(time.Second)
		defer w.work("second")()
		elapse(time.Minute)
		if held := (<-stopped).Sub(start); held <= 0 || held >= store.LaneLease {
			w.t.Errorf("the attempt ended after %v; want it to end before the lease of %v", held, store.LaneLease)
		}
		expect(w.t, "messages", w.channel.keys(), []string{keyOf(incident, "parent")})
		stop()
	})
}

func TestADeadWorkersLaneIsFreeWhenItsReplicasRunsAre(t *testing.T) {
	eachDatabase(t, func(w *world) {
		incident := w.open("ops", triage.PriorityParent)
		_, err := w.db.Claim(context.Background(), store.Hold{Lane: store.Lane{Notifier: "chat", Channel: "ops"}, Owner: "dead", Lease: store.LaneLease})
		if err != nil {
			w.t.Fatal(err)
		}
		defer w.work("alive")()
		elapse(store.LaneLease - time.Second)
		expect(w.t, "looks within the dead worker's lease", len(w.channel.looks()), 0)
		elapse(5 * time.Second)
		expect(w.t, "messages", w.channel.keys(), []string{keyOf(incident, "parent")})
		expect(w.t, "looks", len(w.channel.looks()), 2)
	})
}
