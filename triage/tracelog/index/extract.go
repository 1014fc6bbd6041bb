// Finding the ids and the summarised fields of lines, at two to three gigabytes
// a second: every key of every object is looked at, however nested or escaped,
// and no line is parsed.

package index

import (
	"bytes"
	"encoding/json"
	"math"
	"math/bits"

	"triagebot/triage/tracelog/bytescan"
)

// line is what was found in one line. Of a key that stands several times, all
// values count; a torn line counts as far as it goes.
type line struct {
	ids []uint64 // hashes, see hashID
	summary
}

// extractor reads lines by a spec. It is not for several goroutines at once.
type extractor struct {
	names   map[string]role
	keys    []key
	first   [256]uint8 // by tail, the first of keys with it, plus one
	maxLine int
	// longest is the most bytes that a name takes with all its letters escaped.
	longest int
	clock   clock
	marks   []uint64
	line    line
}

type key struct {
	text  string // the name with the quote before it
	roles role
	next  uint8 // the next of keys with the same tail, plus one
}

func newExtractor(spec *Spec, parse ParseTime) (*extractor, error) {
	names, err := spec.names()
	if err != nil {
		return nil, err
	}
	e := &extractor{names: names, maxLine: spec.MaxLine, clock: clock{parse: parse}}
	for name, roles := range names {
		k := key{text: `"` + name, roles: roles}
		t := tail(k.text[len(k.text)-1], k.text[len(k.text)-2])
		k.next = e.first[t]
		e.keys = append(e.keys, k)
		e.first[t] = uint8(len(e.keys))
		e.longest = max(e.longest, len(`\u0000`)*len(name))
	}
	return e, nil
}

// tail mixes the last two bytes before a key's closing quote, so that most keys
// that do not matter are passed over by one look.
func tail(last, lastButOne byte) uint8 { return last ^ lastButOne<<3 ^ lastButOne>>5 }

// scan calls each for every line of text, which begins at a line's start and
// ends with a newline, until it returns false. Lines over the longest are left
// out. What each is given is good for the call only.
func (e *extractor) scan(text []byte, each func(start, end int, l *line) bool) {
	if words := (len(text) + 63) / 64; words > len(e.marks) {
		e.marks = make([]uint64, words)
	}
	bytescan.Marks(text, e.marks)
	start := 0
	e.line.reset()
	for word, mask := range e.marks[:(len(text)+63)/64] {
		for ; mask != 0; mask &= mask - 1 {
			at := word<<6 + bits.TrailingZeros64(mask)
			switch text[at] {
			case '"':
				e.plainKey(text, start, at, at+1)
			case '\n':
				if at-start <= e.maxLine && !each(start, at, &e.line) {
					return
				}
				start = at + 1
				e.line.reset()
			case '\\':
				e.escapedKey(text, start, at)
			default:
				e.spacedKey(text, start, at)
			}
		}
	}
}

func (l *line) reset() {
	l.ids = l.ids[:0]
	l.summary = emptySummary
}

// plainKey looks at the key that ends with a quote and is followed by a colon.
func (e *extractor) plainKey(text []byte, start, quote, colon int) {
	if quote-start < 2 {
		return
	}
	for i := e.first[tail(text[quote-1], text[quote-2])]; i != 0; {
		k := &e.keys[i-1]
		if n := len(k.text); quote-start >= n && string(text[quote-n:quote]) == k.text {
			e.value(text, colon+1, k.roles)
			return
		}
		i = k.next
	}
}

// spacedKey looks at a key between whose end and colon there is white space.
func (e *extractor) spacedKey(text []byte, start, space int) {
	quote := space
	for quote > start && isSpace(text[quote]) {
		quote--
	}
	if text[quote] == '"' {
		e.plainKey(text, start, quote, space+1)
	}
}

// escapedKey looks at the string around an escape: letters of a key may be
// written as \u and their number. Names have no quote, so that the nearest
// quotes are those of the string if it is one of them.
func (e *extractor) escapedKey(text []byte, start, backslash int) {
	if !bytes.HasPrefix(text[backslash:], []byte(`\u00`)) {
		return // no ASCII letter
	}
	from := max(start, backslash-e.longest)
	open := bytes.LastIndexByte(text[from:backslash], '"')
	end := bytes.IndexByte(text[backslash:min(len(text), backslash+e.longest+1)], '"')
	if open < 0 || end < 0 {
		return
	}
	open += from
	end += backslash
	colon := skipSpace(text, end+1)
	if text[colon] != ':' {
		return
	}
	var name string
	if json.Unmarshal(text[open:end+1], &name) != nil {
		return
	}
	if roles := e.names[name]; roles != 0 {
		e.value(text, colon+1, roles)
	}
}

// value takes up a field's value, which begins at or after from.
func (e *extractor) value(text []byte, from int, roles role) {
	at := skipSpace(text, from)
	if roles&roleID != 0 {
		if id, ok := scalar(text, at); ok && len(id) > 0 {
			e.line.ids = append(e.line.ids, hashID(id))
		}
	}
	if roles&^roleID != 0 {
		e.line.take(text, at, roles, &e.clock)
	}
}

