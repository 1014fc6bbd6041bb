package config

// Who may do what.

import (
	"fmt"
	"regexp"

	"github.com/prometheus/common/model"

	"triagebot/notifiers/slack"
	"triagebot/triage/access"
)

// Access is who may ask what of triagebot. Nobody is named: nobody may.
type Access struct {
	Workspace string         `yaml:"workspace,omitempty"` // T0123456; that of the token when ""
	Look      Allowed        `yaml:"look,omitempty"`
	Respond   Allowed        `yaml:"respond,omitempty"`
	Maintain  Allowed        `yaml:"maintain,omitempty"`
	Override  Allowed        `yaml:"override,omitempty"`
	KeepFor   model.Duration `yaml:"keep_groups_for"`

	CtlTokenFile string `yaml:"ctl_token_file,omitempty"`
	CtlTokenEnv  string `yaml:"ctl_token_env,omitempty"`

	CtlToken Secret `yaml:"-"` // "": nobody may by the command line
}

// Allowed are people, each by id or by a user group.
type Allowed struct {
	Users  []string `yaml:"users,omitempty"`
	Groups []string `yaml:"groups,omitempty"`
}

// Rules are the rights as package access takes them.
func (a *Access) Rules() access.Rules {
	return access.Rules{
		access.Look: access.Rule(a.Look), access.Respond: access.Rule(a.Respond),
		access.Maintain: access.Rule(a.Maintain), access.Override: access.Rule(a.Override),
	}
}

// Slack's ids.
// https://docs.slack.dev/reference/objects
var (
	userID = regexp.MustCompile(`^[UW][A-Z0-9]{2,20}$`)
	teamID = regexp.MustCompile(`^T[A-Z0-9]{2,20}$`)
)

// minToken is the least length of the command line's token, in characters.
const minToken = 20

// maxAllowed is how many people or groups one right may name.
const maxAllowed = 100

func (k *checker) access(c *Config) {
	a := &c.Access
	if a.Workspace != "" && !teamID.MatchString(a.Workspace) {
		k.addf("access.workspace", "%q is no workspace's id; write it as T0123456, or leave it out: it is then that of the token", a.Workspace)
	}
	for _, right := range []struct {
		name string
		Allowed
	}{{"look", a.Look}, {"respond", a.Respond}, {"maintain", a.Maintain}, {"override", a.Override}} {
		path, allowed := "access."+right.name, right.Allowed
		if len(allowed.Users)+len(allowed.Groups) > maxAllowed {
			k.addf(path, "names %d; at most %d: make a user group of them", len(allowed.Users)+len(allowed.Groups), maxAllowed)
			continue
		}
		for i, id := range allowed.Users {
			if id != access.Anyone && !userID.MatchString(id) {
				k.addf(fmt.Sprintf("%s.users[%d]", path, i), "%q is no person's id; write it as U0123456 (Slack: the person's profile, Copy member ID), or * for everybody in the workspace", id)
			}
		}
		for i, id := range allowed.Groups {
			if !slack.ValidGroup(id) {
				k.addf(fmt.Sprintf("%s.groups[%d]", path, i), "%q is no user group's id; write it as S0123456 (Slack: the group's menu, Copy group ID)", id)
			}
		}
	}
	k.positive("access.keep_groups_for", a.KeepFor)
	if token := string(a.CtlToken); token != "" && len(token) < minToken {
		k.addf("access.ctl_token", "the token has %d characters; at least %d, such as openssl rand -hex 32 makes, for whoever has it may do everything", len(token), minToken)
	}
}
