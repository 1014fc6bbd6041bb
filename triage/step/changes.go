// The kind `changes`: what changed shortly before the onset of the alert.
// changes_series.go finds changes in Prometheus's series, changes_noted.go in
// Grafana's annotations and in logs, changes_said.go says what came of it.

package step

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"

	"triagebot/triage/grafana"
	"triagebot/triage/playbook"
	"triagebot/triage/tracelog"
)

// Bounds of the options of changes.
const (
	defaultChangesWithin = time.Hour
	maxChangesWithin     = 7 * 24 * time.Hour
	maxChangeSources     = 20 // of series, and likewise of logs
	maxChangeLabels      = 10
	maxTags              = 20
)

// Annotations are notes on a time line; *grafana.Client has them.
type Annotations interface {
	// Annotations are those from one instant to another that have any of the
	// tags; more says that there are others.
	Annotations(ctx context.Context, from, to time.Time, tags []string) (all []grafana.Annotation, more bool, err error)
}

type changes struct{ Deps }

func (*changes) Name() string { return "changes" }

// changesYAML is the step's YAML.
type changesYAML struct {
	// duration, default [defaultChangesWithin], [minRange] to [maxChangesWithin]: how long before the onset is looked at.
	Within string `yaml:"within"`
	// list, at most [maxChangeSources]: series whose labels or values tell of changes.
	Series []changedSeriesYAML `yaml:"series"`
	// mapping: annotations, where the configuration has `grafana`.
	Grafana *annotatedYAML `yaml:"grafana"`
	// list of names, at most [maxChangeSources]: sources under `traces` that hold one change a line.
	Logs []string `yaml:"logs"`
}

type changedSeriesYAML struct {
	// PromQL template, needed: the series, with the labels that tell instances apart.
	Expr string `yaml:"expr"`
	// name, default the one under `prometheus`: the Prometheus to ask.
	Datasource string `yaml:"datasource"`
	// list of names, at most [maxChangeLabels]; needed without `value`: labels whose values tell what there is, such as `[version]`.
	Labels []string `yaml:"labels"`
	// text, default `change`: what such a change is called; `deploy` and `flag` are counted by themselves.
	What string `yaml:"what"`
	// `true`, `false` (default): a change of the series' value is one, too.
	Value bool `yaml:"value"`
}

type annotatedYAML struct {
	// list of texts, at most [maxTags], default all annotations: those with any of the tags.
	Tags []string `yaml:"tags"`
}

// changesAction is a decoded changes step.
type changesAction struct {
	deps      Deps
	within    time.Duration
	series    []changedSeries
	annotated bool
	tags      []string
	logs      []changeLog
}

type changeLog struct {
	source string
	home   tracelog.Liner // nil where none is configured
}

func (k *changes) Decode(c *playbook.Compiler, node *yaml.Node) playbook.Action {
	var y changesYAML
	c.Decode(node, &y)
	a := &changesAction{deps: k.Deps, within: defaultChangesWithin}
	if y.Within != "" {
		a.within = c.Duration(node, "within", y.Within, minRange, maxChangesWithin)
	}
	if len(y.Series) == 0 && y.Grafana == nil && len(y.Logs) == 0 {
		c.Errorf(node, "", "names nothing that could have changed; write series: [{expr: build_info, labels: [version], what: deploy}], grafana: {tags: [deploy]} or logs: [changes]")
	}
	if len(y.Series) > maxChangeSources || len(y.Logs) > maxChangeSources {
		c.Errorf(node, "", "has %d series and %d logs; at most %d of each are looked at", len(y.Series), len(y.Logs), maxChangeSources)
		return a
	}
	for i := range y.Series {
		a.series = append(a.series, k.decodeSeries(c, node, fmt.Sprintf("series[%d]", i), &y.Series[i]))
	}
	if y.Grafana != nil {
		a.annotated, a.tags = true, y.Grafana.Tags
		if len(a.tags) > maxTags || slices.Contains(a.tags, "") {
			c.Errorf(node, "grafana.tags", "must be at most %d tags, none of them empty", maxTags)
		}
	}
	for i, name := range y.Logs {
		a.logs = append(a.logs, changeLog{name, k.lineSource(c, node, fmt.Sprintf("logs[%d]", i), name)})
	}
	return a
}

