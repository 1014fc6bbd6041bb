// Fields as they stand in a raw line: enough to say of most lines, without
// parsing them, that a field cannot have a value that matters.

package tracelog

import (
	"bytes"
	"iter"
	"strings"

	"triagebot/triage/tracelog/bytescan"
)

// rawKey is a field's name as it stands in a line. Where a line has no escape
// that could write a letter of the name, the field's value stands after one of
// the places that values gives, or the line has no such field.
type rawKey struct {
	// literal ends with the name's closing quote. Of a name with dots it is the
	// last part alone, for it may be a nested field's.
	literal string
	nested  bool // a name with dots
}

// newRawKey returns false for names that may be written in too many ways.
func newRawKey(name string) (rawKey, bool) {
	dot := strings.LastIndexByte(name, '.')
	part := name[dot+1:]
	if part == "" || len(part)+len(`""`) > bytescan.MaxLiteral {
		return rawKey{}, false
	}
	for i := range len(part) {
		// Beyond ASCII, invalid UTF-8 reads as U+FFFD, and escapes come in pairs.
		if c := part[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '/' {
			return rawKey{}, false
		}
	}
	if dot >= 0 {
		return rawKey{literal: part + `"`, nested: true}, true
	}
	return rawKey{literal: `"` + part + `"`}, true
}

// values gives what follows each place in a line where the name stands as a
// key, from its value on.
func (k rawKey) values(line []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		literal := []byte(k.literal)
		for {
			i := bytes.Index(line, literal)
			if i < 0 {
				return
			}
			line = line[i+len(literal):]
			if value, ok := afterColon(line); ok && !yield(value) {
				return
			}
		}
	}
}

// leads says whether the line's object surely has the field, as its first.
func (k rawKey) leads(line []byte) bool {
	if k.nested || len(line) == 0 || line[0] != '{' || !bytes.HasPrefix(line[1:], []byte(k.literal)) {
		return false
	}
	_, ok := afterColon(line[1+len(k.literal):])
	return ok
}

// afterColon skips the colon that follows a key. It returns false when there is
// none, so that what looked like a key is a string's value.
func afterColon(rest []byte) ([]byte, bool) {
	if len(rest) > 1 && rest[0] == ':' && rest[1] > ' ' { // as nearly all write it
		return rest[1:], true
	}
	rest = skipSpace(rest)
	if len(rest) == 0 || rest[0] != ':' {
		return nil, false
	}
	return skipSpace(rest[1:]), true
}

func skipSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

// The most of a value that rawText looks at, in bytes.
const mostRaw = 64

// rawText is the scalar that a value begins with, as text gives it of the
// parsed one: empty for what is neither string nor number. It returns false
// when only parsing can tell.
func rawText(value []byte) (text []byte, ok bool) {
	value = value[:min(len(value), mostRaw)]
	if len(value) == 0 {
		return nil, false
	}
	switch c := value[0]; {
	case c == '"':
		for i, c := range value[1:] {
			switch {
			case c == '"':
				return value[1 : 1+i], true
			case c == '\\' || c < ' ' || c >= 0x7f:
				return nil, false
			}
		}
		return nil, false
	case c == '-' || isDigit(c):
		for i, c := range value {
			switch {
			case isDigit(c) || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E':
			case endsNumber(c):
				return value[:i], true
			default:
				return nil, false
			}
		}
		return nil, false
	case c == 'n' || c == 't' || c == 'f' || c == '{' || c == '[':
		return nil, true
	default:
		return nil, false
	}
}

// rawSaysNothing says whether a value surely is one of which Says is false.
func rawSaysNothing(value []byte) bool {
	if len(value) < 2 {
		return false
	}
	switch value[0] {
	case 'n', 'f': // null, false
		return true
	case '"':
		return value[1] == '"'
	case '0':
		return endsNumber(value[1])
	default:
		return false
	}
}

// surelyBelow says whether the number that a value begins with, as a string's
// text or not, is surely less than floor, or is none.
func surelyBelow(value []byte, floor int64) bool {
	i := 0
	if len(value) > 0 && value[0] == '"' {
		i = 1
	}
	first := i
	var n int64
	for i < len(value) && isDigit(value[i]) && i-first < maxDigits {
		n = n*10 + int64(value[i]-'0')
		i++
	}
	// One less, for a fraction of many nines is rounded up.
	if i == first || n >= floor-1 {
		return false
	}
	if i < len(value) && value[i] == '.' {
		for i++; i < len(value) && isDigit(value[i]); i++ {
		}
	}
	return i < len(value) && (endsNumber(value[i]) || value[i] == '"')
}

// A float64 holds integers of this many digits exactly.
const maxDigits = 15

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// endsNumber says whether a byte may follow a number in JSON.
func endsNumber(c byte) bool {
	return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\t' || c == '\r' || c == '\n'
}
