// What the kinds share when they decode YAML.

package step

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"triagebot/triage/playbook"
)

// oneOf checks that the text at key is one of the known ones, "" standing for
// fallback.
func oneOf(c *playbook.Compiler, node *yaml.Node, key, text, fallback string, known ...string) string {
	if text == "" {
		return fallback
	}
	if !slices.Contains(known, text) {
		c.Errorf(node, key, "%q is not known; write one of %s", text, strings.Join(known, ", "))
	}
	return text
}

// within checks that the number at key is in bounds, 0 standing for fallback.
func within(c *playbook.Compiler, node *yaml.Node, key string, n, fallback, low, high int) int {
	if n == 0 {
		return fallback
	}
	if n < low || n > high {
		c.Errorf(node, key, "%d is out of bounds; write a number from %d to %d", n, low, high)
	}
	return n
}
