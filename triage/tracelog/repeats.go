// What was tried more than once: requests that repeat another, and messages
// sent again within one.

package tracelog

import (
	"slices"
	"time"
)

// Retry is a request that repeats another.
type Retry struct {
	ID string `json:"id"`
	Of string `json:"of"`
	// What is known of the one that was repeated; zero where nothing is.
	Status int           `json:"status,omitempty"`
	Took   time.Duration `json:"took_ns,omitempty"`
	// After is from the end of the one to the begin of the other; negative when
	// the client did not wait for the end.
	After time.Duration `json:"after_ns,omitempty"`
}

// retries are those that the records name, each once and as many as ids are
// asked for.
func (t *Trace) retries() []Retry {
	var all []Retry
	for i := range t.Records {
		r := &t.Records[i]
		if r.Context || r.repeats() == "" || r.repeats() == r.about() {
			continue
		}
		retry := Retry{ID: kept(r.about()), Of: kept(r.repeats())}
		if len(all) == maxIDs || slices.ContainsFunc(all, func(o Retry) bool { return o.ID == retry.ID && o.Of == retry.Of }) {
			continue
		}
		first := t.about(retry.Of)
		if answer := answerOf(first); answer != nil {
			retry.Status, retry.Took = answer.status(), answer.took()
		}
		if a, b := spanOf(first), spanOf(t.about(retry.ID)); !a.from.IsZero() && !b.from.IsZero() {
			retry.After = b.from.Sub(a.to)
		}
		all = append(all, retry)
	}
	return all
}

func spanOf(records []*Traced) (s span) {
	for _, r := range records {
		s = s.hull(r.span())
	}
	return s
}

// Resent is a message of one request that was sent more than once.
type Resent struct {
	Source string `json:"source"`
	Event  string `json:"event,omitempty"`
	Times  int    `json:"times"`
}

func resent(records []*Traced) []Resent {
	type message struct{ about, source, event string }
	index := map[message]int{}
	var all []Resent
	for _, r := range records {
		if !r.sends() || r.chunk() {
			continue
		}
		key := message{r.about(), r.Source, kept(r.event())}
		i, ok := index[key]
		if !ok {
			i = len(all)
			index[key] = i
			all = append(all, Resent{Source: r.Source, Event: key.event})
		}
		all[i].Times++
	}
	return slices.DeleteFunc(all, func(r Resent) bool { return r.Times == 1 })
}
