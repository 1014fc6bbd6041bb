package playbook

import (
	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"

	"triagebot/triage"
)

// matchers say which alerts a playbook is for. Alertmanager's matcher packages
// are used in this file only: their README says that they may move.
type matchers labels.Matchers

// parseMatchers parses one or several matchers as Alertmanager's configuration
// writes them: alertname="HighLatency", team=~"a|b".
func parseMatchers(text string) (matchers, error) {
	ms, err := parse.Matchers(text)
	return matchers(ms), err
}

// match says whether all matchers match. A label that is not there is empty.
func (ms matchers) match(ls triage.Labels) bool {
	for _, m := range ms {
		if !m.Matches(ls[m.Name]) {
			return false
		}
	}
	return true
}
