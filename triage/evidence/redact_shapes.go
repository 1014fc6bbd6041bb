package evidence

// Credentials that show by their look: passwords in URLs, bearer and basic
// credentials, private keys, JSON web tokens, and the head of a token where a
// text ends or is cut off. gitleaks has rules for some of these, but they want the
// whole secret followed by a quote or space; captured text is cut anywhere.

import (
	"bytes"
	"encoding/base64"
	"regexp"
)

var (
	bearer = regexp.MustCompile(`(?i)^bearer(?: +|%20|\+)([a-z0-9._~+/=-]{6,})`)
	basic  = regexp.MustCompile(`(?i)^basic(?: +|%20|\+)([a-z0-9+/_-]{6,}={0,2})`)
	jwt    = regexp.MustCompile(`\bey[A-Za-z0-9_-]{8,}\.ey[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?`)
	// A token's known beginning with enough behind it to be worth masking.
	cutHead = regexp.MustCompile(`(?:^|[^A-Za-z0-9_])((?:xox[a-z]|xapp)-|gh[pousr]_|github_pat_|glpat-|A[KS]IA|sk-|[rs]k_(?:live|test)_|AIza|ya29\.|npm_|pypi-|dop_v1_|hvs\.|eyJ|hooks\.slack\.com/(?:services|workflows|triggers)/)[A-Za-z0-9_/.=+-]{6,}$`)
	// Slack's incoming webhooks: the path is the secret.
	slackHook = regexp.MustCompile(`hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9_/-]{6,})`)
	pemBegin  = regexp.MustCompile(`-----BEGIN[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----`)
	pemEnd    = regexp.MustCompile(`-----END[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----`)
)

// cutWindow is how much of a text's end is searched for a token's head, in bytes.
const cutWindow = 2048

// cutMark stands where this program cut a text off.
var cutMark = []byte("…")

// maxURL is how much of a URL is searched for its password, in bytes.
const maxURL = 1024

func findShapes(text []byte, add func(span)) {
	findURLPasswords(text, add)
	findPrivateKeys(text, add)
	for _, m := range findFold(text, bearer, "bearer") {
		// Prose ("bearer authentication") has no digits.
		if bytes.ContainsAny(text[m[2]:m[3]], "0123456789") {
			add(span{start: m[2], end: m[3], rule: "authorization"})
		}
	}
	for _, m := range findFold(text, basic, "basic") {
		if isBasicCredential(text[m[2]:m[3]]) {
			add(span{start: m[2], end: m[3], rule: "authorization"})
		}
	}
	if bytes.Contains(text, []byte(".ey")) {
		for _, m := range jwt.FindAllIndex(text, -1) {
			add(span{start: m[0], end: m[1], rule: "jwt"})
		}
	}
	if bytes.Contains(text, []byte("hooks.slack.com/")) {
		for _, m := range slackHook.FindAllSubmatchIndex(text, -1) {
			add(span{start: m[2], end: m[3], rule: "slack-webhook-url"})
		}
	}
	for from := 0; ; {
		end := bytes.Index(text[from:], cutMark)
		if end < 0 {
			findCutHead(text, max(from, len(text)-cutWindow), len(text), add)
			return
		}
		end += from
		findCutHead(text, max(from, end-cutWindow), end, add)
		from = end + len(cutMark)
	}
}

// findCutHead finds the head of a token where text was cut off, at end.
func findCutHead(text []byte, from, end int, add func(span)) {
	m := cutHead.FindSubmatchIndex(text[from:end])
	if m == nil {
		return
	}
	start := from + m[2]
	if text[m[3]+from-1] == '/' {
		start = from + m[3] // a webhook's host is no secret
	}
	add(span{start: start, end: end, rule: "cut-off"})
}

// findFold finds the places where word, in any case, begins what the anchored
// pattern matches. Such words are rare and regexps slow, so the word is looked
// for first.
func findFold(text []byte, anchored *regexp.Regexp, word string) [][]int {
	var found [][]int
	for i := 0; ; {
		at := indexFold(text[i:], word)
		if at < 0 {
			return found
		}
		at += i
		i = at + len(word)
		if at > 0 && isAlnum(text[at-1]) {
			continue
		}
		m := anchored.FindSubmatchIndex(text[at:])
		if m == nil {
			continue
		}
		for k := range m {
			m[k] += at
		}
		found = append(found, m)
		i = m[1]
	}
}

