// Where in a log a window of time is, by binary search: a few dozen small reads
// in place of reading it all.

package tracelog

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

const (
	// mostLate is how much older than a line before it a line may be. Lines are
	// written by many goroutines and processes, but when they happen.
	mostLate = 2 * time.Minute

	// The search stops when it is down to as many bytes; a probe reads as many
	// at first, and more where lines are long.
	probeSize    = 32 << 10
	mostProbed   = 4 << 20
	mostParsed   = 64 << 10 // bytes of a line that a probe parses
	mostTimeless = 500      // lines without a time, after which a probe gives up
	// A probe asks that many lines, so that one with a wrong time misleads none.
	probeLines = 3
	// Probes all over the file, to see whether it is in order at all: it may be
	// two logs one after the other.
	orderProbes = 8
	// Probes that find no time in all that they may read.
	mostFruitless = 4
)

// windowOf is the part of a file, in bytes, that has all lines whose time is
// from one instant to another, both included, as long as no line is more than
// mostLate older than one before it. A zero instant is no bound. Lines without
// a time are no matter. It returns false when that cannot be told: the file
// cannot be read, hardly has times, or is seen not to be in their order.
func windowOf(r io.ReaderAt, size int64, from, to time.Time, s *Source) (lo, hi int64, ok bool) {
	search := timeSearch{r: r, size: size, source: s}
	lo, hi = 0, size
	if !from.IsZero() {
		bound := from.Add(-mostLate)
		search.bisect(0, func(seen sighting) (later bool) {
			if !seen.latest.Before(bound) {
				return false
			}
			lo = seen.off
			return true
		})
	}
	if !to.IsZero() {
		bound := to.Add(mostLate)
		search.bisect(lo, func(seen sighting) (later bool) {
			if !seen.earliest.After(bound) {
				return true
			}
			hi = seen.off
			return false
		})
	}
	search.lookAround()
	if search.failed || len(search.seen) == 0 || !search.inOrder() {
		return 0, 0, false
	}
	return lo, max(lo, hi), true
}

// timeSearch is one search in a file.
type timeSearch struct {
	r      io.ReaderAt
	size   int64
	source *Source

	buf       []byte
	seen      []sighting
	fruitless int
	failed    bool // to read
}

// sighting are the times of the lines at a place.
type sighting struct {
	off              int64 // of the first of them
	earliest, latest time.Time
}

// add takes in the time of a line at an offset.
func (s *sighting) add(off int64, t time.Time) {
	if s.earliest.IsZero() {
		*s = sighting{off: off, earliest: t, latest: t}
		return
	}
	s.off = min(s.off, off)
	if t.Before(s.earliest) {
		s.earliest = t
	}
	if t.After(s.latest) {
		s.latest = t
	}
}

// bisect shows sightings to decide, which says whether to go on at later ones.
// What decide takes from them holds whatever others the search meets.
func (s *timeSearch) bisect(from int64, decide func(sighting) (later bool)) {
	a, b := from, s.size
	for b-a > probeSize && s.fruitless < mostFruitless && !s.failed {
		middle := a + (b-a)/2
		seen, ok := s.probe(middle, b)
		if ok && decide(seen) {
			a = seen.off + 1
		} else {
			b = middle
		}
	}
}

// lookAround probes all over the file, the more densely the nearer to its end,
// and at its end: that is where lines are appended that are of another time.
func (s *timeSearch) lookAround() {
	if s.size <= probeSize {
		return
	}
	for i := range int64(orderProbes) {
		s.probeOnce(s.size / orderProbes * i)
	}
	for left := int64(probeSize); left < s.size/orderProbes; left *= 2 {
		s.probeOnce(s.size - left)
	}
	if s.fruitless < mostFruitless && !s.failed {
		s.probeEnd()
	}
}

func (s *timeSearch) probeOnce(from int64) {
	if s.fruitless < mostFruitless && !s.failed {
		s.probe(from, s.size)
	}
}

// probeEnd looks at the last lines with a time.
func (s *timeSearch) probeEnd() {
	for n := int64(probeSize); ; n *= 4 {
		n = min(n, mostProbed, s.size)
		start := s.size - n
		text, err := s.read(start, n)
		if err != nil {
			return
		}
		seen, lines := s.lastTimes(text, start)
		if lines < probeLines && n < min(mostProbed, s.size) {
			continue
		}
		if lines > 0 {
			s.seen = append(s.seen, seen)
		}
		return
	}
}

