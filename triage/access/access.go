// Package access says who may do what: by a person's id, or by the user group
// of their workspace that they belong to. What is not allowed is refused, and so
// is everything that cannot be told.
package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"triagebot/triage"
)

// Right is what a person may have.
type Right string

// The rights.
const (
	Look     Right = "look"     // ask for what is known
	Respond  Right = "respond"  // acknowledge, silence, run, escalate
	Maintain Right = "maintain" // announce, enable, extend and disable maintenance
	Override Right = "override" // end maintenance while the service is not ready
)

// Anyone as a user of a rule is every member of the workspace.
const Anyone = "*"

// Rule is who has a right.
type Rule struct {
	Users  []string // ids, or Anyone
	Groups []string // ids of user groups
}

// Rules are the rights and who has them. A right without a rule is nobody's.
type Rules map[Right]Rule

// Directory knows who belongs to a user group.
type Directory interface {
	Members(ctx context.Context, group string) ([]string, error)
}

// Options wire a Checker.
type Options struct {
	// Rules are those in force now.
	Rules func() Rules
	// Team is the workspace that people must come from; "" where it is not known
	// yet, which refuses everybody from Slack.
	Team func(ctx context.Context) (string, error)
	// Directory may be nil: then no rule by group applies to anybody.
	Directory Directory
	// KeepFor is how long a group's members are taken to be the same; 5 minutes
	// when 0.
	KeepFor time.Duration
	Now     func() time.Time // time.Now when nil
}

// Checker says who may do what. It is safe for concurrent use.
type Checker struct {
	Options
	mu     sync.Mutex
	groups map[string]*members // by id, as many as the rules name
}

// members is what is known of a user group.
type members struct {
	mu    sync.Mutex // held while it is asked for, so that it is asked for once
	until time.Time
	users []string
	err   error
}

const (
	keepGroup  = 5 * time.Minute
	keepFailed = 10 * time.Second // so that clicks do not hammer a directory that is down
	maxGroups  = 100              // remembered at once; config bounds what rules name
)

// New makes a Checker.
func New(o Options) *Checker {
	if o.KeepFor == 0 {
		o.KeepFor = keepGroup
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Checker{Options: o, groups: map[string]*members{}}
}

// Denied is why somebody may not; its text is for them to read.
type Denied struct{ Why string }

func (d *Denied) Error() string { return d.Why }

// May returns nil where the person has the right, and a *Denied where they do
// not or it cannot be told. Whoever holds the command line's token has every
// right.
func (c *Checker) May(ctx context.Context, who triage.Actor, right Right) error {
	if who.Via == triage.ViaCtl {
		return nil
	}
	team, err := c.Team(ctx)
	switch {
	case err != nil || team == "":
		return &Denied{"It cannot be told which workspace triagebot belongs to, so nobody may do anything for now: Slack did not say. Try again in a moment."}
	case who.Team != team:
		return &Denied{"Only members of triagebot's own workspace may do this; you are in another, or a guest by Slack Connect."}
	}
	rule, has := c.Rules()[right]
	if !has || len(rule.Users)+len(rule.Groups) == 0 {
		return &Denied{fmt.Sprintf("Nobody may do this: the configuration names nobody under access.%s.", right)}
	}
	if who.ID == "" {
		return &Denied{"It cannot be told who you are."}
	}
	if slices.Contains(rule.Users, who.ID) || slices.Contains(rule.Users, Anyone) {
		return nil
	}
	var failed []string
	for _, group := range rule.Groups {
		users, err := c.members(ctx, group)
		if err != nil {
			failed = append(failed, group)
		} else if slices.Contains(users, who.ID) {
			return nil
		}
	}
	if len(failed) > 0 {
		return &Denied{fmt.Sprintf("It cannot be told whether you may: Slack did not say who is in the user group %s. Try again in a moment; people named one by one under access.%s may meanwhile.", strings.Join(failed, ", "), right)}
	}
	return &Denied{fmt.Sprintf("You may not do this: it takes the right %q, which access.%s in the configuration gives.", right, right)}
}

var errNoDirectory = errors.New("there is no directory of user groups")

// members asks for a group's members, or remembers them.
func (c *Checker) members(ctx context.Context, group string) ([]string, error) {
	if c.Directory == nil {
		return nil, errNoDirectory
	}
	c.mu.Lock()
	m := c.groups[group]
	if m == nil {
		if len(c.groups) >= maxGroups {
			clear(c.groups)
		}
		m = &members{}
		c.groups[group] = m
	}
	c.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	now := c.Now()
	if now.Before(m.until) {
		return m.users, m.err
	}
	// What was known is over, and not used: somebody may have left the group.
	m.users, m.err = c.Directory.Members(ctx, group)
	m.until = now.Add(c.KeepFor)
	if m.err != nil {
		m.until = now.Add(min(keepFailed, c.KeepFor))
		if ctx.Err() != nil {
			m.until = now // this asker's hurry says nothing of the directory
		}
	}
	return m.users, m.err
}
