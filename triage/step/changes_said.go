// What the changes come to: the one nearest to the onset in a sentence, the
// others beneath it, and all of them as evidence.

package step

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"triagebot/triage"
	"triagebot/triage/playbook"
	"triagebot/triage/tracelog"
)

const (
	maxChangeDetails = 10
	maxUnknownSaid   = 3
)

func (a *changesAction) outcome(env *playbook.Env, l *learned) (*playbook.Outcome, error) {
	out := &playbook.Outcome{
		Rows:     []playbook.OutcomeRow{{Vars: l.vars()}},
		Headline: a.headline(l),
		Partial:  len(l.unknown) > 0,
	}
	if len(l.unknown) > 0 {
		said := l.unknown[:min(len(l.unknown), maxUnknownSaid)]
		more := ""
		if n := len(l.unknown) - len(said); n > 0 {
			more = fmt.Sprintf("; and %d more reasons", n)
		}
		out.Headline += fmt.Sprintf(" There may be others: %s%s.", strings.Join(said, "; "), more)
		out.NextStep = "Ask who deploys and who flips flags; see what changed in " + window(a.within, l.onset) + "."
	}
	for _, c := range l.changes[:min(len(l.changes), maxChangeDetails)] {
		out.Details = append(out.Details, triage.Row{Name: c.said(), Value: l.ago(c.at) + " before"})
	}
	if len(l.changes) == 0 {
		return out, nil
	}
	evidence, err := l.evidence(env)
	out.Artifacts = []playbook.Artifact{evidence}
	return out, err
}

// headline: "A deploy 2m10s before the onset (14:00:00 UTC): version 0.9.4 →
// 0.9.5 (codex_build_info)."
func (a *changesAction) headline(l *learned) string {
	if len(l.changes) == 0 {
		nothing := "No change is known of"
		if len(l.unknown) == 0 {
			nothing = "Nothing changed"
		}
		return fmt.Sprintf("%s in the %s before the onset at %s.", nothing, model.Duration(a.within), l.onset.Format(clock))
	}
	c := l.changes[0]
	text := fmt.Sprintf("%s %s before the onset (%s): %s.", withArticle(c.what), l.ago(c.at), l.onset.Format(clock), c.detailSaid())
	switch n := len(l.changes) - 1; {
	case n == 1:
		text += fmt.Sprintf(" 1 more change in the %s before it.", model.Duration(a.within))
	case n > 1:
		text += fmt.Sprintf(" %d more changes in the %s before it.", n, model.Duration(a.within))
	}
	return text
}

func withArticle(what string) string {
	if what != "" && strings.ContainsRune("aeiouAEIOU", rune(what[0])) {
		return "An " + what
	}
	return "A " + what
}

func (c *changed) said() string { return c.what + ": " + c.detailSaid() }

func (c *changed) detailSaid() string {
	where := c.source
	if c.who != "" {
		where += ", " + c.who
	}
	if c.places > 1 {
		where += fmt.Sprintf(", %d instances", c.places)
		if !c.until.Equal(c.at) {
			where += " until " + c.until.Format(clock)
		}
	}
	return c.detail + " (" + where + ")"
}

func (l *learned) vars() map[string]any {
	vars := map[string]any{"count": int64(len(l.changes)), "nearest_s": -1.0, "nearest": "", "what": ""}
	if len(l.changes) > 0 {
		c := l.changes[0]
		vars["nearest_s"] = l.onset.Sub(c.at).Seconds()
		vars["nearest"], vars["what"] = safeText(c.detailSaid()), safeText(c.what)
	}
	for _, what := range []string{"deploy", "flag"} {
		n, last := l.of(what)
		vars[what+"s"], vars[what+"_s"], vars[what] = n, -1.0, ""
		if last != nil {
			vars[what+"_s"] = l.onset.Sub(last.at).Seconds()
			vars[what] = safeText(fmt.Sprintf("%s, %s before", last.detailSaid(), l.ago(last.at)))
		}
	}
	return vars
}

// of counts the changes of a kind; last is the nearest to the onset, nil without
// any.
func (l *learned) of(what string) (n int64, last *changed) {
	for i := range l.changes {
		if l.changes[i].what != what {
			continue
		}
		if n++; last == nil {
			last = &l.changes[i]
		}
	}
	return n, last
}

// changeJSON is a change in the evidence.
type changeJSON struct {
	At      time.Time `json:"at"`
	BeforeS float64   `json:"before_s"` // the onset
	Until   time.Time `json:"until,omitzero"`
	Places  int       `json:"instances,omitempty"`
	What    string    `json:"what"`
	Detail  string    `json:"detail"`
	Who     string    `json:"who,omitempty"`
	Source  string    `json:"source"`
}

// evidence is a line for each change, the nearest to the onset first.
func (l *learned) evidence(env *playbook.Env) (playbook.Artifact, error) {
	var b bytes.Buffer
	for _, c := range l.changes {
		if err := tracelog.WriteJSONLine(&b, changeJSON{
			At: c.at.UTC(), BeforeS: l.onset.Sub(c.at).Seconds(), Until: c.until, Places: c.places,
			What: safeText(c.what), Detail: safeText(c.detail), Who: safeText(c.who), Source: safeText(c.source),
		}); err != nil {
			return playbook.Artifact{}, err
		}
	}
	return playbook.Artifact{
		Name: stem(env, "changes") + ".ndjson", Title: "Changes before the onset", MediaType: "application/x-ndjson",
		Source: "What changed before " + l.onset.Format("2006-01-02 "+clock), Data: b.Bytes(),
	}, nil
}
