package slack

// Channel names and IDs: people configure names, and all methods but
// chat.postMessage want IDs.

import (
	"context"
	"regexp"
	"strings"
	"sync"

	"github.com/slack-go/slack"

	"triagebot/notifiers"
)

const (
	maxKnownChannels = 1000 // names kept
	maxListPages     = 50   // of 1000 channels each
)

var channelID = regexp.MustCompile(`^[CGD][A-Z0-9]{8,}$`)

// channelIDs keeps the IDs of the channels that are used.
type channelIDs struct {
	mu  sync.Mutex
	ids map[string]string // by name
}

func (c *channelIDs) learn(name, id string) {
	name = strings.TrimPrefix(name, "#")
	if id == "" || name == id {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ids == nil || len(c.ids) >= maxKnownChannels {
		c.ids = make(map[string]string)
	}
	c.ids[name] = id
}

func (c *channelIDs) of(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ids[name]
}

// channelID returns the ID of a channel given by name or ID, "" when the bot
// sees no channel of that name.
func (n *Notifier) channelID(ctx context.Context, channel string) (string, *notifiers.Error) {
	channel = strings.TrimPrefix(channel, "#")
	if channelID.MatchString(channel) {
		return channel, nil
	}
	if id := n.channels.of(channel); id != "" {
		return id, nil
	}
	params := slack.GetConversationsParameters{Limit: 1000, Types: []string{"public_channel", "private_channel"}}
	for range maxListPages {
		list, next, err := n.client.GetConversationsContext(ctx, &params)
		if err != nil {
			return "", n.failed(methodList, looking, err)
		}
		n.succeeded(methodList)
		for i := range list {
			if list[i].Name == channel {
				n.channels.learn(channel, list[i].ID)
				return list[i].ID, nil
			}
		}
		if next == "" {
			return "", nil
		}
		params.Cursor = next
	}
	return "", nil
}
