package runner_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/playbook"
)

const concluding = fourSteps + `
conclude:
  - id: it-is-high
    says: it is high
    when: 'steps.first.abnormal'
    for: [{when: 'steps.first.value > 5.0', says: 'first is {{ .Steps.first.Vars.value }} with hunter2'}]
    next: 'page {{ .Labels.alertname }}'
`

func TestARunEndsWithItsConclusion(t *testing.T) {
	each(t, concluding, func(w *world) {
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) { return value(9), nil }
		run := w.open()
		w.execute(run)
		want := &triage.Conclusion{Explanation: "it-is-high", Says: "it is high", For: []string{"first is 9 with <redacted>"}, Next: "page Slow"}
		after, err := w.db.Run(t.Context(), run.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, after.Conclusion); diff != "" {
			t.Errorf("the run's (-want +got):\n%s", diff)
		}
		parent, others := w.deliveries()
		if want := "Most likely: it is high (1 of 4 checks abnormal). Next: page Slow."; parent.Conclusion != want {
			t.Errorf("the parent says %q, want %q", parent.Conclusion, want)
		}
		last := others[len(others)-1].Body.Conclusion
		if last == nil {
			t.Fatalf("the last reply is %+v, want the conclusion", others[len(others)-1].Body)
		}
		if diff := cmp.Diff(*want, last.Conclusion); diff != "" {
			t.Errorf("in the thread (-want +got):\n%s", diff)
		}
		timeline, err := w.db.Timeline(t.Context(), w.inc.ID)
		if err != nil || timeline[len(timeline)-1].Kind != "concluded" {
			t.Errorf("timeline %+v (%v)", timeline, err)
		}
	})
}

func TestARunThatLearnsNothingConcludesNothing(t *testing.T) {
	each(t, concluding, func(w *world) {
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) { return nil, errors.New("no answer") }
		run := w.open()
		w.execute(run)
		parent, _ := w.deliveries()
		if want := "Cause unclear: too much is not known (0 of 3 checks abnormal, 1 could not tell). Next: find out what could not be told (each finding says how), then look again."; parent.Conclusion != want {
			t.Errorf("the parent says %q, want %q", parent.Conclusion, want)
		}
	})
}

const doubting = `
name: latency
match: ['alertname="Slow"']
steps:
  - {id: first, title: First, probe: {}, abnormal: 'value > 5'}
  - {id: silent, title: Silent, probe: {}, abnormal: 'value > 0', unknown: 'value == 0 && steps.first.abnormal'}
conclude:
  - {id: it, says: it is so, when: 'steps.first.abnormal && steps.silent.value == 0', for: [first], next: do}
`

// What a log does not say, where something else shows that it happened, is not
// known; and what rests on it is not either.
func TestAStepSaysItselfWhenItCannotTell(t *testing.T) {
	for first, want := range map[float64]triage.StepState{9: triage.StepUnknown, 1: triage.StepNormal} {
		each(t, doubting, func(w *world) {
			w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) { return value(first), nil }
			w.probe.do["silent"] = func(context.Context, int) (*playbook.Outcome, error) { return value(0), nil }
			run := w.open()
			w.execute(run)
			f := w.findings(run)["silent"]
			if f.State() != want || want == triage.StepUnknown && !strings.Contains(f.NextStep, "It counts as unknown, for value == 0") {
				t.Errorf("with %g before: %+v, want %s", first, f, want)
			}
			after, err := w.db.Run(t.Context(), run.ID)
			if err != nil || after.Conclusion.Supported() {
				t.Errorf("it concludes %+v (%v)", after.Conclusion, err)
			}
		})
	}
}
