package evidence

// What stands under a telling name: JSON keys, form and query parameters,
// headers, logfmt, YAML and environment files. One scan finds every separator,
// looks at the name before it and then for where its value ends. Where that
// is in doubt it masks too much rather than too little.

import (
	"bytes"
	"strings"
)

// field is a name with a separator, as found in a text.
type field struct {
	rule   string
	name   int  // where the name begins, its quote not counted
	quote  byte // around the name; 0 for none
	level  int  // backslashes before that quote: 1 in JSON within a JSON string
	header bool // its value may go on to the end of the line: Cookie, Authorization
	colon  bool // the separator is a colon
	spaced bool // there was space before the separator
}

const (
	maxFieldName   = 80   // bytes looked at for a name
	maxQuotedValue = 4096 // bytes after which an unclosed quote is given up on
	maxNested      = 64   // brackets followed within a value
)

func findFields(text []byte, add func(span)) {
	for i := 0; i < len(text); i++ {
		n := separator(text, i)
		if n == 0 {
			continue
		}
		end := i + n
		if f, ok := fieldBefore(text, i); ok {
			f.colon = text[i] == ':' && n == 1
			end = max(end, findValue(text, i+n, f, add))
		}
		i = end - 1 // never twice over a value, or hostile text would take for ever
	}
}

// separator is the length of the separator between name and value at i, or 0.
func separator(text []byte, i int) int {
	next := byte(0)
	if i+1 < len(text) {
		next = text[i+1]
	}
	switch text[i] {
	case ':':
		switch {
		case next == '=':
			return 2 // Go
		case next == ':', bytes.HasPrefix(text[i+1:], []byte("//")):
			return 0
		}
		return 1
	case '=':
		switch next {
		case '=', '~':
			return 0 // a comparison, as in PromQL
		case '>':
			return 2 // Ruby, PHP
		}
		return 1
	case '\\': // = as encoders for HTML write it
		if bytes.HasPrefix(text[i:], []byte(`\u003d`)) {
			return 6
		}
	}
	return 0
}

// fieldBefore is the field whose separator stands at i; ok is false when its
// name tells of no secret.
func fieldBefore(text []byte, i int) (f field, ok bool) {
	end := i
	for end > 0 && i-end < 8 && (text[end-1] == ' ' || text[end-1] == '\t') {
		end--
	}
	f.spaced = end < i
	if end > 0 && isQuote(text[end-1]) {
		end--
		f.quote = text[end]
		for end > 0 && text[end-1] == '\\' {
			end--
			f.level++
		}
	}
	f.name = end
	for f.name > 0 && end-f.name < maxFieldName && isNameByte(text[f.name-1]) {
		f.name--
	}
	f.rule, f.header = telling(text[f.name:end])
	return f, f.rule != ""
}

// telling says which rule a field's name falls under, "" for none, and
// whether it is a header whose value may hold spaces.
func telling(name []byte) (rule string, header bool) {
	var squashed [maxFieldName]byte
	n := 0
	for _, c := range name {
		if c != '_' && c != '-' && c != '.' {
			squashed[n] = c
			if c >= 'A' && c <= 'Z' {
				squashed[n] += 'a' - 'A'
			}
			n++
		}
	}
	s := squashed[:n]
	for _, t := range tellingNames {
		if len(s) >= len(t.suffix) && string(s[len(s)-len(t.suffix):]) == t.suffix {
			return t.rule, t.header
		}
	}
	if bytes.Equal(s, []byte("sig")) {
		return "signature", false
	}
	if i := len(name) - len("pass"); i > 0 && strings.EqualFold(string(name[i:]), "pass") && (name[i-1] == '_' || name[i-1] == '-' || name[i] == 'P') {
		return "password", false // DB_PASS and dbPass, not bypass
	}
	return "", false
}

