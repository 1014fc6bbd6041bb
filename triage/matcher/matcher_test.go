package matcher_test

import (
	"testing"

	"triagebot/triage"
	"triagebot/triage/matcher"
)

func TestMatch(t *testing.T) {
	labels := triage.Labels{"alertname": "Slow", "team": "a"}
	for text, want := range map[string]bool{
		`alertname="Slow"`:               true,
		`alertname="Slow", team=~"a|b"`:  true,
		`alertname="Slow", team!~"a|b"`:  false,
		`{alertname="Slow",region=""}`:   true, // absent is empty
		`region!=""`:                     false,
		`team=~"b"`:                      false,
		`alertname=~"Sl"`:                false, // regular expressions are anchored
		`alertname="S\"low", team="\\a"`: false,
	} {
		ms, err := matcher.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := ms.Match(labels); got != want {
			t.Errorf("%s: %t, want %t", text, got, want)
		}
	}
	if !matcher.Matchers(nil).Match(labels) {
		t.Error("no matchers at all must match everything")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{`alertname="`, `=x`, `alertname=~"("`} {
		if ms, err := matcher.Parse(text); err == nil {
			t.Errorf("%s was taken for %v", text, ms)
		}
	}
}
