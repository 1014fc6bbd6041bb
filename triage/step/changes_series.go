// Changes that Prometheus's series show: label values that come and go, and
// values that change.
//
// A place is what is left of a series' labels without those that tell of the
// change: the instance. At one place, what is there at one instant is compared
// with what was there the last time that anything was: so a gap in scraping is
// no change, and neither is a counter that starts anew, for only labels are
// compared, or the values of what is no counter.

package step

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"triagebot/triage"
	"triagebot/triage/playbook"
	"triagebot/triage/promapi"
)

const (
	// changePoints is how finely a window is asked.
	changePoints = 240
	// maxFlips is how often a setting changes at one place; what changes more
	// often is a measurement.
	maxFlips = 20
	// rollout is how long after one place another may follow to be the same change.
	rollout = 15 * time.Minute
	// maxChangedSeries are compared.
	maxChangedSeries = 2000
)

// changedSeries are series of which changes tell.
type changedSeries struct {
	expr       *playbook.Template
	shown      string // the expression as the playbook has it
	name       string // of the datasource
	datasource Datasource
	labels     []string
	what       string
	value      bool
}

// changes asks for the series of the window before the onset.
func (s *changedSeries) changes(ctx context.Context, env *playbook.Env, onset time.Time, window time.Duration) (t toldChanges) {
	if s.datasource.Querier == nil {
		t.err = errors.New("no Prometheus is configured")
		return t
	}
	expr, err := s.expr.Render(env.Data)
	if err != nil {
		t.err = fmt.Errorf("the query %s cannot be written: %w", cut(s.shown, maxShownExpr), err)
		return t
	}
	step := pointStep(window, changePoints)
	from := onset.Add(-window.Truncate(step)) // so that the last point is at the onset
	got, err := s.datasource.QueryRange(ctx, expr, from, onset, step)
	if err != nil {
		t.err = unanswered(s.name, err)
		return t
	}
	for _, warning := range got.Warnings {
		t.debug = append(t.debug, fmt.Sprintf("%s warns: %s", promapi.Display(s.name), warning))
	}
	series := got.Series
	if len(series) > maxChangedSeries {
		t.unknown = append(t.unknown, fmt.Sprintf("%s has %d series; the first %d are compared", cut(expr, maxShownExpr), len(series), maxChangedSeries))
		series = series[:maxChangedSeries]
	}
	c := &comparison{changedSeries: s, source: cut(expr, maxShownExpr), step: step, from: from, onset: onset}
	c.read(series)
	c.compare()
	t.changes = c.merged()
	t.unknown = append(t.unknown, c.unknown...)
	return t
}

// comparison is what is known of one expression's series.
type comparison struct {
	*changedSeries
	source      string
	step        time.Duration
	from, onset time.Time

	places  map[string]*place // by key
	first   time.Time         // of all points
	firsts  map[string]time.Time
	found   []sighted
	unknown []string
}

// place is where series are seen: at one instance.
type place struct {
	key   string
	first time.Time
	at    map[int64][]thing // what is there, by Unix milliseconds
}

// thing is what is there: a set of the labels that tell, and its value.
type thing struct {
	key    string
	labels triage.Labels // those that tell
	value  float64
}

// sighted is a change at a place.
type sighted struct {
	at     time.Time
	place  string
	detail string
}

// read sorts the points by place and instant.
func (c *comparison) read(series []promapi.Series) {
	c.places, c.firsts = map[string]*place{}, map[string]time.Time{}
	for _, s := range series {
		if c.value && isCounter(s.Labels["__name__"]) {
			c.say(fmt.Sprintf("%s is a counter, whose values tell of no change", s.Labels["__name__"]))
			continue
		}
		telling, rest := triage.Labels{}, triage.Labels{}
		for name, v := range s.Labels {
			switch {
			case slices.Contains(c.labels, name):
				telling[name] = v
			case name != "__name__":
				rest[name] = v
			}
		}
		key, at := telling.String(), rest.String()
		p := c.places[at]
		if p == nil {
			p = &place{key: at, at: map[int64][]thing{}}
			c.places[at] = p
		}
		for _, point := range s.Points {
			if math.IsNaN(point.V) {
				continue
			}
			p.first = earliest(p.first, point.T)
			c.first = earliest(c.first, point.T)
			c.firsts[key] = earliest(c.firsts[key], point.T)
			millis := point.T.UnixMilli()
			p.at[millis] = append(p.at[millis], thing{key, telling, point.V})
		}
	}
}

