// Package safetext makes errors and other programs' words fit to be logged,
// stored and shown: without URLs, which may hold secrets, and on one line.
package safetext

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

var errNoCause = errors.New("no cause was given")

// WithoutURL is the cause of the innermost *url.Error within err: what url.Parse
// and HTTP clients say, without the URL that they say it of. What is wrapped
// around a *url.Error goes with it, for its text holds the URL too. err itself
// is returned when it holds none, and nil for nil.
//
// A cause that quotes from a URL in its own words is replaced by its text with
// the quotes emptied; it wraps nothing then.
func WithoutURL(err error) error {
	var wrapped *url.Error
	for errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	switch {
	case wrapped == nil:
		return err
	case err == nil:
		return errNoCause
	case quotesURL(wrapped.Op, err):
		return errors.New(quoted.ReplaceAllString(err.Error(), `"…"`))
	}
	return err
}

// quoted is text as %q writes it.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// quotesURL says whether the cause of a failed op is one of the standard
// library's that quote a URL or a part of it, such as a password that was taken
// for a port: those of net/url's parser, net/http's of a redirect, and those of
// golang.org/x/net/http/httpproxy of the environment's proxies.
func quotesURL(op string, cause error) bool {
	var escape url.EscapeError
	var host url.InvalidHostError
	if errors.As(cause, &escape) || errors.As(cause, &host) {
		return false // three characters at most, and they say what to look for
	}
	text := cause.Error()
	return op == "parse" || strings.HasPrefix(text, "failed to parse Location header ") || strings.HasPrefix(text, "invalid proxy address ")
}

// Line is s on one line, of valid UTF-8, cut after so many bytes with an
// ellipsis.
func Line(s string, most int) string {
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
}
