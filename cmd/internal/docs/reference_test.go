package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage/step"
)

var update = flag.Bool("update", false, "rewrite the reference instead of comparing it")

// root is the module's root.
func root(t *testing.T) string {
	t.Helper()
	dir, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// read is a file below the module's root.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheReferenceIsWhatTheCodeSays(t *testing.T) {
	if *update {
		if err := rewrite(); err != nil {
			t.Fatal(err)
		}
	}
	text := read(t, page)
	renewed, err := renew(root(t), text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(text, "\n"), strings.Split(renewed, "\n")); diff != "" {
		t.Errorf("%s is older than the code; run make docs (-page +code):\n%s", page, diff)
	}
}

// What the source declares is what the program does: the variables of each kind's
// example, as the loader knows them.
func TestTheVariablesAreThoseOfTheKinds(t *testing.T) {
	s, err := parseSource(filepath.Join(root(t), "triage", "step"))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range step.Kinds(step.Deps{}) {
		t.Run(k.Name(), func(t *testing.T) {
			declared := map[string]string{}
			vars, err := s.variables(k.Name() + "Action")
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range vars {
				declared[v.name] = v.value
			}
			examples := stepExamples(t, k.Name())
			if len(examples) == 0 {
				t.Fatal("its page has no example")
			}
			known := map[string]string{}
			for _, example := range examples {
				for name, typ := range loadSteps(t, example).Steps[0].Vars {
					text := strings.NewReplacer("map(string, string)", "map of strings", "map(string, double)", "map of doubles", "dyn", "any").Replace(typ.String())
					known[name] = text
				}
			}
			if diff := cmp.Diff(declared, known); diff != "" {
				t.Errorf("-page +loader:\n%s", diff)
			}
		})
	}
}

func TestAnUndescribedKeyIsNamed(t *testing.T) {
	for _, tt := range []struct{ name, source, want string }{
		{"no comment", "type aYAML struct {\n\tN int `yaml:\"n\"`\n}", "a.go:3: the key n: no comment says what it is"},
		{"no value", "type aYAML struct {\n\t// How many.\n\tN int `yaml:\"n\"`\n}", "a.go:4: the comment of the key n must say what may stand there"},
		{"no tag", "type aYAML struct {\n\tN int // number: of tries\n}", "a.go:3: a field of aYAML has no yaml tag"},
		{"no struct", "type bYAML struct{}", "has no struct aYAML"},
		{"a bound that is computed", "const most = len(\"abc\")\n\ntype aYAML struct {\n\tN int `yaml:\"n\"` // number, at most [most]: of tries\n}", "the constant most: *ast.CallExpr is more than a bound is made of"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := sourceOf(t, "package a\n"+tt.source)
			if _, err := s.keys("aYAML", ""); err == nil || !strings.Contains(strings.Replace(err.Error(), ":2: ", ": ", 1), tt.want) {
				t.Errorf("got %v; want %s", err, tt.want)
			}
		})
	}
}

func TestBoundsAreWrittenAsInPlaybooks(t *testing.T) {
	s := sourceOf(t, `package a

import "time"

const (
	least  = 100 * time.Millisecond
	most   = 31 * 24 * time.Hour
	size   = 64 << 10
	large  = 1 << 20
	series = 1000
	factor = 1.1
	same   = series
)

type aYAML struct {
	A string `+"`yaml:\"a\"`"+` // duration, [least] to [most]: a
	B []bYAML `+"`yaml:\"b\"`"+` // list, of [size] to [large]: as in [version]
}

type bYAML struct {
	// number, [factor] to [same]: of
	// two lines.
	C int `+"`yaml:\"c\"`"+`
}
`)
	got, err := s.keys("aYAML", "")
	want := []entry{
		{"a", "duration, 100ms to 31d", "a"},
		{"b", "list, of 64KiB to 1MiB", "as in [version]"},
		{"b[].c", "number, 1.1 to 1,000", "of two lines"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(entry{})); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestAPageWithoutMarkersIsNotTouched(t *testing.T) {
	for _, text := range []string{"", beginMarker, endMarker, endMarker + beginMarker} {
		if got, err := renew(root(t), text); err == nil || got != "" {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// sourceOf parses one file's text.
func sourceOf(t *testing.T, text string) *source {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := parseSource(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
