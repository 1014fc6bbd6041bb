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
	// template: the request that the alert names, as in `{{ .Labels.req_id }}`.
	ID string `yaml:"id"`
	// mapping: a request of which Prometheus keeps an exemplar; `{}` takes all defaults.
	Exemplar *exemplarYAML `yaml:"exemplar"`
	// mapping: a request that the logs show to be worth it.
	Pick *pickYAML `yaml:"pick"`
	// duration, default 5m, 1s to [maxSlack]: how far from the presumed time is searched first.
	Slack string `yaml:"slack"`
	// duration, default the step's, [minTraceTimeout] to [maxTraceTimeout]: of the lookup; what was found by then is told.
	Timeout string `yaml:"timeout"`
}

type exemplarYAML struct {
	// PromQL template, default the alert rule's expression: of which series.
	Expr string `yaml:"expr"`
	// name, default the one under `prometheus`: the Prometheus to ask.
	Datasource string `yaml:"datasource"`
	// name, default `trace_id`, else `req_id`: the exemplar's label that holds the id.
	Label string `yaml:"label"`
	// `highest` (default), `lowest`, `newest`: which exemplar.
	Take string `yaml:"take"`
	// duration, default [defaultWithin], [minWithin] to [maxRange]: before the incident's instant.
	Within string `yaml:"within"`
}

type pickYAML struct {
	// `slowest`, `failing`, `tool_call`; needed, but for `toolblocks`, whose default is `tool_call`: what makes a request worth it.
	By string `yaml:"by"`
	// template, default all: only requests of this route.
	Route string `yaml:"route"`
	// duration, default [defaultWithin], [minWithin] to [maxRange]: before the incident's instant.
	Within string `yaml:"within"`
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

// Vars are, of a request that was not found, only found, id, chosen, records and
// complete. chunks_missing is absent also where not everything was searched:
// what is missing may only not have been seen.
func (a *traceAction) Vars() map[string]*cel.Type {
	return map[string]*cel.Type{
		"found":               cel.BoolType,   // there are records of the request; without, only this and the next four are there
		"id":                  cel.StringType, // the request
		"chosen":              cel.StringType, // how it was chosen, in words
		"records":             cel.IntType,    // about the request itself
		"complete":            cel.BoolType,   // everything was searched to its end, and every id that the records name followed
		"duration_ms":         cel.DoubleType, // as the answer's record reports it, else from the first record to the last
		"status":              cel.IntType,    // of the answer; 0 without one
		"outcome":             cel.StringType, // `ok`, `maintenance` (refused with 503), `backend_error`, `client_error`, `unanswered`
		"error":               cel.StringType, // the first one; `""` without
		"route":               cel.StringType, // `""` where no record tells it
		"longest_gap_ms":      cel.DoubleType, // between two of its records
		"retries":             cel.IntType,    // requests that it repeats, or that repeat it
		"tool_call":           cel.BoolType,   // a record says so
		"tool_blocks_aborted": cel.IntType,    // buffered tool calls that were given up
		"chunks":              cel.IntType,    // of its streams
		"chunks_duplicated":   cel.IntType,    // that came again
		"chunks_missing":      cel.IntType,    // that never came; absent unless everything was searched
		"worker_exits":        cel.IntType,    // of the workers that handled it, while they did
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
