// The part of Prometheus's HTTP API that triagebot uses, in its shapes.

package promlab

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
)

const (
	maxForm   = 1 << 20 // bytes
	maxPoints = 11_000  // of a range query, as in Prometheus
)

// Handler serves the API and the graph page.
func (l *Lab) Handler() http.Handler {
	r := mux.NewRouter()
	get, post := http.MethodGet, http.MethodPost
	r.HandleFunc("/api/v1/query", l.api(l.query)).Methods(get, post)
	r.HandleFunc("/api/v1/query_range", l.api(l.queryRange)).Methods(get, post)
	r.HandleFunc("/api/v1/alerts", l.api(l.alerts)).Methods(get)
	r.HandleFunc("/api/v1/rules", l.api(l.ruleGroups)).Methods(get)
	r.HandleFunc("/-/ready", ready).Methods(get)
	r.HandleFunc("/-/healthy", ready).Methods(get)
	r.HandleFunc("/graph", l.graph).Methods(get)
	r.Handle("/", http.RedirectHandler("/graph", http.StatusFound)).Methods(get)
	return r
}

func ready(w http.ResponseWriter, _ *http.Request) {
	_, _ = fmt.Fprintln(w, "Prometheus lab is ready.")
}

// envelope is what every answer of the API is wrapped in.
type envelope struct {
	Status    string   `json:"status"`
	Data      any      `json:"data,omitempty"`
	ErrorType string   `json:"errorType,omitempty"`
	Error     string   `json:"error,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
	Infos     []string `json:"infos,omitempty"`
}

// badData is an error of the one who asked.
type badData struct{ error }

// api wraps what answer returns, or its error, in an envelope.
func (l *Lab) api(answer func(r *http.Request) (any, []string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		data, warnings, err := answer(r)
		status, body := http.StatusOK, envelope{Status: "success", Data: data, Warnings: warnings}
		if l.opts.Factor != 1 {
			body.Infos = []string{fmt.Sprintf("compressed time: ranges and offsets of the expression were divided by %g", l.opts.Factor)}
		}
		if err != nil {
			var kind string
			status, kind = classify(err)
			body = envelope{Status: "error", ErrorType: kind, Error: err.Error()}
		}
		text, err := json.Marshal(body)
		if err != nil {
			http.Error(w, "encode the answer: "+err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(text) // the caller went away
	}
}

func classify(err error) (status int, kind string) {
	var bad badData
	var timeout promql.ErrQueryTimeout
	var canceled promql.ErrQueryCanceled
	switch {
	case errors.As(err, &bad):
		return http.StatusBadRequest, "bad_data"
	case errors.As(err, &timeout):
		return http.StatusServiceUnavailable, "timeout"
	case errors.As(err, &canceled):
		return 499, "canceled"
	default:
		return http.StatusUnprocessableEntity, "execution"
	}
}

// queryData is the data of both kinds of queries.
type queryData struct {
	ResultType parser.ValueType `json:"resultType"`
	Result     parser.Value     `json:"result"`
}

func (l *Lab) query(r *http.Request) (any, []string, error) {
	expr, err := l.scaledForm(r)
	if err != nil {
		return nil, nil, err
	}
	at := time.Now()
	if text := r.FormValue("time"); text != "" {
		if at, err = parseTime(text); err != nil {
			return nil, nil, badData{fmt.Errorf("invalid parameter \"time\": %w", err)}
		}
	}
	query, err := l.engine.NewInstantQuery(r.Context(), l.db, nil, expr, at)
	if err != nil {
		return nil, nil, badData{err}
	}
	return run(r, query)
}

func (l *Lab) queryRange(r *http.Request) (any, []string, error) {
	expr, err := l.scaledForm(r)
	if err != nil {
		return nil, nil, err
	}
	from, errFrom := parseTime(r.FormValue("start"))
	to, errTo := parseTime(r.FormValue("end"))
	step, errStep := parseStep(r.FormValue("step"))
	if err := errors.Join(errFrom, errTo, errStep); err != nil {
		return nil, nil, badData{fmt.Errorf("invalid parameter \"start\", \"end\" or \"step\": %w", err)}
	}
	switch {
	case to.Before(from):
		return nil, nil, badData{errors.New("end timestamp must not be before start time")}
	case to.Sub(from)/step > maxPoints:
		return nil, nil, badData{errors.New("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)")}
	}
	query, err := l.engine.NewRangeQuery(r.Context(), l.db, nil, expr, from, to, step)
	if err != nil {
		return nil, nil, badData{err}
	}
	return run(r, query)
}

// scaledForm is the request's expression in the lab's time.
func (l *Lab) scaledForm(r *http.Request) (string, error) {
	if err := r.ParseForm(); err != nil {
		return "", badData{fmt.Errorf("error parsing form values: %w", err)}
	}
	expr, err := ScaleExpr(l.parser, r.FormValue("query"), l.opts.Factor)
	if err != nil {
		return "", badData{fmt.Errorf("invalid parameter \"query\": %w", err)}
	}
	return expr, nil
}

// run executes the query. The result is encoded before the query's buffers are
// given back.
func run(r *http.Request, query promql.Query) (any, []string, error) {
	defer query.Close()
	result := query.Exec(r.Context())
	if result.Err != nil {
		return nil, nil, result.Err
	}
	warnings, _ := result.Warnings.AsStrings(query.String(), 10, 0)
	text, err := json.Marshal(queryData{ResultType: result.Value.Type(), Result: orEmpty(result.Value)})
	if err != nil {
		return nil, nil, fmt.Errorf("encode the result: %w", err)
	}
	return json.RawMessage(text), warnings, nil
}

// orEmpty keeps an empty result from being encoded as null.
func orEmpty(v parser.Value) parser.Value {
	switch v := v.(type) {
	case promql.Vector:
		if v == nil {
			return promql.Vector{}
		}
	case promql.Matrix:
		if v == nil {
			return promql.Matrix{}
		}
	}
	return v
}

// alertData is an alert as both /api/v1/alerts and /api/v1/rules show it.
type alertData struct {
	Labels      any       `json:"labels"`
	Annotations any       `json:"annotations"`
	State       string    `json:"state"`
	ActiveAt    time.Time `json:"activeAt"`
	Value       string    `json:"value"`
}

func alertsOf(rule *rules.AlertingRule) []alertData {
	active := rule.ActiveAlerts()
	out := make([]alertData, 0, len(active))
	for _, a := range active {
		out = append(out, alertData{
			Labels: a.Labels, Annotations: a.Annotations, State: a.State.String(),
			ActiveAt: a.ActiveAt, Value: strconv.FormatFloat(a.Value, 'e', -1, 64),
		})
	}
	return out
}

func (l *Lab) alerts(*http.Request) (any, []string, error) {
	all := []alertData{}
	for _, rule := range l.manager.AlertingRules() {
		all = append(all, alertsOf(rule)...)
	}
	return map[string]any{"alerts": all}, nil, nil
}

type groupData struct {
	Name     string     `json:"name"`
	File     string     `json:"file"`
	Interval float64    `json:"interval"` // seconds
	Rules    []ruleData `json:"rules"`
}

type ruleData struct {
	Type           string      `json:"type"`
	Name           string      `json:"name"`
	Query          string      `json:"query"`
	Labels         any         `json:"labels,omitempty"`
	Health         string      `json:"health"`
	LastError      string      `json:"lastError,omitempty"`
	EvaluationTime float64     `json:"evaluationTime"` // seconds
	LastEvaluation time.Time   `json:"lastEvaluation"`
	State          string      `json:"state,omitempty"`
	Duration       *float64    `json:"duration,omitempty"` // seconds, as divided
	Annotations    any         `json:"annotations,omitempty"`
	Alerts         []alertData `json:"alerts,omitempty"`
}

func (l *Lab) ruleGroups(*http.Request) (any, []string, error) {
	groups := []groupData{}
	for _, g := range l.manager.RuleGroups() {
		data := groupData{Name: g.Name(), File: g.File(), Interval: g.Interval().Seconds(), Rules: []ruleData{}}
		for _, rule := range g.Rules() {
			data.Rules = append(data.Rules, l.ruleData(rule))
		}
		groups = append(groups, data)
	}
	return map[string]any{"groups": groups}, nil, nil
}

func (l *Lab) ruleData(rule rules.Rule) ruleData {
	data := ruleData{
		Type: "recording", Name: rule.Name(), Query: l.rules.written(rule.Query().String()), Labels: rule.Labels(),
		Health: string(rule.Health()), EvaluationTime: rule.GetEvaluationDuration().Seconds(), LastEvaluation: rule.GetEvaluationTimestamp(),
	}
	if err := rule.LastError(); err != nil {
		data.LastError = err.Error()
	}
	if alerting, ok := rule.(*rules.AlertingRule); ok {
		hold := alerting.HoldDuration().Seconds()
		data.Type, data.State, data.Duration = "alerting", alerting.State().String(), &hold
		data.Annotations, data.Alerts = alerting.Annotations(), alertsOf(alerting)
	}
	return data
}

// parseTime reads a Unix time in seconds or RFC 3339.
func parseTime(text string) (time.Time, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		whole, fraction := math.Modf(seconds)
		if math.IsNaN(seconds) || math.Abs(seconds) > 1e11 {
			return time.Time{}, fmt.Errorf("%q is out of range", text)
		}
		return time.Unix(int64(whole), int64(math.Round(fraction*1000))*int64(time.Millisecond)).UTC(), nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("cannot parse %q to a valid timestamp", text)
	}
	return at, nil
}

// parseStep reads a positive number of seconds or a duration.
func parseStep(text string) (time.Duration, error) {
	step := time.Duration(0)
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(seconds) < 1e9 {
		step = time.Duration(seconds * float64(time.Second))
	} else if d, err := model.ParseDuration(text); err == nil {
		step = time.Duration(d)
	} else {
		return 0, fmt.Errorf("cannot parse %q to a valid duration", text)
	}
	if step < time.Millisecond {
		return 0, errors.New("zero or negative query resolution step widths are not accepted. Try a positive integer")
	}
	return step, nil
}
