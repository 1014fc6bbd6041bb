package command_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	logrustest "github.com/sirupsen/logrus/hooks/test"

	"triagebot/triage"
	"triagebot/triage/access"
	"triagebot/triage/command"
	"triagebot/triage/evidence"
	"triagebot/triage/incident"
	"triagebot/triage/receive"
	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

var update = flag.Bool("update", false, "write the golden files")

var t0 = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

// world is a core on a database of its own, with a clock that the test moves.
type world struct {
	t    *testing.T
	db   *store.DB
	inc  *incident.Correlator
	core *command.Core
	now  time.Time
	n    int // requests so far
	who  triage.Actor
}

var (
	alice = triage.Actor{Via: triage.ViaSlack, Team: "T1", ID: "UALICE", Name: "alice"}
	bob   = triage.Actor{Via: triage.ViaSlack, Team: "T1", ID: "UBOB", Name: "bob"}
	eve   = triage.Actor{Via: triage.ViaSlack, Team: "T1", ID: "UEVE", Name: "eve"}
)

func each(t *testing.T, test func(w *world)) {
	storetest.Each(t, func(t *testing.T, where store.Options) { test(newWorld(t, where)) })
}

func newWorld(t *testing.T, where store.Options) *world {
	w := &world{t: t, now: t0, who: alice}
	clock := func() time.Time { return w.now }
	where.Now = clock
	w.db = storetest.Open(t, where)
	log, _ := logrustest.NewNullLogger()
	never := func(context.Context, int64) error { return nil }
	if _, err := w.db.NewJobs(store.JobsOptions{ReplicaID: "test", Run: never, Publish: never, Silence: never, Log: log}); err != nil {
		t.Fatal(err)
	}
	redactor := evidence.NewRedactor()
	redact := func(text string) string { out, _ := redactor.RedactString(text); return out }
	w.inc = incident.New(incident.Options{
		Store: w.db,
		Settings: func() incident.Settings {
			return incident.Settings{ReopenWithin: 15 * time.Minute, AlertTTL: 24 * time.Hour, RerunAfter: 5 * time.Minute, EditEvery: 5 * time.Second, VanishedAfter: 5 * time.Minute}
		},
		Playbook: func(l triage.Labels) (string, bool) { return "latency", l["alertname"] == "Slow" },
		Destinations: func(triage.Labels) []triage.Destination {
			return []triage.Destination{{Notifier: "slack", Channel: "#inc"}}
		},
		Parent: incident.Parent{Fallback: "fallback", Redact: redact, Offers: func(triage.Incident) *incident.Offers {
			return &incident.Offers{Silence: true, Escalate: []string{"oncall", "lead"}}
		}},
		Now: clock, Log: log,
	})
	w.core = command.New(command.Options{
		Store: w.db, Incidents: w.inc,
		Access: access.New(access.Options{
			Rules: func() access.Rules {
				return access.Rules{access.Look: {Users: []string{access.Anyone}}, access.Respond: {Users: []string{"UALICE", "UBOB"}}, access.Maintain: {Users: []string{"UALICE"}}}
			},
			Team: func(context.Context) (string, error) { return "T1", nil },
		}),
		Silencer: func(inc triage.Incident) (string, bool) { return "main", inc.Alertname == "Slow" },
		Contacts: func() map[string][]triage.Contact {
			return map[string][]triage.Contact{
				"oncall": {{Destination: triage.Destination{Notifier: "slack", Channel: "#oncall"}, Mention: "<!here>"}},
				"lead":   {{Destination: triage.Destination{Notifier: "slack", Channel: "#lead"}}},
			}
		},
		Playbooks: func() []command.Playbook {
			return []command.Playbook{{Name: "latency", Title: "Latency", Match: `alertname="Slow"`}}
		},
		Traces: traces{},
		Pages: func(inc triage.Incident) []triage.Link {
			return []triage.Link{{Title: "Incident page", URL: fmt.Sprintf("http://triagebot.example/incidents/%d", inc.ID)}}
		},
		Redact: redact, Now: clock, Log: log,
	})
	return w
}

