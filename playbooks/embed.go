// Package playbooks holds the shipped playbooks and the alert rules that they
// go with.
package playbooks

import (
	"embed"
	"fmt"
	"io/fs"

	"triagebot/triage/playbook"
)

// AlertRules is the alert rules' file in Files.
const AlertRules = "codex-alerts.yaml"

// Files are the playbooks and the alert rules.
//
//go:embed *.yaml
var Files embed.FS

// All reads the shipped playbooks, by name, without the alert rules.
func All() ([]playbook.File, error) {
	names, err := fs.Glob(Files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("shipped playbooks: %w", err)
	}
	var all []playbook.File
	for _, name := range names {
		data, err := Files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("shipped playbook %s: %w", name, err)
		}
		if !playbook.IsAlertRules(data) {
			all = append(all, playbook.File{Name: name, Data: data})
		}
	}
	return all, nil
}
