package triage

import (
	"cmp"
	"time"
)

// Actor is a person who asks for something, as the way in knows them. Whoever
// made one has checked that the person is who they say: by Slack's signature,
// or by the token of the command line.
type Actor struct {
	Via  Via    `json:"via"`
	Team string `json:"team,omitempty"` // Slack's workspace, T0123456; "" on the command line
	ID   string `json:"id"`             // U0123456; on the command line the name given
	Name string `json:"name,omitempty"` // what people call them, for people to read; decides nothing
}

// Via is the way by which a request came in.
type Via string

// The ways in.
const (
	ViaSlack Via = "slack" // slash commands, mentions and buttons, over HTTP or Socket Mode, the local channel among them
	ViaCtl   Via = "ctl"   // triagebot ctl
)

// Is says whether two are one person: by their ids, whatever they are called.
func (a Actor) Is(b Actor) bool { return a.Key() == b.Key() }

// Key tells a person from every other.
func (a Actor) Key() string { return string(a.Via) + "/" + a.Team + "/" + a.ID }

// Label is what people call the person.
func (a Actor) Label() string { return cmp.Or(a.Name, a.ID) }

// String is how the timeline and the audit log name a person.
func (a Actor) String() string { return string(a.Via) + ":" + a.Label() }

// Request is one thing that a person asks for, by whatever way in.
type Request struct {
	// ID is the same in every copy of one request and differs between two: it
	// is what makes a request that comes twice happen once. At most 200 bytes.
	ID    string
	Actor Actor
	// Text is the command, without a slash: "triage ack 7".
	Text string
	// Incident is what it is about by where it was asked, in its thread or on
	// its buttons; 0 for none. A number in the text goes first.
	Incident int64
	// Place is where it was asked: the channel, and the thread's parent where it
	// was asked in a thread. Empty on the command line.
	Place RemoteRef
	At    time.Time // when it came in
}

// Reply is what a person is answered, free of any channel's markup. Only who
// asked sees it; what concerns the incident stands in its thread, by a
// delivery of its own.
type Reply struct {
	// Text is a whole sentence: what was done, or why not and what to do.
	Text string `json:"text"`
	// Lines follow it: a list, an example, a table's rows. At most 50 are shown.
	Lines []string `json:"lines,omitempty"`
	// Fixed has the lines shown in a font of fixed width, as they are.
	Fixed bool   `json:"fixed,omitempty"`
	Links []Link `json:"links,omitempty"`
	// Choices are what may come next, as buttons; on the command line as the
	// commands to type.
	Choices []Choice `json:"choices,omitempty"`
	// Outcome says what came of it; "" counts as OutcomeDone.
	Outcome Outcome `json:"outcome,omitempty"`
}

// Outcome is what came of a request.
type Outcome string

// The outcomes.
const (
	OutcomeDone    Outcome = "done"
	OutcomeRefused Outcome = "refused" // the person may not, or things stand against it; nothing was done
	OutcomeUnclear Outcome = "unclear" // the command was not understood; nothing was done
	OutcomeFailed  Outcome = "failed"  // triagebot could not; nothing was done, unless the text says so
)

// Choice is a button: a command that a click asks for.
type Choice struct {
	Label   string `json:"label"`             // at most 75 characters
	Command string `json:"command"`           // as Request.Text: "maintenance confirm 12"
	Style   string `json:"style,omitempty"`   // "", primary or danger
	Confirm string `json:"confirm,omitempty"` // a question to be answered before; "" for none
	// Options make it a menu: each is a command of its own.
	Options []Choice `json:"options,omitempty"`
}
