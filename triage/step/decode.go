// What the kinds share when they decode YAML.

package step

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"triagebot/triage/playbook"
	"triagebot/triage/strictyaml"
)

// datasource finds the datasource named at key, "" standing for the default.
// Where none at all is configured, it has no Querier.
func (d *Deps) datasource(c *playbook.Compiler, node *yaml.Node, key, name string) (string, Datasource) {
	asked := name
	name = cmp.Or(name, d.DefaultDatasource)
	datasource, known := d.Prometheus[name]
	if known || len(d.Prometheus) == 0 {
		return name, datasource
	}
	names := slices.Sorted(maps.Keys(d.Prometheus))
	if asked == "" {
		c.Errorf(node, key, "is missing and no default is configured%s", strictyaml.Suggest("", names))
	} else {
		c.Errorf(node, key, "unknown datasource %q%s", name, strictyaml.Suggest(name, names))
	}
	return name, datasource
}

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
