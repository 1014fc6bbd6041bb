// The notifier: its options, the request, and what an answer means.

package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/config"

	"triagebot/notifiers"
	"triagebot/triage"
	"triagebot/triage/safetext"
)

// DefaultTimeout bounds one request, answer included.
const DefaultTimeout = 10 * time.Second

// Options configure a Notifier.
type Options struct {
	// Name is the notifier's name in the configuration, in errors and metrics.
	Name string
	// URL is where to post; exactly one of it and URLFile is set. It may hold
	// a secret and is never shown. The file is read for every request, so that
	// it can be changed while triagebot runs.
	URL     string
	URLFile string
	// HTTPClient is authentication, TLS and proxy. Its zero value follows no
	// redirects; config.DefaultHTTPClientConfig does.
	HTTPClient config.HTTPClientConfig
	Timeout    time.Duration // 0 means DefaultTimeout
}

// Notifier posts messages to one endpoint. It is safe for use by many goroutines.
type Notifier struct {
	name    string
	url     func() (*url.URL, error)
	client  *http.Client
	timeout time.Duration
	now     func() time.Time // for a Retry-After that is a date
}

var _ notifiers.Notifier = (*Notifier)(nil)

// New makes a notifier. It sends nothing.
func New(o Options) (*Notifier, error) {
	n := &Notifier{name: o.Name, timeout: o.Timeout, now: time.Now}
	if n.timeout <= 0 {
		n.timeout = DefaultTimeout
	}
	switch {
	case (o.URL == "") == (o.URLFile == ""):
		return nil, fmt.Errorf("webhook %s: set one of url and url_file", o.Name)
	case o.URLFile != "":
		n.url = func() (*url.URL, error) { return readURL(o.URLFile) }
	default:
		target, err := parseURL(o.URL)
		if err != nil {
			return nil, fmt.Errorf("webhook %s: %w", o.Name, err)
		}
		n.url = func() (*url.URL, error) { return target, nil }
	}
	if err := o.HTTPClient.Validate(); err != nil {
		return nil, fmt.Errorf("webhook %s: its HTTP client: %w", o.Name, err)
	}
	client, err := config.NewClientFromConfig(o.HTTPClient, o.Name, config.WithUserAgent("triagebot"))
	if err != nil {
		return nil, fmt.Errorf("webhook %s: its HTTP client: %w", o.Name, err)
	}
	if o.HTTPClient.FollowRedirects {
		client.CheckRedirect = keepPost
	}
	n.client = client
	return n, nil
}

// errRedirect is final: what was asked for cannot be delivered there.
var errRedirect = errors.New("it redirects in a way that loses the message; configure the URL that it redirects to")

// keepPost refuses the redirects on which Go turns a POST into a GET, whose
// 200 would be taken for a delivery.
func keepPost(req *http.Request, via []*http.Request) error {
	const most = 5
	if req.Method != http.MethodPost || len(via) > most {
		return errRedirect
	}
	return nil
}

func readURL(file string) (*url.URL, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read url_file: %w", err)
	}
	return parseURL(strings.TrimSpace(string(text)))
}

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, errors.New("its URL is not http:// or https:// with a host; write it like https://example.com/hook")
	}
	return u, nil
}

// Send posts the delivery. A request of unknown end is Transient, for it may
// be made again: the receiver knows it by its Idempotency-Key.
func (n *Notifier) Send(ctx context.Context, d *triage.Delivery, _ func(progress string) error) (notifiers.Receipt, error) {
	body, err := encode(d)
	if err != nil {
		return notifiers.Receipt{}, n.failed(notifiers.Permanent, err)
	}
	target, err := n.url()
	if err != nil {
		return notifiers.Receipt{}, n.failed(notifiers.Transient, err) // the file may be in the middle of a change
	}
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return notifiers.Receipt{}, n.failed(notifiers.Permanent, safetext.WithoutURL(err))
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", idempotencyKey(d))
	resp, err := n.client.Do(req)
	if errors.Is(err, errRedirect) {
		return notifiers.Receipt{}, n.failed(notifiers.Permanent, errRedirect)
	}
	if err != nil {
		return notifiers.Receipt{}, n.failed(notifiers.Transient, safetext.WithoutURL(err))
	}
	defer resp.Body.Close()
	if err := n.check(resp); err != nil {
		return notifiers.Receipt{}, err
	}
	return notifiers.Receipt{Remote: triage.RemoteRef{Channel: d.Channel, ID: d.Nonce}}, nil
}

// Find never finds: a receiver cannot be asked, and need not be.
func (n *Notifier) Find(context.Context, *triage.Delivery) (notifiers.Receipt, bool, error) {
	return notifiers.Receipt{}, false, nil
}

// check classes an answer, as Alertmanager does with a 429 that is retried.
func (n *Notifier) check(resp *http.Response) error {
	// Read to the end, within reason, so that the connection can be used again.
	const shown, read = 300, 64 << 10
	text, _ := io.ReadAll(io.LimitReader(resp.Body, read)) // the status is what counts
	if resp.StatusCode/100 == 2 {
		return nil
	}
	err := fmt.Errorf("answered %d", resp.StatusCode)
	if said := cutText(strings.ToValidUTF8(strings.TrimSpace(string(text)), "�"), shown); said != "" {
		err = fmt.Errorf("%w: %q", err, said)
	}
	failed := n.failed(notifiers.Permanent, err)
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		failed.Reason, failed.After = notifiers.RateLimited, n.retryAfter(resp)
	case resp.StatusCode/100 == 5:
		failed.Reason = notifiers.Transient
	}
	return failed
}

// retryAfter reads the header in either of its forms; 0 where it has none.
func (n *Notifier) retryAfter(resp *http.Response) time.Duration {
	const most = 24 * 60 * 60
	value := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return time.Duration(min(seconds, most)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(n.now()))
	}
	return 0
}

func (n *Notifier) failed(reason notifiers.Reason, err error) *notifiers.Error {
	return &notifiers.Error{Reason: reason, Err: fmt.Errorf("webhook %s: %w", n.name, err)}
}
