// The kind `logs`: what a log says around events, such as a worker's exits.
// logs_events.go finds the events, logs_around.go gathers the lines and their
// shapes, logs_said.go says what came of it.

package step

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"

	"triagebot/triage/playbook"
	"triagebot/triage/strictyaml"
	"triagebot/triage/tracelog"
)

// Bounds of the options of logs.
const (
	maxLogsWithin = 24 * time.Hour
	defaultBefore = 10 * time.Second
	defaultAfter  = 5 * time.Second
	maxAround     = 10 * time.Minute
	defaultRare   = 3
	maxRare       = 1000
	maxEventNames = 20
)

type logsKind struct{ Deps }

func (*logsKind) Name() string { return "logs" }

// logsYAML is the step's YAML.
type logsYAML struct {
	// name, needed: a log under `traces.logs`, or a Loki or VictoriaLogs under `traces.backends`.
	Source string `yaml:"source"`
	// mapping, needed: what an event is; one of `field` with `is`, `contains` and `expr`.
	Around *aroundYAML `yaml:"around"`
	// duration, default [defaultWithin], [minWithin] to [maxLogsWithin]: events are looked for so long before the incident's instant.
	Within string `yaml:"within"`
	// duration, default [defaultBefore], 0s to [maxAround]: lines from so long before an event.
	Before string `yaml:"before"`
	// duration, default [defaultAfter], 0s to [maxAround]: lines until so long after it.
	After string `yaml:"after"`
	// name, default all lines: only lines with the event's own value of this field, such as `worker`.
	By string `yaml:"by"`
	// number, default [defaultRare], 1 to [maxRare]: a shape seen at most so often before the first event is rare.
	Rare int `yaml:"rare"`
}

// aroundYAML says what an event is: one of the three.
type aroundYAML struct {
	// name, with `is`: a field of the log's lines.
	Field string `yaml:"field"`
	// list of texts, at most [maxEventNames]: a line with any of these values is an event.
	Is []string `yaml:"is"`
	// list of texts, at most [maxEventNames]: a line that holds any of these is an event; for plain logs.
	Contains []string `yaml:"contains"`
	// PromQL template: the instants from which it holds for a series; a value of 0 counts as not holding.
	Expr string `yaml:"expr"`
	// name, default the one under `prometheus`: the Prometheus to ask for `expr`.
	Datasource string `yaml:"datasource"`
}

// logsAction is a decoded logs step.
type logsAction struct {
	source        string
	home          tracelog.Liner // nil where none is configured
	around        eventChoice
	within        time.Duration
	before, after time.Duration
	by            string // "" for all lines
	rare          int
}

func (k *logsKind) Decode(c *playbook.Compiler, node *yaml.Node) playbook.Action {
	var y logsYAML
	c.Decode(node, &y)
	a := &logsAction{source: y.Source, by: y.By, within: defaultWithin, before: defaultBefore, after: defaultAfter}
	a.home = k.lineSource(c, node, "source", y.Source)
	if y.Around == nil {
		c.Errorf(node, "around", "is missing; write the events around which lines are shown: {field: event, is: [worker_exited]}, {contains: [panic]} or {expr: 'increase(restarts_total[30s]) > 0'}")
	} else {
		a.around = k.decodeAround(c, node, y.Around)
	}
	if y.Within != "" {
		a.within = c.Duration(node, "within", y.Within, minWithin, maxLogsWithin)
	}
	if y.Before != "" {
		a.before = c.Duration(node, "before", y.Before, 0, maxAround)
	}
	if y.After != "" {
		a.after = c.Duration(node, "after", y.After, 0, maxAround)
	}
	a.rare = within(c, node, "rare", y.Rare, defaultRare, 1, maxRare)
	return a
}

// lineSource finds the home of a source by its configured name. Where no homes
// are configured at all, as when a playbook is checked alone, it gives nil.
func (d *Deps) lineSource(c *playbook.Compiler, node *yaml.Node, key, name string) tracelog.Liner {
	if name == "" {
		c.Errorf(node, key, "is missing; write the name of a log or backend under traces in the configuration")
		return nil
	}
	var names []string
	for _, home := range d.Traces {
		liner, ok := home.(tracelog.Liner)
		if !ok {
			if home.Name() == name {
				c.Errorf(node, key, "%q keeps traces, not lines; write the name of a log, of a Loki or of a VictoriaLogs", name)
				return nil
			}
			continue
		}
		if slices.Contains(liner.LineSources(), name) {
			return liner
		}
		names = append(names, liner.LineSources()...)
	}
	if len(d.Traces) > 0 {
		slices.Sort(names)
		c.Errorf(node, key, "no log %q is configured under traces%s", name, strictyaml.Suggest(name, names))
	}
	return nil
}

