package slacklocal

// Who the bot is and what it may: auth.test, and the scopes of its token.

import "strings"

// The names that people and the app see.
const (
	AppID      = "A0LOCAL01"
	BotName    = "triagebot"
	TeamDomain = "local"
)

// DefaultScopes are the bot token's scopes when Options names none.
const DefaultScopes = "app_mentions:read,channels:history,channels:read,chat:write,commands," +
	"files:read,files:write,groups:history,groups:read,usergroups:read,users:read"

// scopeOf is the scope that a method needs, "" for none.
func scopeOf(method string) string {
	switch method {
	case "users.info":
		return "users:read"
	case "usergroups.list", "usergroups.users.list":
		return "usergroups:read"
	case "chat.postMessage", "chat.postEphemeral", "chat.update", "chat.delete":
		return "chat:write"
	case "conversations.list", "conversations.info":
		return "channels:read"
	case "conversations.history", "conversations.replies":
		return "channels:history"
	case "files.getUploadURLExternal", "files.completeUploadExternal":
		return "files:write"
	case "files.info":
		return "files:read"
	}
	return ""
}

// permit refuses a method whose scope the token lacks. All channels here are
// public, so that groups:… help nobody.
func (w *Workspace) permit(method string) error {
	needed := scopeOf(method)
	if needed == "" || w.has(needed) {
		return nil
	}
	return &refusal{failure{Error: "missing_scope", Needed: needed, Provided: w.scopes}}
}

func (w *Workspace) has(scope string) bool {
	for given := range strings.SplitSeq(w.scopes, ",") {
		if strings.TrimSpace(given) == scope {
			return true
		}
	}
	return false
}

func (w *Workspace) authTest(c *call) (answer, error) {
	return answer{
		"url": "http://" + c.host + "/", "team": TeamDomain, "team_id": TeamID,
		"user": BotName, "user_id": UserID, "bot_id": BotID, "is_enterprise_install": false,
	}, nil
}
