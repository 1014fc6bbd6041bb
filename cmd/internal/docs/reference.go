// The reference: tables in Markdown.

package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"triagebot/triage/playbook"
	"triagebot/triage/step"
)

// reference writes it from the code under root.
func reference(root string) (string, error) {
	playbooks, err := parseSource(filepath.Join(root, "triage", "playbook"))
	if err != nil {
		return "", err
	}
	kinds, err := parseSource(filepath.Join(root, "triage", "step"))
	if err != nil {
		return "", err
	}
	w := &writer{}
	w.line("\n## Reference: the playbook\n")
	w.keys(playbooks, "playbookYAML")
	w.line("\n## Reference: a step\n\nBesides one of the [kinds](#reference-the-kinds-of-steps):\n")
	w.keys(playbooks, "stepYAML")
	w.line("\n## Reference: `conclude`\n\nAn explanation:\n")
	w.keys(playbooks, "explanationYAML")
	w.line("\nAn entry of `for` and `against` is the id of a step, or a mapping:\n")
	w.keys(playbooks, "argumentYAML")
	w.line("\n## Reference: the kinds of steps\n\nThe key in a step, what stands below it, and the variables for `abnormal`,\n`expect` and `finding`; other steps have them as `steps.<id>.<variable>`.\n")
	all := step.Kinds(step.Deps{})
	links := make([]string, len(all))
	for i, k := range all {
		links[i] = fmt.Sprintf("[`%s`](#%s)", k.Name(), k.Name())
	}
	w.line(strings.Join(links, " · "))
	for _, k := range all {
		w.kind(kinds, k.Name())
	}
	w.line("\n## Reference: data in templates\n")
	w.data(playbooks, "Data", ".")
	w.line("\nOf a finished step:\n")
	w.data(playbooks, "StepData", ".Steps.<id>.")
	w.line("\n`finding` and `next_step` have the variables of the step's worst row as well,\nwith capitals in place of underscores: `value` is `.Value`, `latency_ms` is\n`.LatencyMs`.")
	w.functions()
	w.line("")
	return w.String(), w.err
}

// writer writes Markdown; its first error stays.
type writer struct {
	strings.Builder
	err error
}

func (w *writer) line(text string) { fmt.Fprintln(w, text) }

// fail keeps the first error.
func (w *writer) fail(err error) { w.err = cmp.Or(w.err, err) }

// cell is a text as a table's cell takes it.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func code(name string) string { return "`" + name + "`" }

func (w *writer) keys(s *source, structName string) {
	keys, err := s.keys(structName, "")
	w.fail(err)
	w.line("| key | value | |\n|---|---|---|")
	for _, k := range keys {
		w.line(fmt.Sprintf("| %s | %s | %s |", code(k.name), cell(k.value), cell(k.meaning)))
	}
}

func (w *writer) kind(s *source, name string) {
	purpose, err := s.purpose(name+"YAML", name)
	w.fail(err)
	w.line(fmt.Sprintf("\n### `%s`\n\n%s More in [steps/%s.md](steps/%s.md).\n", name, purpose, name, name))
	w.keys(s, name+"YAML")
	variables, err := s.variables(name + "Action")
	w.fail(err)
	w.line("\n| variable | type | |\n|---|---|---|")
	for _, v := range variables {
		w.line(fmt.Sprintf("| %s | %s | %s |", code(v.name), cell(v.value), cell(v.meaning)))
	}
}

func (w *writer) data(s *source, structName, prefix string) {
	fields, err := s.fields(structName, prefix)
	w.fail(err)
	w.line("| field | |\n|---|---|")
	for _, f := range fields {
		w.line(fmt.Sprintf("| %s | %s |", code(f.name), cell(f.meaning)))
	}
}

func (w *writer) functions() {
	w.line("\n## Reference: functions in templates\n\nBesides those of Go's [text/template](https://pkg.go.dev/text/template#hdr-Functions).\nThose that write numbers write `no data` for one that is missing, such as a baseline.\n\n| function | |\n|---|---|")
	names := playbook.FunctionNames()
	for name := range functions {
		if !slices.Contains(names, name) {
			w.fail(fmt.Errorf("functions.go describes %s, which templates do not have", name))
		}
	}
	for _, name := range names {
		what := functions[name]
		if what == "" {
			w.fail(fmt.Errorf("functions.go does not describe the template function %s", name))
		}
		w.line(fmt.Sprintf("| %s | %s |", code(name), cell(what)))
	}
}
