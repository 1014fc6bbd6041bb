package triage

import "time"

// DeliveryKind is what kind of message a delivery owes.
type DeliveryKind string

// The kinds of delivery. A parent is posted once and then edited; a notice is
// posted once, on its own; the others are posted once into the parent's thread.
const (
	DeliveryParent DeliveryKind = "parent"
	DeliveryReply  DeliveryKind = "reply"
	DeliveryFile   DeliveryKind = "file"
	DeliveryNotice DeliveryKind = "notice"
)

// DeliveryState is where a delivery is.
type DeliveryState string

// A delivery's states.
const (
	DeliveryPending DeliveryState = "pending" // owed: SentVersion < Version
	DeliverySending DeliveryState = "sending" // an attempt is under way, or was when its worker died
	DeliverySent    DeliveryState = "sent"    // what is wanted is what is shown
	DeliveryParked  DeliveryState = "parked"  // given up on, with LastError; counted, never silent
)

// Priorities of deliveries; the lower goes first.
const (
	PriorityCriticalParent = 10
	PriorityEscalation     = 15 // somebody is to be woken
	PriorityAnswer         = 20 // answers to people
	PriorityParent         = 30
	PriorityState          = 40 // acked, resolved, reopened
	PriorityFinding        = 50
	PriorityProgress       = 60
	PriorityFile           = 70
)

// Destination is where an incident is shown.
type Destination struct {
	Notifier string // name of the configured notifier
	Channel  string // in the notifier's own terms; "" for one without channels
}

// RemoteRef is where a message stands, in the notifier's own terms.
type RemoteRef struct {
	Channel string `json:"channel,omitempty"`
	ID      string `json:"id,omitempty"` // Slack: the message's ts
}

// Delivery is one message, edit or upload owed to a notifier: a row of the outbox.
type Delivery struct {
	ID          int64
	Key         string // what it says, unique within a notifier: incident/7/run/9/step/p95
	Nonce       string // random; goes out with the message so that it can be found again
	Notifier    string
	Channel     string // wanted
	IncidentID  int64  // 0 for what is about none
	WindowID    int64  // the maintenance window that it is about; 0 for none
	Kind        DeliveryKind
	Priority    int
	Body        Post
	Version     int64 // of Body; grows with every change
	SentVersion int64 // of what is shown; 0 before the first success
	State       DeliveryState
	Attempts    int       // since the last success
	NotBefore   time.Time // earliest next attempt
	CreatedAt   time.Time
	SentAt      time.Time
	Remote      RemoteRef // of the message itself, once shown
	Thread      RemoteRef // of the parent it hangs under; empty for a parent
	Progress    string    // the notifier's own note of a half-done upload
	LastError   string
	TriedAt     time.Time // when it was last begun to be sent
	Looks       Looks     // since then
	// MayRepeat is when an attempt began whose message may stand beside this
	// one, for it could not be looked for; zero for none. The message says so.
	MayRepeat time.Time
	Repeats   int // times it was sent again like that
	// Unread is how often its file could not be read. ByLink says that this was
	// often enough: the message tells where the file is instead of showing it.
	Unread int
	ByLink bool
}

// Looks are what came of looking for a delivery whose sending had no known end.
type Looks struct {
	Absent int // did not find it
	Failed int // had no answer
}

// Post is what a delivery says, free of any channel's markup. Exactly one
// field is set.
type Post struct {
	Parent     *ParentPost     `json:"parent,omitempty"`
	Finding    *FindingPost    `json:"finding,omitempty"`
	Conclusion *ConclusionPost `json:"conclusion,omitempty"`
	Note       *NotePost       `json:"note,omitempty"`
	File       *FilePost       `json:"file,omitempty"`
	Escalation *EscalationPost `json:"escalation,omitempty"`
	Window     *WindowPost     `json:"window,omitempty"`
}

