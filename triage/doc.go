// Package triage is the domain of triagebot: alerts, incidents, runs,
// findings, evidence and deliveries, with the rules that hold between them.
// It does no I/O and imports nothing else of the project.
package triage
