package outbox

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"triagebot/notifiers"
	"triagebot/triage"
	"triagebot/triage/store"
)

func fails(reason notifiers.Reason) error {
	return &notifiers.Error{Reason: reason, Err: errors.New("scripted")}
}

// failing is a script that fails the first n calls for which which is true.
func failing(n int, err error, which func(d *triage.Delivery) bool) func(context.Context, channelCall) error {
	var mu sync.Mutex
	return func(_ context.Context, c channelCall) error {
		mu.Lock()
		defer mu.Unlock()
		if n == 0 || !which(c.Delivery) {
			return nil
		}
		n--
		return err
	}
}

func all(*triage.Delivery) bool { return true }

func isParent(d *triage.Delivery) bool { return d.Kind == triage.DeliveryParent }
func isReply(d *triage.Delivery) bool  { return d.Kind == triage.DeliveryReply }
func isEdit(d *triage.Delivery) bool   { return d.SentVersion > 0 }

func TestAnIncidentBecomesAThread(t *testing.T) {
	eachDatabase(t, func(w *world) {
		incident := w.open("ops", triage.PriorityParent)
		w.file(incident, "chart.png")
		w.reply(incident, "p95", triage.PriorityFinding)
		w.reply(incident, "p95", triage.PriorityFinding) // owed once
		defer w.work("a")()
		elapse(time.Second)

		expect(w.t, "messages", w.channel.keys(), []string{keyOf(incident, "parent"), keyOf(incident, "p95"), keyOf(incident, "chart.png")})
		expect(w.t, "threads", w.channel.threads(), []string{"", "0", "0"})
		expect(w.t, "states", w.states(incident), map[string]triage.DeliveryState{"parent": "sent", "p95": "sent", "chart.png": "sent"})
		expect(w.t, "timeline", w.timeline(incident), []string{"Posted to chat/ops"})
	})
}

func TestEditsAreCoalesced(t *testing.T) {
	eachDatabase(t, func(w *world) {
		defer w.work("a")()
		incident := w.open("ops", triage.PriorityParent)
		elapse(time.Second)
		parent := w.channel.first

		for _, text := range []string{"1 of 4", "2 of 4", "3 of 4"} {
			w.edit(incident, text, 3*time.Second)
			elapse(500 * time.Millisecond)
		}
		expect(w.t, "text before the edit is due", parent().text, "first")
		elapse(3 * time.Second)
		expect(w.t, "text", parent().text, "3 of 4")
		expect(w.t, "edits", parent().edits, 1)

		w.edit(incident, "4 of 4", 3*time.Second)
		w.edit(incident, "resolved", 0) // urgent: takes the other along
		elapse(100 * time.Millisecond)
		expect(w.t, "text after an urgent edit", parent().text, "resolved")
		elapse(time.Minute)
		expect(w.t, "edits after an urgent edit", parent().edits, 2)

		w.edit(incident, "resolved", 0) // the same again
		w.edit(incident, "firing", 3*time.Second)
		w.edit(incident, "resolved", 3*time.Second) // back to what is shown
		elapse(time.Minute)
		expect(w.t, "edits after nothing changed", parent().edits, 2)
		expect(w.t, "state", w.states(incident)["parent"], triage.DeliverySent)
	})
}

func TestAnEditOwedWhileTheParentIsSentIsMadeAfterwards(t *testing.T) {
	eachDatabase(t, func(w *world) {
		entered, leave := make(chan struct{}), make(chan struct{})
		w.channel.before = func(_ context.Context, c channelCall) error {
			if c.n == 0 {
				close(entered)
				<-leave
			}
			return nil
		}
		defer w.work("a")()
		incident := w.open("ops", triage.PriorityParent)
		<-entered
		w.edit(incident, "newer", 0)
		close(leave)
		elapse(time.Second)
		expect(w.t, "messages", len(w.channel.shown()), 1)
		expect(w.t, "text", w.channel.first().text, "newer")
	})
}

// owedStorm owes four incidents, two of them critical, with a reply each, and
// returns the order in which the messages should stand.
func (w *world) owedStorm() (want []string) {
	warnings := []int64{w.open("ops", triage.PriorityParent), w.open("ops", triage.PriorityParent)}
	criticals := []int64{w.open("ops", triage.PriorityCriticalParent), w.open("ops", triage.PriorityCriticalParent)}
	for _, incident := range slices.Concat(criticals, warnings) {
		want = append(want, keyOf(incident, "parent"))
	}
	for _, incident := range slices.Concat(warnings, criticals) {
		w.reply(incident, "p95", triage.PriorityFinding)
		want = append(want, keyOf(incident, "p95"))
	}
	return want
}

