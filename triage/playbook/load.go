package playbook

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"

	"triagebot/triage/matcher"
	"triagebot/triage/strictyaml"
)

// Bounds and defaults of a playbook.
const (
	DefaultRunTimeout  = 60 * time.Second
	DefaultStepTimeout = 10 * time.Second

	minTimeout     = 100 * time.Millisecond
	maxRunTimeout  = time.Hour
	maxStepTimeout = 30 * time.Minute

	maxFileSize = 1 << 20 // bytes
	maxSteps    = 100
	maxInputs   = 50
)

// FallbackName is the name of the built-in playbook, which no file may take.
const FallbackName = "fallback"

// File is a playbook's YAML. Its name stands in problems.
type File struct {
	Name string
	Data []byte
}

// LoadOptions are what playbooks are checked against.
type LoadOptions struct {
	Kinds    []Kind
	Services []string // names of the configured services; nil allows any
}

// Load decodes and checks playbooks, one a file. The error is
// strictyaml.Problems with all that is wrong with all files.
func Load(files []File, opts LoadOptions) (*Set, error) {
	l, err := newLoader(opts)
	if err != nil {
		return nil, err
	}
	set := &Set{}
	names := map[string]string{FallbackName: "the built-in playbook"}
	for _, f := range files {
		p, nameLine := l.load(f, true)
		if p == nil {
			continue
		}
		if taken, twice := names[p.Name]; twice {
			l.problem(f.Name, nameLine, "name", fmt.Sprintf("%q is the name of %s; choose another", p.Name, taken))
		} else if p.Name != "" {
			names[p.Name] = f.Name
		}
		set.playbooks = append(set.playbooks, p)
	}
	if err := l.problems.Err(); err != nil {
		return nil, err
	}
	return set, nil
}

// loader loads the files of one Load and gathers their problems.
type loader struct {
	opts       LoadOptions
	conditions *conditionCompiler
	problems   strictyaml.Problems
}

func newLoader(opts LoadOptions) (*loader, error) {
	conditions, err := newConditionCompiler()
	if err != nil {
		return nil, err
	}
	return &loader{opts: opts, conditions: conditions}, nil
}

func (l *loader) problem(file string, line int, key, text string) {
	l.problems = append(l.problems, strictyaml.Problem{File: file, Line: line, Key: key, Text: text})
}

// playbookYAML is a playbook as people write it.
type playbookYAML struct {
	// name, needed: small letters, digits, `-` and `_`, 63 at the most; no two playbooks share one.
	Name string `yaml:"name"`
	// text, default the name: for people.
	Title string `yaml:"title"`
	// list of matchers, needed: in Alertmanager's syntax; all must match the alert's labels.
	Match []string `yaml:"match"`
	// text: whose it is.
	Owner string `yaml:"owner"`
	// URL: linked from the thread.
	Runbook string `yaml:"runbook"`
	// duration, default [DefaultRunTimeout], [minTimeout] to [maxRunTimeout]: of the whole run; steps that did not get their turn say so.
	Timeout string `yaml:"timeout"`
	// mapping of templates, at most [maxInputs]: values said once, `{{ .Inputs.route }}` in templates and `inputs.route` in conditions; they see neither steps nor one another.
	Inputs yaml.Node `yaml:"inputs"`
	// list, needed, at most [maxSteps]: what to do.
	Steps []yaml.Node `yaml:"steps"`
	// list, at most [maxExplanations]: explanations, of which the run's last message gives the best supported.
	Conclude []yaml.Node `yaml:"conclude"`
}

