// A group's life: wait, notify when something changed, retry.

package alertsender

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"triagebot/triage/safetext"
)

// Alertmanager's retry: 500 ms, growing by half, ±50 %, at most a minute, for
// as long as the group interval but at least ten seconds.
const (
	retryFirst    = 500 * time.Millisecond
	retryGrowth   = 1.5
	retryJitter   = 0.5
	retryMost     = time.Minute
	leastDeadline = 10 * time.Second
)

// Reasons of a notification, as Alertmanager (since 0.33) names them.
const (
	reasonNone        = ""
	reasonFirst       = "first notification"
	reasonNew         = "new alerts added"
	reasonAllResolved = "all alerts resolved"
	reasonResolved    = "some alerts resolved"
	reasonRepeat      = "repeat interval elapsed"
)

// Message is what is posted: the webhook payload of version 4.
type Message struct {
	*template.Data

	Version         string `json:"version"`
	GroupKey        string `json:"groupKey"`
	TruncatedAlerts uint64 `json:"truncatedAlerts"`
}

type group struct {
	sender *Sender
	labels model.LabelSet
	rush   chan struct{} // holds one; cuts the first wait short

	// Guarded by the sender's lock.
	alerts  map[model.Fingerprint]*alert.Alert
	flushed bool

	// Only the group's own goroutine touches these.
	notified *logEntry // nil before the first success
}

// logEntry is what was last notified.
type logEntry struct {
	at               time.Time
	firing, resolved map[model.Fingerprint]bool
}

func newGroup(s *Sender, labels model.LabelSet) *group {
	return &group{sender: s, labels: labels, rush: make(chan struct{}, 1), alerts: map[model.Fingerprint]*alert.Alert{}}
}

// hurry makes the first flush come at once.
func (g *group) hurry() {
	select {
	case g.rush <- struct{}{}:
	default:
	}
}

// run flushes after the group wait and then at every group interval, until the
// group is empty or ctx is done.
func (g *group) run(ctx context.Context) {
	timer := time.NewTimer(g.sender.opts.GroupWait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.rush:
		case <-timer.C:
		}
		timer.Reset(g.sender.opts.GroupInterval)
		g.sender.mu.Lock()
		g.flushed = true
		g.sender.mu.Unlock()
		if g.flush(ctx) {
			return
		}
	}
}

// flush notifies when there is something to say, and says whether the group
// has ended.
func (g *group) flush(ctx context.Context) (ended bool) {
	now := time.Now()
	alerts := g.snapshot(now)
	entry := &logEntry{at: now, firing: map[model.Fingerprint]bool{}, resolved: map[model.Fingerprint]bool{}}
	for _, a := range alerts {
		if a.ResolvedAt(now) {
			entry.resolved[a.Fingerprint()] = true
		} else {
			entry.firing[a.Fingerprint()] = true
		}
	}
	reason := g.reason(entry)
	if reason == reasonNone {
		return g.forget(alerts)
	}
	data := g.sender.template.Data(g.sender.opts.Receiver, g.labels, nil, reason, alerts...)
	if err := g.deliver(ctx, &Message{Data: data, Version: "4", GroupKey: g.key()}); err != nil {
		if ctx.Err() == nil {
			g.sender.opts.Log.WithError(err).WithField("group", g.labels.String()).Error("alert sender: notification failed; it comes again at the next group interval")
		}
		return false
	}
	g.notified = entry
	return g.forget(alerts)
}

// key is the group's key in Alertmanager's form: the route's, which has no
// matchers, and the group labels.
func (g *group) key() string { return "{}:" + g.labels.String() }

// reason says why to notify now, or nothing: Alertmanager's own rules.
func (g *group) reason(now *logEntry) string {
	last := g.notified
	switch {
	case last == nil && len(now.firing) > 0:
		return reasonFirst
	case last == nil:
		return reasonNone
	case !subset(now.firing, last.firing) && len(last.firing) == 0:
		return reasonFirst
	case !subset(now.firing, last.firing):
		return reasonNew
	case len(now.firing) == 0 && len(last.firing) > 0:
		return reasonAllResolved
	case len(now.firing) == 0:
		return reasonNone
	case !subset(now.resolved, last.resolved):
		return reasonResolved
	case last.at.Before(now.at.Add(-g.sender.opts.RepeatInterval)):
		return reasonRepeat
	default:
		return reasonNone
	}
}

func subset(small, big map[model.Fingerprint]bool) bool {
	for fp := range small {
		if !big[fp] {
			return false
		}
	}
	return true
}

// deliver posts the message, again and again while that may help and there is
// time.
func (g *group) deliver(ctx context.Context, m *Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode notification: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, max(g.sender.opts.GroupInterval, leastDeadline))
	defer cancel()
	var last error
	for attempt, pause := 1, retryFirst; ; attempt++ {
		retry, err := g.sender.post(ctx, body)
		if err == nil {
			return nil
		}
		if !retry {
			return err
		}
		if ctx.Err() == nil {
			last = err
		}
		jittered := time.Duration(float64(pause) * (1 - retryJitter + 2*retryJitter*rand.Float64()))
		timer := time.NewTimer(jittered)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			if last == nil {
				last = ctx.Err()
			}
			return fmt.Errorf("given up after %d attempts: %w", attempt, last)
		}
		pause = min(time.Duration(float64(pause)*retryGrowth), retryMost)
	}
}

// post tries once, and says whether trying again may help.
func (s *Sender) post(ctx context.Context, body []byte) (retry bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.opts.URL, bytes.NewReader(body))
	if err != nil {
		return false, fmt.Errorf("make request: %w", safetext.WithoutURL(err))
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Alertmanager/demo")
	if s.opts.BearerToken != "" {
		req.Header.Set("Authorization", "Bearer "+s.opts.BearerToken)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return true, fmt.Errorf("post notification: %w", safetext.WithoutURL(err))
	}
	defer func() { _ = resp.Body.Close() }() // nothing is written
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if resp.StatusCode/100 == 2 {
		return false, nil
	}
	return resp.StatusCode/100 == 5, fmt.Errorf("webhook answered %s: %s", resp.Status, bytes.TrimSpace(answer))
}
