// Package incident folds notifications into incidents and moves incidents
// through their life: firing, resolved, closed. What it changes, and the
// messages and runs that follow from it, commit in one transaction.
//
// Start at correlator.go, which takes what package receive wrote down; fold.go
// has the rules for alerts, lifecycle.go the states, sweep.go and poll.go what
// happens when a resolve never arrives.
package incident