func TestRacingWorkersShowEachMessageOnceInOrderAndPaced(t *testing.T) {
	eachDatabase(t, func(w *world) {
		want := w.owedStorm()
		paced := func(o *Options) { o.Pace = map[string]store.Pace{"chat": SlackPace()} }
		stops := []func(){w.work("a", paced), w.work("b", paced), w.work("c", paced)}
		elapse(time.Minute)
		for _, stop := range stops {
			stop()
		}
		expect(w.t, "messages", w.channel.keys(), want)
		burst, shown := SlackPace().Burst, w.channel.shown()
		if apart := shown[burst-1].at.Sub(shown[0].at); apart >= time.Second {
			w.t.Errorf("the first %d messages took %v; want them at once", burst, apart)
		}
		for i := burst; i < len(shown); i++ {
			if apart := shown[i].at.Sub(shown[i-1].at); apart < time.Second {
				w.t.Errorf("%s came %v after the message before it; want at least 1s", shown[i].key, apart)
			}
		}
	})
}

func TestEditsDoNotWaitForThePaceOfPosts(t *testing.T) {
	eachDatabase(t, func(w *world) {
		defer w.work("a", func(o *Options) {
			o.Pace = map[string]store.Pace{"chat": {Post: time.Minute, Edit: 10 * time.Second}}
		})()
		one := w.open("ops", triage.PriorityParent)
		elapse(time.Second)
		w.reply(one, "waits a minute", triage.PriorityFinding)
		w.edit(one, "at once", 0)
		elapse(time.Second)
		expect(w.t, "text", w.channel.first().text, "at once")
		w.edit(one, "ten seconds later", 0)
		elapse(time.Second)
		expect(w.t, "text within the pace of edits", w.channel.first().text, "at once")
		elapse(10 * time.Second)
		expect(w.t, "text after it", w.channel.first().text, "ten seconds later")
		expect(w.t, "messages before the minute is over", len(w.channel.shown()), 1)
		elapse(time.Minute)
		expect(w.t, "messages", len(w.channel.shown()), 2)
	})
}

func TestTenMinutesOfOutageDelayMessagesAndLoseNone(t *testing.T) {
	eachDatabase(t, func(w *world) {
		until := time.Now().Add(10 * time.Minute)
		w.channel.before = func(context.Context, channelCall) error {
			if time.Now().Before(until) {
				return fails(notifiers.Transient)
			}
			return nil
		}
		defer w.work("a")()
		want := w.owedStorm()
		elapse(10 * time.Minute)
		expect(w.t, "messages during the outage", w.channel.keys(), []string{})
		if w.channel.calls() > 30 {
			w.t.Errorf("%d attempts in ten minutes: the lane should have backed off", w.channel.calls())
		}
		elapse(time.Minute)
		expect(w.t, "messages after it", w.channel.keys(), want)
	})
}

