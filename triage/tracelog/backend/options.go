// What all backends have in common: where they are, what is an id in them, and
// how much they may be asked.

package backend

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"triagebot/triage/tracelog"
)

// Defaults of Options.
const (
	DefaultLookBack   = 7 * 24 * time.Hour
	DefaultTimeout    = 15 * time.Second
	DefaultMaxBytes   = 32 << 20
	DefaultMaxRecords = 10_000
)

// Options are what all backends have in common.
type Options struct {
	// Name is the home's name in the configuration, in records and in errors.
	Name string
	// URL is the backend's base URL, with its path prefix where it has one. It
	// may hold credentials and a query string; neither is ever shown.
	URL string
	// Client sends the requests: authentication, TLS, proxy and the header that
	// names a tenant are its own.
	Client *http.Client
	// Keys are the fields, or a span's attributes, that hold the id of a
	// record's own request; Links those that hold the id of another request or
	// of a trace.
	Keys, Links []string
	// Roles name the fields of log lines that mean something to the stitcher,
	// or the attributes of spans where those differ from OpenTelemetry's.
	Roles tracelog.Roles
	// LookBack is how far before now is searched; 0 means DefaultLookBack.
	LookBack time.Duration
	// Timeout bounds one request; 0 means DefaultTimeout.
	Timeout time.Duration
	// MaxBytes bounds one response as decompressed; 0 means DefaultMaxBytes.
	MaxBytes int64
	// MaxRecords bounds the records of one lookup; 0 means DefaultMaxRecords.
	MaxRecords int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// base is the part of a backend that all have.
type base struct {
	*client
	source     tracelog.Source
	idFields   []string // keys, then links
	lookBack   time.Duration
	maxRecords int
	now        func() time.Time
}

// newBase checks the options. kind is the backend's name as people write it.
func newBase(kind string, o Options) (*base, error) {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("trace source %s (%s): %w", o.Name, kind, fmt.Errorf(format, args...))
	}
	// What url.Parse says may repeat the URL, and with it a password.
	address, err := url.Parse(o.URL)
	switch {
	case o.Name == "":
		return nil, fmt.Errorf("a trace source of kind %s has no name; give it one", kind)
	case err != nil, address.Scheme != "http" && address.Scheme != "https", address.Host == "":
		return nil, wrong("its url cannot be read; write it like http://host:port")
	case o.Client == nil:
		return nil, wrong("it has no HTTP client")
	case len(o.Keys) == 0:
		return nil, wrong("it has no keys; name the fields that hold a request's id")
	}
	idFields := slices.Concat(o.Keys, o.Links)
	named := append(slices.Clone(idFields), o.Roles.Time, o.Roles.Duration, o.Roles.Status, o.Roles.Error, o.Roles.Route, o.Roles.ToolCall)
	for i, name := range named {
		if name == "" && i < len(idFields) {
			return nil, wrong("one of its keys or links is empty; remove it")
		}
		if !plainName(name) {
			return nil, wrong("the field name %.80q has a quote, backslash, bracket or control character, which %s cannot be asked for", name, kind)
		}
	}
	b := &base{
		source:     tracelog.Source{Name: o.Name, Keys: slices.Clone(o.Keys), Links: slices.Clone(o.Links), Roles: o.Roles},
		idFields:   idFields,
		lookBack:   positive(o.LookBack, DefaultLookBack),
		maxRecords: positive(o.MaxRecords, DefaultMaxRecords),
		now:        o.Now,
	}
	if b.now == nil {
		b.now = time.Now
	}
	b.client = &client{
		kind:     kind,
		name:     o.Name,
		base:     address,
		http:     o.Client,
		timeout:  positive(o.Timeout, DefaultTimeout),
		maxBytes: positive(o.MaxBytes, DefaultMaxBytes),
	}
	return b, nil
}

func positive[T int | int64 | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// plainName says whether a field's name can be written in every query language
// here. Loki's JSON expressions know no escapes.
func plainName(name string) bool {
	return utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool {
		return r < ' ' || r == 0x7f || strings.ContainsRune("\"'`\\[]", r)
	})
}

// Name is the home's name in the configuration.
func (b *base) Name() string { return b.name }

// maxID is the longest id that is looked for, in bytes.
const maxID = 1 << 10

// checkID refuses what no record can hold as an id.
func checkID(id string) error {
	switch {
	case id == "":
		return errors.New("no id is given")
	case len(id) > maxID:
		return fmt.Errorf("the id has %d bytes, more than the %d of any id", len(id), maxID)
	case !utf8.ValidString(id):
		return fmt.Errorf("the id %.80q is not valid UTF-8, which every record is", id)
	}
	return nil
}
