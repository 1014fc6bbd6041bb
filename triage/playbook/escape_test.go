package playbook

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"triagebot/triage"
)

// compileAs compiles a template by itself, in the scope of a small playbook.
func compileAs(t testing.TB, compile func(*Compiler, *yaml.Node, string, string) *Template, text string) *Template {
	t.Helper()
	c := NewCompiler(CompilerOptions{File: "test.yaml", Services: []string{"app", "traces"}, Inputs: []string{"window"}, Steps: []string{"base"}})
	tmpl := compile(c, &yaml.Node{Kind: yaml.MappingNode, Line: 1}, "", text)
	if err := c.Err(); err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// queryShape is all of a query but the values of its matchers and strings.
func queryShape(t testing.TB, query string) (shape []string, values []string) {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		t.Fatalf("%q does not parse: %v", query, err)
	}
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if n == nil {
			return nil
		}
		shape = append(shape, fmt.Sprintf("%T", n))
		switch n := n.(type) {
		case *parser.StringLiteral:
			values = append(values, n.Val)
		case *parser.VectorSelector:
			for _, m := range n.LabelMatchers {
				if m.Name != model.MetricNameLabel {
					shape = append(shape, m.Name+m.Type.String())
					values = append(values, m.Value)
				}
			}
		}
		return nil
	})
	return shape, values
}

// quotings are the places of a query at which a label's value may stand, with
// what must come out for it.
var quotings = []struct {
	name, query string
	value       func(string) string
}{
	{"double", `sum(rate(up{job="{{ .Labels.job }}"}[5m]))`, identity},
	{"single", `sum(rate(up{job='{{ .Labels.job }}'}[5m]))`, identity},
	{"backtick", "sum(rate(up{job=`{{ .Labels.job }}`}[5m]))", identity},
	{"not equal", `up{job!="{{ .Labels.job }}"}`, identity},
	{"regexp double", `up{job=~"{{ .Labels.job }}"}`, regexp.QuoteMeta},
	{"regexp single", `up{job !~ '{{ .Labels.job }}'}`, regexp.QuoteMeta},
	{"regexp backtick", "up{job=~`{{ .Labels.job }}`}", regexp.QuoteMeta},
	{"regexp after a comment", "up{job=~ # \"\n\"{{ .Labels.job }}\"}", regexp.QuoteMeta},
	{"after another matcher", `up{a=~"x", job="{{ .Labels.job }}"}`, identity},
	{"after an escaped quote", `up{a="\"", job="{{ .Labels.job }}"}`, identity},
	{"in a branch", `up{job="{{ if true }}{{ .Labels.job }}{{ else }}x{{ end }}"}`, identity},
	{"through a variable", `{{ $j := .Labels.job }}up{job="{{ $j }}"}`, identity},
	{"through functions", `up{job="{{ printf "%s" .Labels.job | default "" }}"}`, identity},
	{"argument", `label_replace(up, "x", "{{ .Labels.job }}", "y", "z")`, identity},
	{"trimmed", `up{job="{{- .Labels.job -}}"}`, identity},
}

func identity(s string) string { return s }

// checkQuoting renders one value into one place and holds the query to it.
func checkQuoting(t *testing.T, tmpl *Template, value string, want func(string) string) {
	t.Helper()
	valid := strings.ToValidUTF8(value, "\uFFFD")
	query, err := tmpl.Render(dataWith(value))
	if err != nil {
		if strings.Contains(tmpl.Source(), "`") && strings.ContainsAny(valid, "`\uFFFD") {
			return // nothing stands for these between backticks
		}
		if len(valid) > maxQueryValue || len(regexp.QuoteMeta(valid)) > maxQueryValue {
			return
		}
		t.Fatalf("rendering %q: %v", value, err)
	}
	harmless, err := tmpl.Render(dataWith("api"))
	if err != nil {
		t.Fatal(err)
	}
	wantShape, _ := queryShape(t, harmless)
	shape, values := queryShape(t, query)
	if diff := cmp.Diff(wantShape, shape); diff != "" {
		t.Errorf("%q changes the query (-want +got):\n%s", value, diff)
	}
	if !slices.Contains(values, want(valid)) {
		t.Errorf("%s asks for %q; want %q", query, values, want(valid))
	}
}

