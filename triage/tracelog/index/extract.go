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
	text string // the name with the quote before it
	// The last bytes of text, up to eight, as load64 has them, and which of
	// them there are.
	end, mask uint64
	roles     role
	next      uint8 // the next of keys with the same tail, plus one
}

func newKey(name string, roles role) key {
	k := key{text: `"` + name, roles: roles}
	var last [8]byte
	n := copy(last[max(0, 8-len(k.text)):], k.text[max(0, len(k.text)-8):])
	k.end, k.mask = load64(last[:]), ^uint64(0)<<(8*(8-n))
	return k
}

func newExtractor(spec *Spec, parse ParseTime) (*extractor, error) {
	names, err := spec.names()
	if err != nil {
		return nil, err
	}
	e := &extractor{names: names, maxLine: spec.MaxLine, clock: clock{parse: parse}}
	for name, roles := range names {
		k := newKey(name, roles)
		t := tail(k.end)
		k.next = e.first[t]
		e.keys = append(e.keys, k)
		e.first[t] = uint8(len(e.keys))
		e.longest = max(e.longest, len(`\u0000`)*len(name))
	}
	return e, nil
}

// tail mixes the last two of eight bytes, so that most keys that do not matter
// are passed over by one look.
func tail(word uint64) uint8 { return uint8(word>>56) ^ uint8(word>>45) }

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
				if word := wordBefore(text, at); e.first[tail(word)] != 0 {
					e.plainKey(text, word, at, at+1)
				}
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

// plainKey looks at the key that ends with a quote, given the word before that,
// and is followed by a colon.
func (e *extractor) plainKey(text []byte, word uint64, quote, colon int) {
	for i := e.first[tail(word)]; i != 0; {
		k := &e.keys[i-1]
		if (word^k.end)&k.mask == 0 && (len(k.text) <= 8 || bytes.HasSuffix(text[:quote], []byte(k.text))) {
			e.value(text, colon+1, k.roles)
			return
		}
		i = k.next
	}
}

// wordBefore are the eight bytes before an offset, fewer at the text's begin.
func wordBefore(text []byte, at int) uint64 {
	if at >= 8 {
		return load64(text[at-8:])
	}
	return loadTail(text[:at]) << (8 * (8 - at))
}

// spacedKey looks at a key between whose end and colon there is white space.
func (e *extractor) spacedKey(text []byte, start, space int) {
	quote := space
	for quote > start && isSpace(text[quote]) {
		quote--
	}
	if text[quote] == '"' {
		e.plainKey(text, wordBefore(text, quote), quote, space+1)
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
		if hash, ok := idAt(text, at); ok {
			e.line.ids = append(e.line.ids, hash)
		}
	}
	if roles&^roleID != 0 {
		e.line.take(text, at, roles, &e.clock)
	}
}

// idAt is the hash of the string or number at an offset, false where no id
// stands.
func idAt(text []byte, at int) (uint64, bool) {
	if text[at] == '"' {
		if hash, n, ok := hashPlain(text[at+1:]); ok {
			return hash, n > 0
		}
	}
	id, ok := scalar(text, at)
	return hashID(id), ok && len(id) > 0
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

const eachByte = 0x0101010101010101

// odd has the high bit set of each byte that is a backslash, a control
// character or no ASCII, and perhaps of bytes above such a one.
func odd(word uint64) uint64 {
	backslash := word ^ '\\'*eachByte
	return (word | (word - ' '*eachByte) | (backslash - eachByte)) & (0x80 * eachByte)
}

// plain says whether a string stands for itself.
func plain(raw []byte) bool {
	for ; len(raw) >= 8; raw = raw[8:] {
		if odd(load64(raw)) != 0 {
			return false
		}
	}
	return odd(loadTail(raw)|' '*eachByte<<(8*len(raw))) == 0
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
	hash, n := uint64(0), len(id)
	for ; len(id) >= 8; id = id[8:] {
		hash = fold(hash^load64(id)^hashA, hashB)
	}
	return lastFold(hash, loadTail(id), n)
}

// hashPlain does hashID for a string that stands for itself and ends with a
// quote. It returns false for any other, and near the text's end.
func hashPlain(text []byte) (hash uint64, length int, ok bool) {
	for ; len(text)-length >= 8; length += 8 {
		word := load64(text[length:])
		quote := word ^ '"'*eachByte
		ends := odd(word) | (quote-eachByte)&(0x80*eachByte)
		if ends == 0 {
			hash = fold(hash^word^hashA, hashB)
			continue
		}
		n := bits.TrailingZeros64(ends) / 8
		if text[length+n] != '"' {
			return 0, 0, false
		}
		return lastFold(hash, word&(1<<(8*n)-1), length+n), length + n, true
	}
	return 0, 0, false
}

const hashA, hashB = 0x9e3779b97f4a7c15, 0xe7037ed1a0b428db

func lastFold(hash, word uint64, length int) uint64 {
	return fold(fold(hash^word^hashA, hashB)^uint64(length), hashA)
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
	if roles&roleTime != 0 {
		s.takeTime(text, at, c)
	}
	if roles&(roleDuration|roleStatus) != 0 {
		s.takeNumber(text, at, roles)
	}
	if roles&(roleError|roleToolCall) != 0 && says(text, at) {
		if roles&roleError != 0 {
			s.flags |= flagFailing
		}
		if roles&roleToolCall != 0 {
			s.flags |= flagToolCall
		}
	}
}

func (s *summary) takeTime(text []byte, at int, c *clock) {
	t, answer := int64(0), timeRead
	if again, ok := c.again(text[at:]); ok {
		t = again
	} else if value, ok := scalar(text, at); ok && len(value) > 0 {
		t, answer = c.read(value)
	} else {
		return
	}
	switch answer {
	case timeRead:
		s.first, s.last = min(s.first, t), max(s.last, t)
	case timeOutOfRange:
		s.flags |= flagUnsure
	case noTime:
	}
}

func (s *summary) takeNumber(text []byte, at int, roles role) {
	if roles&roleDuration == 0 && likelyStatus(text[at:]) {
		if text[at] >= '5' {
			s.flags |= flagFailing
		}
		return
	}
	number, ok := plainDecimal(text[at:])
	if !ok {
		value, is := scalar(text, at)
		if !is || len(value) == 0 {
			return
		}
		if number, ok = decimal(value); !ok && roles&roleDuration != 0 {
			s.flags |= flagUnsure
		}
	}
	if ok && roles&roleDuration != 0 {
		s.longest = max(s.longest, number)
	}
	if ok && roles&roleStatus != 0 && number >= 500 {
		s.flags |= flagFailing
	}
}

// likelyStatus says whether text begins with a number of three digits.
func likelyStatus(text []byte) bool {
	return len(text) > 3 && isDigit(text[0]) && isDigit(text[1]) && isDigit(text[2]) && (text[3] == ',' || text[3] == '}')
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
