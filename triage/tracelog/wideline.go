// Lines with very many values, such as one of 15 MB that lists five million
// numbers. Parsed whole, each value takes thirty times its bytes in memory; of
// such a line only what its source names is kept.

package tracelog

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"unicode/utf8"
)

const (
	// mostValues is how many values a line may have and be parsed whole.
	mostValues = 1 << 15
	// mostOthers is how many fields are kept of a line with more, besides what is
	// named.
	mostOthers = 1000
	// unkept stands for what is in an object or a list and was not kept.
	unkept = "too many values to be kept"
)

// parse reads a line as ParseObject does. Of one with too many values it keeps
// the fields that the source names and some others. An object or a list among
// them that itself has too many is not empty, and holds no more of its own than
// is named.
func (s *Source) parse(line []byte) (map[string]any, error) {
	if !isWide(line) {
		return ParseObject(line)
	}
	line = bytes.Trim(line, "\x00 \t\r\n")
	switch {
	case !json.Valid(line):
		return nil, errors.New("it is no JSON, or something follows the object")
	case line[0] != '{':
		return nil, errors.New("it is no object")
	}
	return narrowed(line, s.named(), mostOthers)
}

// isWide says whether JSON may have more than mostValues values: one more than
// commas, and others only as deep as parsing goes.
func isWide(raw []byte) bool {
	return len(raw) > mostValues && bytes.Count(raw, []byte(",")) > mostValues
}

// named are the names of the fields that mean something.
func (s *Source) named() []string {
	r := &s.Roles
	return append(s.idFields(), r.Time, r.Duration, r.Status, r.Error, r.Route, r.Event, r.Detail, r.Way, r.Worker, r.Seq, r.Text, r.ToolCall, r.Retry)
}

// narrowed reads an object, valid JSON, of which it keeps what is named and so
// many others.
func narrowed(object []byte, names []string, others int) (map[string]any, error) {
	type member struct {
		value []byte
		inner []string // names
	}
	kept := map[string]*member{}
	for key, value := range members(object) {
		name := keyName(key)
		if again := kept[string(name)]; again != nil { // the last one counts
			again.value = value
			continue
		}
		inner, isNamed := within(names, name)
		if !isNamed {
			if others == 0 {
				continue
			}
			others--
		}
		kept[string(name)] = &member{value, inner}
	}
	fields := make(map[string]any, len(kept))
	for name, m := range kept {
		v, err := narrowedValue(m.value, m.inner)
		if err != nil {
			return nil, err
		}
		fields[name] = v
	}
	return fields, nil
}

// within are the names, without that of a field, of what is looked for in it;
// named says whether the field is looked for at all.
func within(names []string, field []byte) (inner []string, named bool) {
	for _, name := range names {
		n := len(field)
		switch {
		case name == "" || len(name) < n || name[:n] != string(field):
		case len(name) == n:
			// What an error's object has to say.
			inner, named = append(inner, "type", "message"), true
		case name[n] == '.':
			inner, named = append(inner, name[n+1:]), true
		}
	}
	return inner, named
}

func narrowedValue(value []byte, names []string) (any, error) {
	switch {
	case !isWide(value):
		dec := json.NewDecoder(bytes.NewReader(value))
		dec.UseNumber()
		var v any
		err := dec.Decode(&v)
		return v, err
	case value[0] == '[':
		return []any{unkept}, nil
	}
	fields, err := narrowed(value, names, 0)
	if err == nil && len(fields) == 0 {
		fields[unkept] = true
	}
	return fields, err
}

// keyName is the name that a key, with its quotes, writes. The key is valid.
func keyName(key []byte) []byte {
	if !slices.ContainsFunc(key, func(c byte) bool { return c == '\\' || c >= utf8.RuneSelf }) {
		return key[1 : len(key)-1]
	}
	var name string
	_ = json.Unmarshal(key, &name) // of a valid string it cannot fail
	return []byte(name)
}

// members gives the keys and values of an object that is valid JSON.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		rest := skipJSONSpace(object[1:])
		for rest[0] == '"' {
			n := valueLen(rest)
			key := rest[:n]
			rest = skipJSONSpace(rest[n:])
			rest = skipJSONSpace(rest[1:]) // the colon
			n = valueLen(rest)
			if !yield(key, rest[:n]) {
				return
			}
			rest = skipJSONSpace(rest[n:])
			if rest[0] != ',' {
				return
			}
			rest = skipJSONSpace(rest[1:])
		}
	}
}

func skipJSONSpace(b []byte) []byte { return bytes.TrimLeft(b, " \t\r\n") }

// valueLen is the length of the value that valid JSON begins with.
func valueLen(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i += stringLen(b[i:]) - 1
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return i // of the object that the value is in
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return len(b)
}

// stringLen is the length of the string that b begins with, quotes and all.
func stringLen(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}
