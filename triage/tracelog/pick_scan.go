// Finding the few lines of a block that must be parsed to pick from it.
//
// A vector search finds the key that decides: the duration, the status, the
// tool call. Its value, as it stands there, says of nearly every line that it
// cannot beat what has been picked; the rest is parsed, and so is every line
// with an escape that could write the key in another way. So what is picked is
// what parsing every line would pick.

package tracelog

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"triagebot/triage/tracelog/bytescan"
)

// pickScan is how lines of one file are judged for one pick. It does not
// change once made.
type pickScan struct {
	*picker
	source *Source
	file   string
	unit   time.Duration

	// deciding finds the keys that decide, and escapes `\u00`; escapes is nil
	// where deciding finds both. Both are nil when a deciding key's name may be
	// written in so many ways that every line must be parsed.
	deciding *bytescan.Searcher
	escapes  *bytescan.Searcher
	decisive decisiveKeys
	// writes are the bytes that a deciding key's name has.
	writes [256]bool

	// For saying no to a line without parsing it; nil where that cannot be.
	ids   [][]byte
	time  *rawKey
	route []byte
	// What makes a line a failing one; knowsFailing when no other field does.
	failing      decisiveKeys
	knowsFailing bool
}

// decisiveKeys are the keys of which one must have a certain value; nil for
// those that the source has not.
type decisiveKeys struct {
	duration, status, failure, tool *rawKey
}

const escapeLiteral = `\u00`

func newPickScan(p *picker, in *pickInput) *pickScan {
	roles := &in.Source.Roles
	s := &pickScan{picker: p, source: in.Source, file: in.File, unit: roles.DurationUnit()}

	var ok bool
	s.failing, s.knowsFailing = newDecisive(decisiveNames{status: roles.Status, failure: roles.Error})
	switch p.pick.By {
	case PickSlowest:
		s.decisive, ok = newDecisive(decisiveNames{duration: roles.Duration})
	case PickFailing:
		s.decisive, ok = s.failing, s.knowsFailing
	case PickToolCall:
		s.decisive, ok = newDecisive(decisiveNames{tool: roles.ToolCall})
	}
	if ok {
		s.prepareSearch()
	}

	if roles.Time != "" {
		if key, ok := newRawKey(roles.Time); ok {
			s.time = &key
		}
	}
	for _, name := range in.Source.Keys {
		key, ok := newRawKey(name)
		if !ok {
			s.ids = nil
			break
		}
		s.ids = append(s.ids, []byte(key.literal))
	}
	if isPlain(p.pick.Route) {
		s.route = []byte(p.pick.Route)
	}
	return s
}

type decisiveNames struct{ duration, status, failure, tool string }

func newDecisive(names decisiveNames) (keys decisiveKeys, ok bool) {
	ok = true
	key := func(name string) *rawKey {
		if name == "" {
			return nil
		}
		k, plain := newRawKey(name)
		ok = ok && plain
		return &k
	}
	return decisiveKeys{
		duration: key(names.duration), status: key(names.status),
		failure: key(names.failure), tool: key(names.tool),
	}, ok
}

func (s *pickScan) prepareSearch() {
	var literals []string
	for _, k := range []*rawKey{s.decisive.duration, s.decisive.status, s.decisive.failure, s.decisive.tool} {
		if k == nil {
			continue
		}
		literals = append(literals, k.literal)
		for _, c := range []byte(strings.Trim(k.literal, `"`)) {
			s.writes[c] = true
		}
	}
	switch len(literals) {
	case 1:
		s.deciding = bytescan.New(literals[0], escapeLiteral)
	case 2:
		s.deciding, s.escapes = bytescan.New(literals...), bytescan.New(escapeLiteral)
	}
}

// isPlain says whether a text stands in JSON as it is, or with a backslash.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return text != ""
}

// suspect is a line that may have to be parsed: one with a deciding value at
// the offset at in its block, whose duration is at most that given.
type suspect struct {
	at       int
	duration time.Duration
}

const (
	maxSuspects = 4096
	// The longest duration: what is not known may be as long.
	anyDuration = time.Duration(math.MaxInt64)
)

// pickBlock judges blocks of one file, for one goroutine.
type pickBlock struct {
	*pickScan
	torn int

	text     []byte
	base     int64 // of text in its file
	hits     [512]uint32
	suspects []suspect
	lines    []pickLine
	// floor is a number of units that a duration must reach to matter.
	floor int64
}

// pickLine is a line to parse, and the best that it may turn out to be.
type pickLine struct {
	raw   []byte
	place place
}

