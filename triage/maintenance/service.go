// The service: what it is told, and what it needs of the world.

package maintenance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"triagebot/triage"
	"triagebot/triage/store"
)

// Toggle switches the maintenance flag.
type Toggle interface {
	// Switch calls for the flag to be on or off, once, and says what was
	// answered. Two calls with the same key are one. An error may mean that
	// nothing is known of the call's end. It holds no secret.
	Switch(ctx context.Context, on bool, key string) (answer string, err error)
	// String is what is called, as people are shown it, without a secret.
	String() string
}

// Metric tells whether maintenance is on.
type Metric interface {
	// On is what the metric says. An error means that it says neither, or that
	// it cannot be asked; then nothing is known.
	On(ctx context.Context) (bool, error)
	// String names the metric, as people are shown it.
	String() string
}

// Ready tells whether the service can go without maintenance.
type Ready interface {
	// Ready is nil when it can. An error says what stands against it, or why
	// that could not be told.
	Ready(ctx context.Context) error
	// String is what is asked, as people are shown it, without a secret.
	String() string
}

// OnFailure is what follows when the flag could not be turned on.
type OnFailure string

// The ways to go on.
const (
	Retry    OnFailure = "retry"    // call again, up to Options.Attempts times in all
	Rollback OnFailure = "rollback" // call the opposite
)

// Options make a Service. Those of the first group are required; defaults stand
// in New.
type Options struct {
	Store       *store.DB
	Service     string // whose maintenance it is, by the name that people know
	Destination triage.Destination
	Toggle      Toggle
	Metric      Metric
	Ready       Ready

	Mention      string // who is pinged when something is loud; see triage.EscalationPost
	SecondPerson bool   // somebody else than who asks must confirm, where it is sure who that is: not by ctl
	OnFailure    OnFailure
	Attempts     int           // calls of the toggle in all, before it is given up
	CallTimeout  time.Duration // of one call
	VerifyWithin time.Duration // from a call's end until the metric must have followed
	DefaultFor   time.Duration // a window's length where nobody says one
	MaxFor       time.Duration // its greatest length, extensions included
	ConfirmIn    time.Duration // until a request that nobody confirms lapses
	RemindBefore time.Duration
	OverdueEvery time.Duration // how often what is overdue, or nobody's, is said again
	WatchEvery   time.Duration // how often the metric is looked at
	Keep         time.Duration // how long the database keeps what is over; 0 is for good

	Redact     triage.Redact // of what people write
	Now        func() time.Time
	Log        logrus.FieldLogger
	Registerer prometheus.Registerer // nil: metrics are not registered
}

// Defaults of Options.
const (
	DefaultAttempts     = 2
	DefaultCallTimeout  = 10 * time.Second
	DefaultVerifyWithin = time.Minute
	DefaultFor          = 30 * time.Minute
	DefaultMaxFor       = 4 * time.Hour
	DefaultConfirmIn    = 10 * time.Minute
	DefaultRemindBefore = 5 * time.Minute
	DefaultOverdueEvery = 15 * time.Minute
	DefaultWatchEvery   = 15 * time.Second
)

// Service is the guarded maintenance of one service. It is safe for use by many
// goroutines, and by many replicas on one database.
type Service struct {
	Options
	metrics *metrics

	mu      sync.Mutex
	reading reading
}

// New makes a Service.
func New(opts Options) (*Service, error) {
	if opts.Store == nil || opts.Service == "" || opts.Destination.Notifier == "" || opts.Toggle == nil || opts.Metric == nil || opts.Ready == nil {
		return nil, errors.New("maintenance: a store, a service, a destination, a toggle, a metric and a readiness check are needed")
	}
	opts.OnFailure = cmp.Or(opts.OnFailure, Retry)
	opts.Attempts = cmp.Or(opts.Attempts, DefaultAttempts)
	opts.CallTimeout = cmp.Or(opts.CallTimeout, DefaultCallTimeout)
	opts.VerifyWithin = cmp.Or(opts.VerifyWithin, DefaultVerifyWithin)
	opts.DefaultFor = cmp.Or(opts.DefaultFor, DefaultFor)
	opts.MaxFor = cmp.Or(opts.MaxFor, DefaultMaxFor)
	opts.ConfirmIn = cmp.Or(opts.ConfirmIn, DefaultConfirmIn)
	opts.RemindBefore = cmp.Or(opts.RemindBefore, DefaultRemindBefore)
	opts.OverdueEvery = cmp.Or(opts.OverdueEvery, DefaultOverdueEvery)
	opts.WatchEvery = cmp.Or(opts.WatchEvery, DefaultWatchEvery)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		silent := logrus.New()
		silent.SetLevel(logrus.PanicLevel)
		opts.Log = silent
	}
	m, err := newMetrics(opts.Registerer)
	if err != nil {
		return nil, fmt.Errorf("maintenance: its metrics: %w", err)
	}
	return &Service{Options: opts, metrics: m}, nil
}

// reading is what the metric said when it was last looked at.
type reading struct {
	at   time.Time // zero before the first look
	on   bool
	err  error // why nothing is known
	vain int   // looks in a row that told nothing
}

// lookTimeout bounds one look at the metric or at the readiness.
const lookTimeout = 10 * time.Second

// look asks the metric, and remembers for Status what it said.
func (s *Service) look(ctx context.Context) (on bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	on, err = s.Metric.On(ctx)
	s.metrics.looked(on, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading.at, s.reading.on, s.reading.err = s.Now(), on, err
	if s.reading.vain++; err == nil {
		s.reading.vain = 0
	}
	return on, err
}

func (s *Service) lastReading() reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reading
}
