package slack

// Whether an app is set up as triagebot needs it, for people who set one up:
// every finding says what to do. It asks Slack and changes nothing.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/sirupsen/logrus"
	"github.com/slack-go/slack"

	"triagebot/triage/safetext"
)

// Grade is how bad a finding is.
type Grade string

// The grades.
const (
	Fine    Grade = "ok"
	Warning Grade = "warning" // something that may be meant
	Wrong   Grade = "error"   // something will not work
)

// Examined is one thing that was looked at.
type Examined struct {
	Grade Grade
	What  string // how it is
	Do    string // what to do; "" where nothing is to be done
}

// ExamineOptions are what Examine looks at.
type ExamineOptions struct {
	Token, AppToken, SigningSecret string
	APIURL                         string       // Slack's own by default
	HTTPClient                     *http.Client // as in Options
	Channels                       []string     // names or ids that messages go to
}

const (
	underScopes = "add it in the app's settings under OAuth & Permissions, Bot Token Scopes, and reinstall the app"
	underTokens = "make an app-level token in the app's settings under Basic Information, App-Level Tokens, with the scope connections:write"
)

// Examine looks at an app: its token and scopes, its channels, and how people
// are heard.
func Examine(ctx context.Context, o ExamineOptions) []Examined {
	silent := logrus.New()
	silent.SetOutput(io.Discard)
	n, err := New(Options{
		Token: o.Token, APIURL: o.APIURL, HTTPClient: o.HTTPClient, Log: silent,
		Open: func(context.Context, int64, string) (io.ReadCloser, int64, error) {
			return nil, 0, errors.New("nothing is uploaded")
		},
	})
	if err != nil {
		return []Examined{{Wrong, err.Error(), "write slack.token_file with the bot token (xoxb-…) from the app's settings, under OAuth & Permissions"}}
	}
	hears := o.AppToken != "" || o.SigningSecret != ""
	found := n.examineToken(ctx, hears)
	if found[0].Grade == Fine {
		found = append(found, n.examineChannels(ctx, o.Channels)...)
	}
	return append(found, examineHearing(ctx, o)...)
}

// examineToken looks at the token and what it may do; the first finding is of
// the token.
func (n *Notifier) examineToken(ctx context.Context, hears bool) []Examined {
	who, err := n.client.AuthTestContext(ctx)
	switch {
	case err != nil:
		do := "see that this machine reaches Slack, and what its proxies do"
		if c := code(err); c != "" {
			do = "give triagebot a valid bot token (xoxb-…): in the app's settings, under OAuth & Permissions"
		}
		return []Examined{{Wrong, "the bot token is not taken: " + safetext.Line(safetext.WithoutURL(err).Error(), 200), do}}
	case who.BotID == "":
		return []Examined{{Wrong, "the token is a user's, not a bot's", "give triagebot the Bot User OAuth Token (xoxb-…), under OAuth & Permissions"}}
	}
	found := []Examined{{Fine, fmt.Sprintf("the bot token is good: bot %s of the workspace %s (%s)", line(who.User, maxName), line(who.Team, maxName), line(who.TeamID, maxName)), ""}}
	given := who.Header.Get("X-OAuth-Scopes")
	if given == "" {
		return append(found, Examined{Warning, "Slack does not say which scopes the token has", "compare them with docs/slack.md"})
	}
	has := map[string]bool{}
	for scope := range strings.SplitSeq(given, ",") {
		has[strings.TrimSpace(scope)] = true
	}
	missing := 0
	for _, s := range Scopes() {
		if has[s.Name] || s.Hearing && !hears {
			continue
		}
		missing++
		grade := Wrong
		private := strings.Replace(s.Name, "channels:", "groups:", 1)
		if s.Private || private != s.Name && has[private] { // one of the two may be all that is needed
			grade = Warning
		}
		found = append(found, Examined{grade, fmt.Sprintf("the scope %s is missing, which is needed %s", s.Name, s.why()), underScopes})
	}
	if missing == 0 {
		found = append(found, Examined{Fine, "the token has every scope", ""})
	}
	return found
}

// why is the reason as the end of "which is needed".
func (s Scope) why() string {
	if strings.HasPrefix(s.Why, "to ") || strings.HasPrefix(s.Why, "for ") {
		return s.Why
	}
	return "as " + s.Why
}

