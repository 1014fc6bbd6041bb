package slack

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"triagebot/triage"
)

func TestACommandIsNeverCutToFitAButton(t *testing.T) {
	command := func(n int) string { return strings.Repeat("é", n) }
	of := func(n int) *triage.Choice { return &triage.Choice{Label: "Do it", Command: command(n)} }
	inMenu := func(n int) *triage.Choice {
		return &triage.Choice{Label: "Menu", Options: []triage.Choice{{Label: "Do it", Command: command(n)}}}
	}
	for name, c := range map[string]struct {
		choice *triage.Choice
		shown  bool
	}{
		"a button at the limit":       {of(maxButtonValue), true},
		"a button over it":            {of(maxButtonValue + 1), false},
		"a button without a command":  {of(0), false},
		"an option at the limit":      {inMenu(maxOptionValue), true},
		"an option over it":           {inMenu(maxOptionValue + 1), false},
		"an option without a command": {inMenu(0), false},
	} {
		if got := actions([]triage.Choice{*c.choice}, 0) != nil; got != c.shown {
			t.Errorf("%s: shown %v, want %v", name, got, c.shown)
		}
	}
}

func TestTextsOfChoicesKeepToSlacksLimits(t *testing.T) {
	length := func(o *slack.TextBlockObject) int { return utf8.RuneCountInString(o.Text) }
	for _, n := range []int{1, 30, 31, 75, 76, 150, 151, 300, 301, 5000} {
		text := strings.Repeat("é", n)
		block := actions([]triage.Choice{
			{Label: text, Command: "triage ack 7", Confirm: text},
			{Label: text, Options: []triage.Choice{{Label: text, Command: "triage silence 1h 7"}}},
		}, 7)
		button, menu := block.Elements.ElementSet[0].(*slack.ButtonBlockElement), block.Elements.ElementSet[1].(*slack.SelectBlockElement)
		for what, c := range map[string]struct{ got, limit int }{
			"label":       {length(button.Text), maxLabel},
			"question":    {length(button.Confirm.Text), maxQuestion},
			"its button":  {length(button.Confirm.Confirm), maxConfirm},
			"placeholder": {length(menu.Placeholder), maxPlaceholder},
			"option":      {length(menu.Options[0].Text), maxLabel},
		} {
			if want := min(n, c.limit); c.got != want {
				t.Errorf("%s of %d characters: %d are shown, want %d", what, n, c.got, want)
			}
		}
	}
}

func TestAsManyChoicesAsSlackTakes(t *testing.T) {
	for _, n := range []int{maxActions, maxActions + 1} {
		block := actions(slices.Repeat([]triage.Choice{{Label: "Ack", Command: "triage ack 7"}}, n), 7)
		if got := len(block.Elements.ElementSet); got != maxActions {
			t.Errorf("%d buttons: %d are shown, want %d", n, got, maxActions)
		}
	}
	for _, n := range []int{maxOptions, maxOptions + 1} {
		block := actions([]triage.Choice{{Label: "Silence", Options: slices.Repeat([]triage.Choice{{Label: "1h", Command: "triage silence 1h 7"}}, n)}}, 7)
		if got := len(block.Elements.ElementSet[0].(*slack.SelectBlockElement).Options); got != maxOptions {
			t.Errorf("%d options: %d are shown, want %d", n, got, maxOptions)
		}
	}
	ids := map[string]bool{}
	for _, e := range actions(parentChoices(), 7).Elements.ElementSet {
		switch e := e.(type) {
		case *slack.ButtonBlockElement:
			ids[e.ActionID] = IsChoice(e.ActionID)
		case *slack.SelectBlockElement:
			ids[e.ActionID] = IsChoice(e.ActionID)
		}
	}
	if len(ids) != len(parentChoices()) {
		t.Errorf("%d choices have the ids %v, want as many different ones", len(parentChoices()), ids)
	}
}

func TestOtherAsksADialogAboutTheIncident(t *testing.T) {
	other := []triage.Choice{{Label: "Silence", Options: []triage.Choice{{Label: "Other…"}}}}
	if actions(other, 0) != nil {
		t.Error("an entry that asks about no incident is shown")
	}
	value := actions(other, 42).Elements.ElementSet[0].(*slack.SelectBlockElement).Options[0].Value
	if incident, ok := OtherOf(value); !ok || incident != 42 {
		t.Errorf("OtherOf(%q) = %d, %v; want 42", value, incident, ok)
	}
	for _, value := range []string{"", "other:", "other:x", "other:-1", "other:0", "other:99999999999999999999", "triage ack 42"} {
		if incident, ok := OtherOf(value); ok {
			t.Errorf("OtherOf(%q) = %d, want none", value, incident)
		}
	}
}

func TestWhoHasAnIncidentIsSaidAndHeard(t *testing.T) {
	p := parentPost()
	if people := parentPeople(p); people != nil {
		t.Errorf("people of an incident that nobody has: %v", people)
	}
	p.AckedBy, p.AckedAt, p.SilencedUntil = "alice", start, start.Add(2*time.Hour)
	m := renderParent(p)
	for _, said := range []string{m.sentence, m.long} {
		for _, want := range []string{"Acked by alice 2026-03-01 12:00 UTC", "Silenced until 2026-03-01 14:00 UTC"} {
			if !strings.Contains(said, want) {
				t.Errorf("%q lacks %q", said, want)
			}
		}
	}
	p.State = triage.IncidentResolved
	if got := peopleWords(p, " · "); strings.Contains(got, "Silenced") {
		t.Errorf("a resolved incident says %q", got)
	}
}

func TestARunByHandNeitherFiresNorResolves(t *testing.T) {
	for _, state := range []triage.IncidentState{triage.IncidentFiring, triage.IncidentResolved, triage.IncidentClosed} {
		m := renderParent(&triage.ParentPost{IncidentID: 7, State: state, Alertname: "CodexLatencySLOBreach", RequestedBy: "bob", StartedAt: start, ResolvedAt: start})
		header := m.blocks[0].(*slack.HeaderBlock).Text.Text
		if want := "🧭 RUN BY HAND — CodexLatencySLOBreach"; header != want {
			t.Errorf("%s: header %q, want %q", state, header, want)
		}
		if !strings.Contains(m.sentence, "Run by hand, incident 7, CodexLatencySLOBreach. Asked for by bob.") {
			t.Errorf("%s: sentence %q", state, m.sentence)
		}
		for _, word := range []string{"iring", "esolved"} {
			if strings.Contains(m.sentence+m.long+blocksJSON(t, m), word) {
				t.Errorf("%s: it speaks of %q", state, word)
			}
		}
	}
}
