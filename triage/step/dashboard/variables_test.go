package dashboard

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"triagebot/triage"
)

var hour = Range{From: time.Unix(0, 0), To: time.Unix(3600, 0), Step: 15 * time.Second}

const variables = `{"panels": [{"id": 1, "title": "p"}], "templating": {"list": [
	{"name": "route", "type": "query", "query": {"query": "label_values(x, route)"}, "multi": true, "includeAll": true, "current": {"value": ["/a.b", "/c"]}},
	{"name": "one", "type": "query", "current": {"value": "a\"b\\c'd"}},
	{"name": "worker", "type": "query", "multi": true, "includeAll": true, "allValue": "w.*", "current": {"value": ["$__all"]}},
	{"name": "every", "type": "query", "includeAll": true, "current": {"value": "$__all"}},
	{"name": "window", "type": "custom", "query": "1m, five : 5m,15m"},
	{"name": "listed", "type": "custom", "includeAll": true, "query": "a+b,c", "current": {"value": ["$__all"]}},
	{"name": "auto", "type": "interval", "current": {"value": "$__auto_interval_auto"}},
	{"name": "metric", "type": "constant", "query": "codex_build_info"},
	{"name": "never", "type": "query", "current": {}},
	{"name": "datasource", "type": "datasource", "query": "prometheus", "current": {}}
]}}`

func parsed(t testing.TB, text string) *Dashboard {
	t.Helper()
	d, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestVariablesAreWrittenAsGrafanaWritesThem(t *testing.T) {
	s := parsed(t, variables).NewScope(nil, hour)
	for _, tt := range []struct{ expr, want string }{
		{`up{route=~"$route"}`, `up{route=~"(/a\\.b|/c)"}`},
		{`up{route=~"${route}",a="1"}`, `up{route=~"(/a\\.b|/c)",a="1"}`},
		{`up{route=~"[[route]]"}`, `up{route=~"(/a\\.b|/c)"}`},
		{`up{route=~"${route:regex}"}`, `up{route=~"(/a\\.b|/c)"}`},
		{`up{route=~"${route:pipe}"}`, `up{route=~"/a.b|/c"}`},
		{`up{route=~"[[route:raw]]"}`, `up{route=~"/a.b,/c"}`},
		{`up{a="$one"}`, `up{a="a\"b\\c'd"}`},
		{`up{a='$one'}`, `up{a='a"b\\c\'d'}`},
		{`up{worker=~"$worker"}`, `up{worker=~"w.*"}`},
		{`up{a=~"$every"}`, `up{a=~".+"}`},
		{`up{a=~"$listed"}`, `up{a=~"(a\\+b|c)"}`},
		{`rate(up[$window])`, `rate(up[1m])`},
		{`rate(up[$auto])`, `rate(up[15s])`},
		{`rate(up[$__interval])`, `rate(up[15s])`},
		{`rate(up[$__rate_interval])`, `rate(up[1m])`},
		{`increase(up[$__range])`, `increase(up[3600s])`},
		{`up * $__range_s + ${__interval_ms}`, `up * 3600 + 15000`},
		{`sum($metric)`, `sum(codex_build_info)`},
		{`label_replace(up, "a", "$1", "b", "(.*)")`, `label_replace(up, "a", "$1", "b", "(.*)")`},
		{"up # $route\n+ 1", "up # /a.b|/c\n+ 1"},
	} {
		if got, err := s.PromQL(tt.expr); err != nil || got != tt.want {
			t.Errorf("%s: %s, %v; want %s", tt.expr, got, err, tt.want)
		}
	}
}

func TestWhatCannotBeWrittenIsSaid(t *testing.T) {
	s := parsed(t, variables).NewScope(map[string][]string{"window": {"5m]) or vector(1"}, "metric": {"up{}"}}, hour)
	for _, tt := range []struct{ expr, want string }{
		{`up{a="$never"}`, "the variable never has no value"},
		{`up + $nowhere`, "unknown variables $nowhere"},
		{`up{a="${route:lucene}"}`, "the format lucene, which is not known"},
		{`rate(up[$window])`, `window is "5m]) or vector(1"; outside of quotes`},
		{`sum($metric)`, `metric is "up{}"; outside of quotes`},
		{`up{a="\$one"}`, "stands right before $one"},
		{`up{`, "not PromQL"},
		{``, "not PromQL"},
		{`up{a="` + strings.Repeat("x", maxExpr) + `$one"}`, "over 128 KiB"},
	} {
		if got, err := s.PromQL(tt.expr); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.80s: %.80s, %v; want %s", tt.expr, got, err, tt.want)
		}
	}
}

