// A policy's settings: one JSON object of the service, of which the named
// members are compared. The others may be secrets and are never shown.

package step

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"triagebot/triage/playbook"
	"triagebot/triage/safetext"
	"triagebot/triage/tracelog"
)

const (
	maxSettings     = 256 << 10 // bytes of the answer
	maxExpected     = 100       // settings
	maxAllowed      = 50        // values of one
	maxShownSetting = 100       // runes of a value
)

type settingsYAML struct {
	// URL template, needed: answers with one JSON object; asked as a `capture` asks.
	URL string `yaml:"url"`
	// duration, default [defaultCaptureTimeout], [minCaptureTimeout] to [maxCaptureTimeout]: of the exchange.
	Timeout string `yaml:"timeout"`
	// mapping, needed, at most [maxExpected]: by name, in which a dot reaches into an object, a value, a list of allowed ones (at most [maxAllowed]), or `{min, max}`.
	Expect map[string]yaml.Node `yaml:"expect"`
}

// settingsPolicy is the decoded comparison of settings.
type settingsPolicy struct {
	exchange
	url    *playbook.Template
	expect []expectation // sorted by name
}

// expectation is what one setting should be: one of some values, or a number
// within bounds.
type expectation struct {
	name     string
	allowed  []string // as YAML writes them
	min, max *float64 // nil for no bound
}

func (k *policy) decodeSettings(c *playbook.Compiler, node *yaml.Node, y *settingsYAML) *settingsPolicy {
	p := &settingsPolicy{exchange: exchange{deps: k.Deps, timeout: defaultCaptureTimeout, maxBody: maxSettings}}
	if y.URL == "" {
		c.Errorf(node, "settings.url", "is missing; write where the settings are, as in '{{ .Services.app }}/settings'")
	} else {
		p.url = c.URL(node, "settings.url", y.URL)
	}
	if y.Timeout != "" {
		p.timeout = c.Duration(node, "settings.timeout", y.Timeout, minCaptureTimeout, maxCaptureTimeout)
	}
	switch {
	case len(y.Expect) == 0:
		c.Errorf(node, "settings.expect", "is missing; write what is expected of which setting, as in {MODE: [burst, first], MAX: {min: 1, max: 16}}")
	case len(y.Expect) > maxExpected:
		c.Errorf(node, "settings.expect", "has %d settings; at most %d are compared", len(y.Expect), maxExpected)
	}
	for _, name := range slices.Sorted(maps.Keys(y.Expect)) {
		value := y.Expect[name]
		if e, ok := decodeExpectation(c, node, name, &value); ok {
			p.expect = append(p.expect, e)
		}
	}
	return p
}

// boundsYAML is the expectation of a number.
type boundsYAML struct {
	Min *float64 `yaml:"min"`
	Max *float64 `yaml:"max"`
}

func decodeExpectation(c *playbook.Compiler, node *yaml.Node, name string, value *yaml.Node) (e expectation, ok bool) {
	e.name = name
	const write = "write a value, a list of allowed values, or {min: 1, max: 16}"
	key := "settings.expect." + name
	if value.Kind == yaml.AliasNode {
		value = value.Alias
	}
	switch {
	case name == "":
		c.Errorf(node, "settings.expect", "has a setting without a name")
		return e, false
	case isValue(value):
		e.allowed = []string{valueOf(value)}
	case value.Kind == yaml.SequenceNode && len(value.Content) > 0 && len(value.Content) <= maxAllowed && !slices.ContainsFunc(value.Content, func(v *yaml.Node) bool { return !isValue(v) }):
		for _, v := range value.Content {
			e.allowed = append(e.allowed, valueOf(v))
		}
	case value.Kind == yaml.MappingNode:
		var bounds boundsYAML
		if err := decodeBounds(value, &bounds); err != nil {
			c.Errorf(node, key, "%v; %s", err, write)
			return e, false
		}
		e.min, e.max = bounds.Min, bounds.Max
		if e.min != nil && e.max != nil && *e.min > *e.max {
			c.Errorf(node, key, "min is above max, so that nothing is ever as expected; swap them")
			return e, false
		}
	default:
		c.Errorf(node, key, "is no expectation; %s (of a list at most %d)", write, maxAllowed)
		return e, false
	}
	return e, true
}

// decodeBounds reads {min, max}, of which at least one is there.
func decodeBounds(value *yaml.Node, into *boundsYAML) error {
	for i := 0; i < len(value.Content); i += 2 {
		switch key := value.Content[i].Value; key {
		case "min", "max":
		default:
			return fmt.Errorf("unknown key %q", key)
		}
	}
	if err := value.Decode(into); err != nil {
		return errors.New("its bounds are no numbers")
	}
	if into.Min == nil && into.Max == nil {
		return errors.New("it has no bounds")
	}
	return nil
}

