// Failures: why a query has no result, and whether another try may help.

package promapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"

	"triagebot/triage/safetext"
)

// Reason is why a query failed; it is the metrics' result label.
type Reason string

// The reasons.
const (
	ReasonBadQuery    Reason = "bad_query"    // Prometheus refuses it, and will again
	ReasonDenied      Reason = "denied"       // wrong or missing credentials
	ReasonTimeout     Reason = "timeout"      // too slow; asking again at once adds to the load
	ReasonUnavailable Reason = "unavailable"  // not reached, overloaded or starting
	ReasonBadResponse Reason = "bad_response" // what answers is no Prometheus
	ReasonTooLarge    Reason = "too_large"    // the answer exceeds MaxResponseBytes
	ReasonCanceled    Reason = "canceled"     // everybody who asked has left
)

// Error is a failed query. Its message names the datasource and its address
// and holds no credentials.
type Error struct {
	Datasource string
	Reason     Reason
	Transient  bool // another try soon may help
	Err        error
	msg        string
}

func (e *Error) Error() string { return e.msg }

func (e *Error) Unwrap() error { return e.Err }

var (
	errShape    = errors.New("unexpected result")
	errTooLarge = errors.New("response too large")
)

// maxRemoteText bounds what of a remote error message is repeated, in bytes.
const maxRemoteText = 500

// errorf makes an error that says what the datasource did.
func (c *Client) errorf(reason Reason, err error, format string, args ...any) *Error {
	return &Error{
		Datasource: c.name,
		Reason:     reason,
		Transient:  reason == ReasonUnavailable && !errors.Is(err, errClosed),
		Err:        err,
		msg:        fmt.Sprintf("%s (%s) %s", Display(c.name), c.address, fmt.Sprintf(format, args...)),
	}
}

// classify says why a query failed.
func (c *Client) classify(err error) *Error {
	var failure *Error
	var answered *promv1.Error
	var network net.Error
	switch {
	case errors.As(err, &failure):
		return failure
	case errors.Is(err, errTooLarge):
		return c.errorf(ReasonTooLarge, errTooLarge, "answered more than %d MiB; aggregate the query or narrow its range", c.maxBytes>>20)
	case errors.As(err, &answered):
		return c.classifyAnswer(answered)
	case errors.Is(err, errShape):
		return c.errorf(ReasonBadResponse, errShape, "answered %v", err)
	case errors.Is(err, context.DeadlineExceeded):
		return c.errorf(ReasonTimeout, context.DeadlineExceeded, "did not answer within %s", c.timeout)
	case errors.Is(err, context.Canceled):
		return c.errorf(ReasonCanceled, context.Canceled, "was not waited for")
	case errors.As(err, &network) && network.Timeout():
		cause := safetext.WithoutURL(err)
		return c.errorf(ReasonUnavailable, cause, "was not reached: %v", cause)
	default:
		cause := safetext.WithoutURL(err)
		return c.errorf(ReasonUnavailable, cause, "gave no answer: %v", cause)
	}
}

// stringResult is in client_golang's error about a result it cannot decode.
const stringResult = `unexpected value type "string"`

// classifyAnswer says why Prometheus, or what stands before it, answered with
// an error. client_golang decodes the bodies of 400 and 422 only, so the
// others are decoded here.
func (c *Client) classifyAnswer(e *promv1.Error) *Error {
	// "client error: 401" is the only place where the status is.
	status, err := strconv.Atoi(e.Msg[strings.LastIndexByte(e.Msg, ' ')+1:])
	if err != nil {
		status = 0
	}
	kind, text := e.Type, e.Msg
	var body struct {
		ErrorType promv1.ErrorType `json:"errorType"`
		Error     string           `json:"error"`
	}
	if json.Unmarshal([]byte(e.Detail), &body) == nil && body.Error != "" {
		kind, text = body.ErrorType, body.Error
	}
	text = safetext.Line(text, maxRemoteText)
	switch {
	case status == 401 || status == 403 || status == 407:
		return c.errorf(ReasonDenied, e, "denied access with status %d; check the credentials of this datasource", status)
	case status == 429:
		return c.errorf(ReasonUnavailable, e, "has too much to do (status 429)")
	case kind == promv1.ErrBadData, kind == promv1.ErrExec:
		return c.errorf(ReasonBadQuery, e, "refused the query: %s", text)
	case kind == promv1.ErrTimeout:
		return c.errorf(ReasonTimeout, e, "gave the query up: %s", text)
	case kind == promv1.ErrBadResponse && strings.Contains(text, stringResult):
		return c.errorf(ReasonBadQuery, e, "was asked an expression that gives a string, not numbers")
	case kind == promv1.ErrBadResponse, kind == promv1.ErrClient:
		return c.errorf(ReasonBadResponse, e, "answered what is no result of Prometheus's API: %s; check the URL of this datasource", text)
	default:
		return c.errorf(ReasonUnavailable, e, "failed: %s", text)
	}
}

// Display is a datasource's name as people read it: the main one, which is
// called prometheus, is just Prometheus.
func Display(name string) string {
	if name == "prometheus" {
		return "Prometheus"
	}
	return "Prometheus " + name
}
