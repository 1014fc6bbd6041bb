// The trace as JSON, for programs and as evidence: one object, or a line for
// each record.

package tracelog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// wholeJSON is what WriteJSON writes.
type wholeJSON struct {
	ID         string       `json:"id"`
	Complete   bool         `json:"complete"`
	Sentences  []string     `json:"sentences"`
	Facts      *Facts       `json:"facts"`
	Links      []Link       `json:"links,omitempty"`
	Records    []recordJSON `json:"records"`
	LeftOut    int          `json:"left_out,omitempty"`
	Unfollowed int          `json:"unfollowed,omitempty"`
	Coverage   Coverage     `json:"coverage"`
}

// recordJSON is a record, how it was reached, what it says by the roles of its
// fields, and the line itself.
type recordJSON struct {
	Traced
	What   string          `json:"what,omitempty"`    // in a line
	TookMS float64         `json:"took_ms,omitempty"` // until its time
	Error  string          `json:"error,omitempty"`
	Failed bool            `json:"failed,omitempty"` // by its error or its status
	Path   []Link          `json:"path,omitempty"`   // from the id asked for to FoundBy
	Line   json.RawMessage `json:"record"`
}

// WriteJSON writes one object: the facts and their sentences, the records and
// the coverage.
func (t *Trace) WriteJSON(w io.Writer) error {
	facts := t.Facts()
	whole := wholeJSON{
		ID: t.ID, Complete: t.Complete(), Sentences: facts.Sentences(), Facts: facts, Links: t.Links,
		Records: make([]recordJSON, 0, len(t.Records)), LeftOut: t.LeftOut, Unfollowed: t.Unfollowed, Coverage: t.Coverage,
	}
	for i := range t.Records {
		whole.Records = append(whole.Records, t.recordJSON(&t.Records[i]))
	}
	return writeJSON(w, whole, "  ")
}

// WriteNDJSON writes a line for each record, in the trace's order, with where
// it stands and the original object under "record".
func (t *Trace) WriteNDJSON(w io.Writer) error {
	buffered := bufio.NewWriter(w)
	for i := range t.Records {
		if err := writeJSON(buffered, t.recordJSON(&t.Records[i]), ""); err != nil {
			return err
		}
	}
	return buffered.Flush()
}

func (t *Trace) recordJSON(r *Traced) recordJSON {
	return recordJSON{
		Traced: *r, What: r.said(), TookMS: float64(r.took()) / float64(time.Millisecond), Error: shown(r.failure()), Failed: r.failed(),
		Path: t.Path(r.FoundBy), Line: r.object(),
	}
}

// object is the record as it stood, keys given twice and their order included,
// where that is JSON; else as it was read.
func (r *Record) object() json.RawMessage {
	line := bytes.ToValidUTF8(bytes.Trim(r.Raw, "\x00 \t\r\n"), []byte(string(utf8.RuneError)))
	if json.Valid(line) {
		return line
	}
	data, err := json.Marshal(r.Fields)
	if err != nil {
		return json.RawMessage("null")
	}
	return data
}

// WriteJSONLine writes a value as one line of JSON in which nothing is left that
// a terminal or an editor would obey.
func WriteJSONLine(w io.Writer, v any) error { return writeJSON(w, v, "") }

// WriteIndentedJSON is WriteJSONLine over several lines, for people to read.
func WriteIndentedJSON(w io.Writer, v any) error { return writeJSON(w, v, "  ") }

func writeJSON(w io.Writer, v any, indent string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode as JSON: %w", err)
	}
	_, err := w.Write(escaped(b.Bytes()))
	return err
}

// escaped writes what a terminal or an editor would obey rather than show as
// JSON's escapes. The value stays the same: outside of strings JSON has none of
// it.
func escaped(data []byte) []byte {
	if bytes.IndexFunc(data, obeyed) < 0 {
		return data
	}
	out := make([]byte, 0, len(data)+64)
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case !obeyed(r):
			out = append(out, data[:size]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		data = data[size:]
	}
	return out
}

func obeyed(r rune) bool { return r >= 0x7f && !unicode.IsPrint(r) }
