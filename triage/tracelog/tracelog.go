// Package tracelog answers one question: what happened to this request? It
// gathers every record of one id from NDJSON logs and from trace and log
// backends, and stitches them into one timeline.
//
// Read on in the order in which an answer comes about: a Home finds records
// (files.go is that of local logs, package backend has the others), stitch.go
// asks all homes and follows links, facts.go derives what the records say
// together, and text.go and its neighbours show it.
package tracelog

import (
	"context"
	"errors"
	"time"
)

// Home is a place where records of requests are kept.
type Home interface {
	// Name is the configured name, for coverage and errors.
	Name() string
	// Find gives all records of the query's id. What could not be searched is
	// said in the coverage, with the rest still answered; an error means that
	// nothing could be searched at all.
	Find(ctx context.Context, q Query) (*Found, error)
	// Pick gives at most p.N ids worth looking at, the best first. A home that
	// cannot tell returns ErrCannotPick.
	Pick(ctx context.Context, p Pick) (*Picked, error)
}

// Query asks for the records of one id.
type Query struct {
	ID string // must be the whole value of one of the home's keys
	// At is around when the request ran; the zero time when nothing is known.
	At time.Time
	// Slack is how far from At a record may be to count as near it; 0 means
	// DefaultSlack. It decides what is searched first, never what is found.
	Slack time.Duration
	// Near stops the search once what is near At has been searched and gave
	// something; the coverage is then not complete.
	Near bool
	// Partial, unless nil, is told what has been found so far as soon as
	// something has, and again as the search goes on. It must not keep it.
	Partial func(*Found)
	// Progress, unless nil, is told of the bytes searched and to be searched.
	Progress func(done, total int64)
}

// DefaultSlack is how far from a hinted time a record may be.
const DefaultSlack = 5 * time.Minute

// Found are the records that a home has of an id.
type Found struct {
	Records  []Record // in the order of Record.Before
	Coverage Coverage
}

// Record is one log line, span or event about a request.
type Record struct {
	Source string    `json:"source"`         // configured name: access, proto, tempo
	File   string    `json:"file,omitempty"` // "" in a backend
	Offset int64     `json:"offset"`         // of its line, in bytes of the file as decompressed
	Time   time.Time `json:"time,omitzero"`  // zero where the record has none that can be read
	// ID is the request that the record itself is about: the value of the first
	// of its source's keys that has one. "" where that cannot be told; it is then
	// taken to be about the id that found it.
	ID string `json:"id,omitempty"`
	// Fields are the record as parsed; numbers are json.Number. A backend's
	// spans have theirs under the names in its Roles.
	Fields map[string]any `json:"-"`
	Raw    []byte         `json:"-"`               // the line as it stands, without its end
	Links  []string       `json:"links,omitempty"` // other ids that the record names
	Roles  *Roles         `json:"-"`               // of its source; never nil
}

// Before is the order of records: by time, then source, file and offset. What
// has no time comes last.
func (r *Record) Before(o *Record) bool { return r.compare(o) < 0 }

// Roles name the fields of a source's records that mean something to the
// stitcher. "" means that the source has no such field. A name with dots
// reaches into nested objects, unless a field has that very name.
type Roles struct {
	Time     string `yaml:"time,omitempty"`      // when the line was written
	Duration string `yaml:"duration,omitempty"`  // of what it reports, which ended at Time
	Unit     string `yaml:"unit,omitempty"`      // of Duration: ns, us, ms (the default) or s
	Status   string `yaml:"status,omitempty"`    // an HTTP status
	Error    string `yaml:"error,omitempty"`     // why it failed
	Route    string `yaml:"route,omitempty"`     // what was asked
	Event    string `yaml:"event,omitempty"`     // what happened, in a word: method, event, span name
	Detail   string `yaml:"detail,omitempty"`    // what more there is to say of Event
	Way      string `yaml:"direction,omitempty"` // send or recv
	Worker   string `yaml:"worker,omitempty"`    // who did it
	Seq      string `yaml:"seq,omitempty"`       // a chunk's number in its stream
	Text     string `yaml:"text,omitempty"`      // of a chunk
	ToolCall string `yaml:"tool_call,omitempty"` // whether it was a tool call
	Retry    string `yaml:"retry_of,omitempty"`  // the id of the request that this one repeats
}

// Pick asks for ids worth looking at.
type Pick struct {
	By     PickBy
	Route  string        // only requests of this route; "" for all
	At     time.Time     // the end of the window; never zero
	Within time.Duration // the window's length; 0 for everything up to At
	N      int           // at most this many, from 1 to MaxPick
}

// PickBy is what makes a request worth looking at.
type PickBy string

// The ways to pick.
const (
	PickSlowest  PickBy = "slowest"   // by duration, the longest first
	PickFailing  PickBy = "failing"   // a status of 500 and more or an error; the latest first
	PickToolCall PickBy = "tool_call" // tool calls: failing ones first, then the latest
)

// ErrCannotPick is returned by a home that cannot tell which requests are
// worth looking at.
var ErrCannotPick = errors.New("cannot pick")

// MaxPick bounds Pick.N.
const MaxPick = 100

// Picked are the ids that a home picked.
type Picked struct {
	Candidates []Candidate // the best first
	Coverage   Coverage
}

// Candidate is a request worth looking at.
type Candidate struct {
	ID       string        `json:"id"`
	Source   string        `json:"source"`
	Time     time.Time     `json:"time"`
	Duration time.Duration `json:"duration,omitempty"` // nanoseconds; 0 where unknown
	Status   int           `json:"status,omitempty"`   // 0 where unknown
	Error    string        `json:"error,omitempty"`
	Route    string        `json:"route,omitempty"`
}

// Coverage says what was searched, so that "nothing found" can be told from
// "not looked at".
type Coverage struct {
	Parts    []Part    `json:"parts"`
	From     time.Time `json:"from,omitzero"` // the window searched; zero for no bound
	To       time.Time `json:"to,omitzero"`
	Complete bool      `json:"complete"` // every part is
}

// Part is one file or backend that was searched, or should have been.
type Part struct {
	Source     string `json:"source"`
	Name       string `json:"name"` // the file's path, or the backend's URL without secrets
	How        How    `json:"how"`
	Bytes      int64  `json:"bytes"`                // read and searched
	Size       int64  `json:"size"`                 // what there is to search, as it was when the lookup began
	Torn       int    `json:"torn,omitempty"`       // lines with the id that are no JSON object
	TooLong    int    `json:"too_long,omitempty"`   // lines over the cap, skipped
	Duplicates int    `json:"duplicates,omitempty"` // lines that another file has too, as copytruncate leaves them
	Complete   bool   `json:"complete"`             // searched to its end, no line too long to be read
	Note       string `json:"note,omitempty"`       // what went wrong or was seen, in a sentence
}

// How is the way in which a part was searched.
type How string

// The ways to search.
const (
	HowIndex   How = "index"   // the index named the lines, the rest past it was scanned
	HowWindow  How = "window"  // only around the hinted time, found by binary search
	HowScan    How = "scan"    // every byte
	HowQuery   How = "query"   // a backend was asked
	HowSkipped How = "skipped" // see Note
)
