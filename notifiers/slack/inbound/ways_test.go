package inbound

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/mux"
	"github.com/sirupsen/logrus/hooks/test"

	"triagebot/notifiers/slack"
	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage"
)

const (
	alice = "U0ALICE01"
	bob   = "U0BOB0001"
	carol = "U0CAROL01" // of another workspace
)

// world is a workspace with an app that listens, by either way.
type world struct {
	ws     *slacklocal.Workspace
	parent triage.RemoteRef // of incident 7
	asked  chan triage.Request
}

func newWorld(t *testing.T, overHTTP bool) *world {
	t.Helper()
	logger, _ := test.NewNullLogger()
	w := &world{asked: make(chan triage.Request, 100)}
	lo := slacklocal.Options{
		Channels: []string{"incidents"}, Token: slacklocal.DefaultToken,
		People: []slacklocal.Person{{ID: alice, Name: "alice"}, {ID: bob, Name: "bob"}, {ID: carol, Name: "carol", Team: foreign}},
	}
	if !overHTTP {
		lo.AppToken = "xapp-1"
	}
	var err error
	if w.ws, err = slacklocal.New(lo); err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(w.ws.Handler())
	notifier, err := slack.New(slack.Options{
		Token: slacklocal.DefaultToken, APIURL: api.URL + "/api/", Log: logger,
		Open: func(context.Context, int64, string) (io.ReadCloser, int64, error) {
			return io.NopCloser(&bytes.Reader{}), 0, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Workspace: notifier, APIURL: api.URL + "/api/", Log: logger, AnswerWithin: 100 * time.Millisecond, Patience: time.Minute,
		Do: func(_ context.Context, r triage.Request) triage.Reply {
			w.asked <- r
			if strings.Contains(r.Text, "90d") {
				return triage.Reply{Text: "At most 30d & no more.", Outcome: triage.OutcomeRefused}
			}
			return triage.Reply{Text: "done: " + r.Text, Lines: []string{"<!channel>"}, Choices: []triage.Choice{{Label: "Ack", Command: "triage ack 7"}}}
		},
	}
	if overHTTP {
		o.SigningSecret = secret
	} else {
		o.AppToken = "xapp-1"
	}
	in, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	routes := mux.NewRouter()
	in.Register(routes)
	app := httptest.NewServer(routes)
	if overHTTP {
		err := w.ws.SetApp(&slacklocal.App{
			CommandsURL: app.URL + CommandsPath, InteractionsURL: app.URL + InteractionsPath, EventsURL: app.URL + EventsPath, SigningSecret: secret,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := w.ws.Close(); err != nil {
			t.Error(err)
		}
		app.Close()
		api.Close()
	})
	if !overHTTP {
		eventually(t, "a connection", func() bool { return w.ws.Connections() == 1 })
	}
	posted, err := notifier.Send(t.Context(), &triage.Delivery{
		ID: 1, Key: "incident/7", Nonce: "n", Notifier: "slack", Channel: "incidents", IncidentID: 7, Kind: triage.DeliveryParent, Version: 1,
		Body: triage.Post{Parent: &triage.ParentPost{
			IncidentID: 7, State: triage.IncidentFiring, Alertname: "CodexLatencySLOBreach", StartedAt: time.Now(),
			Choices: []triage.Choice{
				{Label: "Ack", Command: "triage ack 7"},
				{Label: "Silence", Options: []triage.Choice{{Label: "1h", Command: "triage silence 1h 7"}, {Label: "Other…"}}},
			},
		}},
	}, func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	w.parent = posted.Remote
	return w
}

// eventually asks until yes, for at most half a minute.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(30 * time.Second)
	for !yes() {
		select {
		case <-ticker.C:
		case <-limit:
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// answered waits until a person alone has seen a message that says so.
func (w *world) answered(t *testing.T, user, says string) slacklocal.Ephemeral {
	t.Helper()
	var found slacklocal.Ephemeral
	eventually(t, user+" is answered "+says, func() bool {
		for _, e := range w.ws.Ephemerals(user) {
			if strings.Contains(e.Text, says) {
				found = e
				return true
			}
		}
		return false
	})
	if pinged := found.Pings(); len(pinged) > 0 {
		t.Errorf("the answer pings %v", pinged)
	}
	return found
}

// buttonsOf is the block_id of a message's buttons, which Slack gives by place.
func buttonsOf(t *testing.T, m slacklocal.Message) string {
	t.Helper()
	var blocks []struct{ Type string }
	if err := json.Unmarshal(m.Blocks, &blocks); err != nil {
		t.Fatal(err)
	}
	for i, b := range blocks {
		if b.Type == "actions" {
			return fmt.Sprint("b", i)
		}
	}
	t.Fatalf("the message has no buttons: %s", m.Blocks)
	return ""
}

// story is what people do in a day; it returns what was asked for with it,
// without what differs from day to day.
func (w *world) story(t *testing.T) []triage.Request {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	channel := slacklocal.Place{Channel: "incidents"}
	inThread := slacklocal.Place{Channel: "incidents", Thread: w.parent.ID}
	click := func(action, option string) slacklocal.Click {
		parent := w.ws.Channel("incidents")[0].Message
		return slacklocal.Click{Channel: "incidents", TS: w.parent.ID, Block: buttonsOf(t, parent), Action: action, Option: option}
	}
	var got []triage.Request
	next := func() { got = append(got, <-w.asked) }

	must(w.ws.Say(t.Context(), alice, channel, "/triage run X route=<a> & b"))
	next()
	w.answered(t, alice, "done: triage run X")
	must(w.ws.Say(t.Context(), bob, channel, "/maintenance enable for 30m deploy"))
	next()
	w.answered(t, bob, "done: maintenance enable")
	must(w.ws.Say(t.Context(), bob, inThread, "@triagebot trace req_1"))
	next()
	w.answered(t, bob, "done: triage trace req_1")

	must(w.ws.Click(t.Context(), alice, click("triage.choice.0", "")))
	next()
	w.answered(t, alice, "done: triage ack 7")
	must(w.ws.Click(t.Context(), bob, click("triage.choice.0", "")))
	next()
	w.answered(t, bob, "done: triage ack 7")
	must(w.ws.Click(t.Context(), alice, click("triage.choice.1", "triage silence 1h 7")))
	next()

	must(w.ws.Click(t.Context(), alice, click("triage.choice.1", "other:7")))
	var modal slacklocal.Modal
	eventually(t, "the dialog", func() (open bool) { modal, open = w.ws.Modal(alice); return open })
	wrong, err := w.ws.Submit(t.Context(), alice, modal.ID, slacklocal.Submission{blockDuration: "soon"})
	must(err)
	if !strings.Contains(wrong[blockDuration], "45m") {
		t.Errorf("the dialog says %v", wrong)
	}
	wrong, err = w.ws.Submit(t.Context(), alice, modal.ID, slacklocal.Submission{blockDuration: "90d"})
	must(err)
	next()
	if wrong[blockDuration] != "At most 30d & no more." {
		t.Errorf("the dialog says %v", wrong)
	}
	wrong, err = w.ws.Submit(t.Context(), alice, modal.ID, slacklocal.Submission{blockDuration: "45m", blockComment: "deploy <v2>"})
	must(err)
	next()
	if _, open := w.ws.Modal(alice); open || len(wrong) > 0 {
		t.Errorf("the dialog stays open: %v", wrong)
	}
	w.answered(t, alice, "done: triage silence 45m 7")

	must(w.ws.Click(t.Context(), carol, click("triage.choice.0", "")))
	w.answered(t, carol, "Only members")
	must(w.ws.Say(t.Context(), carol, inThread, "@triagebot ack"))
	eventually(t, "carol is refused twice", func() bool { return len(w.ws.Ephemerals(carol)) == 2 })

	ids := map[string]bool{}
	for i := range got {
		ids[got[i].ID] = true
		if got[i].At.IsZero() || got[i].Actor.Team != slacklocal.TeamID {
			t.Errorf("request %+v", got[i])
		}
		if got[i].Place.ID == w.parent.ID {
			got[i].Place.ID = "the parent"
		}
		got[i].ID, got[i].At = "", time.Time{}
	}
	if len(ids) != len(got) {
		t.Errorf("%d requests have %d ids", len(got), len(ids))
	}
	if original := w.ws.Channel("incidents"); len(original) != 1 || !strings.Contains(original[0].Text, "incident 7") {
		t.Errorf("an answer stands where all see it, or the parent is gone: %+v", original)
	}
	if len(w.asked) > 0 {
		t.Errorf("and %+v", <-w.asked)
	}
	return got
}

func TestTheSameIsAskedForByEitherWay(t *testing.T) {
	var texts []string
	byHTTP := newWorld(t, true).story(t)
	bySocket := newWorld(t, false).story(t)
	if diff := cmp.Diff(byHTTP, bySocket); diff != "" {
		t.Errorf("over HTTP and over Socket Mode differ (-HTTP +Socket Mode):\n%s", diff)
	}
	for _, r := range byHTTP {
		texts = append(texts, r.Actor.Name+" "+r.Text+" in "+r.Place.ID)
	}
	want := []string{
		"alice triage run X route=<a> & b in ",
		"bob maintenance enable for 30m deploy in ",
		"bob triage trace req_1 in the parent",
		"alice triage ack 7 in the parent",
		"bob triage ack 7 in the parent",
		"alice triage silence 1h 7 in the parent",
		"alice triage silence 90d 7 in the parent",
		"alice triage silence 45m 7 deploy <v2> in the parent",
	}
	if !slices.Equal(texts, want) {
		t.Errorf("asked for:\n%s\nwant:\n%s", strings.Join(texts, "\n"), strings.Join(want, "\n"))
	}
}

// An answer's own buttons work like any others.
func TestAButtonOfAnAnswerIsHeard(t *testing.T) {
	w := newWorld(t, true)
	if err := w.ws.Say(t.Context(), alice, slacklocal.Place{Channel: "incidents"}, "/triage status"); err != nil {
		t.Fatal(err)
	}
	<-w.asked
	answer := w.answered(t, alice, "done: triage status")
	if err := w.ws.Click(t.Context(), alice, slacklocal.Click{Channel: "incidents", TS: answer.TS, Block: buttonsOf(t, answer.Message), Action: "triage.choice.0"}); err != nil {
		t.Fatal(err)
	}
	if got := <-w.asked; got.Text != "triage ack 7" || got.Place.ID != "" {
		t.Errorf("asked %+v", got)
	}
}
