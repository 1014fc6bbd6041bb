// One step: its condition, its tries within its time, and what is said when
// none of them succeeds.

package runner

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"triagebot/triage"
	"triagebot/triage/playbook"
)

const (
	firstRetry = 200 * time.Millisecond // then doubled, ±50 %
	maxTries   = 4
	maxDebug   = 50 // lines of a step's debug log
)

// attempt runs a step until it succeeds, fails for good, or its time is over.
// Whatever happens, there is a finding. What it does besides, act, is left to
// the transaction that commits it.
func (x *execution) attempt(ctx context.Context, s *playbook.Step, limit time.Time) (f triage.Finding, artifacts []playbook.Artifact, act *playbook.Act) {
	defer func() {
		if p := recover(); p != nil {
			f, artifacts = unknown(fmt.Sprintf("A defect in triagebot: %v.", p), "Report it with this step's debug log."), nil
			act = nil
			f.Debug = []string{string(debug.Stack())}
		}
	}()
	data := x.data()
	var err error
	if data.Inputs, err = x.pb.Inputs(data); err != nil {
		return unknown(fmt.Sprintf("Could not work out the playbook's inputs: %v.", err), "Mend the playbook's inputs; they are templates over the alert's labels."), nil, nil
	}
	if s.When != nil {
		applies, err := s.When.Eval(nil, data)
		if err != nil {
			return unknown(fmt.Sprintf("Could not tell whether this step applies: %v.", err), "Look at the steps that its `when` refers to."), nil, nil
		}
		if !applies {
			return triage.Finding{Skipped: s.SkipReason(data)}, nil, nil
		}
	}
	if !x.Now().Before(limit) {
		return unknown("Not run: the time of the whole run was used up before.", "Run the playbook again, or raise its timeout."), nil, nil
	}
	timeout := min(s.Timeout, limit.Sub(x.Now()))
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errStepTimeout)
	defer cancel()

	var log []string
	env := &playbook.Env{Step: s.ID, Title: s.Title, Data: data, At: x.run.At, Trigger: x.run.Trigger, Debugf: func(format string, args ...any) {
		if len(log) < maxDebug {
			log = append(log, fmt.Sprintf(format, args...))
		}
	}}
	out, err := x.try(ctx, s, env)
	switch {
	case err != nil && errors.Is(context.Cause(ctx), errStepTimeout):
		f = unknown(fmt.Sprintf("No answer within %s: %v.", timeout.Round(time.Millisecond), err), nextStep(err, "Look at what it asked; raise the step's timeout if it is slow by nature."))
	case err != nil:
		f = unknown(sentence(err.Error()), nextStep(err, "Try it by hand; the error is all that is known."))
	default:
		for i := range out.Rows { // before a sentence can quote them
			out.Rows[i].Vars = redactVars(out.Rows[i].Vars, x.Redact)
		}
		f, artifacts = judge(s, out, data)
		act = out.Act
	}
	f.Debug = log
	return f, artifacts, act
}

var errStepTimeout = errors.New("the step's time is over")

// try runs the action, again after a transient failure while there is time.
func (x *execution) try(ctx context.Context, s *playbook.Step, env *playbook.Env) (*playbook.Outcome, error) {
	wait := firstRetry
	for n := 1; ; n++ {
		out, err := runAction(ctx, s.Action, env)
		var stepErr *playbook.StepError
		if err == nil || !errors.As(err, &stepErr) || !stepErr.Transient || n == maxTries {
			return out, err
		}
		env.Debugf("try %d failed: %v", n, err)
		pause := time.NewTimer(wait/2 + rand.N(wait)) //nolint:gosec // spreads load, keeps no secret
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, err
		}
		wait *= 2
	}
}

// runAction keeps a defect in one step from taking the others with it.
func runAction(ctx context.Context, a playbook.Action, env *playbook.Env) (out *playbook.Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			env.Debugf("panic: %v\n%s", p, debug.Stack())
			err = &playbook.StepError{Err: fmt.Errorf("a defect in triagebot: %v", p), NextStep: "Report it with this step's debug log."}
		}
	}()
	return a.Run(ctx, env)
}

func unknown(headline, next string) triage.Finding {
	return triage.Finding{Verdict: triage.VerdictUnknown, Headline: headline, NextStep: next}
}

func nextStep(err error, otherwise string) string {
	var stepErr *playbook.StepError
	if errors.As(err, &stepErr) && stepErr.NextStep != "" {
		return stepErr.NextStep
	}
	return otherwise
}
