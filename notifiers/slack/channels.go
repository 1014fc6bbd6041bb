package slack

// Channel names and IDs: people configure names, and all methods but
// chat.postMessage want IDs.

import (
	"context"
	"errors"
	"fmt"
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
	seen := 0
	for range maxListPages {
		list, next, err := n.client.GetConversationsContext(ctx, &params)
		if err != nil {
			return "", n.failed(methodList, looking, err)
		}
		n.succeeded(methodList)
		seen += len(list)
		for i := range list {
			if list[i].Name == channel {
				n.channels.learn(channel, list[i].ID)
				return list[i].ID, nil
			}
		}
		if next == "" && seen > 0 {
			return "", nil
		}
		if next == "" { // slack-go takes {} for success, but no workspace is without channels
			return "", n.failed(methodList, looking, errors.New("no channels in the answer"))
		}
		params.Cursor = next
	}
	return "", n.failed(methodList, looking, fmt.Errorf("#%s is not among the first %d channels; configure the channel by its ID", line(channel, maxName), seen))
}
