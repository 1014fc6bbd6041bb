// The kind `capture`: one HTTP GET of the service, kept as it was: status,
// latency, the headers asked for and the body up to a bound.

package step

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"
	"golang.org/x/net/http/httpguts"

	"triagebot/triage/playbook"
	"triagebot/triage/safetext"
)

// Bounds of a capture's options.
const (
	defaultCaptureTimeout = 5 * time.Second
	minCaptureTimeout     = 100 * time.Millisecond
	maxCaptureTimeout     = time.Minute
	defaultMaxBody        = 64 << 10 // bytes
	maxMaxBody            = 1 << 20
	maxHeaders            = 20 // sent, and likewise shown
)

type capture struct{ Deps }

func (*capture) Name() string { return "capture" }

// captureYAML is the step's YAML.
type captureYAML struct {
	// URL template, needed: begins with a service, `{{ .Services.app }}`, or with http:// or https:// and a literal host. Of a service its own credentials are sent.
	URL string `yaml:"url"`
	// `GET`: there is no other, for a capture changes nothing.
	Method string `yaml:"method"`
	// mapping of templates, at most [maxHeaders]: headers to send; no credentials, which belong to the service's `http_config`.
	Headers map[string]string `yaml:"headers"`
	// duration, default [defaultCaptureTimeout], [minCaptureTimeout] to [maxCaptureTimeout]: of the whole exchange.
	Timeout string `yaml:"timeout"`
	// size, default [defaultMaxBody], 1B to [maxMaxBody]: what is kept of the body.
	MaxBody string `yaml:"max_body"`
	// list of names, at most [maxHeaders]: headers of the answer to keep.
	ShowHeaders []string `yaml:"show_headers"`
	// `true`, `false`, default as the media type says: whether the body is read as JSON, into the variable `json`.
	JSON *bool `yaml:"json"`
	// number, 100 to 599, default any 2xx: what the variable `ok` means.
	ExpectStatus int `yaml:"expect_status"`
}

// captureAction is a decoded capture step.
type captureAction struct {
	exchange
	url          *playbook.Template
	headers      []headerTemplate // sorted by name
	showHeaders  []string         // lower case
	json         *bool
	expectStatus int
}

type headerTemplate struct {
	name  string
	value *playbook.Template
}

func (k *capture) Decode(c *playbook.Compiler, node *yaml.Node) playbook.Action {
	var y captureYAML
	c.Decode(node, &y)
	a := &captureAction{json: y.JSON, exchange: exchange{deps: k.Deps, timeout: defaultCaptureTimeout, maxBody: defaultMaxBody}}
	if y.URL == "" {
		c.Errorf(node, "url", "is missing; write what to get, as in '{{ .Services.app }}/readyz'")
	} else {
		a.url = c.URL(node, "url", y.URL)
	}
	if y.Method != "" && y.Method != http.MethodGet {
		c.Errorf(node, "method", "%q is not allowed: a capture changes nothing; write GET, or leave it out", y.Method)
	}
	if y.Timeout != "" {
		a.timeout = c.Duration(node, "timeout", y.Timeout, minCaptureTimeout, maxCaptureTimeout)
	}
	if y.MaxBody != "" {
		size, err := parseSize(y.MaxBody)
		switch {
		case err != nil:
			c.Errorf(node, "max_body", "%v", err)
		case size < 1 || size > maxMaxBody:
			c.Errorf(node, "max_body", "%s is out of bounds; write a size from 1B to 1MiB", y.MaxBody)
		default:
			a.maxBody = size
		}
	}
	a.expectStatus = within(c, node, "expect_status", y.ExpectStatus, 0, 100, 599)
	a.decodeHeaders(c, node, y.Headers)
	a.decodeShowHeaders(c, node, y.ShowHeaders)
	return a
}

// notSent are headers that a playbook may not set: credentials belong into the
// configuration, and the rest is the HTTP client's own.
var notSent = map[string]string{
	"Authorization":       "credentials belong to the service's HTTP client in the configuration",
	"Proxy-Authorization": "credentials belong to the service's HTTP client in the configuration",
	"Cookie":              "credentials belong to the service's HTTP client in the configuration",
	"Host":                "it follows from the url",
	"Content-Length":      "a capture sends no body",
	"Transfer-Encoding":   "a capture sends no body",
	"Connection":          "the HTTP client keeps it",
	"Accept-Encoding":     "the body is kept as text",
	"Range":               "max_body bounds what is kept",
}

