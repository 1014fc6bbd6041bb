// Words: durations, sizes and text from logs, as they are shown to people.

package tracelog

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// inWords is a duration to three digits or so: 41.2 s.
func inWords(d time.Duration) string {
	switch abs := d.Abs(); {
	case abs == 0:
		return "0 ms"
	case abs < 10*time.Millisecond:
		return strconv.FormatFloat(roundTo(d.Seconds()*1e3, 100), 'f', -1, 64) + " ms"
	case abs < time.Second:
		return strconv.FormatInt(d.Round(time.Millisecond).Milliseconds(), 10) + " ms"
	case abs < 10*time.Second:
		return strconv.FormatFloat(roundTo(d.Seconds(), 100), 'f', -1, 64) + " s"
	case abs < 100*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case abs < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	default:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
}

func roundTo(f, parts float64) float64 { return math.Round(f*parts) / parts }

// inBytes is a size to three digits or so: 4.78 GB.
func inBytes(n int64) string {
	const step = 1000
	if n < step {
		return strconv.FormatInt(n, 10) + " B"
	}
	f := float64(n)
	for _, unit := range []string{"kB", "MB", "GB", "TB"} {
		f /= step
		if f < step || unit == "TB" {
			return fmt.Sprintf("%.3g %s", f, unit)
		}
	}
	return ""
}

// counted is a number of things: 1 chunk, 2 chunks.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// have is counted with its verb.
func have(n int, thing string) string {
	if n == 1 {
		return counted(n, thing) + " has"
	}
	return counted(n, thing) + " have"
}

// How much of a text from a log stands in a sentence, in columns.
const (
	mostSaid   = 160
	mostSaidID = 64
)

func shown(s string) string   { return fit(harmless(s, mostSaid), mostSaid) }
func shownID(s string) string { return fit(harmless(s, mostSaidID), mostSaidID) }

// mostKept is how much of a text from a log facts keep, in bytes: the record
// has it whole.
const mostKept = 1 << 10

func kept(s string) string {
	if len(s) <= mostKept {
		return s
	}
	end := mostKept
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.Clone(s[:end])
}

// harmless makes text from a log fit to be shown: control characters, what turns
// the direction of text, and what cannot be seen are written as escapes, white
// space as a blank, and bytes that are no UTF-8 as the replacement character. It
// reads no more than is needed for so many columns.
func harmless(s string, columns int) string {
	var b strings.Builder
	for shown, marks := 0, 0; s != "" && shown <= columns; {
		r, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		if unicode.In(r, unicode.Mn, unicode.Me) {
			// Marks have no width: a stack of them would be without end.
			if marks++; marks > 2 {
				shown++
				continue
			}
			b.WriteRune(r)
			continue
		}
		marks = 0
		start := b.Len()
		switch {
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
		shown += columnsOf(b.String()[start:])
	}
	return b.String()
}

// columnsOf is the width of text that is harmless, in a terminal's columns.
func columnsOf(s string) int {
	n := 0
	for _, r := range s {
		n += columnsOfRune(r)
	}
	return n
}

func columnsOfRune(r rune) int {
	if r < utf8.RuneSelf {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	default:
		return 1
	}
}

// fit shortens harmless text to so many columns, with an ellipsis for the rest.
func fit(s string, columns int) string {
	if columnsOf(s) <= columns {
		return s
	}
	used := 0
	for i, r := range s {
		if used += columnsOfRune(r); used > columns-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// pad fills text with blanks to so many columns.
func pad(s string, columns int) string {
	return s + strings.Repeat(" ", max(columns-columnsOf(s), 0))
}

// mostHarmless is how many columns of a text Harmless shows.
const mostHarmless = 200

// Harmless makes text from a log fit to be shown in a line: what a terminal
// would obey is written as escapes, and what is very long is cut.
func Harmless(s string) string { return fit(harmless(s, mostHarmless), mostHarmless) }

// InWords is a duration as sentences say it: 41.2 s.
func InWords(d time.Duration) string { return inWords(d) }
