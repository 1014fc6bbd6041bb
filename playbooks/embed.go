// Package playbooks holds the shipped playbooks and the alert rules that they
// go with.
package playbooks

import "embed"

// AlertRules is the alert rules' file in Files. It stands in a folder of its
// own, so that playbooks/*.yaml are the playbooks and nothing else.
const AlertRules = "alerts/codex-alerts.yaml"

// Files are the playbooks, *.yaml, and the alert rules.
//
//go:embed *.yaml alerts/*.yaml
var Files embed.FS
