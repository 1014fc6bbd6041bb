package dashboard

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestPanelsAreFoundWhereverTheyStand(t *testing.T) {
	d := parsed(t, `{"uid": "u", "title": "D", "schemaVersion": 39, "panels": [
		{"id": 1, "title": "open", "type": "stat", "targets": [{"refId": "A", "expr": "up"}]},
		{"id": 2, "title": "row", "type": "row", "panels": [{"id": 3, "title": "in a row", "type": "gauge", "targets": [{"refId": "A", "expr": "up"}]}]},
		{"id": 4, "title": "twice", "type": "stat"}, {"id": 5, "title": "twice", "type": "stat"}],
		"rows": [{"panels": [{"id": 6, "title": "old", "type": "graph"}]}]}`)
	for name, id := range map[string]int64{"open": 1, "in a row": 3, "old": 6, "3": 3, "5": 5} {
		if p, err := d.Panel(name); err != nil || p.ID != id {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	for name, want := range map[string]string{
		"opne":  `no panel "opne"; it has "open", "in a row", "twice", "twice", "old"`,
		"row":   `no panel "row"`,
		"twice": `2 panels are called "twice"; write one of the ids 4, 5`,
		"99":    `no panel "99"`,
	} {
		if _, err := d.Panel(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsNoDashboardIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "no JSON",
		"{\n\n\"panels\": [}":           "line 3",
		`[]`:                            "no JSON",
		`{"panels": {}}`:                "does not have Grafana's form: line 1",
		`{"kind": "Dashboard"}`:         "has no panels",
		`{"dashboard": {"panels": []}}`: "has no panels",
		`{"panels": [` + strings.Repeat(`{"type":"stat"},`, maxPanels) + `{"type":"stat"}]}`:      "more than 1000 panels",
		`{"panels": [], "templating": {"list": [` + strings.Repeat(`{},`, maxVariables) + `{}]}}`: "more than 200 variables",
		strings.Repeat(" ", MaxSize) + "{}":                                                       "over 4 MiB",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %s", text, err, want)
		}
	}
	if _, err := Parse([]byte(`{"dashboard": {"panels": [{"id": 1}]}, "meta": {}}`)); err != nil {
		t.Errorf("an answer of the API: %v", err)
	}
}

// A plugin's options may be anything; whoever asks for the panel beside it does
// not care.
func TestAPanelOfAnotherFormCostsOnlyItself(t *testing.T) {
	d := parsed(t, `{"panels": [
		{"id": 1, "title": "billing", "type": "table", "targets": [{"refId": "A", "format": 1, "rawSql": "select 1"}]},
		{"id": "two", "title": 2, "type": {}}, 7, null, [],
		{"id": 3, "title": "fine", "type": "stat", "targets": [{"refId": "A", "expr": "up"}]}]}`)
	if p, err := d.Panel("fine"); err != nil || p.Unsupported != "" {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := d.Panel("billing"); err != nil || p.ID != 1 || !strings.Contains(p.Unsupported, "does not have Grafana's form: json: cannot unmarshal number") {
		t.Errorf("%+v, %v", p, err)
	}
}

// Grafana 12 and later export a dashboard as a resource.
func TestAnExportedResourceIsRead(t *testing.T) {
	const panels = `"panels": [{"id": 1, "title": "p", "type": "stat", "targets": [{"refId": "A", "expr": "up"}]}]`
	for text, uid := range map[string]string{
		`{"apiVersion": "dashboard.grafana.app/v1beta1", "kind": "Dashboard", "metadata": {"name": "codex-app"}, "spec": {"title": "D", ` + panels + `}}`: "codex-app",
		`{"kind": "Dashboard", "metadata": {"name": "codex-app"}, "spec": {"uid": "own", ` + panels + `}}`:                                                "own",
		`{"kind": "Dashboard", "spec": {` + panels + `}}`:                                                                                                 "",
	} {
		d, err := Parse([]byte(text))
		if err != nil || d.UID != uid || len(d.Panels) != 1 {
			t.Errorf("%s: %+v, %v", text, d, err)
		}
	}
}

func TestWhatCannotBeDrawnIsNamed(t *testing.T) {
	const target = `"targets": [{"refId": "A", "expr": "up"}]`
	for panel, want := range map[string]string{
		`"type": "piechart", ` + target: "panels of type piechart cannot be drawn from JSON",
		`"type": "stat"`:                "it has no query",
		`"type": "stat", "targets": [{"expr": "up", "hide": true}]`:                                      "it has no query",
		`"type": "heatmap", "options": {"calculate": true}, ` + target:                                   "counts its values into buckets itself",
		`"type": "stat", "libraryPanel": {"uid": "x"}`:                                                   "library panel",
		`"type": "stat", "targets": [` + strings.Repeat(`{"expr": "up"},`, maxTargets) + `{"expr": ""}]`: "more than 26 queries",
	} {
		d := parsed(t, `{"panels": [{"id": 1, `+panel+`}]}`)
		if got := d.Panels[0].Unsupported; !strings.Contains(got, want) {
			t.Errorf("%s: %q", panel, got)
		}
	}
	d := parsed(t, `{"panels": [{"type": "timeseries", `+target+`, "transformations": [{"id": "calculateField"}, {"id": "x", "disabled": true}],
		"fieldConfig": {"defaults": {"custom": {"stacking": {"mode": "normal"}, "scaleDistribution": {"type": "log", "log": 2}}}, "overrides": [{"matcher": {"id": "byType", "options": "number"}}, {"matcher": {"id": "byRegexp", "options": "/(/"}}]}}]}`)
	if got := fmt.Sprint(d.Panels[0].Transforms); got != "[stacking log axis override byType override byRegexp transformation calculateField]" {
		t.Errorf("%s", got)
	}
}

// What a picture would show otherwise in Grafana is named, in dashboards of any
// age.
func TestWhatIsNotAppliedIsNamed(t *testing.T) {
	const target = `"targets": [{"refId": "A", "expr": "up"}]`
	for panel, want := range map[string]string{
		`"type": "timeseries", "timeShift": "1d", "timeFrom": "6h"`:                                                                                                                 "[the panel's own time range 6h the panel's time shift of 1d]",
		`"type": "timeseries", "timeShift": null, "timeFrom": null`:                                                                                                                 "[]",
		`"type": "graph", "stack": true, "yaxes": [{"logBase": 10}], "seriesOverrides": [{"alias": "x"}]`:                                                                           "[stacking log axis overrides of the old graph's series]",
		`"type": "graph", "stack": false, "yaxes": [{"logBase": 1}], "seriesOverrides": []`:                                                                                         "[]",
		`"type": "timeseries", "fieldConfig": {"defaults": {"custom": {"transform": "negative-Y"}}}`:                                                                                "[transform negative-Y]",
		`"type": "timeseries", "fieldConfig": {"overrides": [{"matcher": {"id": "byName", "options": "a"}, "properties": [{"id": "custom.transform", "value": "negative-Y"}]}]}`:    "[transform negative-Y]",
		`"type": "timeseries", "fieldConfig": {"overrides": [{"matcher": {"id": "byRegexp", "options": "/a/x"}, "properties": [{"id": "unit", "value": "s"}]}]}`:                    "[override byRegexp]",
		`"type": "timeseries", "fieldConfig": {"defaults": {"custom": {"transform": "none", "scaleDistribution": {"type": "linear"}}}, "overrides": []}, "yaxis": {"align": false}`: "[]",
	} {
		d := parsed(t, `{"panels": [{"id": 1, `+panel+`, `+target+`}]}`)
		if got := fmt.Sprint(d.Panels[0].Transforms); got != want {
			t.Errorf("%s: %s, want %s", panel, got, want)
		}
	}
}

func TestTheOldHeatmapKeepsItsUnit(t *testing.T) {
	const heatmap = `{"panels": [{"id": 1, "type": "heatmap", "dataFormat": %q, "yAxis": {"format": "s", "decimals": 0}, "targets": [{"expr": "up", "format": "heatmap"}]}]}`
	if p := parsed(t, fmt.Sprintf(heatmap, "tsbuckets")).Panels[0]; p.Unsupported != "" || p.Field.Unit != "s" || *p.Field.Decimals != 0 {
		t.Errorf("%+v", p)
	}
	if p := parsed(t, fmt.Sprintf(heatmap, "timeseries")).Panels[0]; !strings.Contains(p.Unsupported, "counts its values into buckets itself") {
		t.Errorf("%+v", p)
	}
}

func TestOverridesChangeTheirSeries(t *testing.T) {
	d := parsed(t, `{"panels": [{"type": "timeseries", "targets": [{"expr": "up"}], "fieldConfig": {
		"defaults": {"unit": "ms", "decimals": 1, "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": null}, {"color": "red", "value": 80}, {"color": "orange", "value": 50}]}},
		"overrides": [
			{"matcher": {"id": "byFrameRefID", "options": "B"}, "properties": [{"id": "unit", "value": "s"}, {"id": "custom.lineStyle", "value": {"fill": "dash"}}]},
			{"matcher": {"id": "byName", "options": "a"}, "properties": [{"id": "displayName", "value": "A!"}, {"id": "decimals", "value": "many"}, {"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}}]},
			{"matcher": {"id": "byRegexp", "options": "/^W[0-9]$/i"}, "properties": [{"id": "custom.hideFrom", "value": {"viz": true}}]}]}}]}`)
	p := &d.Panels[0]
	if f := p.FieldOf("A", "x"); f.Unit != "ms" || f.Dashed || f.ColorOf(49) != "green" || f.ColorOf(50) != "orange" || f.ColorOf(1000) != "red" {
		t.Errorf("%+v", f)
	}
	if f := p.FieldOf("B", "a"); f.Unit != "s" || !f.Dashed || f.Name != "A!" || *f.Decimals != 1 || f.Color != "red" {
		t.Errorf("%+v", f)
	}
	if f := p.FieldOf("A", "w1"); !f.Hidden {
		t.Errorf("%+v", f)
	}
}

func TestTheOldGraphKeepsItsAxisAndThresholds(t *testing.T) {
	d := parsed(t, `{"rows": [{"panels": [{"id": 1, "title": "g", "type": "graph", "datasource": "Prometheus", "targets": [{"expr": "up"}],
		"yaxes": [{"format": "percentunit", "min": "0", "max": null}], "thresholds": [{"value": 0.5, "op": "gt", "colorMode": "warning", "fill": true, "line": true}]}]}]}`)
	p := d.Panels[0]
	if p.Type != "timeseries" || p.Unsupported != "" || p.Field.Unit != "percentunit" || *p.Field.Min != 0 || p.Field.Max != nil || p.Field.ThresholdStyle != "line+area" || p.Field.Thresholds[0] != (Threshold{0.5, "orange"}) {
		t.Errorf("%+v", p)
	}
}

func TestValuesAreWrittenInGrafanasUnits(t *testing.T) {
	for _, tt := range []struct {
		field string
		v     float64
		want  string
	}{
		{`"unit": "ms"`, 431.25, "431.2ms"},
		{`"unit": "ms", "decimals": 0`, 431.25, "431ms"},
		{`"unit": "ms"`, 1500, "1.5s"},
		{`"unit": "s"`, 90, "1m 30s"},
		{`"unit": "percent"`, 2.5, "2.5%"},
		{`"unit": "percentunit", "decimals": 2`, 0.025, "2.50%"},
		{`"unit": "short"`, 12345, "12.35k"},
		{`"unit": "bytes"`, 2048, "2KiB"},
		{`"unit": "reqps"`, 1.5, "1.5 req/s"},
		{`"unit": "ops", "decimals": 1`, 0.25, "0.2 ops/s"},
		{`"unit": "bool_on_off"`, 1, "On"},
		{`"unit": "lightyears"`, 3, "3"},
		{`"unit": "us"`, 1500, "1.5ms"},
		{`"unit": "m"`, 2, "2m 0s"},
		{`"unit": "short"`, math.NaN(), "no data"},
		{`"unit": "ms"`, math.Inf(1), "+Inf"},
		{`"decimals": 9999999`, 1.5, "1.5000000000"},
		{`"decimals": -5`, 1.5, "2"},
		{`"mappings": [{"type": "value", "options": {"1": {"text": "ON"}}}, {"type": "range", "options": {"from": 2, "to": null, "result": {"text": "many"}}}, {"type": "special", "options": {"match": "null+nan", "result": {"text": "n/a"}}}]`, 1, "ON"},
		{`"mappings": [{"id": 0, "op": "=", "type": 1, "value": "1", "text": "ON"}, {"type": 2, "from": "2", "to": "9", "text": "many"}]`, 1, "ON"},
		{`"mappings": [{"id": 0, "op": "=", "type": 1, "value": "1", "text": "ON"}, {"type": 2, "from": "2", "to": "9", "text": "many"}]`, 7, "many"},
		{`"mappings": [{"type": 1, "value": "null", "text": "N/A"}, {"type": 1, "value": "x", "text": "?"}]`, math.NaN(), "N/A"},
		{`"mappings": [{"type": "range", "options": {"from": 2, "to": null, "result": {"text": "many"}}}]`, 7, "many"},
		{`"mappings": [{"type": "special", "options": {"match": "nan", "result": {"text": "n/a"}}}]`, math.NaN(), "n/a"},
	} {
		d := parsed(t, `{"panels": [{"type": "stat", "targets": [{"expr": "up"}], "fieldConfig": {"defaults": {`+tt.field+`}}}]}`)
		if got := d.Panels[0].Field.Text(tt.v); got != tt.want {
			t.Errorf("%s, %v: %q, want %q", tt.field, tt.v, got, tt.want)
		}
	}
	if _, known := (&Field{Unit: "lightyears"}).Measure(); known {
		t.Error("lightyears are known")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(variables))
	f.Add([]byte(v2))
	f.Add([]byte(`{"panels": [{"type": "graph", "thresholds": "1,2", "yaxes": [{"min": "x"}], "targets": [{"expr": "up"}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse(data)
		if err != nil {
			return
		}
		s := d.NewScope(nil, hour)
		for i := range d.Panels {
			p := &d.Panels[i]
			for _, target := range p.Targets {
				_, _ = s.PromQL(target.Expr)
				field := p.FieldOf(target.RefID, target.Legend)
				_ = field.Text(1)
				_ = field.ColorOf(1)
			}
		}
	})
}
