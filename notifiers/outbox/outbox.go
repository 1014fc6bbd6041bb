// The outbox's worker: its options, and the loop that starts lanes.

package outbox

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"triagebot/notifiers"
	"triagebot/triage"
	"triagebot/triage/store"
)

// Store is what the outbox needs of the database; *store.DB is one.
type Store interface {
	Waiting(topic store.Topic) <-chan struct{}
	LanesWithWork(ctx context.Context) ([]store.LaneWork, error)
	Claim(ctx context.Context, h store.Hold) (store.Claim, error)
	RenewLane(ctx context.Context, lane store.Lane, owner string, lease time.Duration) (bool, error)
	ReleaseLanes(ctx context.Context, owner string) error
	Delivered(ctx context.Context, d *triage.Delivery, remote triage.RemoteRef, note string) error
	Adopt(ctx context.Context, d *triage.Delivery, remote triage.RemoteRef, note string) error
	Retry(ctx context.Context, d *triage.Delivery, cause error, note string) error
	RetryUnread(ctx context.Context, d *triage.Delivery, at time.Time, cause error) error
	Doubt(ctx context.Context, d *triage.Delivery, lookAt time.Time, cause error) error
	LookAgain(ctx context.Context, d *triage.Delivery, at time.Time, cause error) error
	Repeat(ctx context.Context, d *triage.Delivery, at time.Time, cause error, note string) error
	Park(ctx context.Context, d *triage.Delivery, cause error) (int64, error)
	Gone(ctx context.Context, d *triage.Delivery) (int64, error)
	Checkpoint(ctx context.Context, d *triage.Delivery, progress string) error
	Pause(ctx context.Context, lane store.Lane, until time.Time, actions ...store.Action) error
	PauseAction(ctx context.Context, notifier string, a store.Action, until time.Time) error
	DeliveryStates(ctx context.Context) (map[string]int, error)
	OldestOwed(ctx context.Context) (time.Time, error)
}

// Options set up an Outbox. The first three are required.
type Options struct {
	Store     Store
	Notifiers map[string]notifiers.Notifier // by configured name
	// Owner names this worker in lane leases. No two living workers may share
	// a name. One that stays the same over a restart gets its lanes back at
	// once, without waiting for the old leases to end: right for SQLite, whose
	// file lock admits one process; wrong for replicas.
	Owner string
	// Pace is how far apart the messages of each notifier are kept, by name;
	// one that is missing is not held back. See SlackPace.
	Pace         map[string]store.Pace
	Lanes        int           // worked at once; 0 means 16
	Lease        time.Duration // of a lane, renewed while it is worked; 0 means store.LaneLease
	SendTimeout  time.Duration // of one call of a notifier; 0 means 20 s
	LookInterval time.Duration // between two looks for one message; 0 means 2 s
	Poll         time.Duration // for what other replicas came to owe; 0 means 500 ms
	Log          logrus.FieldLogger
	Registerer   prometheus.Registerer // nil: metrics are not registered
}

// SlackPace is what Slack allows: about one message a second in a channel and
// short bursts over that, so that the first findings need not wait for the
// second after their parent; and "50+ a minute" edits in a workspace.
func SlackPace() store.Pace {
	return store.Pace{Post: time.Second, Burst: 4, Edit: 1200 * time.Millisecond}
}

// Outbox is a worker of the outbox. Run works.
type Outbox struct {
	Options
	metrics *metrics
	shown   shown
}

// New prepares a worker. It fails when an option that is required is missing
// or when its metrics cannot be registered.
func New(opts Options) (*Outbox, error) {
	if opts.Store == nil || opts.Owner == "" || len(opts.Notifiers) == 0 {
		return nil, errors.New("outbox: a store, an owner and at least one notifier are needed")
	}
	opts.Lanes = cmp.Or(opts.Lanes, 16)
	opts.Lease = cmp.Or(opts.Lease, store.LaneLease)
	opts.SendTimeout = cmp.Or(opts.SendTimeout, 20*time.Second)
	opts.LookInterval = cmp.Or(opts.LookInterval, 2*time.Second)
	opts.Poll = cmp.Or(opts.Poll, 500*time.Millisecond)
	if opts.Log == nil {
		silent := logrus.New()
		silent.SetLevel(logrus.PanicLevel)
		opts.Log = silent
	}
	m, err := newMetrics(opts.Store, opts.Registerer)
	if err != nil {
		return nil, err
	}
	return &Outbox{Options: opts, metrics: m}, nil
}

