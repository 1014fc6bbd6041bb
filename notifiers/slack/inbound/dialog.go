package inbound

// The dialog behind Other…: for how long to silence an incident, and why.

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	slackapi "github.com/slack-go/slack"

	"triagebot/triage"
)

// Ids within the dialog.
const (
	silenceDialog = "triage.silence"
	blockDuration = "duration"
	blockComment  = "comment"
	inputAction   = "value"
)

const (
	maxDuration = 20  // characters
	maxComment  = 500 // characters
)

// view is the part of a dialog's payload that is read.
type view struct {
	ID              string `json:"id"`
	Hash            string `json:"hash"`
	CallbackID      string `json:"callback_id"`
	PrivateMetadata string `json:"private_metadata"`
	InstalledTeam   string `json:"app_installed_team_id"`
	State           struct {
		Values map[string]map[string]struct {
			Value string `json:"value"`
		} `json:"values"`
	} `json:"state"`
}

func (v *view) value(block string) string {
	return strings.TrimSpace(v.State.Values[block][inputAction].Value)
}

// dialogView is the dialog about an incident. Where it was asked for goes with
// it, for its answer is shown there.
func dialogView(d dialogFor) slackapi.ModalViewRequest {
	text := func(s string) *slackapi.TextBlockObject {
		return slackapi.NewTextBlockObject(slackapi.PlainTextType, s, false, false)
	}
	duration := slackapi.NewPlainTextInputBlockElement(text("45m, 2h or 1d"), inputAction).WithMinLength(1).WithMaxLength(maxDuration)
	comment := slackapi.NewPlainTextInputBlockElement(text("Shown in Alertmanager beside your name"), inputAction).WithMaxLength(maxComment)
	return slackapi.ModalViewRequest{
		Type: slackapi.VTModal, CallbackID: silenceDialog, PrivateMetadata: d.String(),
		Title: text("Silence"), Submit: text("Silence"), Close: text("Cancel"),
		Blocks: slackapi.Blocks{BlockSet: []slackapi.Block{
			slackapi.NewSectionBlock(text("Creates a silence in Alertmanager that matches the alerts of "+incidentWords(d.Incident)+"."), nil, nil),
			slackapi.NewInputBlock(blockDuration, text("For how long"), nil, duration),
			slackapi.NewInputBlock(blockComment, text("Why"), nil, comment).WithOptional(true),
		}},
	}
}

// dialog is what a dialog that is sent off asks for.
func (in *interaction) dialog() (ask, error) {
	v := in.View
	if v == nil {
		return ask{}, errors.New("the dialog has no view")
	}
	if v.CallbackID != silenceDialog {
		return ask{kind: kindOther}, nil
	}
	var about dialogFor
	if err := json.Unmarshal([]byte(v.PrivateMetadata), &about); err != nil || about.Incident <= 0 {
		return ask{}, errors.New("the dialog's private_metadata names no incident")
	}
	a := ask{kind: kindDialog, thread: about.Thread}
	a.req.Actor, a.install = in.actor()
	if v.InstalledTeam != "" {
		a.install = append(a.install, v.InstalledTeam)
	}
	a.req.Incident, a.req.Place = about.Incident, triage.RemoteRef{Channel: about.Channel, ID: about.Thread}
	switch {
	case in.TriggerID != "":
		a.req.ID = requestID(kindDialog, in.TriggerID)
	case v.ID != "":
		said, _ := json.Marshal(v.State) // it was JSON before
		sum := sha256.Sum256(said)
		a.req.ID = requestID(kindDialog, v.ID, v.Hash, hex.EncodeToString(sum[:8]))
	default:
		return ask{}, errors.New("the dialog has neither trigger_id nor an id")
	}
	length, wrong := silenceFor(v.value(blockDuration))
	if wrong != "" {
		a.refused = &triage.Reply{Text: wrong, Outcome: triage.OutcomeUnclear}
		return a, nil
	}
	a.text(fmt.Sprintf("triage silence %s %d %s", length, about.Incident, commandText(v.value(blockComment))))
	return a, nil
}

// silenceFor reads a length of time; wrong says what to write instead.
func silenceFor(text string) (length, wrong string) {
	d, err := model.ParseDuration(strings.ReplaceAll(text, " ", ""))
	if err != nil || time.Duration(d) <= 0 {
		return "", "Write how long with a unit, such as 45m, 2h or 1d."
	}
	return d.String(), ""
}
