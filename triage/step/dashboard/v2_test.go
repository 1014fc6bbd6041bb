package dashboard

import (
	"fmt"
	"strings"
	"testing"
)

// v2 is a dashboard as Grafana 13 exports it: a resource, with what does not
// matter left out.
const v2 = `{"apiVersion": "dashboard.grafana.app/v2", "kind": "Dashboard", "metadata": {"name": "codex-app"}, "spec": {
	"title": "Codex", "layout": {"kind": "RowsLayout", "spec": {"rows": []}},
	"elements": {
		"panel-2": {"kind": "Panel", "spec": {"id": 2, "title": "Backoff",
			"data": {"kind": "QueryGroup", "spec": {
				"queries": [
					{"kind": "PanelQuery", "spec": {"refId": "A", "hidden": false, "query": {"kind": "DataQuery", "group": "prometheus", "version": "v0", "datasource": {"name": "${ds}"}, "spec": {"expr": "backoff{route=~\"$route\"}", "legendFormat": "{{worker}}", "range": true}}}},
					{"kind": "PanelQuery", "spec": {"refId": "B", "hidden": true, "query": {"kind": "DataQuery", "group": "__expr__", "version": "v0", "spec": {"expression": "$A * 2"}}}}],
				"transformations": [{"kind": "Transformation", "group": "calculateField", "spec": {"options": {}}}, {"kind": "organize", "spec": {"id": "organize", "disabled": true, "options": {}}}],
				"queryOptions": {"interval": "30s", "timeShift": "1d"}}},
			"vizConfig": {"kind": "VizConfig", "group": "timeseries", "version": "13.0.1", "spec": {"options": {"legend": {}}, "fieldConfig": {
				"defaults": {"unit": "ms", "thresholds": {"mode": "absolute", "steps": [{"value": null, "color": "green"}, {"value": 80, "color": "red"}]}, "custom": {"thresholdsStyle": {"mode": "line"}}},
				"overrides": [{"matcher": {"id": "byFrameRefID", "options": "A"}, "properties": [{"id": "custom.lineStyle", "value": {"fill": "dash"}}]}]}}}}},
		"panel-1": {"kind": "Panel", "spec": {"id": 1, "title": "Older kinds",
			"data": {"kind": "QueryGroup", "spec": {"queries": [{"kind": "PanelQuery", "spec": {"refId": "A", "query": {"kind": "loki", "spec": {"expr": "{app=\"x\"}"}}}}]}},
			"vizConfig": {"kind": "stat", "spec": {"pluginVersion": "12.0.0", "options": {"reduceOptions": {"calcs": ["mean"]}}, "fieldConfig": {"defaults": {}, "overrides": []}}}}},
		"shared": {"kind": "LibraryPanel", "spec": {"id": 3, "title": "Shared", "libraryPanel": {"uid": "l", "name": "Shared"}}},
		"odd": {"kind": "Panel", "spec": {"id": 4, "title": "Odd", "vizConfig": {"kind": "VizConfig", "group": "stat", "spec": {"options": []}}}},
		"none": 7
	},
	"variables": [
		{"kind": "QueryVariable", "spec": {"name": "route", "multi": true, "includeAll": true, "allValue": ".+", "current": {"text": ["All"], "value": ["$__all"]}, "query": {"kind": "DataQuery", "group": "prometheus", "spec": {"query": "label_values(route)"}}, "options": []}},
		{"kind": "CustomVariable", "spec": {"name": "window", "query": "1m,5m", "current": {"text": "5m", "value": "5m"}}},
		{"kind": "TextVariable", "spec": {"name": "text", "query": "x"}},
		{"kind": "AdhocVariable", "spec": {"name": "Filters", "filters": [{"key": "job", "operator": "=", "value": "codex"}]}},
		"odd"
	]}}`

func TestSchemaV2IsReadAsTheOlderOnesAre(t *testing.T) {
	d := parsed(t, v2)
	if d.UID != "codex-app" || d.Title != "Codex" || len(d.Panels) != 5 {
		t.Fatalf("%s %s: %+v", d.UID, d.Title, d.Panels)
	}
	p, err := d.Panel("Backoff")
	if err != nil {
		t.Fatal(err)
	}
	want := Target{RefID: "A", Expr: `backoff{route=~"$route"}`, Legend: "{{worker}}", Datasource: "prometheus"}
	if shown := p.Shown(); len(shown) != 1 || shown[0] != want || len(p.Targets) != 2 || p.Targets[1].Datasource != "__expr__" {
		t.Errorf("%+v", p.Targets)
	}
	if p.ID != 2 || p.Type != "timeseries" || p.Unsupported != "" || p.Interval != "30s" || p.Field.Unit != "ms" || p.Field.ThresholdStyle != "line" || len(p.Field.Thresholds) != 1 {
		t.Errorf("%+v", p)
	}
	if f := p.FieldOf("A", "w0"); !f.Dashed {
		t.Errorf("%+v", f)
	}
	if got := fmt.Sprint(p.Transforms); got != "[the panel's time shift of 1d transformation calculateField]" {
		t.Error(got)
	}
	if p, err = d.Panel("1"); err != nil || p.Type != "stat" || p.Calc != "mean" || p.Targets[0].Datasource != "loki" {
		t.Errorf("%+v, %v", p, err)
	}
	for title, why := range map[string]string{"Shared": "library panel", "Odd": "does not have Grafana's form", "": "does not have Grafana's form"} {
		if p, err := d.Panel(title); err != nil || !strings.Contains(p.Unsupported, why) {
			t.Errorf("%s: %+v, %v", title, p, err)
		}
	}
}

func TestVariablesOfSchemaV2HaveTheirValues(t *testing.T) {
	d := parsed(t, v2)
	s := d.NewScope(map[string][]string{"text": {`"}`}}, hour)
	for expr, want := range map[string]string{
		`rate(up{route=~"$route"}[$window])`: `rate(up{route=~".+"}[5m])`,
		`up{a="$text"}`:                      `up{a="\"}"}`,
	} {
		if got, err := s.PromQL(expr); err != nil || got != want {
			t.Errorf("%s: %s, %v", expr, got, err)
		}
	}
	if v := d.Variables[3]; v.Type != "adhoc" || v.Values[0] != `job="codex"` {
		t.Errorf("%+v", v)
	}
	if _, err := Parse([]byte(`{"elements": {"panel-1": {"kind": "Panel", "spec": {"id": 1, "title": "bare"}}}}`)); err != nil {
		t.Errorf("the model without its resource: %v", err)
	}
}
