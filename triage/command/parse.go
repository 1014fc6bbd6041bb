package command

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/common/model"

	"triagebot/triage"
	"triagebot/triage/safetext"
	"triagebot/triage/strictyaml"
)

const unclearName = "unclear"

// parse finds the command that a request names; where there is none it returns
// what to answer instead.
func parse(req triage.Request) (*ask, *triage.Reply) {
	if len(req.Text) > maxText {
		return nil, &triage.Reply{Text: "The command is too long: at most " + strconv.Itoa(maxText) + " characters.", Outcome: triage.OutcomeUnclear}
	}
	group, rest := word(req.Text)
	group = strings.ToLower(strings.TrimPrefix(group, "/"))
	specs, known := commands()[group]
	if !known {
		return nil, advice(group, "There is no command "+shown(group)+".", strictyaml.Nearest(group, []string{"triage", "maintenance"}), nil)
	}
	name, rest := word(rest)
	if name = strings.ToLower(name); name == "" {
		name = helpName
	}
	names := make([]string, len(specs))
	for i := range specs {
		s := &specs[i]
		if names[i] = s.name; s.name == name || s.alias == name {
			req.Text = strings.TrimSpace(group + " " + s.name + " " + rest)
			return &ask{Request: req, spec: s, rest: rest}, nil
		}
	}
	near := strictyaml.Nearest(name, names)
	var lines []string
	for i := range specs {
		if specs[i].name == near {
			lines = specs[i].example()
		}
	}
	return nil, advice(group, "There is no command /"+group+" "+shown(name)+".", near, lines)
}

// advice answers what is not understood.
func advice(group, what, near string, lines []string) *triage.Reply {
	if near != "" {
		what += " Did you mean " + near + "?"
	}
	if group != "maintenance" {
		group = "triage"
	}
	return &triage.Reply{Text: what + " /" + group + " help lists all there are.", Lines: lines, Outcome: triage.OutcomeUnclear}
}

// shown is a word of whoever asked, fit to be shown.
func shown(word string) string { return strconv.Quote(safetext.Line(word, 40)) }

// word takes the first word off a text.
func word(text string) (first, rest string) {
	text = strings.TrimSpace(text)
	if i := strings.IndexFunc(text, unicode.IsSpace); i >= 0 {
		return text[:i], strings.TrimSpace(text[i:])
	}
	return text, ""
}

// number reads an incident's number, with or without a #.
func number(w string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimPrefix(w, "#"), 10, 64)
	return n, err == nil && n > 0
}

// length reads a duration as Prometheus writes it.
func length(w string) (time.Duration, bool) {
	d, err := model.ParseDuration(strings.ToLower(w))
	return time.Duration(d), err == nil && d > 0
}

// instant reads a time of the past: 2026-01-02T15:04:05Z, 15:04 for the last
// time that it was that late by UTC, or 10m for so long ago.
func instant(w string, now time.Time) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339, w); err == nil {
		return t, !t.After(now)
	}
	if d, ok := length(w); ok {
		return now.Add(-d), true
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, w); err == nil {
			now := now.UTC()
			at := time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
			if at.After(now) {
				at = at.AddDate(0, 0, -1)
			}
			return at, true
		}
	}
	return time.Time{}, false
}
