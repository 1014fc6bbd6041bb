package slacklocal

// Rate limits: per method, and for chat.postMessage per channel.

import (
	"maps"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is how often something may happen: Burst times at once, then once
// every Every. The zero value does not limit.
type Rate struct {
	Every time.Duration
	Burst int
}

// Limits are the rates a workspace enforces. The zero value enforces none.
type Limits struct {
	PostPerChannel Rate            // of chat.postMessage
	Methods        map[string]Rate // by method name, per workspace
}

// SlackLimits are Slack's own rates: one message a second and channel with a
// short burst, and the published tier of each method.
func SlackLimits() Limits {
	tier2, tier3, tier4 := Rate{3 * time.Second, 20}, Rate{1200 * time.Millisecond, 50}, Rate{600 * time.Millisecond, 100}
	return Limits{
		PostPerChannel: Rate{Every: time.Second, Burst: 4},
		Methods: map[string]Rate{
			"chat.update":                  tier3,
			"chat.delete":                  tier3,
			"conversations.history":        tier3,
			"conversations.replies":        tier3,
			"conversations.info":           tier3,
			"conversations.list":           tier2,
			"files.getUploadURLExternal":   tier4,
			"files.completeUploadExternal": tier4,
			"files.info":                   tier4,
			"users.info":                   tier4,
		},
	}
}

type limiter struct {
	mu      sync.Mutex
	perChan Rate
	chans   map[string]*rate.Limiter // by channel ID: bounded by maxChannels
	methods map[string]*rate.Limiter // fixed
}

func newLimiter(l Limits) *limiter {
	lim := &limiter{perChan: l.PostPerChannel, chans: make(map[string]*rate.Limiter), methods: make(map[string]*rate.Limiter)}
	for method, r := range maps.All(l.Methods) {
		lim.methods[method] = r.limiter()
	}
	return lim
}

func (r Rate) limiter() *rate.Limiter {
	if r.Every <= 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Every(r.Every), max(r.Burst, 1))
}

// method takes one call of a method; wait > 0 means that it is refused until then.
func (l *limiter) method(name string, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lim := l.methods[name]; lim != nil {
		return take(lim, now)
	}
	return 0
}

// post takes one message to a channel.
func (l *limiter) post(channelID string, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lim := l.chans[channelID]
	if lim == nil {
		lim = l.perChan.limiter()
		l.chans[channelID] = lim
	}
	return take(lim, now)
}

func take(lim *rate.Limiter, now time.Time) time.Duration {
	r := lim.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}
