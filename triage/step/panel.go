// The kind `panel`: one panel of a Grafana dashboard, its series as the
// finding's rows and as a picture: drawn here from the dashboard's JSON, or by
// Grafana itself.

package step

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"

	"triagebot/triage"
	"triagebot/triage/grafana"
	"triagebot/triage/playbook"
	"triagebot/triage/step/chart"
	"triagebot/triage/step/dashboard"
)

// Bounds of a panel's options.
const (
	defaultPanelRange = time.Hour
	maxPanelVars      = 50
	maxVarValues      = 100
	maxDashboardVars  = 20 // in a link
)

// How a panel becomes a picture.
const (
	renderDraw    = "draw"
	renderGrafana = "grafana"
	renderAuto    = "auto"
)

type panel struct{ Deps }

func (*panel) Name() string { return "panel" }

// panelYAML is the step's YAML.
type panelYAML struct {
	// file, needed: a dashboard's JSON beside the playbook; where there is none of that name, the shipped one. With `render: grafana` a dashboard's uid.
	Dashboard string `yaml:"dashboard"`
	// text, needed: the panel's title, or its id.
	Panel string `yaml:"panel"`
	// mapping of templates or lists of them, at most [maxPanelVars], default the dashboard's own values: of the template variables.
	Vars map[string]yaml.Node `yaml:"vars"`
	// duration, default [defaultPanelRange], [minRange] to [maxRange]: before the incident's instant.
	Range string `yaml:"range"`
	// `draw` (default), `grafana`, `auto`: drawn from the JSON, or by Grafana's own renderer; `auto`: by Grafana where one is configured.
	Render string `yaml:"render"`
	// `light` (default), `dark`: of the picture.
	Theme string `yaml:"theme"`
	// name, default the one under `prometheus`: the Prometheus to ask, whatever the dashboard says.
	Datasource string `yaml:"datasource"`
	// `high` (default), `low`: which value is the worst, and comes first.
	Worst string `yaml:"worst"`
	// number, default [defaultMaxSeries], 1 to [maxMaxSeries]: series that are judged and shown, the worst of each query first.
	MaxSeries int `yaml:"max_series"`
	// `unknown` (default), `normal`, `abnormal`: the verdict where no series has a value.
	NoData string `yaml:"no_data"`
}

// panelAction is a decoded panel step.
type panelAction struct {
	board      *dashboard.Dashboard // of the file; nil when Grafana is to be asked for uid
	uid        string
	name       string // of the panel
	vars       map[string][]*playbook.Template
	span       time.Duration
	grafana    Grafana       // nil where none is configured
	redact     triage.Redact // what is drawn passes through it
	rendered   bool          // by Grafana
	theme      chart.Theme
	source     string // name of the datasource
	datasource Datasource
	low        bool // the lowest value is the worst
	maxSeries  int
	noData     triage.Verdict
}

