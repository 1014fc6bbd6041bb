package slack

// What an answer of Slack means for the delivery: the table of its error
// codes, the three shapes of rate limits, and the ends that leave open whether
// something was shown.

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"triagebot/notifiers"
	"triagebot/triage/safetext"
)

// effect is what a call does when it succeeds, which decides what its unclear
// end means.
type effect int

const (
	looking  effect = iota // nothing
	editing                // nothing that doing it again would double
	creating               // it shows something new
)

// authPause is how long to leave a refused token alone: a person has to act.
const authPause = time.Minute

// maxPause bounds what a Retry-After may ask for.
const maxPause = time.Hour

// kind is what an error code of Slack means.
type kind int

const (
	refused   kind = iota // definitely not done, and never will be
	unclear               // may have been done
	limited               // too often
	auth                  // the token is no good, or not good enough
	noChannel             // the channel cannot be written to
	deleted               // the message or thread is gone
	badBlocks             // the layout is not to Slack's liking
)

// kindOf maps the documented codes. https://docs.slack.dev/reference/methods/chat.postMessage#errors
func kindOf(code string) kind {
	switch code {
	case "ratelimited", "rate_limited", "message_limit_exceeded":
		return limited
	case "fatal_error", "internal_error", "request_timeout", "service_unavailable":
		return unclear
	case "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "missing_scope",
		"no_permission", "not_allowed_token_type", "access_denied", "org_login_required",
		"ekm_access_denied", "team_access_not_granted", "two_factor_setup_required":
		return auth
	case "channel_not_found", "is_archived", "not_in_channel", "invalid_channel", "channel_type_not_supported",
		"restricted_action", "restricted_action_read_only_channel", "posting_to_channel_denied":
		return noChannel
	case "message_not_found", "cant_update_message", "edit_window_closed",
		"thread_not_found", "cannot_reply_to_message":
		return deleted
	case "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long":
		return badBlocks
	}
	return refused
}

// code is the error code of Slack's answer, "" when err is anything else.
func code(err error) string {
	var answer slack.SlackErrorResponse
	if errors.As(err, &answer) {
		return answer.Err
	}
	return ""
}

// scopeNeeded is the scope that Slack asks for in a missing_scope answer, where
// it may name several, one of them being enough; the usual one where it does not.
func scopeNeeded(err error, usual string) string {
	var answer slack.SlackErrorResponse
	if errors.As(err, &answer) && answer.Needed != "" {
		return line(strings.Split(answer.Needed, ",")[0], maxName)
	}
	return usual
}

// scopeOf is the scope of a method that only looks, "" of any other.
func scopeOf(method string) string {
	switch method {
	case methodHistory, methodReplies:
		return "channels:history"
	case methodList:
		return "channels:read"
	case methodFileInfo:
		return "files:read"
	case methodMembers:
		return "usergroups:read"
	case methodUser:
		return "users:read"
	}
	return ""
}

// succeeded records a call that went well.
func (n *Notifier) succeeded(method string) {
	n.metrics.calls.WithLabelValues(method, "ok").Inc()
	n.token(true, nil)
}

// failed turns a call's error into what the outbox does about it, and records it.
func (n *Notifier) failed(method string, does effect, err error) *notifiers.Error {
	e := classify(method, does, err)
	n.metrics.calls.WithLabelValues(method, e.Reason.String()).Inc()
	c := code(err)
	if scope := scopeOf(method); c == "missing_scope" && scope != "" { // the token is good for all else
		n.lacks(scopeNeeded(err, scope), true)
		return e
	}
	if c != "" {
		n.token(kindOf(c) != auth, e)
	}
	return e
}

// token notes whether Slack took the token, and says so once per change.
func (n *Notifier) token(taken bool, why error) {
	n.mu.Lock()
	changed := n.rejected == taken
	n.rejected = !taken
	n.mu.Unlock()
	if !changed {
		return
	}
	if taken {
		n.metrics.tokenValid.Set(1)
		n.log.Info("Slack takes the bot token again")
		return
	}
	n.metrics.tokenValid.Set(0)
	n.log.WithError(why).Error("Slack refuses the bot token; messages wait until it is put right")
}

// classify decides on an error of a call. No error it returns holds the token
// or a URL.
func classify(method string, does effect, err error) *notifiers.Error {
	unknown := notifiers.Transient // harmless to do again
	if does == creating {
		unknown = notifiers.Ambiguous
	}
	say := func(reason notifiers.Reason, what string) *notifiers.Error {
		return &notifiers.Error{Reason: reason, Err: fmt.Errorf("%s: %w%s", method, safetext.WithoutURL(err), what)}
	}

	var limit *slack.RateLimitedError
	var status slack.StatusCodeError
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	var number *strconv.NumError
	switch {
	case errors.As(err, &limit):
		e := say(notifiers.RateLimited, "")
		e.Scope, e.After = method, min(max(limit.RetryAfter, 0), maxPause)
		return e
	case errors.As(err, &number) && number.Func == "ParseInt": // slack-go on a 429 whose Retry-After is no number
		e := say(notifiers.RateLimited, "")
		e.Scope = method
		return e
	case errors.As(err, &status):
		return classifyStatus(method, status.Code, unknown, say)
	case code(err) != "":
		return classifyCode(method, code(err), unknown, say)
	case errors.As(err, &network) && (network.Op == "dial" || network.Op == "proxyconnect"), errors.As(err, &certificate):
		return say(notifiers.Transient, " (Slack was not reached)")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return say(unknown, " (no answer in time)")
	}
	return say(unknown, "")
}

func classifyStatus(method string, status int, unknown notifiers.Reason, say func(notifiers.Reason, string) *notifiers.Error) *notifiers.Error {
	switch {
	case status == http.StatusTooManyRequests:
		e := say(notifiers.RateLimited, "")
		e.Scope = method
		return e
	case status >= 500, status == http.StatusRequestTimeout:
		return say(unknown, "")
	}
	// A redirect, or a proxy's refusal: Slack itself answers 200.
	return say(notifiers.Transient, " (not an answer of Slack: look at proxies on the way)")
}

func classifyCode(method, code string, unknown notifiers.Reason, say func(notifiers.Reason, string) *notifiers.Error) *notifiers.Error {
	switch kindOf(code) {
	case limited:
		e := say(notifiers.RateLimited, "")
		e.Scope = method
		return e
	case unclear:
		return say(unknown, "")
	case auth:
		e := say(notifiers.Transient, tokenAdvice(code))
		e.After = authPause
		return e
	case noChannel:
		return say(notifiers.Permanent, channelAdvice(code))
	case deleted:
		return say(notifiers.Gone, "")
	}
	return say(notifiers.Permanent, "")
}

func tokenAdvice(code string) string {
	if code == "missing_scope" {
		return " (add the scope that docs list to the app, reinstall it, and give triagebot its token)"
	}
	return " (give triagebot a valid bot token)"
}

func channelAdvice(code string) string {
	switch code {
	case "not_in_channel", "channel_not_found":
		return " (check the channel's name, and invite the bot with /invite @triagebot)"
	case "is_archived":
		return " (unarchive the channel, or route to another one)"
	}
	return " (let the bot post in the channel, or route to another one)"
}
