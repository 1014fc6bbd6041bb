package inbound

// What may come in, from either way, and what is asked with it. Only the fields
// that are used are read: what else Slack sends, or adds one day, cannot break
// a click.

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"triagebot/notifiers/slack"
	"triagebot/triage"
)

// kind is what a person did.
type kind string

const (
	kindCommand kind = "command" // /triage …
	kindClick   kind = "click"   // on a button or a menu's entry
	kindDialog  kind = "dialog"  // sent off
	kindMention kind = "mention" // @triagebot …
	kindOther   kind = "other"   // nothing that is asked of triagebot
	kindUnknown kind = "unknown" // refused before it was read
)

const (
	maxCommand = 3000 // characters of a command
	maxID      = 200  // bytes of a request's ID
)

// ask is something that a person asks for. Of one of kindOther nothing else is set.
type ask struct {
	kind kind
	req  triage.Request // all but At
	// install are the workspaces that the payload gives as those the app is
	// installed in; together with the actor's own they must be triagebot's.
	install []string
	// refused answers what can be answered without asking anybody.
	refused     *triage.Reply
	responseURL string // where Slack takes the answer for half an hour; "" for none
	thread      string // in which the person sees the answer; "" for none
	trigger     string // opens a dialog, for three seconds
	onAnswer    bool   // a click on an answer that only the person sees
	other       int64  // the incident that a dialog is asked for about; 0 for none
}

// decodeCommand reads a slash command, of which get returns the fields.
// https://docs.slack.dev/interactivity/implementing-slash-commands
func decodeCommand(get func(name string) string) (ask, error) {
	name, args, trigger := get("command"), get("text"), get("trigger_id")
	switch {
	case !strings.HasPrefix(name, "/") || commandText(name) == "/":
		return ask{}, errors.New("the slash command has no command")
	case trigger == "" || get("user_id") == "" || get("team_id") == "":
		return ask{}, errors.New("the slash command lacks trigger_id, user_id or team_id")
	}
	// A second app for trying things out may have /triage-staging.
	word, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), "-")
	a := ask{
		kind: kindCommand, responseURL: get("response_url"), trigger: trigger, install: []string{get("team_id")},
		req: triage.Request{
			ID:    requestID(kindCommand, trigger),
			Actor: triage.Actor{Via: triage.ViaSlack, Team: get("team_id"), ID: get("user_id"), Name: get("user_name")},
			Place: triage.RemoteRef{Channel: get("channel_id")},
		},
	}
	a.text(commandText(word) + " " + commandText(args))
	return a, nil
}

// commandFields are the fields of a slash command that came as JSON, as over
// Socket Mode. Those that are no strings are of no use here.
func commandFields(payload []byte) (func(name string) string, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(payload, &fields); err != nil {
		return nil, fmt.Errorf("the slash command is no JSON object: %w", err)
	}
	return func(name string) string {
		var s string
		_ = json.Unmarshal(fields[name], &s) // absent, or a bool
		return s
	}, nil
}

// interaction is the part of a click's or a dialog's payload that is read.
// https://docs.slack.dev/reference/interaction-payloads
type interaction struct {
	Type        string `json:"type"`
	TriggerID   string `json:"trigger_id"`
	ResponseURL string `json:"response_url"`
	User        struct {
		ID       string `json:"id"`
		Username string `json:"username"`
		Name     string `json:"name"`
		TeamID   string `json:"team_id"` // whose member the person is
	} `json:"user"`
	Team       *named `json:"team"` // null where the app is installed in a whole organisation
	Enterprise *named `json:"enterprise"`
	Channel    *named `json:"channel"`
	Container  struct {
		ChannelID   string `json:"channel_id"`
		MessageTS   string `json:"message_ts"`
		ThreadTS    string `json:"thread_ts"`
		IsEphemeral bool   `json:"is_ephemeral"`
	} `json:"container"`
	Message struct {
		ThreadTS string `json:"thread_ts"`
	} `json:"message"`
	Actions []struct {
		ActionID       string `json:"action_id"`
		ActionTS       string `json:"action_ts"`
		Value          string `json:"value"`
		SelectedOption struct {
			Value string `json:"value"`
		} `json:"selected_option"`
	} `json:"actions"`
	View *view `json:"view"`
}

