// The section `conclude`: the explanations that a playbook knows, and which of
// them a run's findings support best.

package playbook

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"

	"triagebot/triage"
	"triagebot/triage/strictyaml"
)

// Bounds of the section.
const (
	maxExplanations = 20
	maxArguments    = 10 // for an explanation, and likewise against it
)

// explanation is one thing that may be the matter.
type explanation struct {
	id              string
	says            *Template
	when            *Condition // without which it is none
	favour, against []argument
	next            *Template // nil where there is none
}

// argument speaks for or against an explanation: a step of a verdict, with that
// step's headline, or a condition, with a text.
type argument struct {
	step *Step
	is   triage.Verdict

	when *Condition
	says *Template
}

// explanationYAML is one explanation as people write it.
type explanationYAML struct {
	// name, needed: as that of a step; no two explanations share one.
	ID string `yaml:"id"`
	// template, needed: the explanation, as one would say it.
	Says string `yaml:"says"`
	// condition, needed: what must hold, or the explanation is out of the question.
	When *string `yaml:"when"`
	// list, needed, at most [maxArguments]: what speaks for it.
	For []yaml.Node `yaml:"for"`
	// list, at most [maxArguments]: what speaks against it.
	Against []yaml.Node `yaml:"against"`
	// template, needed: what to do about it.
	Next string `yaml:"next"`
}

// argumentYAML is an entry of for and against, where it is not just a step's id.
type argumentYAML struct {
	// name: the step that speaks; this or `when`.
	Step string `yaml:"step"`
	// `abnormal` (default), `normal`: the verdict with which it does.
	Is string `yaml:"is"`
	// condition: what speaks, in the place of a step.
	When *string `yaml:"when"`
	// template, default the step's headline; needed with `when`: the argument in words.
	Says string `yaml:"says"`
}

// explanations compiles the section. Its conditions and templates see every
// step.
func (l *loader) explanations(root *Compiler, nodes []yaml.Node, p *Playbook, s scope, vars map[string]map[string]*cel.Type) {
	if len(nodes) > maxExplanations {
		root.report(nodes[maxExplanations].Line, "conclude", fmt.Sprintf("has %d explanations; a playbook has at most %d", len(nodes), maxExplanations))
		return
	}
	for i := range nodes {
		d := &explanationDraft{
			loader: l, playbook: p, vars: vars, node: &nodes[i],
			Compiler: &Compiler{file: root.file, path: "conclude[" + strconv.Itoa(i) + "]", problems: root.problems, scope: s},
		}
		e := d.compile()
		if e.id != "" && slices.ContainsFunc(p.explanations, func(other explanation) bool { return other.id == e.id }) {
			d.Errorf(d.node, "id", "%q stands twice; choose another", e.id)
		}
		p.explanations = append(p.explanations, e)
		checkVariables(&d.refs, vars)
	}
}

// explanationDraft is an explanation on its way.
type explanationDraft struct {
	*Compiler
	loader   *loader
	playbook *Playbook
	vars     map[string]map[string]*cel.Type
	node     *yaml.Node
}

func (d *explanationDraft) compile() (e explanation) {
	var y explanationYAML
	d.Decode(d.node, &y)
	switch e.id = y.ID; {
	case y.ID == "":
		d.Errorf(d.node, "id", "is missing; write id: worker-backoff")
	case !namePattern.MatchString(y.ID):
		d.Errorf(d.node, "id", "%q is no id; begin with a small letter and go on with small letters, digits, - and _, 63 at the most", y.ID)
	}
	if y.Says == "" {
		d.Errorf(d.node, "says", "is missing; write the explanation as one would say it: workers back off, and requests wait for them")
	} else {
		e.says = d.Text(d.node, "says", y.Says)
	}
	if y.When == nil {
		d.Errorf(d.node, "when", "is missing; write what must hold for this explanation, as in steps.backoff.abnormal")
	} else {
		e.when = d.condition("when", *y.When)
	}
	if len(y.For) == 0 {
		d.Errorf(d.node, "for", "is missing; name what speaks for it: for: [backoff], or {when: steps.p95.value > 1000, says: 'p95 is over a second'}")
	}
	e.favour = d.arguments("for", y.For)
	e.against = d.arguments("against", y.Against)
	if y.Next == "" {
		d.Errorf(d.node, "next", "is missing; say what to do about it")
	} else {
		e.next = d.Text(d.node, "next", y.Next)
	}
	return e
}

func (d *explanationDraft) condition(key, source string) *Condition {
	c, problems := d.loader.conditions.compile(source, &conditionScope{scope: d.scope, own: map[string]*cel.Type{}, vars: d.vars}, &d.refs)
	for _, problem := range problems {
		d.Errorf(d.node, key, "%s", problem)
	}
	return c
}

func (d *explanationDraft) arguments(key string, nodes []yaml.Node) []argument {
	if len(nodes) > maxArguments {
		d.Errorf(d.node, key, "has %d entries; there are at most %d", len(nodes), maxArguments)
		return nil
	}
	out := make([]argument, 0, len(nodes))
	for i := range nodes {
		out = append(out, d.argument(key+"["+strconv.Itoa(i)+"]", &nodes[i]))
	}
	return out
}

