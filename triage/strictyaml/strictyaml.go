// Package strictyaml decodes YAML that people write by hand: unknown keys are
// errors, every problem of a file is reported and not only the first, and each
// names file, line and key and says what is allowed.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	File string
	Line int    // from 1; 0 where the whole file is meant
	Key  string // dotted path: slack.token_file; "" where no key is meant
	Text string // what is wrong and what to write instead
}

// Error formats the problem as compilers do: file:line: key: text.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		b.WriteByte(':')
		b.WriteString(strconv.Itoa(p.Line))
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key)
		b.WriteString(": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems are all that is wrong with one or several files.
type Problems []Problem

// Error joins the problems, a line each.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Err is nil when there is no problem, and the problems sorted by file and
// line otherwise.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	sorted := slices.Clone(ps)
	slices.SortStableFunc(sorted, func(a, b Problem) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		return a.Line - b.Line
	})
	return sorted
}

// Parse reads one YAML document and returns its root mapping. An empty file
// gives an empty mapping.
func Parse(file string, data []byte) (*yaml.Node, Problems) {
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1}, nil
	case err != nil:
		return nil, Problems{syntaxProblem(file, err)}
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, Problems{{File: file, Line: root.Line, Text: "must be a mapping of keys to values"}}
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, Problems{{File: file, Text: "holds more than one YAML document; split it into files"}}
	}
	return root, nil
}

// Decode decodes node into the struct that into points to. Unknown and
// repeated keys and values of the wrong type are reported, all of them, with
// path as the prefix of their keys; the fields that are right are set all the
// same. Decode panics when into is no pointer.
func Decode(file, path string, node *yaml.Node, into any) Problems {
	var ps Problems
	checkKeys(file, path, node, reflect.TypeOf(into).Elem(), &ps)
	err := node.Decode(into)
	var typeErr *yaml.TypeError
	switch {
	case err == nil:
	case errors.As(err, &typeErr):
		for _, text := range typeErr.Errors {
			ps = append(ps, typeProblem(file, path, node, text))
		}
	default:
		ps = append(ps, Problem{File: file, Line: node.Line, Key: path, Text: strings.TrimPrefix(err.Error(), "yaml: ")})
	}
	return ps
}

var lineInText = regexp.MustCompile(`^line (\d+): (.*)$`)

func syntaxProblem(file string, err error) Problem {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	p := Problem{File: file, Text: "not YAML: " + text}
	if m := lineInText.FindStringSubmatch(text); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.Text = "not YAML: " + m[2]
	}
	return p
}

// typeProblem turns one of yaml's messages ("line 3: cannot unmarshal !!str
// `x` into int") into a problem with its key.
func typeProblem(file, path string, root *yaml.Node, text string) Problem {
	p := Problem{File: file, Key: path, Line: root.Line, Text: text}
	if m := lineInText.FindStringSubmatch(text); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.Text = m[2]
		if key := keyAtLine(root, p.Line); key != "" {
			p.Key = Join(path, key)
		}
	}
	p.Text = plainTypes.Replace(p.Text)
	return p
}

var plainTypes = strings.NewReplacer(
	"cannot unmarshal !!str ", "text ", "cannot unmarshal !!int ", "the number ",
	"cannot unmarshal !!float ", "the number ", "cannot unmarshal !!bool ", "the boolean ",
	"cannot unmarshal !!map", "a mapping", "cannot unmarshal !!seq", "a list", "cannot unmarshal !!null", "nothing",
	" into time.Duration", " is no duration; write 30s, 5m or 2h", " into model.Duration", " is no duration; write 30s, 5m or 2h",
	" into int64", " is no whole number", " into int", " is no whole number", " into float64", " is no number",
	" into bool", " is neither true nor false", " into string", " stands where text is wanted", " into []string", " stands where a list of texts is wanted",
)

// keyAtLine finds the dotted path of the last key that stands on line.
func keyAtLine(node *yaml.Node, line int) string {
	found := ""
	var walk func(n *yaml.Node, path string)
	walk = func(n *yaml.Node, path string) {
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				key := Join(path, n.Content[i].Value)
				if n.Content[i].Line == line || n.Content[i+1].Line == line {
					found = key
				}
				walk(n.Content[i+1], key)
			}
		case yaml.SequenceNode:
			for i, c := range n.Content {
				walk(c, path+"["+strconv.Itoa(i)+"]")
			}
		}
	}
	walk(node, "")
	return found
}

// Join appends key to a dotted path.
func Join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

var (
	nodeType        = reflect.TypeFor[yaml.Node]()
	unmarshalerType = reflect.TypeFor[yaml.Unmarshaler]()
)

// checkKeys reports the keys of node that t has no field for, all the way
// down. yaml's own KnownFields stops at types with an UnmarshalYAML; this does
// not, so that prometheus/common's HTTPClientConfig is checked as well.
func checkKeys(file, path string, node *yaml.Node, t reflect.Type, ps *Problems) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nodeType {
		return
	}
	switch {
	case node.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		fields := structFields(t)
		if len(fields) == 0 {
			return // a type of its own, decoded from text
		}
		seen := map[string]int{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			key, value := node.Content[i], node.Content[i+1]
			full := Join(path, key.Value)
			if first, again := seen[key.Value]; again {
				*ps = append(*ps, Problem{File: file, Line: key.Line, Key: full, Text: fmt.Sprintf("stands twice; first on line %d", first)})
				continue
			}
			seen[key.Value] = key.Line
			field, known := fields[key.Value]
			if !known {
				*ps = append(*ps, Problem{File: file, Line: key.Line, Key: full, Text: "unknown key" + Suggest(key.Value, names(fields))})
				continue
			}
			checkKeys(file, full, value, field, ps)
		}
	case node.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		for i := 0; i+1 < len(node.Content); i += 2 {
			checkKeys(file, Join(path, node.Content[i].Value), node.Content[i+1], t.Elem(), ps)
		}
	case node.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for i, item := range node.Content {
			checkKeys(file, path+"["+strconv.Itoa(i)+"]", item, t.Elem(), ps)
		}
	}
}

// structFields maps the YAML keys of a struct to the types of their fields.
func structFields(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case strings.Contains(opts, "inline"):
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			for key, ft := range structFields(inner) {
				fields[key] = ft
			}
		case name != "":
			fields[name] = f.Type
		case !reflect.PointerTo(t).Implements(unmarshalerType):
			fields[strings.ToLower(f.Name)] = f.Type
		}
	}
	return fields
}

func names(fields map[string]reflect.Type) []string {
	out := make([]string, 0, len(fields))
	for name := range fields {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// Suggest ends an error about an unknown name: the nearest of the known names
// when one is near, and all of them.
func Suggest(name string, known []string) string {
	if len(known) == 0 {
		return ""
	}
	best, bestDistance := "", len(name)/2+1
	for _, k := range known {
		if d := distance(name, k); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	all := "; known are " + strings.Join(known, ", ")
	if best != "" {
		return fmt.Sprintf("; did you mean %q?", best) + all
	}
	return all
}

// distance is the Levenshtein distance of two short strings.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		prev := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			prev, row[j] = row[j], min(row[j]+1, row[j-1]+1, prev+cost)
		}
	}
	return row[len(b)]
}
