package triage

import "time"

// WindowState is where a maintenance window is in its life. The transitions
// stand in package maintenance.
type WindowState string

// A window's states.
const (
	WindowProposed  WindowState = "proposed"  // asked for; waits for the confirmation
	WindowCancelled WindowState = "cancelled" // not confirmed, or taken back; nothing was called
	WindowEnabling  WindowState = "enabling"  // announced; the toggle is called, the metric is awaited
	WindowOn        WindowState = "on"        // the metric says 1
	WindowDisabling WindowState = "disabling" // the toggle is called, the metric is awaited
	WindowOff       WindowState = "off"       // over: the metric says 0 again
	WindowFailed    WindowState = "failed"    // the toggle or the metric did not follow, and it was given up
	WindowFound     WindowState = "found"     // the metric went to 1 without triagebot; somebody is asked whose it is
	WindowUndoing   WindowState = "undoing"   // it could not be enabled: the opposite is called, the metric is awaited
)

// Window is a maintenance window: from an announced enable to an announced
// disable of the service's maintenance flag.
type Window struct {
	ID         int64         `json:"id"`
	Service    string        `json:"service"`
	State      WindowState   `json:"state"`
	Reason     string        `json:"reason"`
	For        time.Duration `json:"for"` // wanted length
	By         Actor         `json:"by"`  // who asked for it
	Confirmed  Actor         `json:"confirmed,omitzero"`
	Ender      Actor         `json:"ender,omitzero"`        // who asked for its end
	IncidentID int64         `json:"incident_id,omitempty"` // in whose thread it was asked for; 0 for none
	CreatedAt  time.Time     `json:"created_at"`
	ChangedAt  time.Time     `json:"changed_at"` // when it came into its state
	Since      time.Time     `json:"since,omitzero"`
	Until      time.Time     `json:"until,omitzero"`
	Ended      time.Time     `json:"ended,omitzero"`
	// Override has it disabled though the service is not ready.
	Override bool `json:"override,omitempty"`
	// Attempt counts the calls of the toggle that were claimed in this state,
	// and VerifyUntil is how long the metric may take to follow the latest; zero
	// where none is awaited.
	Attempt     int       `json:"attempt,omitempty"`
	VerifyUntil time.Time `json:"verify_until,omitzero"`
	RemindedAt  time.Time `json:"reminded_at,omitzero"` // of its end, which was near
	ShoutedAt   time.Time `json:"shouted_at,omitzero"`  // that it is overdue, or that nobody has claimed it
}

// WindowEntry is one line of a window's append-only log.
type WindowEntry struct {
	WindowID int64     `json:"window"`
	Seq      int64     `json:"seq"` // from 1, without gaps
	At       time.Time `json:"at"`
	Kind     string    `json:"kind"`  // proposed, confirmed, called, answered, on, reminded, …
	Actor    string    `json:"actor"` // triagebot, or who did it
	Text     string    `json:"text"`
}
