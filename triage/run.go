package triage

import "time"

// Trigger is what started a run.
type Trigger string

// The triggers of a run.
const (
	TriggerAlert      Trigger = "alert"
	TriggerCommand    Trigger = "command"
	TriggerDrill      Trigger = "drill"
	TriggerValidation Trigger = "validation"
	TriggerBacktest   Trigger = "backtest"
)

// Pages says whether a run that was started so tells anybody outside of its
// incident's thread: only an alert's does. A drill must wake nobody, and of a run
// that is asked for by hand or follows another its alert's run has told.
func (t Trigger) Pages() bool { return t == TriggerAlert }

// RunState is where a run is.
type RunState string

// A run's states.
const (
	RunPending  RunState = "pending"
	RunRunning  RunState = "running"
	RunFinished RunState = "finished"
	RunFailed   RunState = "failed" // could not be executed at all, see Run.Error
)

// Run is one execution of a playbook for an incident.
type Run struct {
	ID           int64     `json:"id"`
	IncidentID   int64     `json:"incident_id"`
	Playbook     string    `json:"playbook"`
	PlaybookHash string    `json:"playbook_hash,omitempty"`
	Trigger      Trigger   `json:"trigger"`
	State        RunState  `json:"state"`
	At           time.Time `json:"at"` // the instant at which its queries are evaluated
	Alert        Alert     `json:"alert"`
	CreatedAt    time.Time `json:"created_at"` // when the notification that caused it was received
	StartedAt    time.Time `json:"started_at,omitzero"`
	FinishedAt   time.Time `json:"finished_at,omitzero"`
	Error        string    `json:"error,omitempty"`
	// Conclusion is its last word; nil before its end, and for a playbook that
	// knows no explanations.
	Conclusion *Conclusion `json:"conclusion,omitempty"`
}

// StepState is what the parent message's step line shows of one step.
type StepState string

// A step's states. A finished step's state is its finding's verdict.
const (
	StepWaiting  StepState = "waiting"
	StepRunning  StepState = "running"
	StepNormal   StepState = "normal"
	StepAbnormal StepState = "abnormal"
	StepUnknown  StepState = "unknown"
	StepSkipped  StepState = "skipped" // its `when` was false
)

// StepMark is one step as the parent message shows it.
type StepMark struct {
	ID    string    `json:"id"`
	Title string    `json:"title"`
	State StepState `json:"state"`
}
