// Putting values in: into PromQL, escaped for the place at which they stand,
// and into text for people.

package dashboard

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"

	"triagebot/triage"
)

// reference is a variable in a text, in all of Grafana's notations: $name,
// ${name}, ${name:format}, [[name]] and [[name:format]].
var reference = regexp.MustCompile(`\$(\w+)|\$\{(\w+)(?::(\w+))?\}|\[\[(\w+)(?::(\w+))?\]\]`)

// maxExpr bounds an expression with its values, in bytes.
const maxExpr = 128 << 10

// The places within a PromQL expression: outside of any literal, in a comment,
// or in a literal, which is then its quote.
const (
	outside = byte(0)
	comment = byte('#')
)

// PromQL puts values into an expression and parses it.
//
// As in Grafana, the values of a variable that may have several are escaped for
// a regular expression and joined by |, and all values are escaped for their
// literal. Beyond that a value that a step gives is data wherever it stands: in
// a regular expression it matches itself, and outside of a literal it is a name,
// a number or a duration, or refused.
func (s *Scope) PromQL(expr string) (string, error) {
	var b strings.Builder
	var unknown []string
	at, last := outside, byte(0) // last is the one before a literal: ~ or =
	rest := expr
	for rest != "" {
		loc := reference.FindStringSubmatchIndex(rest)
		text := rest
		if loc != nil {
			text = rest[:loc[0]]
		}
		at, last = follow(at, last, text)
		b.WriteString(text)
		if loc == nil {
			break
		}
		whole, name, format := rest[loc[0]:loc[1]], "", ""
		for _, g := range []int{2, 4, 8} {
			if loc[g] >= 0 {
				name = rest[loc[g]:loc[g+1]]
			}
		}
		for _, g := range []int{6, 10} {
			if loc[g] >= 0 {
				format = rest[loc[g]:loc[g+1]]
			}
		}
		rest = rest[loc[1]:]
		v, known := s.values[name]
		if !known {
			// $1 in a replacement is none of Grafana's.
			if at == outside {
				unknown = append(unknown, whole)
			}
			b.WriteString(whole)
			continue
		}
		if at != outside && at != comment && at != '`' && (len(text)-len(strings.TrimRight(text, `\`)))%2 == 1 {
			return "", fmt.Errorf(`a \ stands right before %s, and would escape the first character of its value`, whole)
		}
		filled, err := v.promQL(name, format, at, last)
		if err != nil {
			return "", err
		}
		if b.WriteString(filled); b.Len() > maxExpr {
			return "", fmt.Errorf("the query is over %d KiB with its variables", maxExpr>>10)
		}
		if at == outside {
			last = 'a'
		}
	}
	out := strings.TrimSpace(b.String())
	if _, err := parser.NewParser(parser.Options{}).ParseExpr(out); err != nil {
		if len(unknown) > 0 {
			return "", fmt.Errorf("unknown variables %s in the query", strings.Join(unknown, ", "))
		}
		return "", fmt.Errorf("not PromQL: %w", err)
	}
	return out, nil
}

// follow moves over literal text.
func follow(at, last byte, text string) (byte, byte) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case at == comment:
			if c == '\n' {
				at = outside
			}
		case at != outside:
			if c == '\\' && at != '`' {
				i++
			} else if c == at {
				at, last = outside, 'a'
			}
		case c == '#' || c == '"' || c == '\'' || c == '`':
			at = c
		case c != ' ' && c != '\t' && c != '\n' && c != '\r':
			last = c
		}
	}
	return at, last
}

// token is what a value may be outside of a literal.
var token = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*|[0-9]+(\.[0-9]+)?|([0-9]+(ms|[smhdwy]))+)$`)

func (v value) promQL(name, format string, at, last byte) (string, error) {
	if len(v.texts) == 0 && v.raw == "" {
		return "", fmt.Errorf("the variable %s has no value; the dashboard was saved without one, so give it under vars", name)
	}
	if v.raw != "" {
		return v.raw, nil
	}
	texts := slices.Clone(v.texts)
	for i := range texts {
		texts[i] = strings.ToValidUTF8(texts[i], "\uFFFD")
	}
	if at == outside || at == comment {
		text := strings.Join(texts, "|")
		if v.given && !token.MatchString(text) {
			return "", fmt.Errorf("the variable %s is %q; outside of quotes a query takes only a name, a number or a duration", name, clip(text))
		}
		return text, nil
	}
	text, err := v.formatted(name, format, texts, last)
	if err != nil {
		return "", err
	}
	return literal(name, text, at)
}

// formatted is the inside of a literal, before it is escaped for it.
func (v value) formatted(name, format string, texts []string, last byte) (string, error) {
	quoted := make([]string, len(texts))
	for i, t := range texts {
		quoted[i] = regexp.QuoteMeta(t)
	}
	alternatives := strings.Join(quoted, "|")
	if len(quoted) > 1 {
		alternatives = "(" + alternatives + ")"
	}
	switch format {
	case "":
		switch {
		case last == '=' && len(texts) == 1: // compared as it is
			return texts[0], nil
		case v.regex, v.given && last == '~':
			return alternatives, nil
		}
		return strings.Join(texts, ","), nil
	case "regex":
		return alternatives, nil
	case "pipe":
		if v.given && last == '~' {
			return strings.Join(quoted, "|"), nil
		}
		return strings.Join(texts, "|"), nil
	case "raw", "text", "csv":
		if v.given && last == '~' {
			return strings.Join(quoted, ","), nil
		}
		return strings.Join(texts, ","), nil
	}
	return "", fmt.Errorf("the variable %s has the format %s, which is not known; known are regex, pipe, csv, raw and text", name, format)
}

// literal escapes text for the inside of a PromQL literal.
func literal(name, text string, quote byte) (string, error) {
	if quote == '`' {
		if strings.ContainsAny(text, "`\uFFFD") {
			return "", fmt.Errorf("the variable %s holds a backtick or invalid UTF-8 and stands between backticks; use double quotes in the dashboard", name)
		}
		return text, nil
	}
	text = strconv.Quote(text)
	text = strings.ReplaceAll(text[1:len(text)-1], "\uFFFD", `\ufffd`) // PromQL takes it for invalid UTF-8
	if quote == '\'' {
		text = strings.ReplaceAll(strings.ReplaceAll(text, `\"`, `"`), `'`, `\'`)
	}
	return text, nil
}

