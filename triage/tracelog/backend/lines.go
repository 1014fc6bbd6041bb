// Lines: what Loki and VictoriaLogs have in common, which keep log lines.

package backend

import (
	"time"

	"triagebot/triage/tracelog"
)

// addLine takes a line that a backend found. What is not the id's own is left
// out: the answer is confirmed by parsing, as that of files is. received is when
// the backend says that the line was written, and labels what it keeps beside
// it. It returns false when there is no room.
func (g *gathering) addLine(line []byte, received instant, labels map[string]any) bool {
	source := &g.base.source
	if len(line) > source.Cap() {
		g.part.TooLong++
		g.short(tracelog.UnreadLines)
		return true
	}
	r, torn, ok := source.Read(line, g.query.ID)
	if torn {
		g.part.Torn++
	}
	if !ok {
		return true
	}
	if r.Time.IsZero() {
		r.Time = received(r.Fields)
	}
	if _, taken := r.Fields[labelsField]; !taken && len(labels) > 0 {
		r.Fields[labelsField] = labels
	}
	return g.add(r)
}

// instant is when a backend says that a record was written.
type instant func(fields map[string]any) time.Time

// candidateLine reads a line for a pick. As with a lookup, it is the line that
// tells whether it is what was asked for, not that the backend gave it.
func (g *gathering) candidateLine(line []byte, by tracelog.PickBy, received instant) (tracelog.Candidate, bool) {
	fields, err := tracelog.ParseObject(line)
	if err != nil {
		g.part.Torn++
		return tracelog.Candidate{}, false
	}
	c, ok := g.base.source.Candidate(by, fields)
	if c.Time.IsZero() {
		c.Time = received(fields)
	}
	return c, ok
}

// labelsField holds a line's labels in its record, unless the line has a field
// of that name.
const labelsField = "labels"
