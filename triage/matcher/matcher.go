// Package matcher says which labels playbooks and routes are for, in
// Alertmanager's own matcher syntax. Alertmanager's matcher packages are used
// here only: their README says that they may move.
package matcher

import (
	"strings"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"

	"triagebot/triage"
)

// Matchers match labels when all of them do; none match everything.
type Matchers []*labels.Matcher

// Parse parses one or several matchers as Alertmanager's configuration writes
// them: alertname="HighLatency", team=~"a|b".
func Parse(text string) (Matchers, error) {
	ms, err := parse.Matchers(text)
	return Matchers(ms), err
}

// String writes them as Parse reads them.
func (ms Matchers) String() string {
	words := make([]string, len(ms))
	for i, m := range ms {
		words[i] = m.String()
	}
	return strings.Join(words, ", ")
}

// Match says whether all matchers match. A label that is not there is empty.
func (ms Matchers) Match(ls triage.Labels) bool {
	for _, m := range ms {
		if !m.Matches(ls[m.Name]) {
			return false
		}
	}
	return true
}