// tellingNames are the ends of telling names, in lower case without
// separators. The plural "tokens" is none: it counts what models are billed for.
var tellingNames = [...]struct {
	suffix, rule string
	header       bool
}{
	{"password", "password", false},
	{"passwd", "password", false},
	{"passphrase", "password", false},
	{"passwordhash", "password", false},
	{"pwd", "password", false},
	{"secret", "secret", false},
	{"token", "token", false},
	{"apikey", "api-key", false},
	{"accesskey", "api-key", false},
	{"accesskeyid", "api-key", false},
	{"secretkey", "api-key", false},
	{"accountkey", "api-key", false},
	{"privatekey", "private-key", false},
	{"signingkey", "api-key", false},
	{"encryptionkey", "api-key", false},
	{"masterkey", "api-key", false},
	{"authorization", "authorization", true},
	{"cookie", "cookie", true},
	{"credential", "credential", false},
	{"credentials", "credential", false},
	{"signature", "signature", false},
}

// findValue finds where the value that begins at i ends, adds it, and returns
// where to go on.
func findValue(text []byte, i int, f field, add func(span)) int {
	switch {
	case f.quote != 0:
		i = skipSpace(text, i, " \t\r\n")
	case f.colon || f.spaced:
		i = skipSpace(text, i, " \t")
	}
	if i >= len(text) {
		return i
	}
	lineStart := f.quote == 0 && f.colon && atLineStart(text, f.name)
	if lineStart && f.header {
		return addBare(text, i, lineEnd(text, i), f, add)
	}
	if q, level, start := openQuote(text, i); q != 0 {
		return addBare(text, start, closeQuote(text, start, q, level), f, add)
	}
	c := text[i]
	switch {
	case c == '[' || c == '{' && (f.quote != 0 || f.colon):
		return findNested(text, i, f, add)
	case f.quote == '"' && f.colon && (c == '-' || c >= '0' && c <= '9'):
		end := i
		for end < len(text) && (isAlnum(text[end]) || bytes.IndexByte([]byte("+-."), text[end]) >= 0) {
			end++
		}
		add(span{start: i, end: end, rule: f.rule, quote: strings.Repeat(`\`, f.level) + `"`})
		return end
	case lineStart:
		return addBare(text, i, lineEnd(text, i), f, add)
	case f.quote == 0 && f.colon && f.name > 0 && isQuote(text[f.name-1]):
		// A whole header in quotes: 'Cookie: a=b'.
		level := 0
		for k := f.name - 2; k >= 0 && text[k] == '\\'; k-- {
			level++
		}
		return addBare(text, i, closeQuote(text, i, text[f.name-1], level), f, add)
	case f.header && f.rule == "cookie":
		end := i
		for end < len(text) && text[end] != '\n' && text[end] != '\r' && text[end] != '\\' && !isQuote(text[end]) {
			end++
		}
		return addBare(text, i, end, f, add)
	default:
		end := wordEnd(text, i)
		if isScheme(text[i:end]) {
			end = wordEnd(text, skipSpace(text, end, " \t"))
		}
		return addBare(text, i, end, f, add)
	}
}

// addBare adds the value from start to valueEnd, without the spaces around it and
// an authorization scheme before it, and returns
// valueEnd.
func addBare(text []byte, start, valueEnd int, f field, add func(span)) int {
	end := valueEnd
	for end > start && (text[end-1] == ' ' || text[end-1] == '\t' || text[end-1] == '\r') {
		end--
	}
	word := start
	for word < end && text[word] > ' ' {
		word++
	}
	if word < end && isScheme(text[start:word]) {
		start = skipSpace(text[:end], word, " \t")
	}
	add(span{start: start, end: end, rule: f.rule})
	return valueEnd
}

// findNested adds every scalar of the JSON or YAML array or object that begins
// at i, but not the keys, and returns where it ends.
func findNested(text []byte, i int, f field, add func(span)) int {
	depth := 0
	for i < len(text) {
		c := text[i]
		q, level, start := openQuote(text, i)
		switch {
		case q != 0:
			end := closeQuote(text, start, q, level)
			i = min(len(text), end+level+1)
			if after := skipSpace(text, i, " \t\r\n"); after >= len(text) || text[after] != ':' {
				addBare(text, start, end, f, add)
			}
		case c == '[' || c == '{':
			if depth++; depth > maxNested {
				return addBare(text, i, len(text), f, add)
			}
			i++
		case c == ']' || c == '}':
			i++
			if depth--; depth <= 0 {
				return i
			}
		case c == '<' && placeholderLen(text[i:]) > 0:
			i += placeholderLen(text[i:])
		case isAlnum(c) || c == '-':
			end := i
			for end < len(text) && text[end] > ' ' && bytes.IndexByte([]byte(`,:]}"\`), text[end]) < 0 {
				end++
			}
			if end >= len(text) || text[end] != ':' {
				s := span{start: i, end: end, rule: f.rule}
				if c == '-' || c >= '0' && c <= '9' {
					s.quote = strings.Repeat(`\`, f.level) + `"`
				}
				add(s)
			}
			i = end
		default:
			i++
		}
	}
	return i
}

// openQuote is the quote at i, the backslashes before it and where its content
// begins; q is 0 when there is none.
func openQuote(text []byte, i int) (q byte, level, start int) {
	for i+level < len(text) && text[i+level] == '\\' {
		level++
	}
	if i+level < len(text) && isQuote(text[i+level]) {
		return text[i+level], level, i + level + 1
	}
	return 0, 0, i
}

// closeQuote is where the content that begins at i ends: before its closing
// quote, or the quote of a string around it. A quote that is never closed ends
// with the text when that is near (it may be cut off), and with the line
// otherwise.
func closeQuote(text []byte, i int, q byte, level int) int {
	limit := min(len(text), i+maxQuotedValue)
	slashes := 0
	for j := i; j < limit; j++ {
		switch text[j] {
		case '\\':
			slashes++
			continue
		case q:
			if q == '\'' && j > i && slashes == 0 && j+1 < limit && text[j+1] == q {
				j++ // SQL, libpq and YAML escape it by doubling
				break
			}
			// Each level of quoting doubles the backslashes and adds one.
			if m := slashes % (2 * (level + 1)); m <= level {
				return j - m
			}
		}
		slashes = 0
	}
	if limit == len(text) {
		return limit
	}
	return lineEnd(text, i)
}

// wordEnd is where the bare value that begins at i ends: at white space, a
// quote or a bracket's end; at a comma, semicolon or ampersand only when
// another field seems to follow, for they may be part of a password.
func wordEnd(text []byte, i int) int {
	for ; i < len(text); i++ {
		switch c := text[i]; {
		case c <= ' ', isQuote(c), c == ')', c == ']', c == '}', c == '\\':
			return i
		case c == ',' || c == ';' || c == '&':
			if fieldFollows(text, i+1) {
				return i
			}
		}
	}
	return i
}

func fieldFollows(text []byte, i int) bool {
	start := i
	for i < len(text) && i-start < maxFieldName && isNameByte(text[i]) {
		i++
	}
	if i >= len(text) {
		return i == start
	}
	c := text[i]
	return i == start && (c <= ' ' || isQuote(c) || c == ')' || c == ']' || c == '}') || i > start && (c == '=' || c == ':')
}

// atLineStart says whether only indentation and marks (of lists, of quotes, of
// curl -v) stand between the line's start and i.
func atLineStart(text []byte, i int) bool {
	for i--; i >= 0 && bytes.IndexByte([]byte(" \t-><*"), text[i]) >= 0; i-- {
	}
	return i < 0 || text[i] == '\n' || text[i] == '\r'
}

func lineEnd(text []byte, i int) int {
	if n := bytes.IndexByte(text[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(text)
}

func skipSpace(text []byte, i int, set string) int {
	for i < len(text) && strings.IndexByte(set, text[i]) >= 0 {
		i++
	}
	return i
}

func isScheme(b []byte) bool {
	switch strings.ToLower(string(b)) {
	case "bearer", "basic", "digest", "negotiate", "token", "apikey", "ntlm", "aws4-hmac-sha256":
		return true
	}
	return false
}

func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '`' }

func isNameByte(c byte) bool { return isAlnum(c) || c == '_' || c == '-' || c == '.' }
