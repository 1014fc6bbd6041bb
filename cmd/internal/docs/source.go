// What is taken from a package's source: the keys of a struct that YAML is
// decoded into, the variables that a Vars method declares, and the comments that
// say what they are.

package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"math"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// source is a package's declarations.
type source struct {
	dir     string
	fset    *token.FileSet
	structs map[string]declared
	vars    map[string]declaredVars // Vars methods by their receiver's type
	consts  map[string]ast.Expr
}

// declared is a struct and the file that it stands in.
type declared struct {
	*ast.StructType
	file *ast.File
}

type declaredVars struct {
	*ast.FuncDecl
	file *ast.File
}

// parseSource parses the package in dir without its tests.
func parseSource(dir string) (*source, error) {
	s := &source{
		dir: dir, fset: token.NewFileSet(),
		structs: map[string]declared{}, vars: map[string]declaredVars{}, consts: map[string]ast.Expr{},
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(s.fset, name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, decl := range file.Decls {
			s.declare(file, decl)
		}
	}
	return s, nil
}

func (s *source) declare(file *ast.File, decl ast.Decl) {
	if f, ok := decl.(*ast.FuncDecl); ok {
		if f.Name.Name == "Vars" && f.Recv != nil {
			s.vars[typeName(f.Recv.List[0].Type)] = declaredVars{f, file}
		}
		return
	}
	for _, spec := range decl.(*ast.GenDecl).Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if t, ok := spec.Type.(*ast.StructType); ok {
				s.structs[spec.Name.Name] = declared{t, file}
			}
		case *ast.ValueSpec:
			for i, value := range spec.Values {
				s.consts[spec.Names[i].Name] = value
			}
		}
	}
}

// typeName is the name of a type, of what a pointer points to or of a slice's
// elements.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.ArrayType:
		return typeName(e.Elt)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// entry is one row of a table: a key or a variable.
type entry struct {
	name    string
	value   string // what may stand there: type, default, bounds
	meaning string
}

// keys are those of a struct, with the keys of structs within it after them. A
// field's comment says first what may stand there, then after a colon what it is.
func (s *source) keys(structName, prefix string) ([]entry, error) {
	t, found := s.structs[structName]
	if !found {
		return nil, fmt.Errorf("%s has no struct %s for the keys", s.dir, structName)
	}
	var out []entry
	for _, f := range t.Fields.List {
		name := ""
		if f.Tag != nil {
			name, _, _ = strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("yaml"), ",")
		}
		if name == "" {
			return nil, fmt.Errorf("%s: a field of %s has no yaml tag", s.position(f), structName)
		}
		text, err := s.text(f.Doc, f.Comment)
		if err != nil {
			return nil, fmt.Errorf("%s: the key %s: %w", s.position(f), name, err)
		}
		value, meaning := divide(text)
		if meaning == "" {
			return nil, fmt.Errorf("%s: the comment of the key %s must say what may stand there, then after a colon what it is: // number, default 3: of tries", s.position(f), name)
		}
		out = append(out, entry{prefix + name, value, meaning})
		nested := typeName(f.Type)
		if _, isStruct := s.structs[nested]; !isStruct {
			continue
		}
		below := prefix + name
		if _, isList := f.Type.(*ast.ArrayType); isList {
			below += "[]"
		}
		within, err := s.keys(nested, below+".")
		if err != nil {
			return nil, err
		}
		out = append(out, within...)
	}
	return out, nil
}

// fields are a struct's own fields, with their comments.
func (s *source) fields(structName, prefix string) ([]entry, error) {
	t, found := s.structs[structName]
	if !found {
		return nil, fmt.Errorf("%s has no struct %s", s.dir, structName)
	}
	var out []entry
	for _, f := range t.Fields.List {
		text, err := s.text(f.Doc, f.Comment)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.position(f), err)
		}
		for _, name := range f.Names {
			out = append(out, entry{name: prefix + name.Name, meaning: text})
		}
	}
	return out, nil
}

// variables are what the Vars method of a type declares, in its order: the
// entries of its map and what is added to it, each with the comment beside it.
func (s *source) variables(receiver string) (out []entry, err error) {
	f, found := s.vars[receiver]
	if !found {
		return nil, fmt.Errorf("%s: %s has no method Vars", s.dir, receiver)
	}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		var key, value ast.Expr
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			key, value = n.Key, n.Value
		case *ast.AssignStmt:
			at, ok := n.Lhs[0].(*ast.IndexExpr)
			if !ok {
				return true
			}
			key, value = at.Index, n.Rhs[0]
		default:
			return true
		}
		literal, ok := key.(*ast.BasicLit)
		if !ok || err != nil {
			return true
		}
		name, unquoted := strconv.Unquote(literal.Value)
		text, lacks := s.text(s.beside(f.file, n))
		switch {
		case unquoted != nil:
			err = fmt.Errorf("%s: the variable %s: %w", s.position(n), literal.Value, unquoted)
		case lacks != nil:
			err = fmt.Errorf("%s: the variable %s: %w", s.position(n), name, lacks)
		}
		out = append(out, entry{name, celType(value), text})
		return true
	})
	return out, err
}

