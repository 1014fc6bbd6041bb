// The kind `toolblocks`: whether the textual `<use_tool>` blocks of tool calls
// came whole and once. One or several requests are stitched from the logs, and
// the order in which their chunks came is looked at; toolblocks_told.go says
// what came of it.

package step

import (
	"context"
	"errors"
	"time"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"

	"triagebot/triage/playbook"
	"triagebot/triage/tracelog"
)

const (
	defaultToolCalls = 5 // requests
	maxToolCalls     = 20
	maxStitching     = 3 // requests at once: each may read the logs anew
)

type toolblocks struct{ Deps }

func (*toolblocks) Name() string { return "toolblocks" }

// toolblocksYAML is the step's YAML. The id is looked up where it yields one,
// else what is picked.
type toolblocksYAML struct {
	// template: the request, as of `trace`; where it yields none, `pick` is used.
	ID string `yaml:"id"`
	// mapping: requests that the logs show to be worth it; `{}` takes all defaults.
	Pick *pickYAML `yaml:"pick"`
	// number, default [defaultToolCalls], 1 to [maxToolCalls]: requests that are picked.
	N int `yaml:"n"`
	// duration, default 5m, 1s to [maxSlack]: how far from the presumed time is searched first.
	Slack string `yaml:"slack"`
}

// toolblocksAction is a decoded toolblocks step.
type toolblocksAction struct {
	deps  Deps
	id    *playbook.Template // nil without one
	pick  *pickChoice        // likewise
	n     int
	slack time.Duration
}

func (k *toolblocks) Decode(c *playbook.Compiler, node *yaml.Node) playbook.Action {
	var y toolblocksYAML
	c.Decode(node, &y)
	a := &toolblocksAction{deps: k.Deps, n: within(c, node, "n", y.N, defaultToolCalls, 1, maxToolCalls)}
	if y.ID == "" && y.Pick == nil {
		c.Errorf(node, "", "names no request; write id: '{{ .Labels.req_id }}' or pick: {by: tool_call}, or both")
	}
	if y.ID != "" {
		a.id = c.Text(node, "id", y.ID)
	}
	if y.Pick != nil {
		if y.Pick.By == "" {
			y.Pick.By = string(tracelog.PickToolCall)
		}
		a.pick = decodePick(c, node, y.Pick)
	}
	if y.Slack != "" {
		a.slack = c.Duration(node, "slack", y.Slack, time.Second, maxSlack)
	}
	return a
}

// Vars are, where not everything was searched, all but unclosed, truncated and
// missing: what is missing may only not have been seen.
func (a *toolblocksAction) Vars() map[string]*cel.Type {
	return map[string]*cel.Type{
		"requests":     cel.IntType,    // looked at
		"blocks":       cel.IntType,    // `<use_tool>` blocks found in them
		"opened_twice": cel.IntType,    // blocks opened again before they were closed
		"unclosed":     cel.IntType,    // blocks without an end; absent unless everything was searched
		"truncated":    cel.IntType,    // blocks that are not whole; absent unless everything was searched
		"aborted":      cel.IntType,    // blocks whose buffer was given up
		"duplicated":   cel.IntType,    // chunks that came again
		"missing":      cel.IntType,    // chunks that never came; absent unless everything was searched
		"bad":          cel.IntType,    // requests with anything wrong
		"sequence":     cel.StringType, // what is wrong with the worst of them; `""` without
	}
}

func (a *toolblocksAction) Run(ctx context.Context, env *playbook.Env) (*playbook.Outcome, error) {
	if len(a.deps.Traces) == 0 {
		return nil, &playbook.StepError{
			Err:      errors.New("no logs and no trace backends are configured to look tool calls up in"),
			NextStep: "Add a traces section to the configuration, as config.example.yaml shows it.",
		}
	}
	chosen, misses := a.choose(ctx, env)
	if len(chosen) == 0 {
		out, err := unchosen(misses)
		if err != nil {
			return nil, err
		}
		out.Rows[0].Vars = (&toolTally{}).vars(false)
		return out, nil
	}
	calls := make([]*toolCall, len(chosen))
	errs := make([]error, len(chosen))
	var group errgroup.Group
	group.SetLimit(maxStitching)
	for i, c := range chosen {
		group.Go(func() error {
			// When the time ends, Stitch gives what was found by then.
			trace, err := tracelog.Stitch(ctx, a.deps.Traces, tracelog.Query{ID: c.id, At: c.at, Slack: a.slack}, tracelog.StitchOptions{})
			if errs[i] = err; err == nil {
				calls[i] = newToolCall(&lookup{Trace: trace, facts: trace.Facts(), over: ctx.Err() != nil})
			}
			return nil // one that fails costs only itself
		})
	}
	_ = group.Wait() // never fails
	return a.outcome(env, chosen, calls, errs)
}

// choose gives the requests to look at: the one that is named, else those that
// are picked, for which there is half of the time.
func (a *toolblocksAction) choose(ctx context.Context, env *playbook.Env) ([]choice, []miss) {
	named := &traceAction{deps: a.deps, id: a.id}
	var misses []miss
	if a.id != nil {
		one, missed := named.choose(ctx, env)
		if one != nil {
			return []choice{*one}, nil
		}
		misses = missed
	}
	if a.pick == nil {
		return nil, misses
	}
	if end, bounded := ctx.Deadline(); bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/2)
		defer cancel()
	}
	several, missed := a.pick.several(ctx, env, a.deps.Traces, a.n)
	if missed != nil {
		if missed.err != nil && ctx.Err() != nil {
			missed.next = "Raise the step's timeout, or shorten what is searched for requests (within)."
		}
		env.Debugf("%s", missed.why)
		misses = append(misses, *missed)
	}
	return several, misses
}
