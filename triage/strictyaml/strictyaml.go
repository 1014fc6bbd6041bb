// Package strictyaml decodes YAML that people write by hand: unknown keys are
// errors, every problem of a file is reported and not only the first, and each
// names file, line and key and says what is allowed.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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
	// Decoded says that only a key is wrong: the value that stands at Key, as far
	// as it was understood, was decoded and can be checked further.
	Decoded bool
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

// Join appends key to a dotted path.
func Join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// Line is the line of the value that stands at a dotted path below root
// (routes[2].channel), or of what stands nearest above it, or 0 without a root.
func Line(root *yaml.Node, path string) int {
	if root == nil {
		return 0
	}
	line := root.Line
	var walk func(n *yaml.Node, at string)
	walk = func(n *yaml.Node, at string) {
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if full := Join(at, n.Content[i].Value); leadsTo(full, path) {
					line = n.Content[i].Line
					walk(n.Content[i+1], full)
					return
				}
			}
		case yaml.SequenceNode:
			for i, item := range n.Content {
				if full := at + "[" + strconv.Itoa(i) + "]"; leadsTo(full, path) {
					line = item.Line
					walk(item, full)
					return
				}
			}
		}
	}
	walk(root, "")
	return line
}

// leadsTo says whether path is at or below prefix.
func leadsTo(prefix, path string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// Suggest ends an error about an unknown name: the nearest of the known names
// when one is near, and all of them.
func Suggest(name string, known []string) string {
	if len(known) == 0 {
		return ""
	}
	all := "; known are " + strings.Join(known, ", ")
	if best := Nearest(name, known); best != "" {
		return fmt.Sprintf("; did you mean %q?", best) + all
	}
	return all
}

// Nearest is the known name that was probably meant; "" where none is near.
func Nearest(name string, known []string) string {
	best, bestDistance := "", min(len(name), 12)/2+1
	for _, k := range known {
		if d := distance(name, k); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance is how many letters have to be changed, added, left out or swapped with
// their neighbours to make one short string of the other.
func distance(a, b string) int {
	const long = 100 // no known name is near to that
	if len(a) > long || len(b) > long {
		return max(len(a), len(b))
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
