// Events: the moments around which lines are read, from the log itself or from
// Prometheus.

package step

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"triagebot/triage/playbook"
	"triagebot/triage/promapi"
	"triagebot/triage/tracelog"
)

const (
	// maxEvents is around how many events lines are read, the first ones; a log
	// with more is told from no longer list.
	maxEvents = 512
	// maxCounted is how many workers, or other values of `by`, are counted apart.
	maxCounted = 50
	// eventPoints is how finely a window is asked from Prometheus.
	eventPoints = 240
)

// eventChoice says what an event is.
type eventChoice struct {
	field    string // of a line, which is any of is; "" without
	is       []string
	contains []string           // a line that holds any of these
	expr     *playbook.Template // the instants from which it holds; nil without
	// of expr
	name       string
	datasource Datasource
}

// logEvent is one event.
type logEvent struct {
	at time.Time
	by string // its own value of the step's `by`, or its worker
	// Where its line stands; "" and 0 for one from Prometheus.
	file   string
	offset int64
}

// seenEvents are the events of a window.
type seenEvents struct {
	events      []logEvent // by time; at most maxEvents, the first
	count       int        // of all
	first, last time.Time  // of all
	byCount     map[string]int
	uncounted   int  // events of further values
	silent      bool // the log has no line in the window, and none before it
	lines       *tracelog.Lines
	expr        string // as asked, for one from Prometheus
}

func (s *seenEvents) add(e logEvent) {
	s.count++
	if s.first.IsZero() || e.at.Before(s.first) {
		s.first = e.at
	}
	if e.at.After(s.last) {
		s.last = e.at
	}
	if _, known := s.byCount[e.by]; e.by != "" && (known || len(s.byCount) < maxCounted) {
		s.byCount[e.by]++
	} else if e.by != "" {
		s.uncounted++
	}
	if len(s.events) < maxEvents {
		s.events = append(s.events, e)
	}
}

// events finds those of the step's window.
func (a *logsAction) events(ctx context.Context, env *playbook.Env) (*seenEvents, error) {
	seen := &seenEvents{byCount: map[string]int{}}
	to := env.At.UTC().Truncate(time.Second)
	var err error
	if a.around.expr != nil {
		err = a.eventsOfExpr(ctx, env, to, seen)
	} else {
		err = a.eventsOfLog(ctx, to, seen)
	}
	slices.SortStableFunc(seen.events, func(x, y logEvent) int { return x.at.Compare(y.at) })
	return seen, err
}

func (a *logsAction) eventsOfLog(ctx context.Context, to time.Time, seen *seenEvents) (err error) {
	wrote := false
	seen.lines, err = a.home.Between(ctx, tracelog.LineQuery{Source: a.source, From: to.Add(-a.within), To: to}, func(r *tracelog.Record) bool {
		wrote = true
		if a.around.isEvent(r) {
			seen.add(logEvent{at: r.Time, by: a.byOf(r), file: r.File, offset: r.Offset})
		}
		return true
	})
	if err != nil {
		return a.unread(ctx, err)
	}
	seen.silent = !wrote && !seen.lines.Older
	return nil
}

// isEvent says whether a line is an event; none is one of Prometheus.
func (e *eventChoice) isEvent(r *tracelog.Record) bool {
	if e.field != "" {
		return slices.Contains(e.is, tracelog.TextOf(r.Fields, e.field))
	}
	return slices.ContainsFunc(e.contains, func(part string) bool { return bytes.Contains(r.Raw, []byte(part)) })
}

// byOf is a line's value of the step's `by`, or else who wrote it.
func (a *logsAction) byOf(r *tracelog.Record) string {
	name := a.by
	if name == "" {
		name = r.Roles.Worker
	}
	return strings.Clone(bytesOf(tracelog.TextOf(r.Fields, name), maxByValue))
}

const maxByValue = 200 // bytes

func bytesOf(s string, n int) string { return s[:min(len(s), n)] }

// eventsOfExpr takes each instant from which the expression holds for a series
// for which it did not before.
func (a *logsAction) eventsOfExpr(ctx context.Context, env *playbook.Env, to time.Time, seen *seenEvents) error {
	if a.around.datasource.Querier == nil {
		return &playbook.StepError{Err: errors.New("no Prometheus is configured"), NextStep: "Add the datasource to the configuration."}
	}
	expr, err := a.around.expr.Render(env.Data)
	if err != nil {
		return &playbook.StepError{Err: fmt.Errorf("the query for events cannot be written: %w", err), NextStep: "Look at the alert's labels and at the step's around.expr."}
	}
	seen.expr = expr
	step := pointStep(a.within, eventPoints)
	got, err := a.around.datasource.QueryRange(ctx, expr, to.Add(-a.within), to, step)
	if err != nil {
		return unanswered(a.around.name, err)
	}
	for _, warning := range got.Warnings {
		env.Debugf("%s warns: %s", promapi.Display(a.around.name), warning)
	}
	var all []logEvent
	for _, series := range got.Series {
		var held time.Time // the last instant at which it held
		for _, p := range series.Points {
			if p.V == 0 || math.IsNaN(p.V) {
				continue
			}
			if held.IsZero() || p.T.Sub(held) > step+step/2 {
				by := series.Labels[a.by]
				if a.by == "" {
					by = series.Labels["worker"]
				}
				all = append(all, logEvent{at: p.T, by: bytesOf(by, maxByValue)})
			}
			held = p.T
		}
	}
	slices.SortStableFunc(all, func(x, y logEvent) int { return x.at.Compare(y.at) })
	for _, e := range all {
		seen.add(e)
	}
	return nil
}

// byWorker are the events by who they befell, the most first: "w1 5, w2 4".
func (s *seenEvents) byWorker() string {
	const most = 6
	names := slices.SortedFunc(maps.Keys(s.byCount), func(a, b string) int {
		if n := s.byCount[b] - s.byCount[a]; n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	var parts []string
	rest := s.uncounted
	for i, name := range names {
		if i < most {
			parts = append(parts, fmt.Sprintf("%s %d", tracelog.Harmless(name), s.byCount[name]))
		} else {
			rest += s.byCount[name]
		}
	}
	if rest > 0 {
		parts = append(parts, fmt.Sprintf("others %d", rest))
	}
	return strings.Join(parts, ", ")
}
