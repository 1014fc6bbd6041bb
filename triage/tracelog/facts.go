// Facts: what the records of a request say together. All of it is derived from
// records alone, so the same trace gives the same facts.

package tracelog

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Facts are what can be said of a request. All durations are nanoseconds in
// JSON. Records without a time count for what they say, not for when.
type Facts struct {
	ID      string    `json:"id"`
	Records int       `json:"records"` // about the request itself
	Others  int       `json:"others"`  // about requests linked with it, and about their workers
	Began   time.Time `json:"began,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	// Total is from Began to Ended: the first and the last record, or what they
	// report.
	Total time.Duration `json:"total_ns"`
	// Reported is the duration that the record of the answer reports; 0 where
	// there is none.
	Reported time.Duration `json:"reported_ns,omitempty"`
	Answer   string        `json:"answer,omitempty"` // the source that has the answer
	Route    string        `json:"route,omitempty"`
	Status   int           `json:"status,omitempty"` // of the answer
	Outcome  Outcome       `json:"outcome"`
	Errors   []Failure     `json:"errors,omitempty"` // each once, the first first, at most maxErrors

	Phases  []Phase       `json:"phases,omitempty"` // between one record and the next whose clocks agree, clock by clock; a row of chunks is one phase
	Gaps    []Phase       `json:"gaps,omitempty"`   // the longest between two records whose clocks agree, chunks among them; at most maxGaps
	Retries []Retry       `json:"retries,omitempty"`
	Resent  []Resent      `json:"resent,omitempty"`
	Tool    bool          `json:"tool_call,omitempty"` // a record says that it is a tool call
	Blocks  []Block       `json:"tool_blocks,omitempty"`
	Streams []Stream      `json:"streams,omitempty"`
	Exits   []Exit        `json:"worker_exits,omitempty"` // of the request's workers, between Began and Ended
	Clocks  []ClockDiffer `json:"clocks,omitempty"`

	Timeless int `json:"timeless,omitempty"` // records without a time that can be read
	// Partial means that records may be missing: what was not seen may be there.
	Partial bool `json:"partial,omitempty"`
}

// Outcome is how a request ended.
type Outcome string

// The outcomes.
const (
	OutcomeOK          Outcome = "ok"
	OutcomeMaintenance Outcome = "maintenance"   // refused with 503 because the service is in maintenance
	OutcomeBackend     Outcome = "backend_error" // any other status of 500 and more, or an error and no answer
	OutcomeClient      Outcome = "client_error"  // a status from 400 to 499
	OutcomeUnanswered  Outcome = "unanswered"    // no record of an answer, and no error
)

// Failure is an error that a record reports.
type Failure struct {
	Source string    `json:"source"`
	Event  string    `json:"event,omitempty"`
	Time   time.Time `json:"time,omitzero"`
	Text   string    `json:"text"`
}

// The most of what a bad day could have without end.
const (
	maxErrors = 20
	maxGaps   = 3
	maxRanges = 20
)

// Facts derives what the records say.
func (t *Trace) Facts() *Facts {
	subject := t.subject()
	f := &Facts{ID: t.ID, Records: len(subject), Others: len(t.Records) - len(subject), Partial: !t.Coverage.Complete || t.LeftOut > 0}
	var all span
	for _, r := range subject {
		all = all.hull(r.span())
		f.Tool = f.Tool || r.callsTool()
		f.Route = cmp.Or(f.Route, kept(r.route()))
		if r.Time.IsZero() {
			f.Timeless++
		}
	}
	f.Began, f.Ended, f.Total = all.from, all.to, all.length()
	answer := answerOf(subject)
	f.Errors = failures(subject)
	f.Outcome = outcome(answer, f.Errors)
	if answer != nil {
		f.Answer, f.Status, f.Reported = answer.Source, answer.status(), answer.took()
		f.Route = cmp.Or(kept(answer.route()), f.Route)
	}
	points := points(subject, answer)
	f.Clocks = clocks(subject, answer)
	for _, together := range byClock(withoutRows(points), f.Clocks) {
		f.Phases = append(f.Phases, phases(together)...)
	}
	f.Gaps = gaps(points, f.wholeTime(), f.Clocks)
	f.Retries = t.retries()
	f.Resent = resent(subject)
	f.Blocks = blocks(subject)
	f.Streams = streams(subject)
	f.Exits = t.exits(subject, all)
	return f
}

// wholeTime is what gaps are parts of: from the first to the last record, unless
// their clocks differ and the answer knows better.
func (f *Facts) wholeTime() time.Duration {
	if len(f.Clocks) > 0 {
		return cmp.Or(f.Reported, f.Total)
	}
	return f.Total
}

// subject are the records about the request that was asked for or, where the
// id is that of a whole trace, about all of its requests. A request that only
// repeats the one asked for is neither.
func (t *Trace) subject() []*Traced {
	if own := t.about(t.ID); len(own) > 0 {
		return own
	}
	requests := map[string]bool{}
	for i := range t.Records {
		if r := &t.Records[i]; !r.Context && r.FoundBy == t.ID && r.repeats() != t.ID {
			requests[r.about()] = true
		}
	}
	var all []*Traced
	for i := range t.Records {
		if r := &t.Records[i]; !r.Context && requests[r.about()] {
			all = append(all, r)
		}
	}
	return all
}

// about are the trace's records about a request.
func (t *Trace) about(id string) []*Traced {
	var own []*Traced
	for i := range t.Records {
		if r := &t.Records[i]; !r.Context && r.about() == id {
			own = append(own, r)
		}
	}
	return own
}

// answerOf is the record of the answer: the one with a status that lasted the
// longest, for others may report on parts of the request, or else the one that
// lasted the longest; nil where none reports either.
func answerOf(records []*Traced) *Traced {
	var best *Traced
	for _, r := range records {
		if r.status() == 0 && r.took() == 0 {
			continue
		}
		if best == nil || cmp.Or(compareBool(r.status() > 0, best.status() > 0), cmp.Compare(r.took(), best.took())) > 0 {
			best = r
		}
	}
	return best
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func failures(records []*Traced) []Failure {
	var all []Failure
	for _, r := range records {
		reason := kept(r.failure())
		same := func(f Failure) bool { return f.Source == r.Source && f.Text == reason }
		if reason == "" || len(all) == maxErrors || slices.ContainsFunc(all, same) {
			continue
		}
		all = append(all, Failure{Source: r.Source, Event: kept(r.event()), Time: r.Time, Text: reason})
	}
	return all
}

func outcome(answer *Traced, errors []Failure) Outcome {
	status := 0
	if answer != nil {
		status = answer.status()
	}
	switch {
	case status == 503 && strings.Contains(strings.ToLower(answer.failure()), "maintenance"):
		return OutcomeMaintenance
	case status >= leastFailing, status == 0 && len(errors) > 0:
		return OutcomeBackend
	case status >= 400:
		return OutcomeClient
	case status > 0:
		return OutcomeOK
	}
	return OutcomeUnanswered
}

// cause is the error that the answer's own error comes from: one that another
// source reports, or else the answer's; "" where there is none.
func (f *Facts) cause() string {
	for _, e := range f.Errors {
		if e.Source != f.Answer {
			return e.Text
		}
	}
	if len(f.Errors) > 0 {
		return f.Errors[0].Text
	}
	return ""
}
