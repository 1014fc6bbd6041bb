package playbook

import (
	"time"

	"triagebot/triage"
)

// Data is what templates may refer to: {{ .Labels.route }}, {{ .Inputs.window }},
// {{ .Services.app }}, {{ .Steps.p95.Headline }}. Finding templates may also
// refer to the variables of the step's worst row, with a capital: {{ .Value }}.
type Data struct {
	Labels      triage.Labels       // labels of the alert that started the run: `.Labels.route`
	Annotations triage.Labels       // its annotations
	GroupLabels triage.Labels       // the labels by which Alertmanager groups, which are those of the incident
	Alert       triage.Alert        // the alert itself: `.Alert.Name`, `.Alert.StartsAt`, `.Alert.GeneratorURL`
	AlertExpr   string              // the alert rule's expression, from its generatorURL; `""` where that has none
	Inputs      map[string]string   // the playbook's inputs: `.Inputs.route`
	Services    map[string]string   // base URLs of the configuration's services, which are trusted: `.Services.app`
	Steps       map[string]StepData // finished steps by id, a `-` written as `_`; naming one waits for it
	IncidentID  int64               // the incident's number
	At          time.Time           // the instant of which the run speaks; there is no `now`
}

// StepData is a finished step as templates and conditions of later steps see
// it. It is made from the step's stored finding, so that a run that goes on
// after a crash sees the same. In conditions it is steps.<id>.abnormal,
// steps.<id>.normal, steps.<id>.unknown, steps.<id>.skipped and
// steps.<id>.<variable>; a hyphen in an id is written as an underscore there.
type StepData struct {
	Verdict  triage.Verdict // `normal`, `abnormal` or `unknown`
	Skipped  bool           // its `when` was false
	Headline string         // what its finding says
	Vars     map[string]any // the kind's variables, of the step's worst row: `.Steps.p95.Vars.value`
}

// couldNotTell says whether a step has no finding, or an unknown one.
func (d *Data) couldNotTell(id string) bool {
	s, ran := d.Steps[id]
	return !ran || !s.Skipped && s.Verdict == triage.VerdictUnknown
}
