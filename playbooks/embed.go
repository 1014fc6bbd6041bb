// Package playbooks holds the shipped playbooks and the alert rules that they
// go with.
package playbooks

import (
	"embed"
	"fmt"
	"io/fs"

	"triagebot/triage/playbook"
)

// AlertRules is the alert rules' file in Files. It stands in a folder of its
// own, so that playbooks/*.yaml are the playbooks and nothing else.
const AlertRules = "alerts/codex-alerts.yaml"

// Files are the playbooks, *.yaml, and the alert rules.
//
//go:embed *.yaml alerts/*.yaml
var Files embed.FS

// All reads the shipped playbooks, by name.
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
		all = append(all, playbook.File{Name: name, Data: data})
	}
	return all, nil
}
