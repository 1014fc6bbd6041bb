package config

// Showing the effective configuration without its secrets.

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"triagebot/triage/strictyaml"
)

// Print writes the effective configuration as YAML: defaults filled in, paths
// resolved, and <secret> beside each key whose secret was read.
func (c *Config) Print(w io.Writer) error {
	shown := *c
	shown.Webhooks = slices.Clone(c.Webhooks)
	for i := range shown.Webhooks {
		if w := &shown.Webhooks[i]; w.URLFile != "" {
			w.URL = "" // of the two keys the file has this one
		}
	}
	var root yaml.Node
	if err := root.Encode(&shown); err != nil {
		return fmt.Errorf("printing the configuration: %w", err)
	}
	read := map[string]bool{}
	for _, s := range c.secretSources() {
		if *s.value == "" {
			continue
		}
		read[s.path+"_file"] = *s.file != ""
		read[s.path+"_env"] = s.env != nil && *s.env != ""
	}
	markSecrets(&root, "", read)
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(&root); err != nil {
		return fmt.Errorf("printing the configuration: %w", err)
	}
	return enc.Close()
}

func markSecrets(n *yaml.Node, at string, read map[string]bool) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			full := strictyaml.Join(at, n.Content[i].Value)
			if read[full] {
				n.Content[i+1].LineComment = "# " + hidden
			}
			markSecrets(n.Content[i+1], full, read)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			markSecrets(item, at+"["+strconv.Itoa(i)+"]", read)
		}
	}
}
