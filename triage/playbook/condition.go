package playbook

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"

	"triagebot/triage"
)

// Bounds of a condition: characters of its source, nesting, and the cost of
// one evaluation in CEL's units (about one for each operation). The last is
// some milliseconds of work at the most.
const (
	maxConditionSize  = 4 << 10
	maxConditionDepth = 100
	maxConditionCost  = 100_000
)

// Condition is a checked CEL expression that is true or false: a step's
// `when`, `abnormal` or `expect`. It is safe for use by several goroutines.
type Condition struct {
	source  string
	program cel.Program
	vars    []conditionVar // those it refers to
	labels  []string       // labels it selects, without has()
}

// conditionVar is a variable of a condition: of the step's own row, or
// steps.<name>.<variable> of another.
type conditionVar struct {
	name string // as the condition writes it: value, steps.p95.value
	step string // id, "" for the step's own
	key  string // in the variables of that row
	typ  *cel.Type
}

// Source is the condition as its author wrote it.
func (c *Condition) Source() string { return c.source }

// Eval evaluates the condition on a row's variables and on d. vars is nil for
// a `when`. An error says which value is missing: there is no baseline, or a
// number is not one. It is for people to read, in an unknown finding.
func (c *Condition) Eval(vars map[string]any, d *Data) (bool, error) {
	return c.eval(d, func(v conditionVar) (any, string) { return v.value(vars, d) })
}

// Decide evaluates a condition on what all steps found, where nothing is known of
// one that could not tell: the condition is then decided only when the rest of
// it is enough. One that lacks a value for another reason does not hold.
func (c *Condition) Decide(d *Data) (holds, decided bool) {
	holds, err := c.eval(d, func(v conditionVar) (any, string) {
		if v.step != "" && v.key != "unknown" && v.key != "skipped" && d.couldNotTell(v.step) {
			return nil, "step " + v.step + " could not tell"
		}
		return v.value(nil, d)
	})
	return holds, err == nil || len(c.undecidedBy(d)) == 0
}

// undecidedBy are the ids of the steps that the condition refers to and that
// could not tell.
func (c *Condition) undecidedBy(d *Data) []string {
	var ids []string
	for _, v := range c.vars {
		if v.step != "" && d.couldNotTell(v.step) && !slices.Contains(ids, v.step) {
			ids = append(ids, v.step)
		}
	}
	return ids
}

func (c *Condition) eval(d *Data, valueOf func(conditionVar) (any, string)) (bool, error) {
	activation := map[string]any{
		"labels":     c.labelsOf(d.Labels),
		"inputs":     d.Inputs,
		"alert_expr": d.AlertExpr,
	}
	if d.Inputs == nil {
		activation["inputs"] = map[string]string{}
	}
	var missing []string
	for _, v := range c.vars {
		value, problem := valueOf(v)
		if problem != "" {
			missing = append(missing, problem)
			continue
		}
		activation[v.name] = value
	}
	result, _, err := c.program.Eval(activation)
	switch {
	case err != nil && len(missing) > 0:
		return false, &undecided{missing: strings.Join(missing, " and "), source: c.source}
	case err != nil:
		return false, fmt.Errorf("%q cannot be decided: %w", c.source, err)
	}
	truth, ok := result.Value().(bool)
	if !ok {
		return false, fmt.Errorf("%q yields %v, which is neither true nor false", c.source, result.Value())
	}
	return truth, nil
}

// undecided is a condition that lacks values.
type undecided struct{ missing, source string }

func (u *undecided) Error() string {
	return fmt.Sprintf("%s, so %q cannot be decided", u.missing, u.source)
}

// labelsOf adds an empty value for each label that the condition selects and
// the alert lacks: a missing label is an empty one, as in Alertmanager.
func (c *Condition) labelsOf(labels triage.Labels) map[string]string {
	all := make(map[string]string, len(labels)+len(c.labels))
	for _, name := range c.labels {
		all[name] = ""
	}
	maps.Copy(all, labels)
	return all
}

// value is the variable's value, or what is missing, in words.
func (v conditionVar) value(own map[string]any, d *Data) (any, string) {
	where := "there is no " + v.key
	if v.step != "" {
		s, ran := d.Steps[v.step]
		if !ran {
			return nil, "step " + v.step + " has no finding"
		}
		switch v.key {
		case "abnormal":
			return !s.Skipped && s.Verdict == triage.VerdictAbnormal, ""
		case "normal":
			return !s.Skipped && s.Verdict == triage.VerdictNormal, ""
		case "unknown":
			return !s.Skipped && s.Verdict == triage.VerdictUnknown, ""
		case "skipped":
			return s.Skipped, ""
		}
		if s.Skipped {
			return nil, "step " + v.step + " was skipped"
		}
		own = s.Vars
		where = "step " + v.step + " has no " + v.key
	}
	value, found := own[v.key]
	if !found || value == nil {
		return nil, where
	}
	if f, ok := value.(float64); ok && math.IsNaN(f) {
		return nil, where + " (it is not a number)"
	}
	return v.asDeclared(value), ""
}

