// Package runner executes a run: the steps of its playbook, in parallel unless
// one refers to another, each within its time, each finding committed once
// together with the messages it causes.
//
// runner.go is the run from its first to its last step, select.go which
// playbook it executes, attempt.go one step's tries, judge.go how what a step
// found becomes a finding, commit.go what is written, publish.go the evidence
// bundle.
package runner
