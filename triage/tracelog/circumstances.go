// What befell a request from outside: its workers' exits, and clocks that do
// not agree.

package tracelog

import (
	"slices"
	"strings"
	"time"
)

// Exit is that of a worker while it handled the request.
type Exit struct {
	Worker  string    `json:"worker"`
	Exited  time.Time `json:"exited"`
	Started time.Time `json:"started,omitzero"` // again; zero when it did not while the request ran
}

// exitWords are found in the events of workers that end.
var exitWords = []string{"exit", "crash", "killed", "died", "restart"}

// exits are those of the workers that the records name, within a span.
func (t *Trace) exits(records []*Traced, within span) []Exit {
	workers := map[string]bool{}
	for _, r := range records {
		workers[kept(r.worker())] = true
	}
	var all []Exit
	for i := range t.Records {
		r := &t.Records[i]
		worker := kept(r.worker())
		if !r.Context || worker == "" || !workers[worker] || !within.has(r.Time) {
			continue
		}
		event := strings.ToLower(kept(r.event()))
		if slices.ContainsFunc(exitWords, func(word string) bool { return strings.Contains(event, word) }) {
			all = append(all, Exit{Worker: worker, Exited: r.Time})
			continue
		}
		if _, m := splitEvent(event); m != opens {
			continue
		}
		for j := range all {
			if all[j].Worker == worker && all[j].Started.IsZero() {
				all[j].Started = r.Time
			}
		}
	}
	return all
}

// ClockDiffer are two sources whose times contradict one another.
type ClockDiffer struct {
	Source  string        `json:"source"`
	Against string        `json:"against"`
	By      time.Duration `json:"by_ns"` // Source's clock is ahead at least so much; behind when negative
}

// clockTolerance is how far apart lines about the same moment are written by
// processes that share a clock.
const clockTolerance = 100 * time.Millisecond

// clocks finds what cannot have been. Messages of a request lie between its
// begin and its answer: a source whose messages do not, but would if they were
// moved, has another clock. And nothing is received before anything was sent.
func clocks(records []*Traced, answer *Traced) []ClockDiffer {
	var all []ClockDiffer
	messages := map[string]span{}
	var sources []string
	var sent, received *Traced
	for _, r := range records {
		if r.Time.IsZero() || !r.sends() && !r.receives() {
			continue
		}
		if messages[r.Source].from.IsZero() {
			sources = append(sources, r.Source)
		}
		messages[r.Source] = messages[r.Source].with(r.Time)
		if r.sends() && sent == nil {
			sent = r
		}
		if r.receives() && received == nil {
			received = r
		}
	}
	if sent != nil && received != nil && received.Time.Before(sent.Time) {
		all = append(all, ClockDiffer{Source: received.Source, Against: sent.Source, By: received.Time.Sub(sent.Time)})
	}
	if answer == nil || answer.took() == 0 || answer.Time.IsZero() {
		return all
	}
	request := answer.span()
	slices.Sort(sources)
	for _, source := range sources {
		m := messages[source]
		early, late := request.from.Sub(m.from), m.to.Sub(request.to)
		known := func(d ClockDiffer) bool { return d.Source == source && d.Against == answer.Source }
		if source == answer.Source || m.length() > request.length()+clockTolerance || slices.ContainsFunc(all, known) {
			continue
		}
		switch {
		case early > clockTolerance:
			all = append(all, ClockDiffer{Source: source, Against: answer.Source, By: -early})
		case late > clockTolerance && answer.status() != statusClientGone:
			all = append(all, ClockDiffer{Source: source, Against: answer.Source, By: late})
		}
	}
	return all
}

// statusClientGone is logged, as by nginx, when nobody waits for the answer any
// more: what the backend says later is late, not wrong.
const statusClientGone = 499
