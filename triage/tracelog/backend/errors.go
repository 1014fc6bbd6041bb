// Failures: why a backend gave no answer, and whether another try may help.

package backend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"triagebot/triage/safetext"
)

// Reason is why a request failed.
type Reason string

// The reasons.
const (
	ReasonBadQuery    Reason = "bad_query"    // refused, and will be again
	ReasonDenied      Reason = "denied"       // wrong or missing credentials
	ReasonNotFound    Reason = "not_found"    // no such trace, or no such path
	ReasonBusy        Reason = "busy"         // rate limited or overloaded
	ReasonTimeout     Reason = "timeout"      // too slow
	ReasonUnavailable Reason = "unavailable"  // not reached, failing or starting
	ReasonBadResponse Reason = "bad_response" // what answers is not that backend
	ReasonTooLarge    Reason = "too_large"    // the answer exceeds MaxBytes
	ReasonCanceled    Reason = "canceled"     // the caller has left
)

// Error is a request that failed. Its message names the home and its address
// and holds no credentials.
type Error struct {
	Home      string
	Reason    Reason
	Status    int  // of HTTP; 0 where there was none
	Transient bool // another try later may help
	Err       error
	msg       string
}

func (e *Error) Error() string { return e.msg }

func (e *Error) Unwrap() error { return e.Err }

// because says whether err is a failure for that reason.
func because(err error, reason Reason) bool {
	var e *Error
	return errors.As(err, &e) && e.Reason == reason
}

// maxRemoteText bounds what of a remote error message is repeated, in bytes.
const maxRemoteText = 300

func (c *client) errorf(reason Reason, err error, format string, args ...any) *Error {
	return &Error{
		Home:      c.name,
		Reason:    reason,
		Transient: reason == ReasonBusy || reason == ReasonTimeout || reason == ReasonUnavailable,
		Err:       err,
		msg:       fmt.Sprintf("%s %s (%s) %s", c.kind, c.name, c.address(), fmt.Sprintf(format, args...)),
	}
}

// notReached says why there was no response, or only a part of one.
func (c *client) notReached(ctx context.Context, err error) *Error {
	var network net.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return c.errorf(ReasonCanceled, context.Canceled, "was not waited for")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return c.errorf(ReasonTimeout, safetext.WithoutURL(err), "did not answer in time (%s); give the time of the request so that less is searched, or raise its timeout", c.timeout)
	default:
		err = safetext.WithoutURL(err)
		return c.errorf(ReasonUnavailable, err, "was not reached or broke off: %s", clean(err.Error()))
	}
}

// refused says why the status is not 200.
func (c *client) refused(resp *http.Response, body []byte) *Error {
	status := resp.StatusCode
	text := clean(string(body))
	if text == "" {
		text = http.StatusText(status)
	}
	var e *Error
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusProxyAuthRequired:
		e = c.errorf(ReasonDenied, nil, "denied access (status %d); check the credentials and the tenant of this trace source", status)
	case status == http.StatusNotFound:
		e = c.errorf(ReasonNotFound, nil, "has nothing there (status 404): %s; check the url of this trace source", text)
	case status == http.StatusTooManyRequests:
		e = c.errorf(ReasonBusy, nil, "has too much to do (status 429): %s%s", text, after(resp))
	case status == http.StatusRequestTimeout, status == http.StatusGatewayTimeout:
		e = c.errorf(ReasonTimeout, nil, "gave the query up (status %d): %s", status, text)
	case status == http.StatusServiceUnavailable:
		e = c.errorf(ReasonUnavailable, nil, "is not available (status 503): %s%s", text, after(resp))
	case status >= 500:
		e = c.errorf(ReasonUnavailable, nil, "failed (status %d): %s", status, text)
	case status >= 400:
		e = c.errorf(ReasonBadQuery, nil, "refused the query (status %d): %s", status, text)
	default:
		e = c.errorf(ReasonBadResponse, nil, "answered with status %d; check the url of this trace source", status)
	}
	e.Status = status
	return e
}

// after is what the server says of when to come back. It may be a number of
// seconds or a date.
func after(resp *http.Response) string {
	if s := clean(resp.Header.Get("Retry-After")); s != "" {
		return "; it asks to be left alone until " + s + " (Retry-After)"
	}
	return ""
}

// unreadable says that the answer is not what the API documents.
func (c *client) unreadable(err error) *Error {
	return c.errorf(ReasonBadResponse, err, "answered what its API does not: %s; check the url of this trace source", clean(err.Error()))
}

// clean makes remote text one bounded line.
func clean(s string) string { return safetext.Line(s, maxRemoteText) }
