package inbound

// How a reply gets back to whoever asked: by Slack's response_url, or as a
// message in the channel that only they see.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	slackapi "github.com/slack-go/slack"

	"triagebot/notifiers"
	"triagebot/notifiers/slack"
	"triagebot/triage"
	"triagebot/triage/safetext"
)

const (
	answerTimeout = 5 * time.Second  // of one try
	answerTries   = 3                // Slack takes five answers to a request
	answerFor     = 15 * time.Second // all tries together
	firstWait     = 250 * time.Millisecond
	longestWait   = 5 * time.Second
)

// message is a reply as Slack takes it from a response_url and in the answer to
// a slash command.
type message struct {
	ResponseType    string           `json:"response_type"`
	ReplaceOriginal bool             `json:"replace_original"` // false must be said: the button's message would go
	ThreadTS        string           `json:"thread_ts,omitempty"`
	Text            string           `json:"text"`
	Blocks          []slackapi.Block `json:"blocks,omitempty"`
}

func messageOf(a *ask, r triage.Reply) message {
	text, blocks := slack.RenderReply(r, a.req.Incident)
	return message{
		ResponseType: "ephemeral", ThreadTS: a.thread, Text: text, Blocks: blocks,
		// What an answer asked for is done, and its buttons with it. Whatever else
		// came of the click, it can be clicked again.
		ReplaceOriginal: a.onAnswer && r.Outcome == triage.OutcomeDone,
	}
}

// answer shows a reply to whoever asked; one that says nothing is not shown. One
// that cannot be shown is counted and logged.
func (i *Inbound) answer(ctx context.Context, a *ask, r triage.Reply) {
	if r.Text == "" && len(r.Lines) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, answerFor)
	defer cancel()
	m := messageOf(a, r)
	var err error
	switch {
	case i.ofSlack(a.responseURL):
		err = i.respond(ctx, a.responseURL, m)
	case a.req.Place.Channel != "":
		if a.responseURL != "" {
			i.log.Warn("a request's response_url is not at Slack; it is not called")
		}
		err = i.whisper(ctx, a, m)
	default:
		err = errors.New("the request says neither where to answer nor in which channel")
	}
	if err != nil {
		i.metrics.lost.Inc()
		i.log.WithError(err).WithField("kind", a.kind).Warn("a reply could not be shown to whoever asked")
	}
}

// ofSlack says whether an answer may be sent to a URL: to Slack's host for that,
// or to the one whose API is used. Whoever could name another one would have
// triagebot call it.
func (i *Inbound) ofSlack(target string) bool {
	u, err := url.Parse(target)
	api, apiErr := url.Parse(i.opts.APIURL)
	if err != nil || apiErr != nil || u.Host == "" || u.User != nil {
		return false
	}
	if u.Scheme == "https" && u.Host == "hooks.slack.com" {
		return true
	}
	return u.Scheme == api.Scheme && (u.Host == api.Host || u.Scheme == "https" && u.Host == "hooks."+api.Host)
}

// answerClient makes sure of a timeout, and that a redirect leads nowhere.
func answerClient(given *http.Client) *http.Client {
	var c http.Client
	if given != nil {
		c = *given
	}
	if c.Timeout == 0 || c.Timeout > answerTimeout {
		c.Timeout = answerTimeout
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// respond posts to a response_url. What Slack refuses for its layout goes again
// as text.
func (i *Inbound) respond(ctx context.Context, target string, m message) error {
	return i.tries(ctx, func() (wait time.Duration, again bool, err error) {
		body, err := json.Marshal(m)
		if err != nil {
			return 0, false, fmt.Errorf("encode the reply: %w", err)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
		if err != nil {
			return 0, false, fmt.Errorf("response_url: %w", safetext.WithoutURL(err))
		}
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
		resp, err := i.client.Do(req)
		if err != nil {
			return 0, true, fmt.Errorf("response_url: %w", safetext.WithoutURL(err))
		}
		defer resp.Body.Close()
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // for the log only
		switch {
		case resp.StatusCode == http.StatusOK:
			return 0, false, nil
		case resp.StatusCode == http.StatusTooManyRequests:
			seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // 0: as after any failure
			return time.Duration(max(seconds, 0)) * time.Second, true, errors.New("response_url: Slack limits the rate")
		case m.Blocks != nil && strings.Contains(string(said), "invalid"):
			m.Blocks = nil
			return 0, true, fmt.Errorf("response_url: Slack refuses the layout: %s", safetext.Line(string(said), 200))
		}
		return 0, resp.StatusCode >= 500, fmt.Errorf("response_url: status %d: %s", resp.StatusCode, safetext.Line(string(said), 200))
	})
}

// whisper shows the message in the channel, or the thread, to the person alone.
func (i *Inbound) whisper(ctx context.Context, a *ask, m message) error {
	w := slack.Whisper{Channel: a.req.Place.Channel, User: a.req.Actor.ID, Thread: a.thread, Text: m.Text, Blocks: m.Blocks}
	return i.tries(ctx, func() (time.Duration, bool, error) {
		err := i.opts.Workspace.Whisper(ctx, w)
		var refused *notifiers.Error
		if !errors.As(err, &refused) {
			return 0, false, err
		}
		return refused.After, refused.Reason == notifiers.RateLimited || refused.Reason == notifiers.Transient, err
	})
}

// tries calls do until it succeeds or says that it is in vain, at most
// answerTries times. It waits in between as long as do says, or longer each time.
func (i *Inbound) tries(ctx context.Context, do func() (wait time.Duration, again bool, err error)) error {
	usual := firstWait
	for try := 1; ; try++ {
		wait, again, err := do()
		if err == nil || !again || try == answerTries {
			return err
		}
		timer := time.NewTimer(min(max(wait, usual), longestWait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
		usual *= 2
	}
}
