package playbook

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v3"

	"triagebot/triage/strictyaml"
)

// ReadFiles reads the playbooks that patterns name: files, folders (their
// *.yaml and *.yml) and globs. The order of the patterns is kept, and within
// one the files are sorted by name; a file that two patterns name is read
// once. A pattern that names nothing is an error, and all errors are returned.
//
// Alert rules that lie among the playbooks of a folder or glob are passed over,
// and debugf is told; nil tells nobody.
func ReadFiles(patterns []string, debugf func(format string, args ...any)) ([]File, error) {
	if debugf == nil {
		debugf = func(string, ...any) {}
	}
	var paths []string
	var problems []error
	for _, pattern := range patterns {
		found, err := expand(pattern)
		if err != nil {
			problems = append(problems, err)
		}
		for _, path := range found {
			if !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
	}
	files := make([]File, 0, len(paths))
	for _, path := range paths {
		data, err := readBounded(path)
		switch {
		case err != nil:
			problems = append(problems, err)
		case IsAlertRules(data) && !slices.Contains(patterns, path): // one named outright is for Load to refuse
			debugf("playbooks: %s has Prometheus rules and is passed over", path)
		default:
			files = append(files, File{Name: path, Data: data})
		}
	}
	return files, errors.Join(problems...)
}

// IsAlertRules says whether a file's text is one of Prometheus's rules files,
// which may lie beside the playbooks that their alerts run: its top level has
// groups, and nothing that only a playbook has.
func IsAlertRules(data []byte) bool {
	if len(data) > maxFileSize {
		return false
	}
	root, _ := strictyaml.Parse("", data)
	return root != nil && hasAlertRules(root)
}

func hasAlertRules(root *yaml.Node) bool {
	has := func(key string) bool { return lookup(root, key) != root }
	return has("groups") && !has("name") && !has("match") && !has("steps")
}

func expand(pattern string) ([]string, error) {
	if info, err := os.Stat(pattern); err == nil {
		if !info.IsDir() {
			return []string{pattern}, nil
		}
		entries, err := os.ReadDir(pattern)
		if err != nil {
			return nil, fmt.Errorf("reading playbooks: %w", err)
		}
		var found []string
		for _, e := range entries {
			if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") {
				found = append(found, filepath.Join(pattern, e.Name()))
			}
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("playbooks %s: the folder has no *.yaml and no *.yml", pattern)
		}
		return sorted(found), nil
	}
	found, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("playbooks %s: %w", pattern, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("playbooks %s: there is no such file", pattern)
	}
	return sorted(found), nil
}

// readBounded reads a file up to one byte over what Load takes.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a playbook: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading a playbook: %w", err)
	}
	return data, nil
}
