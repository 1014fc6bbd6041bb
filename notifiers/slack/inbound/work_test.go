package inbound

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/mux"

	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage"
)

func TestNewRefusesToWorkWithoutASecret(t *testing.T) {
	do := func(context.Context, triage.Request) triage.Reply { return triage.Reply{} }
	for name, o := range map[string]Options{
		"neither secret nor token": {Do: do, Workspace: &workspace{}},
		"no Do":                    {Workspace: &workspace{}, SigningSecret: secret},
		"no workspace":             {Do: do, SigningSecret: secret},
		"an API without slash":     {Do: do, Workspace: &workspace{}, SigningSecret: secret, APIURL: "https://slack.com/api"},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	// With an app token alone nothing may be sent by HTTP: an empty secret signs for anybody.
	i, err := New(Options{Do: do, Workspace: &workspace{}, AppToken: "xapp-1"})
	if err != nil {
		t.Fatal(err)
	}
	routes := mux.NewRouter()
	i.Register(routes)
	body := []byte(command("1.1", "status").Encode())
	r := request(CommandsPath, body)
	slacklocal.Sign(r.Header, "", time.Now(), body)
	w := httptest.NewRecorder()
	routes.ServeHTTP(w, r)
	if w.Code != http.StatusNotFound {
		t.Errorf("status %d, want 404", w.Code)
	}
}

func TestASlowCommandIsAnsweredLater(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		release := make(chan struct{})
		f := setUp(t, func(_ context.Context, r triage.Request) triage.Reply {
			<-release
			return triage.Reply{Text: "done: " + r.Text}
		})
		began := time.Now()
		if w := f.command("1.1", "trace req_1"); w.Code != http.StatusOK || w.Body.Len() != 0 {
			t.Errorf("answered %d %q", w.Code, w.Body)
		}
		if took := time.Since(began); took != 50*time.Millisecond {
			t.Errorf("Slack waited %s, want 50ms", took)
		}
		if meanwhile := <-f.hooks.came; meanwhile.said.Text != "Working on it; the answer follows." || meanwhile.at.Sub(began) != time.Second {
			t.Errorf("meanwhile posted %+v after %s", meanwhile, meanwhile.at.Sub(began))
		}
		close(release)
		f.end()
		posted := f.answers()
		if len(posted) != 2 || posted[1].said.Text != "done: triage trace req_1" || posted[1].url != "https://hooks.slack.com/commands/T0OWN0001/1/abc" {
			t.Errorf("posted %+v", posted)
		}
	})
}

func TestAFullPoolSaysSoAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		release := make(chan struct{})
		f := setUp(t, func(context.Context, triage.Request) triage.Reply {
			<-release
			return triage.Reply{Text: "done"}
		}, func(o *Options) { o.Workers, o.Queue = 2, 3 })
		for n := range 5 { // two are carried out, three wait
			if w := f.interact(click(fmt.Sprint("1.", n), "triage ack 7")); w.Code != http.StatusOK {
				t.Fatalf("click %d: status %d", n, w.Code)
			}
			synctest.Wait()
		}
		if posted := f.answers(); len(posted) != 0 {
			t.Fatalf("answered %+v while there was room", posted)
		}
		began := time.Now()
		if got := textOf(t, f.command("2.1", "status")); !strings.Contains(got, "busy") || time.Since(began) != 0 {
			t.Errorf("answered %q after %s, want at once that it is busy", got, time.Since(began))
		}
		f.interact(click("2.2", "triage ack 8"))
		if posted := f.answers(); len(posted) != 1 || !strings.Contains(posted[0].said.Text, "busy") {
			t.Errorf("the sixth click is answered %+v", posted)
		}
		said := mention("3.1", "<@U0BOT0001> ack")
		if w := f.event(said); w.Code != http.StatusServiceUnavailable {
			t.Errorf("the event's status is %d, want 503 so that Slack sends it again", w.Code)
		}
		close(release)
		synctest.Wait()
		if w := f.eventAt(time.Now().Add(time.Second), said); w.Code != http.StatusOK {
			t.Errorf("the event sent again: status %d", w.Code)
		}
		if got := len(f.requests()); got != 6 {
			t.Errorf("%d requests were carried out, want 5 clicks and the mention", got)
		}
	})
}

