// The client: its options, its questions, and one exchange with Prometheus.

package promapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/sirupsen/logrus"
)

// Defaults of Options.
const (
	DefaultMaxConcurrent    = 8
	DefaultTimeout          = 10 * time.Second
	DefaultMaxResponseBytes = 32 << 20
)

// Options configure a Client.
type Options struct {
	// Name is the datasource's name in the configuration, in errors and in metrics.
	Name string
	// URL is Prometheus's base URL, with its path prefix where it has one. It
	// may hold credentials and a query string; neither is ever shown.
	URL string
	// HTTPClient is authentication, TLS and proxy. Its zero value follows no
	// redirects; config.DefaultHTTPClientConfig does.
	HTTPClient config.HTTPClientConfig
	// MaxConcurrent bounds the queries sent and not yet answered; 0 means
	// DefaultMaxConcurrent.
	MaxConcurrent int
	// Timeout bounds one query from when it is sent, so without the wait for
	// its turn; 0 means DefaultTimeout.
	Timeout time.Duration
	// MaxResponseBytes bounds one response body; 0 means DefaultMaxResponseBytes.
	MaxResponseBytes int64
	// Registerer takes the metrics; may be nil. Clients may share one.
	Registerer prometheus.Registerer
	// Log takes a debug line per query; may be nil.
	Log logrus.FieldLogger
}

// Client asks one Prometheus. It is safe for use by many goroutines.
type Client struct {
	name     string
	address  string // safe to show
	http     *http.Client
	api      promv1.API
	timeout  time.Duration
	maxBytes int64
	slots    chan struct{} // holds one token per query under way
	metrics  metrics
	log      logrus.FieldLogger

	values    flightGroup[*Result]
	exemplars flightGroup[[]Exemplar]
	ctx       context.Context // ends with Close; parent of every query
	stop      context.CancelFunc
}

// New makes a client. It sends nothing.
func New(o Options) (*Client, error) {
	address, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("datasource %s: its url cannot be read; write it like http://prometheus:9090", o.Name)
	case address.Scheme != "http" && address.Scheme != "https", address.Host == "":
		return nil, fmt.Errorf("datasource %s: its url is not http:// or https:// with a host; write it like http://prometheus:9090", o.Name)
	}
	if err := o.HTTPClient.Validate(); err != nil {
		return nil, fmt.Errorf("datasource %s: its HTTP client: %w", o.Name, err)
	}
	httpClient, err := config.NewClientFromConfig(o.HTTPClient, o.Name, config.WithUserAgent("triagebot"))
	if err != nil {
		return nil, fmt.Errorf("datasource %s: its HTTP client: %w", o.Name, err)
	}
	maxBytes := o.MaxResponseBytes
	if maxBytes <= 0 {
		maxBytes = DefaultMaxResponseBytes
	}
	httpClient.Transport = &boundedTransport{next: httpClient.Transport, max: maxBytes}
	apiClient, err := api.NewClient(api.Config{Address: o.URL, Client: httpClient})
	if err != nil {
		return nil, fmt.Errorf("datasource %s: %w", o.Name, err)
	}
	c := &Client{
		name:     o.Name,
		address:  safeURL(address),
		http:     httpClient,
		api:      promv1.NewAPI(apiClient),
		timeout:  o.Timeout,
		maxBytes: maxBytes,
		log:      o.Log,
	}
	if c.metrics, err = newMetrics(o.Registerer, o.Name); err != nil {
		return nil, fmt.Errorf("datasource %s: its metrics: %w", o.Name, err)
	}
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	maxConcurrent := o.MaxConcurrent
	if maxConcurrent <= 0 {
		maxConcurrent = DefaultMaxConcurrent
	}
	c.slots = make(chan struct{}, maxConcurrent)
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c, nil
}

// safeURL is u as it may be shown: scheme, host and path.
func safeURL(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// Name is the datasource's name.
func (c *Client) Name() string { return c.name }

// Close ends what is in flight, waits for it, and closes idle connections.
// Queries asked later fail.
func (c *Client) Close() {
	c.stop()
	c.values.close()
	c.exemplars.close()
	c.http.CloseIdleConnections()
}

// Query evaluates expr at one instant, to the millisecond. The result may be
// shared with other callers and must not be changed. Errors are *Error, or
// those of ctx.
func (c *Client) Query(ctx context.Context, expr string, at time.Time) (*Result, error) {
	at = at.Truncate(time.Millisecond)
	key := "instant " + millis(at) + " " + expr
	return shared(ctx, c, &c.values, key, func(ctx context.Context) (*Result, error) {
		value, warnings, _, err := c.api.Query(ctx, expr, at, promv1.WithTimeout(c.serverTimeout()))
		return c.result(value, warnings, err)
	})
}

// QueryRange evaluates expr from one instant to another, both included, every
// step. Prometheus refuses more than 11,000 points per series. The result may
// be shared with other callers and must not be changed. Errors are *Error, or
// those of ctx.
func (c *Client) QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) (*Result, error) {
	r := promv1.Range{Start: from.Truncate(time.Millisecond), End: to.Truncate(time.Millisecond), Step: step}
	key := "range " + millis(r.Start) + " " + millis(r.End) + " " + step.String() + " " + expr
	return shared(ctx, c, &c.values, key, func(ctx context.Context) (*Result, error) {
		value, warnings, _, err := c.api.QueryRange(ctx, expr, r, promv1.WithTimeout(c.serverTimeout()))
		return c.result(value, warnings, err)
	})
}

// serverTimeout is the timeout as Prometheus is told it: in whole seconds,
// because it refuses the fractions that time.Duration formats (1.5s).
func (c *Client) serverTimeout() time.Duration {
	return max(c.timeout.Truncate(time.Second), time.Second)
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

func (c *Client) result(value model.Value, warnings promv1.Warnings, err error) (*Result, error) {
	if err != nil {
		return nil, err
	}
	return newResult(value, warnings)
}

// shared joins the flight of an identical query or starts one.
func shared[R any](ctx context.Context, c *Client, flights *flightGroup[R], key string, ask func(context.Context) (R, error)) (none R, err error) {
	if err := ctx.Err(); err != nil {
		return none, err
	}
	f, fly, ok := flights.join(c.ctx, key)
	switch {
	case !ok:
		return none, c.errorf(ReasonUnavailable, errClosed, "is no longer asked: its configuration was replaced or triagebot stops")
	case fly:
		go func() {
			result, err := exchange(f.ctx, c, ask)
			flights.land(f, result, err)
		}()
	default:
		c.metrics.shared.Inc()
	}
	select {
	case <-f.done:
		return f.result, f.err
	case <-ctx.Done():
		flights.leave(f)
		return none, ctx.Err()
	}
}

// exchange waits for its turn, asks, and accounts for the answer.
func exchange[R any](ctx context.Context, c *Client, ask func(context.Context) (R, error)) (none R, err error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return none, c.classify(ctx.Err())
	}
	c.metrics.inFlight.Inc()
	defer c.metrics.inFlight.Dec()
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()

	started := time.Now()
	result, err := ask(ctx)
	took := time.Since(started)
	label := "ok"
	if err != nil {
		failure := c.classify(err)
		label, err = string(failure.Reason), failure
	}
	c.metrics.duration.WithLabelValues(c.name, label).Observe(took.Seconds())
	if c.log != nil {
		c.log.WithFields(logrus.Fields{"datasource": c.name, "result": label, "took": took}).Debug("query answered")
	}
	return result, err
}

var errClosed = errors.New("client closed")
