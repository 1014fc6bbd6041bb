package strictyaml

// Decoding field by field: one wrong value costs its own key a message, and
// hides nothing that is wrong elsewhere. yaml.Node.Decode alone cannot do that:
// an error of one type's UnmarshalYAML ends it, without line or key, and its
// check of known keys stops at such types.

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Decode decodes node into the struct that into points to. Unknown and
// repeated keys and values of the wrong type are reported, all of them, with
// path as the prefix of their keys; the fields that are right are set all the
// same. A key without a value leaves its field as it is. Decode panics when
// into is no pointer to a struct.
func Decode(file, path string, node *yaml.Node, into any) Problems {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("strictyaml: Decode into %T", into))
	}
	d := decoder{file: file}
	d.decode(path, node, v.Elem())
	return d.problems
}

type decoder struct {
	file     string
	problems Problems
}

func (d *decoder) report(node *yaml.Node, path, text string) {
	d.problems = append(d.problems, Problem{File: d.file, Line: node.Line, Key: path, Text: text})
}

// reportKey is report for a key that costs the value at path nothing.
func (d *decoder) reportKey(node *yaml.Node, path, text string) {
	d.problems = append(d.problems, Problem{File: d.file, Line: node.Line, Key: path, Text: text, Decoded: true})
}

// decode sets v, which can be set, from node.
func (d *decoder) decode(path string, node *yaml.Node, v reflect.Value) {
	node = resolve(node)
	switch {
	case v.Type() == nodeType:
		v.Set(reflect.ValueOf(*node))
	case isNull(node):
	case decodesItself(v.Type()):
		// Its own decoding may accept what it does not know: ask first.
		before := len(d.problems)
		d.checkKeys(path, node, v.Type())
		d.decodeWhole(path, node, v, before)
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.decode(path, node, v.Elem())
	case v.Kind() == reflect.Struct:
		fields := fieldsOf(v.Type())
		d.eachKey(path, node, fields, func(full string, value *yaml.Node, f field) {
			d.decode(full, value, fieldByIndex(v, f.index))
		})
	case v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String:
		d.decodeMap(path, node, v)
	case v.Kind() == reflect.Slice:
		if node.Kind != yaml.SequenceNode {
			d.report(node, path, is(node)+" stands where a list is wanted; write each item on a line of its own as - item")
			return
		}
		items := reflect.MakeSlice(v.Type(), len(node.Content), len(node.Content))
		for i, item := range node.Content {
			d.decode(path+"["+strconv.Itoa(i)+"]", item, items.Index(i))
		}
		v.Set(items)
	case v.CanInt() && node.ShortTag() == "!!float": // yaml would cut 0.5 to 0 and say nothing
		d.report(node, path, is(node)+" is "+wants(v.Type()))
	default:
		d.decodeWhole(path, node, v, len(d.problems))
	}
}

func (d *decoder) decodeMap(path string, node *yaml.Node, v reflect.Value) {
	if node.Kind != yaml.MappingNode {
		d.report(node, path, is(node)+" stands where a mapping of keys to values is wanted")
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), len(node.Content)/2)
	d.eachKey(path, node, nil, func(full string, value *yaml.Node, _ field) {
		item := reflect.New(v.Type().Elem()).Elem()
		d.decode(full, value, item)
		key := strings.TrimPrefix(strings.TrimPrefix(full, path), ".")
		m.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), item)
	})
	v.Set(m)
}

// eachKey calls f for the keys of a mapping that are known and stand there for
// the first time, and reports the others. fields nil: every key is known.
func (d *decoder) eachKey(path string, node *yaml.Node, fields map[string]field, f func(full string, value *yaml.Node, fd field)) {
	if node.Kind != yaml.MappingNode {
		d.report(node, path, is(node)+" stands where a mapping of keys to values is wanted; known keys are "+strings.Join(names(fields), ", "))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		full := Join(path, key.Value)
		first, again := seen[key.Value]
		fd, known := fields[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode:
			d.reportKey(key, path, "a key must be a plain text")
		case key.Tag == "!!merge":
			d.report(key, full, "merge keys are not supported; write the keys out")
		case again:
			d.reportKey(key, full, fmt.Sprintf("stands twice; first on line %d", first))
		case fields != nil && !known:
			d.report(key, full, "unknown key"+Suggest(key.Value, names(fields)))
		default:
			seen[key.Value] = key.Line
			f(full, value, fd)
		}
	}
}

// checkKeys reports the keys of node that t has no field for, all the way
// down, without decoding.
func (d *decoder) checkKeys(path string, node *yaml.Node, t reflect.Type) {
	node = resolve(node)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case node.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		fields := fieldsOf(t)
		if len(fields) == 0 {
			return // a type that only its own decoding knows
		}
		d.eachKey(path, node, fields, func(full string, value *yaml.Node, f field) { d.checkKeys(full, value, f.typ) })
	case node.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		for i := 0; i+1 < len(node.Content); i += 2 {
			d.checkKeys(Join(path, node.Content[i].Value), node.Content[i+1], t.Elem())
		}
	case node.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for i, item := range node.Content {
			d.checkKeys(path+"["+strconv.Itoa(i)+"]", item, t.Elem())
		}
	}
}

