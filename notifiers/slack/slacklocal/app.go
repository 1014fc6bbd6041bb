package slacklocal

// The app's side that listens: what people do is sent to it over HTTP, signed
// as Slack signs, or over Socket Mode where no URLs are set.

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// answerWithin is how long Slack waits for an answer to what a person did.
const answerWithin = 3 * time.Second

// maxAnswer is how many bytes of an app's answer are read.
const maxAnswer = 1 << 20

// verificationToken is Slack's old way of proving who sends; the signature
// replaced it, and the field is still sent.
const verificationToken = "local-verification-token"

// App is where an app takes what people do, over HTTP.
type App struct {
	// Client sends the requests; nil is a client of the workspace's own. Its
	// redirects are not followed.
	Client *http.Client
	// CommandsURL takes slash commands, InteractionsURL clicks and modals,
	// EventsURL mentions. "" is an app that has no such URL.
	CommandsURL, InteractionsURL, EventsURL string
	// SigningSecret signs the requests. It must not be empty.
	SigningSecret string
}

// SetApp says where people's acts are sent from now on; nil is over Socket
// Mode. It refuses an app without a signing secret, whose requests anybody
// could make.
func (w *Workspace) SetApp(app *App) error {
	if app != nil {
		if app.SigningSecret == "" {
			return errors.New("local channel: an app needs a signing secret")
		}
		own := *app
		client := cmp.Or(own.Client, &http.Client{Transport: &http.Transport{MaxIdleConns: 8, IdleConnTimeout: time.Minute}})
		direct := *client
		direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		own.Client = &direct
		app = &own
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.app = app
	return nil
}

// listens says whether there is an app that could hear of what people do.
func (w *Workspace) listens() bool { return w.app != nil || w.appToken != "" }

// The kinds of what is sent, as Socket Mode calls them.
const (
	kindCommand     = "slash_commands"
	kindInteraction = "interactive"
	kindEvent       = "events_api"
)

// act is one thing that a person did, as the app is told.
type act struct {
	kind    string
	payload any        // the JSON of Socket Mode, and of an event's body
	form    url.Values // the body of the others
	answers bool       // the answer's content counts
	attempt int        // 0, or of an event the how manyeth retry
	reason  string     // of the retry
}

// undelivered is an act that the app did not take. Code is Slack's word for why.
type undelivered struct {
	code  string
	final bool // the app asked for no retry
}

func (u *undelivered) Error() string { return u.code }

// Slack's words for why an act was not taken.
const (
	codeTimeout   = "operation_timeout"
	codeDispatch  = "dispatch_failed"
	codeClient    = "http_client_error"
	codeService   = "http_service_error"
	codeBadAnswer = "invalid_command_response"
)

// appAnswer is what the app answered.
type appAnswer struct {
	body []byte
	text bool // plain text, not JSON
}

// dispatch tells the app and waits for its answer, 3 s at most. The error is
// an *undelivered.
func (w *Workspace) dispatch(ctx context.Context, a act) (appAnswer, error) {
	w.mu.Lock()
	app := w.app
	w.mu.Unlock()
	if app == nil {
		return w.sockets.dispatch(ctx, a)
	}
	target := map[string]string{kindCommand: app.CommandsURL, kindInteraction: app.InteractionsURL, kindEvent: app.EventsURL}[a.kind]
	if target == "" {
		return appAnswer{}, &undelivered{code: codeDispatch, final: true}
	}
	body, mediaType := []byte(a.form.Encode()), "application/x-www-form-urlencoded"
	if a.kind == kindEvent {
		var err error
		if body, err = json.Marshal(a.payload); err != nil {
			return appAnswer{}, &undelivered{code: codeDispatch, final: true}
		}
		mediaType = "application/json"
	}
	header := http.Header{"Content-Type": {mediaType}}
	if a.attempt > 0 {
		header.Set("X-Slack-Retry-Num", strconv.Itoa(a.attempt))
		header.Set("X-Slack-Retry-Reason", a.reason)
	}
	return app.send(ctx, target, header, body, w.clock())
}

// Sign sets the headers by which an app knows a request of Slack's.
// https://docs.slack.dev/authentication/verifying-requests-from-slack
func Sign(header http.Header, secret string, at time.Time, body []byte) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "v0:%s:%s", stamp, body)
	header.Set("X-Slack-Request-Timestamp", stamp)
	header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
}

func (app *App) send(ctx context.Context, target string, header http.Header, body []byte, at time.Time) (appAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return appAnswer{}, &undelivered{code: codeDispatch, final: true}
	}
	req.Header = header
	req.Header.Set("User-Agent", "Slackbot 1.0 (+https://api.slack.com/robots)")
	Sign(req.Header, app.SigningSecret, at, body)
	failed := func() error {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return &undelivered{code: codeTimeout}
		}
		return &undelivered{code: codeDispatch}
	}
	resp, err := app.Client.Do(req)
	if err != nil {
		return appAnswer{}, failed()
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return appAnswer{}, failed()
	}
	final := resp.Header.Get("X-Slack-No-Retry") == "1"
	switch {
	case resp.StatusCode >= 500:
		return appAnswer{}, &undelivered{codeService, final}
	case resp.StatusCode != http.StatusOK:
		return appAnswer{}, &undelivered{codeClient, final}
	case len(data) > maxAnswer:
		return appAnswer{}, &undelivered{codeBadAnswer, final}
	}
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return appAnswer{body: bytes.TrimSpace(data), text: mediaType != "application/json"}, nil
}