func (k *logsKind) decodeAround(c *playbook.Compiler, node *yaml.Node, y *aroundYAML) eventChoice {
	ways := 0
	for _, given := range []bool{y.Field != "" || len(y.Is) > 0, len(y.Contains) > 0, y.Expr != ""} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		c.Errorf(node, "around", "says %d ways to find events; write one: {field: …, is: […]}, {contains: […]} or {expr: …}", ways)
		return eventChoice{}
	}
	for key, names := range map[string][]string{"around.is": y.Is, "around.contains": y.Contains} {
		if len(names) > maxEventNames {
			c.Errorf(node, key, "has %d entries; at most %d are looked for", len(names), maxEventNames)
		}
		if slices.Contains(names, "") {
			c.Errorf(node, key, "has an empty entry; remove it")
		}
	}
	e := eventChoice{field: y.Field, is: y.Is, contains: y.Contains}
	switch {
	case y.Expr != "":
		e.expr = c.PromQL(node, "around.expr", y.Expr)
		e.name, e.datasource = k.datasource(c, node, "around.datasource", y.Datasource)
	case y.Datasource != "":
		c.Errorf(node, "around.datasource", "is for expr only; remove it")
	case len(y.Contains) > 0: // nothing else belongs to it
	case y.Field == "":
		c.Errorf(node, "around.field", "is missing; write the field whose value is one of is")
	case len(y.Is) == 0:
		c.Errorf(node, "around.is", "is missing; write the values of %s that make a line an event", y.Field)
	}
	return e
}

// Vars are all there, but for new_shapes where the log does not reach back far
// enough to tell. It leaves the events' own shapes out unless there were events
// before, too: they are trivially new.
func (a *logsAction) Vars() map[string]*cel.Type {
	return map[string]*cel.Type{
		"events":     cel.IntType,                                 // in the window
		"lines":      cel.IntType,                                 // around them; one that is near several counts once
		"shapes":     cel.IntType,                                 // groups into which the lines fall
		"new_shapes": cel.IntType,                                 // those that did not occur before the first event; absent where the log does not reach back far enough
		"top":        cel.StringType,                              // the most telling shape; `""` without lines
		"telling":    cel.StringType,                              // the shapes but the usual ones, the most telling first, at most [maxTelling], with a semicolon between
		"top_count":  cel.IntType,                                 // its lines
		"top_events": cel.IntType,                                 // events around which they stand
		"by_count":   cel.MapType(cel.StringType, cel.DoubleType), // events by the value of `by`, else by worker
	}
}

func (a *logsAction) Run(ctx context.Context, env *playbook.Env) (*playbook.Outcome, error) {
	if a.home == nil {
		return nil, &playbook.StepError{
			Err:      fmt.Errorf("no log called %s is configured", tracelog.Harmless(a.source)),
			NextStep: "Add it to the traces section of the configuration, as config.example.yaml shows.",
		}
	}
	seen, err := a.events(ctx, env)
	if err != nil {
		return nil, err
	}
	around := newGathered(a, seen)
	if len(seen.events) > 0 {
		around.lines, err = a.home.Between(ctx, tracelog.LineQuery{Source: a.source, From: around.from(), To: around.to()}, around.take)
		if err != nil {
			return nil, a.unread(ctx, err)
		}
	}
	around.group()
	return a.outcome(env, around)
}

// unread is the error of a log that could not be read.
func (a *logsAction) unread(ctx context.Context, err error) error {
	next := "Check that the log is there and can be read, or that its backend can be reached."
	if ctx.Err() != nil {
		next = "Raise the step's timeout, or shorten within. " + next
	}
	return &playbook.StepError{
		Err:       &wordedError{tracelog.Harmless(a.source) + " could not be read: " + oneLine(err), err},
		NextStep:  next,
		Transient: ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded),
	}
}

// called is what the events are called, in the singular.
func (e *eventChoice) called() string {
	switch {
	case len(e.contains) > 0:
		return "line with " + inQuotes(e.contains)
	case e.expr == nil:
		shown := make([]string, len(e.is))
		for i, name := range e.is {
			shown[i] = tracelog.Harmless(name)
		}
		return strings.Join(shown, " or ") + " event"
	default:
		return "event"
	}
}

func inQuotes(texts []string) string {
	shown := make([]string, len(texts))
	for i, text := range texts {
		shown[i] = "“" + tracelog.Harmless(text) + "”"
	}
	return strings.Join(shown, " or ")
}
