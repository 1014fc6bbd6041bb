// Who may what, of what people may ask for.

package main

import (
	"context"

	"triagebot/triage/access"
)

// accessRules are who may what. The local channel is on loopback and knows no
// passwords: without an access section everybody there may everything.
func (a *app) accessRules() access.Rules {
	cfg := a.live.get().cfg
	rules := cfg.Access.Rules()
	if a.local == nil {
		return rules
	}
	for _, rule := range rules {
		if len(rule.Users)+len(rule.Groups) > 0 {
			return rules
		}
	}
	everybody := access.Rule{Users: []string{access.Anyone}}
	return access.Rules{access.Look: everybody, access.Respond: everybody, access.Maintain: everybody, access.Override: everybody}
}

// workspace is the one that people must belong to.
func (a *app) workspace(ctx context.Context) (string, error) {
	if team := a.live.get().cfg.Access.Workspace; team != "" {
		return team, nil
	}
	return a.slack.Team(ctx)
}
