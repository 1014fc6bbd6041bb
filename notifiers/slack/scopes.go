package slack

// The scopes of the token: which one is lacking is said once and shown in a
// metric, for without it some messages go out twice or not at all.

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Scope is a bot token scope, and what triagebot cannot do without it.
type Scope struct {
	Name    string
	Why     string
	Hearing bool // needed only where people are heard
	Private bool // needed only for channels that are private
}

// Scopes are all that the app asks for.
func Scopes() []Scope {
	return []Scope{
		{Name: "chat:write", Why: "to post incidents, edit them, and answer people"},
		{Name: "files:write", Why: "to upload charts and long output into threads"},
		{Name: "files:read", Why: "to see whether an upload has arrived in its thread, for Slack says so only later"},
		{Name: "channels:read", Why: "to find channels by their names, and to see whether the bot is in them"},
		{Name: "channels:history", Why: "to look whether a message was shown whose delivery is in doubt, before it is sent again"},
		{Name: "groups:read", Why: "channels:read, for private channels", Private: true},
		{Name: "groups:history", Why: "channels:history, for private channels", Private: true},
		{Name: "commands", Why: "for /triage and /maintenance", Hearing: true},
		{Name: "app_mentions:read", Why: "to hear @triagebot within threads, where Slack has no slash commands", Hearing: true},
		{Name: "users:read", Why: "to write the name of whoever mentions @triagebot, for Slack tells only the id", Hearing: true},
		{Name: "usergroups:read", Why: "to know who belongs to the user groups that may do things", Hearing: true},
	}
}

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
