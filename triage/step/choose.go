// Which request a trace step looks up: the one that the alert names, one of
// which Prometheus keeps an exemplar, or one that the logs show to be worth it.

package step

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"triagebot/triage/playbook"
	"triagebot/triage/promapi"
	"triagebot/triage/step/unit"
	"triagebot/triage/tracelog"
)

// maxRequestID is the longest id that is looked up, in bytes.
const maxRequestID = 512

// choice is the request to look up.
type choice struct {
	id  string
	at  time.Time // around when it ran
	how string    // it was chosen, in words
}

// miss is why one of the ways to choose gave no request.
type miss struct {
	why  string // in words, without a full stop
	next string // what a person can do
	err  error  // nil when the way was gone to its end
}

// choose goes the step's ways until one gives a request: id, exemplar, pick.
// They get half of the time, so that there is some left for the lookup.
func (a *traceAction) choose(ctx context.Context, env *playbook.Env) (*choice, []miss) {
	if end, bounded := ctx.Deadline(); bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/2)
		defer cancel()
	}
	var ways []func(context.Context, *playbook.Env) (*choice, *miss)
	if a.id != nil {
		ways = append(ways, a.named)
	}
	if a.exemplar != nil {
		ways = append(ways, a.exemplar.choose)
	}
	if a.pick != nil {
		ways = append(ways, func(ctx context.Context, env *playbook.Env) (*choice, *miss) {
			return a.pick.choose(ctx, env, a.deps.Traces)
		})
	}
	var misses []miss
	for _, way := range ways {
		chosen, missed := way(ctx, env)
		if missed == nil && len(chosen.id) > maxRequestID {
			missed = &miss{
				why:  fmt.Sprintf("what would be the id has %d bytes; at most %d are looked up", len(chosen.id), maxRequestID),
				next: "Check which label or field holds the request's id.",
			}
		}
		if missed == nil {
			return chosen, nil
		}
		if missed.err != nil && ctx.Err() != nil {
			missed.next = "Raise the step's timeout, or shorten what is searched for a request (within)."
		}
		env.Debugf("%s", missed.why)
		misses = append(misses, *missed)
	}
	return nil, misses
}

// unchosen is the outcome without a request: an error where a way could not be
// gone to its end, else a finding that says where none is.
func unchosen(misses []miss) (*playbook.Outcome, error) {
	var whys, nexts []string
	failed := &playbook.StepError{}
	for _, m := range misses {
		whys, nexts = append(whys, m.why), append(nexts, m.next)
		if m.err == nil {
			continue
		}
		failed.Err = m.err
		var failure *promapi.Error
		if errors.As(m.err, &failure) && failure.Transient {
			failed.Transient = true
		}
	}
	why, next := strings.Join(whys, "; "), strings.Join(nexts, " ")
	if failed.Err != nil {
		failed.Err, failed.NextStep = &wordedError{"no request to look up: " + why, failed.Err}, next
		return nil, failed
	}
	return &playbook.Outcome{
		Rows:    []playbook.OutcomeRow{{Vars: map[string]any{"found": false, "id": "", "chosen": "", "records": int64(0), "complete": false}}},
		Partial: true, Headline: "No request to look up: " + why + ".", NextStep: next,
	}, nil
}

// wordedError is an error said in other words.
type wordedError struct {
	words string
	error
}

func (e *wordedError) Error() string { return e.words }

func (e *wordedError) Unwrap() error { return e.error }

// named takes the id that the step's template yields.
func (a *traceAction) named(_ context.Context, env *playbook.Env) (*choice, *miss) {
	id, err := a.id.Render(env.Data)
	if err != nil {
		return nil, &miss{why: fmt.Sprintf("the id cannot be written (%v)", err), next: "Look at the alert's labels and at the step's id.", err: err}
	}
	if id = strings.TrimSpace(id); id == "" {
		return nil, &miss{why: "the alert names none", next: "Give the alert a label or an annotation with a request's id, or the step a pick."}
	}
	at := env.Data.Alert.StartsAt
	if at.IsZero() {
		at = env.At
	}
	return &choice{id: id, at: at, how: "named by the alert"}, nil
}

// Which exemplar is taken.
const (
	takeHighest = "highest"
	takeLowest  = "lowest"
	takeNewest  = "newest"
)

// exemplarChoice chooses by an exemplar of a metric.
type exemplarChoice struct {
	expr       *playbook.Template
	ofAlert    bool   // expr is the alert rule's own
	name       string // of the datasource
	datasource Datasource
	labels     []string // any of which holds the id, the first first
	take       string
	within     time.Duration
}

