// Template variables: what a dashboard declares, what a step gives, and what
// Grafana itself provides.

package dashboard

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// Variable is one template variable of a dashboard.
type Variable struct {
	Name       string
	Type       string   // query, custom, constant, textbox, interval, datasource, adhoc, …
	Values     []string // current; none where the dashboard was saved without
	All        bool     // the current value is All
	AllValue   string   // what All stands for, "" for all options
	Multi      bool
	IncludeAll bool
	Options    []string // without All
}

type variableJSON struct {
	Name       string          `json:"name"`
	Type       string          `json:"type"`
	Query      json.RawMessage `json:"query"` // an object for some types
	AllValue   *string         `json:"allValue"`
	Multi      bool            `json:"multi"`
	IncludeAll bool            `json:"includeAll"`
	Current    struct {
		Value json.RawMessage `json:"value"`
	} `json:"current"`
	Options []struct {
		Value json.RawMessage `json:"value"`
	} `json:"options"`
	Filters []struct { // of an ad hoc variable
		Key      string `json:"key"`
		Operator string `json:"operator"`
		Value    string `json:"value"`
	} `json:"filters"`
}

// all is how Grafana writes the choice of all values.
const all = "$__all"

// decodeVariable reads one variable. One that does not have Grafana's form has no
// value, which is said where a query needs it.
func decodeVariable(raw json.RawMessage) Variable {
	var j variableJSON
	if json.Unmarshal(raw, &j) == nil {
		return j.variable()
	}
	var known struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	_ = json.Unmarshal(raw, &known)
	return Variable{Name: known.Name, Type: known.Type}
}

func (j *variableJSON) variable() Variable {
	v := Variable{Name: j.Name, Type: j.Type, Multi: j.Multi, IncludeAll: j.IncludeAll}
	if j.AllValue != nil {
		v.AllValue = *j.AllValue
	}
	for _, o := range j.Options {
		for _, value := range texts(o.Value) {
			if value != all {
				v.Options = append(v.Options, value)
			}
		}
	}
	var query string
	_ = json.Unmarshal(j.Query, &query) // "" where it is an object
	if j.Type == "custom" && len(v.Options) == 0 {
		v.Options = customOptions(query)
	}
	v.Values = texts(j.Current.Value)
	if len(v.Values) == 0 {
		switch j.Type {
		case "constant", "textbox":
			v.Values = []string{query}
		case "custom": // Grafana chooses the first
			v.Values = v.Options[:min(1, len(v.Options))]
		}
	}
	if j.Type == "adhoc" {
		v.Values = nil
		for _, f := range j.Filters {
			v.Values = append(v.Values, f.Key+f.Operator+strconv.Quote(f.Value))
		}
	}
	v.All = slices.Contains(v.Values, all)
	return v
}

// customOptions are those of a custom variable's list: a, b : c has b for people
// and c for queries.
func customOptions(list string) []string {
	var options []string
	for item := range strings.SplitSeq(list, ",") {
		if _, value, named := strings.Cut(item, " : "); named {
			item = value
		}
		if item = strings.TrimSpace(item); item != "" {
			options = append(options, item)
		}
	}
	return options
}

// texts are the values of a text, a number or a list of either.
func texts(raw json.RawMessage) []string {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	var out []string
	add := func(v any) {
		switch v := v.(type) {
		case string:
			if v != "" {
				out = append(out, v)
			}
		case float64:
			out = append(out, strconv.FormatFloat(v, 'f', -1, 64))
		case bool:
			out = append(out, strconv.FormatBool(v))
		}
	}
	if list, is := v.([]any); is {
		for _, item := range list {
			add(item)
		}
	} else {
		add(v)
	}
	return out
}

// Range is the time that a panel shows.
type Range struct {
	From, To time.Time
	Step     time.Duration // between points: $__interval
}

// scrapeInterval is what Grafana assumes of a Prometheus of which nothing else
// is configured.
const scrapeInterval = 15 * time.Second

// Scope is what the variables of a dashboard stand for in one run.
type Scope struct {
	values map[string]value
	names  []string // of the dashboard's own variables, in its order
}

// value is what one variable stands for.
type value struct {
	texts []string
	raw   string // of All with a value of its own; stands as it is
	regex bool   // it may have several values, so that they are escaped for a regular expression
	given bool   // by the step, so that it is data and never syntax
}

// NewScope fills a dashboard's variables in. given are values by name and go
// before the dashboard's own; one that the dashboard does not declare is of use
// all the same.
func (d *Dashboard) NewScope(given map[string][]string, r Range) *Scope {
	s := &Scope{values: map[string]value{}}
	seconds := func(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }
	millis := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	step := max(r.Step, time.Second)
	rate := max(step+scrapeInterval, 4*scrapeInterval)
	span := r.To.Sub(r.From)
	for name, text := range map[string]string{
		"__interval": model.Duration(step).String(), "__interval_ms": millis(step),
		"__rate_interval": model.Duration(rate).String(), "__rate_interval_ms": millis(rate),
		"__range": seconds(span) + "s", "__range_s": seconds(span), "__range_ms": millis(span),
		"__from": strconv.FormatInt(r.From.UnixMilli(), 10), "__to": strconv.FormatInt(r.To.UnixMilli(), 10),
		"__dashboard": d.Title,
	} {
		s.values[name] = value{texts: []string{text}}
	}
	for _, v := range d.Variables {
		s.names = append(s.names, v.Name)
		known := value{texts: v.Values, regex: v.Multi || v.IncludeAll}
		switch {
		case v.All && v.AllValue != "":
			known.texts, known.raw = nil, v.AllValue
		case v.All && len(v.Options) > 0:
			known.texts = v.Options
		case v.All:
			// Grafana lists all that there is, which has no empty value among it.
			known.texts, known.raw = nil, ".+"
		case v.Type == "interval" && len(v.Values) > 0 && strings.HasPrefix(v.Values[0], "$__auto"):
			known.texts = []string{model.Duration(step).String()}
		}
		s.values[v.Name] = known
	}
	for name, texts := range given {
		known := s.values[name]
		s.values[name] = value{texts: texts, regex: known.regex, given: true}
	}
	return s
}

// Values are the dashboard's variables as they stand, for a link to Grafana:
// var-NAME=VALUE. Those without a value are left out.
func (s *Scope) Values() map[string][]string {
	out := map[string][]string{}
	for name, v := range s.values {
		own := slices.Contains(s.names, name)
		switch {
		case v.given, own && len(v.texts) > 0:
			out[name] = v.texts
		case own && v.raw != "":
			out[name] = []string{all}
		}
	}
	return out
}
