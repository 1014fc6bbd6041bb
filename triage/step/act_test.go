package step

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/playbook"
)

func TestEscalateAndAnnounce(t *testing.T) {
	contact := triage.Contact{Destination: triage.Destination{Notifier: "slack", Channel: "#oncall"}, Mention: "<!here>"}
	d := Deps{Escalation: map[string][]triage.Contact{"oncall": {contact}}}
	for _, tt := range []struct {
		name, kind, headline, next string
		act                        *playbook.Act
	}{
		{
			"escalated", "escalate: {to: oncall, reason: 'backoff on {{ .Labels.route }}.'}",
			"Escalated to oncall: backoff on /a <!channel>.", "",
			&playbook.Act{Kind: playbook.ActEscalated, To: "oncall", Text: "backoff on /a <!channel>.", Contacts: []triage.Contact{contact}},
		},
		{
			"to nobody", "escalate: {to: lead, reason: 'backoff'}",
			"Would be escalated to lead, but the configuration names nobody under escalation.lead: backoff.",
			"Tell them by hand, and write under escalation.lead who they are.",
			&playbook.Act{Kind: playbook.ActEscalated, To: "lead", Text: "backoff"},
		},
		{
			"announced", "announce: {text: \"restarts\\n  persist\"}",
			"Announced: restarts persist.", "",
			&playbook.Act{Kind: playbook.ActAnnounced, Text: "restarts persist"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := mustLoad(t, d, tt.kind)
			e := newExecution(triage.Labels{"route": "/a\n<!channel>"})
			out, err := e.run(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.act, out.Act); diff != "" {
				t.Error(diff)
			}
			if out.Headline != tt.headline || out.NextStep != tt.next {
				t.Errorf("%s / %s", out.Headline, out.NextStep)
			}
			if verdict, err := s.Judge(out.Rows[0], e.env.Data); verdict != triage.VerdictNormal || err != nil {
				t.Errorf("%s, %v", verdict, err)
			}
			for name := range out.Rows[0].Vars {
				if s.Action.Vars()[name] == nil {
					t.Errorf("%s is not declared", name)
				}
			}
		})
	}
}

// A drill that pages somebody is the last drill that anybody wants.
func TestOnlyAnAlertsRunPages(t *testing.T) {
	d := Deps{Escalation: map[string][]triage.Contact{"oncall": {{Destination: triage.Destination{Notifier: "pager"}}}}}
	s := mustLoad(t, d, "escalate: {to: oncall, reason: backoff}")
	for _, trigger := range []triage.Trigger{triage.TriggerCommand, triage.TriggerDrill, triage.TriggerValidation, triage.TriggerBacktest, ""} {
		e := newExecution(nil)
		e.env.Trigger = trigger
		out, err := e.run(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		want := "Would be escalated to oncall, but this run was started by a " + string(trigger) + " and pages nobody: backoff."
		if out.Act != nil || out.Headline != want || out.Rows[0].Vars["contacts"] != int64(0) {
			t.Errorf("%s: %+v, %s, %v", trigger, out.Act, out.Headline, out.Rows[0].Vars)
		}
	}
}

func TestWhatIsToldIsBoundedAndNeverEmpty(t *testing.T) {
	s := mustLoad(t, Deps{}, "announce: {text: '{{ .Labels.v }}'}")
	for _, v := range []string{"", " \n\t ", "\x00"} {
		if out, err := newExecution(triage.Labels{"v": v}).run(t.Context(), s); err == nil || !strings.Contains(err.Error(), "it is empty") {
			t.Errorf("%q: %v, %v", v, out, err)
		}
	}
	out, err := newExecution(triage.Labels{"v": strings.Repeat("ä\xff", 5000)}).run(t.Context(), s)
	if err != nil || utf8.RuneCountInString(out.Act.Text) != maxActText+1 || !utf8.ValidString(out.Act.Text) {
		t.Errorf("%d runes, %v", utf8.RuneCountInString(out.Act.Text), err)
	}
}

func TestActProblems(t *testing.T) {
	for kind, want := range map[string]string{
		"escalate: {reason: x}":              "escalate.to: is missing",
		"escalate: {to: oncall}":             "escalate.reason: is missing",
		"escalate: {to: oncall, cause: x}":   "escalate.cause: unknown key",
		"escalate: {to: a, reason: '{{ x'}":  "escalate.reason: unknown function",
		"announce: {}":                       "announce.text: is missing",
		"announce: {text: '{{ .Secret }}'}":  "announce.text: ",
		"announce: {text: x, channel: '#a'}": "announce.channel: unknown key",
	} {
		if got := problemsOf(t, Deps{}, kind); !strings.Contains(got, "test.yaml:6: steps[0]."+want) {
			t.Errorf("%s: %s", kind, got)
		}
	}
}
