// Package grafana asks one Grafana: for dashboards, for panels that it renders,
// and for what people noted on its time line. It changes nothing there.
package grafana

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"triagebot/triage/safetext"
)

// Bounds of what is read, in bytes.
const (
	maxPicture   = 8 << 20
	maxDashboard = 4 << 20
	maxSaid      = 200 // of an error's text
)

// DefaultTimeout is that of one request. A render takes seconds.
const DefaultTimeout = 30 * time.Second

// Options configure a Client.
type Options struct {
	URL       string // base URL, without a trailing slash
	PublicURL string // for links; URL when ""
	Client    *http.Client
	Timeout   time.Duration // of one request; 0 means DefaultTimeout
}

// Client asks one Grafana. It is safe for use by many goroutines.
type Client struct{ Options }

// New makes a client. It sends nothing.
func New(o Options) *Client {
	if o.PublicURL == "" {
		o.PublicURL = o.URL
	}
	if o.Client == nil {
		o.Client = http.DefaultClient
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	return &Client{o}
}

// View is a panel of a dashboard, at some time, with some values.
type View struct {
	UID           string
	Panel         int64
	From, To      time.Time
	Vars          map[string][]string // template variables
	Width, Height int                 // pixels, of what is rendered
	Theme         string              // light or dark
}

// Error is why Grafana gave nothing, and what to do.
type Error struct {
	Text      string
	NextStep  string
	Transient bool // another try may help
	cause     error
}

func (e *Error) Error() string { return e.Text }

func (e *Error) Unwrap() error { return e.cause }

// Link is the panel's page, in the view's time and with its values.
func (c *Client) Link(v View) string {
	q := v.query()
	q.Set("viewPanel", strconv.FormatInt(v.Panel, 10))
	return c.PublicURL + "/d/" + url.PathEscape(v.UID) + "/panel?" + encode(q)
}

func (v View) query() url.Values {
	q := url.Values{
		"from": {strconv.FormatInt(v.From.UnixMilli(), 10)},
		"to":   {strconv.FormatInt(v.To.UnixMilli(), 10)},
	}
	for name, values := range v.Vars {
		q["var-"+name] = slices.Clone(values)
	}
	return q
}

// encode writes a query with %20, which is understood everywhere; + is by form
// decoders only.
func encode(q url.Values) string { return strings.ReplaceAll(q.Encode(), "+", "%20") }

// Render gives the panel as a PNG of the view's size. Errors are *Error, or
// those of ctx.
//
// A Grafana that cannot render answers 200 all the same, with a picture that
// says so (pkg/services/rendering: renderUnavailableImage, rendering_limit);
// such a one has another size than was asked for.
func (c *Client) Render(ctx context.Context, v View) ([]byte, error) {
	q := v.query()
	for name, value := range map[string]string{
		"panelId": strconv.FormatInt(v.Panel, 10), "width": strconv.Itoa(v.Width), "height": strconv.Itoa(v.Height),
		"theme": v.Theme, "tz": "UTC", "timeout": strconv.Itoa(max(1, int(c.Timeout/time.Second)-1)),
	} {
		q.Set(name, value)
	}
	data, err := c.get(ctx, "/render/d-solo/"+url.PathEscape(v.UID)+"/panel?"+encode(q), "image/png", maxPicture)
	if err != nil {
		return nil, err
	}
	size, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, &Error{Text: "Grafana's answer is no PNG: " + err.Error(), NextStep: "Look at the log of Grafana's image renderer.", cause: err}
	}
	if size.Width != v.Width || size.Height != v.Height {
		return nil, &Error{
			Text: fmt.Sprintf("Grafana rendered no panel but a notice of its own (%dx%d pixels, not %dx%d)", size.Width, size.Height, v.Width, v.Height),
			NextStep: "Install the image renderer (grafana-image-renderer), or raise concurrent_render_request_limit if there is one; " +
				"render: draw needs neither.",
		}
	}
	return data, nil
}

// Dashboard gives a dashboard's JSON, as the API wraps it. Errors are *Error, or
// those of ctx.
func (c *Client) Dashboard(ctx context.Context, uid string) ([]byte, error) {
	return c.get(ctx, "/api/dashboards/uid/"+url.PathEscape(uid), "application/json", maxDashboard)
}

// get reads one answer of a media type, within a bound.
func (c *Client) get(ctx context.Context, path, media string, bound int64) ([]byte, error) {
	bounded, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(bounded, http.MethodGet, c.URL+path, nil)
	if err != nil {
		return nil, &Error{Text: "Grafana cannot be asked: its url is none", NextStep: "Check grafana.url in the configuration."}
	}
	req.Header.Set("Accept", media)
	req.Header.Set("User-Agent", "triagebot")
	resp, err := c.Client.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(io.LimitReader(resp.Body, bound+1))
	switch {
	case err != nil:
		return nil, c.unreachable(ctx, err)
	case resp.StatusCode != http.StatusOK:
		return nil, refused(resp, data)
	case strings.HasSuffix(resp.Request.URL.Path, "/login"):
		return nil, denied("Grafana asks to log in")
	case int64(len(data)) > bound:
		return nil, &Error{Text: fmt.Sprintf("Grafana's answer is over %d MiB", bound>>20), NextStep: "Look at what Grafana gives there."}
	}
	if got, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || got != media {
		return nil, &Error{
			Text:     fmt.Sprintf("Grafana answered with %q, not with %s", safetext.Line(resp.Header.Get("Content-Type"), maxSaid), media),
			NextStep: "Check grafana.url in the configuration, and what proxies stand before it.",
		}
	}
	return data, nil
}

func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err = safetext.WithoutURL(err) // which may hold values
	if errors.Is(err, context.DeadlineExceeded) {
		return &Error{
			Text:     fmt.Sprintf("Grafana did not answer within %s", c.Timeout),
			NextStep: "Look at how loaded its image renderer is; raise grafana.timeout in the configuration.", cause: err,
		}
	}
	return &Error{Text: "Grafana cannot be reached: " + err.Error(), NextStep: "Check grafana.url in the configuration, and that Grafana runs.", Transient: true, cause: err}
}

func denied(what string) *Error {
	return &Error{
		Text:     what + ": it does not accept the credentials, or there are none",
		NextStep: "Give a service account's token that may view the dashboard as grafana.http_config.authorization.credentials_file.",
	}
}

// refused says what a status means.
func refused(resp *http.Response, body []byte) *Error {
	status := resp.StatusCode
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return denied(fmt.Sprintf("Grafana answered %d", status))
	case status/100 == 3:
		return denied(fmt.Sprintf("Grafana answered %d, to another page", status))
	case status == http.StatusNotFound:
		return &Error{
			Text:     "Grafana has no such dashboard (404)",
			NextStep: "Import the dashboard, or check its uid; a token sees only its organisation's.",
		}
	}
	text := ""
	if media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && (media == "text/plain" || media == "application/json") {
		text = ": " + safetext.Line(string(body), maxSaid)
	}
	return &Error{
		Text:     fmt.Sprintf("Grafana answered %d%s", status, text),
		NextStep: "Look at the logs of Grafana and of its image renderer.", Transient: status == http.StatusBadGateway || status == http.StatusServiceUnavailable,
	}
}