// namePattern is what names of playbooks and ids of steps look like.
var (
	namePattern  = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	inputPattern = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]{0,62}$`)
)

// load loads one file; nil when it is no YAML. A playbook with problems is
// returned all the same, so that its name counts. The built-in playbook needs
// no match.
func (l *loader) load(f File, needsMatch bool) (p *Playbook, nameLine int) {
	if len(f.Data) > maxFileSize {
		l.problem(f.Name, 0, "", fmt.Sprintf("has %d bytes; a playbook has at most %d", len(f.Data), maxFileSize))
		return nil, 0
	}
	rootNode, problems := strictyaml.Parse(f.Name, f.Data)
	l.problems = append(l.problems, problems...)
	if rootNode == nil {
		return nil, 0
	}
	if hasAlertRules(rootNode) {
		l.problem(f.Name, lookup(rootNode, "groups").Line, "groups", "these are Prometheus rules, not a playbook; name the folder, where they are passed over, or the playbooks alone")
		return nil, 0
	}
	c := &Compiler{file: f.Name, problems: &l.problems}
	var y playbookYAML
	before := len(l.problems)
	c.Decode(rootNode, &y)
	// What could not be decoded is not missing.
	missing := func(key string, empty bool) bool {
		return empty && (len(l.problems) == before || lookup(rootNode, key) == rootNode)
	}
	lacksName, lacksSteps := missing("name", y.Name == ""), missing("steps", len(y.Steps) == 0)
	lacksMatch := needsMatch && missing("match", len(y.Match) == 0)

	sum := sha256.Sum256(f.Data)
	p = &Playbook{
		Name:    y.Name,
		Title:   y.Title,
		Owner:   y.Owner,
		Runbook: y.Runbook,
		File:    f.Name,
		Hash:    hex.EncodeToString(sum[:6]),
		Timeout: DefaultRunTimeout,
	}
	if p.Title == "" {
		p.Title = p.Name
	}
	if lacksName {
		c.Errorf(rootNode, "name", "is missing; write name: latency-slo-breach")
	}
	if lacksSteps {
		c.Errorf(rootNode, "steps", "is missing or empty; a playbook has at least one step")
	}
	if lacksMatch {
		c.Errorf(rootNode, "match", `says for which alerts the playbook is; write match: ['alertname="HighLatency"'], or ['alertname=~".+"'] for all`)
	}
	if y.Name != "" && !namePattern.MatchString(y.Name) {
		c.Errorf(rootNode, "name", "%q is no name; begin with a small letter and go on with small letters, digits, - and _, 63 at the most", y.Name)
	}
	if y.Timeout != "" {
		p.Timeout = c.Duration(rootNode, "timeout", y.Timeout, minTimeout, maxRunTimeout)
	}
	if u, err := url.Parse(y.Runbook); y.Runbook != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		c.Errorf(rootNode, "runbook", "%q is no http or https URL", y.Runbook)
	}
	for i, text := range y.Match {
		key := "match[" + strconv.Itoa(i) + "]"
		ms, err := matcher.Parse(text)
		switch {
		case err != nil:
			c.Errorf(rootNode, key, `%q is no matcher: %v; write one as in Alertmanager: 'alertname="HighLatency"'`, text, err)
		case len(ms) == 0:
			c.Errorf(rootNode, key, `is empty; write a matcher as in Alertmanager: 'alertname="HighLatency"'`)
		}
		p.match = append(p.match, ms...)
	}
	inputNames := l.inputs(c, rootNode, &y, p)
	l.steps(c, rootNode, &y, inputNames, p)
	return p, lookup(rootNode, "name").Line
}

// inputs compiles the playbook's inputs and returns their names.
func (l *loader) inputs(c *Compiler, rootNode *yaml.Node, y *playbookYAML, p *Playbook) []string {
	node := &y.Inputs
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.IsZero() || node.Tag == "!!null" {
		return nil
	}
	if node.Kind != yaml.MappingNode {
		c.Errorf(rootNode, "inputs", "must be a mapping of names to texts")
		return nil
	}
	if len(node.Content)/2 > maxInputs {
		c.Errorf(rootNode, "inputs", "has more than %d inputs", maxInputs)
		return nil
	}
	c.scope = l.scope(nil, nil)
	c.scope.denied = map[string]string{
		"Inputs": "an input cannot refer to another",
		"Steps":  "inputs are rendered before any step runs",
	}
	var names []string
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		key := strictyaml.Join("inputs", name.Value)
		switch {
		case !inputPattern.MatchString(name.Value):
			c.report(name.Line, key, "is no name; begin with a letter and go on with letters, digits and _, 63 at the most")
		case slices.Contains(names, name.Value):
			c.report(name.Line, key, "stands twice")
			continue
		case value.Kind != yaml.ScalarNode:
			c.report(value.Line, key, "must be a text")
			names = append(names, name.Value)
			continue
		}
		t := c.compile(rawLanguage{}, rootNode, key, value.Value)
		p.inputs = append(p.inputs, input{name.Value, t})
		names = append(names, name.Value)
	}
	return names
}

func (l *loader) scope(inputNames, ids []string) scope {
	return scope{inputs: inputNames, services: l.opts.Services, anyService: l.opts.Services == nil, steps: ids}
}

// stepYAML is what every step may have besides its kind.
type stepYAML struct {
	// name, needed: small letters, digits, `-` and `_`, 63 at the most; a `-` is written `_` where templates and conditions refer to the step.
	ID string `yaml:"id"`
	// text, default the id: for people.
	Title string `yaml:"title"`
	// condition, default always: whether the step runs at all; of the alert and of other steps, for which it waits.
	When *string `yaml:"when"`
	// template, default the condition: why it does not run, where `when` is false.
	SkipReason string `yaml:"skip_reason"`
	// duration, default [DefaultStepTimeout], [minTimeout] to [maxStepTimeout]: of all the step's tries.
	Timeout string `yaml:"timeout"`
	// condition: the finding is abnormal where it is true.
	Abnormal *string `yaml:"abnormal"`
	// condition: the finding is abnormal where it is false.
	Expect *string `yaml:"expect"`
	// condition: the step could not tell where it is true, whatever the two above say.
	Unknown *string `yaml:"unknown"`
	// template, default the kind's own sentence: what a finding says that is not unknown.
	Finding string `yaml:"finding"`
	// template, default the kind's own: what to do about an abnormal finding.
	NextStep string `yaml:"next_step"`
}

func stepKeys() []string {
	return []string{"id", "title", "when", "skip_reason", "timeout", "abnormal", "expect", "unknown", "finding", "next_step"}
}

// draft is a step on its way: its conditions need the variables of all others.
type draft struct {
	step *Step
	node *yaml.Node
	yaml stepYAML
	c    *Compiler
}

// steps loads the steps in three passes: ids first, so that templates can
// refer to any; then the kinds, which tell the variables; then what uses these.
func (l *loader) steps(c *Compiler, rootNode *yaml.Node, y *playbookYAML, inputNames []string, p *Playbook) {
	if len(y.Steps) > maxSteps {
		c.Errorf(rootNode, "steps", "has %d steps; a playbook has at most %d", len(y.Steps), maxSteps)
		return
	}
	var ids []string
	drafts := make([]*draft, 0, len(y.Steps))
	for i := range y.Steps {
		d := l.draft(c, &y.Steps[i], i, ids)
		if d == nil {
			continue
		}
		ids = append(ids, d.step.ID)
		drafts = append(drafts, d)
		p.Steps = append(p.Steps, d.step)
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return id == "" })
	vars := map[string]map[string]*cel.Type{}
	for _, d := range drafts {
		d.c.scope = l.scope(inputNames, ids)
		l.kind(d)
		vars[d.step.ID] = d.step.Vars
	}
	for _, d := range drafts {
		l.judgement(d, vars)
	}
	for _, d := range drafts {
		d.resolveRefs(vars, ids)
	}
	l.cycles(c, drafts)
	l.explanations(c, y.Conclude, p, l.scope(inputNames, ids), vars)
}

// draft reads what every step has; nil when the node is no mapping.
func (l *loader) draft(c *Compiler, node *yaml.Node, i int, ids []string) *draft {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	path := "steps[" + strconv.Itoa(i) + "]"
	if node.Kind != yaml.MappingNode {
		c.report(node.Line, path, "must be a mapping with an id and a kind, as in {id: p95, query: {expr: up}}")
		return nil
	}
	d := &draft{node: node, step: &Step{Timeout: DefaultStepTimeout}}
	d.c = &Compiler{file: c.file, path: path, problems: c.problems}

	common := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: node.Line, Column: node.Column}
	for k := 0; k+1 < len(node.Content); k += 2 {
		if slices.Contains(stepKeys(), node.Content[k].Value) {
			common.Content = append(common.Content, node.Content[k], node.Content[k+1])
		}
	}
	d.c.Decode(common, &d.yaml)

	s := d.step
	s.ID, s.Title = d.yaml.ID, d.yaml.Title
	if s.Title == "" {
		s.Title = s.ID
	}
	switch {
	case s.ID == "":
		d.c.Errorf(node, "id", "is missing; write id: p95")
	case !namePattern.MatchString(s.ID):
		d.c.Errorf(node, "id", "%q is no id; begin with a small letter and go on with small letters, digits, - and _, 63 at the most", s.ID)
	default:
		for _, other := range ids {
			if other == s.ID {
				d.c.Errorf(node, "id", "%q stands twice; choose another", s.ID)
			} else if stepName(other) == stepName(s.ID) {
				d.c.Errorf(node, "id", "%q and %q are both %s in conditions, which take no hyphen; choose another", s.ID, other, stepName(s.ID))
			}
		}
	}
	if d.yaml.Timeout != "" {
		s.Timeout = d.c.Duration(node, "timeout", d.yaml.Timeout, minTimeout, maxStepTimeout)
	}
	if d.yaml.SkipReason != "" && d.yaml.When == nil {
		d.c.Errorf(node, "skip_reason", "says why the step does not run, but it always does; add when, or take this out")
	}
	return d
}

// kind finds the one key of the step that names a kind and decodes it. The
// step's variables stay nil, which stands for any, where its kind is not known:
// what else is wrong with the step is found all the same.
func (l *loader) kind(d *draft) {
	kindNames := make([]string, len(l.opts.Kinds))
	for i, k := range l.opts.Kinds {
		kindNames[i] = k.Name()
	}
	slices.Sort(kindNames)
	hasUnknown := false
	var found []string
	var nodes []*yaml.Node // of those found
	for k := 0; k+1 < len(d.node.Content); k += 2 {
		key := d.node.Content[k]
		switch {
		case slices.Contains(stepKeys(), key.Value):
		case slices.Contains(kindNames, key.Value):
			found = append(found, key.Value)
			nodes = append(nodes, d.node.Content[k+1])
		default:
			hasUnknown = true
			d.c.report(key.Line, key.Value, "unknown key or kind of step"+strictyaml.Suggest(key.Value, slices.Concat(kindNames, stepKeys())))
		}
	}
	switch {
	case len(found) == 0 && !hasUnknown:
		d.c.Errorf(d.node, "", "does nothing; add one of the kinds %s", strings.Join(kindNames, ", "))
	case len(found) > 1:
		d.c.Errorf(d.node, found[1], "is a second kind beside %s; a step does one thing, so make it a step of its own", found[0])
	}
	for i, name := range found {
		action := l.action(d, name, nodes[i])
		if len(found) == 1 && action != nil {
			d.step.Kind, d.step.Action, d.step.Vars = name, action, action.Vars()
			if d.step.Vars == nil {
				d.step.Vars = map[string]*cel.Type{}
			}
			l.variableNames(d, nodes[i])
		}
	}
}

// action decodes what a step says of its kind; nil when the kind gives up.
func (l *loader) action(d *draft, kindName string, node *yaml.Node) Action {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	sub := *d.c
	sub.path = strictyaml.Join(d.c.path, kindName)
	i := slices.IndexFunc(l.opts.Kinds, func(k Kind) bool { return k.Name() == kindName })
	action := l.opts.Kinds[i].Decode(&sub, node)
	d.c.refs = sub.refs
	return action
}

// variableNames reports those of a kind's variables that cannot be told from
// what conditions and templates have of their own.
func (l *loader) variableNames(d *draft, node *yaml.Node) {
	for _, name := range sorted(typeKeys(d.step.Vars)) {
		taken := slices.Contains(stepFlags(), name) || slices.Contains([]string{"labels", "inputs", "steps", "alert_expr"}, name)
		if _, isField := dataType.FieldByName(fieldName(name)); taken || isField {
			d.c.report(node.Line, d.step.Kind, fmt.Sprintf("the kind's variable %s has a name that conditions or templates use for something else", name))
		}
	}
}

// judgement compiles a step's conditions and the templates of its finding.
func (l *loader) judgement(d *draft, vars map[string]map[string]*cel.Type) {
	compile := func(key string, text *string, own map[string]*cel.Type) *Condition {
		if text == nil {
			return nil
		}
		s := &conditionScope{scope: d.c.scope, own: own, vars: vars}
		condition, problems := l.conditions.compile(*text, s, &d.c.refs)
		for _, problem := range problems {
			d.c.Errorf(d.node, key, "%s", problem)
		}
		return condition
	}
	d.step.When = compile("when", d.yaml.When, map[string]*cel.Type{})
	if d.yaml.SkipReason != "" {
		d.step.skipReason = d.c.Text(d.node, "skip_reason", d.yaml.SkipReason)
	}
	d.step.Abnormal = compile("abnormal", d.yaml.Abnormal, d.step.Vars)
	d.step.Expect = compile("expect", d.yaml.Expect, d.step.Vars)
	d.step.Unknown = compile("unknown", d.yaml.Unknown, d.step.Vars)
	d.c.scope.own, d.c.scope.anyOwn = sorted(typeKeys(d.step.Vars)), d.step.Vars == nil
	if d.yaml.Finding != "" {
		d.step.Finding = d.c.Text(d.node, "finding", d.yaml.Finding)
	}
	if d.yaml.NextStep != "" {
		d.step.NextStep = d.c.Text(d.node, "next_step", d.yaml.NextStep)
	}
}

// resolveRefs checks the variables that templates take from other steps, and
// turns what the step refers to into what it depends on.
func (d *draft) resolveRefs(vars map[string]map[string]*cel.Type, ids []string) {
	checkVariables(&d.c.refs, vars)
	for _, id := range ids {
		if slices.Contains(d.c.refs.steps, id) {
			d.step.DependsOn = append(d.step.DependsOn, id)
		}
	}
}

// checkVariables reports the variables that templates take from steps without them.
func checkVariables(refs *references, vars map[string]map[string]*cel.Type) {
	for _, ref := range refs.vars {
		known := vars[ref.step]
		if _, found := known[ref.name]; !found && known != nil {
			ref.fail(unknownName(fmt.Sprintf("unknown variable .Vars.%s of step %s", ref.name, ref.step), ref.name, sorted(typeKeys(known)), ""))
		}
	}
}

// cycles reports each cycle of steps that wait for one another, once.
func (l *loader) cycles(c *Compiler, drafts []*draft) {
	byID := map[string]*draft{}
	for _, d := range drafts {
		byID[d.step.ID] = d
	}
	const (
		onPath = 1
		done   = 2
	)
	state := map[string]int{}
	var path []string
	var visit func(d *draft)
	visit = func(d *draft) {
		id := d.step.ID
		state[id] = onPath
		path = append(path, id)
		for _, next := range d.step.DependsOn {
			switch state[next] {
			case onPath:
				cycle := append(slices.Clone(path[slices.Index(path, next):]), next)
				d.c.report(d.node.Line, "", cycleText(cycle))
			case 0:
				visit(byID[next])
			}
		}
		path = path[:len(path)-1]
		state[id] = done
	}
	for _, d := range drafts {
		if state[d.step.ID] == 0 {
			visit(d)
		}
	}
}

func cycleText(cycle []string) string {
	if len(cycle) == 2 {
		return fmt.Sprintf("step %s refers to itself; its own variables have no steps.%s before them", cycle[0], stepName(cycle[0]))
	}
	return fmt.Sprintf("steps wait for one another in a circle: %s; take one of the references out", strings.Join(cycle, " → "))
}
