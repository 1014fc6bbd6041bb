// Package playbooks holds the shipped playbooks, and the alert rules and the
// dashboard that they go with.
package playbooks

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"triagebot/triage/playbook"
)

// AlertRules is the alert rules' file in Files.
const AlertRules = "codex-alerts.yaml"

// Dashboard is the Grafana dashboard's file in Files.
const Dashboard = "codex-dashboard.json"

// Files are the playbooks, the alert rules and the dashboard.
//
//go:embed *.yaml *.json
var Files embed.FS

// ReadDashboard reads a dashboard's file as read does, and where there is none
// the shipped one of its name: a copied playbook finds its dashboard.
func ReadDashboard(path string, read func(path string) ([]byte, error)) ([]byte, error) {
	data, err := read(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return data, err
	}
	if shipped, missing := Files.ReadFile(filepath.Base(path)); missing == nil {
		return shipped, nil
	}
	return nil, err
}

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