// beside is the comment on the line of a node.
func (s *source) beside(file *ast.File, n ast.Node) *ast.CommentGroup {
	line := s.fset.Position(n.End()).Line
	for _, c := range file.Comments {
		if s.fset.Position(c.Pos()).Line == line {
			return c
		}
	}
	return nil
}

// celType is a type of cel in words.
func celType(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		name := strings.ToLower(strings.TrimSuffix(e.Sel.Name, "Type"))
		if name == "dyn" {
			return "any"
		}
		return name
	case *ast.CallExpr: // cel.MapType(of, to), cel.ListType(of)
		name := strings.TrimSuffix(e.Fun.(*ast.SelectorExpr).Sel.Name, "Type")
		return fmt.Sprintf("%s of %ss", strings.ToLower(name), celType(e.Args[len(e.Args)-1]))
	}
	return ""
}

// purpose is the sentence that says what a kind does: the first one of its file,
// after "The kind `query`: ".
func (s *source) purpose(structName, kind string) (string, error) {
	t, found := s.structs[structName]
	if !found {
		return "", fmt.Errorf("%s has no struct %s for the keys of the kind %s", s.dir, structName, kind)
	}
	opening := fmt.Sprintf("The kind `%s`: ", kind)
	text := ""
	if len(t.file.Comments) > 0 {
		text = oneLine(t.file.Comments[0].Text())
	}
	text, found = strings.CutPrefix(text, opening)
	if !found {
		return "", fmt.Errorf("%s does not open with %q and what the kind does", s.position(t.file), opening)
	}
	sentence, _, _ := strings.Cut(text, ". ")
	return strings.ToUpper(sentence[:1]) + strings.TrimSuffix(sentence[1:], ".") + ".", nil
}

func (s *source) position(n ast.Node) token.Position {
	p := s.fset.Position(n.Pos())
	p.Filename = filepath.Base(p.Filename)
	return p
}

// text is the first comment that there is, in one line, with the values of the
// constants that it refers to.
func (s *source) text(comments ...*ast.CommentGroup) (string, error) {
	for _, c := range comments {
		if c == nil {
			continue
		}
		return s.filled(strings.TrimSuffix(oneLine(c.Text()), "."))
	}
	return "", fmt.Errorf("no comment says what it is")
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// divide parts what may stand for a key from what the key is, at the first colon
// outside of code.
func divide(text string) (value, meaning string) {
	code := false
	for i := range text {
		switch {
		case text[i] == '`':
			code = !code
		case !code && strings.HasPrefix(text[i:], ": "):
			return text[:i], text[i+2:]
		}
	}
	return text, ""
}

// reference to a constant, as doc comments write it.
var constantLink = regexp.MustCompile(`\[([a-zA-Z]\w*)\]`)

// filled puts the values of constants in the place of links to them.
func (s *source) filled(text string) (string, error) {
	var failed error
	text = constantLink.ReplaceAllStringFunc(text, func(link string) string {
		name := link[1 : len(link)-1]
		if _, found := s.consts[name]; !found {
			return link // [version] is an example
		}
		value, err := s.evaluate(&ast.Ident{Name: name})
		if err != nil {
			failed = fmt.Errorf("the constant %s: %w", name, err)
			return link
		}
		return value.String()
	})
	return text, failed
}

// quantity is a constant's value.
type quantity struct {
	constant.Value
	isDuration bool
}

// String writes it as playbooks do: 15m, 64KiB, 1,000.
func (q quantity) String() string {
	f, _ := constant.Float64Val(constant.ToFloat(q.Value))
	switch {
	case q.isDuration:
		return model.Duration(f).String()
	case f != math.Trunc(f):
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	n := int64(f)
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + "MiB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.FormatInt(n>>10, 10) + "KiB"
	case n >= 1000:
		return fmt.Sprintf("%d,%03d", n/1000, n%1000)
	}
	return strconv.FormatInt(n, 10)
}

// evaluate computes the constants that bounds are made of: numbers, durations
// and each other.
func (s *source) evaluate(e ast.Expr) (quantity, error) {
	switch e := e.(type) {
	case *ast.BasicLit:
		return quantity{Value: constant.MakeFromLiteral(e.Value, e.Kind, 0)}, nil
	case *ast.ParenExpr:
		return s.evaluate(e.X)
	case *ast.Ident:
		if value, found := s.consts[e.Name]; found {
			return s.evaluate(value)
		}
	case *ast.SelectorExpr:
		units := map[string]time.Duration{
			"Millisecond": time.Millisecond, "Second": time.Second, "Minute": time.Minute, "Hour": time.Hour,
		}
		if unit, found := units[e.Sel.Name]; found {
			return quantity{constant.MakeInt64(int64(unit)), true}, nil
		}
	case *ast.BinaryExpr:
		x, err := s.evaluate(e.X)
		if err != nil {
			return x, err
		}
		y, err := s.evaluate(e.Y)
		if err != nil {
			return y, err
		}
		if e.Op == token.SHL {
			n, _ := constant.Uint64Val(y.Value)
			return quantity{Value: constant.Shift(x.Value, token.SHL, uint(n))}, nil
		}
		return quantity{constant.BinaryOp(x.Value, e.Op, y.Value), x.isDuration || y.isDuration}, nil
	}
	return quantity{}, fmt.Errorf("%T is more than a bound is made of", e)
}
