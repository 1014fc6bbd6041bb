// What is variable by its look: numbers, sizes, durations, ids, addresses.

package shape

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// mostWords and mostWord bound what of a line makes its shape; longer lines
	// differ in their beginnings, or not in a way that helps.
	mostWords = 60
	mostWord  = 80 // bytes
	// mostCode is how long a number is that says what happened rather than how
	// much: an exit code, an HTTP status, a signal, an errno.
	mostCode = 3 // digits
)

// masks stand for what is variable.
const (
	number = "<num>"
	id     = "<id>"
)

// coded are the words before a number that is a code.
var coded = map[string]bool{"code": true, "status": true, "signal": true, "errno": true, "http": true}

// Mask gives a line's text with what is variable in it replaced, and its codes:
// numbers that tell lines of otherwise the same words apart, as "exit code 137"
// and "exit code 0". The result is valid UTF-8, on one line, and bounded.
func Mask(text string) (masked, codes string) {
	var words, found []string
	before := ""
	for word := range strings.FieldsSeq(text) {
		if len(words) == mostWords {
			break
		}
		word = bounded(word)
		core := strings.TrimFunc(word, edge)
		switch {
		case coded[before] && isCode(core):
			found = append(found, before+" "+core)
		default:
			word, found = maskWord(word, found)
		}
		before = strings.ToLower(strings.TrimFunc(word, edge))
		words = append(words, word)
	}
	return strings.Join(words, " "), strings.Join(found, ",")
}

func bounded(word string) string {
	if len(word) > mostWord {
		word = word[:mostWord]
	}
	return strings.ToValidUTF8(word, "\uFFFD")
}

// edge says whether a character around a word is none of it.
func edge(r rune) bool { return strings.ContainsRune(`"'`+"`"+`()[]{},;:.!?`, r) }

// maskWord masks a word, or the value behind its = or :. Codes among them stay,
// and are added to found.
func maskWord(word string, found []string) (string, []string) {
	if i := strings.LastIndexAny(word, "=:"); i > 0 && i < len(word)-1 && !strings.ContainsAny(word[:1], "0123456789") {
		key, value := strings.ToLower(strings.TrimFunc(word[:i], edge)), strings.TrimFunc(word[i+1:], edge)
		if !strings.HasSuffix(word[:i], "/") && plainKey(key) {
			if j := strings.LastIndexAny(key, "_."); coded[key[j+1:]] && isCode(value) {
				return word, append(found, key+" "+value)
			}
			return word[:i+1] + maskCore(word[i+1:]), found
		}
	}
	return maskCore(word), found
}

func plainKey(key string) bool {
	return key != "" && strings.IndexFunc(key, func(r rune) bool { return !unicode.IsLetter(r) && r != '_' && r != '.' && r != '-' }) < 0
}

// maskCore masks what stands between a word's brackets, quotes and the like.
func maskCore(word string) string {
	core := strings.TrimFunc(word, edge)
	start := strings.Index(word, core)
	switch mask := maskOf(core); mask {
	case "":
		return word
	default:
		return word[:start] + mask + word[start+len(core):]
	}
}

// maskOf is what stands for a word; "" for one that stays.
func maskOf(word string) string {
	digits, letters, others := 0, 0, 0
	hex := true
	for _, r := range word {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r >= 'a' && r <= 'f', r >= 'A' && r <= 'F':
			letters++
		case unicode.IsLetter(r):
			letters++
			hex = false
		case strings.ContainsRune("-_:.+/,%x", r):
			others++
		default:
			return ""
		}
	}
	const (
		mostUnit   = 4 // letters: ms, KiB, kB/s
		leastID    = 8 // characters
		leastInID  = 3 // digits
		leastWhole = 6 // of hexadecimal digits
	)
	first, _ := utf8.DecodeRuneInString(word)
	startsAsNumber := unicode.IsDigit(first) || strings.ContainsRune("-+", first)
	switch {
	case digits == 0:
		return ""
	case strings.HasPrefix(word, "0x"):
		return id
	case startsAsNumber && letters <= mostUnit && !strings.Contains(word, "/") && strings.Count(word, "-") <= 1 && trailing(word, letters):
		return number
	case hex && digits+letters >= leastWhole && letters > 0:
		return id
	case digits >= leastInID && len(word) >= leastID && !strings.Contains(word, "/"):
		return id
	case startsAsNumber && letters == 0:
		return number // an address, a date, a ratio
	default:
		return ""
	}
}

// trailing says whether a word's letters stand at its end, as those of a unit.
func trailing(word string, letters int) bool {
	return strings.IndexFunc(word[len(word)-min(len(word), letters):], func(r rune) bool { return !unicode.IsLetter(r) }) < 0
}

func isCode(word string) bool {
	return word != "" && len(word) <= mostCode && strings.Trim(word, "0123456789") == ""
}
