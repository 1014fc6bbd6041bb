package playbook

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"triagebot/triage/strictyaml"
)

// resolver finds what the names of a condition mean, before CEL checks its
// types: CEL's own message for an unknown name knows neither steps nor inputs.
type resolver struct {
	scope    *conditionScope
	refs     *references
	bound    []string // by the macros around: all(x, …)
	vars     []conditionVar
	labels   []string
	tested   []string // labels within has()
	types    map[int64]*cel.Type
	problems []string
}

func newResolver(s *conditionScope, refs *references) *resolver {
	return &resolver{scope: s, refs: refs, types: map[int64]*cel.Type{}}
}

func (r *resolver) resolve(e ast.Expr) {
	r.expr(e)
	r.labels = slices.DeleteFunc(r.labels, func(name string) bool { return slices.Contains(r.tested, name) })
}

func (r *resolver) problem(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.problems, text) {
		r.problems = append(r.problems, text)
	}
}

func (r *resolver) expr(e ast.Expr) {
	switch e.Kind() {
	case ast.IdentKind:
		r.ident(e)
	case ast.SelectKind:
		r.selection(e)
	case ast.CallKind:
		call := e.AsCall()
		if call.IsMemberFunction() {
			r.expr(call.Target())
		}
		if name, ok := indexOf(call, "labels"); ok && !r.isBound("labels") {
			r.selectLabel(name)
		}
		for _, arg := range call.Args() {
			r.expr(arg)
		}
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			r.expr(item)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			r.expr(entry.AsMapEntry().Key())
			r.expr(entry.AsMapEntry().Value())
		}
	case ast.StructKind:
		r.problem("%s{…} makes a message, which a condition cannot", e.AsStruct().TypeName())
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		r.expr(c.IterRange())
		r.expr(c.AccuInit())
		outer := len(r.bound)
		r.bound = append(r.bound, c.IterVar(), c.AccuVar())
		if c.HasIterVar2() {
			r.bound = append(r.bound, c.IterVar2())
		}
		r.expr(c.LoopCondition())
		r.expr(c.LoopStep())
		r.expr(c.Result())
		r.bound = r.bound[:outer]
	}
}

func (r *resolver) isBound(name string) bool { return slices.Contains(r.bound, name) }

// typeNames are CEL's own, which a condition may compare with: type(x) == int.
var typeNames = [...]string{"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"}

func (r *resolver) ident(e ast.Expr) {
	name := e.AsIdent()
	if r.isBound(name) {
		return
	}
	switch name {
	case "labels", "inputs":
		return
	case "alert_expr":
		r.types[e.ID()] = cel.StringType
		return
	case "steps":
		r.problem("steps is no value; write steps.<id>.abnormal or steps.<id>.<variable>%s", strictyaml.Suggest("", r.scope.stepNames()))
		return
	}
	if t, own := r.scope.own[name]; own {
		r.use(e, conditionVar{name: name, key: name, typ: t})
		return
	}
	if slices.Contains(typeNames[:], name) {
		return
	}
	if r.scope.own == nil {
		r.use(e, conditionVar{name: name, key: name, typ: cel.DynType})
		return
	}
	known := sorted(typeKeys(r.scope.own))
	r.problem("unknown variable %s%s", name, strictyaml.Suggest(name, append(known, "labels", "inputs", "alert_expr", "steps")))
}

// selection resolves a chain of names: steps.p95.value, labels.job.
func (r *resolver) selection(e ast.Expr) {
	base, names := chainOf(e)
	if base.Kind() != ast.IdentKind || r.isBound(base.AsIdent()) {
		r.expr(base)
		return
	}
	switch base.AsIdent() {
	case "steps":
		if e.AsSelect().IsTestOnly() {
			r.problem("has() cannot test steps.%s; ask steps.<id>.unknown or steps.<id>.skipped", names[0])
			return
		}
		r.step(e, names)
	case "inputs":
		if !slices.Contains(r.scope.inputs, names[0]) {
			r.problem("%s", unknownName("unknown input inputs."+names[0], names[0], r.scope.inputs, "add it under inputs"))
		}
	case "labels":
		if e.AsSelect().IsTestOnly() {
			r.tested = append(r.tested, names[0])
		} else {
			r.selectLabel(names[0])
		}
	default:
		r.ident(base)
	}
}

func (r *resolver) selectLabel(name string) {
	if !slices.Contains(r.labels, name) {
		r.labels = append(r.labels, name)
	}
}

func (r *resolver) step(e ast.Expr, names []string) {
	id, known := r.scope.stepID(names[0])
	if !known {
		r.problem("%s", unknownName("unknown step steps."+names[0], names[0], r.scope.stepNames(), ""))
		return
	}
	r.refs.addStep(id)
	if len(names) == 1 {
		r.problem("steps.%s is no value; write steps.%s.abnormal", names[0], names[0])
		return
	}
	v := conditionVar{name: "steps." + names[0] + "." + names[1], step: id, key: names[1], typ: cel.BoolType}
	if !slices.Contains(stepFlags(), names[1]) {
		vars := r.scope.vars[id]
		t, found := vars[names[1]]
		switch {
		case found:
			v.typ = t
		case vars == nil:
			v.typ = cel.DynType
		default:
			r.problem("unknown variable %s%s", v.name, strictyaml.Suggest(names[1], append(sorted(typeKeys(vars)), stepFlags()...)))
			return
		}
	}
	at := e // the part of the chain that is the variable
	for range len(names) - 2 {
		at = at.AsSelect().Operand()
	}
	r.use(at, v)
}

