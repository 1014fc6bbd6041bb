package playbook

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"text/template"
	"text/template/parse"

	"triagebot/triage/safetext"
)

// maxURLValue bounds one value in a URL, in bytes before it is escaped.
const maxURLValue = 4 << 10

// The places within a URL.
const (
	urlStart = iota
	urlAfterService
	urlHost // within a literal scheme and host
	urlPath
	urlQuery // after ? or #
)

// urlLanguage is an absolute http or https URL.
type urlLanguage struct{}

func (urlLanguage) funcs() template.FuncMap {
	return template.FuncMap{
		"_url_service": urlService,
		"_url_path":    urlPathValue,
		"_url_query":   urlQueryValue,
	}
}

func (urlLanguage) start() place { return place{} }

var literalOrigin = regexp.MustCompile(`^https?://(\[[0-9a-fA-F:]+\]|[a-zA-Z0-9._-]+)(:[0-9]+)?([/?#]|$)`)

func (urlLanguage) text(at place, s string) (place, error) {
	switch at.mode {
	case urlStart:
		if s = strings.TrimLeft(s, " \t\r\n"); s == "" {
			return at, nil
		}
		m := literalOrigin.FindStringSubmatchIndex(s)
		if m == nil {
			return at, fmt.Errorf("a URL begins with a service ({{ .Services.app }}/readyz) or with http:// or https:// and a literal host, without user or password")
		}
		at.mode = urlHost
		if m[6] < m[7] { // a path, a query or a fragment begins
			return urlLanguage{}.moveOn(place{mode: urlPath}, s[m[6]:]), nil
		}
		return at, nil
	case urlHost, urlAfterService:
		if strings.TrimSpace(s) == "" {
			return at, nil
		}
		if !strings.ContainsRune("/?#", rune(s[0])) {
			return at, fmt.Errorf("%q would become part of the host; write / before it", s)
		}
	}
	return urlLanguage{}.moveOn(place{mode: max(at.mode, urlPath)}, s), nil
}

func (urlLanguage) moveOn(at place, s string) place {
	if strings.ContainsAny(s, "?#") {
		at.mode = urlQuery
	}
	return at
}

func (urlLanguage) action(at place, n *parse.ActionNode) (string, place, error) {
	if err := refuseAsRegex(n); err != nil {
		return "", at, err
	}
	switch at.mode {
	case urlStart:
		field := soleField(n)
		if len(field) != 2 || field[0] != "Services" {
			return "", at, fmt.Errorf("a URL begins with a service ({{ .Services.app }}/readyz) or a literal host; {{ %s }} may not choose where it leads", n.Pipe)
		}
		return "_url_service", place{mode: urlAfterService}, nil
	case urlAfterService, urlHost:
		return "", at, fmt.Errorf("{{ %s }} would become part of the host; write / before it", n.Pipe)
	case urlPath:
		return "_url_path", at, nil
	default:
		return "_url_query", at, nil
	}
}

func (urlLanguage) check(tree *parse.Tree, places map[*parse.ActionNode]place) error {
	texts, complete := expansions(tree.Root, maxPlaceholders)
	if !complete {
		return fmt.Errorf("has too many conditions to be checked; split the step in two")
	}
	for _, text := range texts {
		var b strings.Builder
		for _, n := range text {
			switch n := n.(type) {
			case *parse.TextNode:
				b.Write(n.Text)
			case *parse.ActionNode:
				if places[n].mode == urlStart {
					b.WriteString("http://service.invalid")
				} else {
					b.WriteString("placeholder")
				}
			}
		}
		if _, err := (urlLanguage{}).finish(b.String()); err != nil {
			return err
		}
	}
	return nil
}

func (urlLanguage) finish(s string) (string, error) {
	s = strings.TrimSpace(s)
	u, err := url.Parse(s)
	if err != nil {
		return "", fmt.Errorf("not a URL: %w", safetext.WithoutURL(err))
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("not an absolute http or https URL; begin with a service ({{ .Services.app }}/readyz) or with http://host")
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return "", fmt.Errorf("the path %q climbs with %q; write the path out, and check the values in it", plainText(u.Path), segment)
		}
	}
	return s, nil
}

func urlService(source string, v any) (string, error) {
	base := strings.TrimRight(valueText(v), "/")
	if base == "" {
		return "", &valueError{fmt.Sprintf("{{ %s }} has no URL; add it to services in the configuration", source)}
	}
	return base, nil
}

func urlValue(source string, v any) (string, error) {
	s := strings.ToValidUTF8(valueText(v), "\uFFFD")
	if len(s) > maxURLValue {
		return "", &valueError{fmt.Sprintf("the value of {{ %s }} has %d bytes; a URL takes at most %d", source, len(s), maxURLValue)}
	}
	return s, nil
}

func urlPathValue(source string, v any) (string, error) {
	s, err := urlValue(source, v)
	return url.PathEscape(s), err
}

func urlQueryValue(source string, v any) (string, error) {
	s, err := urlValue(source, v)
	return url.QueryEscape(s), err
}
