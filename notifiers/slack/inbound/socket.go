package inbound

// The way in over Socket Mode: a connection that triagebot opens to Slack, so
// that nothing need reach triagebot. One loop reads it and hands on; it neither
// works nor waits for work. slack-go opens the connection, opens it again when
// Slack asks for that or falls silent, and stops only when the app token is no
// good; here a connection that is lost over and over is left alone for a while.

import (
	"context"
	"encoding/json"
	"errors"
	"runtime/debug"
	"time"

	"github.com/sirupsen/logrus"
	slackapi "github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"triagebot/triage"
	"triagebot/triage/safetext"
)

const (
	maxFrame     = 2 << 20         // bytes of one message
	ackTimeout   = 3 * time.Second // to hand an acknowledgement to the connection
	maxConnects  = 10              // within connectsIn; more are a connection that does not hold
	connectsIn   = time.Minute
	restartAfter = 10 * time.Second
)

var errUnsteady = errors.New("the connection is closed over and over")

// runSocket keeps Socket Mode open until ctx ends or Slack refuses the token.
func (i *Inbound) runSocket(ctx context.Context) {
	defer i.metrics.connected.Set(0)
	for {
		err := i.socket(ctx)
		i.metrics.connected.Set(0)
		switch {
		case ctx.Err() != nil:
			return
		case refusedForGood(err):
			i.log.WithError(err).Error("Slack refuses the app token; nobody is heard over Socket Mode until slack.app_token_file holds a valid one with the scope connections:write and triagebot is restarted")
			i.trouble("Slack refuses the app token (" + safetext.Line(err.Error(), 100) + "): give triagebot a valid one (xapp-…) with the scope connections:write, and restart it")
			return
		}
		i.log.WithError(err).WithField("again_in", restartAfter).Warn("Socket Mode broke off")
		i.trouble("Socket Mode is not connected; people are not heard meanwhile")
		timer := time.NewTimer(restartAfter)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// refusedForGood says whether slack-go gave up because of the token.
func refusedForGood(err error) bool {
	var answer slackapi.SlackErrorResponse
	var status slackapi.StatusCodeError
	return errors.As(err, &answer) || errors.As(err, &status)
}

// socket runs one client of slack-go's, and all connections it opens, until it
// gives up.
func (i *Inbound) socket(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	api := slackapi.New("", slackapi.OptionAppLevelToken(i.opts.AppToken), slackapi.OptionAPIURL(i.opts.APIURL), slackapi.OptionHTTPClient(i.client))
	client := socketmode.New(api, socketmode.OptionReadLimit(maxFrame), socketmode.OptionPingInterval(i.opts.PingTimeout))
	gaveUp := make(chan error, 1)
	go func() { gaveUp <- client.RunContext(ctx) }()
	var connects []time.Time
	for {
		select {
		case err := <-gaveUp:
			if cause := context.Cause(ctx); errors.Is(cause, errUnsteady) {
				return cause
			}
			return safetext.WithoutURL(err)
		case event := <-client.Events:
			if event.Type == socketmode.EventTypeConnected {
				now := i.opts.Now()
				connects = append(connects, now)
				if connects = connects[max(0, len(connects)-maxConnects-1):]; len(connects) > maxConnects && now.Sub(connects[0]) < connectsIn {
					cancel(errUnsteady)
				}
			}
			i.heard(ctx, client, event)
		}
	}
}

// trouble sets what Warning says; "" for none.
func (i *Inbound) trouble(what string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.socketBad = what
}

// acker acknowledges an envelope, *socketmode.Client.
type acker interface {
	AckCtx(ctx context.Context, envelopeID string, payload any) error
}

// heard takes one event of the connection. A panic costs that event only.
func (i *Inbound) heard(ctx context.Context, client acker, event socketmode.Event) {
	defer func() {
		if p := recover(); p != nil {
			i.metrics.count(viaSocket, kindUnknown, result(triage.OutcomeFailed))
			i.log.WithField("panic", p).WithField("stack", string(debug.Stack())).Error("taking in an event of Slack panicked; this is a bug")
		}
	}()
	switch event.Type {
	case socketmode.EventTypeHello:
		i.metrics.connected.Set(1)
		i.trouble("")
		i.log.Info("Socket Mode is connected")
	case socketmode.EventTypeConnecting:
		i.metrics.connected.Set(0)
	case socketmode.EventTypeConnectionError:
		i.unconnected(event)
	case socketmode.EventTypeSlashCommand, socketmode.EventTypeInteractive, socketmode.EventTypeEventsAPI:
		i.envelope(ctx, client, event.Request)
	case socketmode.EventTypeErrorBadMessage:
		i.badMessage(ctx, client, event)
	}
}

func (i *Inbound) unconnected(event socketmode.Event) {
	failed, ok := event.Data.(*slackapi.ConnectionErrorEvent)
	if !ok {
		return
	}
	err := safetext.WithoutURL(failed.ErrorObj)
	i.log.WithError(err).WithFields(logrus.Fields{"attempt": failed.Attempt + 1, "again_in": failed.Backoff}).Warn("Socket Mode cannot be opened")
	i.trouble("Socket Mode cannot be opened (" + safetext.Line(err.Error(), 200) + "); people are not heard meanwhile")
}

// badMessage acknowledges what slack-go does not know, or Slack sends it again
// and again.
func (i *Inbound) badMessage(ctx context.Context, client acker, event socketmode.Event) {
	bad, ok := event.Data.(*socketmode.ErrorBadMessage)
	if !ok {
		return
	}
	var req socketmode.Request
	if json.Unmarshal(bad.Message, &req) == nil && req.EnvelopeID != "" {
		i.envelope(ctx, client, &req)
		return
	}
	i.metrics.count(viaSocket, kindUnknown, resultInvalid)
}

// envelope takes in what somebody did. It is acknowledged at once, and not at
// all where no worker is free for an event, which Slack then sends again; only a
// dialog waits for what is to be said in it.
func (i *Inbound) envelope(ctx context.Context, client acker, req *socketmode.Request) {
	if req == nil || req.EnvelopeID == "" {
		i.metrics.count(viaSocket, kindUnknown, resultInvalid)
		return
	}
	ack := func(payload any) { i.ack(ctx, client, req.EnvelopeID, payload) }
	a, err := decodeEnvelope(req.Type, req.Payload)
	if err != nil {
		i.metrics.count(viaSocket, kindUnknown, resultInvalid)
		i.log.WithError(err).Warn("Slack sent what is not understood")
		ack(nil)
		return
	}
	if a.kind == kindOther {
		i.metrics.count(viaSocket, a.kind, resultIgnored)
		ack(nil)
		return
	}
	j, fresh := i.take(viaSocket, a)
	if !fresh { // its acknowledgement got lost
		i.metrics.count(viaSocket, a.kind, resultDuplicate)
		ack(nil)
		return
	}
	switch a.kind {
	case kindDialog:
		i.envelopeOfDialog(j, ack)
		return
	case kindMention:
		if !i.submit(j) {
			i.seen.forget(a.req.ID)
			i.metrics.count(viaSocket, a.kind, resultBusy)
			return
		}
		ack(nil)
		return
	}
	ack(nil)
	if !i.submit(j) {
		i.metrics.count(viaSocket, a.kind, resultBusy)
		i.say(j, replyBusy)
	}
}

// envelopeOfDialog has a dialog acknowledged with what is to be said in it, or
// without a word where that takes too long.
func (i *Inbound) envelopeOfDialog(j *job, ack func(payload any)) {
	late := time.AfterFunc(i.opts.Patience, func() {
		if j.taken.CompareAndSwap(false, true) {
			ack(nil)
		}
	})
	j.early = func(r triage.Reply) {
		late.Stop()
		ack(dialogAnswer(r))
	}
	if i.submit(j) {
		return
	}
	i.metrics.count(viaSocket, j.ask.kind, resultBusy)
	if j.taken.CompareAndSwap(false, true) {
		j.early(replyBusy)
	}
}

// ack acknowledges an envelope. slack-go refuses a payload of 20 KB, which Slack
// would drop without a word; none here comes near.
func (i *Inbound) ack(ctx context.Context, client acker, envelope string, payload any) {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	if err := client.AckCtx(ctx, envelope, payload); err != nil && !errors.Is(err, context.Canceled) {
		i.log.WithError(err).Warn("an envelope could not be acknowledged; Slack sends it again")
	}
}

// decodeEnvelope reads the payload of an envelope, as the HTTP way does.
func decodeEnvelope(kindOf string, payload []byte) (ask, error) {
	switch kindOf {
	case socketmode.RequestTypeSlashCommands:
		get, err := commandFields(payload)
		if err != nil {
			return ask{}, err
		}
		return decodeCommand(get)
	case socketmode.RequestTypeInteractive:
		return decodeInteraction(payload)
	case socketmode.RequestTypeEventsAPI:
		a, _, err := decodeEvent(payload)
		return a, err
	}
	return ask{kind: kindOther}, nil
}
