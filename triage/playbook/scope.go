package playbook

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/template/parse"

	"triagebot/triage/strictyaml"
)

// scope is what a template or condition may refer to.
type scope struct {
	inputs     []string
	services   []string
	anyService bool     // the services are not known here
	steps      []string // ids
	own        []string // variables of the step's own row
	anyOwn     bool     // these are not known, for the step's kind is not
	// denied are fields of Data that are not there yet, with the reason.
	denied map[string]string
}

// stepID finds the id behind a name in a template or condition.
func (s *scope) stepID(name string) (string, bool) {
	for _, id := range s.steps {
		if stepName(id) == name {
			return id, true
		}
	}
	return "", false
}

func (s *scope) stepNames() []string {
	names := make([]string, len(s.steps))
	for i, id := range s.steps {
		names[i] = stepName(id)
	}
	return names
}

// references are the steps that templates and conditions refer to.
type references struct {
	steps []string // ids
	vars  []variableRef
}

// variableRef is a reference to a variable of another step. Which variables
// that has is known only when all steps have been decoded.
type variableRef struct {
	step, name string
	fail       func(problem string)
}

func (r *references) addStep(id string) {
	if !slices.Contains(r.steps, id) {
		r.steps = append(r.steps, id)
	}
}

// shape is what is known of a template's value before it is executed.
type shape struct {
	kind shapeKind
	typ  reflect.Type // of a typedShape
	step string       // id, of a stepShape or varsShape
}

type shapeKind int

const (
	anyShape shapeKind = iota // found out when it is executed
	rootShape
	inputsShape
	servicesShape
	stepsShape
	stepShape
	varsShape
	typedShape
)

// checkReferences reports every name of a template that Data or the scope does
// not have, and notes the steps it refers to.
func checkReferences(list *parse.ListNode, s *scope, refs *references, report func(parse.Node, string)) {
	w := &walker{scope: s, refs: refs, report: report}
	w.list(shape{kind: rootShape}, list)
}

type walker struct {
	scope  *scope
	refs   *references
	report func(parse.Node, string)
	vars   []variable // the innermost last
}

type variable struct {
	name  string
	value shape
}

func (w *walker) list(dot shape, list *parse.ListNode) {
	if list == nil {
		return
	}
	declared := len(w.vars)
	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			w.pipe(dot, n.Pipe)
		case *parse.IfNode:
			w.branch(dot, &n.BranchNode, func(shape) shape { return dot })
		case *parse.WithNode:
			w.branch(dot, &n.BranchNode, func(value shape) shape { return value })
		case *parse.RangeNode:
			w.branch(dot, &n.BranchNode, element)
		}
	}
	w.vars = w.vars[:declared]
}

func (w *walker) branch(dot shape, n *parse.BranchNode, inner func(shape) shape) {
	declared := len(w.vars)
	value := w.pipe(dot, n.Pipe)
	if n.NodeType == parse.NodeRange {
		for i := declared; i < len(w.vars); i++ {
			w.vars[i].value = shape{}
		}
		if len(w.vars) > declared {
			w.vars[len(w.vars)-1].value = element(value)
		}
	}
	w.list(inner(value), n.List)
	w.list(dot, n.ElseList)
	w.vars = w.vars[:declared]
}

// element is the shape of what range walks over.
func element(s shape) shape {
	switch {
	case s.kind == inputsShape || s.kind == servicesShape:
		return typedAs(reflect.TypeFor[string]())
	case s.kind == typedShape && (s.typ.Kind() == reflect.Map || s.typ.Kind() == reflect.Slice):
		return typedAs(s.typ.Elem())
	}
	return shape{}
}

func typedAs(t reflect.Type) shape {
	if t.Kind() == reflect.Interface {
		return shape{}
	}
	return shape{kind: typedShape, typ: t}
}

func (w *walker) pipe(dot shape, p *parse.PipeNode) shape {
	if p == nil {
		return shape{}
	}
	var value shape
	for _, cmd := range p.Cmds {
		value = shape{}
		for _, arg := range cmd.Args {
			argument := w.argument(dot, arg)
			if len(cmd.Args) == 1 {
				value = argument
			}
		}
	}
	for _, decl := range p.Decl {
		if !p.IsAssign {
			w.vars = append(w.vars, variable{decl.Ident[0], value})
			continue
		}
		for i := range w.vars { // which branch assigned is not known here
			if w.vars[i].name == decl.Ident[0] {
				w.vars[i].value = shape{}
			}
		}
	}
	return value
}

