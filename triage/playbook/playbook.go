package playbook

import (
	"errors"
	"fmt"
	"time"

	"cel.dev/cel-go/cel"

	"triagebot/triage"
	"triagebot/triage/matcher"
)

// Playbook is what to run for which alerts, loaded and checked. It is
// immutable and safe for use by several runs at once.
type Playbook struct {
	Name    string
	Title   string
	Owner   string // "" where the file names none
	Runbook string // URL; "" where the file names none
	File    string
	Hash    string        // of the file's bytes: 12 hex digits of its SHA-256
	Timeout time.Duration // of a whole run
	Steps   []*Step       // in the file's order

	match        matcher.Matchers
	inputs       []input
	explanations []explanation
}

type input struct {
	name  string
	value *Template
}

// Inputs renders the playbook's inputs. An error names the input.
func (p *Playbook) Inputs(d *Data) (map[string]string, error) {
	values := make(map[string]string, len(p.inputs))
	for _, in := range p.inputs {
		value, err := in.value.Render(d)
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", in.name, err)
		}
		values[in.name] = value
	}
	return values, nil
}

// Step finds a step by its id; nil where there is none.
func (p *Playbook) Step(id string) *Step {
	for _, s := range p.Steps {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// Ready are the steps, in the file's order, that have not been started and
// whose dependencies are all finished. A skipped step counts as finished.
func (p *Playbook) Ready(started, finished func(id string) bool) []*Step {
	var ready []*Step
next:
	for _, s := range p.Steps {
		if started(s.ID) {
			continue
		}
		for _, id := range s.DependsOn {
			if !finished(id) {
				continue next
			}
		}
		ready = append(ready, s)
	}
	return ready
}

// Step is one entry of a playbook.
type Step struct {
	ID        string
	Title     string
	Kind      string
	Timeout   time.Duration
	Action    Action
	Vars      map[string]*cel.Type // Action.Vars, asked once
	DependsOn []string             // ids of the steps it refers to, in the file's order

	When     *Condition // nil: always
	Abnormal *Condition // abnormal when true; nil where there is none
	Expect   *Condition // abnormal when false; nil where there is none
	Unknown  *Condition // could not tell when true; nil where there is none
	Finding  *Template  // RenderRow gives the headline; nil: the outcome's own
	NextStep *Template  // likewise the next step; nil where there is none

	skipReason *Template
}

// SkipReason is why the step does not run when its `when` is false.
func (s *Step) SkipReason(d *Data) string {
	if s.skipReason != nil {
		if reason, err := s.skipReason.Render(d); err == nil && reason != "" {
			return reason
		}
	}
	if s.When == nil {
		return ""
	}
	return "not needed: " + s.When.Source() + " is false"
}

// Judge gives the verdict on one row of the step's outcome: unknown when
// `unknown` is true, abnormal when `abnormal` is true or `expect` is false, and
// normal otherwise. An error, such as a missing baseline, makes it unknown.
func (s *Step) Judge(row OutcomeRow, d *Data) (triage.Verdict, error) {
	if s.Unknown != nil {
		unknown, err := s.Unknown.Eval(row.Vars, d)
		if err != nil || unknown {
			return triage.VerdictUnknown, row.explain(err)
		}
	}
	if s.Abnormal != nil {
		abnormal, err := s.Abnormal.Eval(row.Vars, d)
		if err != nil {
			return triage.VerdictUnknown, row.explain(err)
		}
		if abnormal {
			return triage.VerdictAbnormal, nil
		}
	}
	if s.Expect != nil {
		fine, err := s.Expect.Eval(row.Vars, d)
		if err != nil {
			return triage.VerdictUnknown, row.explain(err)
		}
		if !fine {
			return triage.VerdictAbnormal, nil
		}
	}
	return triage.VerdictNormal, nil
}

// explain says why values are missing, where the row knows.
func (r OutcomeRow) explain(err error) error {
	var lacks *undecided
	if r.Missing == "" || !errors.As(err, &lacks) {
		return err
	}
	return &undecided{missing: r.Missing, source: lacks.source}
}

// Set is all playbooks that were loaded together.
type Set struct{ playbooks []*Playbook }

// Matches is what its alerts look like, in Alertmanager's syntax.
func (p *Playbook) Matches() string { return p.match.String() }

// Match returns the first playbook, in the order of the files, whose matchers
// all match; nil when none does.
func (s *Set) Match(labels triage.Labels) *Playbook {
	for _, p := range s.playbooks {
		if p.match.Match(labels) {
			return p
		}
	}
	return nil
}

// ByName finds a playbook by its name; nil where there is none.
func (s *Set) ByName(name string) *Playbook {
	for _, p := range s.playbooks {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// All are the playbooks in the order in which they are matched.
func (s *Set) All() []*Playbook { return s.playbooks }
