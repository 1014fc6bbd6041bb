package evidence

// Redaction: masking secrets in captured text before it is stored or posted.
// Three finders look at a text; what they find is merged, clipped so that JSON
// stays JSON, and replaced by <redacted:rule>:
//
//   - fields (redact_fields.go): what stands under a telling name
//   - shapes (redact_shapes.go): credentials that can be told by their look
//     wherever they stand, also when cut off
//   - rules (redact_rules.go): gitleaks' rule set for the tokens of some two
//     hundred vendors
//
// All of them also look at what is percent-encoded (redact_encoded.go).

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// MaxRedact bounds one text, in bytes. A longer one is replaced whole rather
// than passed on unseen.
const MaxRedact = MaxArtifact

// maxPasses bounds how often a text that had secrets is looked at again: what
// is masked may lay bare another, such as one escaped within.
const maxPasses = 4

// Redactor masks secrets. It is safe for use by several goroutines. The vendor
// rules are read when first needed, and each rule compiled when its keyword
// first turns up: all at once they would cost some 15 MB and 90 ms.
type Redactor struct {
	loadRules func() *ruleSet
}

// NewRedactor returns a Redactor.
func NewRedactor() *Redactor {
	return &Redactor{loadRules: sync.OnceValue(newRuleSet)}
}

// Redact returns data with every secret it knows replaced by <redacted:rule>,
// and how many it replaced. Pictures are returned as they are. JSON stays
// valid JSON. The end of data counts as a place where text may have been cut
// off, within a secret even.
func (r *Redactor) Redact(data []byte, mediaType string) (out []byte, count int) {
	if isPicture(mediaType) || len(data) == 0 {
		return data, 0
	}
	if len(data) > MaxRedact {
		return []byte(placeholder("too-long")), 1
	}
	for range maxPasses {
		spans := r.findAt(data, 0)
		if len(spans) == 0 {
			break
		}
		data = replace(data, spans)
		count += len(spans)
	}
	return data, count
}

// RedactString is Redact for text.
func (r *Redactor) RedactString(s string) (out string, count int) {
	b, count := r.Redact([]byte(s), "")
	if count == 0 {
		return s, 0
	}
	return string(b), count
}

func isPicture(mediaType string) bool {
	mediaType = strings.ToLower(mediaType)
	return strings.HasPrefix(mediaType, "image/") && !strings.HasPrefix(mediaType, "image/svg")
}

// span is a secret found in a text.
type span struct {
	start, end int
	rule       string
	quote      string // set where a bare JSON value must be replaced by a string: its quote
}

// findAt returns the secrets in a text that was decoded depth times, in order,
// without overlaps.
func (r *Redactor) findAt(text []byte, depth int) []span {
	var spans []span
	add := func(s span) {
		if s.start < s.end && !harmless(text[s.start:s.end]) {
			spans = append(spans, s)
		}
	}
	findFields(text, add)
	r.loadRules().find(text, add) // before shapes: the more telling name wins
	findShapes(text, add)
	r.findEncoded(text, depth, add)
	if len(spans) == 0 {
		return nil
	}
	spans = merge(spans)
	if json.Valid(text) {
		spans = clipToStrings(text, spans)
	}
	return spans
}

// merge unites overlapping spans; the one that begins first names the rule.
func merge(spans []span) []span {
	slices.SortStableFunc(spans, func(a, b span) int {
		if a.start != b.start {
			return a.start - b.start
		}
		return b.end - a.end
	})
	out := spans[:1]
	for _, s := range spans[1:] {
		last := &out[len(out)-1]
		if s.start >= last.end {
			out = append(out, s)
			continue
		}
		last.end = max(last.end, s.end)
	}
	return out
}

func replace(text []byte, spans []span) []byte {
	out := make([]byte, 0, len(text)+len(spans)*24)
	from := 0
	for _, s := range spans {
		out = append(out, text[from:s.start]...)
		out = append(out, s.quote...)
		out = append(out, placeholder(s.rule)...)
		out = append(out, s.quote...)
		from = s.end
	}
	return append(out, text[from:]...)
}

func placeholder(rule string) string { return "<redacted:" + rule + ">" }

// Links write its brackets as %3C and %3E.
var (
	anyPlaceholder  = regexp.MustCompile(`(?:<|%3C)redacted:[a-z0-9-]{1,64}(?:>|%3E)`)
	placeholderHead = regexp.MustCompile(`^` + anyPlaceholder.String())
)

// countMasks is how many secrets are masked in a text.
func countMasks(text []byte) int { return len(anyPlaceholder.FindAllIndex(text, -1)) }

// placeholderLen is the length of the placeholder that b begins with, or 0.
func placeholderLen(b []byte) int {
	return len(placeholderHead.Find(b[:min(len(b), 80)]))
}

// harmless says that a value is no secret, or one that is masked already.
func harmless(value []byte) bool {
	if len(bytes.Trim(value, "* \t\r\n+")) == 0 { // forms write a space as +
		return true
	}
	if len(value) <= 9 {
		switch strings.ToLower(string(value)) {
		case "null", "nil", "none", "true", "false", "<secret>", "undefined":
			return true
		}
	}
	return (value[0] == '<' || value[0] == '%') && placeholderLen(value) == len(value)
}
