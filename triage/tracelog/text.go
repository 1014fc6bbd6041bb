// The trace as text, for a person at a terminal.

package tracelog

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// TextOptions are how text is laid out. The zero value is good.
type TextOptions struct {
	Width  int  // of the terminal, in columns; default and least 80
	Colour bool // with ANSI escapes
}

const (
	leastWidth = 80
	mostWidth  = 400 // beyond which a waterfall only grows apart
)

// WriteText writes what happened, a waterfall of the records, and what was
// searched. No line is longer than the width, and nothing that logs hold
// reaches the terminal as more than text.
func (t *Trace) WriteText(w io.Writer, o TextOptions) error {
	p := &textWriter{Writer: bufio.NewWriter(w), width: min(max(o.Width, leastWidth), mostWidth), colour: o.Colour}
	facts := t.Facts()
	for i, sentence := range facts.Sentences() {
		if i == 0 {
			p.paragraph(bold, "", sentence)
			continue
		}
		p.paragraph(plain, "- ", sentence)
	}
	if len(t.Records) > 0 {
		p.line(plain, "")
		p.waterfall(t, facts)
	}
	p.line(plain, "")
	for i, sentence := range t.CoverageSentences() {
		if i == 0 {
			p.paragraph(plain, "", sentence)
			continue
		}
		p.paragraph(plain, "- ", sentence)
	}
	if len(t.Records) == 0 {
		p.line(plain, "")
		p.line(plain, "What to try next:")
		for _, sentence := range t.next() {
			p.paragraph(plain, "- ", sentence)
		}
	}
	return p.Flush()
}

// style is how a line stands out where colour is asked for, as the parameter of
// an ANSI escape.
type style string

const (
	plain style = ""
	bold  style = "1"
	faint style = "2"
	red   style = "31"
)

// textWriter writes lines; its Flush gives the first error of all.
type textWriter struct {
	*bufio.Writer
	width  int
	colour bool
}

// line writes a line that fits.
func (p *textWriter) line(s style, text string) {
	text = strings.TrimRight(text, " ")
	if p.colour && s != plain {
		text = "\x1b[" + string(s) + "m" + text + "\x1b[0m"
	}
	_, _ = p.WriteString(text + "\n") // Flush gives the error
}

// paragraph writes text over as many lines as it needs, each after the first
// indented like what stands after the bullet.
func (p *textWriter) paragraph(s style, bullet, text string) {
	for i, line := range wrapped(text, p.width-len(bullet)) {
		if i > 0 {
			bullet = strings.Repeat(" ", len(bullet))
		}
		p.line(s, bullet+line)
	}
}

// wrapped divides harmless text into lines, between words where that is
// possible.
func wrapped(text string, columns int) []string {
	var lines []string
	line, used := "", 0
	flush := func() {
		lines = append(lines, line)
		line, used = "", 0
	}
	for word := range strings.FieldsSeq(text) {
		need := columnsOf(word)
		if used > 0 && used+1+need > columns {
			flush()
		}
		if used > 0 {
			line += " "
			used++
		}
		for ; used+need > columns; need = columnsOf(word) {
			head := headOf(word, columns-used)
			line += head
			word = word[len(head):]
			flush()
		}
		line += word
		used += need
	}
	flush()
	return lines
}

// headOf is as much of harmless text as has room in so many columns, and at
// least a rune of it.
func headOf(s string, columns int) string {
	used := 0
	for i, r := range s {
		if used += columnsOfRune(r); used > columns && i > 0 {
			return s[:i]
		}
	}
	return s
}

// The columns of a waterfall, apart from the bar and the words.
const (
	markWidth   = 2
	offsetWidth = 10
	tookWidth   = 8
	gutters     = 4
)

// waterfall writes a row for each record. Its bar is a block over what the
// record reports, or a line at when it was written.
func (p *textWriter) waterfall(t *Trace, f *Facts) {
	rows := t.rows(f)
	sourceWidth := len("source")
	var whole span
	for _, r := range rows {
		sourceWidth = max(sourceWidth, columnsOf(r.source))
		whole = whole.hull(r.span)
	}
	sourceWidth = min(sourceWidth, p.width/8)
	free := p.width - markWidth - offsetWidth - tookWidth - sourceWidth - gutters
	barWidth := free * 2 / 5
	wordsWidth := free - barWidth
	write := func(s style, mark, offset, bar, took, source, words string) {
		p.line(s, pad(mark, markWidth)+lead(offset, offsetWidth)+" "+pad(bar, barWidth)+" "+
			lead(took, tookWidth)+" "+pad(fit(source, sourceWidth), sourceWidth)+" "+fit(words, wordsWidth))
	}

	for _, said := range t.linksSaid() {
		p.paragraph(plain, "", said)
	}
	write(faint, "", "at", "", "duration", "source", "what")
	for _, r := range rows {
		offset, bar := "no time", ""
		if r.timed {
			offset, bar = offsetColumn(r.at), barOf(r.span, whole, barWidth)
		}
		words := r.what
		if r.link > 0 {
			words = fmt.Sprintf("[%d] %s", r.link, words)
		}
		write(r.style(), r.mark(), offset, bar, r.took, r.source, words)
		if r.failure != "" {
			indent := strings.Repeat(" ", markWidth+offsetWidth+1)
			p.line(red, indent+fit(r.failure, p.width-len(indent)))
		}
	}
	if slices.ContainsFunc(rows, func(r row) bool { return r.context }) {
		p.line(faint, "~ is about the worker, not about the request alone")
	}
}

func (r *row) mark() string {
	switch {
	case r.failed:
		return "!"
	case r.context:
		return "~"
	}
	return ""
}

func (r *row) style() style {
	switch {
	case r.failed:
		return red
	case r.context:
		return faint
	}
	return plain
}

// barOf draws where a span lies in the whole, in so many columns.
func barOf(s, whole span, columns int) string {
	at := func(t time.Time) int {
		if whole.length() <= 0 {
			return 0
		}
		part := float64(t.Sub(whole.from)) / float64(whole.length())
		return min(max(int(part*float64(columns)), 0), columns-1)
	}
	from, to := at(s.from), at(s.to)
	if s.length() == 0 {
		return strings.Repeat(" ", to) + "│"
	}
	return strings.Repeat(" ", from) + strings.Repeat("█", to-from+1)
}

// lead puts blanks before text up to so many columns.
func lead(s string, columns int) string {
	return strings.Repeat(" ", max(columns-columnsOf(s), 0)) + s
}
