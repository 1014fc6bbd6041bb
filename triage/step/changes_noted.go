// Changes that somebody noted: in Grafana's annotations, or in a log with a
// change a line.

package step

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"triagebot/triage/tracelog"
)

// maxNoted is how many changes of one log are taken.
const maxNoted = 500

// annotations asks Grafana.
func (a *changesAction) annotations(ctx context.Context, onset time.Time) (t toldChanges) {
	if a.deps.Annotations == nil {
		t.debug = append(t.debug, "no Grafana is configured: its annotations are not asked for")
		return t
	}
	all, more, err := a.deps.Annotations.Annotations(ctx, onset.Add(-a.within), onset, a.tags)
	if err != nil {
		t.err = err
		return t
	}
	if more {
		t.unknown = append(t.unknown, fmt.Sprintf("Grafana has more than the %d annotations that it gave", len(all)))
	}
	for _, note := range all {
		what := defaultWhat
		for _, tag := range note.Tags {
			if slices.Contains(a.tags, tag) {
				what = tag
				break
			}
		}
		t.changes = append(t.changes, changed{
			at: note.Time, what: noted(what), detail: cmp.Or(noted(withoutMarkup(note.Text)), "without a text"), who: noted(note.Who), source: "Grafana",
		})
	}
	return t
}

// withoutMarkup leaves the text of an annotation, which may be HTML.
func withoutMarkup(s string) string {
	var b strings.Builder
	for s != "" {
		before, rest, found := strings.Cut(s, "<")
		b.WriteString(before)
		if !found {
			break
		}
		tag, after, closed := strings.Cut(rest, ">")
		first := strings.TrimPrefix(tag, "/")
		if !closed || first == "" || first[0] < 'A' || first[0] > 'z' { // a sign, and no tag
			b.WriteString("<")
			s = rest
			continue
		}
		b.WriteString(" ")
		s = after
	}
	return b.String()
}

// noted is text from outside on one line, bounded, and harmless.
func noted(s string) string {
	return tracelog.Harmless(strings.Join(strings.Fields(safeText(bytesOf(s, maxText))), " "))
}

// changes reads the lines of the window before the onset.
func (l *changeLog) changes(ctx context.Context, onset time.Time, within time.Duration) (t toldChanges) {
	if l.home == nil {
		t.err = errors.New("no log called " + tracelog.Harmless(l.source) + " is configured under traces")
		return t
	}
	lines, err := l.home.Between(ctx, tracelog.LineQuery{Source: l.source, From: onset.Add(-within), To: onset}, func(r *tracelog.Record) bool {
		if len(t.changes) == maxNoted {
			return false
		}
		if r.Fields == nil {
			return true // torn, or a line that belongs to the one before
		}
		value := func(name string) string {
			return noted(tracelog.TextOf(r.Fields, name))
		}
		detail := value("detail")
		for _, name := range messageFields {
			detail = cmp.Or(detail, value(name))
		}
		t.changes = append(t.changes, changed{
			at: r.Time, what: cmp.Or(value("what"), defaultWhat), detail: cmp.Or(detail, "without a detail"), who: value("who"), source: noted(l.source),
		})
		return true
	})
	switch {
	case err != nil && lines == nil:
		t.err = fmt.Errorf("%s could not be read: %w", tracelog.Harmless(l.source), err)
	case len(t.changes) == maxNoted:
		t.unknown = append(t.unknown, fmt.Sprintf("%s holds more than the %d changes that were taken", tracelog.Harmless(l.source), maxNoted))
	case err != nil || !lines.Coverage.Complete:
		t.unknown = append(t.unknown, lacking(&lines.Coverage))
	}
	return t
}
