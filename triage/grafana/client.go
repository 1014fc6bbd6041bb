// Package grafana asks a Grafana for what people and deploys noted on its time
// line.
package grafana

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Defaults and bounds.
const (
	DefaultTimeout = 10 * time.Second
	maxBody        = 8 << 20 // bytes of an answer
	maxErrorText   = 300     // bytes of what Grafana says when it refuses
	// MaxAnnotations are asked for at once.
	MaxAnnotations = 500
)

// Options configure a Client.
type Options struct {
	// URL is Grafana's base URL, with its path prefix where it has one. What
	// credentials it holds are never shown.
	URL string
	// HTTP sends the requests: the service account's token, TLS and proxy are
	// its own.
	HTTP *http.Client
	// Timeout bounds one request; 0 means DefaultTimeout.
	Timeout time.Duration
}

// Client asks one Grafana. It is safe for use by many goroutines.
type Client struct {
	base    *url.URL
	http    *http.Client
	timeout time.Duration
}

// New makes a client. It sends nothing.
func New(o Options) (*Client, error) {
	base, err := url.Parse(o.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, errors.New("grafana: its url cannot be read; write it like https://grafana.example.org")
	}
	if o.HTTP == nil {
		return nil, errors.New("grafana: it has no HTTP client")
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	return &Client{base: base, http: o.HTTP, timeout: o.Timeout}, nil
}

// Annotation is one note on the time line.
type Annotation struct {
	Time time.Time // when it begins
	Text string    // as it was written, which may be HTML
	Tags []string
	Who  string // the login that wrote it; "" where Grafana does not say
}

// Annotations are those that begin from one instant to another, both included,
// and have any of the tags; without tags, all. They come by time, at most
// MaxAnnotations; more says that there are others. Those that Grafana makes of
// its own alerts are left out. Errors hold no credentials.
//
// Held to https://grafana.com/docs/grafana/latest/developers/http_api/annotations/
// ("Find Annotations"). Not run against a real server.
func (c *Client) Annotations(ctx context.Context, from, to time.Time, tags []string) (all []Annotation, more bool, err error) {
	params := url.Values{
		"from":  {strconv.FormatInt(from.UnixMilli(), 10)},
		"to":    {strconv.FormatInt(to.UnixMilli(), 10)},
		"type":  {"annotation"},
		"limit": {strconv.Itoa(MaxAnnotations)},
	}
	if len(tags) > 0 {
		params["tags"], params["matchAny"] = tags, []string{"true"}
	}
	body, err := c.get(ctx, "/api/annotations", params)
	if err != nil {
		return nil, false, err
	}
	var answer []struct {
		Time  int64    `json:"time"` // ms
		Text  string   `json:"text"`
		Tags  []string `json:"tags"`
		Login string   `json:"login"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, false, c.errorf("answered what is no list of annotations; check its url (%v)", clean(err.Error()))
	}
	for _, a := range answer {
		// A region that only ends in the window is answered too.
		if at := time.UnixMilli(a.Time).UTC(); !at.Before(from.Truncate(time.Millisecond)) && !at.After(to) {
			all = append(all, Annotation{Time: at, Text: a.Text, Tags: a.Tags, Who: a.Login})
		}
	}
	slices.SortStableFunc(all, func(a, b Annotation) int { return a.Time.Compare(b.Time) })
	return all, len(answer) >= MaxAnnotations, nil
}

// get gives the body of an answer with status 200.
func (c *Client) get(ctx context.Context, path string, params url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	u := *c.base
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/")+path, ""
	u.RawQuery = params.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, c.errorf("cannot be asked: its url makes no request")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "triagebot")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.notReached(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorText)) // what it says helps, the status is enough
		switch resp.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			return nil, c.errorf("denied access (status %d); check the token under grafana.http_config, which needs annotations:read", resp.StatusCode)
		default:
			return nil, c.errorf("answered with status %d: %s", resp.StatusCode, clean(string(text)))
		}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, c.notReached(err)
	case len(body) > maxBody:
		return nil, c.errorf("answered more than %d bytes; narrow the tags", maxBody)
	}
	return body, nil
}

// notReached is the error of a request without an answer, without its URL, which
// may hold credentials.
func (c *Client) notReached(err error) error {
	var wrapped *url.Error
	for errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("grafana (%s) did not answer within %s: %w", c.address(), c.timeout, err)
	}
	return fmt.Errorf("grafana (%s) was not reached: %w", c.address(), err)
}

func (c *Client) errorf(format string, args ...any) error {
	return fmt.Errorf("grafana (%s) "+format, append([]any{c.address()}, args...)...)
}

// address is the base URL as it may be shown.
func (c *Client) address() string {
	return (&url.URL{Scheme: c.base.Scheme, Host: c.base.Host, Path: c.base.Path}).String()
}

// clean makes remote text one bounded line of valid UTF-8.
func clean(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxErrorText)], "\uFFFD")
	return strings.Join(strings.Fields(s), " ")
}
