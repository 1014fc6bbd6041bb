// Package dashboard reads Grafana's dashboards from their JSON: panels, their
// PromQL, units, thresholds and template variables. It does no I/O and draws
// nothing; what it does not understand it names, so that a picture can say what
// it leaves out.
package dashboard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Bounds of a dashboard.
const (
	MaxSize      = 4 << 20 // bytes of its JSON
	maxPanels    = 1000
	maxTargets   = 26 // as many as Grafana has letters for
	maxVariables = 200
)

// Dashboard is one dashboard, as far as its panels can be drawn from it.
type Dashboard struct {
	UID       string
	Title     string
	Version   int // of its schema
	Variables []Variable
	Panels    []Panel // those within rows included; rows themselves are not
}

// Panel is one panel.
type Panel struct {
	ID          int64
	Title       string
	Type        string // Grafana's: timeseries, stat, gauge, bargauge, table, heatmap, …; the old graph is timeseries
	Interval    string // the least distance of points, "" for the datasource's
	Targets     []Target
	Field       Field // of all its series, unless an override says otherwise
	Overrides   []Override
	Calc        string // how stat and gauge reduce a series: lastNotNull, mean, max, …
	Columns     Columns
	Datasource  string   // the type of the targets' datasource where these do not say, "" when unknown
	Transforms  []string // what it does to its series that is not applied
	Unsupported string   // why it cannot be drawn at all, "" when it can
}

// Target is one query of a panel.
type Target struct {
	RefID      string
	Expr       string
	Legend     string // legendFormat: "" and __auto leave the name to the labels
	Instant    bool
	Heatmap    bool   // its series are a histogram's buckets
	Interval   string // the least distance of its points
	Datasource string // its datasource's type, "" when unknown
	Hidden     bool
}

// Parse reads a dashboard's JSON: an exported file, or an answer of Grafana's
// API, which has it under "dashboard".
func Parse(data []byte) (*Dashboard, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("the dashboard is over %d MiB", MaxSize>>20)
	}
	data, err := unwrapped(data)
	if err != nil {
		return nil, err
	}
	var wire dashboardJSON
	if err := json.Unmarshal(data, &wire); err != nil {
		return nil, fmt.Errorf("the dashboard does not have Grafana's form: %w", jsonError(data, err))
	}
	panels := wire.Panels
	for _, row := range wire.Rows { // before schema version 16
		panels = append(panels, row.Panels...)
	}
	d := &Dashboard{UID: wire.UID, Title: wire.Title, Version: wire.SchemaVersion}
	if len(wire.Templating.List)+len(wire.Variables) > maxVariables {
		return nil, fmt.Errorf("the dashboard has more than %d variables", maxVariables)
	}
	for _, raw := range wire.Templating.List {
		d.Variables = append(d.Variables, decodeVariable(raw))
	}
	for _, raw := range wire.Variables {
		d.Variables = append(d.Variables, decodeVariableKind(raw))
	}
	all := elements(wire.Elements)
	for _, raw := range panels {
		p := decodePanel(raw)
		all = append(all, p)
		for _, inner := range p.Panels { // a collapsed row holds its panels
			all = append(all, decodePanel(inner))
		}
	}
	for i := range all {
		if all[i].Type == "row" {
			continue
		}
		if len(d.Panels) == maxPanels {
			return nil, fmt.Errorf("the dashboard has more than %d panels", maxPanels)
		}
		d.Panels = append(d.Panels, all[i].panel())
	}
	if len(d.Panels) == 0 {
		return nil, errors.New("the dashboard has no panels; is it one of Grafana's? Export it with Share, Export, Save to file")
	}
	return d, nil
}

// unwrapped is a dashboard's own JSON: the file, or what stands under
// "dashboard" in an answer of Grafana's API, or under "spec" where Grafana 12 and
// later export the dashboard as a resource.
func unwrapped(data []byte) ([]byte, error) {
	outer, err := readWrapping(data)
	if err != nil {
		return nil, err
	}
	inner, uid := data, ""
	switch {
	case isObject(outer.Dashboard):
		inner = outer.Dashboard
	case isObject(outer.Spec):
		inner, uid = outer.Spec, outer.Metadata.Name
		if outer, err = readWrapping(inner); err != nil {
			return nil, err
		}
	}
	if uid != "" && outer.UID == nil {
		return withUID(inner, uid)
	}
	return inner, nil
}

// wrapping is what tells how a dashboard is wrapped.
type wrapping struct {
	Dashboard json.RawMessage `json:"dashboard"`
	Spec      json.RawMessage `json:"spec"`
	UID       *string         `json:"uid"`
	Metadata  struct {
		Name string `json:"name"`
	} `json:"metadata"`
}

func readWrapping(data []byte) (w wrapping, err error) {
	if err := json.Unmarshal(data, &w); err != nil {
		return w, fmt.Errorf("the dashboard is no JSON: %w", jsonError(data, err))
	}
	return w, nil
}

func isObject(raw json.RawMessage) bool { return bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) }

// withUID gives a resource's dashboard its uid, which is the resource's name.
func withUID(spec []byte, uid string) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(spec, &fields); err != nil {
		return nil, fmt.Errorf("the dashboard is no JSON: %w", err)
	}
	fields["uid"], _ = json.Marshal(uid) // a text always is JSON
	return json.Marshal(fields)
}

// jsonError says in which line it went wrong.
func jsonError(data []byte, err error) error {
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	offset := int64(-1)
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &mismatch):
		offset = mismatch.Offset
	}
	if offset < 0 || offset > int64(len(data)) {
		return err
	}
	return fmt.Errorf("line %d: %w", 1+bytes.Count(data[:offset], []byte("\n")), err)
}

// Panel finds a panel by its title, or else by its id. The error names the
// titles that there are.
func (d *Dashboard) Panel(name string) (*Panel, error) {
	var found []*Panel
	for i := range d.Panels {
		if d.Panels[i].Title == name {
			found = append(found, &d.Panels[i])
		}
	}
	if len(found) == 0 {
		id, err := strconv.ParseInt(name, 10, 64)
		for i := range d.Panels {
			if err == nil && d.Panels[i].ID == id {
				found = append(found, &d.Panels[i])
			}
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fmt.Errorf("no panel %q; it has %s", name, d.titles())
	}
	ids := make([]string, len(found))
	for i, p := range found {
		ids[i] = strconv.FormatInt(p.ID, 10)
	}
	return nil, fmt.Errorf("%d panels are called %q; write one of the ids %s", len(found), name, strings.Join(ids, ", "))
}

// titles lists some panels for people.
func (d *Dashboard) titles() string {
	const most = 20
	var all []string
	for _, p := range d.Panels {
		if len(all) == most {
			all = append(all, fmt.Sprintf("and %d more", len(d.Panels)-most))
			break
		}
		all = append(all, strconv.Quote(p.Title))
	}
	return strings.Join(all, ", ")
}

// Shown are the panel's targets that are not hidden.
func (p *Panel) Shown() []Target {
	var shown []Target
	for _, t := range p.Targets {
		if !t.Hidden {
			shown = append(shown, t)
		}
	}
	return shown
}
