// Command docs writes the reference in docs/playbooks.md: every key of a
// playbook, every step kind with its keys and variables, and what templates may
// use, from the code and the comments in it. Its tests hold the pages to what the
// program does: the reference is the newest, examples load, links lead somewhere.
//
// Read source.go for what is taken from the code, reference.go for the page.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

//go:generate go run .

// page is where the reference stands, below the module's root, between the two
// markers.
const (
	page        = "docs/playbooks.md"
	beginMarker = "<!-- What follows is written from the code by `make docs`. -->\n"
	endMarker   = "<!-- The end of what is written from the code. -->\n"
)

func main() {
	if err := rewrite(); err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
}

// rewrite brings the page up to date.
func rewrite() error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	path := filepath.Join(root, page)
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	renewed, err := renew(root, string(old))
	if err != nil || renewed == string(old) {
		return err
	}
	return os.WriteFile(path, []byte(renewed), 0o644) //nolint:gosec // a page of the repository
}

// renew is the page's text with the reference as the code under root has it.
func renew(root, text string) (string, error) {
	before, rest, begins := strings.Cut(text, beginMarker)
	_, after, ends := strings.Cut(rest, endMarker)
	if !begins || !ends {
		return "", fmt.Errorf("%s lacks its markers; the reference goes between %q and %q", page, beginMarker, endMarker)
	}
	written, err := reference(root)
	if err != nil {
		return "", err
	}
	return before + beginMarker + written + endMarker + after, nil
}

// moduleRoot is the nearest folder with a go.mod, from the working one upwards.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		_, err := os.Stat(filepath.Join(dir, "go.mod"))
		if err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if !errors.Is(err, os.ErrNotExist) || parent == dir {
			return "", fmt.Errorf("no go.mod in the working folder or above it: %w", err)
		}
		dir = parent
	}
}
