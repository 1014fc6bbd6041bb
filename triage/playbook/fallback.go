package playbook

import (
	_ "embed"
	"net/url"
)

//go:embed fallback.yaml
var fallbackYAML []byte

// Fallback is the built-in playbook for alerts that none of the loaded ones
// matches. It needs the kind query, and fails only where that is missing or
// does not take the playbook's YAML.
func Fallback(kinds []Kind) (*Playbook, error) {
	l, err := newLoader(LoadOptions{Kinds: kinds})
	if err != nil {
		return nil, err
	}
	p, _ := l.load(File{Name: "built-in fallback.yaml", Data: fallbackYAML}, false)
	if err := l.problems.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// ExprFromGeneratorURL returns the expression in an alert's generatorURL.
// Prometheus writes http://prometheus/graph?g0.expr=up%3D%3D0&g0.tab=1.
func ExprFromGeneratorURL(generatorURL string) (expr string, ok bool) {
	u, err := url.Parse(generatorURL)
	if err != nil {
		return "", false
	}
	expr = u.Query().Get("g0.expr")
	return expr, expr != ""
}
