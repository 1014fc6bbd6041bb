// Package alertsender stands in for Alertmanager in the demo: it takes the
// alerts that Prometheus's rule manager sends, groups them, and posts the
// groups to a webhook in Alertmanager's exact shape and with its waits,
// repeats and retries. A test against the real Alertmanager (build tag e2e)
// holds it to that.
package alertsender

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/notifier"
	"github.com/sirupsen/logrus"

	"triagebot/triage/safetext"
)

// Alertmanager's defaults.
const (
	DefaultGroupWait      = 30 * time.Second
	DefaultGroupInterval  = 5 * time.Minute
	DefaultRepeatInterval = 4 * time.Hour
)

// Bounds: what goes beyond is dropped with a warning, and Prometheus sends it
// again.
const (
	maxQueued = 256
	maxAlerts = 5_000
)

// Options are how a Sender is made.
type Options struct {
	URL            string // of the webhook
	BearerToken    string // sent as Authorization, "" for none
	Receiver       string // default "triagebot"
	ExternalURL    string // what the payload says Alertmanager's address is
	GroupBy        []string
	GroupWait      time.Duration // 0 means Alertmanager's default, as for the two below
	GroupInterval  time.Duration
	RepeatInterval time.Duration
	Transport      http.RoundTripper // default is an own one
	Log            logrus.FieldLogger
}

// Sender is a dispatcher with one receiver. Call Run once; Send may be called
// at any time.
type Sender struct {
	opts     Options
	client   *http.Client
	template *template.Template
	inbox    chan []*alert.Alert

	mu     sync.Mutex
	groups map[model.Fingerprint]*group
	alerts int // in all groups
}

// New checks the options and makes a Sender.
func New(opts Options) (*Sender, error) {
	if _, err := url.ParseRequestURI(opts.URL); err != nil {
		return nil, fmt.Errorf("alert sender: webhook URL: %w", safetext.WithoutURL(err))
	}
	opts.Receiver = cmp.Or(opts.Receiver, "triagebot")
	opts.GroupWait = cmp.Or(opts.GroupWait, DefaultGroupWait)
	opts.GroupInterval = cmp.Or(opts.GroupInterval, DefaultGroupInterval)
	opts.RepeatInterval = cmp.Or(opts.RepeatInterval, DefaultRepeatInterval)
	if len(opts.GroupBy) == 0 {
		opts.GroupBy = []string{model.AlertNameLabel}
	}
	if opts.Log == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		opts.Log = silent
	}
	if opts.Transport == nil {
		opts.Transport = &http.Transport{MaxIdleConnsPerHost: 8}
	}
	tmpl, err := template.New()
	if err != nil {
		return nil, fmt.Errorf("alert sender: %w", err)
	}
	if tmpl.ExternalURL, err = url.Parse(opts.ExternalURL); err != nil {
		return nil, fmt.Errorf("alert sender: external URL: %w", err)
	}
	return &Sender{
		opts:     opts,
		client:   &http.Client{Transport: opts.Transport},
		template: tmpl,
		inbox:    make(chan []*alert.Alert, maxQueued),
		groups:   map[model.Fingerprint]*group{},
	}, nil
}

// Send takes alerts as Prometheus sends them. It never blocks.
func (s *Sender) Send(alerts ...*notifier.Alert) {
	now := time.Now()
	batch := make([]*alert.Alert, 0, len(alerts))
	for _, a := range alerts {
		batch = append(batch, &alert.Alert{
			Alert: model.Alert{
				Labels: labelSet(a.Labels), Annotations: labelSet(a.Annotations),
				StartsAt: a.StartsAt, EndsAt: a.EndsAt, GeneratorURL: a.GeneratorURL,
			},
			UpdatedAt: now,
		})
	}
	select {
	case s.inbox <- batch:
	default:
		s.opts.Log.WithField("alerts", len(batch)).Warn("alert sender: queue full; alerts dropped until they are sent again")
	}
}

// Run groups and posts until ctx is done.
func (s *Sender) Run(ctx context.Context) error {
	var groups sync.WaitGroup
	defer groups.Wait()
	defer s.client.CloseIdleConnections()
	for {
		select {
		case <-ctx.Done():
			return nil
		case batch := <-s.inbox:
			for _, a := range batch {
				if g := s.insert(a); g != nil {
					groups.Go(func() { g.run(ctx) })
				}
			}
		}
	}
}

// insert puts an alert in its group. It returns the group when it is new.
func (s *Sender) insert(a *alert.Alert) (started *group) {
	by := model.LabelSet{}
	for _, name := range s.opts.GroupBy {
		if v, ok := a.Labels[model.LabelName(name)]; ok {
			by[model.LabelName(name)] = v
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[by.Fingerprint()]
	fp := a.Fingerprint()
	if g == nil || g.alerts[fp] == nil {
		if s.alerts >= maxAlerts {
			s.opts.Log.WithField("alertname", a.Name()).Warn("alert sender: too many alerts; one was dropped until it is sent again")
			return nil
		}
		s.alerts++
	}
	if g == nil {
		g = newGroup(s, by)
		s.groups[by.Fingerprint()] = g
		started = g
	}
	if old := g.alerts[fp]; old != nil && overlap(old, a) {
		a = old.Merge(a)
	}
	g.alerts[fp] = a
	if !g.flushed && a.StartsAt.Add(s.opts.GroupWait).Before(time.Now()) {
		g.hurry()
	}
	return started
}

// overlap says whether two alerts of one fingerprint are the same firing, as
// Alertmanager decides it.
func overlap(old, a *alert.Alert) bool {
	return a.EndsAt.After(old.StartsAt) && a.EndsAt.Before(old.EndsAt) ||
		a.StartsAt.After(old.StartsAt) && a.StartsAt.Before(old.EndsAt)
}

func labelSet(ls labels.Labels) model.LabelSet {
	set := make(model.LabelSet, ls.Len())
	ls.Range(func(l labels.Label) { set[model.LabelName(l.Name)] = model.LabelValue(l.Value) })
	return set
}

// snapshot copies the group's alerts as a notification shows them: sorted, and
// without an end while they fire.
func (g *group) snapshot(now time.Time) []*alert.Alert {
	g.sender.mu.Lock()
	defer g.sender.mu.Unlock()
	out := make(alert.AlertSlice, 0, len(g.alerts))
	for _, a := range g.alerts {
		shown := *a
		if !shown.ResolvedAt(now) {
			shown.EndsAt = time.Time{}
		}
		out = append(out, &shown)
	}
	slices.SortStableFunc(out, func(a, b *alert.Alert) int {
		pair := alert.AlertSlice{a, b}
		switch {
		case pair.Less(0, 1):
			return -1
		case pair.Less(1, 0):
			return 1
		default:
			return 0
		}
	})
	return out
}

// forget removes the alerts that were notified as resolved and have not fired
// since, and says whether the group is now empty and removed.
func (g *group) forget(notified []*alert.Alert) (ended bool) {
	s := g.sender
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range notified {
		fp := a.Fingerprint()
		if now := g.alerts[fp]; a.Resolved() && now != nil && now.Resolved() && now.UpdatedAt.Equal(a.UpdatedAt) {
			delete(g.alerts, fp)
			s.alerts--
		}
	}
	if len(g.alerts) > 0 {
		return false
	}
	delete(s.groups, g.labels.Fingerprint())
	return true
}