// argument compiles one of its three forms: backoff, {step: backoff, is:
// normal}, and {when: …, says: …}.
func (d *explanationDraft) argument(key string, node *yaml.Node) (a argument) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	y := argumentYAML{Step: node.Value}
	if node.Kind != yaml.ScalarNode {
		sub := *d.Compiler
		sub.path = strictyaml.Join(d.path, key)
		sub.Decode(node, &y)
	}
	switch {
	case (y.Step == "") == (y.When == nil):
		d.Errorf(d.node, key, "must be the id of a step, {step: backoff, is: normal}, or {when: 'steps.p95.value > 1000', says: 'p95 is over a second'}")
		return a
	case y.When != nil:
		if y.Is != "" {
			d.Errorf(d.node, key+".is", "goes with step; a condition is written whole under when")
		}
		a.when = d.condition(key+".when", *y.When)
		if y.Says == "" {
			d.Errorf(d.node, key+".says", "is missing; say in words what the condition means")
			return a
		}
		a.says = d.Text(d.node, key+".says", y.Says)
		return a
	}
	if a.step = d.playbook.Step(y.Step); a.step == nil {
		d.Errorf(d.node, key, "%s", unknownName("unknown step "+y.Step, y.Step, d.scope.steps, ""))
	}
	switch a.is = triage.Verdict(y.Is); a.is {
	case "":
		a.is = triage.VerdictAbnormal
	case triage.VerdictAbnormal, triage.VerdictNormal:
	case triage.VerdictUnknown:
		fallthrough
	default:
		d.Errorf(d.node, key+".is", "%q is nothing that speaks for or against; write abnormal or normal", y.Is)
	}
	if y.Says != "" {
		a.says = d.Text(d.node, key+".says", y.Says)
	}
	return a
}

// Concludes says whether the playbook knows explanations.
func (p *Playbook) Concludes() bool { return len(p.explanations) > 0 }

// Conclude weighs the explanations against the findings of a finished run, in
// d.Steps. An explanation needs its `when`, and more that speaks for it than
// against it; of several the one with the greatest difference is given, of
// equals the first in the file. What is unknown counts neither way, and is said.
func (p *Playbook) Conclude(d *Data) triage.Conclusion {
	var best *weighed
	var rivals, open []string
	for i := range p.explanations {
		w := p.explanations[i].weigh(p, d)
		switch {
		case w.open:
			open = append(open, w.says)
		case w.score() <= 0:
		case best == nil || w.score() > best.score():
			best, rivals = &w, nil
		case w.score() == best.score():
			rivals = append(rivals, w.says)
		}
	}
	unknown := p.unknownSteps(d)
	if best == nil {
		c := triage.Conclusion{Says: "the findings support no explanation that this playbook knows", Open: open, Unknown: unknown}
		switch {
		case len(unknown) > 0:
			c.Says = "too much is not known"
			c.Next = "find out what could not be told (each finding says how), then look again"
		case p.Runbook != "":
			c.Next = "go on by hand with the runbook: " + p.Runbook
		default:
			c.Next = "go on by hand from the findings"
		}
		return c
	}
	c := triage.Conclusion{
		Explanation: best.id, Says: best.says, For: best.favour, Against: best.against,
		Rivals: rivals, Open: open, Next: best.next,
	}
	if len(open) > 0 {
		c.Unknown = unknown
	} else {
		c.Unknown = best.unknown
	}
	return c
}

// weighed is an explanation with what speaks for and against it.
type weighed struct {
	id, says, next  string
	open            bool // what is unknown may decide it
	holds           bool
	favour, against []string
	unknown         []string // titles of steps that might have spoken
}

func (w *weighed) score() int {
	if !w.holds {
		return 0
	}
	return len(w.favour) - len(w.against)
}

// weigh evaluates an explanation of p.
func (e *explanation) weigh(p *Playbook, d *Data) weighed {
	w := weighed{id: e.id, says: plainly(e.says, d, e.id), next: plainly(e.next, d, "")}
	holds, decided := e.when.Decide(d)
	if w.holds, w.open = holds, !decided; !holds {
		return w
	}
	for _, a := range e.favour {
		w.favour = w.add(w.favour, a, p, d)
	}
	for _, a := range e.against {
		w.against = w.add(w.against, a, p, d)
	}
	return w
}

// add adds an argument's text, when it holds.
func (w *weighed) add(texts []string, a argument, p *Playbook, d *Data) []string {
	if a.when != nil {
		holds, decided := a.when.Decide(d)
		if !decided {
			w.cannotTell(p.titles(a.when.undecidedBy(d)...))
		}
		if !holds {
			return texts
		}
		return append(texts, plainly(a.says, d, a.when.Source()))
	}
	switch found := d.Steps[a.step.ID]; {
	case d.couldNotTell(a.step.ID):
		w.cannotTell([]string{a.step.Title})
	case !found.Skipped && found.Verdict == a.is:
		return append(texts, plainly(a.says, d, found.Headline))
	}
	return texts
}

func (w *weighed) cannotTell(titles []string) {
	for _, title := range titles {
		if !slices.Contains(w.unknown, title) {
			w.unknown = append(w.unknown, title)
		}
	}
}

// unknownSteps are the titles of the steps that could not tell, in the file's
// order.
func (p *Playbook) unknownSteps(d *Data) []string {
	var ids []string
	for _, s := range p.Steps {
		if d.couldNotTell(s.ID) {
			ids = append(ids, s.ID)
		}
	}
	return p.titles(ids...)
}

func (p *Playbook) titles(ids ...string) []string {
	var titles []string
	for _, id := range ids {
		titles = append(titles, p.Step(id).Title)
	}
	return titles
}

// plainly renders a text to stand within a sentence; otherwise is what stands
// there where it gives none.
func plainly(t *Template, d *Data, otherwise string) string {
	text := otherwise
	if t != nil {
		if rendered, err := t.Render(d); err == nil && strings.TrimSpace(rendered) != "" {
			text = rendered
		}
	}
	return strings.TrimRight(strings.TrimSpace(text), ".")
}
