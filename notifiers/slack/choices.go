package slack

// Choices as buttons and menus: one block, whose elements carry the command
// that a click asks for.

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"triagebot/triage"
)

// Slack's limits of a block of actions, in elements and characters.
// https://docs.slack.dev/reference/block-kit
const (
	maxActions     = 25
	maxOptions     = 100
	maxLabel       = 75 // of a button, of a menu's entry
	maxPlaceholder = 150
	maxButtonValue = 2000
	maxOptionValue = 150
	maxQuestion    = 300 // of a confirmation
	maxConfirm     = 30  // of a confirmation's buttons
)

// choiceAction begins the action_id of every choice; its number follows, for
// Slack wants the ids of a block to differ.
const choiceAction = "triage.choice."

// otherValue begins the value of a menu's entry that asks for more in a dialog.
const otherValue = "other:"

// OtherOf is the incident that the value of a chosen entry asks a dialog for;
// false for a value that is a command.
func OtherOf(value string) (incident int64, ok bool) {
	number, ok := strings.CutPrefix(value, otherValue)
	if !ok {
		return 0, false
	}
	incident, err := strconv.ParseInt(number, 10, 64)
	return incident, err == nil && incident > 0
}

// IsChoice says whether an action_id is that of a choice.
func IsChoice(actionID string) bool { return strings.HasPrefix(actionID, choiceAction) }

// actions are choices as a block, nil without any that Slack can show. A
// command is never cut, for then it would be another one: a choice whose
// command is too long is left out. An entry without a command, Other…, asks for
// more in a dialog about the incident; it is left out where that is 0.
func actions(choices []triage.Choice, incident int64) *slack.ActionBlock {
	var elements []slack.BlockElement
	for _, c := range choices {
		if len(elements) == maxActions {
			break
		}
		if e := action(fmt.Sprintf("%s%d", choiceAction, len(elements)), c, incident); e != nil {
			elements = append(elements, e)
		}
	}
	if len(elements) == 0 {
		return nil
	}
	return slack.NewActionBlock("", elements...)
}

// action is one choice; nil for one that cannot be shown.
func action(id string, c triage.Choice, incident int64) slack.BlockElement {
	if len(c.Options) > 0 {
		return menu(id, c, incident)
	}
	if c.Command == "" || utf8.RuneCountInString(c.Command) > maxButtonValue {
		return nil
	}
	b := slack.NewButtonBlockElement(id, c.Command, plainText(line(c.Label, maxLabel)))
	b.Style = style(c.Style)
	b.Confirm = confirmation(c)
	return b
}

// menu is a choice with options; nil when none of them can be shown.
func menu(id string, c triage.Choice, incident int64) slack.BlockElement {
	var options []*slack.OptionBlockObject
	for _, o := range c.Options {
		value := o.Command
		if value == "" && incident > 0 {
			value = fmt.Sprintf("%s%d", otherValue, incident)
		}
		if value == "" || utf8.RuneCountInString(value) > maxOptionValue || len(options) == maxOptions {
			continue
		}
		options = append(options, slack.NewOptionBlockObject(value, plainText(line(o.Label, maxLabel)), nil))
	}
	if len(options) == 0 {
		return nil
	}
	m := slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, plainText(line(c.Label, maxPlaceholder)), id, options...)
	m.Confirm = confirmation(c)
	return m
}

func style(s string) slack.Style {
	switch s {
	case "primary":
		return slack.StylePrimary
	case "danger":
		return slack.StyleDanger
	}
	return slack.StyleDefault
}

// confirmation is the question that is asked before, nil for none.
func confirmation(c triage.Choice) *slack.ConfirmationBlockObject {
	if c.Confirm == "" {
		return nil
	}
	asked := slack.NewConfirmationBlockObject(
		plainText("Are you sure?"), plainText(line(c.Confirm, maxQuestion)),
		plainText(line(c.Label, maxConfirm)), plainText("Cancel"),
	)
	return asked.WithStyle(style(c.Style))
}
