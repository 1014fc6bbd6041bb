package playbook

import (
	"math"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"

	"triagebot/triage"
)

func compileCondition(t *testing.T, source string) *Condition {
	t.Helper()
	c, err := newConditionCompiler()
	if err != nil {
		t.Fatal(err)
	}
	row := map[string]*cel.Type{
		"value": cel.DoubleType, "baseline": cel.DoubleType, "status": cel.IntType, "body": cel.StringType,
		"json": cel.MapType(cel.StringType, cel.DynType),
	}
	s := &conditionScope{
		scope: scope{inputs: []string{"limit"}, steps: []string{"back-off", "p95"}},
		own:   row,
		vars:  map[string]map[string]*cel.Type{"back-off": row, "p95": row},
	}
	condition, problems := c.compile(source, s, &references{})
	if problems != nil {
		t.Fatalf("%s: %s", source, strings.Join(problems, "; "))
	}
	return condition
}

func conditionData() (map[string]any, *Data) {
	vars := map[string]any{
		"value": 10.0, "baseline": 4.0, "status": int64(200), "body": "ok",
		"json": map[string]any{"workers": 3.0, "ready": true, "queue": []any{1.0, 2.0}},
	}
	d := dataWith("api")
	d.AlertExpr = "up == 0"
	d.Inputs = map[string]string{"limit": "5"}
	d.Steps = map[string]StepData{
		"back-off": {Verdict: triage.VerdictAbnormal, Vars: map[string]any{"value": 7.0, "status": 503.0}},
		"p95":      {Skipped: true},
	}
	return vars, d
}

func TestConditionsSayWhatTheyMean(t *testing.T) {
	vars, d := conditionData()
	for source, want := range map[string]bool{
		// Whole numbers and doubles mix, on either side of any operator.
		`value > 0`:                             true,
		`value > baseline * 2`:                  true,
		`2 * baseline + 1 < value`:              true,
		`value - 10 == 0`:                       true,
		`value == 10 && 10 == value`:            true,
		`value != 10`:                           false,
		`value > -1`:                            true,
		`value / 4 == 2.5`:                      true,
		`(value - baseline) / baseline > 1`:     true,
		`value * status > 1999`:                 true,
		`value > baseline * 1.05`:               true,
		`status == 200`:                         true,
		`status >= 200 && status < 300`:         true,
		`status / 100 == 2`:                     true,
		`status in [200, 204]`:                  true,
		`value in [10, 20]`:                     true,
		`(value > 5 ? value : 0) == 10`:         true,
		`(value > 5 ? 0 : baseline) + 1 < 2`:    true,
		`value > double(inputs.limit) * 1`:      true,
		`size(body) * 2 == 4`:                   true,
		`json.workers > 2 && json.workers == 3`: true,
		`json.workers * 2 == 6`:                 true,
		`json.queue[1] == 2`:                    true,
		`json.queue.all(n, n > 0)`:              true,
		`json.ready`:                            true,
		`has(json.missing)`:                     false,
		`body.contains("ok") || value > 1e9`:    true,
		// Labels: a missing one is empty, and has() still tells the difference.
		`labels.job == "api"`:                          true,
		`labels.severity == ""`:                        true,
		`labels["severity"] != "critical"`:             true,
		`has(labels.severity)`:                         false,
		`!has(labels.job) || labels.job == "api"`:      true,
		`alert_expr != ""`:                             true,
		`steps.back_off.abnormal`:                      true,
		`steps.back_off.normal`:                        false,
		`steps.back_off.unknown`:                       false,
		`steps.back_off.value > 6`:                     true,
		`steps.back_off.status == 503`:                 true, // a whole number, though JSON made a double of it
		`steps.back_off.status + 1 == 504`:             true,
		`steps.p95.skipped && !steps.p95.abnormal`:     true,
		`value > baseline ? status == 200 : false`:     true,
		`value > 1 || steps.p95.value > 1`:             true, // decided without what is missing
		`[1, 2, 3].exists(n, double(n) * value > 29)`:  true,
		`type(status) == int && matches(body, "^o.$")`: true,
	} {
		got, err := compileCondition(t, source).Eval(vars, d)
		if err != nil || got != want {
			t.Errorf("%s is %v, %v; want %v", source, got, err, want)
		}
	}
}

