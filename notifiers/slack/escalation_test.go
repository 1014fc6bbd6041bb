package slack

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage"
)

func escalationPost(mention string) *triage.EscalationPost {
	return &triage.EscalationPost{
		IncidentID: 7, Alertname: "CodexLatencySLOBreach", Severity: "critical", To: "oncall", Mention: mention,
		Reason: "worker backoff during a latency breach <!channel> <@U666>",
		Links:  []triage.Link{{Title: "Runbook", URL: "https://wiki.example/latency"}},
	}
}

// Only the configured mention pings, with blocks and without.
func TestAnEscalationPingsWhomTheConfigurationNames(t *testing.T) {
	for mention, want := range map[string][]string{
		"<!here>": {"@here"}, "<!channel>": {"@channel"}, "<@U0123456>": {"@U0123456"}, "<!subteam^S0123456>": {"@S0123456"},
		"": nil, "<!here> <@U1>": nil, "@here": nil, "<https://example.com>": nil,
	} {
		for _, fault := range []slacklocal.Fault{{}, {Error: "invalid_blocks"}} {
			f := setUp(t)
			f.ws.Fail(methodPost, once(fault))
			f.send(t, f.delivery(triage.DeliveryNotice, triage.Post{Escalation: escalationPost(mention)}))
			m := f.ws.Channel("incidents")[0]
			if diff := cmp.Diff(want, m.Pings()); diff != "" {
				t.Errorf("%s, fault %q:\n%s", mention, fault.Error, diff)
			}
		}
	}
}

func TestAnAnnouncementIsSeenInTheChannelToo(t *testing.T) {
	f := setUp(t)
	thread := f.send(t, f.parent()).Remote
	d := f.delivery(triage.DeliveryReply, triage.Post{Note: &triage.NotePost{IncidentID: 7, Text: "maintenance is proposed", Broadcast: true}})
	d.Thread = thread
	f.send(t, d)
	f.send(t, f.reply(thread))
	var subtypes []string
	for _, m := range f.ws.Channel("incidents")[0].Replies {
		subtypes = append(subtypes, m.Subtype)
	}
	if !slices.Equal(subtypes, []string{"thread_broadcast", ""}) {
		t.Errorf("subtypes %q", subtypes)
	}
	r, found, err := f.Find(t.Context(), d)
	if err != nil || !found || r.Remote.ID == "" {
		t.Errorf("found %t, %v", found, err)
	}

	// Without a thread there is nothing to broadcast from.
	f.send(t, f.delivery(triage.DeliveryNotice, triage.Post{Note: &triage.NotePost{IncidentID: 7, Text: "x", Broadcast: true}}))
	if m := f.ws.Channel("incidents")[1]; m.Subtype != "" {
		t.Errorf("subtype %s", m.Subtype)
	}
}

func TestANoticeIsFoundAgainInItsChannel(t *testing.T) {
	f := setUp(t)
	d := f.delivery(triage.DeliveryNotice, triage.Post{Escalation: escalationPost("")})
	if _, found, err := f.Find(t.Context(), d); found || err != nil {
		t.Errorf("found before it was sent: %t, %v", found, err)
	}
	shown := f.send(t, d)
	if r, found, err := f.Find(t.Context(), d); !found || err != nil || r.Remote != shown.Remote {
		t.Errorf("%+v, %t, %v", r, found, err)
	}
}