func TestNoLabelBreaksOutOfAQuery(t *testing.T) {
	for _, q := range quotings {
		t.Run(q.name, func(t *testing.T) {
			tmpl := compileAs(t, (*Compiler).PromQL, q.query)
			for name, value := range hostileLabels() {
				t.Run(name, func(t *testing.T) { checkQuoting(t, tmpl, value, q.value) })
			}
		})
	}
}

func FuzzPromQLEscape(f *testing.F) {
	for _, value := range hostileLabels() {
		f.Add(value)
	}
	templates := make([]*Template, len(quotings))
	for i, q := range quotings {
		templates[i] = compileAs(f, (*Compiler).PromQL, q.query)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for i, q := range quotings {
			checkQuoting(t, templates[i], value, q.value)
		}
	})
}

func TestARegexpIsKeptOnlyWhereItsAuthorAsks(t *testing.T) {
	kept := compileAs(t, (*Compiler).PromQL, `up{job=~"{{ .Labels.job | asRegex }}"}`)
	if got, err := kept.Render(dataWith(`a|b.*"`)); err != nil || got != `up{job=~"a|b.*\""}` {
		t.Errorf("asRegex gives %s, %v", got, err)
	}
	if got, err := kept.Render(dataWith(`(`)); err == nil || !strings.Contains(err.Error(), "not PromQL") {
		t.Errorf("a broken regexp gives %s, %v", got, err)
	}
}

func TestOutsideOfQuotesOnlyTokensStand(t *testing.T) {
	tmpl := compileAs(t, (*Compiler).PromQL, `sum({{ .Labels.job }}) > 0`)
	for _, value := range []string{"up", "job:up:sum", "_x", "1", "2.5", "1e9"} {
		if got, err := tmpl.Render(dataWith(value)); value[0] > '9' && (err != nil || got != "sum("+value+") > 0") {
			t.Errorf("%q gives %q, %v", value, got, err)
		}
	}
	hostile := hostileLabels()
	for i, word := range []string{"or", "by", "OR", "sum", "offset", "1 or up", "up}", "a-b", "-1", "$__range", "5m5"} {
		hostile[fmt.Sprint(i)] = word
	}
	for name, value := range hostile {
		if got, err := tmpl.Render(dataWith(value)); err == nil {
			t.Errorf("%s: %q gives %q; want it refused", name, value, got)
		} else if !strings.Contains(err.Error(), "{{ .Labels.job }}") || !strings.Contains(err.Error(), "only a name, a number or a duration") {
			t.Errorf("%s: the error does not name the value's source: %v", name, err)
		}
	}
	window := compileAs(t, (*Compiler).PromQL, `rate(up[{{ .Inputs.window }}] offset {{ .Inputs.window }}) / {{ .Inputs.window | len }}`)
	d := dataWith("")
	d.Inputs = map[string]string{"window": "1h30m"}
	if got, err := window.Render(d); err != nil || got != `rate(up[1h30m] offset 1h30m) / 5` {
		t.Errorf("a duration gives %q, %v", got, err)
	}
}

func TestAlertExprIsTheWholeQueryOrNone(t *testing.T) {
	tmpl := compileAs(t, (*Compiler).PromQL, ` {{ .AlertExpr }} `)
	d := dataWith("")
	for expr, wantErr := range map[string]string{
		`sum(up{job="a"}) > 1`: "",
		"":                     "holds no expression",
		"sum(":                 "not PromQL",
		"up\x00":               "not PromQL",
	} {
		d.AlertExpr = expr
		got, err := tmpl.Render(d)
		switch {
		case wantErr == "" && (err != nil || got != expr):
			t.Errorf("%q gives %q, %v", expr, got, err)
		case wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)):
			t.Errorf("%q gives %q, %v; want an error with %q", expr, got, err, wantErr)
		}
	}
}

