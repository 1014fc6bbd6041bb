package playbook

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"
	"text/template/parse"

	"triagebot/triage/strictyaml"
)

// maxRendered bounds what one template may yield, in bytes.
const maxRendered = 128 << 10

// Template is a compiled Go template whose actions are escaped for the place
// at which they stand. It is safe for use by several goroutines at once.
type Template struct {
	source string
	lang   language
	tmpl   *template.Template // nil when it did not compile
}

// Source is the template as its author wrote it.
func (t *Template) Source() string { return t.source }

// Render executes the template on d. The result is checked: an error says
// which value does not fit its place, or that the query does not parse.
func (t *Template) Render(d *Data) (string, error) { return t.RenderRow(d, nil) }

// RenderRow executes the template on d and the variables of a step's own row:
// the variable value is {{ .Value }}, and status_code is {{ .StatusCode }}.
func (t *Template) RenderRow(d *Data, vars map[string]any) (string, error) {
	if t.tmpl == nil {
		return "", fmt.Errorf("template %q did not compile", t.source)
	}
	out := &boundedText{limit: maxRendered}
	if err := t.tmpl.Execute(out, view(d, vars)); err != nil {
		return "", plainExecError(err)
	}
	return t.lang.finish(out.String())
}

// language is one kind of text that templates yield. It follows the literal
// text as far as it must to know where an action stands.
type language interface {
	// funcs are the escapers that action names.
	funcs() template.FuncMap
	// start is the place at which a template begins.
	start() place
	// text moves over literal text.
	text(at place, s string) (place, error)
	// action says which escaper an action at this place gets, and where the
	// text goes on. The error is for the template's author.
	action(at place, n *parse.ActionNode) (escaper string, after place, err error)
	// check is called with the rewritten tree when a template is compiled.
	check(tree *parse.Tree, places map[*parse.ActionNode]place) error
	// finish checks the rendered whole.
	finish(s string) (string, error)
}

// compileTemplate parses, checks and rewrites a template. What is wrong goes
// to fail, with the node it is wrong at or nil.
func compileTemplate(lang language, text string, s *scope, refs *references, fail func(parse.Node, string)) *Template {
	t := &Template{source: text, lang: lang}
	failed := false
	report := func(n parse.Node, problem string) {
		failed = true
		fail(n, problem)
	}
	funcs := templateFuncs()
	own := template.FuncMap{"_loop": loopOver}
	tmpl, err := template.New("").Option("missingkey=zero").Funcs(funcs).Funcs(own).Funcs(lang.funcs()).Parse(text)
	if err != nil {
		report(nil, plainParseError(err, funcs))
		return t
	}
	if tmpl.Tree == nil { // the empty text
		t.tmpl = tmpl
		return t
	}
	if len(tmpl.Templates()) > 1 {
		report(nil, "defines a template of its own; write the text where it is used")
		return t
	}
	checkReferences(tmpl.Root, s, refs, report)
	rw := &rewriter{lang: lang, places: map[*parse.ActionNode]place{}, report: report}
	rw.list(lang.start(), tmpl.Root)
	if failed {
		return t
	}
	if err := lang.check(tmpl.Tree, rw.places); err != nil {
		report(nil, err.Error())
		return t
	}
	t.tmpl = tmpl
	return t
}

var (
	parsePosition   = regexp.MustCompile(`^template: :\d+(:\d+)?: `)
	unknownFunction = regexp.MustCompile(`^function "(.*)" not defined$`)
)

// plainParseError takes Go's position out of a parse error and names the
// functions that there are.
func plainParseError(err error, funcs template.FuncMap) string {
	text := parsePosition.ReplaceAllString(err.Error(), "")
	if m := unknownFunction.FindStringSubmatch(text); m != nil {
		if m[1] == "now" {
			return `unknown function "now"; write .At, the instant that the run speaks of`
		}
		known := make([]string, 0, len(funcs))
		for name := range funcs {
			known = append(known, name)
		}
		return fmt.Sprintf("unknown function %q", m[1]) + strictyaml.Suggest(m[1], sorted(known))
	}
	return "not a template: " + text
}

// valueError says why a value cannot stand where its template puts it.
type valueError struct{ text string }

func (e *valueError) Error() string { return e.text }

// plainExecError takes text/template's wrapping from an error of our own.
func plainExecError(err error) error {
	var refused *valueError
	if errors.As(err, &refused) {
		return refused
	}
	if errors.Is(err, errTooLong) {
		return errTooLong
	}
	return err
}

var errTooLong = fmt.Errorf("the template yields more than %d KiB", maxRendered>>10)

// boundedText is a strings.Builder that refuses to grow beyond its limit.
type boundedText struct {
	strings.Builder
	limit int
}

func (b *boundedText) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.limit {
		return 0, errTooLong
	}
	return b.Builder.Write(p)
}
