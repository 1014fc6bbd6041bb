// Stitching: all homes are asked for an id and for the ids that its records
// name, and what they have becomes one trace.

package tracelog

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"triagebot/triage/tracelog/bytescan"
)

// The bounds of one lookup. Without an index every id costs a scan of every
// log, and a trace id may be shared by a session of thousands of requests: a
// chain of retries is followed to its end in practice, a session is not.
const (
	maxRounds = 4  // the id itself, then thrice the ids that the records found name
	maxIDs    = 16 // asked for, the id itself among them
	maxAsking = 16 // lookups under way at a time, over all homes
)

// StitchOptions are what a caller may ask of Stitch beyond the trace.
type StitchOptions struct {
	// Partial, unless nil, is told what is known so far each time a home has
	// something; such a trace is never complete. It is called by one goroutine at
	// a time, not once Stitch has returned, and may keep the trace.
	Partial func(*Trace)
}

// Trace is everything that the homes have of one request.
type Trace struct {
	ID string `json:"id"` // that was asked for
	// Links say how each further id was reached. Their From is ID or the To of a
	// link that stands before.
	Links      []Link   `json:"links,omitempty"`
	Records    []Traced `json:"records"`              // in the order of Record.Before
	LeftOut    int      `json:"left_out,omitempty"`   // records beyond the bounds, from the middle
	Unfollowed int      `json:"unfollowed,omitempty"` // ids that the records name, but that were too many to be asked for
	Coverage   Coverage `json:"coverage"`
}

// Link is a record of one id that names another.
type Link struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Source string `json:"source"`          // of the record
	Field  string `json:"field,omitempty"` // "" where it cannot be told
}

// Traced is a record of a trace, and why it is part of it.
type Traced struct {
	Record
	// FoundBy is the id that was asked for when the record was found; "" for
	// context. Trace.Path says how that id was reached.
	FoundBy string `json:"found_by,omitempty"`
	// Context marks an event of a worker that handled the request, while it did.
	// It names no id.
	Context bool `json:"context,omitempty"`
}

// about is the request that the record is about; "" for context.
func (r *Traced) about() string {
	if r.Context || r.ID == "" {
		return r.FoundBy
	}
	return r.ID
}

// Path is how an id was reached from the one asked for, which has none.
func (t *Trace) Path(id string) []Link {
	for i, link := range t.Links {
		if link.To == id {
			before := Trace{ID: t.ID, Links: t.Links[:i]}
			return append(before.Path(link.From), link)
		}
	}
	return nil
}

// Complete says that the trace is all there is: every home was searched to its
// end, every id followed, and nothing left out.
func (t *Trace) Complete() bool {
	return t.Coverage.Complete && t.LeftOut == 0 && t.Unfollowed == 0
}

// Stitch asks all homes at once for the query's id, follows the ids that the
// records name, and adds what befell the workers meanwhile. A home that fails
// costs only its own records and is a skipped part of the coverage; an error
// means that none could be searched for the query's id. q.Partial is not used;
// q.Progress is told the sums over all homes.
func Stitch(ctx context.Context, homes []Home, q Query, opts StitchOptions) (*Trace, error) {
	switch {
	case q.ID == "":
		return nil, errors.New("look up a trace: no id is given")
	case len(homes) == 0:
		return nil, errors.New("look up a trace: there is nothing to search; configure a source or name a log file")
	}
	s := &stitcher{homes: homes, query: q, opts: opts}
	next := []ask{{id: q.ID, at: q.At}}
	for range maxRounds {
		s.askAll(ctx, next)
		if err := s.failed(); err != nil {
			return nil, fmt.Errorf("look up the trace of %.80q: %w", q.ID, err)
		}
		if next = s.follow(); len(next) == 0 {
			break
		}
	}
	s.mu.Lock()
	s.unfollowed += len(next) // of the round that is one too many
	s.links = s.links[:len(s.links)-len(next)]
	s.mu.Unlock()
	s.askAround(ctx)
	return s.trace(), nil
}

// follow gives what is to be asked for next: the ids that the records name and
// that have not been asked for, as far as there is room.
func (s *stitcher) follow() []ask {
	t := s.trace()
	known := map[string]bool{s.query.ID: true}
	for _, link := range s.links {
		known[link.To] = true
	}
	var next []ask
	s.unfollowed = 0
	for _, r := range t.Records {
		for _, id := range r.Links {
			if known[id] || !followable(id) {
				continue
			}
			known[id] = true
			if len(s.links)+1 >= maxIDs {
				s.unfollowed++
				continue
			}
			s.links = append(s.links, Link{From: r.FoundBy, To: id, Source: r.Source, Field: r.fieldOf(id)})
			at := r.Time
			if at.IsZero() {
				at = s.query.At
			}
			next = append(next, ask{id: id, at: at})
		}
	}
	return next
}

// followable tells an id from the placeholders that stand where a record has
// none, such as the trace id of zeros of an untraced request, and from what no
// home could look up.
func followable(id string) bool {
	return len(id) <= bytescan.MaxLiteral && strings.Trim(id, "0-") != ""
}

// fieldOf is the field under which the record names the id, "" where that
// cannot be told.
func (r *Record) fieldOf(id string) string {
	if v, _ := Field(r.Fields, r.Roles.Retry); text(v) == id {
		return r.Roles.Retry
	}
	first := ""
	for name, v := range r.Fields {
		if text(v) == id && (first == "" || name < first) {
			first = name
		}
	}
	return first
}
