//go:build e2e

// The shipped alert rules before Prometheus's own judge of rules.

package e2e

import (
	"os/exec"
	"testing"

	"triagebot/playbooks"
)

func TestPromtoolTakesTheShippedRules(t *testing.T) {
	rules, err := playbooks.Files.ReadFile(playbooks.AlertRules)
	if err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, t.TempDir(), playbooks.AlertRules, string(rules))
	out, err := exec.Command("promtool", "check", "rules", "--lint=all", "--lint-fatal", file).CombinedOutput()
	if err != nil {
		t.Errorf("promtool check rules: %v\n%s", err, out)
	}
}
