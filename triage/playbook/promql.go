package playbook

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"unicode"

	"github.com/prometheus/prometheus/promql/parser"
)

// maxQueryValue bounds one value in a query, in bytes. A longer one is refused
// and not cut, for a cut one would ask for another series.
const maxQueryValue = 16 << 10

// The places within a PromQL expression.
const (
	promqlOutside = iota // of any literal
	promqlComment
	promqlDouble // within "…"
	promqlSingle // within '…'
	promqlRaw    // within `…`
	// promqlRegex is added to a literal that is the value of =~ or !~.
	promqlRegex = 16
)

// promqlLanguage is a PromQL expression.
type promqlLanguage struct {
	whole bool // the text is {{ .AlertExpr }} and nothing else
}

var wholeAlertExpr = regexp.MustCompile(`^\s*\{\{-?\s*\.AlertExpr\s*-?\}\}\s*$`)

func newPromQL(text string) promqlLanguage {
	return promqlLanguage{whole: wholeAlertExpr.MatchString(text)}
}

func (promqlLanguage) funcs() template.FuncMap {
	return template.FuncMap{
		"asRegex":             func(v any) regexText { return regexText(valueText(v)) },
		"_promql_expr":        promqlExpr,
		"_promql_token":       promqlToken,
		"_promql_double":      func(source string, v any) (string, error) { return promqlLiteral(source, v, '"') },
		"_promql_single":      func(source string, v any) (string, error) { return promqlLiteral(source, v, '\'') },
		"_promql_raw":         func(source string, v any) (string, error) { return promqlLiteral(source, v, '`') },
		"_promql_regexdouble": func(source string, v any) (string, error) { return promqlLiteral(source, quoteRegex(v), '"') },
		"_promql_regexsingle": func(source string, v any) (string, error) { return promqlLiteral(source, quoteRegex(v), '\'') },
		"_promql_regexraw":    func(source string, v any) (string, error) { return promqlLiteral(source, quoteRegex(v), '`') },
	}
}

func (promqlLanguage) start() place { return place{} }

func (promqlLanguage) text(at place, s string) (place, error) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch at.mode &^ promqlRegex {
		case promqlOutside:
			if c == '#' {
				at.mode = promqlComment
				continue
			}
			if mode, opens := map[byte]int{'"': promqlDouble, '\'': promqlSingle, '`': promqlRaw}[c]; opens {
				if at.last == '~' {
					mode |= promqlRegex
				}
				at.mode = mode
			}
			if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
				at.last = c
			}
		case promqlComment:
			if c == '\n' {
				at.mode = promqlOutside
			}
		default:
			switch {
			case c == '\\' && at.mode&^promqlRegex != promqlRaw:
				if i++; i == len(s) {
					return at, fmt.Errorf(`a \ stands right before an action; write \\ for the character itself`)
				}
			case c == literalQuote(at.mode):
				at.mode = promqlOutside
			}
		}
	}
	return at, nil
}

func literalQuote(mode int) byte {
	switch mode &^ promqlRegex {
	case promqlDouble:
		return '"'
	case promqlSingle:
		return '\''
	default:
		return '`'
	}
}

func (l promqlLanguage) action(at place, n *parse.ActionNode) (string, place, error) {
	if l.whole {
		return "_promql_expr", at, nil
	}
	if at.mode&promqlRegex == 0 {
		if err := refuseAsRegex(n); err != nil {
			return "", at, err
		}
	}
	switch at.mode {
	case promqlComment:
		return "", at, fmt.Errorf("{{ %s }} stands in a comment; move it out", n.Pipe)
	case promqlDouble:
		return "_promql_double", at, nil
	case promqlSingle:
		return "_promql_single", at, nil
	case promqlRaw:
		return "_promql_raw", at, nil
	case promqlDouble | promqlRegex:
		return "_promql_regexdouble", at, nil
	case promqlSingle | promqlRegex:
		return "_promql_regexsingle", at, nil
	case promqlRaw | promqlRegex:
		return "_promql_regexraw", at, nil
	}
	if slices.Equal(soleField(n), []string{"AlertExpr"}) {
		return "", at, fmt.Errorf("{{ .AlertExpr }} can only be the whole query; write expr: '{{ .AlertExpr }}'")
	}
	at.last = 'a'
	return "_promql_token", at, nil
}

// maxPlaceholders bounds the ways through a template, and for each the queries
// that are tried, when it is checked: four actions outside of quotes.
const maxPlaceholders = 81

// check parses the query with placeholders: for each way through its
// conditions there must be a filling of its actions that parses.
func (l promqlLanguage) check(tree *parse.Tree, places map[*parse.ActionNode]place) error {
	if l.whole {
		return nil
	}
	texts, complete := expansions(tree.Root, maxPlaceholders)
	if !complete {
		return fmt.Errorf("has too many conditions to be checked; split the step in two")
	}
	for _, text := range texts {
		if err := checkExpansion(text, places); err != nil {
			return err
		}
	}
	return nil
}

