package inbound

// What it is made of, and its life.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	slackapi "github.com/slack-go/slack"
	"golang.org/x/time/rate"

	"triagebot/notifiers/slack"
	"triagebot/triage"
)

// Workspace is the Slack that people are in. *slack.Notifier is one.
type Workspace interface {
	// Team is the id of the workspace that the app is installed in.
	Team(ctx context.Context) (string, error)
	// Name is what people call a member of the workspace.
	Name(ctx context.Context, user string) (string, error)
	// Whisper shows a message to one person only.
	Whisper(ctx context.Context, w slack.Whisper) error
	// OpenDialog opens a dialog for whoever made the click of the trigger.
	OpenDialog(ctx context.Context, trigger string, view slackapi.ModalViewRequest) error
}

// Options are what an Inbound is made of. Do, Workspace and one of
// SigningSecret and AppToken are required.
type Options struct {
	// Do carries a request out, and checks again who may. It is called from
	// Workers goroutines at once. Its context ends after DoTimeout.
	Do        func(ctx context.Context, r triage.Request) triage.Reply
	Workspace Workspace
	// Refused is told of requests that are refused before Do, for the audit log;
	// nil where nobody keeps one.
	Refused func(ctx context.Context, r triage.Request, reply triage.Reply)
	// SigningSecret is what Slack signs its HTTP requests with; "" takes none.
	SigningSecret string
	// AppToken (xapp-…) opens Socket Mode; "" opens none.
	AppToken string
	// APIURL is Slack's Web API, ending in "/"; Slack's own by default.
	APIURL string
	// HTTPClient is used for answers and to open Socket Mode; one with a timeout
	// of 5 s by default. It follows no redirects.
	HTTPClient *http.Client
	// Workers are how many requests are carried out at once. 8 when 0.
	Workers int
	// Queue is how many requests may wait for a worker; whoever comes then is
	// told to try again. 64 when 0.
	Queue int
	// AnswerWithin is how long Slack is kept waiting for the reply to a command
	// that came by HTTP; after that the reply follows by itself. 50 ms when 0.
	AnswerWithin time.Duration
	// Patience is after how long a person is told that the reply follows, and how
	// long a dialog stays open for what may be wrong with it. 1 s when 0; Slack
	// gives up on a dialog after 3 s.
	Patience time.Duration
	// DoTimeout bounds one request. 30 s when 0.
	DoTimeout time.Duration
	// PingTimeout is how long Socket Mode may be silent. 30 s when 0, at which
	// Slack takes a connection for dead as well.
	PingTimeout time.Duration
	Log         logrus.FieldLogger    // nil: logrus's standard logger
	Registerer  prometheus.Registerer // nil: metrics are kept to itself
	Now         func() time.Time      // nil: time.Now
}

const (
	stopGrace    = 5 * time.Second // for requests under way at the end
	maxCourtesy  = 32              // short answers that wait to be sent
	rememberFor  = 15 * time.Minute
	rememberMost = 20_000
)

// Inbound takes requests in. Its goroutines live within Run.
type Inbound struct {
	opts    Options
	log     logrus.FieldLogger
	metrics metrics
	client  *http.Client // of answers
	seen    *seen
	// Whoever knocks without a signature could fill the log.
	sayRefused rate.Sometimes

	jobs      chan *job
	courtesy  chan *job // told to try again, by a worker of their own
	mu        sync.Mutex
	stopped   bool
	socketBad string // why Socket Mode does not work; "" while it does
}

// New makes an Inbound; nothing is carried out until Run runs.
func New(o Options) (*Inbound, error) {
	switch {
	case o.Do == nil || o.Workspace == nil:
		return nil, errors.New("slack inbound: Options.Do and Options.Workspace are required")
	case o.SigningSecret == "" && o.AppToken == "":
		return nil, errors.New("slack inbound: neither signing secret nor app token; without either nobody could tell who is asking")
	}
	setDefault(&o.Workers, 8)
	setDefault(&o.Queue, 64)
	setDefault(&o.AnswerWithin, 50*time.Millisecond)
	setDefault(&o.Patience, time.Second)
	setDefault(&o.DoTimeout, 30*time.Second)
	setDefault(&o.PingTimeout, 30*time.Second)
	setDefault(&o.APIURL, slackapi.APIURL)
	if u, err := url.Parse(o.APIURL); err != nil || u.Host == "" || !strings.HasSuffix(o.APIURL, "/") {
		return nil, fmt.Errorf("slack inbound: API URL %q must be http(s)://…/ with the slash at its end", o.APIURL)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = logrus.StandardLogger()
	}
	m, err := newMetrics(o.Registerer, o.AppToken != "")
	if err != nil {
		return nil, fmt.Errorf("slack inbound: %w", err)
	}
	return &Inbound{
		opts:       o,
		log:        o.Log.WithField("part", "slack inbound"),
		metrics:    m,
		client:     answerClient(o.HTTPClient),
		seen:       newSeen(rememberMost, rememberFor),
		sayRefused: rate.Sometimes{First: 10, Interval: time.Second},
		jobs:       make(chan *job, o.Queue),
		courtesy:   make(chan *job, maxCourtesy),
	}, nil
}

// Run carries requests out until ctx ends; then those under way may end, and
// whoever still waits is told to ask again. It returns nil. Run is called once.
func (i *Inbound) Run(ctx context.Context) error {
	// A request under way is not cut short by the end of ctx: its change may be
	// being written.
	working, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var parts sync.WaitGroup
	for range i.opts.Workers {
		parts.Go(func() { i.worker(ctx, working) })
	}
	parts.Go(func() { i.courteous(ctx, working) })
	if i.opts.AppToken != "" {
		parts.Go(func() { i.runSocket(ctx) })
	}
	<-ctx.Done()
	i.mu.Lock()
	i.stopped = true
	i.mu.Unlock()
	grace := time.AfterFunc(stopGrace, cut)
	defer grace.Stop()
	parts.Wait()
	for {
		select {
		case j := <-i.jobs:
			i.finish(working, j, replyStopping)
		case j := <-i.courtesy:
			i.answer(working, &j.ask, j.reply)
		default:
			return nil
		}
	}
}

// Warning is why people cannot be heard over Socket Mode; "" while they can, or
// are not to be.
func (i *Inbound) Warning() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.socketBad
}

func setDefault[T comparable](v *T, usual T) {
	var zero T
	if *v == zero {
		*v = usual
	}
}
