// The toggle as an HTTP endpoint.

package maintenance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"triagebot/triage/safetext"
)

// HTTPToggle is the Toggle of a service whose flag an HTTP request sets.
type HTTPToggle struct {
	Method string
	URL    string
	// Client authenticates. It must keep no connections alive, for Go's
	// transport sends a request with an Idempotency-Key a second time when a
	// kept connection breaks; NewHTTPToggle sees to the rest.
	Client          *http.Client
	BodyOn, BodyOff string
	ContentType     string // of the bodies
}

// NewHTTPToggle completes a toggle: its client follows no redirect, for a
// followed one may be another request than the one that was asked for.
func NewHTTPToggle(t HTTPToggle) *HTTPToggle {
	client := *t.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.Client = &client
	return &t
}

// maxAnswer bounds what is read of an answer, and shownAnswer what is told of it.
const (
	maxAnswer   = 64 << 10
	shownAnswer = 200
)

// Switch implements Toggle.
func (t *HTTPToggle) Switch(ctx context.Context, on bool, key string) (string, error) {
	body := t.BodyOff
	if on {
		body = t.BodyOn
	}
	req, err := http.NewRequestWithContext(ctx, t.Method, t.URL, strings.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("%s cannot be called: %w", t, safetext.WithoutURL(err))
	}
	req.GetBody = nil // nothing below sends it a second time
	if body != "" && t.ContentType != "" {
		req.Header.Set("Content-Type", t.ContentType)
	}
	req.Header.Set("Idempotency-Key", key)
	resp, err := t.Client.Do(req)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "", errors.New("it did not answer in time")
	case err != nil:
		return "", safetext.WithoutURL(err)
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // the status is what counts
	answer := fmt.Sprintf("answered %d", resp.StatusCode)
	if text := safetext.Line(string(said), shownAnswer); text != "" {
		answer += ": " + text
	}
	if resp.StatusCode/100 != 2 {
		return "", errors.New(answer)
	}
	return answer, nil
}

// String implements Toggle: the method and the URL without its query.
func (t *HTTPToggle) String() string { return t.Method + " " + shownURL(t.URL) }

// shownURL is a URL as people may see it.
func shownURL(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "its URL"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