func checkExpansion(text []parse.Node, places map[*parse.ActionNode]place) error {
	free := 0
	for _, n := range text {
		if a, ok := n.(*parse.ActionNode); ok && places[a].mode == promqlOutside {
			free++
		}
	}
	candidates := [...]string{"placeholder", "5m", "1"}
	total := 1
	for range free {
		if total *= len(candidates); total > maxPlaceholders {
			return fmt.Errorf("has %d actions outside of quotes, more than can be checked; write the query out", free)
		}
	}
	var first error
	for choice := range total {
		var b strings.Builder
		rest := choice
		for _, n := range text {
			switch n := n.(type) {
			case *parse.TextNode:
				b.Write(n.Text)
			case *parse.ActionNode:
				if places[n].mode != promqlOutside {
					b.WriteString("placeholder")
					continue
				}
				b.WriteString(candidates[rest%len(candidates)])
				rest /= len(candidates)
			}
		}
		err := parseQuery(b.String())
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func (promqlLanguage) finish(s string) (string, error) {
	s = strings.TrimSpace(s)
	return s, parseQuery(s)
}

// maxQueryShown bounds how much of a query an error repeats, in runes.
const maxQueryShown = 200

func parseQuery(query string) error {
	if query == "" {
		return fmt.Errorf("the query is empty; write a PromQL expression")
	}
	if _, err := parser.NewParser(parser.Options{}).ParseExpr(query); err != nil {
		shown := []rune(query)
		text := string(shown[:min(len(shown), maxQueryShown)])
		if len(shown) > maxQueryShown {
			text += "…"
		}
		return fmt.Errorf("not PromQL: %s in %s", plainText(err.Error()), plainText(text))
	}
	return nil
}

// regexText is a value that its author wants to be a regular expression.
type regexText string

// quoteRegex makes a value match itself, unless asRegex says otherwise.
func quoteRegex(v any) any {
	if r, ok := v.(regexText); ok {
		return string(r)
	}
	return regexp.QuoteMeta(strings.ToValidUTF8(valueText(v), "\uFFFD"))
}

func queryValue(source string, v any) (string, error) {
	s := strings.ToValidUTF8(valueText(v), "\uFFFD")
	if len(s) > maxQueryValue {
		return "", &valueError{fmt.Sprintf("the value of {{ %s }} has %d bytes; a query takes at most %d", source, len(s), maxQueryValue)}
	}
	return s, nil
}

// promqlLiteral escapes a value for the inside of a string literal, so that
// the literal's value is the value itself.
func promqlLiteral(source string, v any, quote byte) (string, error) {
	s, err := queryValue(source, v)
	if err != nil {
		return "", err
	}
	if quote == '`' {
		if strings.ContainsAny(s, "`\uFFFD") {
			return "", &valueError{fmt.Sprintf("the value of {{ %s }} holds a backtick or invalid UTF-8 and stands between backticks; use double quotes in the query", source)}
		}
		return s, nil
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r < 0x80 && unicode.IsControl(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		case r == '\uFFFD' || !unicode.IsPrint(r): // the lexer takes U+FFFD for invalid UTF-8
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String(), nil
}

var (
	metricName  = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	queryNumber = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)
	querySpan   = regexp.MustCompile(`^([0-9]+(ms|[smhdwy]))+$`)
)

// promqlToken lets only a metric or label name, a number or a duration through.
func promqlToken(source string, v any) (string, error) {
	s, err := queryValue(source, v)
	if err != nil {
		return "", err
	}
	isName := metricName.MatchString(s) && !slices.Contains(parser.Keywords(), strings.ToLower(s))
	if isName || queryNumber.MatchString(s) || querySpan.MatchString(s) {
		return s, nil
	}
	shown := []rune(s)
	return "", &valueError{fmt.Sprintf("the value of {{ %s }} is %s; outside of quotes a query takes only a name, a number or a duration",
		source, strconv.Quote(string(shown[:min(len(shown), 80)])))}
}

// promqlExpr lets an alert's whole expression through; finish parses it.
func promqlExpr(_ string, v any) (string, error) {
	s := valueText(v)
	if strings.TrimSpace(s) == "" {
		return "", &valueError{"the alert's generatorURL holds no expression"}
	}
	return s, nil
}

// expansions are the texts that a template may yield, one for each way
// through its conditions and with loops run once or not at all. complete is
// false when there are more than limit.
func expansions(list *parse.ListNode, limit int) (texts [][]parse.Node, complete bool) {
	texts = [][]parse.Node{nil}
	if list == nil {
		return texts, true
	}
	for _, n := range list.Nodes {
		var ways [][]parse.Node
		switch n := n.(type) {
		case *parse.TextNode:
			ways = [][]parse.Node{{n}}
		case *parse.ActionNode:
			if len(n.Pipe.Decl) != 0 {
				continue
			}
			ways = [][]parse.Node{{n}}
		default:
			b := branchOf(n)
			if b == nil {
				continue
			}
			then, ok := expansions(b.List, limit)
			otherwise, alsoOK := expansions(b.ElseList, limit)
			if !ok || !alsoOK {
				return nil, false
			}
			ways = slices.Concat(then, otherwise)
		}
		if len(texts)*len(ways) > limit {
			return nil, false
		}
		var longer [][]parse.Node
		for _, text := range texts {
			for _, way := range ways {
				longer = append(longer, slices.Concat(text, way))
			}
		}
		texts = longer
	}
	return texts, true
}

// branchOf is the branch of an if, with or range; nil for another node.
func branchOf(n parse.Node) *parse.BranchNode {
	switch n := n.(type) {
	case *parse.IfNode:
		return &n.BranchNode
	case *parse.WithNode:
		return &n.BranchNode
	case *parse.RangeNode:
		return &n.BranchNode
	}
	return nil
}