func (w *walker) argument(dot shape, n parse.Node) shape {
	var value shape
	switch n := n.(type) {
	case *parse.DotNode:
		value = dot
	case *parse.FieldNode:
		value = w.fields(n, dot, n.Ident)
	case *parse.VariableNode:
		value = w.fields(n, w.variable(n.Ident[0]), n.Ident[1:])
	case *parse.ChainNode:
		value = w.fields(n, w.argument(dot, n.Node), n.Field)
	case *parse.PipeNode:
		value = w.pipe(dot, n)
	}
	switch value.kind {
	case rootShape:
		w.report(n, "takes all that there is; write the field that is meant, as in {{ .Labels.job }}")
	case stepsShape:
		w.report(n, ".Steps is no value; write the step that is meant, as in .Steps.<id>.Headline"+strictyaml.Suggest("", w.scope.stepNames()))
	default:
		return value
	}
	return shape{}
}

func (w *walker) variable(name string) shape {
	if name == "$" {
		return shape{kind: rootShape}
	}
	for _, v := range slices.Backward(w.vars) {
		if v.name == name {
			return v.value
		}
	}
	return shape{}
}

// fields follows a chain of names.
func (w *walker) fields(n parse.Node, value shape, names []string) shape {
	for _, name := range names {
		next, problem := w.field(n, value, name)
		if problem != "" {
			w.report(n, problem)
			return shape{}
		}
		value = next
	}
	return value
}

var (
	dataType = reflect.TypeFor[Data]()
	stepType = reflect.TypeFor[StepData]()
)

func (w *walker) field(n parse.Node, of shape, name string) (shape, string) {
	switch of.kind {
	case rootShape:
		return w.rootField(name)
	case inputsShape:
		if !slices.Contains(w.scope.inputs, name) {
			return shape{}, unknownName("unknown input .Inputs."+name, name, w.scope.inputs, "add it under inputs")
		}
		return typedAs(reflect.TypeFor[string]()), ""
	case servicesShape:
		if !w.scope.anyService && !slices.Contains(w.scope.services, name) {
			return shape{}, unknownName("unknown service .Services."+name, name, w.scope.services, "add it to services in the configuration")
		}
		return typedAs(reflect.TypeFor[string]()), ""
	case stepsShape:
		id, known := w.scope.stepID(name)
		if !known {
			return shape{}, unknownName("unknown step .Steps."+name, name, w.scope.stepNames(), "")
		}
		w.refs.addStep(id)
		return shape{kind: stepShape, step: id}, ""
	case stepShape:
		if name == "Vars" {
			return shape{kind: varsShape, step: of.step}, ""
		}
		f, found := stepType.FieldByName(name)
		if !found {
			return shape{}, unknownName(fmt.Sprintf("unknown field .%s of a step", name), name, structNames(stepType), "")
		}
		return typedAs(f.Type), ""
	case varsShape:
		w.refs.vars = append(w.refs.vars, variableRef{of.step, name, func(problem string) { w.report(n, problem) }})
		return shape{}, ""
	case typedShape:
		return typedField(of.typ, name)
	default:
		return shape{}, ""
	}
}

func (w *walker) rootField(name string) (shape, string) {
	if reason, denied := w.scope.denied[name]; denied {
		return shape{}, fmt.Sprintf(".%s cannot be used here: %s", name, reason)
	}
	switch name {
	case "Inputs":
		return shape{kind: inputsShape}, ""
	case "Services":
		return shape{kind: servicesShape}, ""
	case "Steps":
		return shape{kind: stepsShape}, ""
	}
	if f, found := dataType.FieldByName(name); found {
		return typedAs(f.Type), ""
	}
	known := structNames(dataType)
	for _, variable := range w.scope.own {
		if fieldName(variable) == name {
			return shape{}, ""
		}
		known = append(known, fieldName(variable))
	}
	if w.scope.anyOwn {
		return shape{}, ""
	}
	return shape{}, unknownName("unknown field ."+name, name, known, "")
}

func typedField(t reflect.Type, name string) (shape, string) {
	if m, found := t.MethodByName(name); found {
		if m.Type.NumOut() == 0 {
			return shape{}, fmt.Sprintf(".%s yields nothing", name)
		}
		return typedAs(m.Type.Out(0)), ""
	}
	switch t.Kind() {
	case reflect.Map:
		return typedAs(t.Elem()), ""
	case reflect.Struct:
		if f, found := t.FieldByName(name); found && f.IsExported() {
			return typedAs(f.Type), ""
		}
		return shape{}, unknownName(fmt.Sprintf("unknown field .%s of %s", name, strings.ToLower(t.Name())), name, structNames(t), "")
	case reflect.Pointer, reflect.Interface:
		return shape{}, ""
	default:
		return shape{}, fmt.Sprintf(".%s is asked of a %s, which has no fields", name, t.Kind())
	}
}

func structNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() {
			names = append(names, f.Name)
		}
	}
	return names
}

// unknownName is an error about a name: what is near and known, and what to do.
func unknownName(problem, name string, known []string, remedy string) string {
	text := problem + strictyaml.Suggest(name, known)
	if len(known) == 0 {
		text += "; there are none"
	}
	if remedy != "" {
		text += "; or " + remedy
	}
	return text
}