type named struct {
	ID string `json:"id"`
}

func (n *named) id() string {
	if n == nil {
		return ""
	}
	return n.ID
}

// decodeInteraction reads what a click or a dialog sends.
func decodeInteraction(payload []byte) (ask, error) {
	var in interaction
	if err := json.Unmarshal(payload, &in); err != nil {
		return ask{}, fmt.Errorf("the interaction is not as Slack sends it: %w", err)
	}
	if in.Type == "" || in.User.ID == "" {
		return ask{}, errors.New("the interaction lacks type or user")
	}
	switch in.Type {
	case "block_actions":
		return in.click()
	case "view_submission":
		return in.dialog()
	}
	return ask{kind: kindOther}, nil
}

// actor is the person, with the workspace that they are a member of: by Slack
// Connect it may be another than the app's.
func (in *interaction) actor() (who triage.Actor, install []string) {
	workspace := in.Team.id()
	if workspace == "" {
		workspace = in.Enterprise.id()
	}
	own := in.User.TeamID
	if own == "" {
		own = workspace
	}
	name := in.User.Username
	if name == "" {
		name = in.User.Name
	}
	if workspace != "" {
		install = []string{workspace}
	}
	return triage.Actor{Via: triage.ViaSlack, Team: own, ID: in.User.ID, Name: name}, install
}

func (in *interaction) click() (ask, error) {
	if len(in.Actions) == 0 {
		return ask{}, errors.New("the click has no actions")
	}
	act := in.Actions[0] // Slack sends one
	if !slack.IsChoice(act.ActionID) {
		return ask{kind: kindOther}, nil // a link that was opened
	}
	value := act.Value
	if value == "" {
		value = act.SelectedOption.Value
	}
	if value == "" {
		return ask{}, errors.New("the click has no value")
	}
	a := ask{kind: kindClick, responseURL: in.ResponseURL, trigger: in.TriggerID, onAnswer: in.Container.IsEphemeral}
	a.req.Actor, a.install = in.actor()
	channel := in.Container.ChannelID
	if channel == "" {
		channel = in.Channel.id()
	}
	a.thread = in.Container.ThreadTS
	if a.thread == "" {
		a.thread = in.Message.ThreadTS
	}
	place := a.thread
	if place == "" && !in.Container.IsEphemeral { // the message is a thread's parent, or may become one
		place = in.Container.MessageTS
	}
	a.req.Place = triage.RemoteRef{Channel: channel, ID: place}
	if in.TriggerID != "" {
		a.req.ID = requestID(kindClick, in.TriggerID)
	} else {
		if act.ActionTS == "" || in.Container.MessageTS == "" {
			return ask{}, errors.New("the click has neither trigger_id nor the time stamps that tell it from others")
		}
		a.req.ID = requestID(kindClick, channel, in.Container.MessageTS, act.ActionTS, in.User.ID)
	}
	if incident, ok := slack.OtherOf(value); ok {
		if in.TriggerID == "" {
			return ask{}, errors.New("the click asks for a dialog and has no trigger_id")
		}
		a.other, a.req.Incident, a.req.Text = incident, incident, value
		return a, nil
	}
	a.text(value)
	return a, nil
}

// envelope is an event as it comes, of which mentions are of use.
// https://docs.slack.dev/reference/events/app_mention
type envelope struct {
	Type               string `json:"type"`
	Challenge          string `json:"challenge"`
	TeamID             string `json:"team_id"`
	EventID            string `json:"event_id"`
	IsExtSharedChannel bool   `json:"is_ext_shared_channel"`
	Authorizations     []struct {
		TeamID string `json:"team_id"`
		UserID string `json:"user_id"` // the bot's own
	} `json:"authorizations"`
	Event struct {
		Type     string `json:"type"`
		Subtype  string `json:"subtype"`
		User     string `json:"user"`
		BotID    string `json:"bot_id"`
		Text     string `json:"text"`
		TS       string `json:"ts"`
		ThreadTS string `json:"thread_ts"`
		Channel  string `json:"channel"`
		Team     string `json:"team"`      // whose member the person is
		UserTeam string `json:"user_team"` // likewise, in channels shared with others
	} `json:"event"`
}

