// The client: one bounded exchange with a backend.

package backend

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"triagebot/triage/safetext"
)

// client asks one backend. It is safe for use by many goroutines.
type client struct {
	kind, name string
	base       *url.URL // may hold credentials
	http       *http.Client
	timeout    time.Duration
	maxBytes   int64
}

// address is the base URL as it may be shown: scheme, host and path.
func (c *client) address() string {
	return (&url.URL{Scheme: c.base.Scheme, Host: c.base.Host, Path: c.base.Path}).String()
}

// get asks for a path, which is literal and holds nothing to be escaped.
func (c *client) get(ctx context.Context, path string, params url.Values) ([]byte, error) {
	return c.ask(ctx, http.MethodGet, path, params)
}

// post sends the parameters as a form: a long query fits no URL.
func (c *client) post(ctx context.Context, path string, params url.Values) ([]byte, error) {
	return c.ask(ctx, http.MethodPost, path, params)
}

// ask gives the body of a response with status 200. Of a body over the bound
// it gives the beginning with the error. Errors are *Error.
func (c *client) ask(ctx context.Context, method, path string, params url.Values) ([]byte, error) {
	bounded, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	u := *c.base
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/")+path, ""
	var form io.Reader
	if method == http.MethodPost {
		form = strings.NewReader(params.Encode())
	} else {
		query := u.Query()
		for name, values := range params {
			query[name] = values
		}
		u.RawQuery = query.Encode()
	}
	req, err := http.NewRequestWithContext(bounded, method, u.String(), form)
	if err != nil {
		return nil, c.errorf(ReasonBadQuery, safetext.WithoutURL(err), "cannot be asked: its url makes no request")
	}
	req.Header.Set("Accept", "application/json")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.notReached(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // what it says helps, the status is enough
		return nil, c.refused(resp, body)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.maxBytes+1))
	switch {
	case int64(len(body)) > c.maxBytes:
		return body[:c.maxBytes], c.errorf(ReasonTooLarge, nil, "answered more than %d bytes; give the time of the request or raise max_bytes", c.maxBytes)
	case err != nil:
		return body, c.notReached(ctx, err)
	}
	return body, nil
}

// decode reads a JSON body.
func (c *client) decode(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return c.unreadable(err)
	}
	return nil
}
