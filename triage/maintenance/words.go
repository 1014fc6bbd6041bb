// What people are told, in words.

package maintenance

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"triagebot/triage"
	"triagebot/triage/safetext"
)

// maxText bounds what a person writes, in bytes.
const maxText = 1000

// tidy makes a person's text fit to be kept and shown: one line, bounded,
// without secrets and without the NUL that PostgreSQL refuses.
func (s *Service) tidy(text string) string {
	return s.Redact.Text(safetext.Line(strings.ReplaceAll(text, "\x00", " "), maxText))
}

// who is what people call a person.
func who(a triage.Actor) string {
	return safetext.Line(strings.ReplaceAll(cmp.Or(a.Name, a.ID), "\x00", ""), 100)
}

// clock is an instant as people say it: without the day where it is today.
func (s *Service) clock(t time.Time) string {
	t, now := t.UTC(), s.Now().UTC()
	if t.Truncate(24 * time.Hour).Equal(now.Truncate(24 * time.Hour)) {
		return t.Format("15:04 UTC")
	}
	return t.Format("2006-01-02 15:04 UTC")
}

// span is a length of time as people say it: 1h30m.
func span(d time.Duration) string {
	round := time.Second
	if d >= time.Hour {
		round = time.Minute
	}
	return model.Duration(d.Round(round)).String()
}

// about is span to the minute, where there is one.
func about(d time.Duration) string {
	if d >= time.Minute {
		d = d.Round(time.Minute)
	}
	return span(d)
}

// said is a window's state in a sentence.
func (s *Service) said(w triage.Window) string {
	subject := "Maintenance of " + w.Service
	switch w.State {
	case triage.WindowProposed:
		return fmt.Sprintf("%s is asked for by %s, for %s. It waits for a confirmation until %s.",
			subject, who(w.By), span(w.For), s.clock(w.CreatedAt.Add(s.ConfirmIn)))
	case triage.WindowCancelled:
		return subject + " was not begun: the request was cancelled."
	case triage.WindowEnabling:
		return fmt.Sprintf("%s is being turned on, for %s.", subject, span(w.For))
	case triage.WindowUndoing:
		return subject + " could not be turned on. What was done is being undone."
	case triage.WindowOn:
		if s.isOverdue(w) {
			return fmt.Sprintf("%s is overdue: it has been on since %s and was to end at %s.", subject, s.clock(w.Since), s.clock(w.Until))
		}
		return fmt.Sprintf("%s is on since %s, until %s.", subject, s.clock(w.Since), s.clock(w.Until))
	case triage.WindowDisabling:
		return fmt.Sprintf("%s is being turned off; it has been on since %s.", subject, s.clock(w.Since))
	case triage.WindowOff:
		return fmt.Sprintf("%s is over. It was on for %s, from %s to %s.", subject, span(w.Ended.Sub(w.Since)), s.clock(w.Since), s.clock(w.Ended))
	case triage.WindowFailed:
		return subject + " could not be turned on."
	case triage.WindowFound:
		return fmt.Sprintf("%s is on since about %s, and nobody announced it. Whose is it?", subject, s.clock(w.Since))
	}
	return fmt.Sprintf("%s is in the state %s.", subject, w.State)
}

// choices are what a person may do with a window as it is now.
func (s *Service) choices(w triage.Window) []triage.Choice {
	disable := triage.Choice{
		Label: "Disable", Command: fmt.Sprintf("maintenance disable #%d", w.ID), Style: "danger",
		Confirm: fmt.Sprintf("Turn maintenance of %s off?", w.Service),
	}
	switch w.State {
	case triage.WindowProposed:
		return []triage.Choice{
			{Label: "Confirm", Command: fmt.Sprintf("maintenance confirm %d", w.ID), Style: "danger"},
			{Label: "Cancel", Command: fmt.Sprintf("maintenance cancel %d", w.ID)},
		}
	case triage.WindowOn:
		return []triage.Choice{{Label: "Extend by 15m", Command: fmt.Sprintf("maintenance extend #%d 15m", w.ID)}, disable}
	case triage.WindowFound:
		keep := triage.Choice{
			Label:   fmt.Sprintf("It is mine: keep it for %s", span(s.DefaultFor)),
			Command: fmt.Sprintf("maintenance adopt %d", w.ID), Style: "primary",
		}
		return []triage.Choice{keep, disable}
	}
	return nil
}

// plan is what a confirmation has happen, in order.
func (s *Service) plan(w triage.Window) []string {
	reminded := ""
	if w.For > s.RemindBefore {
		reminded = fmt.Sprintf(", with a reminder %s before the end", span(s.RemindBefore))
	}
	failing := fmt.Sprintf("calls again, at most %d times in all", s.Attempts)
	if s.OnFailure == Rollback {
		failing = "calls the opposite and checks that the metric says 0"
	}
	return []string{
		fmt.Sprintf("1. It is announced in %s, with the reason: %s", s.place(), w.Reason),
		fmt.Sprintf("2. triagebot calls %s", s.Toggle),
		fmt.Sprintf("3. The metric %s must say 1 within %s; if it does not, triagebot says so and %s", s.Metric, span(s.VerifyWithin), failing),
		fmt.Sprintf("4. It is on for %s%s. Nothing turns it off by itself: when it is overdue, %s is told every %s",
			span(w.For), reminded, s.place(), span(s.OverdueEvery)),
	}
}

// purpose says what the calls in a state are for.
func purpose(w triage.Window) string {
	switch w.State {
	case triage.WindowEnabling:
		return "turn maintenance of " + w.Service + " on"
	case triage.WindowUndoing:
		return "turn maintenance of " + w.Service + " off again"
	}
	return "turn maintenance of " + w.Service + " off"
}

// wanted is what the metric is to say.
func wanted(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

func refused(format string, args ...any) triage.Reply {
	return triage.Reply{Text: fmt.Sprintf(format, args...), Outcome: triage.OutcomeRefused}
}

func unclear(format string, args ...any) triage.Reply {
	return triage.Reply{Text: fmt.Sprintf(format, args...), Outcome: triage.OutcomeUnclear}
}

func done(format string, args ...any) triage.Reply {
	return triage.Reply{Text: fmt.Sprintf(format, args...), Outcome: triage.OutcomeDone}
}