func (a *captureAction) decodeHeaders(c *playbook.Compiler, node *yaml.Node, headers map[string]string) {
	if len(headers) > maxHeaders {
		c.Errorf(node, "headers", "has %d entries; at most %d are sent", len(headers), maxHeaders)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		key := "headers." + name
		if !httpguts.ValidHeaderFieldName(name) {
			c.Errorf(node, "headers", "%q is no header name", name)
			continue
		}
		if why, refused := notSent[textproto.CanonicalMIMEHeaderKey(name)]; refused {
			c.Errorf(node, key, "cannot be set: %s", why)
			continue
		}
		a.headers = append(a.headers, headerTemplate{name, c.Text(node, key, headers[name])})
	}
}

func (a *captureAction) decodeShowHeaders(c *playbook.Compiler, node *yaml.Node, names []string) {
	if len(names) > maxHeaders {
		c.Errorf(node, "show_headers", "has %d entries; at most %d are shown", len(names), maxHeaders)
		return
	}
	for i, name := range names {
		if !httpguts.ValidHeaderFieldName(name) {
			c.Errorf(node, fmt.Sprintf("show_headers[%d]", i), "%q is no header name", name)
			continue
		}
		if name = strings.ToLower(name); !slices.Contains(a.showHeaders, name) {
			a.showHeaders = append(a.showHeaders, name)
		}
	}
}

// parseSize reads 512B, 64KiB, 1MiB or a plain number of bytes.
func parseSize(text string) (int, error) {
	number, factor := text, 1
	for suffix, f := range map[string]int{"KiB": 1 << 10, "MiB": 1 << 20} {
		if n, found := strings.CutSuffix(text, suffix); found {
			number, factor = n, f
		}
	}
	n, err := parsePositive(strings.TrimSuffix(number, "B"))
	if err != nil {
		return 0, fmt.Errorf("%q is no size; write one like 64KiB", text)
	}
	return n * factor, nil
}

// Vars are always all there.
func (a *captureAction) Vars() map[string]*cel.Type {
	return map[string]*cel.Type{
		"status":     cel.IntType,                                 // of the answer
		"ok":         cel.BoolType,                                // it is the expected one
		"latency_ms": cel.DoubleType,                              // until the body was read
		"body":       cel.StringType,                              // as valid UTF-8, up to `max_body`
		"truncated":  cel.BoolType,                                // there was more
		"headers":    cel.MapType(cel.StringType, cel.StringType), // those of `show_headers`, in lower case; `""` for one that was not sent
		"json":       cel.DynType,                                 // the decoded body: `json.status == "ok"`; an empty map where it is none
	}
}

func (a *captureAction) Run(ctx context.Context, env *playbook.Env) (*playbook.Outcome, error) {
	req, err := a.request(env)
	if err != nil {
		return nil, err
	}
	got, err := a.get(ctx, req)
	if err != nil {
		return nil, err
	}
	return a.outcome(env, got), nil
}

// request renders the request; it is not yet bound to a context.
func (a *captureAction) request(env *playbook.Env) (*http.Request, error) {
	fail := func(what string, err error) error {
		return &playbook.StepError{Err: fmt.Errorf("%s cannot be written: %w", what, err), NextStep: "Look at the alert's labels and at the step's templates."}
	}
	address, err := a.url.Render(env.Data)
	if err != nil {
		return nil, fail("the URL", err)
	}
	req, err := http.NewRequest(http.MethodGet, address, nil) //nolint:noctx // get binds it
	if err != nil {
		return nil, fail("the request", safetext.WithoutURL(err))
	}
	req.Header.Set("User-Agent", "triagebot")
	for _, h := range a.headers {
		value, err := h.value.Render(env.Data)
		if err != nil {
			return nil, fail("the header "+h.name, err)
		}
		req.Header.Set(h.name, value)
	}
	return req, nil
}
