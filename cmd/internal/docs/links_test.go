package main

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// pages are README.md and every page below docs, by path from the module's root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"README.md": read(t, "README.md")}
	err := filepath.WalkDir(filepath.Join(root(t), "docs"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".md" {
			return err
		}
		relative, err := filepath.Rel(root(t), name)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		all[relative] = read(t, relative)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	all := pages(t)
	for name, text := range all {
		for _, target := range links(text) {
			if problem := follow(root(t), all, name, target); problem != "" {
				t.Errorf("%s: %s: %s", name, target, problem)
			}
		}
	}
}

func TestALinkThatLeadsNowhereIsFound(t *testing.T) {
	all := map[string]string{"docs/a.md": "# The `a` step\n\n## Twice\n\n## Twice\n\n```sh\n# no heading\n```\n", "README.md": "# All"}
	for target, want := range map[string]string{
		"#the-a-step":          "",
		"#twice-1":             "",
		"../README.md#all":     "",
		"../go.mod":            "",
		"https://example.org/": "",
		"#twice-2":             "no heading twice-2 in docs/a.md",
		"#no-heading":          "no heading no-heading in docs/a.md",
		"../README.md#some":    "no heading some in README.md",
		"b.md":                 "no such file",
		"../../etc/passwd":     "leads out of the repository",
		"/README.md":           "is not relative",
	} {
		if got := follow(root(t), all, "docs/a.md", target); got != want {
			t.Errorf("%s: %q; want %q", target, got, want)
		}
	}
	text := "[a](b.md) and `[c](d.md)`, ![picture](e.png)\n\n```\n[f](g.md)\n```\n\n[h]: i.md\n"
	if got := fmt.Sprint(links(text)); got != "[b.md e.png i.md]" {
		t.Error(got)
	}
}

// follow says what is wrong with a link of the page from; "" for nothing. Links to
// other sites are taken as they are.
func follow(root string, all map[string]string, from, target string) string {
	u, err := url.Parse(target)
	switch {
	case err != nil:
		return err.Error()
	case u.Scheme != "":
		return ""
	case path.IsAbs(u.Path):
		return "is not relative"
	}
	to := from
	if u.Path != "" {
		to = path.Join(path.Dir(from), u.Path)
	}
	if !filepath.IsLocal(to) {
		return "leads out of the repository"
	}
	text, isPage := all[to]
	if _, err := os.Stat(filepath.Join(root, to)); err != nil && !isPage {
		return "no such file"
	}
	if u.Fragment != "" && !anchors(text)[u.Fragment] {
		return fmt.Sprintf("no heading %s in %s", u.Fragment, to)
	}
	return ""
}

var (
	fenced     = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	inlineCode = regexp.MustCompile("`[^`\n]*`")
	inlineLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	definition = regexp.MustCompile(`(?m)^\[[^\]]+\]: +(\S+)`)
	heading    = regexp.MustCompile(`(?m)^#{1,6} +(.*)$`)
)

// links are the targets of a page's links, but for those in code.
func links(text string) (targets []string) {
	text = inlineCode.ReplaceAllString(fenced.ReplaceAllString(text, ""), "code")
	for _, pattern := range []*regexp.Regexp{inlineLink, definition} {
		for _, m := range pattern.FindAllStringSubmatch(text, -1) {
			targets = append(targets, m[1])
		}
	}
	return targets
}

// anchors are the names that GitHub gives to a page's headings.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(m[1]))
		unique := name
		for n := 1; all[unique]; n++ {
			unique = fmt.Sprintf("%s-%d", name, n)
		}
		all[unique] = true
	}
	return all
}