func TestAConditionNamesWhatIsMissing(t *testing.T) {
	vars, d := conditionData()
	delete(vars, "baseline")
	vars["value"] = math.NaN()
	for source, want := range map[string]string{
		`status > baseline`:              `there is no baseline, so "status > baseline" cannot be decided`,
		`value > 0`:                      `there is no value (it is not a number), so "value > 0" cannot be decided`,
		`steps.p95.value > 0`:            `step p95 was skipped, so "steps.p95.value > 0" cannot be decided`,
		`steps.back_off.baseline > 0`:    `step back-off has no baseline, so "steps.back_off.baseline > 0" cannot be decided`,
		`json.missing > 0`:               `"json.missing > 0" cannot be decided: no such key: missing`,
		`json.workers`:                   `"json.workers" yields 3, which is neither true nor false`,
		`status / (status - 200) > 1`:    `"status / (status - 200) > 1" cannot be decided: division by zero`,
		`value > baseline && status > 1`: `there is no value (it is not a number) and there is no baseline, so "value > baseline && status > 1" cannot be decided`,
	} {
		if got, err := compileCondition(t, source).Eval(vars, d); err == nil || err.Error() != want {
			t.Errorf("%s is %v, %v; want the error %s", source, got, err, want)
		}
	}
	delete(d.Steps, "p95")
	if _, err := compileCondition(t, `steps.p95.abnormal`).Eval(vars, d); err == nil || !strings.Contains(err.Error(), "step p95 has no finding") {
		t.Errorf("a step that never ran gives %v", err)
	}
}

func TestAConditionCannotRunForLong(t *testing.T) {
	vars, d := conditionData()
	items := make([]any, 1000)
	for i := range items {
		items[i] = float64(i)
	}
	vars["json"] = map[string]any{"items": items}
	c := compileCondition(t, `json.items.all(a, json.items.all(b, json.items.all(c, a + b + c >= 0.0)))`)
	if got, err := c.Eval(vars, d); err == nil || !strings.Contains(err.Error(), "cost") {
		t.Errorf("a billion rounds give %v, %v; want the cost limit", got, err)
	}
}

func TestAStepsVerdict(t *testing.T) {
	p := loadValid(t, `
name: verdicts
match: ['a="b"']
steps:
  - id: neither
    query: {expr: up}
  - id: abnormal
    query: {expr: up}
    abnormal: 'value > baseline'
  - id: expect
    query: {expr: up}
    expect: 'value < 5'
  - id: both
    query: {expr: up}
    abnormal: 'value > 100'
    expect: 'value > 1'
`)
	_, d := conditionData()
	for _, tt := range []struct {
		step string
		vars map[string]any
		want triage.Verdict
	}{
		{"neither", map[string]any{"value": 1.0}, triage.VerdictNormal},
		{"abnormal", map[string]any{"value": 2.0, "baseline": 1.0}, triage.VerdictAbnormal},
		{"abnormal", map[string]any{"value": 1.0, "baseline": 1.0}, triage.VerdictNormal},
		{"abnormal", map[string]any{"value": 1.0}, triage.VerdictUnknown},
		{"expect", map[string]any{"value": 4.0}, triage.VerdictNormal},
		{"expect", map[string]any{"value": 5.0}, triage.VerdictAbnormal},
		{"expect", nil, triage.VerdictUnknown},
		{"both", map[string]any{"value": 200.0}, triage.VerdictAbnormal},
		{"both", map[string]any{"value": 0.0}, triage.VerdictAbnormal},
		{"both", map[string]any{"value": 50.0}, triage.VerdictNormal},
	} {
		got, err := p.Step(tt.step).Judge(OutcomeRow{Vars: tt.vars}, d)
		if got != tt.want || (err != nil) != (tt.want == triage.VerdictUnknown) {
			t.Errorf("%s on %v: %s, %v; want %s", tt.step, tt.vars, got, err, tt.want)
		}
	}
	if got := p.Step("neither").SkipReason(d); got != "" {
		t.Errorf("a step without a condition is skipped because %q", got)
	}
}
