// Package bytescan finds literals in bytes at memory speed. It is what reads
// gigabytes of logs in a trace lookup: on amd64 with AVX2 it compares two rare
// bytes of the literal at 64 positions at a time, and looks closer only where
// both fit.
package bytescan

import (
	"bytes"
	"fmt"
	"math"
)

// MaxLiteral is the length of the longest literal, in bytes.
const MaxLiteral = 1024

// Searcher finds one or two literals in one pass. It may be used by several
// goroutines at once.
type Searcher struct {
	a, b    literal // b is a copy of a where there is one literal only
	two     bool
	longest int
}

type literal struct {
	text          []byte
	first, second int // offsets in text of its two rarest bytes; the same one for a single byte
}

// New prepares a search for one or two literals, each of 1 to MaxLiteral bytes.
func New(literals ...string) *Searcher {
	if len(literals) != 1 && len(literals) != 2 {
		panic(fmt.Sprintf("bytescan: %d literals; it takes one or two", len(literals)))
	}
	for _, text := range literals {
		if text == "" || len(text) > MaxLiteral {
			panic(fmt.Sprintf("bytescan: a literal of %d bytes; it takes 1 to %d", len(text), MaxLiteral))
		}
	}
	s := &Searcher{a: newLiteral(literals[0])}
	s.b = s.a
	if len(literals) == 2 {
		s.b, s.two = newLiteral(literals[1]), true
	}
	s.longest = max(len(s.a.text), len(s.b.text))
	return s
}

// Longest is the length of the longest literal: two neighbouring pieces of a
// text must share Longest-1 bytes, or what stands across their border is missed.
func (s *Searcher) Longest() int { return s.longest }

func newLiteral(text string) literal {
	l := literal{text: []byte(text)}
	for i := range text {
		if rank(text[i]) < rank(text[l.first]) {
			l.first = i
		}
	}
	best := math.MaxInt
	for i := range text {
		if i != l.first && rank(text[i]) < best {
			best, l.second = rank(text[i]), i
		}
	}
	if len(text) == 1 {
		l.second = l.first
	}
	return l
}

// Search writes to hits the offsets in text, from the given one on and in
// ascending order, at which a literal stands. Literals may overlap. It returns
// how many there are and where to go on: len(text) when all was searched, less
// when hits, which must not be empty, is full.
func (s *Searcher) Search(text []byte, from int, hits []uint32) (n, next int) {
	if len(text) > math.MaxUint32 {
		panic("bytescan: a text of more than 4 GiB")
	}
	var candidates [candidateCap]uint32
	for from < len(text) && n < len(hits) {
		found, end := s.candidates(text, from, candidates[:min(candidateCap, max(len(hits)-n, minCandidates))])
		for _, at := range candidates[:found] {
			if !s.stands(text, int(at)) {
				continue
			}
			if n == len(hits) {
				return n, int(at)
			}
			hits[n] = at
			n++
		}
		from = end
	}
	return n, from
}

func (s *Searcher) stands(text []byte, at int) bool {
	return bytes.HasPrefix(text[at:], s.a.text) || s.two && bytes.HasPrefix(text[at:], s.b.text)
}

const (
	candidateCap = 256
	// The least room that the vector code needs: one block's worth.
	minCandidates = 64
)

// candidates writes offsets at which a literal may stand, all at which one
// does among them, and returns how many and the offset up to which it looked.
func (s *Searcher) candidates(text []byte, from int, out []uint32) (found, end int) {
	if vectors {
		// The last bytes are left to the plain code: vectors must not read
		// beyond the text.
		if blocks := (len(text) - from - s.longest) / 64; blocks > 0 {
			found, done := s.vectorCandidates(text[from:], blocks, out)
			for i := range out[:found] {
				out[i] += uint32(from)
			}
			return found, from + done*64
		}
		return s.plainCandidates(text, from, out)
	}
	return s.plainCandidates(text, from, out)
}

func (s *Searcher) plainCandidates(text []byte, from int, out []uint32) (found, end int) {
	nextA := indexFrom(text, s.a.text, from)
	nextB := len(text)
	if s.two {
		nextB = indexFrom(text, s.b.text, from)
	}
	for at := min(nextA, nextB); at < len(text); at = min(nextA, nextB) {
		if found == len(out) {
			return found, at
		}
		out[found] = uint32(at)
		found++
		if nextA == at {
			nextA = indexFrom(text, s.a.text, at+1)
		}
		if nextB == at {
			nextB = indexFrom(text, s.b.text, at+1)
		}
	}
	return found, len(text)
}

// indexFrom is the offset of the next literal, len(text) when there is none.
func indexFrom(text, literal []byte, from int) int {
	if i := bytes.Index(text[from:], literal); i >= 0 {
		return from + i
	}
	return len(text)
}

// rank orders bytes by how often they stand in JSON logs, the rarest first.
// It decides the speed only.
func rank(c byte) int {
	switch {
	case c >= '0' && c <= '9', c == 'e', c == 't', c == 's':
		return 9
	case c == '"', c == ':', c == ',', c == '_', c == 'a', c == 'r', c == 'o', c == 'n', c == 'i':
		return 8
	case c == 'd', c == 'c', c == 'l', c == 'm', c == 'p', c == 'u', c == '.', c == '-':
		return 6
	case c >= 'a' && c <= 'f', c == 'h', c == 'g', c == ' ', c == '/', c == '{', c == '}':
		return 5
	case c >= 'a' && c <= 'z':
		return 3
	case c == '\\', c == 'T', c == 'Z', c == 'P', c == 'E':
		return 2
	default:
		return 1
	}
}