// traces knows one request.
type traces struct{}

func (traces) Trace(_ context.Context, id string) (string, bool, bool, error) {
	switch id {
	case "req_1":
		return "req_1 took 41.2 s\n  0 s  access  200\n  38.9 s  proto  send", true, true, nil
	case "req_broken":
		return "", false, false, errors.New("the disk is gone")
	}
	return "", false, true, nil
}

func (traces) Pick(_ context.Context, _, route string) ([]string, error) {
	if route != "" {
		return nil, nil
	}
	return []string{"req_1  took 41.2s", "req_2  took 9s"}, nil
}

// fires has Alertmanager say that an alert fires, or, with an end, that it ended.
func (w *world) fires(name string, ended bool) {
	w.t.Helper()
	status, ends := "firing", time.Time{}
	if ended {
		status, ends = "resolved", w.now
	}
	alert := map[string]any{
		"status": status, "labels": map[string]string{"alertname": name, "severity": "critical", "route": "/v1"},
		"annotations": map[string]string{"summary": name + " is bad"}, "startsAt": t0, "endsAt": ends, "fingerprint": "00000000000000a" + name[:1],
	}
	body, err := json.Marshal(map[string]any{
		"version": "4", "status": status, "receiver": "triagebot", "groupKey": name, "groupLabels": map[string]string{"alertname": name, "route": "/v1"},
		"commonLabels": map[string]string{}, "commonAnnotations": map[string]string{}, "externalURL": "http://am.example", "alerts": []any{alert},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.db.CommitNotifications(w.t.Context(), []receive.Raw{{Body: body, ReceivedAt: w.now}}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.inc.Drain(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) ask(text string) triage.Reply {
	w.n++
	return w.core.Do(w.t.Context(), triage.Request{ID: fmt.Sprint("r", w.n), Actor: w.who, Text: text})
}

// corpus are the commands of testdata/corpus.txt.
func corpus(t *testing.T) (texts []string) {
	t.Helper()
	f, err := os.Open("testdata/corpus.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if line := s.Text(); line != "" && line[0] != '#' || strings.HasPrefix(line, "#1") {
			texts = append(texts, line)
		}
	}
	return texts
}

func show(b *strings.Builder, text string, r triage.Reply) {
	fmt.Fprintf(b, "> %s\n%s: %s\n", text, r.Outcome, r.Text)
	for _, l := range r.Lines {
		b.WriteString(strings.TrimRight("    "+l, " ") + "\n")
	}
	for _, l := range r.Links {
		fmt.Fprintf(b, "    [%s] %s\n", l.Title, l.URL)
	}
	for _, c := range r.Choices {
		fmt.Fprintf(b, "    (%s) %s\n", c.Label, c.Command)
	}
	b.WriteString("\n")
}

func TestTheCorpus(t *testing.T) {
	const golden = "testdata/corpus.golden"
	storetest.Each(t, func(t *testing.T, where store.Options) {
		w := newWorld(t, where)
		w.fires("Slow", false)
		w.fires("Errors", false)
		w.now = w.now.Add(3 * time.Minute)
		var b strings.Builder
		for _, text := range corpus(t) {
			show(&b, text, w.ask(text))
		}
		if *update {
			if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Error(diff)
		}
	})
}

// notes are the texts in an incident's thread.
func (w *world) notes(id int64) (texts []string) {
	w.t.Helper()
	all, err := w.db.DeliveriesOf(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range all {
		switch {
		case d.Body.Note != nil:
			texts = append(texts, d.Body.Note.Text)
		case d.Body.Escalation != nil:
			texts = append(texts, "to "+d.Channel+": "+d.Body.Escalation.Reason)
		}
	}
	return texts
}

func (w *world) parent(id int64) triage.ParentPost {
	w.t.Helper()
	all, err := w.db.DeliveriesOf(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range all {
		if d.Body.Parent != nil {
			return *d.Body.Parent
		}
	}
	w.t.Fatal("no parent")
	return triage.ParentPost{}
}

func labels(choices []triage.Choice) (out []string) {
	for _, c := range choices {
		out = append(out, c.Label)
	}
	return out
}

func TestAnAckIsSeenByAll(t *testing.T) {
	each(t, func(w *world) {
		w.fires("Slow", false)
		if got := labels(w.parent(1).Choices); !slices.Equal(got, []string{"Ack", "Silence", "Re-run", "Escalate"}) {
			w.t.Errorf("the parent has the buttons %q", got)
		}
		w.ask("triage ack 1")
		if got := w.notes(1); !slices.Equal(got, []string{"Acknowledged by alice."}) {
			w.t.Errorf("the thread says %q", got)
		}
		if p := w.parent(1); p.AckedBy != "alice" || slices.Contains(labels(p.Choices), "Ack") {
			w.t.Errorf("the parent says %+v", p)
		}
		w.fires("Slow", true)
		if p := w.parent(1); len(p.Choices) != 0 {
			w.t.Errorf("a resolved incident still has buttons: %+v", p.Choices)
		}
	})
}

// Two people may have one name, and one person may change theirs.
func TestWhoHasAnIncidentIsKnownById(t *testing.T) {
	each(t, func(w *world) {
		w.fires("Slow", false)
		w.ask("triage ack 1")
		w.who.Name = "Alice in the night shift"
		if r := w.ask("triage ack 1"); r.Outcome != triage.OutcomeDone || !strings.HasPrefix(r.Text, "Incident 1 is yours already") {
			w.t.Errorf("of who changed their name: %+v", r)
		}
		for _, other := range []triage.Actor{{Via: triage.ViaSlack, Team: "T1", ID: "UBOB", Name: "alice"}, {Via: triage.ViaCtl, ID: "alice"}, {Via: triage.ViaCtl, ID: alice.ID}} {
			w.who = other
			if r := w.ask("triage ack 1"); r.Outcome != triage.OutcomeRefused || !strings.HasPrefix(r.Text, "Incident 1 is taken already: acknowledged by alice") {
				w.t.Errorf("of %+v: %+v", other, r)
			}
		}
	})
}

// A request that comes twice, as Slack sends what was not answered in time, is
// done once and answered alike; so is a click of two people at once.
func TestARequestThatComesTwiceIsDoneOnce(t *testing.T) {
	each(t, func(w *world) {
		w.fires("Slow", false)
		req := triage.Request{ID: "same", Actor: alice, Text: "triage escalate 1 to oncall"}
		replies := make([]triage.Reply, 5)
		var wg sync.WaitGroup
		for i := range replies {
			wg.Go(func() { replies[i] = w.core.Do(w.t.Context(), req) })
		}
		wg.Wait()
		for _, r := range replies[1:] {
			if diff := cmp.Diff(replies[0], r); diff != "" {
				w.t.Error(diff)
			}
		}
		if got := w.notes(1); len(got) != 2 {
			w.t.Errorf("told %q", got)
		}
	})
}

func TestTwoPeopleAtOnceSeeOneOutcome(t *testing.T) {
	each(t, func(w *world) {
		w.fires("Slow", false)
		replies := map[string]triage.Reply{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for _, who := range []triage.Actor{alice, bob} {
			wg.Go(func() {
				r := w.core.Do(w.t.Context(), triage.Request{ID: who.ID, Actor: who, Text: "triage ack 1"})
				mu.Lock()
				defer mu.Unlock()
				replies[who.Name] = r
			})
		}
		wg.Wait()
		winner := w.parent(1).AckedBy
		for name, r := range replies {
			if won := r.Outcome == triage.OutcomeDone; won != (name == winner) || !won && !strings.HasPrefix(r.Text, "Incident 1 is taken already: acknowledged by "+winner) {
				w.t.Errorf("%s has it, and %s is told %q", winner, name, r.Text)
			}
		}
		if got := w.notes(1); len(got) != 1 {
			w.t.Errorf("the thread says %q", got)
		}
	})
}

// silences are the ends of those that were asked for an incident.
func (w *world) silences(id int64) (ends []time.Time) {
	w.t.Helper()
	if err := w.db.Tx(w.t.Context(), func(tx *store.Tx) error {
		all, err := tx.SilencesOf(w.t.Context(), id)
		for _, s := range all {
			ends = append(ends, s.EndsAt)
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return ends
}

// Of two clicks on the same length the later would end moments later: it is no
// other silence.
func TestADoubleClickMakesOneSilence(t *testing.T) {
	each(t, func(w *world) {
		w.fires("Slow", false)
		w.ask("triage silence 1h 1")
		w.now = w.now.Add(2 * time.Second)
		for _, who := range []triage.Actor{alice, bob} {
			w.who = who
			if r := w.ask("triage silence 1h 1"); r.Outcome != triage.OutcomeRefused || !strings.HasPrefix(r.Text, "alice silenced incident 1 already, until 2026-03-01 04:00 UTC") {
				w.t.Errorf("%s is told %+v", who.Name, r)
			}
		}
		w.now = w.now.Add(10 * time.Minute)
		w.ask("triage silence 1h 1")
		if got, want := w.silences(1), []time.Time{t0.Add(time.Hour), w.now.Add(time.Hour)}; !slices.EqualFunc(got, want, time.Time.Equal) {
			w.t.Errorf("silences until %v; want %v", got, want)
		}
	})
}

// What adds up, a page for each click and a quarter of an hour for each, is done
// once when two click at once.
func TestADoubleClickPagesAndExtendsOnce(t *testing.T) {
	each(t, func(w *world) {
		w.fires("Slow", false)
		w.fires("Errors", false)
		opts, kept := w.core.Options, &enabled{}
		opts.Maintenance = kept
		opts.Access = access.New(access.Options{
			Rules: func() access.Rules {
				return access.Rules{access.Respond: {Users: []string{access.Anyone}}, access.Maintain: {Users: []string{access.Anyone}}}
			},
			Team: func(context.Context) (string, error) { return "T1", nil },
		})
		w.core = command.New(opts)
		for _, text := range []string{"triage escalate 1 to oncall", "maintenance extend 15m"} {
			var wg sync.WaitGroup
			replies := make([]triage.Reply, 4)
			for i := range replies {
				who := []triage.Actor{alice, bob}[i%2]
				wg.Go(func() {
					replies[i] = w.core.Do(w.t.Context(), triage.Request{ID: fmt.Sprint(text, i), Actor: who, Text: text})
				})
			}
			wg.Wait()
			done := 0
			for _, r := range replies {
				if r.Outcome == triage.OutcomeDone {
					done++
				} else if r.Outcome != triage.OutcomeRefused || !strings.Contains(r.Text, " did this a moment ago, so it was not done again: ") {
					w.t.Errorf("%s: %+v", text, r)
				}
			}
			if done != 1 {
				w.t.Errorf("%s was done %d times", text, done)
			}
		}
		if got := w.notes(1); len(got) != 2 || len(kept.asked) != 1 {
			w.t.Errorf("told %q, extended %d times", got, len(kept.asked))
		}
		if r := w.ask("triage escalate 2 to oncall"); r.Outcome != triage.OutcomeDone {
			w.t.Errorf("of another incident: %+v", r)
		}
		w.now = w.now.Add(time.Minute)
		if r := w.ask("triage escalate 1 to oncall"); r.Outcome != triage.OutcomeDone {
			w.t.Errorf("a minute later: %+v", r)
		}
	})
}

func TestALateClickIsAnsweredPolitely(t *testing.T) {
	each(t, func(w *world) {
		w.fires("Slow", false)
		w.now = w.now.Add(time.Minute)
		w.fires("Slow", true)
		if r := w.ask("triage ack 1"); r.Outcome != triage.OutcomeRefused || !strings.Contains(r.Text, "resolved 0s ago") {
			w.t.Errorf("of a resolved one: %+v", r)
		}
		// Its run would hold it open, so that run is over first.
		if err := w.db.Tx(w.t.Context(), func(tx *store.Tx) error {
			_, err := tx.EndRun(w.t.Context(), 1, triage.RunFinished, "", w.now)
			return err
		}); err != nil {
			w.t.Fatal(err)
		}
		w.now = w.now.Add(time.Hour)
		if err := w.inc.Sweep(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		before := len(w.notes(1))
		for _, text := range []string{"triage ack 1", "triage silence 1h 1", "triage rerun 1", "triage escalate 1 to oncall"} {
			if r := w.ask(text); r.Outcome != triage.OutcomeRefused || !strings.Contains(r.Text, "is closed since") {
				w.t.Errorf("%s: %+v", text, r)
			}
		}
		if len(w.notes(1)) != before {
			w.t.Error("something was said in a sealed thread")
		}
	})
}

func TestWhoMayNotIsRefusedAndAudited(t *testing.T) {
	each(t, func(w *world) {
		w.fires("Slow", false)
		w.who = eve
		for _, text := range []string{"triage ack 1", "triage silence 1h 1", "triage rerun 1", "triage escalate 1 to oncall", "triage run Slow", "maintenance enable for 30m x"} {
			if r := w.ask(text); r.Outcome != triage.OutcomeRefused || !strings.Contains(r.Text, "You may not do this") {
				w.t.Errorf("%s: %+v", text, r)
			}
		}
		if r := w.ask("triage incidents"); r.Outcome != triage.OutcomeDone {
			w.t.Errorf("looking is free: %+v", r)
		}
		if len(w.notes(1)) != 0 || w.parent(1).AckedBy != "" {
			w.t.Error("something was done")
		}
		acts, err := w.db.Acts(w.t.Context(), store.ActFilter{Limit: 50})
		if err != nil || len(acts) != 6 {
			w.t.Fatal(len(acts), err)
		}
		if a := acts[len(acts)-1]; a.Actor != eve || a.Text != "triage ack 1" || a.Outcome != triage.OutcomeRefused || !a.At.Equal(t0) {
			w.t.Errorf("audited as %+v", a)
		}
	})
}

func TestAnIncidentIsFoundByWhereItWasAsked(t *testing.T) {
	each(t, func(w *world) {
		w.fires("Slow", false)
		r := w.core.Do(w.t.Context(), triage.Request{ID: "a", Actor: alice, Text: "triage ack", Place: triage.RemoteRef{Channel: "C1"}})
		if r.Outcome != triage.OutcomeUnclear {
			w.t.Errorf("in a channel that shows none: %+v", r)
		}
		r = w.core.Do(w.t.Context(), triage.Request{ID: "b", Actor: alice, Text: "triage ack", Incident: 1})
		if r.Outcome != triage.OutcomeDone || w.parent(1).AckedBy != "alice" {
			w.t.Errorf("by its button: %+v", r)
		}
		w.fires("Errors", false)
		if r := w.ask("triage ack"); r.Outcome != triage.OutcomeUnclear || len(r.Lines) < 4 {
			w.t.Errorf("two fire, and none was chosen: %+v", r)
		}
	})
}

// shown has the outbox show an incident's parent at a place.
func (w *world) shown(at triage.RemoteRef) {
	w.t.Helper()
	claim, err := w.db.Claim(w.t.Context(), store.Hold{Lane: store.Lane{Notifier: "slack", Channel: "#inc"}, Owner: "test", Lease: time.Minute})
	if err != nil || claim.Delivery == nil {
		w.t.Fatal(claim, err)
	}
	if err := w.db.Delivered(w.t.Context(), claim.Delivery, at, ""); err != nil {
		w.t.Fatal(err)
	}
}

// enabled is a maintenance that keeps what it was asked for.
type enabled struct {
	command.Maintenance
	asked []triage.Request
}

func (e *enabled) Disable(_ context.Context, _ *store.Tx, req triage.Request, window int64, reason string, override bool) (triage.Reply, error) {
	e.asked = append(e.asked, req)
	return triage.Reply{Text: fmt.Sprintf("%d %q %t", window, reason, override)}, nil
}

func (e *enabled) Extend(_ context.Context, _ *store.Tx, req triage.Request, _ int64, by time.Duration) (triage.Reply, error) {
	e.asked = append(e.asked, req)
	return triage.Reply{Text: "It ends " + by.String() + " later."}, nil
}

func (e *enabled) Enable(_ context.Context, _ *store.Tx, req triage.Request, _ time.Duration, _ string) (triage.Reply, error) {
	e.asked = append(e.asked, req)
	return triage.Reply{Text: "Nothing is done yet."}, nil
}

// What is done about maintenance belongs to the evidence of the incident in
// whose thread it was asked for.
func TestMaintenanceKnowsTheThreadThatItWasAskedForIn(t *testing.T) {
	each(t, func(w *world) {
		w.fires("Slow", false)
		thread := triage.RemoteRef{Channel: "C1", ID: "1772334000.000100"}
		w.shown(thread)
		opts, kept := w.core.Options, &enabled{}
		opts.Maintenance = kept
		w.core = command.New(opts)
		for i, place := range []triage.RemoteRef{thread, {Channel: "C1", ID: "1772334000.999999"}, {Channel: "C1"}} {
			w.core.Do(w.t.Context(), triage.Request{ID: fmt.Sprint("m", i), Actor: alice, Text: "maintenance enable drain", Place: place})
		}
		var got []int64
		for _, req := range kept.asked {
			got = append(got, req.Incident)
		}
		if !slices.Equal(got, []int64{1, 0, 0}) {
			w.t.Errorf("asked for in the threads of %v", got)
		}
		if acts, err := w.db.Acts(w.t.Context(), store.ActFilter{IncidentID: 1, Limit: 10}); err != nil || len(acts) != 1 {
			w.t.Errorf("the audit log has %d acts of the incident, %v", len(acts), err)
		}
	})
}

// A command that held one connection and waited for another would wait for ever
// once as many come at once as there are connections.
func TestACommandMakesDoWithOneConnection(t *testing.T) {
	w := newWorld(t, storetest.Durable(t))
	w.fires("Slow", false)
	const others = 15 // of 16; see store.Open
	held, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	for range others {
		wg.Go(func() {
			if err := w.db.Tx(t.Context(), func(*store.Tx) error {
				held <- struct{}{}
				<-release
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	for range others {
		<-held
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // or it would hang where it fails
	defer cancel()
	for i, text := range []string{"triage ack 1", "triage silence 1h", "triage rerun 1"} {
		if r := w.core.Do(ctx, triage.Request{ID: fmt.Sprint("c", i), Actor: alice, Text: text}); r.Outcome == triage.OutcomeFailed {
			t.Errorf("%s: %+v", text, r)
		}
	}
	close(release)
	wg.Wait()
}

// A run that was lost, as with a database that was restored, keeps nobody from
// having the playbook run again.
func TestALostRunIsNoReasonNotToRunAgain(t *testing.T) {
	each(t, func(w *world) {
		w.fires("Slow", false)
		w.now = w.now.Add(time.Hour)
		if r := w.ask("triage rerun 1"); r.Outcome != triage.OutcomeRefused || !strings.Contains(r.Text, "running already") {
			w.t.Errorf("while it may run still: %+v", r)
		}
		w.now = w.now.Add(time.Hour)
		if r := w.ask("triage rerun 1"); r.Outcome != triage.OutcomeDone {
			w.t.Errorf("two hours after it began: %+v", r)
		}
	})
}

// Naming the window, as buttons do, is no way around the right to override.
func TestAnOverrideTakesItsRightWhereverItStands(t *testing.T) {
	w := newWorld(t, storetest.Durable(t))
	opts, kept := w.core.Options, &enabled{}
	opts.Maintenance = kept
	w.core = command.New(opts)
	for text, want := range map[string]string{
		"maintenance disable":                  `0 "" false`,
		"maintenance disable #12":              `12 "" false`,
		"maintenance disable #12 all is well":  `12 "all is well" false`,
		"maintenance disable 12 workers":       `0 "12 workers" false`,
		"maintenance disable #12 #13 override": `12 "#13 override" false`,
	} {
		if r := w.ask(text); r.Text != want {
			t.Errorf("%s: %+v", text, r)
		}
	}
	for _, text := range []string{"maintenance disable override x", "maintenance disable #12 override x", "maintenance disable  #12  override x"} {
		if r := w.ask(text); r.Outcome != triage.OutcomeRefused || !strings.Contains(r.Text, "under access.override") {
			t.Errorf("%s: %+v", text, r)
		}
	}
	if r := w.core.Do(t.Context(), triage.Request{ID: "o", Actor: triage.Actor{Via: triage.ViaCtl, ID: "root"}, Text: "maintenance disable #12 override the probe is broken"}); r.Text != `12 "the probe is broken" true` {
		t.Errorf("who may: %+v", r)
	}
}

func TestStatusInAnyThread(t *testing.T) {
	each(t, func(w *world) {
		w.fires("Slow", false)
		thread := triage.RemoteRef{Channel: "C1", ID: "1772334000.000100"}
		w.shown(thread)
		for place, want := range map[triage.RemoteRef]string{
			thread:                                   "#1 Slow · firing",
			{Channel: "C1", ID: "1772334000.999999"}: "1 incident fires; 0 resolved lately.",
			{Channel: "C2"}:                          "1 incident fires; 0 resolved lately.",
		} {
			r := w.core.Do(w.t.Context(), triage.Request{ID: "s" + place.ID, Actor: alice, Text: "triage status", Place: place})
			if r.Outcome != triage.OutcomeDone || !strings.HasPrefix(r.Text, want) {
				w.t.Errorf("at %+v: %+v", place, r)
			}
		}
	})
}

func TestARunByHandHasAThreadOfItsOwnAndPagesNobody(t *testing.T) {
	each(t, func(w *world) {
		w.fires("Slow", false)
		if r := w.ask("triage run Slow route=/v1"); r.Outcome != triage.OutcomeDone {
			w.t.Fatal(r)
		}
		runs, err := w.db.RunsOf(w.t.Context(), 2)
		if err != nil || len(runs) != 1 || runs[0].Trigger != triage.TriggerCommand || runs[0].Alert.Labels["route"] != "/v1" {
			w.t.Fatalf("%+v %v", runs, err)
		}
		if p := w.parent(2); p.RequestedBy != "alice" || len(p.Choices) != 0 {
			w.t.Errorf("its parent: %+v", p)
		}
		if r := w.ask("triage ack 2"); r.Text != "Incident 2, Slow, was run by hand by alice; no alert fired, so there is nothing to take." {
			w.t.Errorf("acked: %+v", r)
		}
		if r := w.ask("triage status 2"); !strings.HasPrefix(r.Text, "#2 Slow · run by hand by alice 0s ago") || strings.Contains(r.Text, "resolved") {
			w.t.Errorf("its status: %+v", r)
		}
		// A firing of the same name goes on in the alert's own incident.
		w.now = w.now.Add(time.Minute)
		w.fires("Slow", false)
		if all, err := w.db.Incidents(w.t.Context(), 10); err != nil || len(all) != 2 {
			w.t.Errorf("%d incidents, %v", len(all), err)
		}
	})
}

func TestARefireIsNewsToWhoHadIt(t *testing.T) {
	each(t, func(w *world) {
		w.fires("Slow", false)
		w.ask("triage ack 1")
		w.now = w.now.Add(time.Minute)
		w.fires("Slow", true)
		w.now = w.now.Add(time.Minute)
		w.fires("Slow", false)
		if by := w.parent(1).AckedBy; by != "" {
			w.t.Errorf("after it fired again, %s still has it", by)
		}
	})
}

func TestHostileRequests(t *testing.T) {
	w := newWorld(t, storetest.Durable(t))
	w.fires("Slow", false)
	for _, text := range []string{
		"", " ", "/", "//", "triage \x00", "triage ack \xff\xfe", "triage ack -1", "triage ack 0", "triage ack 1e9",
		strings.Repeat("triage ", 1000), "triage " + strings.Repeat("x", 2900), "triage silence 99999999999999999h 1", "triage silence -1h 1",
		"triage run " + strings.Repeat("a=b ", 700), "triage run Slow =x", "triage run Slow route=" + strings.Repeat("y", 2000), "triage ack 1\ntriage escalate 1",
		"maintenance confirm 1", "maintenance extend 1y", "maintenance disable override",
	} {
		r := w.ask(text)
		if r.Text == "" || len(r.Text) > 600 || r.Outcome == triage.OutcomeDone && text != "" && !strings.HasPrefix(strings.TrimSpace(text), "triage run Slow") {
			t.Errorf("%.40q: %+v", text, r)
		}
	}
	// PostgreSQL keeps neither; who asks is to be told so, and it is to be audited.
	for _, text := range []string{"triage silence 1h 1 a\x00b", "triage silence 2h 1 a\xffb", "triage escalate 1 to oncall \x00\xff"} {
		if r := w.ask(text); r.Outcome != triage.OutcomeDone {
			t.Errorf("%q: %+v", text, r)
		}
	}
	w.who = triage.Actor{Via: triage.ViaCtl, ID: "mallory\x00\xff"}
	if r := w.ask("triage ack 1"); r.Outcome != triage.OutcomeDone || w.parent(1).AckedBy != "mallory\uFFFD\uFFFD" {
		t.Errorf("of a name that is no text: %+v", r)
	}
	w.who = alice
	if r := w.core.Do(t.Context(), triage.Request{ID: strings.Repeat("x", 201), Actor: alice, Text: "triage help"}); r.Outcome != triage.OutcomeFailed {
		t.Errorf("an endless id: %+v", r)
	}
}

// What the way in refuses, for it knows whose workspace it is, is audited as what
// the core refuses is.
func TestWhatTheWayInRefusesIsAudited(t *testing.T) {
	each(t, func(w *world) {
		guest := triage.Actor{Via: triage.ViaSlack, Team: "T2", ID: "UGUEST", Name: "guest"}
		for range 2 { // as Slack sends it again
			w.core.Refused(w.t.Context(), triage.Request{ID: "g", Actor: guest, Text: "triage ack 1", Incident: 1}, triage.Reply{Text: "Not you.", Outcome: triage.OutcomeRefused})
		}
		acts, err := w.db.Acts(w.t.Context(), store.ActFilter{Limit: 10})
		if err != nil || len(acts) != 1 {
			w.t.Fatalf("%+v, %v", acts, err)
		}
		if a := acts[0]; a.Actor != guest || a.Outcome != triage.OutcomeRefused || a.Reply.Text != "Not you." || a.IncidentID != 1 || !a.At.Equal(t0) {
			w.t.Errorf("audited as %+v", a)
		}
	})
}
