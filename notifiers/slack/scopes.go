package slack

// The scopes of the token: which one is lacking is said once and shown in a
// metric, for without it some messages go out twice or not at all.

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// scopesNeeded are what the notifier calls for. Where a channel is private,
// Slack asks for groups:… in the place of channels:….
var scopesNeeded = [...]string{"chat:write", "files:write", "files:read", "channels:read", "channels:history"}

// heardScopes takes the scopes that Slack says the token has.
// https://docs.slack.dev/authentication/installing-with-oauth#scopes
func (n *Notifier) heardScopes(answer http.Header) {
	given := answer.Get("X-OAuth-Scopes")
	if given == "" { // not said
		return
	}
	has := map[string]bool{}
	for scope := range strings.SplitSeq(given, ",") {
		has[strings.TrimSpace(scope)] = true
	}
	for _, scope := range scopesNeeded {
		ofPrivate := strings.Replace(scope, "channels:", "groups:", 1)
		n.lacks(scope, !has[scope] && !has[ofPrivate])
	}
}

// lacks notes whether the token lacks a scope, and says so when it comes to.
func (n *Notifier) lacks(scope string, lacking bool) {
	n.mu.Lock()
	at := slices.Index(n.lacking, scope)
	changed := lacking != (at >= 0)
	switch {
	case changed && lacking:
		n.lacking = append(n.lacking, scope)
	case changed:
		n.lacking = slices.Delete(n.lacking, at, at+1)
	}
	n.mu.Unlock()
	if !changed {
		return
	}
	if lacking {
		n.metrics.scopeMissing.WithLabelValues(scope).Set(1)
		n.log.Error(lackingAdvice(scope))
		return
	}
	n.metrics.scopeMissing.DeleteLabelValues(scope)
}

// Warning says which scopes the app lacks and what to do; "" when Slack has
// not said that it lacks any.
func (n *Notifier) Warning() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.lacking) == 0 {
		return ""
	}
	return lackingAdvice(strings.Join(n.lacking, ", "))
}

func lackingAdvice(scopes string) string {
	said := fmt.Sprintf("The Slack app lacks the bot token scope %s: add it under OAuth & Permissions and reinstall the app", scopes)
	if strings.Contains(scopes, ":history") {
		said += "; until then a message whose delivery is in doubt cannot be looked for and is sent again, marked as a possible duplicate"
	}
	return said
}