// Run delivers until ctx ends, then waits for the attempts under way to end
// and gives the lanes back. It returns nil: what fails is owed still.
func (o *Outbox) Run(ctx context.Context) error {
	var working sync.WaitGroup
	defer func() {
		working.Wait()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
		defer cancel()
		if err := o.Store.ReleaseLanes(stop, o.Owner); err != nil {
			o.Log.WithError(err).Warn("Could not give the outbox's lanes back; other replicas take them when the leases end")
		}
	}()
	d := dispatcher{Outbox: o, known: map[store.Lane]*lane{}, unknown: map[string]bool{}}
	done := make(chan *lane, o.Lanes) // never blocks a lane that ends
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case l := <-done:
			l.working = false
			d.working--
		case <-o.Store.Waiting(store.DeliveriesWaiting):
		case <-timer.C:
		}
		for _, l := range d.ready(ctx) {
			l.begin()
			d.working++
			working.Go(func() {
				defer func() { done <- l }()
				l.work(ctx)
			})
		}
		timer.Reset(d.untilNext())
	}
}

// dispatcher decides which lanes are worked. Only Run's goroutine touches it.
type dispatcher struct {
	*Outbox
	known   map[store.Lane]*lane // with work, or being worked
	working int
	unknown map[string]bool // notifiers that rows name and the configuration does not
	failing bool
}

// ready lists the lanes to start, the most urgent first and among equals the
// one that waited longest, as many as may be worked at once.
func (d *dispatcher) ready(ctx context.Context) []*lane {
	work, err := d.Store.LanesWithWork(ctx)
	if err != nil {
		if ctx.Err() == nil && !d.failing {
			d.Log.WithError(err).Error("Cannot read the outbox; trying again")
		}
		d.failing = true
		return nil
	}
	if d.failing {
		d.Log.Info("Reading the outbox again")
	}
	d.failing = false
	d.update(work)

	now := time.Now()
	var ready []*lane
	for _, l := range d.known {
		if !l.working && !now.Before(l.nextTurn()) {
			ready = append(ready, l)
		}
	}
	slices.SortFunc(ready, func(a, b *lane) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), a.lastTurn.Compare(b.lastTurn))
	})
	return ready[:min(len(ready), d.Lanes-d.working)]
}

// update makes known what is listed, and forgets lanes in which nothing is owed.
func (d *dispatcher) update(work []store.LaneWork) {
	listed := map[store.Lane]bool{}
	for _, w := range work {
		if _, configured := d.Notifiers[w.Notifier]; !configured {
			if !d.unknown[w.Notifier] {
				d.Log.WithField("notifier", w.Notifier).Warn("Deliveries are owed to a notifier that is not configured; they wait")
			}
			d.unknown[w.Notifier] = true
			continue
		}
		listed[w.Lane] = true
		l := d.known[w.Lane]
		if l == nil {
			l = &lane{Outbox: d.Outbox, name: w.Lane, notifier: d.Notifiers[w.Notifier]}
			d.known[w.Lane] = l
		}
		l.priority, l.listed = w.Priority, w.Stamp
	}
	for name, l := range d.known {
		if !listed[name] && !l.working {
			delete(d.known, name)
		}
	}
}

// untilNext is how long nothing needs to be done unless something changes.
func (d *dispatcher) untilNext() time.Duration {
	wait := d.Poll
	if d.failing || d.working == d.Lanes { // the next lane that ends wakes us
		return wait
	}
	for _, l := range d.known {
		if !l.working {
			wait = min(wait, time.Until(l.nextTurn()))
		}
	}
	return max(wait, time.Millisecond)
}
