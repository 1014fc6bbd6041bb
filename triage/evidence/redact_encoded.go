package evidence

// Secrets behind percent-encoding: a query within a link, a link within that
// query. What is encoded is looked at as it decodes, so that every finder sees
// it in its own shape, and what is found there is masked where it stands.

import "bytes"

// maxEncoded is how often a text may be encoded: a label may hold a link with a
// link in its query, and stands encoded in a generatorURL. What is still encoded
// after that is masked whole.
const maxEncoded = 4

// findEncoded finds the secrets in each word of text that is percent-encoded.
// depth is how often the text around it was decoded.
func (r *Redactor) findEncoded(text []byte, depth int, add func(span)) {
	for i := 0; ; {
		escape := nextEscape(text, i)
		if escape < 0 {
			return
		}
		start, end := encodedWord(text, i, escape)
		word := text[start:end]
		i = end
		if depth == maxEncoded {
			add(span{start: start, end: end, rule: "too-deep"})
			continue
		}
		r.findDecoded(word, start, false, depth, add)
		if bytes.IndexByte(word, '+') >= 0 { // forms write a space so, paths and base64 do not
			r.findDecoded(word, start, true, depth, add)
		}
	}
}

// findDecoded adds the secrets of the word that begins at offset, as spans of
// the text that the word stands in.
func (r *Redactor) findDecoded(word []byte, offset int, plusIsSpace bool, depth int, add func(span)) {
	at, decoded := 0, 0 // the same place in the word as it is and as it decodes
	forward := func(to int) int {
		for ; decoded < to; decoded++ {
			at += escapeLen(word, at)
		}
		return offset + at
	}
	for _, s := range r.findAt(decode(word, plusIsSpace), depth+1) {
		start := forward(s.start)
		add(span{start: start, end: forward(s.end), rule: s.rule})
	}
}

// nextEscape finds the first %XX at i or later; -1 for none.
func nextEscape(text []byte, i int) int {
	for i < len(text) {
		n := bytes.IndexByte(text[i:], '%')
		if n < 0 {
			return -1
		}
		if i += n; escapeLen(text, i) > 1 {
			return i
		}
		i++
	}
	return -1
}

// encodedWord is the word around the escape, which begins no earlier than from:
// what is encoded holds neither space nor quote, only masks.
func encodedWord(text []byte, from, escape int) (start, end int) {
	for start = escape; start > from; start-- {
		if c := text[start-1]; c == '>' {
			n := placeholderBefore(text[from:start])
			if n == 0 {
				break
			}
			start -= n - 1
		} else if endsWord(c) {
			break
		}
	}
	for end = escape; end < len(text); end++ {
		if c := text[end]; c == '<' {
			n := placeholderLen(text[end:])
			if n == 0 {
				break
			}
			end += n - 1
		} else if endsWord(c) {
			break
		}
	}
	return start, end
}

func endsWord(c byte) bool { return isURLEnd(c) && c != '\'' }

// placeholderBefore is the length of the placeholder that b ends with, or 0.
func placeholderBefore(b []byte) int {
	at := bytes.LastIndexByte(b, '<')
	if at < 0 || placeholderLen(b[at:]) != len(b)-at {
		return 0
	}
	return len(b) - at
}

// escapeLen is 3 where an escape stands at i, and 1 elsewhere.
func escapeLen(text []byte, i int) int {
	if text[i] == '%' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]) {
		return 3
	}
	return 1
}

func decode(word []byte, plusIsSpace bool) []byte {
	out := make([]byte, 0, len(word))
	for i := 0; i < len(word); {
		n, c := escapeLen(word, i), word[i]
		switch {
		case n == 3:
			c = unhex(word[i+1])<<4 | unhex(word[i+2])
		case plusIsSpace && c == '+':
			c = ' '
		}
		out = append(out, c)
		i += n
	}
	return out
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
