package playbook

import (
	"time"

	"triagebot/triage"
)

// Data is what templates may refer to: {{ .Labels.route }}, {{ .Inputs.window }},
// {{ .Services.app }}, {{ .Steps.p95.Headline }}. Finding templates may also
// refer to the variables of the step's worst row, with a capital: {{ .Value }}.
type Data struct {
	Labels      triage.Labels     // of the alert that started the run
	Annotations triage.Labels     // likewise
	GroupLabels triage.Labels     // of the incident
	Alert       triage.Alert      // whole
	AlertExpr   string            // the alert rule's expression, from its generatorURL; "" where that has none
	Inputs      map[string]string // of the playbook, rendered
	Services    map[string]string // name → base URL, from the configuration; trusted
	Steps       map[string]StepData
	IncidentID  int64
	At          time.Time // the instant the run speaks of
}

// StepData is a finished step as templates and conditions of later steps see
// it. It is made from the step's stored finding, so that a run that goes on
// after a crash sees the same. In conditions it is steps.<id>.abnormal,
// steps.<id>.normal, steps.<id>.unknown, steps.<id>.skipped and
// steps.<id>.<variable>; a hyphen in an id is written as an underscore there.
type StepData struct {
	Verdict  triage.Verdict
	Skipped  bool
	Headline string
	Vars     map[string]any // of its worst row
}

// couldNotTell says whether a step has no finding, or an unknown one.
func (d *Data) couldNotTell(id string) bool {
	s, ran := d.Steps[id]
	return !ran || !s.Skipped && s.Verdict == triage.VerdictUnknown
}
