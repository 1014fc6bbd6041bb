// What a line is worth to a pick, by parsing it.

package tracelog

import "time"

// judge parses a line. It returns false when the line is no candidate; torn
// says that this is because it is no JSON object.
func (p *picker) judge(s *Source, line []byte) (c Candidate, torn, ok bool) {
	fields, err := s.parse(line)
	if err != nil {
		return Candidate{}, true, false
	}
	if p.pick.Route != "" && s.Roles.RouteOf(fields) != p.pick.Route {
		return Candidate{}, false, false
	}
	c, ok = s.Candidate(p.pick.By, fields)
	return c, false, ok && p.inWindow(c.Time)
}

// inWindow says whether a line of this time, zero for none, may be picked. What
// has no time is in no window, but in "everything".
func (p *picker) inWindow(t time.Time) bool {
	if t.IsZero() {
		return p.pick.Within <= 0
	}
	return !t.After(p.pick.At) && (p.pick.Within <= 0 || !t.Before(p.pick.At.Add(-p.pick.Within)))
}