func TestOversizedValuesAreRefusedOrCut(t *testing.T) {
	d := dataWith(strings.Repeat("é", 1<<19))
	for _, query := range []string{`up{job="{{ .Labels.job }}"}`, `up{job=~"{{ .Labels.job }}"}`, `{{ .Labels.job }}`} {
		if _, err := compileAs(t, (*Compiler).PromQL, query).Render(d); err == nil || !strings.Contains(err.Error(), "has 1048576 bytes") || len(err.Error()) > 200 {
			t.Errorf("%s with a value of 1 MiB: %.300v", query, err)
		}
	}
	if _, err := compileAs(t, (*Compiler).URL, `http://app/{{ .Labels.job }}`).Render(d); err == nil || len(err.Error()) > 200 {
		t.Errorf("a URL with a value of 1 MiB: %.300v", err)
	}
	text, err := compileAs(t, (*Compiler).Text, `[{{ .Labels.job }}]`).Render(d)
	if err != nil || len(text) > maxTextValue+8 || !utf8.ValidString(text) || !strings.HasSuffix(text, "é…]") {
		t.Errorf("a text with a value of 1 MiB has %d bytes, %v", len(text), err)
	}
	loop := compileAs(t, (*Compiler).Text, `{{ range $k, $v := .Labels }}{{ range $.Labels }}{{ $v }}{{ end }}{{ end }}`)
	for i := range 20 {
		d.Labels[fmt.Sprint(i)] = d.Labels["job"]
	}
	if _, err := loop.Render(d); err == nil || !strings.Contains(err.Error(), "more than 128 KiB") {
		t.Errorf("a loop over large values gives %v", err)
	}
}