// isValue says whether a node is one value: text, a number, true or false.
func isValue(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null" }

// valueOf is the value as JSON writes it: True is true.
func valueOf(n *yaml.Node) string {
	if n.ShortTag() == "!!bool" {
		return strings.ToLower(n.Value)
	}
	return n.Value
}

func (p *settingsPolicy) compare(ctx context.Context, env *playbook.Env) (*compared, error) {
	req, err := p.request(env)
	if err != nil {
		return nil, err
	}
	got, err := p.get(ctx, req)
	if err != nil {
		return nil, err
	}
	from := showURL(req.URL)
	refuse := func(format string, args ...any) error {
		return &playbook.StepError{
			Err:      fmt.Errorf("GET %s: %s", from, fmt.Sprintf(format, args...)),
			NextStep: "Open it by hand; write in the step's settings.url where the service has its settings as one JSON object.",
		}
	}
	switch {
	case got.refused != "":
		return nil, refuse("it redirects to %s, which is not followed", got.refused)
	case got.status != http.StatusOK:
		return nil, refuse("it answered %d and no settings", got.status)
	case got.readErr != nil:
		return nil, refuse("the answer ended early: %v", got.readErr)
	case got.truncated:
		return nil, refuse("the answer is longer than %d KiB and was not read", maxSettings>>10)
	}
	settings, err := tracelog.ParseObject(got.body)
	if err != nil {
		return nil, refuse("the answer is no JSON object")
	}
	return p.judge(settings, from, got.at), nil
}

// judge compares what the service said with what is expected.
func (p *settingsPolicy) judge(settings map[string]any, from string, at time.Time) *compared {
	c := &compared{checked: len(p.expect)}
	var fine []string
	var report bytes.Buffer
	fmt.Fprintf(&report, "Settings: GET %s at %s\n", from, stamp(at))
	for i := range p.expect {
		e := &p.expect[i]
		value, set := tracelog.Field(settings, e.name)
		text, single := settingText(value)
		is := e.name + " is " + shownSetting(text)
		switch {
		case !set || value == nil:
			is = e.name + " is not set"
			c.violations = append(c.violations, violation{breach: missingSetting, name: e.name, sentence: is + "; expected " + e.words()})
		case !single:
			is = e.name + " is no single value"
			c.violations = append(c.violations, violation{breach: wrongSetting, name: e.name, sentence: is + "; expected " + e.words()})
		case !e.holds(text):
			c.violations = append(c.violations, violation{breach: wrongSetting, name: e.name, sentence: is + "; expected " + e.words()})
		default:
			fine = append(fine, is)
			fmt.Fprintf(&report, "  %s, as expected (%s)\n", is, e.words())
			continue
		}
		fmt.Fprintf(&report, "! %s; expected %s\n", is, e.words())
	}
	if len(c.violations) == 0 {
		c.fine = strings.Join(fine, ", ") + ", as expected"
		if len(fine) > maxFineSettings {
			c.fine = fmt.Sprintf("all %d settings are as expected", len(fine))
		}
	}
	c.report = report.Bytes()
	return c
}

// maxFineSettings is how many settings a sentence names when all is well.
const maxFineSettings = 3

// settingText is a setting's value as text; single is false for a list and an
// object.
func settingText(v any) (text string, single bool) {
	if b, is := v.(bool); is {
		return strconv.FormatBool(b), true
	}
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

// shownSetting is a value in a sentence; the empty one can be seen.
func shownSetting(text string) string {
	if text == "" {
		return `""`
	}
	return cut(tracelog.Harmless(text), maxShownSetting)
}

// holds says whether a value is as expected. A number is the same however it
// is written: 16, "16" and 16.0.
func (e *expectation) holds(text string) bool {
	if e.min != nil || e.max != nil {
		n, err := strconv.ParseFloat(text, 64)
		return err == nil && n == n && (e.min == nil || n >= *e.min) && (e.max == nil || n <= *e.max)
	}
	return slices.ContainsFunc(e.allowed, func(allowed string) bool {
		if text == allowed {
			return true
		}
		n, err := strconv.ParseFloat(text, 64)
		m, notNumber := strconv.ParseFloat(allowed, 64)
		return err == nil && notNumber == nil && n == m
	})
}

// words say what is expected: burst or first; from 1 to 16.
func (e *expectation) words() string {
	switch {
	case e.min != nil && e.max != nil:
		return "from " + number(*e.min) + " to " + number(*e.max)
	case e.min != nil:
		return "at least " + number(*e.min)
	case e.max != nil:
		return "at most " + number(*e.max)
	}
	shown := make([]string, len(e.allowed))
	for i, v := range e.allowed {
		shown[i] = shownSetting(v)
	}
	return strings.Join(shown, " or ")
}

// request renders the settings' address.
func (p *settingsPolicy) request(env *playbook.Env) (*http.Request, error) {
	fail := func(err error) error {
		return &playbook.StepError{
			Err:      fmt.Errorf("the settings' URL cannot be written: %w", err),
			NextStep: "Look at the alert's labels and at the step's settings.url.",
		}
	}
	address, err := p.url.Render(env.Data)
	if err != nil {
		return nil, fail(err)
	}
	req, err := http.NewRequest(http.MethodGet, address, nil) //nolint:noctx // get binds it
	if err != nil {
		return nil, fail(safetext.WithoutURL(err))
	}
	req.Header.Set("User-Agent", "triagebot")
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// stamp is an instant in a report.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000 UTC") }