func TestAnAttemptOfUnknownEndIsLookedFor(t *testing.T) {
	t.Run("shown", func(t *testing.T) {
		eachDatabase(t, func(w *world) {
			w.channel.after = failing(2, fails(notifiers.Ambiguous), all)
			defer w.work("a")()
			incident := w.open("ops", triage.PriorityParent)
			w.reply(incident, "p95", triage.PriorityFinding)
			elapse(time.Minute)
			expect(w.t, "messages", w.channel.keys(), []string{keyOf(incident, "parent"), keyOf(incident, "p95")})
			expect(w.t, "threads", w.channel.threads(), []string{"", "0"})
			expect(w.t, "calls of Send", w.channel.calls(), 2)
		})
	})
	t.Run("not shown", func(t *testing.T) {
		eachDatabase(t, func(w *world) {
			w.channel.script(failing(1, errors.New("an error of no known class"), all))
			defer w.work("a")()
			start := time.Now()
			incident := w.open("ops", triage.PriorityParent)
			elapse(time.Minute)
			expect(w.t, "messages", w.channel.keys(), []string{keyOf(incident, "parent")})
			if looks := w.channel.looks(); len(looks) != 2 || looks[1].Sub(looks[0]) < 2*time.Second {
				w.t.Errorf("looks at %v; want two, 2s apart", looks)
			}
			if waited := w.channel.first().at.Sub(start); waited > 10*time.Second {
				w.t.Errorf("sent again after %v; want soon after the second look", waited)
			}
		})
	})
	t.Run("shown, and its body changed meanwhile", func(t *testing.T) {
		eachDatabase(t, func(w *world) {
			w.channel.after = failing(1, fails(notifiers.Ambiguous), all)
			defer w.work("a")()
			incident := w.open("ops", triage.PriorityParent)
			elapse(time.Second)
			w.edit(incident, "newer", 0)
			elapse(time.Minute)
			expect(w.t, "messages", len(w.channel.shown()), 1)
			expect(w.t, "text", w.channel.first().text, "newer")
		})
	})
	t.Run("panic", func(t *testing.T) {
		eachDatabase(t, func(w *world) {
			w.channel.after = func(_ context.Context, c channelCall) error {
				if c.n == 0 {
					panic("scripted")
				}
				return nil
			}
			defer w.work("a")()
			incident := w.open("ops", triage.PriorityParent)
			elapse(time.Minute)
			expect(w.t, "messages", w.channel.keys(), []string{keyOf(incident, "parent")})
			expect(w.t, "calls of Send", w.channel.calls(), 1)
		})
	})
	t.Run("while the look fails", func(t *testing.T) {
		eachDatabase(t, func(w *world) {
			w.channel.after = failing(1, fails(notifiers.Ambiguous), all)
			until := time.Now().Add(time.Minute)
			w.channel.find = func(*triage.Delivery) error {
				if time.Now().Before(until) {
					return fails(notifiers.Transient)
				}
				return nil
			}
			defer w.work("a")()
			incident := w.open("ops", triage.PriorityParent)
			elapse(3 * time.Minute)
			expect(w.t, "messages", w.channel.keys(), []string{keyOf(incident, "parent")})
			expect(w.t, "state", w.states(incident)["parent"], triage.DeliverySent)
		})
	})
}

func TestLooksDoNotHoldOtherLanesBack(t *testing.T) {
	eachDatabase(t, func(w *world) {
		w.channel.script(failing(1, fails(notifiers.Ambiguous), func(d *triage.Delivery) bool { return d.Channel == "ops" }))
		defer w.work("a", func(o *Options) { o.Lanes, o.LookInterval = 1, time.Hour })()
		w.open("ops", triage.PriorityCriticalParent)
		elapse(time.Second)
		other := w.open("payments", triage.PriorityParent)
		elapse(time.Second)
		expect(w.t, "messages", w.channel.keys(), []string{keyOf(other, "parent")})
	})
}

// marks are the messages shown that say that they may repeat another.
func (w *world) marks() map[string]int {
	marked := map[string]int{}
	for _, m := range w.channel.shown() {
		if m.mayRepeat {
			marked[m.key]++
		}
	}
	return marked
}

func TestALookThatIsNotAnsweredHoldsUpOnlyItsMessage(t *testing.T) {
	for name, unanswered := range map[string]*notifiers.Error{
		"it fails":        {Reason: notifiers.Transient, Err: errors.New("scripted")},
		"looks are rated": {Reason: notifiers.RateLimited, After: 30 * time.Second, Scope: "conversations.history", Err: errors.New("429")},
	} {
		t.Run(name, func(t *testing.T) {
			eachDatabase(t, func(w *world) {
				w.channel.find = func(*triage.Delivery) error { return unanswered }
				lost := w.open("ops", triage.PriorityCriticalParent)
				w.reply(lost, "p95", triage.PriorityFinding)
				w.channel.script(failing(1, fails(notifiers.Ambiguous), all))
				stop := w.work("a")
				elapse(10 * time.Second)
				var want []string
				for _, priority := range []int{triage.PriorityParent, triage.PriorityCriticalParent} {
					other := w.open("ops", priority)
					w.reply(other, "p95", triage.PriorityFinding)
					elapse(3 * time.Second)
					want = append(want, keyOf(other, "parent"), keyOf(other, "p95"))
				}
				expect(w.t, "messages while the look fails", w.channel.keys(), want)

				// What was counted outlives the worker, and it has an end.
				stop()
				defer w.work("b")()
				elapse(30 * time.Minute)
				want = append(want, keyOf(lost, "parent"), keyOf(lost, "p95"))
				expect(w.t, "messages in the end", w.channel.keys(), want)
				expect(w.t, "marked", w.marks(), map[string]int{keyOf(lost, "parent"): 1})
				if looks := len(w.channel.looks()); looks != looksMade {
					w.t.Errorf("%d looks were made, want %d", looks, looksMade)
				}
			})
		})
	}
}