// lastTimes reads the times of the last lines of text, which stands at an offset
// and ends with the file. It says how many had one.
func (s *timeSearch) lastTimes(text []byte, at int64) (seen sighting, lines int) {
	end := len(text)
	for timeless := 0; end > 0 && lines < probeLines && timeless < mostTimeless; {
		start := bytes.LastIndexByte(text[:end], '\n') + 1
		if start == 0 && at > 0 {
			break // the line begins before
		}
		if t, ok := s.timeOfLine(text[start:end]); ok {
			seen.add(at+int64(start), t)
			lines++
		} else {
			timeless++
		}
		end = start - 1
	}
	return seen, lines
}

// probe looks at the first lines with a time that start from one offset on and
// before another. It returns false when it finds none.
func (s *timeSearch) probe(from, until int64) (sighting, bool) {
	// The byte before tells whether a line starts at from.
	start := max(from-1, 0)
	for n := int64(probeSize); ; n *= 4 {
		n = min(n, mostProbed, s.size-start)
		text, err := s.read(start, n)
		if err != nil {
			return sighting{}, false
		}
		atEnd := int64(len(text)) < n || start+n >= s.size
		seen, lines, done := s.times(text, start, until)
		if !done && !atEnd && n < mostProbed {
			continue
		}
		if lines > 0 {
			s.seen = append(s.seen, seen)
			return seen, true
		}
		if !done && !atEnd {
			s.fruitless++
		}
		return sighting{}, false
	}
}

// read reads bytes of the file, fewer where it has become shorter. They are valid
// until the next call.
func (s *timeSearch) read(start, n int64) ([]byte, error) {
	if int64(cap(s.buf)) < n {
		s.buf = make([]byte, n)
	}
	read, err := s.r.ReadAt(s.buf[:n], start)
	if err != nil && !errors.Is(err, io.EOF) {
		s.failed = true
		return nil, err
	}
	return s.buf[:read], nil
}

// times reads the times of the first lines that start in text, which stands at
// an offset, and before another. It says how many had one, and whether more of
// the file would make no difference.
func (s *timeSearch) times(text []byte, at, until int64) (seen sighting, lines int, done bool) {
	if at > 0 {
		i := bytes.IndexByte(text, '\n') + 1
		if i == 0 {
			return sighting{}, 0, at+int64(len(text)) >= until
		}
		text, at = text[i:], at+int64(i)
	}
	for timeless := 0; lines < probeLines; {
		if at >= until {
			return seen, lines, true
		}
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			return seen, lines, false
		}
		if t, ok := s.timeOfLine(text[:i]); ok {
			seen.add(at, t)
			lines++
		} else if timeless++; timeless == mostTimeless {
			s.fruitless++
			return seen, lines, true
		}
		text, at = text[i+1:], at+int64(i+1)
	}
	return seen, lines, true
}

func (s *timeSearch) timeOfLine(line []byte) (time.Time, bool) {
	if len(line) > min(s.source.Cap(), mostParsed) {
		return time.Time{}, false
	}
	return s.source.timeOf(line)
}

// inOrder says whether what was seen is in the order of time, but for late
// lines.
func (s *timeSearch) inOrder() bool {
	slices.SortFunc(s.seen, func(a, b sighting) int { return cmp.Compare(a.off, b.off) })
	var latest time.Time
	for _, seen := range s.seen {
		if !latest.IsZero() && seen.latest.Before(latest.Add(-mostLate)) {
			return false
		}
		if seen.earliest.After(latest) {
			latest = seen.earliest
		}
	}
	return true
}

// mtimeSlack is how much older a file's time of change may be than its last
// line: that comes from the clock of who keeps the file, and copies lose it.
const mtimeSlack = time.Hour

// lastWrittenBefore says whether a file was written to for the last time before
// a window that begins at an instant, so that what it holds lies before it. The
// part then says so.
func (f *logFile) lastWrittenBefore(from time.Time, part *Part) bool {
	if from.IsZero() || !f.changed.Before(from.Add(-mtimeSlack)) {
		return false
	}
	part.How, part.Complete = HowWindow, true
	part.Note = fmt.Sprintf("not read: it was written to for the last time at %s, before the window", f.changed.UTC().Format(time.RFC3339))
	return true
}
