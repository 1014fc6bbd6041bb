package safetext

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

const secret = "hunter2"

// asked is what a client says of a request whose URL holds the secret, when
// the server answers with a redirect to location; "" breaks the answer off.
func asked(t *testing.T, location string) error {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if location == "" {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusFound)
	}))
	defer server.Close()
	resp, err := http.Get(server.URL + "/" + secret)
	if err == nil {
		resp.Body.Close()
		t.Fatal("the request went well")
	}
	return err
}

func parsed(t *testing.T, text string) error {
	t.Helper()
	_, err := url.Parse(text)
	if err == nil {
		t.Fatalf("%q was parsed", text)
	}
	return err
}

func TestErrorsWithoutTheirURL(t *testing.T) {
	at := func(cause error) error {
		return &url.Error{Op: "Get", URL: "https://me:hunter2@host/?token=hunter2", Err: cause}
	}
	tests := map[string]struct {
		err  error
		says string
		is   error // that it still is
	}{
		"no URL":                   {io.ErrUnexpectedEOF, "unexpected EOF", io.ErrUnexpectedEOF},
		"words around no URL":      {fmt.Errorf("read: %w", io.EOF), "read: EOF", io.EOF},
		"a URL":                    {at(context.DeadlineExceeded), "context deadline exceeded", context.DeadlineExceeded},
		"a URL below another":      {at(at(io.EOF)), "EOF", io.EOF},
		"words between two":        {at(fmt.Errorf("token hunter2: %w", at(io.EOF))), "EOF", io.EOF},
		"words around it":          {fmt.Errorf("ask https://host/?token=hunter2: %w", at(io.EOF)), "EOF", io.EOF},
		"among others":             {errors.Join(errors.New("hunter2"), at(io.EOF)), "EOF", io.EOF},
		"words below it":           {at(fmt.Errorf("dial: %w", io.EOF)), "dial: EOF", io.EOF},
		"quotes that are no URL's": {at(errors.New(`malformed HTTP response "\x15\x03"`)), `malformed HTTP response "\x15\x03"`, nil},
		"no cause":                 {at(nil), "no cause was given", nil},

		"a server that breaks off":    {asked(t, ""), "EOF", io.EOF},
		"redirects without end":       {asked(t, "/hunter2"), "stopped after 10 redirects", nil},
		"a redirect to no URL":        {asked(t, "http://a:hunter2"), `failed to parse Location header "…": parse "…": invalid port "…" after host`, nil},
		"a redirect that has a quote": {asked(t, `http://"hunter2" \"hunter2:x`), `failed to parse Location header "…": parse "…": invalid port "…" after host`, nil},
		"a redirect to another kind":  {asked(t, "ftp://me:hunter2@host"), `unsupported protocol scheme "ftp"`, nil},
		"a proxy that is none":        {at(fmt.Errorf("invalid proxy address %q: %v", "http://me:hunter2", parsed(t, "http://me:hunter2"))), `invalid proxy address "…": parse "…": invalid port "…" after host`, nil}, //nolint:errorlint // as httpproxy does it

		"a password for a port":    {parsed(t, "http://me:hunter2"), `invalid port "…" after host`, nil},
		"a password for a host":    {parsed(t, "http://[hunter2]/"), `invalid host: ParseAddr("…"): unable to parse IP`, nil},
		"a space in a host":        {parsed(t, "http://hunter2 host/"), `invalid character " " in host name`, url.InvalidHostError(" ")},
		"an escape that is none":   {parsed(t, "http://host/hunter2%zz"), `invalid URL escape "%zz"`, url.EscapeError("%zz")},
		"a colon in its beginning": {parsed(t, "hunter2 :x"), "first path segment in URL cannot contain colon", nil},
		"a new line":               {fmt.Errorf("url: %w", parsed(t, "http://host/hunter2\n")), "net/url: invalid control character in URL", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := WithoutURL(test.err)
			if got.Error() != test.says || test.is != nil && !errors.Is(got, test.is) {
				t.Errorf("%q (%#v), want %q", got, got, test.says)
			}
			for err := got; err != nil; err = errors.Unwrap(err) {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%T tells the secret: %v", err, err)
				}
			}
		})
	}
	if got := WithoutURL(nil); got != nil {
		t.Errorf("of no error: %v", got)
	}
}

func TestLinesAreBoundedText(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"nothing":                      {" \n", ""},
		"as it is":                     {"twelve bytes", "twelve bytes"},
		"lines":                        {"\ttwo\r\nlines ", "two lines"},
		"too long":                     {"twelve bytes and more", "twelve bytes…"},
		"a character at the bound":     {"elevenbytesé", "elevenbytes…"},
		"no UTF-8":                     {"a\xff\xfeb", "a\uFFFDb"},
		"no UTF-8, and too long":       {strings.Repeat("\xff", 20), "…"},
		"space at the bound, and more": {"ten bytes,  \n more", "ten bytes, …"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Line(test.text, 12); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
