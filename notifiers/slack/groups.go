package slack

// The workspace's directory: which workspace it is, and who belongs to its user
// groups. What is asked here decides who may do what, so every doubt is an error.

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"triagebot/notifiers"
)

const methodMembers = "usergroups.users.list"

var groupID = regexp.MustCompile(`^S[A-Z0-9]{5,20}$`)

// ValidGroup says whether a text is the id of a user group, such as S0123456789.
func ValidGroup(text string) bool { return groupID.MatchString(text) }

// groupPause keeps the directory alone for as long as Slack asked for.
type groupPause struct {
	mu    sync.Mutex
	until time.Time
}

// Team is the id of the bot's workspace. It is asked for until Slack has told it.
func (n *Notifier) Team(ctx context.Context) (string, error) {
	n.mu.Lock()
	id := n.teamID
	n.mu.Unlock()
	if id != "" {
		return id, nil
	}
	if _, err := n.identify(ctx); err != nil {
		return "", err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.teamID == "" {
		return "", errors.New("auth.test: no team_id in the answer")
	}
	return n.teamID, nil
}

// Members are the ids of a user group's members. A group that is disabled or
// that Slack does not know is an error, and so is any answer but a list. While
// Slack limits the rate of such questions none is asked. The scope
// usergroups:read is needed.
func (n *Notifier) Members(ctx context.Context, group string) ([]string, error) {
	if !ValidGroup(group) {
		return nil, fmt.Errorf("%q is no user group's id; write it as S0123456789", line(group, maxName))
	}
	n.groups.mu.Lock()
	wait := n.groups.until.Sub(n.now())
	n.groups.mu.Unlock()
	if wait > 0 {
		return nil, fmt.Errorf("%s: Slack limits the rate; it is asked again in %s", methodMembers, duration(wait))
	}
	members, err := n.client.GetUserGroupMembersContext(ctx, group)
	if err != nil {
		failed := n.failed(methodMembers, looking, err)
		if failed.Reason == notifiers.RateLimited {
			n.groups.mu.Lock()
			n.groups.until = n.now().Add(max(failed.After, time.Second))
			n.groups.mu.Unlock()
		}
		return nil, fmt.Errorf("members of the user group %s: %w", group, failed)
	}
	n.succeeded(methodMembers)
	if members == nil { // slack-go takes {} for success
		return nil, fmt.Errorf("%s: no list of users in the answer for %s", methodMembers, group)
	}
	return members, nil
}
