// kill -9 at random instants, under load.

package crashtest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"triagebot/cmd/internal/program"
	"triagebot/triage"
	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

const (
	killWithin   = 300 * time.Millisecond // after the start
	postEvery    = 60 * time.Millisecond
	posters      = 4 // Alertmanager notifies of its groups side by side
	killDeadline = 4 * time.Minute
)

func TestKillAtRandomInstants(t *testing.T) {
	kills := 33
	if testing.Short() {
		kills = 5
	}
	storetest.Each(t, func(t *testing.T, where store.Options) {
		ctx, cancel := context.WithTimeout(t.Context(), killDeadline)
		defer cancel()
		random := chance(t)
		// Many channels, for in each the program posts once a second, and after
		// a kill on PostgreSQL nobody posts in those it held until the leases end.
		w := newWorld(t, where, setting{channels: 30})
		address := program.FreeAddress(t)
		l := newLoad(w, address, rand.New(rand.NewPCG(random.Uint64(), 0)))
		loadDone := make(chan struct{})
		go func() {
			defer close(loadDone)
			l.run(ctx)
		}()

		for n := range kills {
			l.allow(1 + n*3/2)
			c := w.start(address)
			l.serving(c)
			c.AwaitReady(ctx)
			life := time.Duration(random.Int64N(int64(killWithin)))
			if n%10 == 9 {
				// Long enough to look for messages of unknown end and to go on.
				life = 3 * time.Second
			}
			select {
			case <-time.After(life):
			case <-c.Ended:
				t.Fatalf("triagebot ended by itself: %v\n%s", c.Err, c.LastWords())
			}
			c.Kill()
		}
		l.end()
		last := w.start(address)
		l.serving(last)
		select {
		case <-loadDone:
		case <-ctx.Done():
			t.Fatalf("the load was not accepted in time\n%s", last.LastWords())
		}
		last.awaitDone(ctx)
		last.Stop()

		w.check(l.expect())
		restarts := l.restarts()
		if len(restarts) == 0 {
			t.Fatal("no process accepted anything")
		}
		longest := restarts[len(restarts)-1]
		t.Logf("%d kills; from the start of the process to its first 2xx: median %s, longest %s (of %d)", kills,
			restarts[len(restarts)/2].Round(time.Millisecond), longest.Round(time.Millisecond), len(restarts))
	})
}

// load is a stream of notifications: new alerts, repeats, resolves and re-fires
// of earlier ones. The notifications of one alert are posted one after another,
// as Alertmanager does, so that the last one says how it is.
type load struct {
	w       *world
	address string
	random  *rand.Rand // of run's goroutine
	ending  chan struct{}

	mu       sync.Mutex
	allowed  int
	subjects []*subject
	accepted int
	child    *child // that serves now
	first    map[*child]time.Duration
}

// subject is one alert of its own group, under way or waiting for its turn.
type subject struct {
	alert triage.Alert
	busy  bool
	turns int
}

func newLoad(w *world, address string, random *rand.Rand) *load {
	return &load{w: w, address: address, random: random, ending: make(chan struct{}), first: map[*child]time.Duration{}}
}

// allow lets there be as many alerts as n.
func (l *load) allow(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.allowed = n
}

// serving says which process it is that accepts from now on.
func (l *load) serving(c *child) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.child = c
}

// end has run return when all it began to post is accepted.
func (l *load) end() { close(l.ending) }

// run posts until end is called or ctx ends.
func (l *load) run(ctx context.Context) {
	var posting sync.WaitGroup
	defer posting.Wait()
	slots := make(chan struct{}, posters)
	every := time.NewTicker(postEvery)
	defer every.Stop()
	for {
		select {
		case <-l.ending:
			return
		case <-ctx.Done():
			return
		case <-every.C:
		}
		select {
		case slots <- struct{}{}:
		default:
			continue // all wait for an answer
		}
		s := l.next()
		if s == nil {
			<-slots
			continue
		}
		data := program.Notification(l.w.t, "http://am.example", triage.Labels{"alertname": s.alert.Name()}, s.alert)
		posting.Go(func() {
			defer func() { <-slots }()
			accepted := post(ctx, data, l.address)
			l.done(s, accepted)
		})
	}
}

// next chooses what to post, nil when nothing is to be.
func (l *load) next() *subject {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.subjects) < l.allowed {
		n := len(l.subjects)
		kind := "Plain"
		if n%4 == 3 {
			kind = "Charted"
		}
		s := &subject{alert: firing(fmt.Sprintf("%s%d", kind, n), triage.Labels{"channel": l.w.channels[n%len(l.w.channels)], "severity": "warning"})}
		l.subjects = append(l.subjects, s)
		s.busy = true
		return s
	}
	if len(l.subjects) == 0 {
		return nil
	}
	n := l.random.IntN(len(l.subjects))
	s := l.subjects[n]
	if s.busy {
		return nil
	}
	s.busy = true
	s.turns++
	switch {
	case n%3 == 0 && s.turns == 2:
		s.alert = resolved(s.alert)
	case n%9 == 0 && s.turns == 4:
		s.alert = firing(s.alert.Name(), s.alert.Labels)
	}
	return s
}

func (l *load) done(s *subject, accepted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.busy = false
	if !accepted {
		return
	}
	l.accepted++
	if _, known := l.first[l.child]; known {
		return
	}
	select {
	case <-l.child.Ready:
		l.first[l.child] = time.Since(l.child.Started)
	default: // its predecessor accepted this just before the kill
	}
}

func (l *load) expect() expectation {
	l.mu.Lock()
	defer l.mu.Unlock()
	want := expectation{accepted: l.accepted, states: map[string]triage.IncidentState{}}
	for _, s := range l.subjects {
		want.states[s.alert.Name()] = triage.IncidentState(s.alert.Status)
	}
	return want
}

// restarts is how long after its start each process first accepted something,
// of those that did, the quickest first.
func (l *load) restarts() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Values(l.first))
}