// asDeclared undoes what storing a finding as JSON does to whole numbers.
func (v conditionVar) asDeclared(value any) any {
	switch {
	case v.typ.IsExactType(cel.IntType):
		if f, ok := value.(float64); ok && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return int64(f)
		}
	case v.typ.IsExactType(cel.DoubleType):
		switch n := value.(type) {
		case int:
			return float64(n)
		case int64:
			return float64(n)
		}
	}
	return value
}

// stepFlags are what every step has in a condition, whatever its kind.
func stepFlags() []string { return []string{"abnormal", "normal", "skipped", "unknown"} }

// conditionScope is what a condition may refer to.
type conditionScope struct {
	scope
	own map[string]*cel.Type // nil: the step's kind is not known, and may have any
	// vars are the variables of the other steps by id; nil for a step whose
	// kind is not known, which may have any.
	vars map[string]map[string]*cel.Type
}

// conditionCompiler compiles conditions; its environment is made once.
type conditionCompiler struct{ env *cel.Env }

func newConditionCompiler() (*conditionCompiler, error) {
	strings := cel.MapType(cel.StringType, cel.StringType)
	env, err := cel.NewEnv(
		cel.Variable("labels", strings),
		cel.Variable("inputs", strings),
		cel.Variable("alert_expr", cel.StringType),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(maxConditionSize),
		cel.ExpressionNestingDepthLimit(maxConditionDepth),
	)
	if err != nil {
		return nil, fmt.Errorf("preparing the language of conditions: %w", err)
	}
	return &conditionCompiler{env: env}, nil
}

// compile compiles one condition and notes in refs the steps it refers to.
// problems are what is wrong with it, for its author.
func (c *conditionCompiler) compile(source string, s *conditionScope, refs *references) (condition *Condition, problems []string) {
	if strings.TrimSpace(source) == "" {
		return nil, []string{"is empty; write a condition such as value > 0, or leave the key out"}
	}
	ast, issues := c.env.Parse(source)
	if issues.Err() != nil {
		return nil, plainIssues(issues, "not a condition: ")
	}
	r := newResolver(s, refs)
	r.resolve(ast.NativeRep().Expr())
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	unifyNumbers(ast.NativeRep(), r)

	declarations := make([]cel.EnvOption, len(r.vars))
	for i, v := range r.vars {
		declarations[i] = cel.Variable(v.name, v.typ)
	}
	env, err := c.env.Extend(declarations...)
	if err != nil {
		return nil, []string{err.Error()}
	}
	checked, issues := env.Check(ast)
	if issues.Err() != nil {
		return nil, plainIssues(issues, "")
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, []string{fmt.Sprintf("yields a value of type %s; a condition is true or false, as in value > 0", cel.FormatCELType(t))}
	}
	program, err := env.Program(checked, cel.CostLimit(maxConditionCost))
	if err != nil {
		return nil, []string{err.Error()}
	}
	slices.Sort(r.labels)
	return &Condition{source: source, program: program, vars: r.vars, labels: r.labels}, nil
}

var (
	noOverload = regexp.MustCompile(`^found no matching overload for '(?:_?)([^'_]*)(?:_?)' applied to '(.*)'$`)
	undeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	// antlrTokens is the parser's list of all that might have stood there.
	antlrTokens = regexp.MustCompile(` expecting (\{.*\}|'.*')$`)
)

// plainIssues are CEL's messages without its own positions and mangled names.
func plainIssues(issues *cel.Issues, prefix string) []string {
	var texts []string
	for _, e := range issues.Errors() {
		text := e.Message
		if m := noOverload.FindStringSubmatch(text); m != nil {
			text = fmt.Sprintf("%s cannot be applied to %s", strings.Trim(m[1], "@"), m[2])
		} else if m := undeclared.FindStringSubmatch(text); m != nil {
			text = fmt.Sprintf("unknown function %s; there are size, has, matches, startsWith, endsWith, contains, int, double, string and in", m[1])
		} else {
			text = strings.ReplaceAll(antlrTokens.ReplaceAllString(text, ""), "mismatched input '<EOF>'", "it ends too early")
			text = strings.TrimPrefix(text, "Syntax error: ")
		}
		if text = prefix + text; !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return texts
}
