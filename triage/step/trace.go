// The kind `trace`: one request, looked up in the logs and trace backends, and
// what its records say together. choose.go finds the request, traced.go says
// what came of it.

package step

import (
	"context"
	"errors"
	"time"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"

	"triagebot/triage/playbook"
	"triagebot/triage/tracelog"
)

// Bounds of a trace's options.
const (
	defaultWithin   = 15 * time.Minute
	minWithin       = time.Second
	maxSlack        = 24 * time.Hour
	minTraceTimeout = 100 * time.Millisecond
	maxTraceTimeout = 30 * time.Minute
)

type trace struct{ Deps }

func (*trace) Name() string { return "trace" }

// traceYAML is the step's YAML. Of id, exemplar and pick, the first that gives
// a request says which one is looked up.
type traceYAML struct {
	ID       string        `yaml:"id"` // '{{ .Labels.req_id }}'
	Exemplar *exemplarYAML `yaml:"exemplar"`
	Pick     *pickYAML     `yaml:"pick"`
	Slack    string        `yaml:"slack"`   // how far from the presumed time is searched first
	Timeout  string        `yaml:"timeout"` // of the lookup; what was found by then is told. Default: the step's
}

type exemplarYAML struct {
	Expr       string `yaml:"expr"` // of the series; default: the alert rule's expression
	Datasource string `yaml:"datasource"`
	Label      string `yaml:"label"`  // that holds the id; default: trace_id, else req_id
	Take       string `yaml:"take"`   // highest, lowest or newest
	Within     string `yaml:"within"` // before the incident's instant
}

type pickYAML struct {
	By     string `yaml:"by"` // slowest, failing or tool_call
	Route  string `yaml:"route"`
	Within string `yaml:"within"` // before the incident's instant
}

// traceAction is a decoded trace step.
type traceAction struct {
	deps     Deps
	id       *playbook.Template // nil without one
	exemplar *exemplarChoice    // likewise
	pick     *pickChoice        // likewise
	slack    time.Duration      // 0 for tracelog's own
	timeout  time.Duration      // 0 for the step's
}

func (k *trace) Decode(c *playbook.Compiler, node *yaml.Node) playbook.Action {
	var y traceYAML
	c.Decode(node, &y)
	a := &traceAction{deps: k.Deps}
	if y.ID == "" && y.Exemplar == nil && y.Pick == nil {
		c.Errorf(node, "", "names no request; write id: '{{ .Labels.req_id }}', exemplar: {} or pick: {by: slowest}, or several of them")
	}
	if y.ID != "" {
		a.id = c.Text(node, "id", y.ID)
	}
	if y.Exemplar != nil {
		a.exemplar = k.decodeExemplar(c, node, y.Exemplar)
	}
	if y.Pick != nil {
		a.pick = decodePick(c, node, y.Pick)
	}
	if y.Slack != "" {
		a.slack = c.Duration(node, "slack", y.Slack, time.Second, maxSlack)
	}
	if y.Timeout != "" {
		a.timeout = c.Duration(node, "timeout", y.Timeout, minTraceTimeout, maxTraceTimeout)
	}
	return a
}

func (k *trace) decodeExemplar(c *playbook.Compiler, node *yaml.Node, y *exemplarYAML) *exemplarChoice {
	e := &exemplarChoice{ofAlert: y.Expr == "", labels: []string{"trace_id", "req_id"}, within: defaultWithin}
	if e.ofAlert {
		y.Expr = "{{ .AlertExpr }}"
	}
	e.expr = c.PromQL(node, "exemplar.expr", y.Expr)
	e.name, e.datasource = k.datasource(c, node, "exemplar.datasource", y.Datasource)
	if y.Label != "" {
		e.labels = []string{y.Label}
	}
	e.take = oneOf(c, node, "exemplar.take", y.Take, takeHighest, takeHighest, takeLowest, takeNewest)
	if y.Within != "" {
		e.within = c.Duration(node, "exemplar.within", y.Within, minWithin, maxRange)
	}
	return e
}

func decodePick(c *playbook.Compiler, node *yaml.Node, y *pickYAML) *pickChoice {
	p := &pickChoice{within: defaultWithin}
	if y.By == "" {
		c.Errorf(node, "pick.by", "is missing; write slowest, failing or tool_call")
	}
	p.by = tracelog.PickBy(oneOf(c, node, "pick.by", y.By, "",
		string(tracelog.PickSlowest), string(tracelog.PickFailing), string(tracelog.PickToolCall)))
	if y.Route != "" {
		p.route = c.Text(node, "pick.route", y.Route)
	}
	if y.Within != "" {
		p.within = c.Duration(node, "pick.within", y.Within, minWithin, maxRange)
	}
	return p
}

// Vars are, always: found, whether there are records of the request; id and
// chosen, how it was; records, how many are about it; complete, whether
// everything was searched and followed. Of a request that was found also:
// duration_ms, as reported, else from its first record to its last; status, 0
// without an answer; outcome, as tracelog.Outcome; error, the first one, ""
// without; route; longest_gap_ms, between two of its records; retries, of it and
// by it; tool_call; tool_blocks_aborted; chunks and chunks_duplicated;
// worker_exits; and chunks_missing where everything was searched, for else
// they may only not have been seen.
func (a *traceAction) Vars() map[string]*cel.Type {
	return map[string]*cel.Type{
		"found":               cel.BoolType,
		"id":                  cel.StringType,
		"chosen":              cel.StringType,
		"records":             cel.IntType,
		"complete":            cel.BoolType,
		"duration_ms":         cel.DoubleType,
		"status":              cel.IntType,
		"outcome":             cel.StringType,
		"error":               cel.StringType,
		"route":               cel.StringType,
		"longest_gap_ms":      cel.DoubleType,
		"retries":             cel.IntType,
		"tool_call":           cel.BoolType,
		"tool_blocks_aborted": cel.IntType,
		"chunks":              cel.IntType,
		"chunks_duplicated":   cel.IntType,
		"chunks_missing":      cel.IntType,
		"worker_exits":        cel.IntType,
	}
}

func (a *traceAction) Run(ctx context.Context, env *playbook.Env) (*playbook.Outcome, error) {
	if len(a.deps.Traces) == 0 {
		return nil, &playbook.StepError{
			Err:      errors.New("no logs and no trace backends are configured to look a request up in"),
			NextStep: "Add a traces section to the configuration, as config.example.yaml shows it.",
		}
	}
	if a.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, a.timeout)
		defer cancel()
	}
	chosen, misses := a.choose(ctx, env)
	if chosen == nil {
		return unchosen(misses)
	}
	// When the time ends, Stitch gives what was found by then.
	found, err := tracelog.Stitch(ctx, a.deps.Traces, tracelog.Query{ID: chosen.id, At: chosen.at, Slack: a.slack}, tracelog.StitchOptions{})
	if err != nil {
		next := "Check that the logs and backends of the configuration's traces section are there and can be reached."
		if ctx.Err() != nil {
			next = "Raise the step's timeout. " + next
		}
		return nil, &playbook.StepError{Err: &wordedError{"nothing could be searched: " + oneLine(err), err}, NextStep: next}
	}
	return a.outcome(env, chosen, &lookup{Trace: found, facts: found.Facts(), over: ctx.Err() != nil})
}
