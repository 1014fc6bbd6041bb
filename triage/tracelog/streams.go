// What was streamed: tool-call blocks that open and close, and chunks that come
// once, twice or never.

package tracelog

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Block is a tool call that was buffered, by the events of its buffer.
type Block struct {
	Source string    `json:"source"`
	Name   string    `json:"name"` // tool_buffer
	Opened time.Time `json:"opened,omitzero"`
	Closed time.Time `json:"closed,omitzero"`
	End    BlockEnd  `json:"end"`
	Error  string    `json:"error,omitempty"`
}

// BlockEnd is how a block ended.
type BlockEnd string

// The ends of a block.
const (
	BlockCompleted BlockEnd = "completed"
	BlockAborted   BlockEnd = "aborted"
	BlockOpen      BlockEnd = "open"     // no record closes it
	BlockUnopened  BlockEnd = "unopened" // closed, but no record opens it
)

// blocks pairs the events of tool calls. An event closes the block of its name
// that was opened last.
func blocks(records []*Traced) []Block {
	var all []Block
	for _, r := range records {
		thing, m, is := toolEvent(r)
		if !is {
			continue
		}
		if m == opens {
			all = append(all, Block{Source: r.Source, Name: thing, Opened: r.Time, End: BlockOpen})
			continue
		}
		open := len(all) - 1
		for open >= 0 && (all[open].End != BlockOpen || all[open].Source != r.Source || all[open].Name != thing) {
			open--
		}
		end := BlockCompleted
		if m == aborts {
			end = BlockAborted
		}
		if open < 0 {
			open = len(all)
			all = append(all, Block{Source: r.Source, Name: thing})
			if m == closes {
				end = BlockUnopened
			}
		}
		all[open].Closed, all[open].End, all[open].Error = r.Time, end, kept(r.failure())
	}
	return all
}

// toolEvent says what a record tells of a tool call's buffer.
func toolEvent(r *Traced) (thing string, m moment, is bool) {
	thing, m = splitEvent(kept(r.event()))
	return thing, m, m != another && strings.Contains(strings.ToLower(thing), "tool")
}

// Stream is a row of numbered chunks, from one message sent to the next.
type Stream struct {
	Source     string  `json:"source"`
	About      string  `json:"about"` // the request
	Chunks     int     `json:"chunks"`
	Duplicated []Range `json:"duplicated,omitempty"` // numbers that came again, at most maxRanges
	Missing    []Range `json:"missing,omitempty"`    // numbers that never came, likewise
	// How many in all, also beyond maxRanges.
	Duplicates int   `json:"duplicates,omitempty"`
	Misses     int64 `json:"misses,omitempty"`
	Unordered  int   `json:"unordered,omitempty"` // chunks that came after a later one
}

// Range are consecutive numbers, both ends included.
type Range struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// streams reads the chunks' numbers. A stream begins with 0 or 1; the mark at
// its end may be numbered too, so that the loss of what was before it shows.
func streams(records []*Traced) []Stream {
	var streams []Stream
	for _, f := range flows(records, nil) {
		s := newNumbers(f)
		for _, r := range f.records {
			n, _ := r.seq()
			s.add(n, r.chunk())
		}
		if s.Chunks > 0 {
			streams = append(streams, s.judged())
		}
	}
	return streams
}

// flow is the records of one stream.
type flow struct {
	source, about string
	records       []*Traced
	resent        bool // another one began instead
}

// flows parts what is numbered, and what else is of a stream, by streams. What
// begins anew after a message was sent is another stream: numbers from 0 or 1,
// or what isOf says begins. isOf is asked of what has no number; nil takes none
// of it.
func flows(records []*Traced, isOf func(r *Traced) (is, begins bool)) []*flow {
	type place struct{ source, about string }
	var all []*flow
	current := map[place]*flow{}
	sent := map[place]bool{} // since the last of its records
	for _, r := range records {
		at := place{r.Source, r.about()}
		if r.sends() && !r.chunk() {
			sent[at] = true
		}
		n, is := r.seq()
		begins := is && n <= 1
		if !is && isOf != nil {
			is, begins = isOf(r)
		}
		if !is {
			continue
		}
		f := current[at]
		if f == nil || sent[at] && begins {
			if f != nil {
				f.resent = true
			}
			f = &flow{source: at.source, about: at.about}
			current[at], all = f, append(all, f)
		}
		sent[at] = false
		f.records = append(f.records, r)
	}
	return all
}

// numbers are those of a stream's chunks and marks.
type numbers struct {
	Stream
	times   map[int64]int // how often a chunk has a number; 0 for a mark
	highest int64         // of the chunks so far
}

func newNumbers(f *flow) numbers {
	return numbers{Stream: Stream{Source: f.source, About: f.about}, times: map[int64]int{}}
}

func (s *numbers) add(n int64, chunk bool) {
	if !chunk {
		s.times[n] += 0
		return
	}
	s.Chunks++
	if s.times[n]++; s.times[n] == 1 && n < s.highest {
		s.Unordered++
	}
	s.highest = max(s.highest, n)
}

func (s *numbers) judged() Stream {
	sorted := slices.Sorted(maps.Keys(s.times))
	last := min(sorted[0], 1) - 1
	for _, n := range sorted {
		if n > last+1 {
			s.Misses += n - last - 1
			s.Missing = extend(s.Missing, last+1, n-1)
		}
		if again := s.times[n] - 1; again > 0 {
			s.Duplicates += again
			s.Duplicated = extend(s.Duplicated, n, n)
		}
		last = n
	}
	return s.Stream
}

// extend adds numbers to ranges that ascend, as far as there is room.
func extend(ranges []Range, from, to int64) []Range {
	if last := len(ranges) - 1; last >= 0 && from <= ranges[last].To+1 {
		ranges[last].To = max(ranges[last].To, to)
		return ranges
	}
	if len(ranges) == maxRanges {
		return ranges
	}
	return append(ranges, Range{from, to})
}
