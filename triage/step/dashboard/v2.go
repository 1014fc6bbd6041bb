// Grafana's schema V2, in which Grafana 13 exports: panels are elements by name,
// beside a layout that does not matter here, and everything is wrapped in a kind
// and a spec. What is wrapped is what the older schemas have.

package dashboard

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// kindJSON is a wrapping. Where kind says only what it is (Panel, DataQuery,
// VizConfig), group says of which plugin; before V2beta1 kind said that.
type kindJSON struct {
	Kind  string          `json:"kind"`
	Group string          `json:"group"`
	Spec  json.RawMessage `json:"spec"`
}

// of is the plugin of a wrapping whose kind says only what it is.
func (k *kindJSON) of() string { return cmp.Or(k.Group, k.Kind) }

type elementJSON struct {
	ID    int64  `json:"id"`
	Title string `json:"title"`
	Data  struct {
		Spec struct {
			Queries []struct {
				Spec struct {
					RefID  string   `json:"refId"`
					Hidden bool     `json:"hidden"`
					Query  kindJSON `json:"query"`
				} `json:"spec"`
			} `json:"queries"`
			Transformations []kindJSON `json:"transformations"`
			QueryOptions    struct {
				Interval  string `json:"interval"`
				TimeFrom  string `json:"timeFrom"`
				TimeShift string `json:"timeShift"`
			} `json:"queryOptions"`
		} `json:"spec"`
	} `json:"data"`
	VizConfig    kindJSON        `json:"vizConfig"`
	LibraryPanel json.RawMessage `json:"libraryPanel"`
}

// elements are the panels in the order of their ids: their own order is that of
// a JSON object, which is none.
func elements(wire map[string]json.RawMessage) []panelJSON {
	panels := make([]panelJSON, 0, len(wire))
	for _, raw := range wire {
		panels = append(panels, decodeElement(raw))
	}
	slices.SortFunc(panels, func(a, b panelJSON) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), strings.Compare(a.Title, b.Title))
	})
	return panels
}

// decodeElement reads one element. One that does not have Grafana's form costs
// only itself.
func decodeElement(raw json.RawMessage) panelJSON {
	var outer kindJSON
	var e elementJSON
	err := json.Unmarshal(raw, &outer)
	if err == nil {
		err = json.Unmarshal(outer.Spec, &e)
	}
	p := panelJSON{}
	if err == nil && len(e.VizConfig.Spec) > 0 {
		err = json.Unmarshal(e.VizConfig.Spec, &p) // options and fieldConfig
	}
	p.ID, p.Title, p.Type, p.LibraryPanel = e.ID, e.Title, e.VizConfig.of(), e.LibraryPanel
	options := e.Data.Spec.QueryOptions
	p.Interval, p.TimeFrom, p.TimeShift = options.Interval, options.TimeFrom, options.TimeShift
	for _, q := range e.Data.Spec.Queries {
		var t targetJSON
		if err == nil && len(q.Spec.Query.Spec) > 0 {
			err = json.Unmarshal(q.Spec.Query.Spec, &t)
		}
		t.RefID, t.Hide, t.Datasource = q.Spec.RefID, q.Spec.Hidden, datasourceType(q.Spec.Query.of())
		p.Targets = append(p.Targets, t)
	}
	for _, k := range e.Data.Spec.Transformations {
		var t transformationJSON
		if err == nil && len(k.Spec) > 0 {
			err = json.Unmarshal(k.Spec, &t)
		}
		t.ID = cmp.Or(t.ID, k.of())
		p.Transformations = append(p.Transformations, t)
	}
	p.odd = err
	return p
}

// decodeVariableKind reads a variable, whose type is its kind: QueryVariable is
// query.
func decodeVariableKind(raw json.RawMessage) Variable {
	var outer kindJSON
	var j variableJSON
	if json.Unmarshal(raw, &outer) != nil || json.Unmarshal(outer.Spec, &j) != nil {
		return Variable{}
	}
	j.Type = strings.ToLower(strings.TrimSuffix(outer.Kind, "Variable"))
	if j.Type == "text" {
		j.Type = "textbox"
	}
	return j.variable()
}
