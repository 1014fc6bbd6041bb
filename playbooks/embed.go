// Package playbooks holds the shipped playbooks and the alert rules that they
// go with.
package playbooks

import "embed"

// AlertRules is the name of the alert rules' file in Files; every other file
// there is a playbook.
const AlertRules = "codex-alerts.yaml"

// Files are the playbooks and the alert rules.
//
//go:embed *.yaml
var Files embed.FS