func TestAMessageIsNotRepeatedIfItIsFoundAtLast(t *testing.T) {
	eachDatabase(t, func(w *world) {
		until := time.Now().Add(5 * time.Minute)
		w.channel.find = func(*triage.Delivery) error {
			if time.Now().Before(until) {
				return fails(notifiers.Transient)
			}
			return nil
		}
		w.channel.after = failing(1, fails(notifiers.Ambiguous), isReply)
		defer w.work("a")()
		incident := w.open("ops", triage.PriorityParent)
		w.reply(incident, "p95", triage.PriorityFinding)
		w.reply(incident, "backoff", triage.PriorityFinding)
		elapse(10 * time.Minute)
		expect(w.t, "messages", w.channel.keys(), []string{keyOf(incident, "parent"), keyOf(incident, "p95"), keyOf(incident, "backoff")})
		expect(w.t, "marked", w.marks(), map[string]int{})
		expect(w.t, "state", w.states(incident)["p95"], triage.DeliverySent)
	})
}

func TestWhatCannotBeLookedForGoesAgainAndSaysSo(t *testing.T) {
	eachDatabase(t, func(w *world) {
		start := time.Now()
		w.channel.find = func(*triage.Delivery) error { return fails(notifiers.Permanent) }
		first := map[string]bool{}
		w.channel.after = func(_ context.Context, c channelCall) error {
			if first[c.Key] {
				return nil
			}
			first[c.Key] = true
			return fails(notifiers.Ambiguous)
		}
		defer w.work("a")()
		incident := w.open("ops", triage.PriorityParent)
		w.reply(incident, "p95", triage.PriorityFinding)
		w.file(incident, "chart.png")
		elapse(time.Minute)
		want := map[string]int{keyOf(incident, "parent"): 1, keyOf(incident, "p95"): 1, keyOf(incident, "chart.png"): 1}
		expect(w.t, "marked", w.marks(), want)
		expect(w.t, "messages", len(w.channel.shown()), 2*len(want))
		expect(w.t, "timeline", w.timeline(incident)[:2], []string{
			"Sent again to chat/ops after an attempt of unknown end: possible duplicate", "Posted to chat/ops",
		})
		expect(w.t, "states", w.states(incident), map[string]triage.DeliveryState{"parent": "sent", "p95": "sent", "chart.png": "sent"})
		if at := w.deliveries(incident)["parent"].MayRepeat; at.Sub(start).Abs() > time.Second {
			w.t.Errorf("the parent may repeat a message of %v; want that of the first attempt, at %v", at, start)
		}
	})
}

func TestRepeatsHaveAnEnd(t *testing.T) {
	eachDatabase(t, func(w *world) {
		w.channel.find = func(*triage.Delivery) error { return fails(notifiers.Permanent) }
		w.channel.after = failing(-1, fails(notifiers.Ambiguous), all)
		defer w.work("a")()
		incident := w.open("ops", triage.PriorityCriticalParent)
		elapse(time.Hour)
		expect(w.t, "calls of Send", w.channel.calls(), 1+repeatsMade)
		expect(w.t, "state", w.states(incident)["parent"], triage.DeliveryParked)
	})
}

func TestARateLimitPausesWhatItCovers(t *testing.T) {
	limited := func(scope string) error {
		return &notifiers.Error{Reason: notifiers.RateLimited, After: 20 * time.Second, Scope: scope, Err: errors.New("429")}
	}
	for _, test := range []struct {
		name, scope   string
		otherChannels bool // go on
	}{
		{"the channel", "", true},
		{"a method", "chat.postMessage", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			eachDatabase(t, func(w *world) {
				defer w.work("a")()
				shown := w.open("payments", triage.PriorityParent)
				elapse(time.Second)
				w.channel.script(failing(1, limited(test.scope), all))
				w.open("ops", triage.PriorityParent)
				elapse(time.Second)
				w.reply(shown, "p95", triage.PriorityFinding)
				w.edit(shown, "edited", 0)
				elapse(time.Second)

				expect(w.t, "edit in another channel", w.channel.first().text, "edited")
				expect(w.t, "reply in another channel is shown", len(w.channel.shown()) == 2, test.otherChannels)
				elapse(16 * time.Second)
				expect(w.t, "parent in the channel is shown early", len(w.channel.shown()) == 3, false)
				elapse(5 * time.Second)
				expect(w.t, "messages", len(w.channel.shown()), 3)
			})
		})
	}
	t.Run("for 30 s where it does not say", func(t *testing.T) {
		eachDatabase(t, func(w *world) {
			w.channel.script(failing(1, fails(notifiers.RateLimited), all))
			defer w.work("a")()
			w.open("ops", triage.PriorityParent)
			elapse(29 * time.Second)
			expect(w.t, "messages", len(w.channel.shown()), 0)
			elapse(2 * time.Second)
			expect(w.t, "messages", len(w.channel.shown()), 1)
		})
	})
}

