package evidence

// Keeping JSON valid: a secret found by its look knows nothing of JSON's
// quotes and escapes, so what is found is cut to fit them.

import "bytes"

// clipToStrings cuts spans so that replacing them leaves the JSON document
// text valid: within string literals, and there at whole escapes. A span that
// replaces a number by a string stays as it is.
func clipToStrings(text []byte, spans []span) []span {
	out := make([]span, 0, len(spans))
	done := 0 // where the last of out ends
	lit := nextLiteral(text, 0)
	for _, s := range spans {
		for lit.found && lit.end <= s.start {
			lit = nextLiteral(text, lit.end+1)
		}
		if !lit.found || lit.start >= s.end {
			if s.quote == `"` && isNumber(text[s.start:s.end]) {
				out = append(out, s)
			}
			continue
		}
		for l := lit; l.found && l.start < s.end; l = nextLiteral(text, l.end+1) {
			piece := span{rule: s.rule}
			start := max(l.start, done) // at no escape's middle either
			if start >= min(s.end, l.end) {
				continue
			}
			piece.start, piece.end = wholeEscapes(text, start, l.end, max(s.start, start), min(s.end, l.end))
			if s.quote != `"` && piece.start == s.start && piece.end == s.end {
				piece.quote = s.quote
			}
			if piece.start < piece.end && !harmless(text[piece.start:piece.end]) {
				out = append(out, piece)
				done = piece.end
			}
		}
	}
	return out
}

// literal is the content of a JSON string, without its quotes.
type literal struct {
	start, end int
	found      bool
}

// nextLiteral finds the first literal that begins at i or later; i is in none.
func nextLiteral(text []byte, i int) literal {
	if i >= len(text) {
		return literal{}
	}
	quote := bytes.IndexByte(text[i:], '"')
	if quote < 0 {
		return literal{}
	}
	start := i + quote + 1
	end := start
	for end < len(text) && text[end] != '"' {
		if text[end] == '\\' {
			end++
		}
		end++
	}
	return literal{start: start, end: min(end, len(text)), found: true}
}

func isNumber(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && bytes.IndexByte([]byte("+-.eE"), c) < 0 {
			return false
		}
	}
	return true
}

// wholeEscapes widens from and to, within the literal content start to end, to
// where an escape begins and ends.
func wholeEscapes(text []byte, start, end, from, to int) (wideFrom, wideTo int) {
	wideFrom, wideTo = from, to
	for i := start; i < end; {
		n := 1
		if text[i] == '\\' {
			n = 2
			if i+1 < end && text[i+1] == 'u' {
				n = 6
			}
		}
		if i < from && from < i+n {
			wideFrom = i
		}
		if i < to && to < i+n {
			wideTo = i + n
		}
		if i >= to {
			break
		}
		i += n
	}
	return wideFrom, wideTo
}
