package playbook

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
)

const concluding = `
name: latency
match: ['alertname="HighLatency"']
runbook: https://runbooks.example.com/latency
inputs:
  route: '{{ .Labels.route }}'
steps:
  - {id: p95, title: p95 latency, query: {expr: up}}
  - {id: back-off, title: Worker backoff, query: {expr: up}}
  - {id: traffic, title: Traffic, query: {expr: up}}
  - {id: deploy, title: Deploys, query: {expr: up}}
conclude:
  - id: worker-backoff
    says: 'workers back off, and requests to {{ .Inputs.route }} wait.'
    when: 'steps.p95.abnormal && steps.back_off.abnormal'
    for: [p95, back-off]
    against:
      - traffic
      - {step: deploy, is: abnormal, says: 'there was a deploy'}
    next: 'escalate to the on-call'
  - id: overload
    says: there is more traffic
    when: 'steps.p95.abnormal && steps.traffic.abnormal'
    for:
      - {when: 'steps.traffic.value > 100.0', says: '{{ .Steps.traffic.Vars.value }} requests a second'}
      - {step: back-off, is: normal}
    against: [back-off]
    next: find out who sends it
`

// found gives each step a verdict: n, a, u or s, in the file's order.
func found(verdicts string) *Data {
	d := &Data{Inputs: map[string]string{"route": "/v1/chat"}, Steps: map[string]StepData{}}
	for i, id := range []string{"p95", "back-off", "traffic", "deploy"} {
		s := StepData{Headline: id + " says so.", Vars: map[string]any{"value": 120.0}}
		switch verdicts[i] {
		case 'n':
			s.Verdict = triage.VerdictNormal
		case 'a':
			s.Verdict = triage.VerdictAbnormal
		case 'u':
			s.Verdict, s.Vars = triage.VerdictUnknown, nil
		case 's':
			s.Skipped, s.Vars = true, nil
		}
		d.Steps[id] = s
	}
	return d
}

func TestTheBestSupportedExplanationIsGiven(t *testing.T) {
	p := loadValid(t, concluding)
	for _, test := range []struct {
		name, verdicts, want string
	}{
		{
			"one", "aann",
			"Most likely: workers back off, and requests to /v1/chat wait; for it: p95 says so; back-off says so; against it: nothing found; next: escalate to the on-call.",
		},
		{
			"the other", "anan",
			"Most likely: there is more traffic; for it: 120 requests a second; back-off says so; against it: nothing found; next: find out who sends it.",
		},
		{
			"what speaks against it is said", "aana",
			"Most likely: workers back off, and requests to /v1/chat wait; for it: p95 says so; back-off says so; against it: there was a deploy; next: escalate to the on-call.",
		},
		{
			"as much against it as for it supports nothing", "aaaa",
			"Cause unclear: the findings support no explanation that this playbook knows; next: go on by hand with the runbook: https://runbooks.example.com/latency.",
		},
		{
			"nothing is the matter", "nnnn",
			"Cause unclear: the findings support no explanation that this playbook knows; next: go on by hand with the runbook: https://runbooks.example.com/latency.",
		},
		{
			"what could not be told may be the cause", "auns",
			"Cause unclear: too much is not known; not known: Worker backoff; so it may also be: workers back off, and requests to /v1/chat wait; next: find out what could not be told (each finding says how), then look again.",
		},
		{
			"and is said beside another explanation", "auan",
			"Most likely: there is more traffic; for it: 120 requests a second; against it: nothing found; not known: Worker backoff; so it may also be: workers back off, and requests to /v1/chat wait; next: find out who sends it.",
		},
		{
			"an argument that is not known is not one, and said", "aaun",
			"Most likely: workers back off, and requests to /v1/chat wait; for it: p95 says so; back-off says so; against it: nothing found; not known: Traffic; so it may also be: there is more traffic; next: escalate to the on-call.",
		},
		{
			"what is unknown and cannot matter is not said", "unnn",
			"Cause unclear: too much is not known; not known: p95 latency; next: find out what could not be told (each finding says how), then look again.",
		},
		{
			"a skipped step speaks neither way", "aass",
			"Most likely: workers back off, and requests to /v1/chat wait; for it: p95 says so; back-off says so; against it: nothing found; next: escalate to the on-call.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := p.Conclude(found(test.verdicts))
			if diff := cmp.Diff(test.want, c.Sentence()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// "No backoff, so it is something else" must not follow from a backoff that
// nobody knows.
func TestAStepThatCouldNotTellIsNeitherNormalNorAbnormal(t *testing.T) {
	source := strings.Replace(concluding, "steps.p95.abnormal && steps.traffic.abnormal", "!steps.back_off.abnormal && steps.traffic.abnormal", 1)
	p := loadValid(t, source)
	if c := p.Conclude(found("auan")); c.Supported() {
		t.Errorf("got %q", c.Sentence())
	}
	if c := p.Conclude(found("anan")); c.Explanation != "overload" {
		t.Errorf("got %q", c.Sentence())
	}
}

func TestExplanationsThatAreAsWellSupportedAreAllSaid(t *testing.T) {
	source := concluding + `
  - id: neighbour
    says: something else on the machine
    when: 'steps.p95.abnormal'
    for: [p95, back-off]
    next: look at the machine
`
	c := loadValid(t, source).Conclude(found("aann"))
	if diff := cmp.Diff([]string{"something else on the machine"}, c.Rivals); c.Explanation != "worker-backoff" || diff != "" {
		t.Errorf("%q, rivals %s", c.Sentence(), diff)
	}
}

func TestAPlaybookWithoutExplanationsConcludesNothing(t *testing.T) {
	steps, _, _ := strings.Cut(concluding, "conclude:")
	if loadValid(t, steps).Concludes() {
		t.Error("it concludes")
	}
}