// examineChannels looks at each channel once.
func (n *Notifier) examineChannels(ctx context.Context, wanted []string) []Examined {
	if len(wanted) == 0 {
		return nil
	}
	byName, err := n.allChannels(ctx)
	if err != nil {
		return []Examined{{Wrong, "the channels cannot be listed: " + err.Error(), "add the scopes channels:read and groups:read, or try again"}}
	}
	var found []Examined
	for _, name := range wanted {
		name = strings.TrimPrefix(name, "#")
		shown := "#" + line(name, maxName)
		if channelID.MatchString(name) {
			shown = name
		}
		switch c, ok := byName[name]; {
		case !ok:
			found = append(found, Examined{Wrong, shown + " is not seen by the bot: there is none, or it is private", "check the name, and write /invite @triagebot in the channel"})
		case c.IsArchived:
			found = append(found, Examined{Wrong, shown + " is archived", "unarchive it, or route to another channel"})
		case !c.IsMember:
			found = append(found, Examined{Wrong, "the bot is not in " + shown, "write /invite @triagebot in the channel"})
		case c.IsExtShared:
			found = append(found, Examined{Warning, shown + " is shared with another organisation, whose people read all that is posted there", "route incidents to a channel of your own, if that is not meant"})
		default:
			found = append(found, Examined{Fine, "the bot is in " + shown, ""})
		}
	}
	return found
}

// allChannels are the channels that the bot sees, by name and by id.
func (n *Notifier) allChannels(ctx context.Context) (map[string]slack.Channel, error) {
	found := map[string]slack.Channel{}
	params := slack.GetConversationsParameters{Limit: 1000, Types: []string{"public_channel", "private_channel"}}
	for range maxListPages {
		list, next, err := n.client.GetConversationsContext(ctx, &params)
		if code(err) == "missing_scope" && len(params.Types) > 1 { // groups:read, for the private ones
			params.Types = params.Types[:1]
			continue
		}
		if err != nil {
			return nil, n.failed(methodList, looking, err)
		}
		for _, c := range list {
			found[c.ID], found[c.Name] = c, c
		}
		if next == "" {
			break
		}
		params.Cursor = next
	}
	return found, nil
}

// signingSecret is what signing secrets look like.
var signingSecret = regexp.MustCompile(`^[0-9a-f]{32}$`)

// examineHearing looks at how people are heard.
func examineHearing(ctx context.Context, o ExamineOptions) (found []Examined) {
	if o.AppToken == "" && o.SigningSecret == "" {
		return []Examined{{
			Warning, "people in Slack are not heard: messages have no buttons, and commands get no answer",
			"set slack.app_token_file (Socket Mode, nothing need reach triagebot) or slack.signing_secret_file (HTTP), if that is not meant",
		}}
	}
	if o.AppToken != "" {
		found = append(found, examineAppToken(ctx, o))
	}
	switch {
	case o.SigningSecret == "":
	case !signingSecret.MatchString(o.SigningSecret):
		found = append(found, Examined{Warning, "the signing secret does not look like one: they are 32 characters, 0-9 and a-f", "compare it with the app's settings, under Basic Information, App Credentials"})
	default:
		found = append(found, Examined{Fine, "a signing secret is set; only a request of Slack's can show whether it is the app's: enter the request URLs in the app's settings, which says Verified", ""})
	}
	if o.AppToken != "" && o.SigningSecret != "" {
		found = append(found, Examined{Warning, "both Socket Mode and HTTP are set; an app uses one of them, by its setting Socket Mode", "remove the one that is not used"})
	}
	return found
}

func examineAppToken(ctx context.Context, o ExamineOptions) Examined {
	api := slack.New("", slack.OptionAppLevelToken(o.AppToken), slack.OptionAPIURL(cmp.Or(o.APIURL, slack.APIURL)), slack.OptionHTTPClient(httpClient(o.HTTPClient)))
	if _, _, err := api.StartSocketModeContext(ctx); err != nil {
		do := underTokens
		switch code(err) {
		case "":
			do = "see that this machine reaches Slack, and what its proxies do"
		case "missing_scope", "no_permission":
			do = "the token lacks the scope connections:write; " + underTokens
		case "not_allowed_token_type":
			do = "that is not an app-level token (xapp-…); " + underTokens
		case "forbidden_team", "access_denied":
			do = "enable Socket Mode in the app's settings, and install the app in the workspace"
		}
		return Examined{Wrong, "the app token does not open Socket Mode: " + safetext.Line(safetext.WithoutURL(err).Error(), 200), do}
	}
	return Examined{Fine, "the app token opens Socket Mode", ""}
}