func TestAParkedParentParksItsRepliesUntilItIsShownAfterAll(t *testing.T) {
	eachDatabase(t, func(w *world) {
		w.channel.script(failing(1, fails(notifiers.Permanent), isParent))
		defer w.work("a")()
		incident := w.open("ops", triage.PriorityParent)
		w.reply(incident, "p95", triage.PriorityFinding)
		elapse(time.Minute)
		w.reply(incident, "later", triage.PriorityFinding)
		elapse(time.Minute)
		expect(w.t, "messages", w.channel.keys(), []string{})
		expect(w.t, "states", w.states(incident), map[string]triage.DeliveryState{"parent": "parked", "p95": "parked", "later": "parked"})
		expect(w.t, "reason", w.deliveries(incident)["p95"].LastError, "its thread's parent message could not be shown")
		expect(w.t, "timeline", w.timeline(incident), []string{
			"Could not show " + keyOf(incident, "parent") + " in chat/ops: permanent: scripted",
		})

		w.edit(incident, "another body", 0)
		elapse(time.Minute)
		expect(w.t, "messages after the body changed", w.channel.keys(), []string{keyOf(incident, "parent"), keyOf(incident, "p95"), keyOf(incident, "later")})
	})
}

func TestAParkedReplyCostsOnlyItself(t *testing.T) {
	eachDatabase(t, func(w *world) {
		w.channel.script(failing(1, fails(notifiers.Permanent), isReply))
		defer w.work("a")()
		incident := w.open("ops", triage.PriorityParent)
		w.reply(incident, "p95", triage.PriorityFinding)
		w.reply(incident, "backoff", triage.PriorityFinding)
		elapse(time.Minute)
		expect(w.t, "states", w.states(incident), map[string]triage.DeliveryState{"parent": "sent", "p95": "parked", "backoff": "sent"})
	})
}

func TestADeletedMessageIsLeftAlone(t *testing.T) {
	for name, which := range map[string]func(*triage.Delivery) bool{"found out by an edit": isEdit, "found out by a reply": isReply} {
		t.Run(name, func(t *testing.T) {
			eachDatabase(t, func(w *world) {
				defer w.work("a")()
				incident := w.open("ops", triage.PriorityParent)
				elapse(time.Second)
				w.channel.script(failing(-1, fails(notifiers.Gone), which))
				w.edit(incident, "edited", 0)
				elapse(time.Second)
				w.reply(incident, "p95", triage.PriorityFinding)
				elapse(time.Second)
				calls := w.channel.calls()
				w.edit(incident, "edited again", 0)
				w.reply(incident, "backoff", triage.PriorityFinding)
				elapse(time.Minute)

				expect(w.t, "calls after it was known", w.channel.calls()-calls, 0)
				expect(w.t, "states", w.states(incident), map[string]triage.DeliveryState{"parent": "sent", "p95": "parked", "backoff": "parked"})
				expect(w.t, "timeline", w.timeline(incident), []string{
					"Posted to chat/ops", "The incident's message in chat/ops was deleted; nothing more is shown there",
				})
			})
		})
	}
}

func TestAnEditThatMayNotHaveArrivedIsMadeAgain(t *testing.T) {
	eachDatabase(t, func(w *world) {
		w.channel.script(failing(1, fails(notifiers.Ambiguous), isEdit))
		defer w.work("a")()
		incident := w.open("ops", triage.PriorityParent)
		elapse(time.Second)
		w.edit(incident, "newer", 0)
		elapse(time.Minute)
		expect(w.t, "text", w.channel.first().text, "newer")
		expect(w.t, "looks", len(w.channel.looks()), 0)
	})
}
