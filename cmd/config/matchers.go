package config

// Routes choose by Alertmanager's matchers. Its README says that the packages
// may move, so they are known to this file alone.

import (
	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"

	"triagebot/triage"
)

type matchers labels.Matchers

// parseMatchers reads texts such as severity="critical" or team=~"a|b".
func parseMatchers(text string) (matchers, error) {
	parsed, err := parse.Matchers(text)
	return matchers(parsed), err
}

// Matches says whether the route takes an incident with these labels. A route
// without matchers takes all.
func (r Route) Matches(l triage.Labels) bool {
	for _, m := range r.matchers {
		if !m.Matches(l[m.Name]) {
			return false
		}
	}
	return true
}

// RouteFor is the first route that takes an incident with these labels, with
// Replies filled in. There always is one: the last route takes all.
func (c *Config) RouteFor(l triage.Labels) Route {
	var route Route
	for _, route = range c.Routes {
		if route.Matches(l) {
			break
		}
	}
	if route.Replies == "" {
		route.Replies = c.Incidents.Replies
	}
	return route
}
