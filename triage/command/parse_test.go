package command

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"triagebot/triage"
)

// Whatever is typed, it is either a command or answered with a bounded sentence.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"triage ack 1", "maintenance enable for 30m reason", "triage run Slow a=b at 10m", "/triage", "akc", "triage \xff", "maintenance extend by 15m"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, reply := parse(triage.Request{Text: text})
		switch {
		case (a == nil) == (reply == nil):
			t.Fatalf("%q: %v and %v", text, a, reply)
		case reply != nil:
			if reply.Outcome != triage.OutcomeUnclear || len(reply.Text) > 600 || !utf8.ValidString(reply.Text) {
				t.Errorf("%q: %+v", text, reply)
			}
			return
		case !strings.HasPrefix(a.Text, a.spec.full()):
			t.Errorf("%q became %q of %s", text, a.Text, a.spec.full())
		}
		_, _ = takeAt(a)
		_, _ = takeFor(a)
		_, _ = takeNumber(a)
	})
}

func TestInstants(t *testing.T) {
	now := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"2026-03-01T02:59:00Z": "2026-03-01T02:59:00Z", "2026-03-01T03:01:00Z": "", "02:30": "2026-03-01T02:30:00Z",
		"03:01": "2026-02-28T03:01:00Z", "02:30:15": "2026-03-01T02:30:15Z", "10m": "2026-03-01T02:50:00Z", "noon": "", "": "", "-10m": "", "24:00": "",
	} {
		at, ok := instant(text, now)
		got := ""
		if ok {
			got = at.Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%q is %q; want %q", text, got, want)
		}
	}
}

// Every command says how it is written, and its example is understood as itself.
func TestEveryCommandHasAnExample(t *testing.T) {
	for group, specs := range commands() {
		seen := map[string]bool{}
		for i := range specs {
			s := &specs[i]
			if seen[s.name] || (s.look == nil) == (s.act == nil) || s.about == "" || s.needs == "" {
				t.Errorf("%s %s is listed twice, or not fit to be used", group, s.name)
			}
			seen[s.name] = true
			a, _ := parse(triage.Request{Text: "/" + s.full() + " " + s.sample})
			if a == nil || a.spec.full() != s.full() {
				t.Errorf("the example of %s is taken for another", s.full())
			}
		}
	}
}
