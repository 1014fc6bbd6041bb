package slack

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"triagebot/notifiers"
	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage"
)

func TestAnIncidentIsOneMessageWithAThread(t *testing.T) {
	f := setUp(t)
	parent := f.parent()
	r := f.send(t, parent)
	if r.Remote.Channel != f.ws.ChannelID("incidents") || r.Remote.ID == "" || r.Note != "" {
		t.Fatalf("receipt %+v", r)
	}
	reply := f.reply(r.Remote)
	f.send(t, reply)

	parent.Remote = r.Remote
	parent.Body.Parent.State = triage.IncidentResolved
	parent.Body.Parent.ResolvedAt = start.Add(11 * time.Minute)
	if edited := f.send(t, parent); edited.Remote != r.Remote {
		t.Errorf("the edit is at %+v, the message at %+v", edited.Remote, r.Remote)
	}

	threads := f.ws.Channel("incidents")
	if len(threads) != 1 || len(threads[0].Replies) != 1 {
		t.Fatalf("the channel shows %+v, want one parent with one reply", threads)
	}
	shown := threads[0]
	if shown.Edits != 1 || shown.Blocks == nil || !strings.Contains(shown.Text, "is resolved") {
		t.Errorf("the parent was edited %d times and says %q", shown.Edits, shown.Text)
	}
	if shown.Nonce() != parent.Nonce || shown.Replies[0].Nonce() != reply.Nonce {
		t.Errorf("nonces %q and %q, want those of the deliveries, also after an edit", shown.Nonce(), shown.Replies[0].Nonce())
	}
	if got := shown.Metadata.EventPayload["key"]; got != parent.Key {
		t.Errorf("key %v, want %s", got, parent.Key)
	}
}

func TestAMessageIsFoundAgain(t *testing.T) {
	f := setUp(t)
	parent := f.parent()
	f.absent(t, parent)
	r := f.send(t, parent)
	if got := f.found(t, parent); got.Remote != r.Remote {
		t.Errorf("found at %+v, want %+v", got.Remote, r.Remote)
	}
	reply := f.reply(r.Remote)
	f.absent(t, reply)
	sent := f.send(t, reply)
	if got := f.found(t, reply); got.Remote != sent.Remote {
		t.Errorf("found at %+v, want %+v", got.Remote, sent.Remote)
	}
	parent.Remote = r.Remote
	f.absent(t, parent) // an edit is sent again, not looked for
}

func TestAPostCutOffAfterItWasAcceptedIsAdopted(t *testing.T) {
	f := setUp(t)
	f.ws.Fail(methodPost, once(slacklocal.Fault{Accept: true, Cut: true}))
	d := f.parent()
	f.refused(t, d, notifiers.Ambiguous)
	adopted := f.found(t, d)
	if shown := f.ws.Channel("incidents"); len(shown) != 1 || shown[0].TS != adopted.Remote.ID {
		t.Errorf("adopted %+v, the channel shows %+v", adopted, shown)
	}
	if n := f.ws.PostsByNonce()[d.Nonce]; n != 1 {
		t.Errorf("%d posts for one delivery", n)
	}
}

// unclearEnds are ways in which a call ends that leave open whether it was done.
var unclearEnds = map[string]slacklocal.Fault{
	"cut before":      {Cut: true},
	"cut after":       {Accept: true, Cut: true},
	"500":             {Status: 500},
	"503 after":       {Accept: true, Status: 503},
	"fatal_error":     {Error: "fatal_error"},
	"internal_error":  {Accept: true, Error: "internal_error"},
	"request timeout": {Status: 408},
}

func TestAnUnclearEndOfAPostIsAmbiguousAndOfAnEditHarmless(t *testing.T) {
	for name, fault := range unclearEnds {
		t.Run(name, func(t *testing.T) {
			f := setUp(t)
			f.ws.Fail(methodPost, once(fault))
			d := f.parent()
			f.refused(t, d, notifiers.Ambiguous)
			r, found, err := f.Find(t.Context(), d)
			if err != nil || found != fault.Accept {
				t.Fatalf("Find = %+v, %v, %v; the post was carried out: %v", r, found, err, fault.Accept)
			}
			if !found {
				r = f.send(t, d)
			}
			d.Remote = r.Remote

			f.ws.Fail(methodUpdate, once(fault))
			f.refused(t, d, notifiers.Transient)
			f.send(t, d)
			if shown := f.ws.Channel("incidents"); len(shown) != 1 || len(f.ws.Duplicates()) != 0 {
				t.Errorf("the channel shows %d messages, want 1", len(shown))
			}
		})
	}
}

