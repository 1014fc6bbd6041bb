package triage

import "time"

// Verdict is what a finding concludes.
type Verdict string

// The verdicts. An error, no data and a timeout are VerdictUnknown.
const (
	VerdictNormal   Verdict = "normal"
	VerdictAbnormal Verdict = "abnormal"
	VerdictUnknown  Verdict = "unknown"
)

// Finding is what a step concluded. All its text is plain: whoever shows it
// escapes it for that place.
type Finding struct {
	StepID    string         `json:"step"`
	Title     string         `json:"title"`
	Kind      string         `json:"kind"`
	Verdict   Verdict        `json:"verdict"`
	Skipped   string         `json:"skipped,omitempty"` // why it did not run; then nothing below is set
	Headline  string         `json:"headline"`          // one sentence
	NextStep  string         `json:"next_step,omitempty"`
	Rows      []Row          `json:"rows,omitempty"` // one per series, the worst first
	Omitted   int            `json:"omitted,omitempty"`
	Links     []Link         `json:"links,omitempty"`
	Evidence  []EvidenceRef  `json:"evidence,omitempty"`
	Vars      map[string]any `json:"vars,omitempty"` // what later steps' conditions may use
	At        time.Time      `json:"at"`             // the instant it speaks of
	StartedAt time.Time      `json:"started_at"`
	Took      time.Duration  `json:"took"` // nanoseconds
	Debug     []string       `json:"debug,omitempty"`
	// Following names the pictures that are still to come: the finding went out
	// before they were drawn.
	Following []string `json:"following,omitempty"`
}

// State is the finding as the step line shows it.
func (f *Finding) State() StepState {
	switch {
	case f.Skipped != "":
		return StepSkipped
	case f.Verdict == VerdictNormal:
		return StepNormal
	case f.Verdict == VerdictAbnormal:
		return StepAbnormal
	default:
		return StepUnknown
	}
}

// Row is one line of a finding's detail: one series, or one field of a capture.
type Row struct {
	Name     string `json:"name"`
	Value    string `json:"value"` // formatted with its unit
	Baseline string `json:"baseline,omitempty"`
	Abnormal bool   `json:"abnormal,omitempty"`
}

// Link is a titled URL.
type Link struct {
	Title string `json:"title"`
	URL   string `json:"url"`
}

// EvidenceRef names an artifact of the incident's bundle.
type EvidenceRef struct {
	Name      string `json:"name"` // path within the bundle
	Title     string `json:"title,omitempty"`
	MediaType string `json:"media_type"`
	Alt       string `json:"alt,omitempty"` // for pictures: states value and verdict
	URL       string `json:"url,omitempty"` // signed, expiring
}

// IsPicture says whether the artifact is shown as an image.
func (e EvidenceRef) IsPicture() bool {
	return e.MediaType == "image/png" || e.MediaType == "image/jpeg" || e.MediaType == "image/gif"
}

// Evidence is an artifact saved to an incident's bundle: one line of its manifest.
type Evidence struct {
	IncidentID int64     `json:"incident"`
	Seq        int64     `json:"seq"`  // from 1, without gaps
	Name       string    `json:"name"` // path within the bundle, slash-separated
	MediaType  string    `json:"media_type"`
	Size       int64     `json:"size"` // bytes, as stored
	SHA256     string    `json:"sha256"`
	Source     string    `json:"source"` // where it came from, without secrets
	CreatedAt  time.Time `json:"created_at"`
	Redactions int       `json:"redactions"` // secrets masked before it was stored
	Prev       string    `json:"prev"`       // Hash of the entry before, "" for the first
	Hash       string    `json:"hash"`       // over Prev and this entry
}

// TimelineEntry is one line of an incident's append-only log.
type TimelineEntry struct {
	IncidentID int64     `json:"incident"`
	Seq        int64     `json:"seq"` // from 1, without gaps
	At         time.Time `json:"at"`
	Kind       string    `json:"kind"`  // opened, fired, posted, step, resolved, reopened, closed, …
	Actor      string    `json:"actor"` // alertmanager, triagebot, or who did it
	Text       string    `json:"text"`
}