// Text puts values into a title or a legend. Variables that are not known stay.
func (s *Scope) Text(text string) string {
	return reference.ReplaceAllStringFunc(text, func(whole string) string {
		m := reference.FindStringSubmatch(whole)
		v, known := s.values[m[1]+m[2]+m[4]]
		switch {
		case !known:
			return whole
		case v.raw != "":
			return "All"
		}
		return strings.Join(v.texts, " + ")
	})
}

// fieldReference is what a display name may say of its series, in Grafana's
// notation: ${__field.labels.route}, ${__field.labels["route"]}, ${__series.name}.
var fieldReference = regexp.MustCompile(`\$\{__(?:field\.labels(?:\.(\w+)|\["([^"]+)"\])|(?:field|series|data)\.(?:name|displayName))\}`)

// Display is the name that a field's override or default gives a series, which
// the legend calls legend.
func (s *Scope) Display(name, legend string, labels triage.Labels) string {
	// Variables first: the value of a label is data.
	return fieldReference.ReplaceAllStringFunc(s.Text(name), func(whole string) string {
		m := fieldReference.FindStringSubmatch(whole)
		if key := m[1] + m[2]; key != "" {
			return labels[key]
		}
		return legend
	})
}

// label is a label's value in a legend.
var label = regexp.MustCompile(`\{\{\s*(.+?)\s*\}\}`)

// Legend names a series as its target says; "" where that leaves it to the
// labels.
func (s *Scope) Legend(t *Target, labels triage.Labels) string {
	if t.Legend == "" || t.Legend == "__auto" {
		return ""
	}
	// Variables first: the value of a label is data.
	return label.ReplaceAllStringFunc(s.Text(t.Legend), func(whole string) string {
		return labels[label.FindStringSubmatch(whole)[1]]
	})
}

func clip(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
