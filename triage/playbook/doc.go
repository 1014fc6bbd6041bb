// Package playbook turns YAML files into checked playbooks: what to run for
// which alerts. Everything is checked when a file is loaded (keys, templates,
// PromQL, CEL types, references, cycles), and what a label's value may do to a
// query, a URL or a message is decided here once, by escaping each template
// action for the place at which it stands.
//
// Read kind.go for the contract with step kinds, load.go for the way from file
// to Playbook, template.go and rewrite.go for the escaping, and condition.go
// for `when`, `abnormal` and `expect`.
package playbook
