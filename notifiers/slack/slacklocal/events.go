package slacklocal

// The Events API: an app hears of a mention, and again when it did not answer,
// three times at most.

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// retryAfter are the pauses before each retry: Slack tries again nearly at
// once, after a minute and after five.
// https://docs.slack.dev/apis/events-api/#retries
var retryAfter = [...]time.Duration{time.Second, time.Minute, 5 * time.Minute}

// maxDeliveries is how many events may be on their way at once.
const maxDeliveries = 64

// deliveries are the events on their way. Their goroutines end with the
// workspace, which waits for them.
type deliveries struct {
	ctx    context.Context
	cancel context.CancelFunc
	room   chan struct{} // a token for each
	wg     sync.WaitGroup
}

func newDeliveries() *deliveries {
	ctx, cancel := context.WithCancel(context.Background())
	return &deliveries{ctx: ctx, cancel: cancel, room: make(chan struct{}, maxDeliveries)}
}

// end gives up what is on its way.
func (d *deliveries) end() {
	d.cancel()
	d.wg.Wait()
}

// mentioned has the app told of a mention. Call with mu held.
func (w *Workspace) mentioned(p Person, ch *channel, m *Message) error {
	happened := answer{
		"type": "app_mention", "user": p.ID, "ts": m.TS, "text": m.Text, "team": p.team(),
		"channel": ch.ID, "event_ts": m.TS, "client_msg_id": rand.Text(),
	}
	if m.ThreadTS != "" {
		happened["thread_ts"] = m.ThreadTS
	}
	if p.Team != "" {
		happened["user_team"], happened["source_team"] = p.Team, p.Team
	}
	body, err := json.Marshal(answer{
		"token": verificationToken, "team_id": TeamID, "api_app_id": AppID, "type": "event_callback",
		"event": happened, "event_id": "Ev" + rand.Text()[:10], "event_time": w.clock().Unix(),
		"authorizations": []answer{{
			"enterprise_id": nil, "team_id": TeamID, "user_id": UserID, "is_bot": true, "is_enterprise_install": false,
		}},
		"is_ext_shared_channel": p.Team != "",
	})
	if err != nil {
		return fmt.Errorf("local channel: cannot encode an event: %w", err)
	}
	select {
	case w.deliveries.room <- struct{}{}:
	default:
		return notice("The app does not hear of this: %d of its events are on their way already.", maxDeliveries)
	}
	w.deliveries.wg.Go(func() {
		defer func() { <-w.deliveries.room }()
		w.deliver(json.RawMessage(body))
	})
	return nil
}

// deliver tells the app of an event until it has heard.
func (w *Workspace) deliver(event json.RawMessage) {
	a := act{kind: kindEvent, payload: event}
	for {
		_, err := w.dispatch(w.deliveries.ctx, a)
		u := (*undelivered)(nil)
		if !errors.As(err, &u) || u.final || a.attempt == len(retryAfter) {
			return
		}
		pause := time.NewTimer(retryAfter[a.attempt])
		select {
		case <-pause.C:
		case <-w.deliveries.ctx.Done():
			pause.Stop()
			return
		}
		a.attempt++
		a.reason = retryReason(u.code)
	}
}

func retryReason(code string) string {
	switch code {
	case codeTimeout:
		return "http_timeout"
	case codeClient, codeService:
		return "http_error"
	}
	return "connection_failed"
}

// VerifyEvents asks the app's events URL for a challenge back, as Slack does
// when the URL is entered. The error says what the app answered instead.
func (w *Workspace) VerifyEvents(ctx context.Context) error {
	challenge := rand.Text()
	answered, err := w.dispatch(ctx, act{kind: kindEvent, payload: answer{
		"token": verificationToken, "challenge": challenge, "type": "url_verification",
	}})
	if err != nil {
		return fmt.Errorf("local channel: your URL didn't respond: %w", err)
	}
	var said struct{ Challenge string }
	if json.Unmarshal(answered.body, &said) == nil && said.Challenge == challenge {
		return nil
	}
	if bytes.Equal(answered.body, []byte(challenge)) {
		return nil
	}
	return errors.New("local channel: your URL didn't respond with the value of the challenge parameter")
}
