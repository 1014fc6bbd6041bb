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
	Since      time.Time     `json:"since,omitzero"`
	Until      time.Time     `json:"until,omitzero"`
	Ended      time.Time     `json:"ended,omitzero"`
}
