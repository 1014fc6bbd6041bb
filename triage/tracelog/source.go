// A source: one kind of local log, and how its lines are read.

package tracelog

import "slices"

// Source is one kind of local log.
type Source struct {
	Name  string
	Files []string // globs
	// Keys are the fields whose value is the id of the line's own request.
	Keys []string
	// Links are fields whose value is the id of another request or of the trace
	// that this one is part of. An id is found under them as well.
	Links []string
	Roles Roles
	// Format is how the lines are written; "" means FormatNDJSON. Those of
	// FormatPlain have no fields, and so no keys, links or roles.
	Format Format
	// TimeLayout is how a plain line's time is written, as package time has it;
	// "" means one of the usual ways.
	TimeLayout string
	// MaxLine is the longest line that is read, in bytes; 0 means DefaultMaxLine.
	MaxLine int
}

// DefaultMaxLine is the longest line that is read, in bytes.
const DefaultMaxLine = 16 << 20

// Read makes a record of a line. It returns false when the line is not of the
// id. A line that is no JSON object is of no id that could be told; torn says
// that it was so.
func (s *Source) Read(line []byte, id string) (r Record, torn, ok bool) {
	fields, err := s.parse(line)
	if err != nil {
		return Record{}, true, false
	}
	var links []string
	for _, name := range s.idFields() {
		v, _ := Field(fields, name)
		switch value := text(v); {
		case value == "":
		case value == id:
			ok = true
		case !slices.Contains(links, value):
			links = append(links, value)
		}
	}
	if !ok {
		return Record{}, false, false
	}
	r = Record{Source: s.Name, ID: s.own(fields), Fields: fields, Raw: line, Links: links, Roles: &s.Roles}
	r.Time, _ = fieldTime(fields, s.Roles.Time)
	return r, false, true
}

// own is the id of the request that a line is about.
func (s *Source) own(fields map[string]any) string {
	for _, name := range s.Keys {
		v, _ := Field(fields, name)
		if id := text(v); id != "" {
			return id
		}
	}
	return ""
}

// idFields are all fields whose value may be the id that is looked for.
func (s *Source) idFields() []string {
	return slices.Concat(s.Keys, s.Links)
}

// Cap is the longest line that is read, in bytes.
func (s *Source) Cap() int {
	if s.MaxLine > 0 {
		return s.MaxLine
	}
	return DefaultMaxLine
}