func (r *resolver) use(e ast.Expr, v conditionVar) {
	r.types[e.ID()] = v.typ
	if !slices.ContainsFunc(r.vars, func(other conditionVar) bool { return other.name == v.name }) {
		r.vars = append(r.vars, v)
	}
}

// chainOf takes a.b.c apart into a and [b c].
func chainOf(e ast.Expr) (base ast.Expr, names []string) {
	for e.Kind() == ast.SelectKind {
		names = append(names, e.AsSelect().FieldName())
		e = e.AsSelect().Operand()
	}
	slices.Reverse(names)
	return e, names
}

// indexOf is the name in variable["name"].
func indexOf(call ast.CallExpr, variable string) (string, bool) {
	args := call.Args()
	if call.FunctionName() != operators.Index || len(args) != 2 || args[0].Kind() != ast.IdentKind ||
		args[0].AsIdent() != variable || args[1].Kind() != ast.LiteralKind {
		return "", false
	}
	name, ok := args[1].AsLiteral().Value().(string)
	return name, ok
}

func typeKeys(types map[string]*cel.Type) []string {
	names := make([]string, 0, len(types))
	for name := range types {
		names = append(names, name)
	}
	return names
}

// unifyNumbers makes whole numbers into doubles where they meet doubles, so
// that value > baseline * 2 means what it says; CEL has no double * int. What
// comes out of JSON (dyn) is always a double.
func unifyNumbers(a *ast.AST, r *resolver) {
	u := &unifier{factory: ast.NewExprFactory(), resolver: r, next: ast.MaxID(a) + 1}
	u.walk(a.Expr())
}

type unifier struct {
	factory  ast.ExprFactory
	resolver *resolver
	next     int64 // id of the next new expression
}

// arithmetic are the operators whose two sides must be of one type.
var arithmetic = [...]string{operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Equals, operators.NotEquals}

// walk converts below e and returns e's type, as far as it is a number or dyn.
func (u *unifier) walk(e ast.Expr) *cel.Type {
	if t, known := u.resolver.types[e.ID()]; known {
		return t
	}
	switch e.Kind() {
	case ast.LiteralKind:
		switch e.AsLiteral().Type() {
		case types.IntType:
			return cel.IntType
		case types.DoubleType:
			return cel.DoubleType
		}
	case ast.CallKind:
		return u.call(e.AsCall())
	case ast.SelectKind:
		return elementType(u.walk(e.AsSelect().Operand()))
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			u.walk(item)
		}
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		for _, part := range [...]ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
			u.walk(part)
		}
	}
	return nil
}

func (u *unifier) call(call ast.CallExpr) *cel.Type {
	if call.IsMemberFunction() {
		u.walk(call.Target())
	}
	args := call.Args()
	kinds := make([]*cel.Type, len(args))
	for i, arg := range args {
		kinds[i] = u.walk(arg)
	}
	name := call.FunctionName()
	switch {
	case slices.Contains(arithmetic[:], name) && len(args) == 2:
		common := u.unify(args[0], kinds[0], args[1], kinds[1])
		if name == operators.Equals || name == operators.NotEquals {
			return nil
		}
		return common
	case name == operators.Conditional:
		return u.unify(args[1], kinds[1], args[2], kinds[2])
	case name == operators.In && args[1].Kind() == ast.ListKind:
		for _, item := range args[1].AsList().Elements() {
			u.unify(args[0], kinds[0], item, u.walk(item))
		}
	case name == operators.Negate:
		return kinds[0]
	case name == operators.Index:
		return elementType(kinds[0])
	case name == "double":
		return cel.DoubleType
	case name == "int" || name == "size":
		return cel.IntType
	}
	return nil
}

// unify makes the whole number of two operands a double where the other is
// one, and returns the type that both then have, as far as it is known.
func (u *unifier) unify(a ast.Expr, aType *cel.Type, b ast.Expr, bType *cel.Type) *cel.Type {
	switch {
	case wantsDouble(aType) && isType(bType, cel.IntType):
		u.toDouble(b)
		return cel.DoubleType
	case wantsDouble(bType) && isType(aType, cel.IntType):
		u.toDouble(a)
		return cel.DoubleType
	case isType(aType, cel.DoubleType) || isType(bType, cel.DoubleType):
		return cel.DoubleType
	case isType(aType, bType):
		return aType
	}
	return nil
}

// elementType is the type of what a map, list or dyn holds; nil for others.
func elementType(t *cel.Type) *cel.Type {
	switch {
	case t == nil:
		return nil
	case t.Kind() == types.DynKind:
		return cel.DynType
	case t.Kind() == types.MapKind || t.Kind() == types.ListKind:
		return t.Parameters()[len(t.Parameters())-1]
	}
	return nil
}

func isType(t, want *cel.Type) bool { return t != nil && want != nil && t.IsExactType(want) }

func wantsDouble(t *cel.Type) bool { return isType(t, cel.DoubleType) || isType(t, cel.DynType) }

// toDouble turns a literal into a double and wraps anything else in double().
func (u *unifier) toDouble(e ast.Expr) {
	if e.Kind() == ast.LiteralKind {
		if n, ok := e.AsLiteral().(types.Int); ok {
			e.SetKindCase(u.factory.NewLiteral(e.ID(), types.Double(n)))
			return
		}
	}
	inner := u.factory.NewUnspecifiedExpr(u.next)
	u.next++
	inner.SetKindCase(e)
	e.SetKindCase(u.factory.NewCall(e.ID(), "double", inner))
}
