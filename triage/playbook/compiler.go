package playbook

import (
	"fmt"
	"strconv"
	"strings"
	"text/template/parse"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"triagebot/triage/strictyaml"
)

// Compiler is what a Kind decodes its YAML with. It knows the file and the key
// path of the step, gathers every problem, and notes which steps the compiled
// templates refer to, so that the order of steps needs no second list.
type Compiler struct {
	file     string
	path     string // dotted key of the node: steps[0].query
	scope    scope
	problems *strictyaml.Problems
	refs     references
}

// CompilerOptions say what the compiled templates may refer to.
type CompilerOptions struct {
	File     string   // named in problems
	Path     string   // dotted key of the node that is decoded; "" for the root
	Inputs   []string // names of the playbook's inputs
	Services []string // names of the configured services; nil allows any
	Steps    []string // ids of the playbook's steps
}

// NewCompiler returns a compiler on its own. Load makes one for every step;
// this is for whoever compiles a template or decodes a kind without a playbook.
func NewCompiler(opts CompilerOptions) *Compiler {
	return &Compiler{
		file: opts.File,
		path: opts.Path,
		scope: scope{
			inputs:     opts.Inputs,
			services:   opts.Services,
			anyService: opts.Services == nil,
			steps:      opts.Steps,
		},
		problems: new(strictyaml.Problems),
	}
}

// Err is nil when nothing was wrong so far, and strictyaml.Problems otherwise.
func (c *Compiler) Err() error { return c.problems.Err() }

// Decode decodes node into the struct that into points to. Unknown and
// repeated keys and values of the wrong type are reported.
func (c *Compiler) Decode(node *yaml.Node, into any) {
	*c.problems = append(*c.problems, strictyaml.Decode(c.file, c.path, node, into)...)
}

// Errorf reports a problem with a key below node: "expr", "baseline.offset",
// "headers[2]". The key "" means node itself. The text says what is wrong and
// what to write instead.
func (c *Compiler) Errorf(node *yaml.Node, key, format string, args ...any) {
	c.report(lookup(node, key).Line, key, fmt.Sprintf(format, args...))
}

func (c *Compiler) report(line int, key, text string) {
	path := c.path
	if key != "" {
		path = strictyaml.Join(path, key)
	}
	*c.problems = append(*c.problems, strictyaml.Problem{File: c.file, Line: line, Key: path, Text: text})
}

// PromQL compiles the text at key below node as a template that yields a
// PromQL expression. Actions are escaped for the place at which they stand,
// and the query is parsed, now with placeholders and again whenever it is
// rendered. Problems are reported; the template is then unusable but not nil.
func (c *Compiler) PromQL(node *yaml.Node, key, text string) *Template {
	return c.compile(newPromQL(text), node, key, text)
}

// URL compiles the text at key below node as a template that yields an
// absolute http or https URL. It begins with a service, {{ .Services.app }},
// or a literal host; whatever else stands in it is escaped.
func (c *Compiler) URL(node *yaml.Node, key, text string) *Template {
	return c.compile(urlLanguage{}, node, key, text)
}

// Text compiles the text at key below node as a template that yields plain
// text for people. Markup is not escaped, for whoever shows it does that;
// control characters are dropped, characters that reorder text are made
// visible, and each value is cut at 4 KiB.
func (c *Compiler) Text(node *yaml.Node, key, text string) *Template {
	return c.compile(textLanguage{}, node, key, text)
}

// Raw compiles the text at key below node as a template that yields its values
// as they are, but for invalid UTF-8: for what is handed on whole, such as one
// argument of a program. Whoever uses it escapes it or sees to what it may hold.
func (c *Compiler) Raw(node *yaml.Node, key, text string) *Template {
	return c.compile(rawLanguage{}, node, key, text)
}

// File is the file that is decoded, as it was named to Load.
func (c *Compiler) File() string { return c.file }

// Duration parses the text at key below node as Prometheus writes durations
// (30s, 5m, 1d) and holds it to [low, high]. It returns 0 when it reports a
// problem.
func (c *Compiler) Duration(node *yaml.Node, key, text string, low, high time.Duration) time.Duration {
	d, err := model.ParseDuration(text)
	switch {
	case err != nil:
		c.Errorf(node, key, "%q is no duration; write one like 30s, 5m or 1d", text)
		return 0
	case time.Duration(d) < low || time.Duration(d) > high:
		c.Errorf(node, key, "%s is out of bounds; write a duration from %s to %s", text, model.Duration(low), model.Duration(high))
		return 0
	}
	return time.Duration(d)
}

// compile compiles one template of any language.
func (c *Compiler) compile(lang language, node *yaml.Node, key, text string) *Template {
	value := lookup(node, key)
	fail := func(n parse.Node, problem string) {
		c.report(sourceLine(value, text, n), key, problem)
	}
	return compileTemplate(lang, text, &c.scope, &c.refs, fail)
}

// lookup finds the node at a dotted key below node, or the nearest one above
// it that exists.
func lookup(node *yaml.Node, key string) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if key == "" {
		return node
	}
	head, rest, _ := strings.Cut(key, ".")
	name, index, indexed := strings.Cut(head, "[")
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value != name {
				continue
			}
			if indexed {
				rest = strings.TrimSuffix(strictyaml.Join("["+index, rest), ".")
			}
			return lookup(node.Content[i+1], rest)
		}
	case yaml.SequenceNode:
		number, _ := strings.CutSuffix(index, "]")
		if i, err := strconv.Atoi(number); err == nil && i >= 0 && i < len(node.Content) {
			return lookup(node.Content[i], rest)
		}
	}
	return node
}

// sourceLine is the line of the file on which a template's node stands. Only a
// literal block keeps its line breaks, and its text begins one line below.
func sourceLine(value *yaml.Node, text string, n parse.Node) int {
	if n == nil || value.Style&yaml.LiteralStyle == 0 {
		return value.Line
	}
	offset := min(int(n.Position()), len(text))
	return value.Line + 1 + strings.Count(text[:offset], "\n")
}
