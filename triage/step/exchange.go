// The HTTP exchange of captures and policies: which client asks, what is read,
// and what a failure means.

package step

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"triagebot/triage/playbook"
	"triagebot/triage/safetext"
)

// maxRedirects is how many redirects within its host a capture follows.
const maxRedirects = 5

// exchange is how a GET is made.
type exchange struct {
	deps    Deps
	timeout time.Duration
	maxBody int // bytes of the body that are kept
}

// response is what came back.
type response struct {
	request   *http.Request // the last one, after redirects
	proto     string
	status    int
	header    http.Header
	body      []byte // at most the bound
	truncated bool   // there was more
	readErr   error  // the body ended early
	took      time.Duration
	at        time.Time // when it was asked
	refused   string    // where a redirect led that was not followed; "" for none
}

// get sends the request and reads the answer up to the bound.
func (x *exchange) get(ctx context.Context, req *http.Request) (*response, error) {
	asked := showURL(req.URL)
	bounded, cancel := context.WithTimeout(ctx, x.timeout)
	defer cancel()
	got := &response{request: req, at: x.deps.Now()}
	client := *x.deps.client(req.URL)
	configured := client.CheckRedirect
	client.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if next.URL.Host != req.URL.Host || next.URL.Scheme != req.URL.Scheme || len(via) > maxRedirects {
			got.refused = showURL(next.URL)
			return http.ErrUseLastResponse
		}
		if configured != nil {
			if err := configured(next, via); err != nil {
				return err
			}
		}
		got.request = next
		return nil
	}
	resp, err := client.Do(req.WithContext(bounded))
	if err != nil {
		return nil, x.failure(ctx, asked, err)
	}
	defer resp.Body.Close()
	got.body, got.readErr = io.ReadAll(io.LimitReader(resp.Body, int64(x.maxBody)+1))
	if ctx.Err() != nil {
		return nil, x.failure(ctx, asked, ctx.Err())
	}
	got.took = x.deps.Now().Sub(got.at)
	if len(got.body) > x.maxBody {
		got.body, got.truncated = got.body[:x.maxBody], true
	}
	got.proto, got.status, got.header = resp.Proto, resp.StatusCode, resp.Header
	return got, nil
}

// client is the one configured for the service that u belongs to. The longest
// of the base URLs that fit is the nearest.
func (d *Deps) client(u *url.URL) *http.Client {
	client, longest := d.HTTP, -1
	for _, s := range d.Services {
		base, err := url.Parse(s.URL)
		if err != nil || s.Client == nil || base.Scheme != u.Scheme || base.Host != u.Host {
			continue
		}
		path := strings.TrimRight(base.Path, "/")
		rest, below := strings.CutPrefix(u.Path, path)
		if below && (rest == "" || rest[0] == '/') && len(path) > longest {
			client, longest = s.Client, len(path)
		}
	}
	return client
}

// showURL is u as it may be shown: without credentials, and without the values
// of its query, which may hold some.
func showURL(u *url.URL) string {
	shown := (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
	if u.RawQuery != "" {
		shown += "?…"
	}
	return shown
}

// failure says why there is no answer. ctx is the step's own: when that is
// over, the capture was not to blame.
func (x *exchange) failure(ctx context.Context, asked string, err error) error {
	cause := safetext.WithoutURL(err)
	if ctx.Err() != nil {
		return fmt.Errorf("GET %s: %w", asked, ctx.Err())
	}
	var dns *net.DNSError
	var unknownCA x509.UnknownAuthorityError
	var certificate *tls.CertificateVerificationError
	text, next, transient := cause.Error(), "Check that the service runs and that triagebot can reach it.", true
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		text = fmt.Sprintf("no answer within %s", x.timeout)
		next, transient = "Check whether the service hangs; raise the step's own timeout for it if it is slow by nature.", false
	case errors.Is(err, syscall.ECONNREFUSED):
		text = "connection refused: nothing listens there"
		next = "Check that the service runs: a refused connection is itself a sign that it does not."
	case errors.As(err, &dns):
		text = fmt.Sprintf("the name %s cannot be resolved: %s", dns.Name, dns.Err)
		next, transient = "Check the service's URL in the configuration, and DNS.", dns.IsTemporary
	case errors.As(err, &certificate), errors.As(err, &unknownCA):
		next, transient = "Check the service's certificate, and tls_config of its HTTP client in the configuration.", false
	}
	return &playbook.StepError{Err: &captureError{fmt.Sprintf("GET %s: %s", asked, text), cause}, NextStep: next, Transient: transient}
}

// captureError says in words what its cause says in Go's.
type captureError struct {
	text  string
	cause error
}

func (e *captureError) Error() string { return e.text }

func (e *captureError) Unwrap() error { return e.cause }
