package config

// Which route an incident takes.

import "triagebot/triage"

// RouteFor is the first route that takes an incident with these labels, with
// Replies filled in. There always is one: the last route takes all.
func (c *Config) RouteFor(l triage.Labels) Route {
	var route Route
	for _, route = range c.Routes {
		if route.matchers.Match(l) {
			break
		}
	}
	if route.Replies == "" {
		route.Replies = c.Incidents.Replies
	}
	return route
}