// judgeAll picks from a block of whole lines.
func (b *pickBlock) judgeAll(text []byte, base int64) {
	b.text, b.base = text, base
	if b.deciding == nil {
		for start := 0; start < len(text); {
			raw := text[start:lineEnd(text, start)]
			b.consider(start, raw, anyDuration)
			b.parseLines()
			start += len(raw) + 1
		}
		return
	}
	b.search(b.deciding)
	if b.escapes != nil {
		b.search(b.escapes)
	}
}

func (b *pickBlock) search(searcher *bytescan.Searcher) {
	b.raiseFloor()
	for from := 0; from < len(b.text); {
		n, next := searcher.Search(b.text, from, b.hits[:])
		for _, at := range b.hits[:n] {
			if duration, ok := b.suspicious(int(at)); ok {
				b.suspect(int(at), duration)
			}
		}
		from = next
	}
	b.parseSuspects()
}

func (b *pickBlock) raiseFloor() {
	b.floor = 0
	if last := b.last.Load(); last != nil {
		b.floor = int64(last.duration / b.unit)
	}
}

// suspicious looks at a hit. If what stands there decides, its line may be a
// candidate of at most this duration.
func (b *pickBlock) suspicious(at int) (time.Duration, bool) {
	rest := b.text[at:]
	if rest[0] == '\\' {
		return anyDuration, b.mayWriteKey(rest)
	}
	keys := &b.decisive
	if keys.duration != nil {
		value, ok := afterColon(rest[len(keys.duration.literal):])
		if !ok || surelyBelow(value, b.floor) {
			return 0, false
		}
		return b.longest(value)
	}
	if keys.tool != nil {
		value, ok := afterColon(rest[len(keys.tool.literal):])
		return anyDuration, ok && !rawSaysNothing(value)
	}
	return anyDuration, keys.status != nil && bytes.HasPrefix(rest, []byte(keys.status.literal)) &&
		maybeStatus(rest[len(keys.status.literal):]) ||
		keys.failure != nil && bytes.HasPrefix(rest, []byte(keys.failure.literal)) &&
			maybeFailure(rest[len(keys.failure.literal):])
}

func maybeStatus(rest []byte) bool {
	// As nearly all stand there: `:200,`
	if len(rest) > 4 && rest[0] == ':' && rest[1] < '5' && isDigit(rest[1]) && isDigit(rest[2]) && isDigit(rest[3]) && rest[4] == ',' {
		return false
	}
	value, ok := afterColon(rest)
	return ok && mayFail(value)
}

func maybeFailure(rest []byte) bool {
	value, ok := afterColon(rest)
	return ok && !rawSaysNothing(value)
}

// mayFail says whether a status may be a failing one.
func mayFail(value []byte) bool {
	if surelyBelow(value, leastFailing) {
		return false
	}
	raw, ok := rawText(value)
	return !ok || readStatus(string(raw)) >= leastFailing
}

// mayWriteKey says whether an escape may be a byte of a deciding key's name.
func (b *pickBlock) mayWriteKey(escape []byte) bool {
	const digits = 2
	if len(escape) < len(escapeLiteral)+digits {
		return true
	}
	c, err := strconv.ParseUint(string(escape[len(escapeLiteral):len(escapeLiteral)+digits]), 16, 8)
	return err != nil || b.writes[c]
}

// longest is the longest that a duration's value may be. It returns false when
// the value is none, or too short to matter.
func (b *pickBlock) longest(value []byte) (time.Duration, bool) {
	raw, ok := rawText(value)
	if !ok {
		return anyDuration, true
	}
	d, ok := readDuration(string(raw), b.unit)
	if !ok {
		return 0, false
	}
	last := b.last.Load()
	return d, last == nil || d >= last.duration
}

// suspect takes a line down, once for all its hits: a line of many megabytes
// may have as many.
func (b *pickBlock) suspect(at int, duration time.Duration) {
	if n := len(b.suspects); n > 0 {
		if prior := &b.suspects[n-1]; bytes.IndexByte(b.text[prior.at:at], '\n') < 0 {
			prior.at, prior.duration = at, max(prior.duration, duration)
			return
		}
		if n == maxSuspects {
			b.parseSuspects()
			b.raiseFloor()
		}
	}
	b.suspects = append(b.suspects, suspect{at, duration})
}

// parseSuspects parses those of the suspects that may still be worth it, the
// most promising first: what they give spares the others.
func (b *pickBlock) parseSuspects() {
	next := 0 // a line's start
	for _, s := range b.suspects {
		start := lineStart(b.text, next, s.at)
		end := lineEnd(b.text, s.at)
		b.consider(start, b.text[start:end], s.duration)
		next = end + 1
	}
	b.suspects = b.suspects[:0]
	b.parseLines()
}

