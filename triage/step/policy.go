// The kind `policy`: what was observed beside what is meant. The waits of a
// backoff against its ladder (policy_backoff.go), and a service's settings
// against the values they should have (policy_settings.go).

package step

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"

	"triagebot/triage"
	"triagebot/triage/playbook"
)

type policy struct{ Deps }

func (*policy) Name() string { return "policy" }

// policyYAML is the step's YAML: at least one of the two.
type policyYAML struct {
	// mapping: observed waits against their ladder.
	Backoff *backoffYAML `yaml:"backoff"`
	// mapping: a service's settings against the values they should have.
	Settings *settingsYAML `yaml:"settings"`
}

// policyAction is a decoded policy step.
type policyAction struct {
	backoff  *backoffPolicy  // nil without one
	settings *settingsPolicy // likewise
}

func (k *policy) Decode(c *playbook.Compiler, node *yaml.Node) playbook.Action {
	var y policyYAML
	c.Decode(node, &y)
	a := &policyAction{}
	if y.Backoff == nil && y.Settings == nil {
		c.Errorf(node, "", "compares nothing; write backoff: {expr: …, first: 250ms, most: 5s}, or settings: {url: …, expect: {…}}, or both")
	}
	if y.Backoff != nil {
		a.backoff = k.decodeBackoff(c, node, y.Backoff)
	}
	if y.Settings != nil {
		a.settings = k.decodeSettings(c, node, y.Settings)
	}
	return a
}

// Vars are always all there.
func (a *policyAction) Vars() map[string]*cel.Type {
	return map[string]*cel.Type{
		"checked":    cel.IntType,    // series and settings that were compared
		"violations": cel.IntType,    // what is not as it is meant
		"worst":      cel.StringType, // the gravest of them in a sentence; `""` without any
	}
}

// breach is what a violation is, the gravest first.
type breach int

const (
	aboveMost breach = iota
	offLadder
	skippedStage
	fellBack
	wrongSetting
	missingSetting
)

// violation is one thing that is not as it is meant.
type violation struct {
	breach   breach
	by       float64 // tells how grave among its like; the higher the graver
	name     string  // of the series or the setting
	sentence string  // without a full stop
}

// compared is what one part of a policy came to.
type compared struct {
	checked    int // series or settings
	violations []violation
	fine       string // what is said when there are none
	lacks      string // what could not be compared, and why; "" when everything was
	next       string // what a person can do about that
	report     []byte // for the evidence
}

func (a *policyAction) Run(ctx context.Context, env *playbook.Env) (*playbook.Outcome, error) {
	var parts []*compared
	var failures []error
	run := func(part *compared, err error) {
		if err != nil {
			failures = append(failures, err)
			return
		}
		parts = append(parts, part)
	}
	if a.backoff != nil {
		run(a.backoff.compare(ctx, env))
	}
	if a.settings != nil {
		run(a.settings.compare(ctx, env))
	}
	if len(parts) == 0 {
		return nil, joined(failures)
	}
	for _, err := range failures {
		var stepErr *playbook.StepError
		lacking := &compared{lacks: oneLine(err)}
		if errors.As(err, &stepErr) {
			lacking.next = stepErr.NextStep
		}
		parts = append(parts, lacking)
	}
	return policyOutcome(env, parts), nil
}

// joined is what is said when nothing could be compared. Another try may help
// when it may help all of it.
func joined(failures []error) error {
	if len(failures) == 1 {
		return failures[0]
	}
	all := &playbook.StepError{Transient: true}
	var nexts []string
	for _, err := range failures {
		var stepErr *playbook.StepError
		if !errors.As(err, &stepErr) {
			all.Transient = false
			continue
		}
		all.Transient = all.Transient && stepErr.Transient
		nexts = append(nexts, stepErr.NextStep)
	}
	err := errors.Join(failures...)
	all.Err, all.NextStep = &wordedError{oneLine(err), err}, strings.Join(slices.Compact(nexts), " ")
	return all
}

// policyOutcome is one row for all that was compared.
func policyOutcome(env *playbook.Env, parts []*compared) *playbook.Outcome {
	out := &playbook.Outcome{}
	var all []violation
	var fine, lacks, nexts []string
	var report []byte
	checked := 0
	for _, p := range parts {
		checked += p.checked
		all = append(all, p.violations...)
		report = append(report, p.report...)
		if p.fine != "" {
			fine = append(fine, p.fine)
		}
		if p.lacks != "" {
			lacks, nexts = append(lacks, p.lacks), append(nexts, p.next)
		}
	}
	slices.SortStableFunc(all, func(a, b violation) int {
		switch {
		case a.breach != b.breach:
			return int(a.breach - b.breach)
		case a.by > b.by:
			return -1
		case a.by < b.by:
			return 1
		}
		return 0
	})
	said, worst := strings.Join(fine, "; "), ""
	if len(all) > 0 {
		worst = all[0].sentence
		said = worst
		if n := len(all) - 1; n > 0 {
			said += fmt.Sprintf("; and %d more against the policy", n)
		}
		for _, v := range all {
			out.Details = append(out.Details, triage.Row{Name: v.name, Value: v.sentence, Abnormal: true})
		}
	}
	if len(lacks) > 0 {
		out.Partial = true
		if said != "" {
			said += ". "
		}
		said += "Not compared: " + strings.Join(lacks, "; ")
		out.NextStep = strings.TrimSpace(strings.Join(nexts, " "))
	}
	out.Headline = said + "."
	out.Rows = []playbook.OutcomeRow{{Vars: map[string]any{
		"checked": int64(checked), "violations": int64(len(all)), "worst": worst,
	}}}
	if len(report) > 0 {
		out.Artifacts = []playbook.Artifact{{
			Name: stem(env, "policy") + ".txt", Title: "Observed beside the policy", MediaType: "text/plain",
			Source: "Comparison with the playbook's policy", Data: report,
		}}
	}
	return out
}