func TestACallerWhoGivesUpDoesNotKnowWhatWasShown(t *testing.T) {
	f := setUp(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.ws.Fail(methodPost, func(int) slacklocal.Fault {
		cancel()
		return slacklocal.Fault{Accept: true, Wait: make(chan struct{})}
	})
	d := f.parent()
	_, err := f.Send(ctx, d, f.checkpoint(d))
	reasonOf(t, err, notifiers.Ambiguous, "Send")
}

func TestSlackThatIsNotReachedHasShownNothing(t *testing.T) {
	f := setUp(t)
	d := f.parent()
	f.server.Close()
	f.refused(t, d, notifiers.Transient)
}

func TestAnAnswerThatSaysNothingIsUnclear(t *testing.T) {
	for name, body := range map[string]string{"empty object": `{}`, "html": `<html>`, "cut off": `{"ok":tr`} {
		t.Run(name, func(t *testing.T) {
			odd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
			t.Cleanup(odd.Close)
			f := setUp(t)
			n, err := New(Options{Token: "xoxb-1", APIURL: odd.URL + "/", Open: f.open, Log: f.Notifier.log})
			if err != nil {
				t.Fatal(err)
			}
			d := f.parent()
			_, err = n.Send(t.Context(), d, f.checkpoint(d))
			reasonOf(t, err, notifiers.Ambiguous, "Send")
			_, found, err := n.Find(t.Context(), d)
			if found || err == nil {
				t.Errorf("Find = %v, %v; want an error, for nothing was seen", found, err)
			}
			d.Remote = triage.RemoteRef{Channel: "C1", ID: "1.0"}
			_, err = n.Send(t.Context(), d, f.checkpoint(d))
			reasonOf(t, err, notifiers.Transient, "Send of an edit")
		})
	}
}

func TestARateLimitInEachShapeNamesItsMethodAndPause(t *testing.T) {
	shapes := map[string]struct {
		fault slacklocal.Fault
		after time.Duration
	}{
		"429 with Retry-After":     {slacklocal.Fault{Status: 429, RetryAfter: "7"}, 7 * time.Second},
		"429 with a huge pause":    {slacklocal.Fault{Status: 429, RetryAfter: "999999"}, time.Hour},
		"429 with an odd pause":    {slacklocal.Fault{Status: 429, RetryAfter: "soon"}, 0},
		"429 without Retry-After":  {slacklocal.Fault{Status: 429}, 0},
		"200 ratelimited":          {slacklocal.Fault{Error: "ratelimited"}, 0},
		"200 rate_limited":         {slacklocal.Fault{Error: "rate_limited"}, 0},
		"200 message_limit_exceed": {slacklocal.Fault{Error: "message_limit_exceeded"}, 0},
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			f := setUp(t)
			parent := f.parent()
			parent.Remote = f.send(t, parent).Remote
			calls := map[string]func() error{
				methodPost: func() error {
					_, err := f.Send(t.Context(), f.parent(), nil)
					return err
				},
				methodUpdate: func() error {
					_, err := f.Send(t.Context(), parent, nil)
					return err
				},
				methodHistory: func() error {
					_, _, err := f.Find(t.Context(), f.parent())
					return err
				},
				methodReplies: func() error {
					_, _, err := f.Find(t.Context(), f.reply(parent.Remote))
					return err
				},
				methodGetURL: func() error {
					d := f.file(parent.Remote)
					_, err := f.Send(t.Context(), d, f.checkpoint(d))
					return err
				},
				methodComplete: func() error {
					d := f.file(parent.Remote)
					_, err := f.Send(t.Context(), d, f.checkpoint(d))
					return err
				},
			}
			for method, call := range calls {
				f.ws.Fail(method, once(shape.fault))
				e := reasonOf(t, call(), notifiers.RateLimited, method)
				if e.After != shape.after || e.Scope != method {
					t.Errorf("%s: after %v for %q, want %v for the method", method, e.After, e.Scope, shape.after)
				}
			}
		})
	}
}

func TestTheLocalChannelsOwnRateLimitsArrive(t *testing.T) {
	f := setUp(t, func(_ *Options, lo *slacklocal.Options) {
		lo.Limits = slacklocal.Limits{PostPerChannel: slacklocal.Rate{Every: 3 * time.Second, Burst: 1}}
	})
	f.send(t, f.parent())
	e := f.refused(t, f.parent(), notifiers.RateLimited)
	if e.After != 3*time.Second {
		t.Errorf("after %v, want 3 s", e.After)
	}
}

