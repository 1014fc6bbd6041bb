// The kind `escalate`: somebody is told of the incident, by a name that the
// configuration's escalation section gives contacts to. The step only says so;
// the runner owes the messages in the transaction that commits its finding. In a
// run that no alert started, such as a drill, nobody is told.

package step

import (
	"context"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"

	"triagebot/triage/playbook"
)

// maxActText bounds a reason and an announcement, in runes.
const maxActText = 1000

type escalate struct{ Deps }

func (*escalate) Name() string { return "escalate" }

type escalateYAML struct {
	// name, needed: one under `escalation` in the configuration.
	To string `yaml:"to"`
	// template, needed: why, in one line; cut after [maxActText] characters.
	Reason string `yaml:"reason"`
}

// escalateAction is a decoded escalate step.
type escalateAction struct {
	deps   Deps
	to     string
	reason *playbook.Template
}

func (k *escalate) Decode(c *playbook.Compiler, node *yaml.Node) playbook.Action {
	var y escalateYAML
	c.Decode(node, &y)
	a := &escalateAction{deps: k.Deps, to: y.To}
	if y.To == "" {
		c.Errorf(node, "to", "is missing; write a name of the configuration's escalation section, such as oncall")
	}
	if y.Reason == "" {
		c.Errorf(node, "reason", "is missing; write why, for whoever is woken by it")
	} else {
		a.reason = c.Text(node, "reason", y.Reason)
	}
	return a
}

// Vars are always all there.
func (a *escalateAction) Vars() map[string]*cel.Type {
	return map[string]*cel.Type{
		"to":       cel.StringType, // the name
		"contacts": cel.IntType,    // how many are told; 0 where the configuration names nobody under it, and in a run that no alert started
	}
}

func (a *escalateAction) Run(_ context.Context, env *playbook.Env) (*playbook.Outcome, error) {
	reason, err := actText(a.reason, env)
	if err != nil {
		return nil, &playbook.StepError{Err: fmt.Errorf("the reason of the escalation to %s cannot be written: %w", a.to, err), NextStep: "Tell them by hand; then mend the step's reason."}
	}
	if !env.Trigger.Pages() {
		return &playbook.Outcome{
			Headline: fmt.Sprintf("Would be escalated to %s, but this run was started by a %s and pages nobody: %s.", a.to, env.Trigger, strings.TrimSuffix(reason, ".")),
			Rows:     []playbook.OutcomeRow{{Vars: map[string]any{"to": a.to, "contacts": int64(0)}}},
		}, nil
	}
	contacts := a.deps.Escalation[a.to]
	out := &playbook.Outcome{
		Headline: fmt.Sprintf("Escalated to %s: %s.", a.to, strings.TrimSuffix(reason, ".")),
		Rows:     []playbook.OutcomeRow{{Vars: map[string]any{"to": a.to, "contacts": int64(len(contacts))}}},
		Act:      &playbook.Act{Kind: playbook.ActEscalated, To: a.to, Text: reason, Contacts: contacts},
	}
	if len(contacts) == 0 {
		out.Headline = fmt.Sprintf("Would be escalated to %s, but the configuration names nobody under escalation.%s: %s.", a.to, a.to, strings.TrimSuffix(reason, "."))
		out.NextStep = fmt.Sprintf("Tell them by hand, and write under escalation.%s who they are.", a.to)
	}
	return out, nil
}

// actText is what is told, in one line of bounded length.
func actText(t *playbook.Template, env *playbook.Env) (string, error) {
	text, err := t.Render(env.Data)
	if err != nil {
		return "", err
	}
	text = cut(safeText(strings.Join(strings.Fields(text), " ")), maxActText)
	if text == "" {
		return "", errNothingSaid
	}
	return text, nil
}
