// Package slack shows incidents in Slack: one parent message per incident,
// edited in place, with findings, notes and files in its thread. It renders
// posts as Block Kit, sends them with a nonce in their metadata, and finds
// them again by it. It never sends twice by itself: what may have been shown
// is reported as ambiguous, and the outbox looks before it sends again.
package slack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/slack-go/slack"

	"triagebot/notifiers"
)

// maxResponse bounds an answer of Slack, in bytes; a page of 200 messages with
// blocks is well below.
const maxResponse = 16 << 20

// defaultTimeout is that of one call.
const defaultTimeout = 10 * time.Second

// Options are what a Notifier is made from. Token and Open are required.
type Options struct {
	// Token is the bot token. It needs the scopes chat:write, files:write,
	// files:read, channels:read and channels:history (groups:* for private
	// channels).
	Token string
	// APIURL is Slack's Web API, ending in "/"; Slack's own by default. Only
	// the local channel and tests set it.
	APIURL string
	// HTTPClient is used for all calls; one with a timeout of 10 s by default.
	HTTPClient *http.Client
	// FallbackChannel gets the parents of channels that are missing, archived
	// or without the bot; "" for none.
	FallbackChannel string
	// Open opens an artifact of an incident's bundle, and tells its size in
	// bytes. fs.ErrNotExist says that it will never be there.
	Open func(ctx context.Context, incidentID int64, name string) (io.ReadCloser, int64, error)
	// Log defaults to logrus's standard logger.
	Log logrus.FieldLogger
	// Registerer takes the notifier's metrics; nil keeps them to itself.
	Registerer prometheus.Registerer
	// Now is by what clock a group's members and people's names are remembered;
	// time.Now when nil.
	Now func() time.Time
}

// Notifier shows incidents in one Slack workspace. It is safe for concurrent
// use and has nothing to close.
type Notifier struct {
	client   *slack.Client
	fallback string
	open     func(ctx context.Context, incidentID int64, name string) (io.ReadCloser, int64, error)
	reads    *reads // by open
	now      func() time.Time
	log      logrus.FieldLogger
	metrics  *metrics
	channels channelIDs
	places   places
	groups   groupPause
	names    names

	mu       sync.Mutex
	botID    string   // own, once auth.test has told it
	teamID   string   // of the workspace, likewise
	rejected bool     // Slack refused the token in the latest answer
	lacking  []string // scopes that Slack says the token lacks
}

var _ notifiers.Notifier = (*Notifier)(nil)

// New makes a notifier. It calls nobody: Check does.
func New(o Options) (*Notifier, error) {
	if o.Token == "" {
		return nil, errors.New("slack: no bot token; set the option that names its file")
	}
	if o.Open == nil {
		return nil, errors.New("slack: Options.Open is required to upload artifacts")
	}
	if o.APIURL == "" {
		o.APIURL = slack.APIURL
	}
	u, err := url.Parse(o.APIURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || !strings.HasSuffix(o.APIURL, "/") {
		return nil, fmt.Errorf("slack: API URL %q must be http(s)://…/ with the slash at its end", o.APIURL)
	}
	if o.Log == nil {
		o.Log = logrus.StandardLogger()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("slack: %w", err)
	}
	return &Notifier{
		now:      o.Now,
		client:   slack.New(o.Token, slack.OptionAPIURL(o.APIURL), slack.OptionHTTPClient(httpClient(o.HTTPClient))),
		fallback: strings.TrimPrefix(o.FallbackChannel, "#"),
		open:     o.Open,
		reads:    newReads(),
		log:      o.Log.WithField("notifier", "slack"),
		metrics:  m,
	}, nil
}

// httpClient makes sure that a client has a timeout, reads no endless answer
// and does not carry the token to where a redirect points.
func httpClient(given *http.Client) *http.Client {
	c := http.Client{Timeout: defaultTimeout}
	if given != nil {
		c = *given
		if c.Timeout == 0 {
			c.Timeout = defaultTimeout
		}
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	next := c.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	c.Transport = boundedTransport{next}
	return &c
}

// boundedTransport cuts answers off after maxResponse bytes.
type boundedTransport struct{ next http.RoundTripper }

func (t boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxResponse), resp.Body}
	}
	return resp, err
}

// Check asks Slack whether the token is good, for readiness. The error says
// what to do.
func (n *Notifier) Check(ctx context.Context) error {
	_, err := n.identify(ctx)
	return err
}

// identify calls auth.test and keeps the bot's ID.
func (n *Notifier) identify(ctx context.Context) (botID string, err error) {
	const method = "auth.test"
	who, err := n.client.AuthTestContext(ctx)
	if err != nil {
		return "", n.failed(method, looking, err)
	}
	if who.BotID == "" {
		return "", n.failed(method, looking, errors.New("no bot_id in the answer; the token must be a bot token (xoxb-…)"))
	}
	n.succeeded(method)
	n.heardScopes(who.Header)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.botID, n.teamID = who.BotID, who.TeamID
	return who.BotID, nil
}

// self is the bot's own ID.
func (n *Notifier) self(ctx context.Context) (string, error) {
	n.mu.Lock()
	id := n.botID
	n.mu.Unlock()
	if id != "" {
		return id, nil
	}
	return n.identify(ctx)
}
