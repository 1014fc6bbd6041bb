package playbook

import (
	"context"
	"time"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"

	"triagebot/triage"
)

// Kind makes actions of one step kind from their YAML. The key of a step that
// names the kind (`query:`, `capture:`) holds the node.
type Kind interface {
	// Name is the key: "query".
	Name() string
	// Decode checks the node and makes an action of it. What is wrong goes to
	// c, all of it; of an action with which something is wrong only Vars are
	// asked, to find what is wrong with the step's conditions in the same go.
	// nil stands for an action whose Vars cannot be told.
	Decode(c *Compiler, node *yaml.Node) Action
}

// Action does what one step says. It is safe for use by several runs at once.
type Action interface {
	// Vars names the variables that the step's `abnormal` and `expect`
	// conditions may use, and later steps as steps.<id>.<name>, with their CEL
	// types. Outcome rows carry exactly these.
	Vars() map[string]*cel.Type
	// Run does the work. It honours ctx, retries nothing (the runner does) and
	// does not judge: conditions do. An error becomes an unknown finding; wrap
	// it in *StepError to say what to do next or that another try may help.
	Run(ctx context.Context, env *Env) (*Outcome, error)
}

// Env is what a running step knows.
type Env struct {
	Step  string    // its id: the stem of its artifacts' names
	Title string    // of the step, for people: a chart's title
	Data  *Data     // for templates
	At    time.Time // the instant to speak of
	// Trigger is what started the run: an act that pages asks it.
	Trigger triage.Trigger
	// Debugf adds a line to the finding's debug log, which people can read.
	Debugf func(format string, args ...any)
}

// Outcome is what an action found, before it is judged.
type Outcome struct {
	// Rows are what conditions are evaluated on, each by itself: one per
	// series of a query, one for a capture. The kind's own order, the worst
	// first. None means that there was no data.
	Rows []OutcomeRow
	// NoData says, in words for people, what had no data when Rows is empty.
	NoData string
	// NoDataVerdict is the verdict when Rows is empty; "" means unknown.
	NoDataVerdict triage.Verdict
	// Partial says that what was found is not all there is, so that what is
	// wrong may be in what is missing: unless a row is abnormal as it stands, the
	// verdict is unknown, and Headline is said. Variables that nothing is known of
	// are then left out of the rows.
	Partial bool
	// Headline is said when the step has no `finding` template.
	Headline string
	// NextStep is what a person can do about a finding that is not normal, when
	// the step has no `next_step` template.
	NextStep string
	// Details are shown beneath the headline and not judged.
	Details   []triage.Row
	Artifacts []Artifact
	Links     []triage.Link
	// Act is what happens when the finding is committed, in the same
	// transaction and so once; nil for nothing.
	Act *Act
}

// Act is an escalation or an announcement.
type Act struct {
	Kind ActKind
	Text string // why it is escalated, or what is announced
	To   string // of an escalation: the name in the configuration
	// Contacts are those that the name stands for; none means that nobody is told.
	Contacts []triage.Contact
}

// ActKind is what an act is, in the timeline's words.
type ActKind string

// The acts.
const (
	ActEscalated ActKind = "escalated"
	ActAnnounced ActKind = "announced"
)

// OutcomeRow is one thing to be judged.
type OutcomeRow struct {
	Name     string         // of the series or the field, for people
	Vars     map[string]any // as Action.Vars declares: float64, string, bool, int64, map[string]any, []any
	Value    string         // formatted with its unit
	Baseline string         // likewise; "" without one
	Missing  string         // why variables are absent, for people; "" where none is known
}

// Artifact is something to keep as evidence. Secrets in Data are redacted by
// package evidence before it is stored; nobody can redact those in a picture, so
// Draw draws none.
type Artifact struct {
	Name      string // file name, without folder: p95.json
	Title     string
	MediaType string
	Source    string // where it came from, without secrets
	Data      []byte
	// Draw makes a picture once the verdict is known, so that its alt text and
	// colours can state it; Data is then empty. May be nil.
	Draw func(ctx context.Context, verdict triage.Verdict) (data []byte, alt string, err error)
	// Follows has the finding go out before the picture is drawn: it comes after
	// it, and one that fails is a line in the thread. For what takes long; needs
	// Draw.
	Follows bool
}

// StepError is an error of an action with what to do about it.
type StepError struct {
	Err       error  // what failed, with what
	NextStep  string // what a person can do
	Transient bool   // another try within the step's time may help
}

func (e *StepError) Error() string { return e.Err.Error() }

func (e *StepError) Unwrap() error { return e.Err }
