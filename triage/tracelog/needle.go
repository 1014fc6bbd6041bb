// What is searched for in the bytes of a log so that no line of an id is missed.

package tracelog

import (
	"strings"

	"triagebot/triage/tracelog/bytescan"
)

// needle finds the places where a line may hold an id. JSON can write each
// character in several ways, so the id's own bytes are not enough: the search
// is for the longest run of characters that can stand for themselves or as
// \u00XX only, and for such escapes.
type needle struct {
	*bytescan.Searcher
	run string
}

const escape = `\u00`

func newNeedle(id string) needle {
	run := longestPlain(id)
	if run == "" {
		// Nothing of the id need stand as it is. Every object with a field has a
		// quote, so that each line is read.
		run = `"`
	}
	return needle{bytescan.New(run, escape), run}
}

// longestPlain is the longest run of characters that JSON writes in two ways
// only: as themselves and as \u00XX.
func longestPlain(id string) string {
	longest := ""
	start := 0
	for i := 0; i <= len(id); i++ {
		if i < len(id) && id[i] >= ' ' && id[i] < 0x80 && !strings.ContainsRune(`"\/`, rune(id[i])) {
			continue
		}
		if i-start > len(longest) {
			longest = id[start:i]
		}
		start = i + 1
	}
	return longest[:min(len(longest), bytescan.MaxLiteral)]
}

// matters says whether a hit calls for reading its line: an escape does only
// when it writes one of the run's characters.
func (n *needle) matters(text []byte, at int) bool {
	if text[at] != '\\' {
		return true
	}
	if at+len(escape)+2 > len(text) {
		return true // cut off here; the line tells
	}
	high, low := hexDigit(text[at+len(escape)]), hexDigit(text[at+len(escape)+1])
	return high >= 0 && low >= 0 && strings.IndexByte(n.run, byte(high<<4|low)) >= 0
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	default:
		return -1
	}
}
