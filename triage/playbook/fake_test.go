package playbook

import (
	"context"
	"time"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"

	"triagebot/triage"
)

// fakeQuery has the YAML of the real kind, as far as loading needs it.
type fakeQuery struct{}

func (fakeQuery) Name() string { return "query" }

func (fakeQuery) Decode(c *Compiler, node *yaml.Node) Action {
	var y struct {
		Expr     string `yaml:"expr"`
		Baseline struct {
			Offset string `yaml:"offset"`
		} `yaml:"baseline"`
		Chart struct {
			Range string `yaml:"range"`
			Unit  string `yaml:"unit"`
		} `yaml:"chart"`
		NoData string `yaml:"no_data"`
	}
	c.Decode(node, &y)
	a := &fakeAction{vars: map[string]*cel.Type{"value": cel.DoubleType, "baseline": cel.DoubleType}}
	a.template = c.PromQL(node, "expr", y.Expr)
	if y.Baseline.Offset != "" {
		c.Duration(node, "baseline.offset", y.Baseline.Offset, time.Minute, 30*24*time.Hour)
	}
	return a
}

// fakeCapture has a whole number, a text and JSON among its variables.
type fakeCapture struct{}

func (fakeCapture) Name() string { return "capture" }

func (fakeCapture) Decode(c *Compiler, node *yaml.Node) Action {
	var y struct {
		URL string `yaml:"url"`
	}
	c.Decode(node, &y)
	a := &fakeAction{vars: map[string]*cel.Type{
		"status": cel.IntType, "took_ms": cel.DoubleType, "body": cel.StringType,
		"json": cel.MapType(cel.StringType, cel.DynType),
	}}
	a.template = c.URL(node, "url", y.URL)
	return a
}

type fakeAction struct {
	template *Template
	vars     map[string]*cel.Type
}

func (a *fakeAction) Vars() map[string]*cel.Type { return a.vars }

func (a *fakeAction) Run(context.Context, *Env) (*Outcome, error) { return &Outcome{}, nil }

func fakeOptions() LoadOptions {
	return LoadOptions{Kinds: []Kind{fakeQuery{}, fakeCapture{}}, Services: []string{"app", "traces"}}
}

// hostileLabels are values that try to leave the place they stand in.
func hostileLabels() map[string]string {
	return map[string]string{
		"closing quote":   `"} or vector(1)`,
		"single quote":    `'} or vector(1)`,
		"backtick":        "`} or vector(1)",
		"backslash":       `\`,
		"escaped quote":   `\"`,
		"comment":         `# up`,
		"newline":         "a\nor vector(1)",
		"carriage return": "a\r\nb",
		"nul":             "a\x00b",
		"escape":          "\x1b[31mred",
		"delete":          "\x7f\u0085",
		"invalid utf-8":   "a\xff\xfeb",
		"surrogate half":  "\xed\xa0\x80",
		"replacement":     "a\uFFFDb",
		"rtl override":    "a\u202Eevil\u202C",
		"zero width":      "a\u200Bb\uFEFF",
		"regexp":          `.*`,
		"regexp set":      `[a-z]+|(?i)x{2}$^`,
		"template":        `{{ .Labels.secret }}`,
		"channel ping":    `<!channel>`,
		"slack link":      `<https://evil.example|click>`,
		"url parts":       `../../admin?x=1&y=2#z`,
		"percent":         `%2e%2e%2f%00`,
		"at":              `@evil.example`,
		"emoji":           "👩‍🔬",
		"empty":           "",
		"spaces":          "  ",
		"line separators": "a\u2028b\u2029c",
		"format string":   "%s%n%d",
	}
}

func dataWith(value string) *Data {
	return &Data{
		Labels:   triage.Labels{"job": value, "alertname": "HighLatency"},
		Services: map[string]string{"app": "http://app.internal:8080/", "traces": "https://traces.internal"},
		At:       time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC),
	}
}
