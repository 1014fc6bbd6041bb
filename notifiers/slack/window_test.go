package slack

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage"
)

func windowWith(change func(*triage.WindowPost)) triage.Post {
	p := &triage.WindowPost{
		WindowID: 3, State: triage.WindowOn, Service: "app", Reason: "workers restart in a loop <!channel>", By: "alice",
		Said: "Maintenance of app is on since 10:00 UTC, until 10:30 UTC.", Since: start, Until: start.Add(30 * time.Minute),
		Choices: []triage.Choice{{Label: "Disable", Command: "maintenance disable", Style: "danger"}},
	}
	change(p)
	return triage.Post{Window: p}
}

// windowMessages are the posts of windows whose messages are golden.
func windowMessages() map[string]triage.Post {
	return map[string]triage.Post{
		"window-on": windowWith(func(*triage.WindowPost) {}),
		"window-proposed": windowWith(func(p *triage.WindowPost) {
			p.State, p.Since, p.Until = triage.WindowProposed, time.Time{}, time.Time{}
			p.Said = "Maintenance of app is asked for by alice, for 30m. It waits for a confirmation until 10:10 UTC."
		}),
		"window-overdue": windowWith(func(p *triage.WindowPost) {
			p.Overdue, p.Said = true, "Maintenance of app is overdue: it has been on since 10:00 UTC and was to end at 10:30 UTC."
		}),
		"window-off": windowWith(func(p *triage.WindowPost) {
			p.State, p.Ended, p.Choices = triage.WindowOff, start.Add(20*time.Minute), nil
			p.Said = "Maintenance of app is over. It was on for 20m, from 10:00 UTC to 10:20 UTC."
		}),
		"window-found": windowWith(func(p *triage.WindowPost) {
			p.State, p.By, p.Until, p.Reason = triage.WindowFound, "", time.Time{}, "turned on outside of triagebot"
			p.Said = "Maintenance of app is on since about 10:00 UTC, and nobody announced it. Whose is it?"
		}),
		"window-failed": windowWith(func(p *triage.WindowPost) {
			p.State, p.Since, p.Until, p.Choices = triage.WindowFailed, time.Time{}, time.Time{}, nil
			p.Said = "Maintenance of app could not be turned on. Whether it is on now is not known: somebody must look."
		}),
		"window-note": {Note: &triage.NotePost{
			WindowID: 3, Text: "Maintenance of app is overdue. Its end, 10:30 UTC, has come.", Broadcast: true, Mention: "<!here>",
		}},
		"announcement-alone": {Note: &triage.NotePost{Text: "alice announces: we restart at noon <!channel>"}},
	}
}

// Every state has words and a sign of its own to be told from others without
// colours.
func TestAWindowsStateIsSaidInWords(t *testing.T) {
	seen := map[string]triage.WindowState{}
	for _, s := range []triage.WindowState{
		triage.WindowProposed, triage.WindowCancelled, triage.WindowEnabling, triage.WindowOn, triage.WindowDisabling,
		triage.WindowOff, triage.WindowFailed, triage.WindowFound, triage.WindowUndoing, "<!channel>", "",
	} {
		header := windowHeader(&triage.WindowPost{State: s, Service: "app"})
		if other, twice := seen[header]; twice {
			t.Errorf("%q and %q are both %s", s, other, header)
		}
		seen[header] = s
	}
}

// A note that is loud pings whom the configuration names, and nobody else; with
// blocks and without.
func TestANotePingsWhomTheConfigurationNames(t *testing.T) {
	for mention, want := range map[string][]string{"<!here>": {"@here"}, "<!subteam^S0123456>": {"@S0123456"}, "": nil, "<!here> x": nil} {
		for _, fault := range []slacklocal.Fault{{}, {Error: "invalid_blocks"}} {
			f := setUp(t)
			f.ws.Fail(methodPost, once(fault))
			f.send(t, f.delivery(triage.DeliveryNotice, triage.Post{Note: &triage.NotePost{Text: "overdue <!channel>", Mention: mention}}))
			if diff := cmp.Diff(want, f.ws.Channel("incidents")[0].Pings()); diff != "" {
				t.Errorf("%s, fault %q:\n%s", mention, fault.Error, diff)
			}
		}
	}
}

func TestAWindowIsOneMessageWithAThread(t *testing.T) {
	f := setUp(t)
	d := f.delivery(triage.DeliveryParent, windowWith(func(*triage.WindowPost) {}))
	d.Remote = f.send(t, d).Remote
	d.Body = windowMessages()["window-off"]
	f.send(t, d)
	note := f.delivery(triage.DeliveryReply, windowMessages()["window-note"])
	note.Thread = d.Remote
	f.send(t, note)
	threads := f.ws.Channel("incidents")
	if replies := threads[0].Replies; len(replies) != 1 || replies[0].Subtype != "thread_broadcast" {
		t.Errorf("%+v", threads)
	}
}
