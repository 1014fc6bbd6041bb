package playbook

import (
	"fmt"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxTextValue bounds one value in a text for people, in bytes.
const maxTextValue = 4 << 10

// textLanguage is plain text for people, free of any channel's markup.
type textLanguage struct{}

func (textLanguage) funcs() template.FuncMap {
	return template.FuncMap{"_text": func(_ string, v any) string { return plainText(valueText(v)) }}
}

func (textLanguage) start() place { return place{} }

func (textLanguage) text(at place, _ string) (place, error) { return at, nil }

func (textLanguage) action(at place, n *parse.ActionNode) (string, place, error) {
	return "_text", at, refuseAsRegex(n)
}

func (textLanguage) check(*parse.Tree, map[*parse.ActionNode]place) error { return nil }

func (textLanguage) finish(s string) (string, error) { return strings.TrimSpace(s), nil }

// rawLanguage is text that is kept as it is, because it is escaped where it is
// used: the inputs of a playbook.
type rawLanguage struct{ textLanguage }

func (rawLanguage) funcs() template.FuncMap {
	return template.FuncMap{"_text": func(_ string, v any) string { return strings.ToValidUTF8(valueText(v), "\uFFFD") }}
}

func (rawLanguage) finish(s string) (string, error) { return s, nil }

// plainText makes a value harmless in a line for people: line breaks and tabs
// become spaces, other control characters go, those that reorder text are
// shown as [U+202E], and it is cut at maxTextValue.
func plainText(s string) string {
	cut := false
	if len(s) > maxTextValue {
		end := maxTextValue
		for end > maxTextValue-utf8.UTFMax && !utf8.RuneStart(s[end]) {
			end--
		}
		s, cut = s[:end], true
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case r == '\n' || r == '\t' || r == '\u2028' || r == '\u2029':
			b.WriteByte(' ')
		case unicode.IsControl(r):
		case unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Cf, r) && r != '\u200D':
			fmt.Fprintf(&b, "[%U]", r)
		default:
			b.WriteRune(r)
		}
	}
	if cut {
		b.WriteString("…")
	}
	return b.String()
}

// valueText is a template value as text. Floats are written in full, not as
// 1e+06, and what is missing is "".
func valueText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		if v < 1e15 && v > -1e15 {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	default:
		return fmt.Sprint(v)
	}
}

// refuseAsRegex reports asRegex outside of a regexp matcher, where it would
// promise an escaping that does not happen.
func refuseAsRegex(n *parse.ActionNode) error {
	if lastFunction(n) == "asRegex" {
		return fmt.Errorf("asRegex stands outside of a =~ or !~ matcher in {{ %s }}; leave it out", n.Pipe)
	}
	return nil
}