func (e *exemplarChoice) choose(ctx context.Context, env *playbook.Env) (*choice, *miss) {
	if e.datasource.Querier == nil {
		err := errors.New("no Prometheus is configured")
		return nil, &miss{why: err.Error(), next: "Add the datasource to the configuration.", err: err}
	}
	if e.ofAlert && env.Data.AlertExpr == "" {
		return nil, &miss{why: "the alert does not say which expression it is of, so that there are no exemplars to ask for", next: "Write exemplar.expr."}
	}
	expr, err := e.expr.Render(env.Data)
	if err != nil {
		return nil, &miss{why: fmt.Sprintf("the query for exemplars cannot be written (%v)", err), next: "Look at the alert's labels and at the step's exemplar.expr.", err: err}
	}
	to := env.At.UTC().Truncate(time.Second) // as queries, so that steps of several incidents share them
	all, err := e.datasource.Exemplars(ctx, expr, to.Add(-e.within), to)
	if err != nil {
		return nil, e.failed(err)
	}
	best, id := e.best(all)
	switch {
	case len(all) == 0:
		next := "Check that Prometheus runs with --enable-feature=exemplar-storage and that the application writes exemplars."
		if e.ofAlert {
			next += " Recorded series have none: where the alert's rule reads one, write the metric itself in exemplar.expr."
		}
		return nil, &miss{why: fmt.Sprintf("%s has no exemplars of %s in %s", promapi.Display(e.name), cut(expr, maxShownExpr), window(e.within, to)), next: next}
	case best == nil:
		return nil, &miss{
			why:  fmt.Sprintf("none of the %d exemplars of %s in %s has a label %s", len(all), cut(expr, maxShownExpr), window(e.within, to), strings.Join(e.labels, " or ")),
			next: "Write the label that holds the request's id in exemplar.label.",
		}
	}
	return &choice{id: id, at: best.T, how: fmt.Sprintf("of the %s exemplar, %s at %s, in %s", e.take, unit.None.Format(best.V), best.T.Format(clock), promapi.Display(e.name))}, nil
}

func (e *exemplarChoice) failed(err error) *miss {
	var failure *promapi.Error
	if !errors.As(err, &failure) { // the time is over
		return &miss{why: promapi.Display(e.name) + " did not tell its exemplars in time", err: err}
	}
	return &miss{why: err.Error(), next: nextSteps[failure.Reason], err: err}
}

// best is the exemplar to take, the newest of equals, and its id; nil when
// none has an id.
func (e *exemplarChoice) best(all []promapi.Exemplar) (best *promapi.Exemplar, id string) {
	for i := range all { // in the order of time
		value := ""
		for _, label := range e.labels {
			value = cmp.Or(value, strings.TrimSpace(all[i].Labels[label]))
		}
		if value != "" && (best == nil || e.take == takeNewest ||
			e.take == takeHighest && all[i].V >= best.V || e.take == takeLowest && all[i].V <= best.V) {
			best, id = &all[i], value
		}
	}
	return best, id
}

// pickChoice chooses by what the logs say of recent requests.
type pickChoice struct {
	by     tracelog.PickBy
	route  *playbook.Template // nil for all
	within time.Duration
}

// picks say what is picked.
var picks = map[tracelog.PickBy]string{
	tracelog.PickSlowest:  "slowest request",
	tracelog.PickFailing:  "latest failing request",
	tracelog.PickToolCall: "latest tool call",
}

func (p *pickChoice) choose(ctx context.Context, env *playbook.Env, homes []tracelog.Home) (*choice, *miss) {
	chosen, missed := p.several(ctx, env, homes, 1)
	if missed != nil {
		return nil, missed
	}
	return &chosen[0], nil
}

// several chooses at most n requests, the best first; at least one, or there is
// a miss.
func (p *pickChoice) several(ctx context.Context, env *playbook.Env, homes []tracelog.Home, n int) ([]choice, *miss) {
	pick := tracelog.Pick{By: p.by, At: env.At, Within: p.within, N: n}
	if p.route != nil {
		route, err := p.route.Render(env.Data)
		if err != nil {
			return nil, &miss{why: fmt.Sprintf("the route cannot be written (%v)", err), next: "Look at the alert's labels and at the step's pick.route.", err: err}
		}
		pick.Route = strings.TrimSpace(route)
	}
	on := ""
	if pick.Route != "" {
		on = " on " + tracelog.Harmless(pick.Route)
	}
	among := fmt.Sprintf("%s in %s", on, window(p.within, pick.At.UTC()))
	picked, err := tracelog.PickFrom(ctx, homes, pick)
	switch {
	case errors.Is(err, tracelog.ErrCannotPick):
		return nil, &miss{why: oneLine(err), next: "Name the fields that picking needs in the configuration: traces.logs[].fields.", err: err}
	case err != nil:
		return nil, &miss{why: oneLine(err), next: "Look at what the logs hold: triagebot trace pick.", err: err}
	case len(picked.Candidates) == 0:
		why := fmt.Sprintf("the logs have no %s%s", strings.TrimPrefix(picks[p.by], "latest "), among)
		if !picked.Coverage.Complete {
			why += "; not searched: " + lacking(&picked.Coverage)
		}
		return nil, &miss{why: why, next: "Widen pick.within, and check that the logs are those of the service and call the route so."}
	}
	chosen := make([]choice, len(picked.Candidates))
	for i, c := range picked.Candidates {
		what := picks[p.by]
		if p.by == tracelog.PickToolCall && c.Failing() {
			what = "latest failing tool call"
		}
		how := "picked as the " + what + among
		if !picked.Coverage.Complete {
			how += " as far as was searched"
		}
		chosen[i] = choice{id: c.ID, at: c.Time, how: how}
	}
	return chosen, nil
}

// window is a stretch of time in words.
func window(length time.Duration, to time.Time) string {
	return fmt.Sprintf("the %s before %s", model.Duration(length), to.Format(clock))
}

// oneLine is an error of several homes, which are joined by line breaks.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