func TestARefusedTokenLosesNothingAndIsSaidOnce(t *testing.T) {
	for _, code := range []string{"invalid_auth", "not_authed", "account_inactive", "token_revoked", "missing_scope"} {
		t.Run(code, func(t *testing.T) {
			f := setUp(t)
			f.ws.Fail("*", func(int) slacklocal.Fault { return slacklocal.Fault{Error: code} })
			for range 3 {
				e := f.refused(t, f.parent(), notifiers.Transient)
				if e.After < time.Second {
					t.Errorf("tried again after %v, though a person has to act", e.After)
				}
			}
			if err := f.Check(t.Context()); err == nil {
				t.Error("Check finds nothing wrong")
			}
			if n := errorsLogged(f); n != 1 {
				t.Errorf("%d errors logged, want it said once", n)
			}
			wantMetric(t, f, "triagebot_slack_token_valid", 0)

			f.ws.Fail("*", nil)
			f.send(t, f.parent())
			wantMetric(t, f, "triagebot_slack_token_valid", 1)
			if err := f.Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAChannelThatTakesNoMessages(t *testing.T) {
	ways := map[string]func(t *testing.T, f *fixture, d *triage.Delivery){
		"channel_not_found": func(_ *testing.T, _ *fixture, d *triage.Delivery) { d.Channel = "no-such" },
		"is_archived": func(t *testing.T, f *fixture, _ *triage.Delivery) {
			if err := f.ws.Archive("incidents"); err != nil {
				t.Fatal(err)
			}
		},
		"not_in_channel": func(t *testing.T, f *fixture, _ *triage.Delivery) {
			if err := f.ws.RemoveBot("incidents"); err != nil {
				t.Fatal(err)
			}
		},
	}
	for code, way := range ways {
		t.Run(code+" without a fallback", func(t *testing.T) {
			f := setUp(t)
			d := f.parent()
			way(t, f, d)
			e := f.refused(t, d, notifiers.Permanent)
			if !strings.Contains(e.Error(), code) || !strings.Contains(e.Error(), "(") {
				t.Errorf("%v: does not say what to do", e)
			}
		})
		t.Run(code+" with a fallback", func(t *testing.T) {
			f := setUp(t, withFallback)
			d := f.parent()
			way(t, f, d)
			f.ws.Fail(methodPost, func(n int) slacklocal.Fault {
				return slacklocal.Fault{Accept: true, Cut: n == 2} // the fallback's answer is lost
			})
			f.refused(t, d, notifiers.Ambiguous)
			f.ws.Fail(methodPost, nil)
			if adopted := f.found(t, d); adopted.Remote.Channel != f.ws.ChannelID("fallback") || adopted.Note == "" {
				t.Errorf("adopted %+v, want it in the fallback and said so", adopted)
			}

			other := f.parent()
			other.Channel = d.Channel
			r := f.send(t, other)
			if r.Remote.Channel != f.ws.ChannelID("fallback") || !strings.Contains(r.Note, code) {
				t.Errorf("receipt %+v, want the fallback channel and why", r)
			}
			if len(f.ws.Channel("fallback")) != 2 || len(f.ws.Channel("incidents")) != 0 {
				t.Error("the message is not in the fallback channel alone")
			}
		})
	}
}

func TestAReplyDoesNotLeaveItsThreadForAnotherChannel(t *testing.T) {
	f := setUp(t, withFallback)
	thread := f.send(t, f.parent()).Remote
	if err := f.ws.Archive("incidents"); err != nil {
		t.Fatal(err)
	}
	f.refused(t, f.reply(thread), notifiers.Permanent)
	if shown := f.ws.Channel("fallback"); len(shown) != 0 {
		t.Errorf("the fallback shows %+v", shown)
	}
}

func TestARefusedLayoutGoesOutAsPlainText(t *testing.T) {
	for _, code := range []string{"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"} {
		t.Run(code, func(t *testing.T) {
			f := setUp(t)
			f.ws.Fail(methodPost, once(slacklocal.Fault{Error: code}))
			d := f.parent()
			r := f.send(t, d)
			if !strings.Contains(r.Note, "plain text") || !strings.Contains(r.Note, code) {
				t.Errorf("note %q", r.Note)
			}
			shown := f.ws.Channel("incidents")[0]
			if shown.Blocks != nil || !strings.Contains(shown.Text, "Route: /v1/chat/completions") || !strings.Contains(shown.Text, "https://wiki.example/") {
				t.Errorf("shown: %+v, want all of it as text", shown.Message)
			}

			d.Remote = r.Remote
			f.send(t, d) // Slack takes the layout again
			if f.ws.Channel("incidents")[0].Blocks == nil {
				t.Error("the edit brought no blocks")
			}
			f.ws.Fail(methodUpdate, once(slacklocal.Fault{Error: code}))
			if r := f.send(t, d); r.Note == "" {
				t.Error("the edit as plain text is not noted")
			}
			if shown := f.ws.Channel("incidents")[0]; shown.Blocks != nil {
				t.Error("the edit as plain text left the old blocks")
			}
		})
	}
}

func TestALayoutThatIsRefusedAsTextTooIsPermanentlyRefused(t *testing.T) {
	f := setUp(t)
	f.ws.Fail(methodPost, func(int) slacklocal.Fault { return slacklocal.Fault{Error: "invalid_blocks"} })
	f.refused(t, f.parent(), notifiers.Permanent)
}

func TestAPostWithoutContentIsPermanentlyRefused(t *testing.T) {
	f := setUp(t)
	f.refused(t, f.delivery(triage.DeliveryReply, triage.Post{}), notifiers.Permanent)
}

func TestAReplyToADeletedParentIsTakenBack(t *testing.T) {
	for name, replies := range map[string]int{"without replies": 0, "with replies": 1} {
		t.Run(name, func(t *testing.T) {
			f := setUp(t)
			thread := f.send(t, f.parent()).Remote
			for range replies {
				f.send(t, f.reply(thread))
			}
			if err := f.ws.Delete("incidents", thread.ID); err != nil {
				t.Fatal(err)
			}
			d := f.reply(thread)
			f.refused(t, d, notifiers.Gone)
			if f.ws.PostsByNonce()[d.Nonce] != 1 {
				t.Error("the reply was not tried; the test shows nothing")
			}
			for _, m := range f.ws.Channel("incidents") {
				if m.Nonce() == d.Nonce {
					t.Errorf("the reply stays in the channel: %+v", m)
				}
			}
		})
	}
}

func TestAReplyThatStrayedBeforeACrashIsTakenBackByTheLook(t *testing.T) {
	f := setUp(t)
	thread := f.send(t, f.parent()).Remote
	if err := f.ws.Delete("incidents", thread.ID); err != nil {
		t.Fatal(err)
	}
	f.ws.Fail(methodPost, once(slacklocal.Fault{Accept: true, Cut: true}))
	d := f.reply(thread)
	f.refused(t, d, notifiers.Ambiguous)
	if len(f.ws.Channel("incidents")) != 1 {
		t.Fatal("the reply did not stray; the test shows nothing")
	}
	_, found, err := f.Find(t.Context(), d)
	reasonOf(t, err, notifiers.Gone, "Find")
	if found || len(f.ws.Channel("incidents")) != 0 {
		t.Errorf("found %v, the channel shows %+v", found, f.ws.Channel("incidents"))
	}
	_, _, err = f.Find(t.Context(), f.reply(thread)) // one that was never sent
	reasonOf(t, err, notifiers.Gone, "Find")
}

func TestAMessageThatCanNoLongerBeEditedIsGone(t *testing.T) {
	for _, code := range []string{"message_not_found", "cant_update_message", "edit_window_closed"} {
		t.Run(code, func(t *testing.T) {
			f := setUp(t)
			d := f.parent()
			d.Remote = f.send(t, d).Remote
			f.ws.Fail(methodUpdate, once(slacklocal.Fault{Error: code}))
			f.refused(t, d, notifiers.Gone)
		})
	}
	t.Run("deleted by a person", func(t *testing.T) {
		f := setUp(t)
		d := f.parent()
		d.Remote = f.send(t, d).Remote
		if err := f.ws.Delete("incidents", d.Remote.ID); err != nil {
			t.Fatal(err)
		}
		f.refused(t, d, notifiers.Gone)
	})
}

func errorsLogged(f *fixture) int {
	n := 0
	for _, e := range f.log.AllEntries() {
		if e.Level == logrus.ErrorLevel {
			n++
		}
	}
	return n
}

func wantMetric(t *testing.T, f *fixture, name string, want float64) {
	t.Helper()
	families, err := f.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			if got := family.GetMetric()[0].GetGauge().GetValue(); got != want {
				t.Errorf("%s = %v, want %v", name, got, want)
			}
			return
		}
	}
	t.Errorf("no metric %s", name)
}
