// Candidates: what a record says of its request to a pick, and which of
// several are the better ones.

package tracelog

import (
	"cmp"
	"slices"
	"time"

	"triagebot/triage/tracelog/bytescan"
)

// Candidate reads the fields of a record for a pick. It returns false when the
// record names no request, or is not what is picked by.
func (s *Source) Candidate(by PickBy, fields map[string]any) (Candidate, bool) {
	roles := &s.Roles
	c := Candidate{ID: s.idToPick(fields), Source: s.Name}
	if c.ID == "" {
		return Candidate{}, false
	}
	var timed bool
	c.Time, _ = fieldTime(fields, roles.Time)
	c.Duration, timed = roles.DurationOf(fields)
	c.Status = roles.StatusOf(fields)
	c.Error = kept(roles.ErrorOf(fields))
	c.Route = kept(roles.RouteOf(fields))
	switch by {
	case PickSlowest:
		return c, timed
	case PickFailing:
		return c, c.Failing()
	case PickToolCall:
		return c, roles.CallsTool(fields)
	default:
		return c, false
	}
}

// idToPick is the value of the first key that has one. An id too long to be
// looked up is none.
func (s *Source) idToPick(fields map[string]any) string {
	for _, name := range s.Keys {
		if id := TextOf(fields, name); id != "" && len(id) <= bytescan.MaxLiteral {
			return id
		}
	}
	return ""
}

// Failing says whether the request failed: a status of 500 and more, or an
// error.
func (c *Candidate) Failing() bool { return c.Status >= leastFailing || c.Error != "" }

// rank is what requests are ordered by.
type rank struct {
	duration time.Duration
	failing  bool
	time     time.Time
}

func (c *Candidate) rank() rank { return rank{c.Duration, c.Failing(), c.Time} }

// compare orders ranks, the best first.
func (by PickBy) compare(a, b *rank) int {
	switch by {
	case PickSlowest:
		if c := cmp.Compare(b.duration, a.duration); c != 0 {
			return c
		}
	case PickToolCall:
		if c := compareBool(b.failing, a.failing); c != 0 {
			return c
		}
	}
	return b.time.Compare(a.time)
}

// Best are candidates in a pick's order, the best first; those that are alike
// by their ids. Of an id that has several, the best counts.
func (by PickBy) Best(candidates []Candidate) []Candidate {
	best := slices.Clone(candidates)
	slices.SortStableFunc(best, func(a, b Candidate) int {
		x, y := a.rank(), b.rank()
		return cmp.Or(by.compare(&x, &y), cmp.Compare(a.ID, b.ID))
	})
	seen := make(map[string]bool, len(best))
	return slices.DeleteFunc(best, func(c Candidate) bool {
		again := seen[c.ID]
		seen[c.ID] = true
		return again
	})
}