// indexFold finds a lower-case ASCII word in any case.
func indexFold(text []byte, word string) int {
	for i := 0; i+len(word) <= len(text); i++ {
		if text[i]|0x20 == word[0] && equalFoldASCII(text[i:i+len(word)], word) {
			return i
		}
	}
	return -1
}

func equalFoldASCII(b []byte, lower string) bool {
	for i := range b {
		if b[i]|0x20 != lower[i] {
			return false
		}
	}
	return true
}

// isBasicCredential says whether b is base64 of user:password, cut off perhaps.
func isBasicCredential(b []byte) bool {
	b = bytes.TrimRight(b, "=")
	b = b[:len(b)/4*4]
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if plain, err := enc.DecodeString(string(b)); err == nil && bytes.IndexByte(plain, ':') >= 0 {
			return true
		}
	}
	return false
}

// findPrivateKeys finds PEM private keys, also those whose end is cut off and
// those whose lines are joined by \n escapes.
func findPrivateKeys(text []byte, add func(span)) {
	for i := 0; ; {
		at := bytes.Index(text[i:], []byte("-----BEGIN"))
		if at < 0 {
			return
		}
		at += i
		m := pemBegin.FindIndex(text[at:min(len(text), at+128)])
		if m == nil || m[0] != 0 {
			i = at + len("-----BEGIN")
			continue
		}
		body := at + m[1]
		end := body
		for end < len(text) && isPEMByte(text[end]) {
			end++
		}
		if m := pemEnd.FindIndex(text[body:end]); m != nil {
			end = body + m[1]
		}
		add(span{start: at, end: end, rule: "private-key"})
		i = end
	}
}

// isPEMByte says whether c may stand in a PEM block, or in one that is escaped
// for a string or has headers (Proc-Type: 4,ENCRYPTED).
func isPEMByte(c byte) bool {
	return isAlnum(c) || bytes.IndexByte([]byte("+/=-\\ \t\r\n:,."), c) >= 0
}

// findURLPasswords finds the password in scheme://user:password@host.
func findURLPasswords(text []byte, add func(span)) {
	for i := 0; ; {
		sep, n := indexSchemeEnd(text[i:])
		if sep < 0 {
			return
		}
		sep += i
		start := sep + n
		i = start
		if sep == 0 || !isAlnum(text[sep-1]) {
			continue
		}
		word := start
		for word < len(text) && word-start < maxURL && !isURLEnd(text[word]) {
			word++
		}
		authority := word
		if slash := bytes.IndexAny(text[start:word], "/?#"); slash >= 0 {
			authority = start + slash
		}
		colon := bytes.IndexByte(text[start:authority], ':')
		if colon < 0 || text[start] == '[' { // the latter is an IPv6 address
			continue
		}
		from := start + colon + 1
		at := bytes.LastIndexByte(text[start:authority], '@')
		// A password that nobody escaped may hold a slash: when what follows
		// the colon is no port, an at sign further on in the word ends it.
		beyond := bytes.LastIndexByte(text[authority:word], '@')
		switch {
		case at > colon:
			add(span{start: from, end: start + at, rule: "url-password"})
		case at >= 0 || isPort(bytes.TrimSuffix(text[from:authority], cutMark)):
		case beyond >= 0:
			add(span{start: from, end: authority + beyond, rule: "url-password"})
		case authority == len(text) || bytes.HasSuffix(text[from:authority], cutMark):
			add(span{start: from, end: authority, rule: "url-password"})
		}
	}
}

// indexSchemeEnd finds "://", plain or with JSON's optional escapes.
func indexSchemeEnd(text []byte) (at, n int) {
	for i := 0; ; {
		at := bytes.IndexByte(text[i:], ':')
		if at < 0 {
			return -1, 0
		}
		at += i
		for _, sep := range [...]string{"://", `:\/\/`} {
			if bytes.HasPrefix(text[at:], []byte(sep)) {
				return at, len(sep)
			}
		}
		i = at + 1
	}
}

func isURLEnd(c byte) bool {
	return c <= ' ' || c == '"' || c == '\'' || c == '`' || c == '<' || c == '>' || c == '\\' || c == 0x7f
}

func isPort(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
