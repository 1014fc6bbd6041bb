package runner_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"triagebot/triage"
	"triagebot/triage/playbook"
	"triagebot/triage/runner"
)

const twoActs = `
name: latency
title: Latency
match: ['alertname="Slow"']
runbook: https://wiki.example/latency
timeout: 30s
steps:
  - {id: page, title: Page, probe: {}}
  - {id: tell, title: Tell, announce: {}}
`

// announcing is the probe under the name of the kind that announces.
type announcing struct{ *probe }

func (announcing) Name() string { return "announce" }

func (a announcing) Decode(*playbook.Compiler, *yaml.Node) playbook.Action { return a.probe }

func acted(act *playbook.Act) func(context.Context, int) (*playbook.Outcome, error) {
	return func(context.Context, int) (*playbook.Outcome, error) {
		out := value(1)
		out.Headline, out.Act = "Done: "+act.Text+".", act
		return out, nil
	}
}

// acting makes both steps act.
func (w *world) acting() {
	w.t.Helper()
	set, err := playbook.Load([]playbook.File{{Name: "test.yaml", Data: []byte(twoActs)}}, playbook.LoadOptions{Kinds: []playbook.Kind{w.probe, announcing{w.probe}}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.r.Playbook = set.ByName
	w.probe.do["page"] = acted(&playbook.Act{
		Kind: playbook.ActEscalated, To: "oncall", Text: "backoff, says hunter2",
		Contacts: []triage.Contact{
			{Destination: triage.Destination{Notifier: "slack", Channel: "#oncall"}, Mention: "<!here>"},
			{Destination: triage.Destination{Notifier: "slack", Channel: "#leads"}},
			{Destination: triage.Destination{Notifier: "pager"}},
		},
	})
	w.probe.do["tell"] = acted(&playbook.Act{Kind: playbook.ActAnnounced, Text: "maintenance is proposed by hunter2"})
}

// messages are what is owed besides the parent: kind, where, key and text.
func (w *world) messages() []string {
	w.t.Helper()
	_, others := w.deliveries()
	var all []string
	for _, d := range others {
		text := ""
		switch b := d.Body; {
		case b.Escalation != nil:
			text = fmt.Sprintf("%s: %s %s %s", b.Escalation.To, b.Escalation.Reason, b.Escalation.Mention, b.Escalation.Links)
		case b.Note != nil:
			text = fmt.Sprintf("%s broadcast=%t", b.Note.Text, b.Note.Broadcast)
		case b.Finding != nil:
			text = b.Finding.Finding.Headline
		}
		all = append(all, fmt.Sprintf("%s %s/%s %s | %s", d.Kind, d.Notifier, d.Channel, d.Key, text))
	}
	return all
}

func TestActsAreOwedWithTheirFindingAndOnce(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		w.acting()
		run := w.open()
		// The attempt is killed before anything is committed, then after the first
		// finding; a worker that was taken for dead comes through as well.
		ctx, kill := context.WithCancel(t.Context())
		first := w.probe.do["tell"]
		w.probe.do["tell"] = func(ctx context.Context, try int) (*playbook.Outcome, error) {
			if try == 1 {
				kill()
				<-ctx.Done()
			}
			return first(ctx, try)
		}
		if err := w.r.Execute(ctx, run.ID); err == nil {
			t.Fatal("the attempt that was killed says that the run is over")
		}
		w.execute(run)
		w.execute(run)
		base := fmt.Sprintf("incident/%d/run/%d/step/", w.inc.ID, run.ID)
		escalated := func(where string, n int, mention string) string {
			return fmt.Sprintf("notice %s %spage/escalated/%d | oncall: backoff, says <redacted> %s [{Runbook https://wiki.example/latency}]", where, base, n, mention)
		}
		want := map[string]bool{
			"reply slack/#inc " + base + "page | Done: backoff, says <redacted>.": true,
			escalated("slack/#oncall", 0, "<!here>"):                              true,
			escalated("slack/#leads", 1, ""):                                      true,
			escalated("pager/", 2, ""):                                            true,
			"reply slack/#inc " + base + "tell/announced | maintenance is proposed by <redacted> broadcast=true": true,
		}
		got := map[string]bool{}
		for _, m := range w.messages() {
			got[m] = true
		}
		if diff := cmp.Diff(want, got); diff != "" || len(w.messages()) != len(want) {
			t.Errorf("%d messages:\n%s", len(w.messages()), diff)
		}
		entries, err := w.db.Timeline(t.Context(), w.inc.ID)
		if err != nil {
			t.Fatal(err)
		}
		acts := map[string]string{}
		for _, e := range entries {
			if e.Kind == "escalated" || e.Kind == "announced" {
				acts[e.Kind] += e.Text
			}
		}
		if diff := cmp.Diff(map[string]string{"escalated": "page: Done: backoff, says <redacted>.", "announced": "tell: Done: maintenance is proposed by <redacted>."}, acts); diff != "" {
			t.Error(diff)
		}
	})
}

// Whatever a step kind makes of it, a run that no alert started stays in its
// incident's thread.
func TestOnlyAnAlertsRunActsOutsideOfItsThread(t *testing.T) {
	for _, trigger := range []triage.Trigger{triage.TriggerCommand, triage.TriggerDrill, triage.TriggerValidation, triage.TriggerBacktest} {
		t.Run(string(trigger), func(t *testing.T) {
			each(t, fourSteps, func(w *world) {
				w.acting()
				run := w.openBy(trigger)
				w.execute(run)
				base := fmt.Sprintf("reply slack/#inc incident/%d/run/%d/step/", w.inc.ID, run.ID)
				want := []string{
					base + "page | Done: backoff, says <redacted>.",
					base + "tell/announced | maintenance is proposed by <redacted> broadcast=false",
				}
				got := w.messages()
				slices.Sort(got)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
				entries, err := w.db.Timeline(t.Context(), w.inc.ID)
				if err != nil {
					t.Fatal(err)
				}
				if slices.ContainsFunc(entries, func(e triage.TimelineEntry) bool { return e.Kind == "escalated" }) {
					t.Errorf("the timeline says that somebody was told: %+v", entries)
				}
			})
		})
	}
}

func TestAnEscalationWithoutContactsIsInTheTimelineOnly(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		w.acting()
		w.replies = runner.RepliesAbnormal
		w.probe.do["page"] = acted(&playbook.Act{Kind: playbook.ActEscalated, To: "nobody", Text: "backoff"})
		run := w.open()
		w.execute(run)
		base := fmt.Sprintf("incident/%d/run/%d/", w.inc.ID, run.ID)
		got := map[string]bool{}
		for _, m := range w.messages() {
			got[m] = true
		}
		want := map[string]bool{
			"reply slack/#inc " + base + "step/tell/announced | maintenance is proposed by <redacted> broadcast=true": true,
			"reply slack/#inc " + base + "normal | Normal: Page (Done: backoff). broadcast=false":                     true,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
