// What other packages need of this one to read records as files are read, and to
// show them.

package tracelog

import "io"

// Read makes a record of a line. ok is false when the line is not of the id;
// torn says that it is no JSON object. The record keeps the line.
func (s *Source) Read(line []byte, id string) (r Record, torn, ok bool) {
	return s.read(line, id)
}

// ReadAny makes a record of a line, whatever it is about. The record keeps the
// line. What has no time of its own has none; isText says that it is no JSON
// object and has no fields.
func (s *Source) ReadAny(line []byte) (r Record, isText bool) { return s.readAny(line) }

// ParseObject reads a line as one JSON object, its numbers as json.Number.
func ParseObject(line []byte) (map[string]any, error) { return parseObject(line) }

// Field is the value of a named field: of the record itself, or else along the
// name's dots.
func Field(fields map[string]any, name string) (any, bool) { return field(fields, name) }

// Text is a string or a number as text; "" for anything else.
func Text(v any) string { return text(v) }

// Failure is why what the record reports failed, "" where it does not say that
// it did.
func (r *Record) Failure() string { return r.failure() }

// WriteJSONLine writes a value as one line of JSON in which nothing is left that
// a terminal or an editor would obey.
func WriteJSONLine(w io.Writer, v any) error { return writeJSON(w, v, "") }
