// The kind `announce`: one message into the incident's thread that is seen in
// the channel too, where the notifier can do that.

package step

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"

	"triagebot/triage/playbook"
)

type announce struct{}

func (announce) Name() string { return "announce" }

type announceYAML struct {
	// template, needed: what is announced, in one line; cut after [maxActText] characters.
	Text string `yaml:"text"`
}

// announceAction is a decoded announce step.
type announceAction struct{ text *playbook.Template }

func (announce) Decode(c *playbook.Compiler, node *yaml.Node) playbook.Action {
	var y announceYAML
	c.Decode(node, &y)
	a := &announceAction{}
	if y.Text == "" {
		c.Errorf(node, "text", "is missing; write what is announced")
	} else {
		a.text = c.Text(node, "text", y.Text)
	}
	return a
}

// Vars are always all there.
func (a *announceAction) Vars() map[string]*cel.Type {
	return map[string]*cel.Type{
		"text": cel.StringType, // what is announced
	}
}

var errNothingSaid = errors.New("it is empty")

func (a *announceAction) Run(_ context.Context, env *playbook.Env) (*playbook.Outcome, error) {
	text, err := actText(a.text, env)
	if err != nil {
		return nil, &playbook.StepError{Err: fmt.Errorf("the announcement cannot be written: %w", err), NextStep: "Announce it by hand; then mend the step's text."}
	}
	return &playbook.Outcome{
		Headline: fmt.Sprintf("Announced: %s.", strings.TrimSuffix(text, ".")),
		Rows:     []playbook.OutcomeRow{{Vars: map[string]any{"text": text}}},
		Act:      &playbook.Act{Kind: playbook.ActAnnounced, Text: text},
	}, nil
}