// decodeEvent reads an event; challenge is what Slack wants to have back when
// somebody enters the URL of events.
func decodeEvent(payload []byte) (a ask, challenge string, err error) {
	var e envelope
	if err := json.Unmarshal(payload, &e); err != nil {
		return ask{}, "", fmt.Errorf("the event is not as Slack sends it: %w", err)
	}
	switch {
	case e.Type == "url_verification" && e.Challenge != "":
		return ask{kind: kindOther}, e.Challenge, nil
	case e.Type == "url_verification":
		return ask{}, "", errors.New("the url_verification has no challenge")
	case e.Type == "":
		return ask{}, "", errors.New("the event has no type")
	case e.Type != "event_callback" || e.Event.Type != "app_mention":
		return ask{kind: kindOther}, "", nil
	case e.Event.BotID != "" || e.Event.Subtype != "":
		return ask{kind: kindOther}, "", nil // of a bot: two that answer each other never end
	}
	a, err = e.mention()
	return a, "", err
}

func (e *envelope) mention() (ask, error) {
	m := &e.Event
	if m.User == "" || m.Channel == "" || m.TS == "" || e.TeamID == "" {
		return ask{}, errors.New("the mention lacks user, channel, ts or team_id")
	}
	install, bot := e.TeamID, ""
	if len(e.Authorizations) > 0 {
		bot = e.Authorizations[0].UserID
		if team := e.Authorizations[0].TeamID; team != "" {
			install = team
		}
	}
	if bot == m.User {
		return ask{kind: kindOther}, nil
	}
	own := m.UserTeam
	if own == "" {
		own = m.Team
	}
	if own == "" && !e.IsExtSharedChannel { // nobody else can be there
		own = e.TeamID
	}
	a := ask{
		kind: kindMention, thread: m.ThreadTS, install: []string{install},
		req: triage.Request{
			ID:    requestID(kindMention, m.Channel, m.TS), // an edit of the message is the same one
			Actor: triage.Actor{Via: triage.ViaSlack, Team: own, ID: m.User},
			Place: triage.RemoteRef{Channel: m.Channel, ID: m.ThreadTS},
		},
	}
	a.text(mentionText(m.Text, bot))
	return a, nil
}

// text sets what is asked for. What is too long is refused rather than cut: half
// a command may be another one.
func (a *ask) text(command string) {
	command = strings.TrimSpace(command)
	if command == "" {
		a.refused = &triage.Reply{Text: "That asks for nothing. Nothing was done; /triage help says what there is.", Outcome: triage.OutcomeUnclear}
	}
	if n := utf8.RuneCountInString(command); n > maxCommand {
		a.refused = &triage.Reply{
			Text:    fmt.Sprintf("That is too long: %d characters, and a command has at most %d. Nothing was done.", n, maxCommand),
			Outcome: triage.OutcomeUnclear,
		}
		return
	}
	a.req.Text = command
}

// requestID is unique to what its parts name.
func requestID(k kind, parts ...string) string {
	id := "slack/" + string(k) + "/" + strings.Join(parts, "/")
	if len(id) <= maxID && utf8.ValidString(id) && !strings.ContainsRune(id, 0) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "slack/" + string(k) + "/" + hex.EncodeToString(sum[:])
}

// formPayload is the payload of an interaction that came as a form.
func formPayload(body []byte) ([]byte, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("the body is no form: %w", err)
	}
	payload := values.Get("payload")
	if payload == "" {
		return nil, errors.New("the form has no payload")
	}
	return []byte(payload), nil
}

// dialogFor is what a dialog is about and where it was asked for: its
// private_metadata, in JSON.
type dialogFor struct {
	Incident int64  `json:"incident"`
	Channel  string `json:"channel,omitempty"`
	Thread   string `json:"thread,omitempty"`
}

func (d dialogFor) String() string {
	text, _ := json.Marshal(d) // of strings and a number: it cannot fail
	return string(text)
}

func incidentWords(incident int64) string { return "incident " + strconv.FormatInt(incident, 10) }