func TestOnlyMembersOfTheOwnWorkspaceAreServed(t *testing.T) {
	connect := func(change func(event object)) object {
		m := mention("6.1", "<@U0BOT0001> ack")
		m["is_ext_shared_channel"] = true
		change(m["event"].(object))
		return m
	}
	guest := click("1.1", "triage ack 7")
	guest["user"].(object)["team_id"] = foreign
	elsewhere := click("1.1", "triage ack 7")
	elsewhere["team"] = object{"id": foreign}
	nowhere := click("1.1", "triage ack 7")
	nowhere["user"] = object{"id": "U0ALICE01"}
	nowhere["team"] = nil
	otherView := object{
		"type": "view_submission", "trigger_id": "1.1", "user": object{"id": "U0ALICE01", "team_id": own}, "team": object{"id": own},
		"view": object{
			"callback_id": silenceDialog, "private_metadata": `{"incident":7,"channel":"C0INC0001"}`, "app_installed_team_id": foreign,
			"state": object{"values": object{blockDuration: object{inputAction: object{"value": "2h"}}}},
		},
	}
	ofCommand := command("1.1", "ack 7")
	ofCommand.Set("team_id", foreign)
	otherInstall := mention("6.1", "<@U0BOT0001> ack")
	otherInstall["authorizations"] = []object{{"team_id": foreign, "user_id": "U0BOT0001"}}

	for name, send := range map[string]func(*fixture) *httptest.ResponseRecorder{
		"a command of another workspace": func(f *fixture) *httptest.ResponseRecorder {
			return f.post(CommandsPath, []byte(ofCommand.Encode()))
		},
		"a guest's click":              func(f *fixture) *httptest.ResponseRecorder { return f.interact(guest) },
		"a click in another workspace": func(f *fixture) *httptest.ResponseRecorder { return f.interact(elsewhere) },
		"a click from nowhere":         func(f *fixture) *httptest.ResponseRecorder { return f.interact(nowhere) },
		"a dialog of another install":  func(f *fixture) *httptest.ResponseRecorder { return f.interact(otherView) },
		"a mention of another install": func(f *fixture) *httptest.ResponseRecorder { return f.event(otherInstall) },
		"a guest's mention": func(f *fixture) *httptest.ResponseRecorder {
			return f.event(connect(func(e object) { e["user_team"] = foreign }))
		},
		"a guest's mention, said otherwise": func(f *fixture) *httptest.ResponseRecorder {
			return f.event(connect(func(e object) { e["team"] = foreign }))
		},
		"a mention that says no team at all": func(f *fixture) *httptest.ResponseRecorder {
			return f.event(connect(func(e object) { delete(e, "team") }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				f := setUp(t, nil)
				w := send(f)
				if w.Code != http.StatusOK {
					t.Fatalf("status %d: %s", w.Code, w.Body)
				}
				if got := f.requests(); len(got) != 0 {
					t.Fatalf("carried out: %+v", got)
				}
				if got := f.refused(); len(got) != 1 || got[0].ID == "" || got[0].Text == "" || got[0].At.IsZero() {
					t.Errorf("audited: %+v", got)
				}
				said := w.Body.String()
				for _, a := range f.answers() {
					said += a.said.Text
				}
				for _, a := range f.whispers() {
					said += a.Text
				}
				if strings.Count(said, "Only members of triagebot's own workspace") < 1 {
					t.Errorf("they are told %q", said)
				}
			})
		})
	}
	t.Run("a member in a channel that is shared", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			f := setUp(t, nil)
			f.event(connect(func(e object) { e["source_team"] = foreign }))
			if n := len(f.requests()); n != 1 {
				t.Errorf("carried out %d times, want once", n)
			}
		})
	})
	t.Run("Slack does not say whose workspace it is", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			f := setUp(t, nil)
			f.workspace.teamErr = errors.New("auth.test: 500")
			if got := textOf(t, f.command("1.1", "ack 7")); !strings.Contains(got, "cannot be told") {
				t.Errorf("answered %q", got)
			}
			if n := len(f.requests()); n != 0 {
				t.Errorf("carried out %d times", n)
			}
		})
	})
}

func TestAPanicCostsItsOwnRequestOnly(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := setUp(t, func(_ context.Context, r triage.Request) triage.Reply {
			if strings.Contains(r.Text, "boom") {
				panic("boom")
			}
			return triage.Reply{Text: "fine"}
		}, func(o *Options) { o.Workers = 1 })
		if got := textOf(t, f.command("1.1", "boom")); !strings.Contains(got, "log says why") {
			t.Errorf("answered %q", got)
		}
		if got := textOf(t, f.command("1.2", "ack")); got != "fine" {
			t.Errorf("the next is answered %q", got)
		}
	})
}

func TestAtTheEndNobodyIsLeftWaiting(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		began, release := make(chan struct{}), make(chan struct{})
		ws, posts := &workspace{team: own}, &hooks{}
		i, err := New(Options{
			Workers: 1, Workspace: ws, SigningSecret: secret, HTTPClient: &http.Client{Transport: posts},
			Do: func(context.Context, triage.Request) triage.Reply {
				close(began)
				<-release
				return triage.Reply{Text: "done"}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		f := &fixture{Inbound: i, workspace: ws, hooks: posts, routes: mux.NewRouter()}
		i.Register(f.routes)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- i.Run(ctx) }()
		f.interact(click("1.1", "triage ack 7"))
		<-began
		f.interact(click("1.2", "triage ack 8"))
		cancel()
		synctest.Wait()
		if got := textOf(t, f.command("1.3", "status")); !strings.Contains(got, "busy") {
			t.Errorf("after the end: %q", got)
		}
		close(release)
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		said := f.answers()
		if len(said) != 2 || said[0].said.Text != "done" || !strings.Contains(said[1].said.Text, "restarting") {
			t.Errorf("answered %+v", said)
		}
	})
}

func TestARequestThatHangsIsCutShortAtTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		i, err := New(Options{
			Workspace: &workspace{team: own}, SigningSecret: secret, HTTPClient: &http.Client{Transport: &hooks{}},
			Do: func(ctx context.Context, _ triage.Request) triage.Reply {
				<-ctx.Done()
				return triage.Reply{Text: "cut"}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		f := &fixture{Inbound: i, routes: mux.NewRouter()}
		i.Register(f.routes)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- i.Run(ctx) }()
		f.interact(click("1.1", "triage ack 7"))
		synctest.Wait()
		cancel()
		stopping := time.Now()
		<-ended
		if took := time.Since(stopping); took != stopGrace {
			t.Errorf("it took %s to stop, want %s", took, stopGrace)
		}
	})
}