// decodeWhole leaves a value to yaml and the type itself. reported is how many
// problems there were before its keys were checked.
func (d *decoder) decodeWhole(path string, node *yaml.Node, v reflect.Value, reported int) {
	err := node.Decode(v.Addr().Interface())
	var typeErr *yaml.TypeError
	switch {
	case err == nil:
	case errors.As(err, &typeErr):
		for _, text := range typeErr.Errors {
			if len(d.problems) > reported && strings.Contains(text, "already defined at line") {
				continue // a repeated key, reported before
			}
			d.problems = append(d.problems, d.typeProblem(path, node, v.Type(), text))
		}
	default:
		text := strings.TrimPrefix(err.Error(), "yaml: ")
		if isDuration(v.Type()) && node.Kind == yaml.ScalarNode {
			text = strconv.Quote(node.Value) + " is " + wants(v.Type())
		}
		d.report(node, path, text)
	}
}

// typeProblem turns one of yaml's messages ("line 3: cannot unmarshal !!str
// `x` into int") into a problem with its key.
func (d *decoder) typeProblem(path string, node *yaml.Node, t reflect.Type, text string) Problem {
	p := Problem{File: d.file, Key: path, Line: node.Line, Text: text}
	if m := lineInText.FindStringSubmatch(text); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.Text = m[2]
	}
	if wanted := wants(t); wanted != "" {
		p.Text = is(node) + " is " + wanted
		return p
	}
	if key := keyAtLine(node, p.Line); key != "" {
		p.Key = Join(path, key)
	}
	if strings.HasPrefix(p.Text, "cannot unmarshal") {
		p.Text = plainTypes.Replace(p.Text)
	}
	return p
}

// wants ends "x is …" for a value that is not of type t; "" when nothing
// better is known than yaml's own words.
func wants(t reflect.Type) string {
	if isDuration(t) {
		return "no duration; write 30s, 5m or 2h"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "neither true nor false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "no whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "no whole number from 0"
	case reflect.Float32, reflect.Float64:
		return "no number"
	case reflect.String:
		return "no text"
	}
	return ""
}

// isDuration says whether t is one of the duration types in use, whose own
// errors do not say what to write.
func isDuration(t reflect.Type) bool {
	return t.String() == "time.Duration" || t.String() == "model.Duration"
}

// plainTypes translates yaml's message about a value deep within another, of
// which only the message is known.
var plainTypes = strings.NewReplacer(
	"cannot unmarshal !!str ", "text ", "cannot unmarshal !!int ", "the number ",
	"cannot unmarshal !!float ", "the number ", "cannot unmarshal !!bool ", "the boolean ",
	"cannot unmarshal !!map", "a mapping", "cannot unmarshal !!seq", "a list", "cannot unmarshal !!null", "nothing",
	" into time.Duration", " is no duration; write 30s, 5m or 2h", " into model.Duration", " is no duration; write 30s, 5m or 2h",
	" into int64", " is no whole number", " into int", " is no whole number", " into float64", " is no number",
	" into bool", " is neither true nor false", " into string", " stands where text is wanted", " into []string", " stands where a list of texts is wanted",
	" into config.plain", " stands where a mapping of keys to values is wanted",
)

// is names what a node holds.
func is(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return strconv.Quote(node.Value)
	}
}

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

func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" }

var (
	nodeType            = reflect.TypeFor[yaml.Node]()
	unmarshalerType     = reflect.TypeFor[yaml.Unmarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
	// funcUnmarshalerType is yaml v2's interface, which v3 still honours.
	funcUnmarshalerType = reflect.TypeFor[interface {
		UnmarshalYAML(unmarshal func(any) error) error
	}]()
)

// decodesItself says whether a type brings its own decoding.
func decodesItself(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		return false // its element is asked
	}
	p := reflect.PointerTo(t)
	return p.Implements(unmarshalerType) || p.Implements(funcUnmarshalerType) || p.Implements(textUnmarshalerType)
}

// field is where the value of a key goes.
type field struct {
	index []int // as of reflect.Value.FieldByIndex
	typ   reflect.Type
}

// fieldsOf maps the YAML keys of a struct to its fields. A field without a tag
// counts under its name in lower case, as yaml has it, unless the type decodes
// itself.
func fieldsOf(t reflect.Type) map[string]field {
	fields := map[string]field{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
		case strings.Contains(opts, "inline"):
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if inner.Kind() != reflect.Struct {
				continue
			}
			for key, sub := range fieldsOf(inner) {
				fields[key] = field{append([]int{i}, sub.index...), sub.typ}
			}
		case name != "":
			fields[name] = field{[]int{i}, f.Type}
		case !decodesItself(t):
			fields[strings.ToLower(f.Name)] = field{[]int{i}, f.Type}
		}
	}
	return fields
}

// fieldByIndex is v.FieldByIndex, making the embedded pointers it meets.
func fieldByIndex(v reflect.Value, index []int) reflect.Value {
	for _, i := range index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v
}

func names(fields map[string]field) []string {
	out := make([]string, 0, len(fields))
	for name := range fields {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