// lineStart is where the line starts that the offset is in, given a line's start
// before it.
func lineStart(text []byte, start, at int) int {
	const near = 1 << 10 // forward is faster than backward, but not from far away
	if at-start > near {
		return start + bytes.LastIndexByte(text[start:at], '\n') + 1
	}
	for {
		i := bytes.IndexByte(text[start:at], '\n')
		if i < 0 {
			return start
		}
		start += i + 1
	}
}

// lineEnd is where the line ends that the offset is in.
func lineEnd(text []byte, at int) int {
	if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
		return at + i
	}
	return len(text)
}

// consider keeps a line for parsing unless it surely is no candidate.
func (b *pickBlock) consider(start int, raw []byte, duration time.Duration) {
	if len(raw) > b.source.Cap() {
		return
	}
	at := place{
		rank:   rank{duration: duration, failing: true, time: b.pick.At},
		source: b.source.Name, file: b.file, offset: b.base + int64(start),
	}
	if b.beats(&at) && b.atBest(raw, &at.rank) && b.beats(&at) {
		b.lines = append(b.lines, pickLine{raw, at})
	}
}

// atBest lowers a rank to the best that the line's other fields allow, as far
// as that can be told without parsing. It returns false when the line surely
// is no candidate.
func (b *pickBlock) atBest(raw []byte, r *rank) bool {
	escaped := bytes.IndexByte(raw, '\\') >= 0
	if b.route != nil && !escaped && !bytes.Contains(raw, b.route) {
		return false
	}
	if escaped && bytes.Contains(raw, []byte(escapeLiteral)) {
		return true
	}
	if b.ids != nil && !slices.ContainsFunc(b.ids, func(key []byte) bool { return bytes.Contains(raw, key) }) {
		return false
	}
	if b.time != nil {
		latest, ok, known := b.latest(raw)
		if known && !ok {
			return false
		}
		if known {
			r.time = latest
		}
	}
	if b.pick.By == PickToolCall && b.knowsFailing {
		r.failing = b.failing.mayHold(raw)
	}
	return true
}

// latest is the latest time in the window that the line may have; ok is false
// when it has none that is in the window, known when that can be told.
func (b *pickBlock) latest(raw []byte) (latest time.Time, ok, known bool) {
	// The line may have no time, however many of its nested objects do.
	ok = b.inWindow(time.Time{}) && !b.time.leads(raw)
	for value := range b.time.values(raw) {
		t, read := rawTime(value)
		if !read {
			return time.Time{}, false, false
		}
		if b.inWindow(t) {
			ok = true
			if t.After(latest) {
				latest = t
			}
		}
	}
	return latest, ok, true
}

// rawTime reads a time as fieldTime does; zero where it is none. It returns
// false when only parsing the line can tell.
func rawTime(value []byte) (time.Time, bool) {
	raw, ok := rawText(value)
	if !ok {
		return time.Time{}, false
	}
	// What has a dash here is no number: spare ParseTime the attempts.
	if len(raw) > 10 && raw[4] == '-' {
		if t, err := time.Parse(time.RFC3339Nano, string(raw)); err == nil {
			return t, true
		}
	}
	t, err := ParseTime(string(raw))
	if err != nil {
		return time.Time{}, true
	}
	return t, true
}

// mayHold says whether one of the keys for failing may say so.
func (k *decisiveKeys) mayHold(raw []byte) bool {
	if k.status != nil {
		for value := range k.status.values(raw) {
			if mayFail(value) {
				return true
			}
		}
	}
	if k.failure != nil {
		for value := range k.failure.values(raw) {
			if !rawSaysNothing(value) {
				return true
			}
		}
	}
	return false
}

// parseLines parses the lines kept, the most promising first, until none can
// beat what has been picked.
func (b *pickBlock) parseLines() {
	slices.SortFunc(b.lines, func(x, y pickLine) int { return b.compare(&x.place, &y.place) })
	for _, line := range b.lines {
		if !b.beats(&line.place) {
			break
		}
		b.parse(line)
	}
	clear(b.lines)
	b.lines = b.lines[:0]
}

func (b *pickBlock) parse(line pickLine) {
	if len(bytes.TrimSpace(line.raw)) == 0 {
		return
	}
	c, torn, ok := b.judge(b.source, line.raw)
	if torn {
		b.torn++
	}
	if ok {
		b.offer(ranked{c, place{c.rank(), b.source.Name, b.file, line.place.offset}})
	}
}