func (c *comparison) say(text string) {
	if !slices.Contains(c.unknown, text) {
		c.unknown = append(c.unknown, text)
	}
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// isCounter tells by Prometheus's naming.
func isCounter(name string) bool {
	for _, suffix := range []string{"_total", "_count", "_sum", "_bucket"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

func (c *comparison) compare() {
	if c.first.IsZero() {
		if len(c.unknown) == 0 {
			c.say(fmt.Sprintf("%s has no series in %s", c.source, window(c.onset.Sub(c.from), c.onset)))
		}
		return
	}
	// Series that begin in the window need not be new: Prometheus may be, or the
	// scraping of them.
	if c.first.After(c.from.Add(c.step)) {
		c.say(fmt.Sprintf("%s has no history before %s, %s before the onset, so that what it was before is not known",
			c.source, c.first.UTC().Format(clock), model.Duration(c.onset.Sub(c.first))))
	}
	for _, key := range slices.Sorted(maps.Keys(c.places)) {
		c.along(c.places[key])
	}
}

// along compares what is at one place with what was there before.
func (c *comparison) along(p *place) {
	var found []sighted
	var before []thing
	for _, millis := range slices.Sorted(maps.Keys(p.at)) {
		now := p.at[millis]
		slices.SortFunc(now, func(a, b thing) int { return strings.Compare(a.key, b.key) })
		at := time.UnixMilli(millis).UTC()
		var details []string
		if before == nil {
			details = c.arrived(p, now)
		} else {
			details = c.differ(before, now)
		}
		for _, d := range details {
			found = append(found, sighted{at, p.key, d})
		}
		before = now
	}
	if len(found) > maxFlips {
		c.say(fmt.Sprintf("%s changes too often to be a setting (%d times)", c.source, len(found)))
		return
	}
	c.found = append(c.found, found...)
}

// arrived are changes that a place shows which was not there at first, as that
// of a new instance: what is nowhere else, and was not before.
func (c *comparison) arrived(p *place, now []thing) (details []string) {
	if !p.first.After(c.first) {
		return nil
	}
	old := c.justBefore(p.first)
	for _, t := range now {
		switch {
		case len(c.labels) == 0 || c.firsts[t.key].Before(p.first):
		case len(old) == 1 && !c.value:
			details = append(details, c.became(old[0], t))
		default:
			details = append(details, c.named(t)+" appeared")
		}
	}
	return details
}

// justBefore is what was there last before an instant, at any place.
func (c *comparison) justBefore(instant time.Time) []thing {
	last := int64(math.MinInt64)
	for _, p := range c.places {
		for millis := range p.at {
			if millis < instant.UnixMilli() {
				last = max(last, millis)
			}
		}
	}
	seen := map[string]thing{}
	for _, p := range c.places {
		for _, t := range p.at[last] {
			seen[t.key] = t
		}
	}
	return slices.SortedFunc(maps.Values(seen), func(a, b thing) int { return strings.Compare(a.key, b.key) })
}

// differ are the changes from what was at a place to what is.
func (c *comparison) differ(before, now []thing) (details []string) {
	values := map[string]float64{}
	for _, t := range before {
		values[t.key] = t.value
	}
	var came, went []thing
	for _, t := range now {
		was, known := values[t.key]
		switch {
		case !known:
			came = append(came, t)
		case c.value && was != t.value:
			details = append(details, fmt.Sprintf("%s %s → %s", c.named(t), number(was), number(t.value)))
		}
		delete(values, t.key)
	}
	for _, t := range before {
		if _, gone := values[t.key]; gone {
			went = append(went, t)
		}
	}
	if len(came) == 1 && len(went) == 1 && !c.value {
		return append(details, c.became(went[0], came[0]))
	}
	for _, t := range came {
		details = append(details, c.named(t)+" appeared")
	}
	for _, t := range went {
		details = append(details, c.named(t)+" is gone")
	}
	return details
}

// became says what differs of two things: "version 0.9.4 → 0.9.5".
func (c *comparison) became(was, is thing) string {
	var parts []string
	for _, name := range c.labels {
		if was.labels[name] != is.labels[name] {
			parts = append(parts, fmt.Sprintf("%s %s → %s", name, labelSaid(was.labels[name]), labelSaid(is.labels[name])))
		}
	}
	return strings.Join(parts, ", ")
}

// named names a thing: "flag new_scheduler".
func (c *comparison) named(t thing) string {
	var parts []string
	for _, name := range c.labels {
		if v := t.labels[name]; v != "" {
			parts = append(parts, name+" "+labelSaid(v))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), c.source)
}

// labelSaid is a label's value as a sentence has it: as it is where it is a
// word, else in quotes.
func labelSaid(v string) string {
	v = cut(v, maxShownValue)
	if quoted := strconv.Quote(v); v == "" || len(quoted) != len(v)+2 || strings.ContainsAny(v, " →,") {
		return quoted
	}
	return v
}

// merged are the changes, that of several instances as one.
func (c *comparison) merged() []changed {
	slices.SortStableFunc(c.found, func(a, b sighted) int {
		return cmp.Or(a.at.Compare(b.at), strings.Compare(a.detail, b.detail), strings.Compare(a.place, b.place))
	})
	var all []changed
	type key struct{ detail, place string }
	last := map[string]int{} // index of a detail's last change
	reached := map[key]int{}
	for _, f := range c.found {
		i, known := last[f.detail]
		if before, again := reached[key{f.detail, f.place}]; known && f.at.Sub(all[i].lastSeen()) <= rollout && (!again || before != i) {
			all[i].places++
			all[i].until = f.at
		} else {
			i = len(all)
			all = append(all, changed{at: f.at, places: 1, what: c.what, detail: cut(f.detail, maxShownName), source: c.source})
		}
		last[f.detail], reached[key{f.detail, f.place}] = i, i
	}
	return all
}

// lastSeen is when a change was last seen to go on.
func (c *changed) lastSeen() time.Time {
	if c.until.IsZero() {
		return c.at
	}
	return c.until
}
