package slack

// What people are called, for those who read who did something.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	methodUser = "users.info"
	maxNames   = 1000      // kept
	keepName   = time.Hour // people change theirs seldom
)

// names keeps what people are called. The zero value is empty.
type names struct {
	mu   sync.Mutex
	kept map[string]keptName // by user id
}

type keptName struct {
	name  string
	until time.Time
}

func (c *names) of(user string, now time.Time) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept := c.kept[user]; now.Before(kept.until) {
		return kept.name
	}
	return ""
}

func (c *names) keep(user, name string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil || len(c.kept) >= maxNames {
		c.kept = make(map[string]keptName)
	}
	c.kept[user] = keptName{name, now.Add(keepName)}
}

// Name is what people call a member of the workspace, on one line. It is for
// people to read: anybody can choose theirs. The scope users:read is needed.
func (n *Notifier) Name(ctx context.Context, user string) (string, error) {
	if name := n.names.of(user, n.now()); name != "" {
		return name, nil
	}
	who, err := n.client.GetUserInfoContext(ctx, user)
	if err != nil {
		return "", fmt.Errorf("name of %s: %w", line(user, maxName), n.failed(methodUser, looking, err))
	}
	n.succeeded(methodUser)
	name := cmp.Or(who.Name, who.Profile.DisplayName, who.RealName) // Name is what clicks and commands tell
	if name == "" {
		return "", errors.New(methodUser + ": no name in the answer")
	}
	name = line(name, maxPerson)
	n.names.keep(user, name, n.now())
	return name, nil
}
