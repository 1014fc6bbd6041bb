package playbook

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// stepName is how templates and conditions write a step's id: neither takes a
// hyphen in a name.
func stepName(id string) string { return strings.ReplaceAll(id, "-", "_") }

// fieldName is how templates write a variable: value is Value, status_code is
// StatusCode.
func fieldName(variable string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(variable, "_") {
		first, size := utf8.DecodeRuneInString(part)
		if size == 0 {
			continue
		}
		b.WriteRune(unicode.ToUpper(first))
		b.WriteString(part[size:])
	}
	return b.String()
}

// view is d as templates see it, with the variables of a row beside it. It is
// a map, so that what a row may lack (a baseline) renders as "" and not as an
// error; that every name is known was checked when the template was compiled.
func view(d *Data, vars map[string]any) map[string]any {
	steps := make(map[string]StepData, len(d.Steps))
	for id, s := range d.Steps {
		steps[stepName(id)] = s
	}
	v := make(map[string]any, len(vars)+10)
	for name, value := range vars {
		v[fieldName(name)] = value
	}
	v["Labels"] = d.Labels
	v["Annotations"] = d.Annotations
	v["GroupLabels"] = d.GroupLabels
	v["Alert"] = d.Alert
	v["AlertExpr"] = d.AlertExpr
	v["Inputs"] = d.Inputs
	v["Services"] = d.Services
	v["Steps"] = steps
	v["IncidentID"] = d.IncidentID
	v["At"] = d.At
	return v
}
