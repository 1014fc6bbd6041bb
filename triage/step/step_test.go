package step

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"triagebot/triage"
	"triagebot/triage/playbook"
)

// at is the instant that all steps speak of; its fraction must not matter.
var at = time.Date(2026, 11, 24, 4, 5, 0, 123456789, time.UTC)

// load decodes one step, given as its kind's YAML in flow style, through the
// real loader.
func load(d Deps, kind string) (*playbook.Step, error) {
	file := "name: test\nmatch: ['alertname=~\".+\"']\nsteps:\n  - id: p95\n    title: p95 latency\n" + indent(kind)
	set, err := playbook.Load([]playbook.File{{Name: "test.yaml", Data: []byte(file)}}, playbook.LoadOptions{Kinds: Kinds(d)})
	if err != nil {
		return nil, err
	}
	return set.All()[0].Steps[0], nil
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    ") + "\n"
}

func mustLoad(t testing.TB, d Deps, kind string) *playbook.Step {
	t.Helper()
	s, err := load(d, kind)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// execution is a run of one step.
type execution struct {
	env *playbook.Env

	mu    sync.Mutex
	debug []string
}

func newExecution(labels triage.Labels) *execution {
	e := &execution{}
	e.env = &playbook.Env{
		Step: "p95", Title: "p95 latency", At: at, Trigger: triage.TriggerAlert,
		Data: &playbook.Data{
			Labels: labels, At: at, Services: map[string]string{},
			Alert: triage.Alert{Labels: labels, StartsAt: at.Add(-10 * time.Minute)},
		},
		Debugf: func(format string, args ...any) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.debug = append(e.debug, fmt.Sprintf(format, args...))
		},
	}
	return e
}

func (e *execution) debugLog() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.debug, "\n")
}

func (e *execution) run(ctx context.Context, s *playbook.Step) (*playbook.Outcome, error) {
	return s.Action.Run(ctx, e.env)
}

// problemsOf are what the loader says of a step that must not load.
func problemsOf(t *testing.T, d Deps, kind string) string {
	t.Helper()
	_, err := load(d, kind)
	if err == nil {
		t.Fatal("loaded")
	}
	return err.Error()
}
