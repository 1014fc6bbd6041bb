// The trace as Markdown, for a report or a ticket.

package tracelog

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// WriteMarkdown writes what happened, a table of the records, and what was
// searched. Text from logs stays text: it makes no links, HTML or mentions.
func (t *Trace) WriteMarkdown(w io.Writer) error {
	p := bufio.NewWriter(w)
	facts := t.Facts()
	for i, sentence := range facts.Sentences() {
		if i == 0 {
			fmt.Fprintf(p, "**%s**\n\n", markdownText(sentence))
			continue
		}
		fmt.Fprintf(p, "- %s\n", markdownText(sentence))
	}
	if rows := t.rows(facts); len(rows) > 0 {
		fmt.Fprint(p, "\n| at | duration | source | what | error |\n|---:|---:|---|---|---|\n")
		for _, r := range rows {
			offset := "no time"
			if r.timed {
				offset = offsetColumn(r.at)
			}
			words := code(r.what)
			if r.link > 0 {
				words = fmt.Sprintf("\\[%d\\] %s", r.link, words)
			}
			if r.context {
				words += " (about the worker)"
			}
			fmt.Fprintf(p, "| %s | %s | %s | %s | %s |\n", offset, r.took, code(r.source), words, code(r.failure))
		}
	}
	if links := t.linksSaid(); len(links) > 0 {
		fmt.Fprint(p, "\n")
		for _, said := range links {
			fmt.Fprintf(p, "- %s\n", markdownText(said))
		}
	}
	for i, sentence := range t.CoverageSentences() {
		if i == 0 {
			fmt.Fprintf(p, "\n**Coverage.** %s\n\n", markdownText(sentence))
			continue
		}
		fmt.Fprintf(p, "- %s\n", markdownText(sentence))
	}
	if len(t.Records) == 0 {
		fmt.Fprint(p, "\nWhat to try next:\n\n")
		for _, sentence := range t.next() {
			fmt.Fprintf(p, "- %s\n", markdownText(sentence))
		}
	}
	return p.Flush()
}

// markdownText escapes what Markdown would read as more than text: its marks,
// and the colon and the at sign, for bare URLs and addresses become links.
func markdownText(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case strings.ContainsRune("\\`*_{}[]#!|~@", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return strings.NewReplacer("://", "\\://", "www.", "www\\.", "WWW.", "WWW\\.").Replace(b.String())
}

// code is harmless text as a code span in a table's cell. A bar would end the
// cell, and an escaped one does where a backslash stands before it: a broken one
// stands in for it.
func code(s string) string {
	if s == "" {
		return ""
	}
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if len(fence) > 1 {
		s = " " + s + " " // a span may not begin or end with its fence
	}
	return fence + strings.ReplaceAll(s, "|", "¦") + fence
}
