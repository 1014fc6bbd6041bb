// What of a log's lines is indexed, and what the index knows a log by.

package index

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Spec says what of a source's lines is indexed. A log has an index for each
// spec that it is updated with; another spec does not see it.
//
// A name with dots reaches into nested objects. It is indexed by its last
// part, wherever that stands, which gives lines too many and never too few.
type Spec struct {
	// Keys are the fields whose value is an id.
	Keys []string
	// MaxLine is the longest line that is indexed, in bytes without its end;
	// longer ones are skipped.
	MaxLine int

	// Fields that are summarised for Blocks; "" for none.
	Time     string // see Options.ParseTime
	Duration string // a number
	Status   string // an HTTP status; 500 and more is a failure
	Error    string // a failure unless it is missing, null, false, "" or []
	ToolCall string // a tool call unless it is missing, null, false, "" or []
}

// role is what a field is to the index; several roles may be one field's.
type role uint8

const (
	roleID role = 1 << iota
	roleTime
	roleDuration
	roleStatus
	roleError
	roleToolCall
)

// maxNames bounds the names that an extractor tells apart.
const maxNames = 250

// names are all keys that matter, as they stand in an object, and why.
func (s *Spec) names() (map[string]role, error) {
	names := map[string]role{}
	add := func(name string, r role) error {
		for _, c := range []byte(name) {
			if c < ' ' || c > '~' || strings.IndexByte(`"\/`, c) >= 0 {
				// Such a name may be written in too many ways to be searched for.
				return fmt.Errorf("index: the field name %q cannot be indexed: it has a character other than plain ASCII, or one of \" \\ /", name)
			}
		}
		// A field may have the very name, dots and all; so may a part of it.
		for {
			names[name] |= r
			_, rest, dotted := strings.Cut(name, ".")
			if !dotted {
				return nil
			}
			name = rest
		}
	}
	var errs []error
	for _, key := range s.Keys {
		errs = append(errs, add(key, roleID))
	}
	for _, f := range s.summarised() {
		if f.name != "" {
			errs = append(errs, add(f.name, f.role))
		}
	}
	delete(names, "") // of "a.", which no line can have
	switch {
	case errors.Join(errs...) != nil:
		return nil, errors.Join(errs...)
	case len(s.Keys) == 0:
		return nil, errors.New("index: no key to index; name at least one")
	case s.MaxLine <= 0:
		return nil, fmt.Errorf("index: a longest line of %d bytes; it takes 1 or more", s.MaxLine)
	case len(names) > maxNames:
		return nil, fmt.Errorf("index: %d field names; it takes up to %d", len(names), maxNames)
	}
	return names, nil
}

type summarisedField struct {
	name string
	role role
}

func (s *Spec) summarised() []summarisedField {
	return []summarisedField{
		{s.Time, roleTime},
		{s.Duration, roleDuration},
		{s.Status, roleStatus},
		{s.Error, roleError},
		{s.ToolCall, roleToolCall},
	}
}

// digest tells specs apart.
type digest [16]byte

func (s *Spec) digest() digest {
	same := *s
	same.Keys = slices.Sorted(slices.Values(s.Keys))
	text, err := json.Marshal(same)
	if err != nil {
		panic(err) // strings and a number
	}
	return sum(text)
}

func sum(text []byte) digest {
	full := sha256.Sum256(text)
	return digest(full[:16])
}

func (d digest) String() string { return hex.EncodeToString(d[:]) }
