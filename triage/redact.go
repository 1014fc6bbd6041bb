package triage

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Redact masks the secrets in a text; nil masks none. Package evidence has the
// rules. Its methods are for text that is more than prose, and are what to use
// wherever text from outside is shown or kept.
type Redact func(text string) string

// Text masks prose.
func (r Redact) Text(text string) string {
	if r == nil || text == "" {
		return text
	}
	return r(text)
}

// Value masks what stands under a name: a label's value, a field's. By itself
// the value of db_password shows nothing of being a secret.
func (r Redact) Value(name, value string) string {
	if r == nil || value == "" {
		return value
	}
	value = r(value) // by its look, which quoting may hide
	var field map[string]string
	if !r.JSON(map[string]string{name: value}, &field) {
		return "<redacted>"
	}
	for _, masked := range field { // one; its name may have been masked too
		value = masked
	}
	return value
}

// Labels gives masked copies of labels.
func (r Redact) Labels(l Labels) Labels {
	if r == nil || l == nil {
		return l
	}
	out := make(Labels, len(l))
	for name, value := range l {
		out[r.Text(name)] = r.Value(name, value)
	}
	return out
}

// URL masks a link so that it stays one: the masks' brackets are escaped.
func (r Redact) URL(link string) string {
	if r == nil {
		return link
	}
	return strings.NewReplacer("<", "%3C", ">", "%3E").Replace(r.Text(link))
}

// JSON puts v, masked as a JSON document, where a secret shows by its key,
// into the value that into points to. False says that v is none, or that what
// is left of it is none; then into is not to be used.
func (r Redact) JSON(v, into any) bool {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // escapes hide shapes
	if enc.Encode(v) != nil {
		return false
	}
	return json.Unmarshal([]byte(r.Text(strings.TrimSuffix(buf.String(), "\n"))), into) == nil
}