// scalar is the text of the string or number at an offset, false for any other
// value and for one that does not end in its line. text must have a newline
// at or after the offset.
func scalar(text []byte, at int) ([]byte, bool) {
	switch c := text[at]; {
	case c == '"':
		return stringAt(text, at)
	case c == '-' || isDigit(c):
		return numberAt(text, at), true
	default:
		return nil, false
	}
}

func stringAt(text []byte, at int) ([]byte, bool) {
	n := bytes.IndexByte(text[at+1:], '"')
	if n < 0 {
		return nil, false
	}
	if raw := text[at+1 : at+1+n]; plain(raw) {
		return raw, true
	}
	end := at + 1
	for ; text[end] != '"'; end++ {
		if text[end] == '\\' {
			end++
		}
		if text[end] == '\n' {
			return nil, false
		}
	}
	var value string
	if json.Unmarshal(text[at:end+1], &value) != nil {
		return nil, false
	}
	return []byte(value), true
}

func numberAt(text []byte, at int) []byte {
	end := at
	for c := text[end]; isDigit(c) || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E'; c = text[end] {
		end++
	}
	return text[at:end]
}

func isDigit(c byte) bool { return c-'0' < 10 }

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

// skipSpace stops at the line's end.
func skipSpace(text []byte, at int) int {
	for isSpace(text[at]) {
		at++
	}
	return at
}

// plain says whether a string stands for itself: ASCII without backslashes and
// control characters.
func plain(raw []byte) bool {
	const ones, highs uint64 = 0x0101010101010101, 0x8080808080808080
	// odd has a byte's high bit set where the byte is not plain, and perhaps
	// above such a byte.
	odd := func(w uint64) uint64 {
		backslash := w ^ '\\'*ones
		return (w | (w - ' '*ones) | (backslash - ones)) & highs
	}
	for ; len(raw) >= 8; raw = raw[8:] {
		if odd(load64(raw)) != 0 {
			return false
		}
	}
	return odd(loadTail(raw)|' '*ones<<(8*len(raw))) == 0
}

func load64(b []byte) uint64 {
	_ = b[7]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

// loadTail is the word of fewer than eight bytes.
func loadTail(b []byte) uint64 {
	var w uint64
	for i, c := range b {
		w |= uint64(c) << (8 * i)
	}
	return w
}

// hashID spreads an id over 64 bits. It is part of the files' format.
func hashID(id []byte) uint64 {
	const a, b = 0x9e3779b97f4a7c15, 0xe7037ed1a0b428db
	h := uint64(len(id)) * a
	for ; len(id) >= 8; id = id[8:] {
		h = fold(h^load64(id)^a, b)
	}
	return fold(h^loadTail(id)^a, b^h) ^ h
}

func fold(x, y uint64) uint64 {
	hi, lo := bits.Mul64(x, y)
	return hi ^ lo
}

// summary is what Blocks tells of lines.
type summary struct {
	first, last int64 // nanoseconds since 1970; first > last when no line has a time
	longest     float64
	flags       flags
}

type flags uint64

const (
	flagFailing flags = 1 << iota
	flagToolCall
	flagUnsure
)

var emptySummary = summary{first: math.MaxInt64, last: math.MinInt64, longest: math.Inf(-1)}

func (s *summary) add(o *summary) {
	s.first = min(s.first, o.first)
	s.last = max(s.last, o.last)
	s.longest = max(s.longest, o.longest)
	s.flags |= o.flags
}

// take notes the value at an offset.
func (s *summary) take(text []byte, at int, roles role, c *clock) {
	if roles&(roleError|roleToolCall) != 0 && says(text, at) {
		if roles&roleError != 0 {
			s.flags |= flagFailing
		}
		if roles&roleToolCall != 0 {
			s.flags |= flagToolCall
		}
	}
	if roles&(roleTime|roleDuration|roleStatus) == 0 {
		return
	}
	value, ok := scalar(text, at)
	if !ok || len(value) == 0 {
		return
	}
	if roles&roleTime != 0 {
		switch t, answer := c.read(value); answer {
		case timeRead:
			s.first, s.last = min(s.first, t), max(s.last, t)
		case timeOutOfRange:
			s.flags |= flagUnsure
		case noTime:
		}
	}
	if roles&(roleDuration|roleStatus) == 0 {
		return
	}
	number, ok := decimal(value)
	if roles&roleDuration != 0 {
		if ok {
			s.longest = max(s.longest, number)
		} else {
			s.flags |= flagUnsure
		}
	}
	if roles&roleStatus != 0 && ok && number >= 500 {
		s.flags |= flagFailing
	}
}

// says tells whether a value is anything but null, false, "" and [].
func says(text []byte, at int) bool {
	switch text[at] {
	case '"':
		return text[at+1] != '"'
	case '[':
		return text[skipSpace(text, at+1)] != ']'
	case 'n', 'f', '\n', ',', '}':
		return false
	default:
		return true
	}
}