// A value that a step gives comes from an alert's labels, which anybody who is
// scraped may choose.
func TestAGivenValueIsDataWhereverItStands(t *testing.T) {
	for _, hostile := range []string{`"} or vector(1) or up{a="`, `.*`, `a|b`, `\`, `'`, "`", "\n", "\x00", "\xff", "$route", "[[one]]", "日本", `${never}`, `(`} {
		s := parsed(t, variables).NewScope(map[string][]string{"route": {hostile}, "one": {hostile}}, hour)
		for _, expr := range []string{
			`up{a="$one"}`, `up{a='$one'}`, `up{a=~"$one"}`, `up{a=~'^(?:$one)$'}`, `up{a="$route"}`, `up{a=~"$route"}`, `up{a!~"${route:regex}"}`,
			`up{a=~"${one:raw}"}`, `up{a=~"${route:pipe}"}`, `up{a=~"${route:csv}"}`,
		} {
			got, err := s.PromQL(expr)
			if err != nil {
				t.Errorf("%q in %s: %v", hostile, expr, err)
				continue
			}
			selector, is := mustParse(t, got).(*parser.VectorSelector)
			if !is {
				t.Errorf("%q in %s became %s", hostile, expr, got)
				continue
			}
			value := strings.ToValidUTF8(hostile, "\uFFFD")
			for _, m := range selector.LabelMatchers {
				if m.Name != "a" {
					continue
				}
				if isNot := m.Type == labels.MatchNotRegexp; m.Matches(value) == isNot || m.Matches("another") != isNot {
					t.Errorf("%q in %s became %s", hostile, expr, got)
				}
			}
		}
	}
}

func mustParse(t testing.TB, expr string) parser.Expr {
	t.Helper()
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestSeveralGivenValuesAreAlternatives(t *testing.T) {
	s := parsed(t, variables).NewScope(map[string][]string{"route": {"/a.b", "/c|d"}}, hour)
	if got, err := s.PromQL(`up{a=~"$route"}`); err != nil || got != `up{a=~"(/a\\.b|/c\\|d)"}` {
		t.Errorf("%s, %v", got, err)
	}
}

func TestLegendsTakeLabelsAndVariables(t *testing.T) {
	s := parsed(t, variables).NewScope(map[string][]string{"one": {"{{secret}}"}}, hour)
	l := triage.Labels{"route": "/v1 $route", "secret": "s3cret"}
	for legend, want := range map[string]string{
		"p95 {{route}}": "p95 /v1 $route", "{{ route }}/{{missing}}": "/v1 $route/", "__auto": "", "": "", "over $window": "over 1m", "$worker": "All",
		"[[nowhere]]": "[[nowhere]]", "$1": "$1",
	} {
		if got := s.Legend(&Target{Legend: legend}, l); got != want {
			t.Errorf("%s: %q, want %q", legend, got, want)
		}
	}
}

func TestDisplayNamesTakeLabelsAndTheLegend(t *testing.T) {
	s := parsed(t, variables).NewScope(map[string][]string{"one": {"${__field.labels.secret}"}}, hour)
	l := triage.Labels{"route": "${__series.name} $one", "a b": "spaced", "secret": "s3cret"}
	for name, want := range map[string]string{
		"${__field.labels.route}": "${__series.name} $one", `${__field.labels["a b"]} over $window`: "spaced over 1m",
		"${__field.displayName}": "p95", "${__series.name}!": "p95!", "${__field.labels.missing}": "", "plain": "plain", "${__cell_1}": "${__cell_1}",
	} {
		if got := s.Display(name, "p95", l); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestAnAdHocFilterIsKept(t *testing.T) {
	d := parsed(t, `{"panels": [{"id": 1}], "templating": {"list": [
		{"name": "Filters", "type": "adhoc", "filters": [{"key": "job", "operator": "=~", "value": "a\"b"}]},
		{"name": "odd", "type": "query", "current": [], "multi": "yes"}]}}`)
	if got := d.Variables; len(got) != 2 || len(got[0].Values) != 1 || got[0].Values[0] != `job=~"a\"b"` || got[1].Name != "odd" || got[1].Values != nil {
		t.Errorf("%+v", got)
	}
}

func TestALinkCarriesTheValuesThatStand(t *testing.T) {
	s := parsed(t, variables).NewScope(map[string][]string{"one": {"x y"}}, hour)
	got := s.Values()
	if got["one"][0] != "x y" || len(got["route"]) != 2 || got["worker"][0] != "$__all" || got["never"] != nil || got["__interval"] != nil {
		t.Errorf("%v", got)
	}
}

// Whatever stands in an expression, a given value does not get out of it: what
// is made parses, or is refused.
func FuzzPromQL(f *testing.F) {
	d := parsed(f, variables)
	f.Add(`up{a=~"$one"}`, `"}`)
	f.Add(`up{a='$one'} # $one`, "'\n or up")
	f.Add(`rate(up[$one])`, "5m")
	f.Fuzz(func(t *testing.T, expr, value string) {
		s := d.NewScope(map[string][]string{"one": {value}}, hour)
		harmless := d.NewScope(map[string][]string{"one": {"a"}}, hour)
		got, err := s.PromQL(expr)
		if err != nil || strings.Count(expr, "one") != 1 {
			return
		}
		plain, err := harmless.PromQL(expr)
		if err != nil {
			return
		}
		count := func(expr string) (nodes int) {
			parser.Inspect(mustParse(t, expr), func(n parser.Node, _ []parser.Node) error {
				if n != nil {
					nodes++
				}
				return nil
			})
			return nodes
		}
		if count(got) != count(plain) {
			t.Errorf("%q in %q changes the query's form: %q, not %q", value, expr, got, plain)
		}
	})
}