// ParentPost is the incident's one parent message.
type ParentPost struct {
	IncidentID    int64         `json:"incident"`
	State         IncidentState `json:"state"`
	Severity      string        `json:"severity,omitempty"`
	Alertname     string        `json:"alertname"`
	Impact        string        `json:"impact,omitempty"` // one line, from the alert's summary or description
	Fields        []Field       `json:"fields,omitempty"` // at most 6
	Playbook      string        `json:"playbook,omitempty"`
	NoPlaybook    bool          `json:"no_playbook,omitempty"` // none matched: the fallback ran
	PlaybookTitle string        `json:"playbook_title,omitempty"`
	Owner         string        `json:"owner,omitempty"` // of the playbook
	Steps         []StepMark    `json:"steps,omitempty"`
	Conclusion    string        `json:"conclusion,omitempty"` // after the run: the likely cause, how many abnormal
	Links         []Link        `json:"links,omitempty"`
	Resolution    Resolution    `json:"resolution,omitempty"`
	StartedAt     time.Time     `json:"started_at"`
	ResolvedAt    time.Time     `json:"resolved_at,omitzero"`
	Reopened      int           `json:"reopened,omitempty"`
	Firing        int           `json:"firing"`
	Alerts        int           `json:"alerts"`
	Truncated     uint64        `json:"truncated,omitempty"`
	// AckedBy is who has it, and since when; "" where nobody does.
	AckedBy string    `json:"acked_by,omitempty"`
	AckedAt time.Time `json:"acked_at,omitzero"`
	// SilencedUntil is the end of the longest of its silences; zero for none.
	SilencedUntil time.Time `json:"silenced_until,omitzero"`
	// RequestedBy is who had it run by hand, without an alert; "" where an alert fired.
	RequestedBy string `json:"requested_by,omitempty"`
	// Choices are its buttons; none where nobody listens to clicks.
	Choices []Choice `json:"choices,omitempty"`
}

// Field is a short name and value.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// FindingPost is one step's reply in the thread.
type FindingPost struct {
	IncidentID int64   `json:"incident"`
	RunID      int64   `json:"run"`
	Finding    Finding `json:"finding"`
}

// ConclusionPost is a run's last word in the thread.
type ConclusionPost struct {
	IncidentID int64      `json:"incident"`
	RunID      int64      `json:"run"`
	Conclusion Conclusion `json:"conclusion"`
}

// NotePost is one plain line in the thread: a reopening, the folded normal
// steps, the end of a run, an announcement.
type NotePost struct {
	IncidentID int64  `json:"incident,omitempty"`
	WindowID   int64  `json:"window,omitempty"` // of a note in a maintenance window's thread
	Text       string `json:"text"`
	Links      []Link `json:"links,omitempty"`
	// Broadcast has the line seen outside of its thread too, where the notifier
	// can do that.
	Broadcast bool `json:"broadcast,omitempty"`
	// Mention is who is pinged; see EscalationPost.
	Mention string `json:"mention,omitempty"`
}

// EscalationPost tells those that an incident is escalated to. It stands on its
// own, outside of the incident's thread.
type EscalationPost struct {
	IncidentID int64  `json:"incident"`
	Alertname  string `json:"alertname"`
	Severity   string `json:"severity,omitempty"`
	To         string `json:"to"`
	Reason     string `json:"reason"`
	// Mention is from the configuration, in the notifier's own terms; nothing
	// else in the message may ping anybody. "" for none.
	Mention string `json:"mention,omitempty"`
	Links   []Link `json:"links,omitempty"`
}

// WindowPost is the one message of a maintenance window, edited in place as the
// window goes on. What happens in it is told in notes in its thread.
type WindowPost struct {
	WindowID int64       `json:"window"`
	State    WindowState `json:"state"`
	Service  string      `json:"service"`
	Reason   string      `json:"reason,omitempty"`
	By       string      `json:"by"`
	// Said is the state in a sentence: "Maintenance of app is on since 10:00, until 10:30 UTC".
	Said    string    `json:"said"`
	Since   time.Time `json:"since,omitzero"` // the metric said 1
	Until   time.Time `json:"until,omitzero"` // announced end
	Ended   time.Time `json:"ended,omitzero"` // the metric said 0 again
	Overdue bool      `json:"overdue,omitempty"`
	Choices []Choice  `json:"choices,omitempty"`
}

// Contact is one of those that an escalation goes to.
type Contact struct {
	Destination
	Mention string // see EscalationPost
}

// FilePost is an artifact uploaded into the thread.
type FilePost struct {
	IncidentID int64       `json:"incident"`
	Artifact   EvidenceRef `json:"artifact"`
	Comment    string      `json:"comment,omitempty"`
}