func TestNoLabelLeadsAURLElsewhere(t *testing.T) {
	tmpl := compileAs(t, (*Compiler).URL, `{{ .Services.app }}/jobs/{{ .Labels.job }}/state?of={{ .Labels.job }}&at={{ .At }}`)
	for name, value := range hostileLabels() {
		t.Run(name, func(t *testing.T) {
			got, err := tmpl.Render(dataWith(value))
			if strings.Contains(value, "../") { // escaped, but a server may unescape it too early
				if err == nil || !strings.Contains(err.Error(), "climbs") {
					t.Errorf("%q leads to %s, %v; want it refused", value, got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(got)
			if err != nil {
				t.Fatal(err)
			}
			valid := strings.ToValidUTF8(value, "\uFFFD")
			if u.Host != "app.internal:8080" || u.User != nil || u.Fragment != "" {
				t.Errorf("%q leads to %s", value, got)
			}
			if want := "/jobs/" + url.PathEscape(valid) + "/state"; u.EscapedPath() != want {
				t.Errorf("path %s; want %s", u.EscapedPath(), want)
			}
			if diff := cmp.Diff(url.Values{"of": {valid}, "at": {"2026-11-24T04:00:00Z"}}, u.Query()); diff != "" {
				t.Errorf("query (-want +got):\n%s", diff)
			}
		})
	}
	for _, climbing := range []string{"..", "."} {
		if got, err := tmpl.Render(dataWith(climbing)); err == nil {
			t.Errorf("%q leads to %s; want it refused", climbing, got)
		}
	}
}

func TestWhereAURLMayBegin(t *testing.T) {
	for text, want := range map[string]string{
		`{{ .Services.app }}`:                                      "http://app.internal:8080",
		`{{ .Services.app }}/readyz`:                               "http://app.internal:8080/readyz",
		`{{ .Services.app }}?q={{ .Labels.job }}`:                  "http://app.internal:8080?q=a%2Fb",
		`http://app:8080/{{ .Labels.job }}`:                        "http://app:8080/a%2Fb",
		`https://[::1]:9090/x`:                                     "https://[::1]:9090/x",
		`http://app`:                                               "http://app",
		`http://app{{ if .Labels.none }}/x{{ else }}/y{{ end }}`:   "http://app/y",
		`{{ .Services.traces }}/?target={{ .Services.app }}`:       "https://traces.internal/?target=http%3A%2F%2Fapp.internal%3A8080%2F",
		`{{ .Services.app }}/{{ .Labels.job | toUpper }}/{{ 12 }}`: "http://app.internal:8080/A%2FB/12",
	} {
		if got, err := compileAs(t, (*Compiler).URL, text).Render(dataWith("a/b")); err != nil || got != want {
			t.Errorf("%s gives %s, %v; want %s", text, got, err, want)
		}
	}
	none := compileAs(t, (*Compiler).URL, `{{ .Services.app }}/readyz`)
	if got, err := none.Render(&Data{}); err == nil || !strings.Contains(err.Error(), "has no URL") {
		t.Errorf("without the service: %s, %v", got, err)
	}
}

func TestTextForPeopleHidesNothing(t *testing.T) {
	tmpl := compileAs(t, (*Compiler).Text, `[{{ .Labels.job }}]`)
	for name, value := range hostileLabels() {
		got, err := tmpl.Render(dataWith(value))
		if err != nil || !utf8.ValidString(got) {
			t.Fatalf("%s: %q, %v", name, got, err)
		}
		for _, r := range got {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
				t.Errorf("%s: %q holds %U", name, got, r)
			}
		}
	}
	for value, want := range map[string]string{
		"a\u202Eb":   "[a[U+202E]b]",
		"a\nb\tc":    "[a b c]",
		"a\x1b[1mb":  "[a[1mb]",
		"<!channel>": "[<!channel>]", // whoever shows it escapes it for that place
		"👩‍🔬":        "[👩‍🔬]",
		"a\xffb":     "[a\uFFFDb]",
	} {
		if got, err := tmpl.Render(dataWith(value)); err != nil || got != want {
			t.Errorf("%q gives %q, %v; want %q", value, got, err, want)
		}
	}
}

func TestWhatIsMissingIsEmpty(t *testing.T) {
	d := dataWith("api")
	d.Steps = map[string]StepData{"base": {Verdict: triage.VerdictAbnormal, Headline: "too slow", Vars: map[string]any{"value": 2e6}}}
	for text, want := range map[string]string{
		`<{{ .Labels.none }}>`:                                         "<>",
		`<{{ .Annotations.summary | default "none" }}>`:                "<none>",
		`<{{ .Steps.base.Vars.baseline }}>`:                            "<>",
		`<{{ .Steps.base.Vars.baseline | ms }}>`:                       "<no data>",
		`{{ .Steps.base.Headline }}: {{ .Steps.base.Vars.value }}`:     "too slow: 2000000",
		`{{ with .Steps.base }}{{ .Verdict }}{{ end }}`:                "abnormal",
		`{{ if .Labels.none }}a{{ else }}b{{ end }}`:                   "b",
		`{{ .At.Format "15:04" }} {{ .Alert.Name }} {{ .IncidentID }}`: "04:00 unnamed 0",
		`{{ range $name, $_ := .Labels }}{{ $name }} {{ end }}`:        "alertname job",
		``: "",
	} {
		if got, err := compileAs(t, (*Compiler).Text, text).Render(d); err != nil || got != want {
			t.Errorf("%s gives %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestLoopsAreBounded(t *testing.T) {
	d := dataWith("api")
	d.Annotations = triage.Labels{"a": "b"}
	for i := range maxLoopItems {
		d.Labels[fmt.Sprint(i)] = "x"
	}
	for text, want := range map[string]string{
		`{{ range 9999999999 }}{{ end }}`:      "goes over a int",
		`{{ range len .Labels }}{{ end }}`:     "goes over a int",
		`{{ range .Labels }}{{ end }}`:         "would go round 1002 times",
		`{{ range .Labels.job }}x{{ end }}`:    "goes over a string",
		`{{ range .IncidentID }}x{{ end }}`:    "goes over a int64",
		`{{ range $i := 5 | print }}{{ end }}`: "goes over a string",
	} {
		if got, err := compileAs(t, (*Compiler).Text, text).Render(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %q, %v; want an error with %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		`{{ range $k, $v := .Annotations }}{{ $k }}={{ $v }}{{ end }}`: "a=b",
		`{{ range list 1 2 }}{{ . }}{{ end }}`:                         "12",
		`{{ range .Alert.Annotations }}x{{ else }}none{{ end }}`:       "none",
		`{{ range .Steps.base.Vars.rows }}x{{ else }}none{{ end }}`:    "none",
	} {
		if got, err := compileAs(t, (*Compiler).Text, text).Render(d); err != nil || got != want {
			t.Errorf("%s gives %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestFailingFunctionsGiveErrors(t *testing.T) {
	for text, want := range map[string]string{
		`{{ .Labels.job | ms }}`:                   `"api" is not a number`,
		`{{ 1 | fixed 99 }}`:                       "fixed takes 0 to 20 digits",
		`{{ .Labels.job | reReplaceAll "(" "x" }}`: "missing closing )",
	} {
		if got, err := compileAs(t, (*Compiler).Text, text).Render(dataWith("api")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %q, %v; want an error with %q", text, got, err, want)
		}
	}
}
