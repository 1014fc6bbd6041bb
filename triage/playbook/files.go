package playbook

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// ReadFiles reads the playbooks that patterns name: files, folders (their
// *.yaml and *.yml) and globs. The order of the patterns is kept, and within
// one the files are sorted by name; a file that two patterns name is read
// once. A pattern that names nothing is an error, and all errors are returned.
func ReadFiles(patterns []string) ([]File, error) {
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
		if err != nil {
			problems = append(problems, err)
			continue
		}
		files = append(files, File{Name: path, Data: data})
	}
	return files, errors.Join(problems...)
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