// uidPattern is what Grafana takes for a uid.
var uidPattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,40}$`)

func (k *panel) Decode(c *playbook.Compiler, node *yaml.Node) playbook.Action {
	var y panelYAML
	c.Decode(node, &y)
	a := &panelAction{name: y.Panel, grafana: k.Grafana, redact: k.Redact, span: defaultPanelRange}
	a.source, a.datasource = k.datasource(c, node, "datasource", y.Datasource)
	if y.Range != "" {
		a.span = c.Duration(node, "range", y.Range, minRange, maxRange)
	}
	render := oneOf(c, node, "render", y.Render, renderDraw, renderDraw, renderGrafana, renderAuto)
	a.rendered = render == renderGrafana || render == renderAuto && k.Grafana != nil
	a.theme = chart.Theme(oneOf(c, node, "theme", y.Theme, string(chart.Light), string(chart.Light), string(chart.Dark)))
	a.low = oneOf(c, node, "worst", y.Worst, "high", "high", "low") == "low"
	a.maxSeries = within(c, node, "max_series", y.MaxSeries, defaultMaxSeries, 1, maxMaxSeries)
	a.noData = triage.Verdict(oneOf(c, node, "no_data", y.NoData, string(triage.VerdictUnknown),
		string(triage.VerdictNormal), string(triage.VerdictAbnormal), string(triage.VerdictUnknown)))
	k.decodeDashboard(c, node, a, y.Dashboard, render)
	if y.Panel == "" {
		c.Errorf(node, "panel", "is missing; write the panel's title, or its id")
	} else if a.board != nil {
		a.check(c, node)
	}
	a.decodeVars(c, node, y.Vars)
	return a
}

// decodeDashboard reads the dashboard's file, or takes its uid.
func (k *panel) decodeDashboard(c *playbook.Compiler, node *yaml.Node, a *panelAction, name, render string) {
	switch {
	case name == "":
		c.Errorf(node, "dashboard", "is missing; write a dashboard's file beside the playbook, as in codex-dashboard.json")
	case strings.HasSuffix(name, ".json"):
		if !filepath.IsLocal(name) {
			c.Errorf(node, "dashboard", "%q leads out of the playbook's folder; write the name of a file beside it", name)
			return
		}
		data, err := k.Dashboards(filepath.Join(filepath.Dir(c.File()), name))
		if err == nil {
			a.board, err = dashboard.Parse(data)
		}
		if err != nil {
			c.Errorf(node, "dashboard", "%s: %v", name, err)
			return
		}
		a.uid = a.board.UID
		if a.uid == "" && render == renderGrafana {
			c.Errorf(node, "dashboard", "%s has no uid, by which Grafana could be asked for it; export it from Grafana with its uid", name)
		}
	case render != renderGrafana:
		c.Errorf(node, "dashboard", "%q is no file; write one that ends in .json, or render: grafana for the uid of a dashboard in Grafana", name)
	case !uidPattern.MatchString(name):
		c.Errorf(node, "dashboard", "%q is no uid; it stands in the dashboard's address after /d/", name)
	default:
		a.uid = name
	}
}

// check looks the panel and its queries over with the dashboard's own values.
func (a *panelAction) check(c *playbook.Compiler, node *yaml.Node) {
	p, err := a.board.Panel(a.name)
	switch {
	case err != nil:
		c.Errorf(node, "panel", "%v", err)
	case p.Unsupported != "" && !a.rendered:
		c.Errorf(node, "panel", "%q cannot be drawn: %s; choose another panel, or write render: grafana", a.name, p.Unsupported)
	}
}

func (a *panelAction) decodeVars(c *playbook.Compiler, node *yaml.Node, vars map[string]yaml.Node) {
	if len(vars) > maxPanelVars {
		c.Errorf(node, "vars", "has %d entries; at most %d are taken", len(vars), maxPanelVars)
		return
	}
	a.vars = map[string][]*playbook.Template{}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		key := "vars." + name
		if a.board != nil && !slices.ContainsFunc(a.board.Variables, func(v dashboard.Variable) bool { return v.Name == name }) {
			var known []string
			for _, v := range a.board.Variables {
				known = append(known, v.Name)
			}
			c.Errorf(node, key, "the dashboard has no variable of that name; it has %s", cmp.Or(strings.Join(known, ", "), "none"))
			continue
		}
		value := vars[name]
		switch {
		case value.Kind == yaml.ScalarNode:
			a.vars[name] = []*playbook.Template{c.Raw(node, key, value.Value)}
		case value.Kind == yaml.SequenceNode && len(value.Content) > 0 && len(value.Content) <= maxVarValues:
			for i, item := range value.Content {
				at := key + "[" + strconv.Itoa(i) + "]"
				if item.Kind != yaml.ScalarNode {
					c.Errorf(node, at, "must be a text")
					continue
				}
				a.vars[name] = append(a.vars[name], c.Raw(node, at, item.Value))
			}
		default:
			c.Errorf(node, key, "must be a text, or a list of 1 to %d texts", maxVarValues)
		}
	}
}

// ReadDashboard reads a dashboard's file.
func ReadDashboard(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // who writes the playbook names it
	if err != nil {
		return nil, fmt.Errorf("reading the dashboard: %w", errors.Unwrap(err))
	}
	defer f.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(io.LimitReader(f, dashboard.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the dashboard: %w", errors.Unwrap(err))
	}
	return data, nil
}

// Vars are judged for each series by itself.
func (a *panelAction) Vars() map[string]*cel.Type {
	return map[string]*cel.Type{
		"value":        cel.DoubleType,                              // of this series, as the panel reduces it; a finite number: ±Inf is the largest there is
		"series_count": cel.IntType,                                 // all series with a value
		"series":       cel.MapType(cel.StringType, cel.StringType), // the labels of this one
		"legend":       cel.StringType,                              // its name, as the picture has it
	}
}

func (a *panelAction) Run(ctx context.Context, env *playbook.Env) (*playbook.Outcome, error) {
	board, p, err := a.find(ctx)
	if err != nil {
		return nil, err
	}
	given, err := a.given(env)
	if err != nil {
		return nil, err
	}
	if a.rendered && a.grafana == nil {
		return nil, &playbook.StepError{Err: errors.New("no Grafana is configured"), NextStep: "Add grafana to the configuration, or write render: draw."}
	}
	v := newPanelView(a, board, p, given, env)
	if p.Unsupported != "" { // Grafana may draw what has no rows
		env.Debugf("the panel's series are not read: %s", p.Unsupported)
	} else if err := v.ask(ctx); err != nil {
		return nil, err
	}
	return v.outcome(env)
}

// find is the panel, in the file or as Grafana has it now.
func (a *panelAction) find(ctx context.Context) (*dashboard.Dashboard, *dashboard.Panel, error) {
	board := a.board
	if board == nil {
		if a.grafana == nil {
			return nil, nil, &playbook.StepError{Err: errors.New("no Grafana is configured"), NextStep: "Add grafana to the configuration."}
		}
		data, err := a.grafana.Dashboard(ctx, a.uid)
		if err != nil {
			return nil, nil, grafanaError("dashboard "+a.uid, err)
		}
		if board, err = dashboard.Parse(data); err != nil {
			return nil, nil, fmt.Errorf("dashboard %s: %w", a.uid, err)
		}
	}
	p, err := board.Panel(a.name)
	if err != nil {
		return nil, nil, &playbook.StepError{Err: fmt.Errorf("dashboard %s: %w", a.uid, err), NextStep: "Mend the step's panel, or the dashboard."}
	}
	return board, p, nil
}

// grafanaError keeps what Grafana's client says to do.
func grafanaError(what string, err error) error {
	var failure *grafana.Error
	if !errors.As(err, &failure) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return &playbook.StepError{Err: fmt.Errorf("%s: %w", what, err), NextStep: failure.NextStep, Transient: failure.Transient}
}

// given are the step's values of variables. An empty one is none: the
// dashboard's own stands.
func (a *panelAction) given(env *playbook.Env) (map[string][]string, error) {
	given := map[string][]string{}
	for name, templates := range a.vars {
		for _, t := range templates {
			text, err := t.Render(env.Data)
			if err != nil {
				return nil, &playbook.StepError{
					Err:      fmt.Errorf("the variable %s cannot be written: %w", name, err),
					NextStep: "Look at the alert's labels and at the step's vars.",
				}
			}
			if text = safeText(text[:min(len(text), maxLabelValue)]); text != "" {
				given[name] = append(given[name], text)
			}
		}
	}
	return given, nil
}
