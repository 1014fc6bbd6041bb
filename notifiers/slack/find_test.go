package slack

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"triagebot/notifiers"
	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage"
)

func TestSomebodyElsesCopyOfTheNonceIsNotAdopted(t *testing.T) {
	f := setUp(t)
	d := f.parent()
	tag := func(event string) *slacklocal.Metadata {
		return &slacklocal.Metadata{EventType: event, EventPayload: map[string]any{"nonce": d.Nonce}}
	}
	for _, m := range []slacklocal.Message{
		{BotID: "B0OTHER01", Text: "another bot", Metadata: tag(eventType)},
		{User: "U0PERSON1", Text: "a person", Metadata: tag(eventType)},
		{BotID: slacklocal.BotID, Text: "our own, of another kind", Metadata: tag("something_else")},
		{BotID: slacklocal.BotID, Text: "our own, without metadata"},
	} {
		if _, err := f.ws.Inject("incidents", m); err != nil {
			t.Fatal(err)
		}
	}
	f.absent(t, d)
}

func TestALookGoesThroughAllPages(t *testing.T) {
	f := setUp(t)
	d := f.parent()
	sent := f.send(t, d)
	for i := range 2*pageSize + 1 {
		if _, err := f.ws.Inject("incidents", slacklocal.Message{User: "U0PERSON1", Text: fmt.Sprint("noise ", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.found(t, d); got.Remote != sent.Remote {
		t.Errorf("found at %+v, want %+v", got.Remote, sent.Remote)
	}
	f.absent(t, f.parent())

	// A look that was not answered to its end has not seen the message to be absent.
	f.ws.Fail(methodHistory, func(n int) slacklocal.Fault {
		if n == 3 {
			return slacklocal.Fault{Cut: true}
		}
		return slacklocal.Fault{}
	})
	_, found, err := f.Find(t.Context(), f.parent())
	reasonOf(t, err, notifiers.Transient, fmt.Sprint("Find = ", found))
}

func TestALookThatIsRatedGoesOnWhereItStood(t *testing.T) {
	f := setUp(t)
	d := f.parent()
	sent := f.send(t, d)
	for i := range 2*pageSize + 1 {
		if _, err := f.ws.Inject("incidents", slacklocal.Message{User: "U0PERSON1", Text: fmt.Sprint("noise ", i)}); err != nil {
			t.Fatal(err)
		}
	}
	for name, broken := range map[string]struct {
		fault slacklocal.Fault
		want  notifiers.Reason
		calls int64 // of the next look, which needs three for all pages
	}{
		"a rate limit":            {slacklocal.Fault{Status: 429, RetryAfter: "1"}, notifiers.RateLimited, 1},
		"no answer":               {slacklocal.Fault{Cut: true}, notifiers.Transient, 1},
		"a place that Slack lost": {slacklocal.Fault{Error: "invalid_cursor"}, notifiers.Transient, 3},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int64
			f.ws.Fail(methodHistory, func(n int) slacklocal.Fault {
				calls.Store(int64(n))
				if n == 3 {
					return broken.fault
				}
				return slacklocal.Fault{}
			})
			_, found, err := f.Find(t.Context(), d)
			reasonOf(t, err, broken.want, fmt.Sprint("Find = ", found))
			before := calls.Load()
			if got := f.found(t, d); got.Remote != sent.Remote {
				t.Errorf("found at %+v, want %+v", got.Remote, sent.Remote)
			}
			if took := calls.Load() - before; took != broken.calls {
				t.Errorf("the next look took %d calls, want %d", took, broken.calls)
			}
		})
	}
}

func TestALookBeginsAtTheLatestAttempt(t *testing.T) {
	d := triage.Delivery{CreatedAt: time.Unix(1000, 0)}
	if got := since(&d); got != "700" {
		t.Errorf("never tried: since %s, want 700", got)
	}
	d.TriedAt = time.Unix(9000, 0)
	if got := since(&d); got != "8700" {
		t.Errorf("since %s, want 8700", got)
	}
}

func TestALookInALongThread(t *testing.T) {
	f := setUp(t)
	thread := f.send(t, f.parent()).Remote
	for i := range pageSize + 1 {
		if _, err := f.ws.Inject("incidents", slacklocal.Message{User: "U0PERSON1", Text: fmt.Sprint("talk ", i), ThreadTS: thread.ID}); err != nil {
			t.Fatal(err)
		}
	}
	d := f.reply(thread)
	f.absent(t, d)
	sent := f.send(t, d)
	if got := f.found(t, d); got.Remote != sent.Remote {
		t.Errorf("found at %+v, want %+v", got.Remote, sent.Remote)
	}
}

func TestALookHasAnEnd(t *testing.T) {
	f := setUp(t)
	asked := 0
	endless := func(context.Context, string) ([]slack.Message, string, *notifiers.Error) {
		asked++
		return nil, "more", nil
	}
	found, err := f.search(t.Context(), endless, look{nonce: "nonce"})
	if found != nil || err == nil || err.Reason != notifiers.Permanent || asked != maxPages {
		t.Errorf("search = %v, %v after %d pages; want an error after %d", found, err, asked, maxPages)
	}
}

func TestALookAfterARestartLearnsTheChannelsID(t *testing.T) {
	f := setUp(t)
	for i := range 120 { // so that the list has pages
		if _, err := f.ws.CreateChannel(fmt.Sprintf("c%03d", i)); err != nil {
			t.Fatal(err)
		}
	}
	d := f.parent()
	d.Channel = "#c119"
	sent := f.send(t, d)
	f.channels.ids = nil // as after a restart
	if got := f.found(t, d); got.Remote != sent.Remote {
		t.Errorf("found at %+v, want %+v", got.Remote, sent.Remote)
	}
	d.Channel = sent.Remote.Channel // by ID
	f.channels.ids = nil
	f.found(t, d)
	d.Channel = "no-such"
	f.absent(t, d)
}

func TestAChannelThatMayNotBeReadIsAnErrorThatWaitingDoesNotMend(t *testing.T) {
	for _, code := range []string{"missing_scope", "not_allowed_token_type", "not_in_channel", "channel_not_found"} {
		t.Run(code, func(t *testing.T) {
			f := setUp(t)
			f.ws.Fail(methodHistory, func(int) slacklocal.Fault { return slacklocal.Fault{Error: code} })
			_, found, err := f.Find(t.Context(), f.parent())
			reasonOf(t, err, notifiers.Permanent, fmt.Sprint("Find = ", found))
		})
	}
	t.Run("the token is refused", func(t *testing.T) {
		f := setUp(t)
		f.ws.Fail(methodHistory, func(int) slacklocal.Fault { return slacklocal.Fault{Error: "invalid_auth"} })
		_, found, err := f.Find(t.Context(), f.parent())
		reasonOf(t, err, notifiers.Transient, fmt.Sprint("Find = ", found))
	})
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	open := setUp(t).open
	for want, o := range map[string]Options{
		"token":    {Open: open},
		"Open":     {Token: "xoxb-1"},
		"API URL":  {Token: "xoxb-1", Open: open, APIURL: "http://127.0.0.1/api"},
		"http(s):": {Token: "xoxb-1", Open: open, APIURL: "ftp://127.0.0.1/"},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v, want it to name %s", err, want)
		}
	}
	if _, err := New(Options{Token: "xoxb-1", Open: open}); err != nil {
		t.Errorf("New with Slack's own API: %v", err)
	}
}

func TestFindDoesNotLookForWhatIsShown(t *testing.T) {
	f := setUp(t)
	d := f.parent()
	d.Remote = triage.RemoteRef{Channel: "C0LOCAL0001", ID: "1.000000"}
	f.ws.Fail("*", func(int) slacklocal.Fault { return slacklocal.Fault{Status: 500} })
	f.absent(t, d)
}