func (k *changes) decodeSeries(c *playbook.Compiler, node *yaml.Node, key string, y *changedSeriesYAML) changedSeries {
	s := changedSeries{labels: y.Labels, what: cmp.Or(y.What, defaultWhat), value: y.Value}
	if y.Expr == "" {
		c.Errorf(node, key+".expr", "is missing; write the metric whose labels or values tell of the change, such as app_build_info")
	} else {
		s.expr = c.PromQL(node, key+".expr", y.Expr)
		s.shown = y.Expr
	}
	s.name, s.datasource = k.datasource(c, node, key+".datasource", y.Datasource)
	switch {
	case len(y.Labels) == 0 && !y.Value:
		c.Errorf(node, key+".labels", "is missing; write the labels that tell of the change, such as [version], or value: true for changes of the value")
	case len(y.Labels) > maxChangeLabels || slices.Contains(y.Labels, ""):
		c.Errorf(node, key+".labels", "must be at most %d labels, none of them empty", maxChangeLabels)
	}
	return s
}

// defaultWhat is what a change is that nobody gave a name.
const defaultWhat = "change"

// Vars are always all there.
func (a *changesAction) Vars() map[string]*cel.Type {
	return map[string]*cel.Type{
		"count":     cel.IntType,    // changes before the onset
		"nearest_s": cel.DoubleType, // seconds from the last of them to the onset; -1 without one
		"nearest":   cel.StringType, // that one in words
		"what":      cel.StringType, // its kind: `deploy`, `flag`, or as the step or the log calls it
		"deploys":   cel.IntType,    // how many were `deploy`
		"deploy_s":  cel.DoubleType, // seconds from the last of those to the onset; -1 without one
		"deploy":    cel.StringType, // that one in words, and how long before; `""` without one
		"flags":     cel.IntType,    // how many were `flag`
		"flag_s":    cel.DoubleType, // seconds from the last of those to the onset; -1 without one
		"flag":      cel.StringType, // that one in words, and how long before; `""` without one
	}
}

// changed is one thing that changed.
type changed struct {
	at     time.Time
	until  time.Time // of the last place that it reached; zero for one at once
	places int       // instances on which it was seen; 0 where that is not known
	what   string    // deploy, flag, …
	detail string    // "version 0.9.4 → 0.9.5"
	who    string    // "" where not known
	source string    // codex_build_info, Grafana, a log's name
}

// learned is what the sources told.
type learned struct {
	onset   time.Time
	changes []changed
	// unknown are reasons why there may have been others, with the failures
	// among them; asked counts the sources that answered.
	unknown  []string
	failures []error
	asked    int
}

// told is what one source gave.
type toldChanges struct {
	changes []changed
	unknown []string // why there may be others
	debug   []string
	err     error // of a source that gave nothing
}

func (a *changesAction) Run(ctx context.Context, env *playbook.Env) (*playbook.Outcome, error) {
	onset := env.Data.Alert.StartsAt
	if onset.IsZero() || onset.After(env.At) {
		onset = env.At
	}
	onset = onset.UTC().Truncate(time.Second)
	got := make([]toldChanges, len(a.series)+len(a.logs)+1)
	var group errgroup.Group
	group.SetLimit(4)
	for i := range a.series {
		group.Go(func() error { got[i] = a.series[i].changes(ctx, env, onset, a.within); return nil })
	}
	for i := range a.logs {
		group.Go(func() error { got[len(a.series)+i] = a.logs[i].changes(ctx, onset, a.within); return nil })
	}
	if a.annotated {
		group.Go(func() error { got[len(got)-1] = a.annotations(ctx, onset); return nil })
	}
	_ = group.Wait() // what failed is in its answer
	l := &learned{onset: onset}
	for i := range got {
		l.add(env, &got[i])
	}
	if l.asked == 0 && len(l.failures) > 0 {
		return nil, &playbook.StepError{
			Err:      &wordedError{"nothing can be told of changes: " + oneLine(errors.Join(l.failures...)), errors.Join(l.failures...)},
			NextStep: "Check that what the step asks can be reached; see what changed by hand meanwhile: deploys and flags in the hour before the onset.", Transient: ctx.Err() == nil,
		}
	}
	return a.outcome(env, l)
}

func (l *learned) add(env *playbook.Env, t *toldChanges) {
	for _, line := range t.debug {
		env.Debugf("%s", line)
	}
	if t.err != nil {
		l.failures = append(l.failures, t.err)
		l.unknown = append(l.unknown, oneLine(t.err))
		return
	}
	l.asked++
	l.unknown = append(l.unknown, t.unknown...)
	for _, c := range t.changes {
		if !c.at.After(l.onset) { // what came later is no cause
			l.changes = append(l.changes, c)
		}
	}
	slices.SortStableFunc(l.changes, func(a, b changed) int { // the nearest first
		return cmp.Or(b.at.Compare(a.at), strings.Compare(a.what, b.what), strings.Compare(a.detail, b.detail), strings.Compare(a.source, b.source))
	})
}

// ago is how long before the onset, in words: 2m10s.
func (l *learned) ago(at time.Time) string {
	return model.Duration(l.onset.Sub(at).Round(time.Second)).String()
}
